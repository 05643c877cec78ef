defmodule Bridge.DependencyTest do
  @moduledoc """
  The client as a dependency of an application that is itself called `:bridge`.
  """

  use Bridge.TestCase, async: true

  @moduletag :tmp_dir
  @moduletag timeout: 180_000

  @fixture Path.expand("../..", __DIR__)
  @sources ~w(lib mix.exs .formatter.exs)

  defp write!(path, text) do
    File.mkdir_p!(Path.dirname(path))
    File.write!(path, text)
  end

  defp application!(directory, dependency) do
    write!(Path.join(directory, "mix.exs"), """
    defmodule Shop.MixProject do
      use Mix.Project

      def project, do: [app: :bridge, version: "1.0.0", deps: [#{inspect(dependency)}]]
    end
    """)

    write!(Path.join(directory, "lib/shop.ex"), """
    defmodule Shop do
      def options, do: #{inspect(options())}

      def applications, do: Enum.map([Shop, Bridge], &Application.get_application/1)
    end
    """)

    directory
  end

  # No network, and nothing of the run that this test is a part of.
  defp mix!(arguments, directory) do
    unset = for name <- ~w(MIX_BUILD_PATH MIX_BUILD_ROOT MIX_DEPS_PATH MIX_EXS), do: {name, nil}
    env = [{"MIX_ENV", "test"} | unset]

    {output, status} =
      System.cmd("mix", arguments, cd: directory, env: env, stderr_to_stdout: true)

    assert status == 0, output
    output
  end

  defp git!(arguments, directory) do
    env = [{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_NOSYSTEM", "1"}]
    author = ["-c", "user.name=Test", "-c", "user.email=test@localhost"]
    {output, status} = System.cmd("git", author ++ arguments, cd: directory, env: env)
    assert status == 0, output
  end

  defp assert_runs(directory) do
    program = """
    {:ok, python} = Bridge.start_link(Shop.options())
    IO.inspect({Bridge.call(python, "echo", value: 3), Shop.applications()}, label: "seen")
    Bridge.stop(python)
    """

    output = mix!(["run", "-e", program], directory)
    assert output =~ "seen: {{:ok, 3}, [:bridge, :beam_bridge]}"
    refute output =~ "warning"
  end

  test "by path:", %{tmp_dir: tmp_dir} do
    directory = application!(Path.join(tmp_dir, "shop"), {:beam_bridge, path: @fixture})
    assert_runs(directory)
  end

  @tag skip: unless(System.find_executable("git"), do: "git is not installed")
  test "by git: and sparse:", %{tmp_dir: tmp_dir} do
    repository = Path.join(tmp_dir, "repository")

    for name <- @sources do
      target = Path.join([repository, "elixir_fixture", name])
      File.mkdir_p!(Path.dirname(target))
      File.cp_r!(Path.join(@fixture, name), target)
    end

    write!(Path.join(repository, "bridge/__init__.py"), "")

    for arguments <- [~w(init -q), ~w(add .), ~w(commit -q -m all)],
        do: git!(arguments, repository)

    dependency = {:beam_bridge, git: repository, sparse: "elixir_fixture"}
    directory = application!(Path.join(tmp_dir, "shop"), dependency)
    mix!(["deps.get"], directory)
    assert File.ls!(Path.join(directory, "deps/beam_bridge")) -- [".git"] == ["elixir_fixture"]
    assert_runs(directory)
  end
end
