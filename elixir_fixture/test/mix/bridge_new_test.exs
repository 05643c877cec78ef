defmodule Mix.Tasks.Bridge.NewTest do
  @moduledoc """
  A new application, by its own README: set up, tested on both sides, and released. It needs pip's
  package index, as `mix bridge.setup` does.
  """

  use ExUnit.Case, async: true

  import ExUnit.CaptureIO

  @moduletag :tmp_dir
  @moduletag timeout: 600_000

  @repository Path.expand("../../..", __DIR__)
  @halves ~w(bridge protos pyproject.toml README.md LICENSE) ++
            ~w(elixir_fixture/lib elixir_fixture/priv elixir_fixture/mix.exs)

  defp refused(arguments), do: Exception.message(catch_error(Mix.Tasks.Bridge.New.run(arguments)))

  test "refuses names that cannot be, and folders that are not empty", %{tmp_dir: tmp_dir} do
    assert refused([]) =~ "takes the folder"
    assert refused([Path.join(tmp_dir, "My-Shop")]) =~ ~s("My-Shop" cannot be the name)
    assert refused([Path.join(tmp_dir, "bridge")]) =~ "is taken; --app gives another one"

    assert refused([Path.join(tmp_dir, "a"), "--module", "shop"]) =~
             "cannot be the name of a module"

    assert refused([Path.join(tmp_dir, "a"), "--bridge", tmp_dir]) =~ "--bridge names the folder"
    File.write!(Path.join(tmp_dir, "file"), "")
    assert refused([tmp_dir, "--app", "shop"]) == "#{tmp_dir} is not empty"
    assert refused([Path.join(tmp_dir, "file")]) == "#{tmp_dir}/file is a file"
  end

  test "its README's commands work, and so does its release elsewhere", %{tmp_dir: tmp_dir} do
    bridge = copy_of_the_halves(Path.join(tmp_dir, "both halves"))
    shop = Path.join(tmp_dir, "shop")
    capture_io(fn -> Mix.Tasks.Bridge.New.run([shop, "--bridge", bridge]) end)

    # as its README says, line by line; what runs for ever, and what needs Docker, is tried below and
    # by scripts/test-dockerfile
    assert mix!(~w(format --check-formatted), shop) == ""
    expected = expected(shop)
    commands = commands(File.read!(Path.join(shop, "README.md")))
    {tried, others} = Enum.split_with(commands, &Map.has_key?(expected, &1))
    assert Enum.sort(tried) == Enum.sort(Map.keys(expected))
    assert [_start, "docker build" <> _, "docker run" <> _] = others

    for command <- tried do
      # pip makes wheels below, which uv would leave out
      command_here = String.replace(command, "bridge.setup", "bridge.setup --no-uv")
      said = run!("sh", ["-c", command_here], shop)
      assert said =~ expected[command]
      refute said =~ "warning:"
      # a dependency is compiled in the same way for all environments, which takes seconds
      if command == "mix bridge.setup", do: give_compiled(shop, ~w(test prod))
    end

    # as docs/deploy.md says of machines without an index
    [make_wheels, use_wheels] =
      Enum.map(guide_commands("wheels"), &String.replace(&1, "/path/to/bridge", ~s("#{bridge}")))

    run!("sh", ["-c", make_wheels], shop)
    File.rm_rf!(Path.join(shop, "priv/python/.venv"))
    # pip splits that variable at spaces, and this repository may be below a folder with one
    wheels = Path.join(System.tmp_dir!(), "bridge-wheels-#{System.pid()}")
    File.ln_s!(Path.join(shop, "wheels"), wheels)
    on_exit(fn -> File.rm!(wheels) end)
    use_wheels = String.replace(use_wheels, "$PWD/wheels", wheels)
    assert run!("sh", ["-c", use_wheels], shop) =~ "Ready: #{shop}/priv/python/.venv/bin/python"

    # a release, away from all it was made of, started from another directory
    release = Path.join(tmp_dir, "released")
    File.rename!(Path.join(shop, "_build/prod/rel/shop"), release)
    File.rename!(shop, Path.join(tmp_dir, "away"))
    elsewhere = Path.join(tmp_dir, if(utf8?(), do: "woandersö", else: "elsewhere"))
    File.rename!(release, elsewhere)

    program = """
    {:ok, _} = Application.ensure_all_started(:shop)
    IO.inspect(Shop.mean([1, 2, 6]))
    """

    for locale <- ["C.UTF-8", "C"] do
      env = [{"LC_ALL", locale}]
      assert run!(Path.join(elsewhere, "bin/shop"), ["eval", program], "/", env) =~ "{:ok, 3.0}"
    end
  end

  test "the guide shows the application that it makes" do
    application =
      File.read!(Path.join(@repository, "elixir_fixture/priv/new/lib/my_app/application.ex"))

    [_, child] = Regex.run(~r/children = \[(.*?)\n +\]/s, application)
    words = fn text -> text |> String.split() |> Enum.join(" ") end
    assert words.(guide()) =~ words.(child)
  end

  # What each command of the README shall say.
  defp expected(shop) do
    %{
      "mix deps.get" => "",
      "mix bridge.setup" => "Ready: #{shop}/priv/python/.venv/bin/python",
      # Elixir 1.20 says it in other words
      "mix test" => ~r/2 tests, 0 failures|Result: 2 passed/,
      "mix run -e 'IO.inspect(Shop.mean([1, 2, 6]))'" => "{:ok, 3.0}",
      "priv/python/.venv/bin/python -m pytest priv/python" => "3 passed",
      "mix bridge.doctor shop_tools:Tools" => "All is well",
      "MIX_ENV=prod mix release" => "Release created at"
    }
  end

  defp commands(page) do
    for "    " <> line <- String.split(page, "\n"),
        do: line |> String.split(~r/ +# /) |> hd()
  end

  defp utf8?, do: :file.native_name_encoding() == :utf8

  defp guide, do: File.read!(Path.join(@repository, "docs/deploy.md"))

  # The commands of the guide in which a word stands.
  defp guide_commands(word),
    do: for("    " <> line <- String.split(guide(), "\n"), line =~ word, do: line)

  # What is installed from a folder is built in it.
  defp copy_of_the_halves(target) do
    for name <- @halves do
      File.mkdir_p!(Path.dirname(Path.join(target, name)))
      File.cp_r!(Path.join(@repository, name), Path.join(target, name))
    end

    target
  end

  # Mix compares what it finds with the sources, and compiles what differs.
  defp give_compiled(shop, environments) do
    for environment <- environments do
      [from, to] = for name <- ["dev", environment], do: Path.join([shop, "_build", name, "lib"])
      File.mkdir_p!(to)
      # with the times of the files
      {_output, 0} = System.cmd("cp", ["-pR", Path.join(from, "beam_bridge"), to])
    end
  end

  defp mix!(arguments, directory), do: run!("mix", arguments, directory)

  # Nothing of the run that this test is a part of.
  defp run!(program, arguments, directory, env \\ []) do
    unset =
      for name <- ~w(MIX_ENV MIX_BUILD_PATH MIX_BUILD_ROOT MIX_DEPS_PATH MIX_EXS BRIDGE_PYTHON),
          do: {name, nil}

    program = if program =~ "/", do: Path.expand(program, directory), else: program

    {output, status} =
      System.cmd(program, arguments, cd: directory, env: unset ++ env, stderr_to_stdout: true)

    assert status == 0, output
    output
  end
end
