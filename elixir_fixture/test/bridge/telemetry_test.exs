defmodule Bridge.TelemetryTest do
  # of a stand-in for the library, and under its one name
  use Bridge.TestCase, async: false

  alias Bridge.{Error, Telemetry}

  setup do
    # as a release does, which loads everything
    Code.ensure_loaded!(:telemetry)
    Process.register(self(), :telemetry_listener)
    assert Telemetry.loaded?()
    client = start_client(name: :listened_to)
    %{client: client}
  end

  defp calls(client) do
    assert_receive {[:bridge, :call, event], measurements, %{client: ^client} = meta, pid},
                   patience()

    assert pid == self()
    {event, measurements, meta}
  end

  test "a call tells when it starts and stops, and how much it took", %{client: client} do
    assert {:ok, 3} = Bridge.call(client, "echo", [3])
    assert {:start, %{monotonic_time: _, system_time: _}, started} = calls(client)
    assert %{tool: "echo", kind: :call, node: node} = started
    assert node == node()
    assert {:stop, measurements, %{code: :ok, error: nil} = stopped} = calls(client)
    assert stopped.telemetry_span_context == started.telemetry_span_context
    assert measurements.duration > 0
    assert measurements.bytes_out > 3
    assert measurements.bytes_in > 3
    assert measurements.queue_time >= 0
    assert measurements.queue_time < measurements.duration
    refute_received {[:bridge, :call, _event], _, %{client: ^client}, _}
  end

  test "a call tells how long it has waited in Python's queue, a quick one that it has not" do
    client = start_supervised!({Bridge.Client, options(max_workers: 1)}, id: :one_worker)
    running = Task.async(fn -> Bridge.call(client, "wait", [60], timeout: 60_000, tag: :wait) end)
    eventually(fn -> match?({:ok, %{"busy" => 1}}, Bridge.health(client)) end)
    waits = Task.async(fn -> Bridge.call(client, "echo", [1], timeout: 60_000) end)
    eventually(fn -> match?({:ok, %{"queued" => 1}}, Bridge.health(client)) end)
    Process.sleep(20)
    Bridge.cancel(client, :wait)
    assert {:error, _} = Task.await(running, patience())
    assert {:ok, 1} = Task.await(waits, patience())
    pid = waits.pid
    assert_receive {[:bridge, :call, :stop], %{queue_time: waited} = measured, _, ^pid}
    assert System.convert_time_unit(waited, :native, :millisecond) >= 20
    assert waited < measured.duration

    client = start_supervised!({Bridge.Client, options()}, id: :many_workers)

    # as soon as it has proven to be quick, the thread that reads runs it
    eventually(fn ->
      assert {:ok, 1} = Bridge.call(client, "echo", [1])
      assert_receive {[:bridge, :call, :stop], %{queue_time: waited}, %{client: ^client}, _}
      waited == 0
    end)
  end

  test "how many bytes of a call were in shared memory, each way" do
    client =
      start_supervised!(
        {Bridge.Client,
         options(
           adapter: "memory_tools:Tools",
           app_dir: Path.expand("../../../tests/integration", __DIR__),
           shared_memory: true
         )},
        id: :with_memory
      )

    {:ok, %{"shared_memory" => %{"available" => available}}} = Bridge.stats(client)
    assert_receive {[:bridge, :call, :stop], _, %{client: ^client, tool: "$/stats"}, _}
    large = 3_145_728
    shared = if available, do: large, else: 0
    bytes = :crypto.strong_rand_bytes(large)

    assert {:ok, [^bytes, 1]} = Bridge.call(client, "echo", [[{:bytes, bytes}, 1]])
    assert_receive {[:bridge, :call, :stop], measured, %{client: ^client, tool: "echo"}, _}
    assert {measured.shared_out, measured.shared_in} == {shared, shared}
    assert measured.bytes_out > large and measured.bytes_in > large

    assert {:ok, ^large} = Bridge.call(client, "size", [{:bytes, bytes}])
    assert_receive {[:bridge, :call, :stop], measured, %{client: ^client, tool: "size"}, _}
    assert {measured.shared_out, measured.shared_in} == {shared, 0}

    assert {:ok, 5} = Bridge.call(client, "size", [{:bytes, "small"}])
    assert_receive {[:bridge, :call, :stop], measured, %{client: ^client, tool: "size"}, _}
    assert {measured.shared_out, measured.shared_in} == {0, 0}
  end

  test "errors have their code, and what is raised here is an exception", %{client: client} do
    assert {:error, %Error{}} = Bridge.call(client, "no_such_tool")
    assert {:start, _, _} = calls(client)
    assert {:stop, _, %{code: :not_found, error: %Error{}}} = calls(client)

    assert_raise ArgumentError, fn -> Bridge.call(client, "echo", :odd) end
    assert {:start, _, _} = calls(client)
    assert {:exception, %{duration: _}, %{reason: {:error, %ArgumentError{}}}} = calls(client)
  end

  test "a stream tells of itself once, however it ends", %{client: client} do
    assert client |> Bridge.stream("counts", [5]) |> Enum.to_list() == [0, 1, 2, 3, 4]
    assert {:start, _, %{kind: :stream}} = calls(client)
    assert {:stop, %{items: 5, bytes_in: nil}, %{code: :ok}} = calls(client)

    assert client |> Bridge.stream("counts", [500]) |> Enum.take(1) == [0]
    assert {:start, _, _} = calls(client)
    assert {:stop, %{items: items}, %{code: :ok}} = calls(client)
    assert items in 1..16

    assert_raise Error, fn -> client |> Bridge.stream("no_such_tool") |> Enum.to_list() end
    assert {:start, _, _} = calls(client)
    assert {:stop, %{items: 0}, %{code: :not_found}} = calls(client)
    refute_received {[:bridge, :call, _event], _, %{client: ^client}, _}
  end

  @tag :capture_log
  test "a client tells when Python comes and goes", %{client: client} do
    python = fn event ->
      assert_receive {[:bridge, :python, ^event], measurements, %{client: ^client} = meta, _},
                     patience()

      assert meta.name =~ "listened_to"
      {measurements, meta}
    end

    {%{system_time: _}, %{os_pid: os_pid}} = python.(:start)
    {%{duration: duration}, %{os_pid: ^os_pid}} = python.(:ready)
    assert duration > 0

    os_kill("KILL", os_pid)
    {%{pause_ms: _}, %{os_pid: ^os_pid, error: %Error{code: :unavailable}}} = python.(:down)
    {_, %{os_pid: second}} = python.(:start)
    assert second != os_pid
    python.(:ready)

    Bridge.restart(client)
    {_, %{os_pid: ^second}} = python.(:restart)
    python.(:ready)
  end

  @tag :capture_log
  @tag :tmp_dir
  test "a pool tells of its processes, of its line, and which process served", %{tmp_dir: tmp_dir} do
    import Bridge.Test.Pools
    pool = start_pool(name: :listened_pool, processes: 1, max_workers: 1, backlog: 0)

    process = fn event ->
      assert_receive {[:bridge, :pool, :process, ^event], measurements,
                      %{pool: :listened_pool} = meta, _},
                     patience()

      {measurements, meta}
    end

    assert {%{duration: _}, %{slot: 0, process: first, os_pid: os_pid}} = process.(:ready)
    path = Path.join(tmp_dir, "go")
    task = occupy(pool, path)
    waits = Task.async(fn -> Bridge.call(pool, "echo", [1], timeout: 60_000) end)
    eventually(fn -> waiting(pool) == 1 end)
    File.write!(path, "")
    Task.await_many([task, waits], patience())

    assert_receive {[:bridge, :pool, :line], %{duration: duration, waiting: 0}, %{code: :ok}, pid}
    assert duration > 0 and pid == waits.pid

    assert_receive {[:bridge, :call, :stop], _, %{tool: "echo", client: ^pool, process: ^first},
                    _}

    assert Bridge.Pool.recycle(pool, 0) == :ok
    assert {_, %{slot: 0, process: ^first, reason: :requested}} = process.(:recycle)
    assert {_, %{process: second, os_pid: second_os_pid}} = process.(:ready)
    assert second != first and second_os_pid != os_pid

    os_kill("KILL", second_os_pid)
    assert {_, %{process: ^second, error: %Error{code: :unavailable}}} = process.(:down)
    process.(:ready)
    assert pool |> Bridge.stream("counts", [2], timeout: patience()) |> Enum.to_list() == [0, 1]
    assert_receive {[:bridge, :call, :stop], %{items: 2}, %{kind: :stream, process: ^second}, _}
  end
end
