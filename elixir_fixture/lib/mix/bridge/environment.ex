defmodule Mix.Bridge.Environment do
  @moduledoc false

  # A virtual environment for an application's Python: what goes into it, how it is made, and what is
  # in it. The tasks `bridge.setup`, `bridge.doctor` and `bridge.new` share it.

  import Mix.Bridge.Programs, only: [reason: 1, run: 2, run!: 4]

  @version Mix.Project.config()[:version]
  # The Python half stands beside the Elixir half, unless that came alone (`sparse:`).
  @beside Path.expand("../../../..", __DIR__)

  # What was asked for, written into the environment once it is there.
  @stamp "bridge-setup"

  @typedoc """
  What to make.

    * `dir` - where the application's Python is, with its `pyproject.toml` or `requirements.txt`
    * `venv` - where the environment shall be
    * `python` - the interpreter to make it with
    * `package` - where the package of the Python half is: a path or what pip takes, what
      `package_beside/1` says, or nil where the application's own list names it
    * `extras` - its extras
    * `uv` - the path of uv, or nil to use venv and pip
  """
  @type t :: %{
          dir: Path.t(),
          venv: Path.t(),
          python: String.t(),
          package: String.t() | {:repository, Path.t()} | nil,
          extras: [String.t()],
          uv: Path.t() | nil
        }

  @doc "The version of this half."
  @spec version() :: String.t()
  def version, do: @version

  @doc """
  Where the Python half is, if it came with this one: its folder, or, where only a part of a repository
  was checked out (`sparse:`), `{:repository, folder}`: it is in there, at the same commit.
  """
  @spec package_beside(Path.t()) :: Path.t() | {:repository, Path.t()} | nil
  def package_beside(beside \\ @beside) do
    cond do
      ours?(File.read(Path.join(beside, "pyproject.toml"))) -> beside
      ours?(committed(beside)) -> {:repository, beside}
      true -> nil
    end
  end

  defp ours?({:ok, text}), do: text =~ ~r/^name = "beam-bridge"$/m
  defp ours?(_none), do: false

  defp committed(repository) do
    with true <- File.exists?(Path.join(repository, ".git")),
         {text, 0} <- run("git", ["-C", repository, "show", "HEAD:pyproject.toml"]),
         do: {:ok, text}
  rescue
    # there is no git
    ErlangError -> nil
  end

  @doc """
  Where an application's Python is: `priv/python` or `python`, in an umbrella those of its
  applications; the first one that is there. Raises `Mix.Error` if that could be several.
  """
  @spec found_dir() :: Path.t() | nil
  def found_dir do
    own = Enum.find(["priv/python", "python"], &File.dir?/1)

    case own || in_umbrella() do
      [] ->
        nil

      [only] ->
        only

      several when is_list(several) ->
        Mix.raise(
          "There are #{Enum.join(several, ", ")}: say which one with --dir (bridge.setup) or --app-dir (bridge.doctor)"
        )

      own ->
        own
    end
  end

  defp in_umbrella do
    Enum.sort(Enum.flat_map(["apps/*/priv/python", "apps/*/python"], &Path.wildcard/1))
  end

  @doc "The interpreter of the environment in `venv`."
  @spec interpreter(Path.t()) :: Path.t()
  def interpreter(venv), do: Path.join([Path.expand(venv), "bin", "python"])

  @doc """
  The file that lists what the application's Python needs, with the packages' names in it.

  `pyproject.toml` comes first; of that, `dependencies` of `project` are what counts.
  """
  @spec list(Path.t()) :: Path.t() | nil
  def list(dir) do
    ["pyproject.toml", "requirements.txt"]
    |> Enum.map(&Path.join(dir, &1))
    |> Enum.find(&File.regular?/1)
  end

  @doc "Whether the application's own list names the Python half."
  @spec lists_bridge?(Path.t()) :: boolean
  def lists_bridge?(dir) do
    case list(dir) do
      nil -> false
      file -> file |> File.read!() |> String.match?(~r/^[^#]*\bbeam[-_.]bridge\b/mi)
    end
  end

  @doc """
  Makes the environment, or brings it to what is wanted. Raises `Mix.Error` with what to do.

  Returns `:made`, or `:unchanged` where it is there as it was asked for before.
  """
  @spec make(t, keyword) :: :made | :unchanged
  def make(wanted, opts \\ []) do
    stamp = Path.join(wanted.venv, @stamp)

    if not Keyword.get(opts, :force, false) and File.read(stamp) == {:ok, fingerprint(wanted)} do
      :unchanged
    else
      unless works?(interpreter(wanted.venv)) do
        make_room!(wanted.venv)
        create!(wanted)
        drop_second_name(wanted.venv)
      end

      install!(wanted)
      File.write!(stamp, fingerprint(wanted))
      :made
    end
  end

  @doc """
  What an interpreter is: its own version and that of the Python half in it, nil where it has none.
  """
  @spec versions(Path.t()) ::
          {:ok, %{python: String.t(), bridge: String.t() | nil}} | {:error, String.t()}
  def versions(python) do
    program = """
    import sys
    print("python", sys.version.split()[0])
    try:
        import bridge
        print("bridge", getattr(bridge, "__version__", "of something else that has this name"))
    except ModuleNotFoundError:
        pass
    """

    case run(python, ["-I", "-c", program]) do
      {output, 0} ->
        found =
          for line <- String.split(output, "\n"), [k, v] <- [words(line)], into: %{}, do: {k, v}

        {:ok, %{python: found["python"], bridge: found["bridge"]}}

      {output, status} ->
        {:error, "it exits with status #{status}: #{String.trim(output)}"}
    end
  rescue
    error in [ErlangError, File.Error] -> {:error, "it does not start: #{reason(error)}"}
  end

  @doc "Whether a Python half of that version and this client belong together."
  @spec fits?(String.t()) :: boolean
  def fits?(version), do: series(version) == series(@version)

  defp series(version), do: version |> String.split(".") |> Enum.take(2)

  defp words(line), do: String.split(line, " ", parts: 2)

  ## Making it

  # The interpreter that it was made with may be gone: then there is a link that leads nowhere.
  defp works?(python), do: File.exists?(python) and match?({:ok, _versions}, versions(python))

  # Neither venv nor uv mends what is there, so that goes. What is no environment stays.
  defp make_room!(venv) do
    cond do
      File.ls(venv) in [{:error, :enoent}, {:ok, []}] ->
        :ok

      File.regular?(Path.join(venv, "pyvenv.cfg")) ->
        Mix.shell().info("#{venv} does not work, and is made anew")
        File.rm_rf!(venv)

      true ->
        Mix.raise(
          "#{venv} is there already, and is no environment. Name another place: --venv DIR"
        )
    end
  end

  defp create!(wanted) do
    create_with!(wanted)
  rescue
    # one that is half done would be taken for a whole one the next time
    error ->
      File.rm_rf!(wanted.venv)
      reraise error, __STACKTRACE__
  end

  defp create_with!(%{uv: nil} = wanted) do
    run!(wanted.python, ["-m", "venv", wanted.venv], File.cwd!(), fn output ->
      if output =~ "ensurepip" or output =~ "No module named venv" do
        "This Python has no venv. On Debian and Ubuntu: apt-get install python3-venv"
      else
        "The interpreter is #{wanted.python}; name another one with --python"
      end
    end)
  end

  defp create_with!(%{uv: uv} = wanted) do
    run!(uv, ["venv", "--python", wanted.python, wanted.venv], File.cwd!(), fn _output ->
      "The interpreter is #{wanted.python}; name another one with --python, or do without uv: --no-uv"
    end)
  end

  # Python makes a link "lib64" to "lib" everywhere, and needs it where its own packages are in lib64.
  # A release follows links: it would hold all packages twice.
  defp drop_second_name(venv) do
    program = "import sys; print(sys.platlibdir)"

    with {"lib\n", 0} <- run(interpreter(venv), ["-I", "-c", program]),
         do: File.rm(Path.join(venv, "lib64"))
  end

  defp install!(%{package: {:repository, repository}} = wanted) do
    folder =
      Path.join(
        System.tmp_dir!(),
        "beam-bridge-#{System.unique_integer([:positive])}-#{System.pid()}"
      )

    File.mkdir_p!(folder)

    try do
      {tar, 0} = System.cmd("git", ["-C", repository, "archive", "--format=tar", "HEAD"])
      :ok = :erl_tar.extract({:binary, tar}, cwd: to_charlist(folder))
      install!(%{wanted | package: folder})
    after
      File.rm_rf!(folder)
    end
  end

  defp install!(wanted) do
    python = interpreter(wanted.venv)

    case needs(wanted, python) do
      [] ->
        :ok

      needs ->
        if wanted.uv == nil, do: ensure_pip!(python)
        {program, arguments} = installer(wanted, python)
        run!(program, arguments ++ needs, wanted.dir, &install_advice/1)
    end
  end

  # One that uv has made has no pip.
  defp ensure_pip!(python) do
    unless match?({_output, 0}, run(python, ["-I", "-c", "import pip"])) do
      run!(python, ["-m", "ensurepip"], File.cwd!(), fn _output ->
        "The environment has no pip, as uv makes it, and this Python cannot add it. With uv on the PATH, leave --no-uv away; " <>
          "on Debian and Ubuntu: apt-get install python3-venv"
      end)
    end
  end

  defp installer(%{uv: nil}, python) do
    {python, ["-m", "pip", "install", "--disable-pip-version-check", "--upgrade"]}
  end

  defp installer(%{uv: uv}, python) do
    # the package at a path may have changed without another version
    {uv,
     ["pip", "install", "--python", python, "--upgrade", "--reinstall-package", "beam-bridge"]}
  end

  defp install_advice(output) do
    if output =~ ~r/[Cc]onnection|resolve host|Temporary failure|timed out/ do
      "Is the package index reached? Without it: pip's PIP_FIND_LINKS and PIP_NO_INDEX, for a folder of wheels"
    else
      "What is listed could not be installed"
    end
  end

  defp needs(wanted, python) do
    package = wanted.package && with_extras(wanted.package, wanted.extras)
    listed(list(wanted.dir), python) ++ List.wrap(package)
  end

  defp listed(nil, _python), do: []

  defp listed(file, python) do
    case Path.extname(file) do
      ".toml" -> dependencies!(file, python)
      ".txt" -> ["-r", file]
    end
  end

  # pip installs a project, and not what a project needs: a folder of tools is mostly no package.
  defp dependencies!(file, python) do
    program = """
    import sys, tomllib
    with open(sys.argv[1], "rb") as file:
        print("\\n".join(tomllib.load(file).get("project", {}).get("dependencies", [])))
    """

    {output, status} = run(python, ["-I", "-c", program, file])
    if status != 0, do: Mix.raise("#{file} cannot be read:\n#{output}")
    String.split(output, "\n", trim: true)
  end

  defp with_extras(package, []), do: package

  defp with_extras(package, extras) do
    extras = Enum.join(extras, ",")

    if package =~ "://",
      do: "beam-bridge[#{extras}] @ #{package}",
      else: "#{package}[#{extras}]"
  end

  # Of what is installed from a path only its version is looked at: --force installs it again.
  defp fingerprint(wanted) do
    list = list(wanted.dir)
    contents = list && File.read!(list)
    :erlang.phash2({contents, wanted.package, wanted.extras, @version}) |> Integer.to_string()
  end
end
