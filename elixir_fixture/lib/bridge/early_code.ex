defmodule Bridge.EarlyCode do
  @moduledoc false

  # Loads the modules of this package before they are needed.
  #
  # Outside of a release the runtime reads a module from the disk when it is used first. For the first call
  # whose time is over these are several, at the moment at which Python's word on whether the tool began is
  # waited for: tens of milliseconds on a slow machine.

  @doc "Loads them once, in a process of its own, when the application starts, or else the first client."
  @spec load() :: :ok
  def load do
    unless :persistent_term.get(__MODULE__, false) do
      :persistent_term.put(__MODULE__, true)
      # a release has loaded everything when it boots
      if :code.get_mode() == :interactive, do: spawn(&load_all/0)
    end

    :ok
  end

  defp load_all do
    with {:ok, modules} <- modules(:application.get_application(__MODULE__)) do
      :code.ensure_modules_loaded(for module <- modules, ours?(module), do: module)
    end
  end

  # Scripts that only have the code on their path have not loaded the application.
  defp modules(:undefined) do
    _loaded = :application.load(:beam_bridge)
    :application.get_key(:beam_bridge, :modules)
  end

  defp modules({:ok, application}), do: :application.get_key(application, :modules)

  # Another application may have these modules as part of its own; and the tasks of mix need mix.
  defp ours?(module), do: module |> Atom.to_string() |> String.starts_with?("Elixir.Bridge")
end
