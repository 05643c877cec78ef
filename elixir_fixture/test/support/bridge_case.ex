defmodule Bridge.TestCase do
  @moduledoc """
  What the tests with a real Python process share.

  The interpreter is `$BRIDGE_PYTHON` or `python3`; it imports the bridge from this repository.
  """

  use ExUnit.CaseTemplate

  @support Path.expand(".", __DIR__)
  @repository Path.expand("../../..", __DIR__)

  using do
    quote do
      import Bridge.TestCase
    end
  end

  @doc "Options for a client that serves the fixture's tools."
  def options(opts \\ []) do
    Keyword.merge(
      [
        adapter: "fixture_tools:FixtureTools",
        app_dir: @support,
        env: %{"PYTHONPATH" => @repository},
        max_workers: 16,
        grace: 1
      ],
      opts
    )
  end

  @doc "Whether the Python of these tests has such a module."
  def imports?(module) do
    {_output, status} =
      System.cmd(System.get_env("BRIDGE_PYTHON", "python3"), ["-c", "import #{module}"],
        stderr_to_stdout: true
      )

    status == 0
  end

  @doc "Starts a client under the test's supervisor."
  def start_client(opts \\ []) do
    ExUnit.Callbacks.start_supervised!({Bridge.Client, options(opts)})
  end

  @doc """
  How long to wait for what must come, in milliseconds: long enough for a loaded machine.

  Nothing waits so long unless it is broken. `assert_receive` waits as long.
  """
  def patience, do: 20_000

  @doc "Waits until a condition holds, and fails if it does not within the time."
  def eventually(condition, ms \\ patience()) do
    cond do
      condition.() ->
        :ok

      ms <= 0 ->
        ExUnit.Assertions.flunk("the condition did not come true")

      true ->
        Process.sleep(10)
        eventually(condition, ms - 10)
    end
  end

  @doc "Writes a program of the shell that stands for an interpreter: `python` in that directory."
  def interpreter!(directory, program) do
    File.mkdir_p!(directory)
    path = Path.join(directory, "python")
    File.write!(path, "#!/bin/sh\n#{program}\n")
    File.chmod!(path, 0o755)
    path
  end

  @doc "Is there such a process in the operating system? A zombie is none."
  def os_alive?(os_pid), do: os_state(os_pid) not in ["", "Z"]

  @doc "Sends a signal to a process of the operating system."
  def os_kill(signal, os_pid) do
    {_output, 0} = System.cmd("kill", ["-s", signal, "#{os_pid}"])
    :ok
  end

  @doc "Stops a process of the operating system, until SIGCONT, and waits until it stands still."
  def os_stop(os_pid) do
    os_kill("STOP", os_pid)
    eventually(fn -> os_state(os_pid) == "T" end)
  end

  defp os_state(os_pid) do
    {state, _status} = System.cmd("ps", ["-o", "stat=", "-p", "#{os_pid}"])
    String.slice(state, 0, 1)
  end
end
