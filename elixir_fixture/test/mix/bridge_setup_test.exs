defmodule Mix.Tasks.Bridge.SetupTest do
  @moduledoc """
  What `mix bridge.setup` and `mix bridge.doctor` refuse, and what they say then. That they work is
  seen by `Mix.Tasks.Bridge.NewTest`, which needs all of them.
  """

  use ExUnit.Case, async: false

  import Bridge.TestCase, only: [interpreter!: 2]
  import ExUnit.CaptureIO

  alias Mix.Bridge.Environment
  alias Mix.Tasks.Bridge.{Doctor, Setup}

  @moduletag :tmp_dir

  setup do
    Mix.shell(Mix.Shell.Process)
    on_exit(fn -> Mix.shell(Mix.Shell.IO) end)
  end

  defp refused(task, arguments), do: Exception.message(catch_error(task.run(arguments)))

  describe "bridge.setup" do
    test "refuses what it does not know" do
      assert refused(Setup, ["--pyton", "x"]) =~ "does not take --pyton"
      assert refused(Setup, ["here"]) =~ "does not take here; see mix help bridge.setup"
    end

    test "names the directory that is missing, with its whole path", %{tmp_dir: tmp_dir} do
      missing = Path.join(tmp_dir, "python")
      assert refused(Setup, ["--dir", missing]) =~ "no directory #{missing}. Make it"
    end

    test "says that the interpreter is none, and how to name one", %{tmp_dir: tmp_dir} do
      arguments = ["--dir", tmp_dir, "--no-uv", "--package", tmp_dir, "--python"]

      assert refused(Setup, arguments ++ ["/missing/python3"]) =~
               "/missing/python3 does not start: there is no such program"

      assert refused(Setup, arguments ++ ["false"]) =~
               "failed with status 1. The interpreter is false"
    end

    test "says which package is missing where Python has no venv", %{tmp_dir: tmp_dir} do
      python = interpreter!(tmp_dir, "echo 'ensurepip is not available'; exit 1")
      arguments = ["--dir", tmp_dir, "--no-uv", "--python", python]

      shown =
        capture_io(fn -> assert refused(Setup, arguments) =~ "apt-get install python3-venv" end)

      assert shown == "ensurepip is not available\n"
    end

    test "leaves no half of an environment behind, which the next time would be taken for one", %{
      tmp_dir: tmp_dir
    } do
      # as Debian's without python3-venv
      half = "mkdir -p $3/bin; cp $0 $3/bin/python; echo 'ensurepip is not available'; exit 1"
      python = interpreter!(tmp_dir, half)
      arguments = ["--dir", tmp_dir, "--no-uv", "--python", python]
      capture_io(fn -> assert refused(Setup, arguments) =~ "apt-get install python3-venv" end)
      refute File.exists?(Path.join(tmp_dir, ".venv"))
    end

    test "makes one anew whose interpreter is gone, and touches nothing that is none", %{
      tmp_dir: tmp_dir
    } do
      venv = Path.join(tmp_dir, "gone")

      made =
        ~S(mkdir -p "$3/bin"; printf '#!/bin/sh\nexit 0\n' > "$3/bin/python"; chmod +x "$3/bin/python")

      python = interpreter!(Path.join(tmp_dir, "system"), made)
      File.mkdir_p!(Path.join(venv, "bin"))
      File.ln_s!("/missing/python3.9", Path.join(venv, "bin/python"))
      wanted = %{dir: tmp_dir, venv: venv, python: python, package: nil, extras: [], uv: nil}

      assert_raise Mix.Error, ~r/#{venv} is there already, and is no environment/, fn ->
        Environment.make(wanted)
      end

      File.write!(Path.join(venv, "pyvenv.cfg"), "home = /missing")
      assert Environment.make(wanted) == :made
      assert File.read!(Path.join(venv, "bin/python")) =~ "exit 0"
    end

    test "says that an environment is of another Python than the one that is named", %{
      tmp_dir: tmp_dir
    } do
      interpreter!(Path.join(tmp_dir, ".venv/bin"), "echo python 3.11.7")
      python = interpreter!(tmp_dir, "echo python 3.12.1")

      assert refused(Setup, ["--dir", tmp_dir, "--python", python]) =~
               "is of Python 3.11.7, and #{python} is 3.12.1. Delete it"
    end

    test "does nothing while all is as it was asked for", %{tmp_dir: tmp_dir} do
      wanted = wanted(tmp_dir, "print-versions")
      assert Environment.make(wanted) == :made
      assert Environment.make(wanted) == :unchanged
      assert Environment.make(wanted, force: true) == :made

      File.write!(Path.join(tmp_dir, "requirements.txt"), "numpy\n")
      assert Environment.make(wanted) == :made
      assert_receive {:mix_shell, :info, ["$ " <> command]} when command != ""
    end
  end

  # An environment whose interpreter does nothing, and well.
  defp wanted(dir, name) do
    venv = Path.join(dir, name)
    interpreter!(Path.join(venv, "bin"), "exit 0")
    %{dir: dir, venv: venv, python: "python3", package: nil, extras: [], uv: nil}
  end

  test "the Python half is known by every way to write its name", %{tmp_dir: tmp_dir} do
    list = Path.join(tmp_dir, "requirements.txt")

    for line <- ["beam-bridge", "beam_bridge @ file:///there", "Beam-Bridge[grpc]>=0.2"] do
      File.write!(list, "numpy\n#{line}\n")
      assert Environment.lists_bridge?(tmp_dir)
    end

    for line <- ["# beam-bridge", "bridge", "beam-bridges"] do
      File.write!(list, line)
      refute Environment.lists_bridge?(tmp_dir)
    end
  end

  test "the one Python of an umbrella is found, and several are named", %{tmp_dir: tmp_dir} do
    File.mkdir_p!(Path.join(tmp_dir, "apps/one/priv/python"))

    File.cd!(tmp_dir, fn ->
      assert Environment.found_dir() == "apps/one/priv/python"
      File.mkdir_p!("apps/two/python")

      assert_raise Mix.Error, ~r{apps/one/priv/python, apps/two/python: say which one}, fn ->
        Environment.found_dir()
      end

      File.mkdir_p!("python")
      assert Environment.found_dir() == "python"
    end)
  end

  @tag skip: unless(System.find_executable("git"), do: "git is not installed")
  test "the Python half is found in a repository of which a part was checked out", %{
    tmp_dir: tmp_dir
  } do
    repository = Path.join(tmp_dir, "deps of mine")
    File.mkdir_p!(repository)
    File.write!(Path.join(repository, "pyproject.toml"), ~s(name = "beam-bridge"\n))
    assert Environment.package_beside(repository) == repository

    as_me = ["-C", repository, "-c", "user.name=Test", "-c", "user.email=test@localhost"]

    for arguments <- [~w(init -q), ~w(add .), ~w(commit -q -m all)] do
      {_output, 0} =
        System.cmd("git", as_me ++ arguments, env: [{"GIT_CONFIG_GLOBAL", "/dev/null"}])
    end

    File.rm!(Path.join(repository, "pyproject.toml"))

    assert Environment.package_beside(repository) == {:repository, repository}

    # what installs it sees all of it
    interpreter!(Path.join(tmp_dir, ".venv/bin"), """
    case "$*" in *pip\\ install*) for last; do :; done; cat "${last%%\\[*}/pyproject.toml" ;; esac
    """)

    wanted = %{dir: tmp_dir, venv: Path.join(tmp_dir, ".venv"), python: "python3", uv: nil}
    wanted = Map.merge(wanted, %{package: {:repository, repository}, extras: ["numpy"]})
    shown = capture_io(fn -> assert Environment.make(wanted) == :made end)
    assert shown =~ ~s(name = "beam-bridge")

    assert Environment.package_beside(tmp_dir) == nil
  end

  describe "bridge.doctor" do
    defp doctor(arguments) do
      assert catch_exit(Doctor.run(arguments)) == {:shutdown, 1}
      assert_received {:mix_shell, :error, [said]}
      said
    end

    test "refuses what it does not know" do
      assert refused(Doctor, ["a:A", "b:B"]) =~ "takes an adapter"
    end

    test "says that there is no such interpreter, and what makes one" do
      assert doctor(["--python", "/missing/python"]) ==
               "There is no /missing/python. mix bridge.setup makes an environment that has all"
    end

    test "says that the Python half is missing", %{tmp_dir: tmp_dir} do
      python = interpreter!(tmp_dir, "echo python 3.12.1")
      assert doctor(["--python", python]) =~ "Python 3.12.1 at #{python} has no Python half"
    end

    test "says that the interpreter does not work, with what it said", %{tmp_dir: tmp_dir} do
      python = interpreter!(tmp_dir, "echo no libpython; exit 127")
      assert doctor(["--python", python]) =~ "it exits with status 127: no libpython"
    end

    test "says that the halves are of two versions", %{tmp_dir: tmp_dir} do
      python = interpreter!(tmp_dir, "echo python 3.12.1; echo bridge 0.1.0; exit 0")
      capture_io(fn -> Doctor.run(["--python", python]) end)

      assert_received {:mix_shell, :error,
                       ["The two halves are of different versions: 0.1.0" <> _]}
    end
  end
end
