defmodule Mix.Tasks.Bridge.Gen do
  @shortdoc "Writes a module with one function for each tool of an adapter"

  @moduledoc """
  Writes a module with one function, with documentation and types, for each tool of an adapter.

      mix bridge.gen my_tools:Tools --module MyApp.Tools
      mix bridge.gen my_tools:Tools --module MyApp.Tools --check

  A tool `predict(text: str, top: int = 1)` becomes

      @spec predict(Bridge.client(), String.t(), ..., keyword) :: {:ok, term} | {:error, Bridge.Error.t()}
      def predict(client, text, arguments \\\\ %{}, options \\\\ [])

  to be called as `MyApp.Tools.predict(MyApp.Python, "some text", [top: 3], timeout: 500)`. What must be
  given are arguments of the function; what has a default goes into `arguments`, by name. A tool that
  takes any further arguments by position has `arguments` alone, as `Bridge.call/4` takes them. A tool
  that streams returns the stream.

  Python imports the adapter and makes its instance for this; `setup()` does not run.

  ## Options

    * `--module` - the name of the module
    * `--output` - the file (default: below `lib`, by the module's name)
    * `--check` - write nothing, and fail if the file is not what would be written: for CI
    * `--app-dir` - where the adapter's module is (default: `priv/python` or `python`, where one is)
    * `--python` - the interpreter (default: `priv/python/.venv` or `python/.venv` where one of them
      is, else `$BRIDGE_PYTHON`, else `python3`)
    * `--allow` - the modules that `bridge.adapters.functions:Functions` serves

  """

  use Mix.Task

  alias Mix.Bridge.{Environment, Facade}

  @switches [
    module: :string,
    output: :string,
    check: :boolean,
    app_dir: :string,
    python: :string,
    allow: :string
  ]
  @dirs ["priv/python", "python"]

  @impl true
  def run(arguments) do
    {adapter, opts} = options!(arguments)
    file = opts[:output] || Path.join("lib", Macro.underscore(opts[:module]) <> ".ex")
    unless opts[:check], do: free!(opts[:module], file)
    source = Facade.source(opts[:module], adapter, tools!(adapter, opts))

    cond do
      opts[:check] -> check!(file, source, adapter, opts)
      File.read(file) == {:ok, source} -> Mix.shell().info("Nothing to do: #{file}")
      true -> write(file, source)
    end
  end

  # Neither a module nor a file that somebody has written is replaced.
  defp free!(name, file) do
    module = Module.concat([name])

    if Code.ensure_loaded?(module) do
      source = to_string(module.module_info(:compile)[:source] || "another program")

      if source != Path.expand(file),
        do: Mix.raise("#{name} is a module already, of #{source}: choose another --module")
    end

    with {:ok, text} <- File.read(file),
         false <- String.starts_with?(text, Facade.mark()) do
      Mix.raise(
        "#{file} is there already, and not by mix bridge.gen: choose another --module or --output"
      )
    end
  end

  defp write(file, source) do
    File.mkdir_p!(Path.dirname(file))
    File.write!(file, source)
    Mix.shell().info([:green, "* writing ", :reset, file])
  end

  defp check!(file, source, adapter, opts) do
    case File.read(file) do
      {:ok, ^source} ->
        Mix.shell().info("#{file} is what #{adapter} has")

      {:ok, _other} ->
        Mix.raise(
          "#{file} is not what #{adapter} has now. Write it anew: mix bridge.gen #{adapter} --module #{opts[:module]}"
        )

      {:error, reason} ->
        Mix.raise("#{file} cannot be read: #{:file.format_error(reason)}")
    end
  end

  # Through a file: what the adapter prints while it is imported goes elsewhere.
  defp tools!(adapter, opts) do
    path =
      Path.join(
        System.tmp_dir!(),
        "bridge-gen-#{System.pid()}-#{System.unique_integer([:positive])}"
      )

    dir = opts[:app_dir] || Enum.find(@dirs, &File.dir?/1)

    arguments =
      ["-P", "-m", "bridge", "tools", adapter, "--msgpack", path] ++
        if(dir, do: ["--app-dir", dir], else: []) ++
        if(opts[:allow], do: ["--allow", opts[:allow]], else: [])

    try do
      python = interpreter(opts[:python])

      case System.cmd(found!(python), arguments, stderr_to_stdout: true) do
        {_output, 0} -> path |> File.read!() |> Bridge.Msgpack.decode!()
        {output, _status} -> Mix.raise("The tools of #{adapter} cannot be read:\n#{output}")
      end
    after
      File.rm(path)
    end
  end

  defp found!(python) do
    System.find_executable(python) ||
      Mix.raise(
        "There is no #{python}; mix bridge.setup makes an environment, --python names another"
      )
  end

  defp interpreter(nil) do
    venv = Enum.find(Enum.map(@dirs, &Path.join(&1, ".venv")), &File.dir?/1)
    if venv, do: Environment.interpreter(venv), else: System.get_env("BRIDGE_PYTHON") || "python3"
  end

  defp interpreter(named), do: named

  defp options!(arguments) do
    with {opts, [adapter], []} <- OptionParser.parse(arguments, strict: @switches),
         module when is_binary(module) <- opts[:module] do
      unless module =~ ~r/^[A-Z]\w*(\.[A-Z]\w*)*$/ do
        Mix.raise("#{inspect(module)} cannot be the name of a module: --module MyApp.Tools")
      end

      {adapter, opts}
    else
      _wrong ->
        Mix.raise(
          "mix bridge.gen takes an adapter and --module, and perhaps --output, --check, --app-dir, " <>
            "--python and --allow; see mix help bridge.gen"
        )
    end
  end
end
