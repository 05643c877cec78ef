defmodule Bridge.ClientRestartTest do
  use Bridge.TestCase, async: true

  import ExUnit.CaptureLog

  alias Bridge.{Client, Error}

  @moduletag :capture_log

  defp os_pid(client) do
    {:ok, %{os_pid: os_pid}} = Client.info(client)
    os_pid
  end

  defp state(client) do
    {:ok, %{state: state}} = Client.status(client)
    state
  end

  describe "an adapter that is broken on disk" do
    @describetag :tmp_dir

    setup %{tmp_dir: tmp_dir} do
      source = Path.join(tmp_dir, "deployed.py")

      good =
        "from bridge import tool\n\n__thread_safe__ = True\n\n@tool\ndef echo(value):\n    return value\n"

      env = Map.put(options()[:env], "PYTHONDONTWRITEBYTECODE", "1")
      %{source: source, good: good, opts: [adapter: "deployed", app_dir: tmp_dir, env: env]}
    end

    test "costs calls, which know why, until it is mended", context do
      File.write!(context.source, context.good)
      client = start_client([name: :deployed] ++ context.opts)

      log =
        capture_log(fn ->
          File.write!(context.source, "def half_written(:\n")
          os_kill("KILL", os_pid(client))
          eventually(fn -> match?({:ok, %{failures: n}} when n >= 3, Client.status(client)) end)
        end)

      assert {:error, %Error{code: :unavailable, started: false, message: message}} =
               Client.call(client, "echo", [1], timeout: :infinity)

      for fact <- ["half_written", "interpreter: ", context.source |> Path.dirname()] do
        assert message =~ fact
      end

      assert log =~ ~r/bridge :deployed \(deployed\): the Python process was killed by SIGKILL/
      assert log =~ ~r/standard error ended with:/
      assert log =~ ~r/next try in \d+ ms/

      File.write!(context.source, context.good)
      assert Client.await_ready(client, patience()) == :ok
      assert Client.call(client, "echo", [1]) == {:ok, 1}
      assert {:ok, %{state: :ready, reason: nil, next_try_in_ms: nil}} = Client.status(client)
    end

    test "lets a client start that does not have to be ready", context do
      client = start_client([start: :async] ++ context.opts)
      eventually(fn -> state(client) == :waiting end)
      assert {:ok, %{reason: %Error{code: :unavailable}} = status} = Client.status(client)
      assert status.next_try_in_ms >= 0
      assert status.reason.message =~ "deployed"

      assert {:error, %Error{code: :deadline_exceeded}} = Client.await_ready(client, 0)
      waiting = Task.async(fn -> Client.await_ready(client, patience()) end)
      File.write!(context.source, context.good)
      assert Client.restart(client) == :ok
      assert Task.await(waiting, patience()) == :ok
    end

    test "ends the client that shall stop, with the status", context do
      File.write!(context.source, context.good)
      spec = {Client, options([on_failure: :stop] ++ context.opts)}
      client = start_supervised!(Supervisor.child_spec(spec, restart: :temporary))
      monitor = Process.monitor(client)
      os_kill("KILL", os_pid(client))
      assert_receive {:DOWN, ^monitor, _, _, {:shutdown, {:bridge_exited, 137}}}
    end
  end

  test "a client that waits can be stopped, and so can one that starts" do
    client = start_client(start: :async, python: "/no/such/python")
    eventually(fn -> state(client) == :waiting end)
    assert Client.stop(client) == :ok
    assert stop_supervised(Client) == :ok

    client = start_client(start: :async)
    assert Client.stop(client) == :ok
    assert {:error, %Error{code: :unavailable}} = Client.status(client)
  end

  test "a supervisor that ends while Python starts ends the client" do
    Process.flag(:trap_exit, true)
    spec = {Client, options(start: :async)}
    {:ok, supervisor} = Supervisor.start_link([spec], strategy: :one_for_one)
    [{_id, client, _type, _modules}] = Supervisor.which_children(supervisor)
    assert Supervisor.stop(supervisor) == :ok
    refute Process.alive?(client)
  end

  describe "restart/1" do
    test "lets running calls end, has others wait, and serves on" do
      client = start_client(grace: 20)
      os_pid = os_pid(client)

      running =
        Task.async(fn -> Client.call(client, "sleep", [1.0, "done"], timeout: patience()) end)

      eventually(fn -> match?({:ok, %{"busy" => 1}}, Client.health(client)) end)

      assert Client.restart(client) == :ok
      assert Client.call(client, "echo", ["next"], timeout: patience()) == {:ok, "next"}
      assert Task.await(running, patience()) == {:ok, "done"}
      refute os_pid(client) == os_pid
      assert {:ok, %{state: :ready, starts: 2, failures: 0}} = Client.status(client)
    end

    test "of nobody does nothing" do
      assert Client.restart(:nobody) == :ok
      assert {:error, %Error{code: :unavailable}} = Client.await_ready(:nobody, 0)
    end
  end

  test "however often it is restarted while it waits, the next try comes when it says" do
    client = start_client(start: :async, python: "false")

    for n <- 1..7 do
      eventually(fn -> match?({:ok, %{state: :waiting, failures: ^n}}, Client.status(client)) end)
      if n < 7, do: Client.restart(client)
    end

    {:ok, %{starts: starts, next_try_in_ms: pause}} = Client.status(client)
    # half of what the pauses have doubled to, or more; the first ones would be over soon
    assert pause > 4_000
    Process.sleep(1_200)
    assert {:ok, %{starts: ^starts}} = Client.status(client)
  end

  for {name, start} <- [client: &Client.start_link/1, pool: &Bridge.Pool.start_link/1] do
    test "a #{name} keeps nobody who waits for it no more" do
      {:ok, waited_for} = unquote(start).(options(start: :async, python: "false"))
      callers = for _ <- 1..500, do: spawn(fn -> Client.await_ready(waited_for) end)
      eventually(fn -> callers -- monitored_by(waited_for) == [] end)
      memory = memory(waited_for)
      Enum.each(callers, &Process.exit(&1, :kill))
      for _ <- 1..20_000, do: {:error, _late} = Client.await_ready(waited_for, 0)
      {:ok, _all_is_handled} = Client.status(waited_for)
      assert memory(waited_for) <= memory
      assert callers -- monitored_by(waited_for) == callers
    end
  end

  defp questions(client) do
    receive do
      {:trace, ^client, :receive, {:bridge_health, _port}} -> 1 + questions(client)
      {:trace, ^client, :receive, _another} -> questions(client)
    after
      0 -> 0
    end
  end

  defp memory(pid) do
    :erlang.garbage_collect(pid)
    {:memory, bytes} = Process.info(pid, :memory)
    bytes
  end

  defp monitored_by(pid) do
    {:monitors, monitors} = Process.info(pid, :monitors)
    for {:process, pid} <- monitors, do: pid
  end

  describe "stuck_after:" do
    test "ends a Python that serves no call any more, and starts the next" do
      client = start_client(max_workers: 1, stuck_after: 0.1)
      os_pid = os_pid(client)

      log =
        capture_log(fn ->
          deaf =
            Task.async(fn ->
              Client.call(client, "sleep", [600], timeout: :infinity, tag: :deaf)
            end)

          eventually(fn -> match?({:ok, %{"busy" => 1}}, Client.health(client)) end)
          Client.cancel(client, :deaf)
          assert {:error, %Error{code: :cancelled}} = Task.await(deaf, patience())

          eventually(fn ->
            match?({:ok, %{ready: %{"pid" => n}}} when n != os_pid, Client.info(client))
          end)
        end)

      assert log =~ "no call is served any more"
      assert Client.call(client, "echo", [1]) == {:ok, 1}
    end

    test "asks each Python as often as the first" do
      client = start_client(stuck_after: 4)

      for n <- 2..3 do
        Client.restart(client)
        eventually(fn -> match?({:ok, %{starts: ^n, state: :ready}}, Client.status(client)) end)
      end

      # what the first ones were to be asked comes once more
      Process.sleep(1_100)
      began = System.monotonic_time(:millisecond)
      :erlang.trace(client, true, [:receive])
      Process.sleep(2_000)
      :erlang.trace(client, false, [:receive])
      seconds = div(System.monotonic_time(:millisecond) - began, 1_000)
      assert questions(client) in 1..(seconds + 1)
    end

    test "leaves alone a Python whose calls are awaited" do
      client = start_client(max_workers: 1, stuck_after: 0.1)
      os_pid = os_pid(client)
      assert Client.call(client, "sleep", [0.6]) == {:ok, nil}
      assert os_pid(client) == os_pid
    end
  end

  test "a link to a client is one to a parent: it ends the client, in order" do
    test = self()

    parent =
      spawn(fn ->
        {:ok, client} = Client.start_link(options())
        send(test, {:client, client})
        receive do: (:end -> :ok)
      end)

    assert_receive {:client, client}
    os_pid = os_pid(client)
    send(parent, :end)
    eventually(fn -> not Process.alive?(client) and not os_alive?(os_pid) end)
  end
end
