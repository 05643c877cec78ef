defmodule Mix.Tasks.Bridge.New do
  @shortdoc "Makes a new application that calls Python"

  @moduledoc """
  Makes a small supervised application with a Python adapter, the tests of both, and a Dockerfile.

      mix bridge.new shop
      mix bridge.new ../shop --module Shop.Front

  The folder must be new or empty. What to do there is in its `README.md`.

  ## Options

    * `--app` - the name of the OTP application (default: that of the folder)
    * `--module` - the name of its main module (default: that of the application)
    * `--bridge` - where both halves of the bridge are (default: where this task came from)

  """

  use Mix.Task

  import Mix.Generator

  alias Mix.Bridge.{Environment, Template}

  @switches [app: :string, module: :string, bridge: :string]

  @impl true
  def run(arguments) do
    {path, opts} = options!(arguments)
    app = opts[:app] || Path.basename(Path.expand(path))
    module = opts[:module] || Macro.camelize(app)
    check_app!(app)
    check_module!(module)
    check_folder!(path)

    names = %{app: app, module: module, bridge: bridge!(opts[:bridge])}
    for {file, text} <- Template.files(names), do: create_file(Path.join(path, file), text)

    Mix.shell().info("""

    It is there. Go on with

        cd #{path}
        mix deps.get
        mix bridge.setup
        mix test
    """)
  end

  defp options!(arguments) do
    case OptionParser.parse(arguments, strict: @switches) do
      {opts, [path], []} ->
        {path, opts}

      _wrong ->
        Mix.raise(
          "mix bridge.new takes the folder of the new application, --app, --module and --bridge; see mix help bridge.new"
        )
    end
  end

  defp check_app!(name) do
    unless name =~ ~r{^[a-z][a-z0-9_]*$} do
      Mix.raise(
        "#{inspect(name)} cannot be the name of an application: lower-case letters, digits and _; --app gives another one"
      )
    end

    # the modules of the adapter and of Python itself must not be one
    if name in ~w(beam_bridge bridge elixir mix python test) do
      Mix.raise("#{inspect(name)} is taken; --app gives another one")
    end
  end

  defp check_module!(name) do
    unless name =~ ~r/^[A-Z]\w*(\.[A-Z]\w*)*$/ do
      Mix.raise("#{inspect(name)} cannot be the name of a module; --module gives another one")
    end
  end

  defp check_folder!(path) do
    case File.ls(path) do
      {:ok, [_file | _files]} -> Mix.raise("#{Path.expand(path)} is not empty")
      {:error, :enotdir} -> Mix.raise("#{Path.expand(path)} is a file")
      _new_or_empty -> :ok
    end
  end

  defp bridge!(nil) do
    case Environment.package_beside() do
      folder when is_binary(folder) ->
        folder

      _one_half ->
        Mix.raise(
          "The Python half did not come with this task. Name a folder with both halves: --bridge PATH"
        )
    end
  end

  defp bridge!(named) do
    for half <- ["pyproject.toml", "elixir_fixture/mix.exs"],
        not File.regular?(Path.join(named, half)),
        do:
          Mix.raise(
            "There is no #{Path.expand(Path.join(named, half))}: --bridge names the folder with both halves"
          )

    Path.expand(named)
  end
end
