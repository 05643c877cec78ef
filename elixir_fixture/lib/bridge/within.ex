defmodule Bridge.Within do
  @moduledoc false

  # On whose behalf a call is made: within which of Python's calls the caller works.

  alias Bridge.{Places, Runner}
  alias Bridge.Pool.Routes

  @doc """
  The options of a call, with `:within` only where the call is one of the client that it belongs to.
  """
  @spec option(Bridge.client(), keyword) :: keyword
  def option(client, opts) do
    case Keyword.fetch(opts, :within) do
      :error -> option(client, opts, Runner.within(client))
      {:ok, within} -> option(client, Keyword.delete(opts, :within), within)
    end
  end

  defp option(_client, opts, nil), do: opts

  defp option(client, opts, {process, _id} = within) do
    if serves?(GenServer.whereis(client), process), do: [{:within, within} | opts], else: opts
  end

  defp serves?(process, process), do: true

  defp serves?(pool, process) do
    with true <- is_pid(pool) and node(pool) == node(), %Routes{} = routes <- Places.of(pool) do
      Routes.member(routes, process) != :none
    else
      _no_pool -> false
    end
  end
end
