defmodule Mix.Tasks.Bridge.Doctor do
  @shortdoc "Says whether Python starts here, and what to do where it does not"

  @moduledoc """
  Says which Python the application gets, whether both halves belong together, and whether every
  transport and the adapter start; with what to do where something does not. Exits with 1 then.

      mix bridge.doctor
      mix bridge.doctor my_tools:Tools --app-dir priv/python

  ## Options

    * `--python` - the interpreter (default: that of `.venv` in the adapter's directory, else `$BRIDGE_PYTHON`, else `python3`)
    * `--app-dir` - where the adapter's module is (default: `priv/python` or `python`, where one is)

  """

  use Mix.Task

  alias Mix.Bridge.Environment
  alias Mix.Tasks.Bridge.Setup

  @switches [python: :string, app_dir: :string]

  @impl true
  def run(arguments) do
    {opts, adapter} = options!(arguments)
    dir = opts[:app_dir] || Environment.found_dir()
    {named, why} = interpreter(opts[:python], dir)

    show("elixir", "#{System.version()}, OTP #{System.otp_release()}")
    show("beam_bridge", Environment.version())
    show("interpreter", "#{named}, #{why}")

    path = System.find_executable(named) || fail("There is no #{named}. #{make_one()}")

    case Environment.versions(path) do
      {:ok, %{bridge: nil, python: version}} ->
        fail("Python #{version} at #{path} has no Python half of the bridge. #{make_one()}")

      {:ok, %{bridge: version}} ->
        unless Environment.fits?(version), do: Mix.shell().error(Setup.misfit(version))
        examine(path, adapter, dir)

      {:error, reason} ->
        fail("#{path} cannot be used: #{reason}. #{make_one()}")
    end
  end

  # What Python can tell of itself, it tells.
  defp examine(python, adapter, app_dir) do
    arguments =
      ["-P", "-m", "bridge", "doctor"] ++
        List.wrap(adapter) ++ if(app_dir, do: ["--app-dir", app_dir], else: [])

    {_output, status} = System.cmd(python, arguments, into: IO.stream(), stderr_to_stdout: true)
    if status != 0, do: fail("Not all is well: see above")
    Mix.shell().info([:green, "All is well"])
  end

  defp interpreter(nil, dir) do
    venv = Path.join(dir || ".", ".venv")
    variable = System.get_env("BRIDGE_PYTHON")

    cond do
      dir != nil and File.dir?(venv) -> {Environment.interpreter(venv), "of mix bridge.setup"}
      variable -> {variable, "of $BRIDGE_PYTHON"}
      true -> {"python3", "of the PATH"}
    end
  end

  defp interpreter(named, _dir), do: {named, "as named"}

  defp make_one, do: "mix bridge.setup makes an environment that has all"

  defp show(name, text), do: Mix.shell().info("#{String.pad_trailing(name, 23)} #{text}")

  defp fail(text) do
    Mix.shell().error(text)
    exit({:shutdown, 1})
  end

  defp options!(arguments) do
    case OptionParser.parse(arguments, strict: @switches) do
      {opts, adapter, []} when length(adapter) <= 1 ->
        {opts, List.first(adapter)}

      _wrong ->
        Mix.raise(
          "mix bridge.doctor takes an adapter, --python and --app-dir; see mix help bridge.doctor"
        )
    end
  end
end
