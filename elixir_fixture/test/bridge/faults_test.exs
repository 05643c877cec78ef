defmodule Bridge.FaultsTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Client, Error}

  # Clients tell the Logger when Python dies.
  @moduletag :capture_log

  # The faulty tools are shared with Python's own tests.
  @tools Path.expand("../../../tests/integration", __DIR__)

  defp start_faulty(name) do
    start_client(name: name, adapter: "fault_tools:Faults", app_dir: @tools)
    {:ok, %{os_pid: os_pid}} = Client.info(name)
    os_pid
  end

  # Slow calls, quick ones without pause, large ones and a stream; ends when all have failed once.
  defp load(name) do
    slow = for _ <- 1..8, do: fn -> Client.call(name, "sleep", [60], timeout: :infinity) end
    quick = for n <- 1..4, do: fn -> echo_until_error(name, n) end
    large = for _ <- 1..2, do: fn -> echo_until_error(name, {:bytes, <<0::8_000_000>>}) end

    stream = fn ->
      try do
        name |> Client.stream("blobs", [10_000]) |> Stream.run()
      rescue
        error in Error -> {:error, error}
      end
    end

    tasks = Enum.map([stream | slow ++ quick ++ large], &Task.async/1)
    eventually(fn -> match?({:ok, %{"busy" => busy}} when busy >= 9, Client.health(name)) end)
    tasks
  end

  defp echo_until_error(name, value) do
    {:ok, %{os_pid: os_pid}} = Client.info(name)
    echo_until_error(name, value, os_pid)
  end

  # One that was between two calls when its Python died finds the next one, and no error.
  defp echo_until_error(name, value, os_pid) do
    with {:ok, _value} <- Client.call(name, "echo", [value]) do
      case Client.info(name) do
        {:ok, %{os_pid: other}} when other not in [os_pid, nil] -> :between_two_calls
        _the_same -> echo_until_error(name, value, os_pid)
      end
    end
  end

  defp answered_unavailable(tasks) do
    for answer <- Task.await_many(tasks, patience()), answer != :between_two_calls do
      assert {:error, %Error{code: :unavailable}} = answer
    end
  end

  defp works_again(name, old_os_pid) do
    eventually(fn -> match?({:ok, %{os_pid: new}} when new != old_os_pid, Client.info(name)) end)
    assert Client.call(name, "echo", ["again"]) == {:ok, "again"}
  end

  test "a killed Python: every caller is answered, nothing is left, and the next call works" do
    for round <- 1..2 do
      name = :"killed_#{round}"
      os_pid = start_faulty(name)
      child = Client.call!(name, "leaves_a_child")
      tasks = load(name)
      os_kill("KILL", os_pid)

      answered_unavailable(tasks)
      eventually(fn -> not os_alive?(child) end)
      works_again(name, os_pid)
    end
  end

  test "a tool that ends the process: as if it was killed, and its caller knows that it began" do
    os_pid = start_faulty(:ended)

    for tool <- ["exits_hard", "segfaults"], reduce: os_pid do
      os_pid ->
        child = Client.call!(:ended, "leaves_a_child")
        waiting = Task.async(fn -> Client.call(:ended, "sleep", [60], timeout: :infinity) end)
        eventually(fn -> match?({:ok, %{"busy" => 1}}, Client.health(:ended)) end)

        assert {:error, %Error{code: :unavailable, started: true}} = Client.call(:ended, tool)
        answered_unavailable([waiting])
        eventually(fn -> not os_alive?(child) end)
        works_again(:ended, os_pid)
        {:ok, %{os_pid: os_pid}} = Client.info(:ended)
        os_pid
    end
  end

  test "a tool that would end another program: its error, and all else goes on" do
    os_pid = start_faulty(:tough)
    running = Task.async(fn -> Client.call(:tough, "sleep", [0.3]) end)

    for {tool, type} <- [
          {"raises_system_exit", "builtins.SystemExit"},
          {"raises_keyboard_interrupt", "builtins.KeyboardInterrupt"}
        ] do
      assert {:error, %Error{code: :internal, type: ^type}} = Client.call(:tough, tool)
    end

    assert Client.call(:tough, "forks_and_both_return", [1]) == {:ok, 1}
    assert Client.call(:tough, "closes_fd_1") == {:ok, nil}
    assert Task.await(running) == {:ok, 0.3}
    assert {:ok, %{os_pid: ^os_pid, late_replies: 0}} = Client.info(:tough)
  end

  test "a stopped Python: timeouts hold meanwhile, and calls without one end when it goes on" do
    os_pid = start_faulty(:stopped)
    os_stop(os_pid)
    patient = Task.async(fn -> Client.call(:stopped, "echo", [1], timeout: :infinity) end)

    assert {:error, %Error{code: :deadline_exceeded}} =
             Client.call(:stopped, "echo", [2], timeout: 50)

    os_kill("CONT", os_pid)
    assert Task.await(patient) == {:ok, 1}
  end
end
