defmodule Mix.Tasks.Bridge.Setup do
  @shortdoc "Makes the virtual environment of the application's Python"

  @moduledoc """
  Makes the virtual environment of the application's Python, and installs what it needs.

      mix bridge.setup
      mix bridge.setup --extras numpy,grpc
      mix bridge.setup --dir python --python python3.12

  It looks in `priv/python`, else in `python`; in an umbrella, in those of its applications. What `pyproject.toml` (`dependencies` of `project`) or
  `requirements.txt` lists there is installed into `.venv` beside it, and the Python half of the
  bridge too, unless the list names it. With uv where that is found, else with venv and pip.

  Run again, it does nothing while the list is the same. An application finds its interpreter with

      python: {:venv, {:app, :my_app, "priv/python/.venv"}}

  ## Options

    * `--dir` - where the Python of the application is
    * `--venv` - where to make the environment (default: `.venv` in that directory)
    * `--python` - the interpreter to make it with (default: `$BRIDGE_PYTHON`, else `python3`)
    * `--package` - where the Python half is: a path, or whatever pip takes (default: what came with
      the Elixir half, with `git:` and `sparse:` at the same commit)
    * `--extras` - extras of the Python half: `numpy,grpc`
    * `--no-uv` - use venv and pip even where uv is found
    * `--force` - install again, also what has not changed

  """

  use Mix.Task

  alias Mix.Bridge.Environment

  @switches [
    dir: :string,
    venv: :string,
    python: :string,
    package: :string,
    extras: :string,
    uv: :boolean,
    force: :boolean
  ]

  @impl true
  def run(arguments) do
    opts = options!(arguments)
    wanted = wanted(opts)
    if opts[:python], do: check_version!(opts[:python], wanted.venv)
    outcome = Environment.make(wanted, Keyword.take(opts, [:force]))
    python = Environment.interpreter(wanted.venv)

    case Environment.versions(python) do
      {:ok, %{bridge: nil}} ->
        Mix.raise(
          "#{python} has no Python half of the bridge. Name where it is: " <>
            "mix bridge.setup --package PATH, or list it in #{wanted.dir}/requirements.txt"
        )

      {:ok, versions} ->
        unless Environment.fits?(versions.bridge), do: Mix.shell().error(misfit(versions.bridge))

        Mix.shell().info(
          "#{said(outcome)} #{python}: Python #{versions.python}, bridge #{versions.bridge}"
        )

      {:error, reason} ->
        Mix.raise(
          "#{python} cannot be used: #{reason}. Delete #{wanted.venv}, and run this again"
        )
    end
  end

  @doc false
  def misfit(version) do
    "The two halves are of different versions: #{version} in Python, #{Environment.version()} in Elixir. " <>
      "mix bridge.setup --force installs the one that belongs to the other"
  end

  # An environment is of the Python that it was made with, whatever is asked for later.
  defp check_version!(python, venv) do
    with {:ok, %{python: asked}} <- Environment.versions(python),
         {:ok, %{python: made}} when made != asked <-
           Environment.versions(Environment.interpreter(venv)) do
      Mix.raise(
        "#{venv} is of Python #{made}, and #{python} is #{asked}. " <>
          "Delete it, and run this again, or name another place: --venv DIR"
      )
    end
  end

  defp said(:made), do: "Ready:"
  defp said(:unchanged), do: "Nothing to do:"

  defp options!(arguments) do
    case OptionParser.parse(arguments, strict: @switches) do
      {opts, [], []} ->
        opts

      {_opts, rest, wrong} ->
        unknown = Enum.map_join(wrong, " ", &elem(&1, 0))

        Mix.raise(
          "mix bridge.setup does not take #{String.trim("#{unknown} #{Enum.join(rest, " ")}")}; see mix help bridge.setup"
        )
    end
  end

  defp wanted(opts) do
    dir = Path.expand(opts[:dir] || Environment.found_dir() || "priv/python")

    unless File.dir?(dir) do
      Mix.raise(
        "There is no directory #{dir}. Make it, with the application's Python in it, " <>
          "or name another one: mix bridge.setup --dir DIR"
      )
    end

    %{
      dir: dir,
      venv: Path.expand(opts[:venv] || Path.join(dir, ".venv")),
      python: opts[:python] || System.get_env("BRIDGE_PYTHON") || "python3",
      package: package(opts[:package], dir),
      extras: String.split(opts[:extras] || "", [",", " "], trim: true),
      uv: if(Keyword.get(opts, :uv, true), do: System.find_executable("uv"))
    }
  end

  defp package(nil, dir) do
    unless Environment.lists_bridge?(dir), do: Environment.package_beside()
  end

  # A path is meant from where the task is run, and pip runs elsewhere.
  defp package(named, _dir), do: if(File.exists?(named), do: Path.expand(named), else: named)
end
