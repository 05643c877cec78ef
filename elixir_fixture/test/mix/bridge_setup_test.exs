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
