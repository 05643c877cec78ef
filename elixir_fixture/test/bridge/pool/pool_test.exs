defmodule Bridge.PoolTest do
  use Bridge.TestCase, async: true

  import Bridge.Test.Pools

  alias Bridge.{Error, Pool}

  describe "the functions of Bridge" do
    setup do
      name = :"pool_#{System.unique_integer([:positive])}"
      start_pool(name: name)
      %{pool: name}
    end

    test "work on a pool as on a client", %{pool: pool} do
      assert Bridge.call(pool, "echo", [1]) == {:ok, 1}
      assert Bridge.call(pool, :echo, value: 2) == {:ok, 2}
      assert Bridge.call!(pool, "echo", [3]) == 3
      large = String.duplicate("x", 200_000)
      assert Bridge.call(pool, "echo", [large], metadata: %{"a" => "b"}) == {:ok, large}
      assert pool |> Bridge.stream("counts", [5]) |> Enum.to_list() == [0, 1, 2, 3, 4]
      assert pool |> Bridge.stream("pids_forever") |> Enum.take(2) |> length() == 2
      assert Bridge.ping(pool, "there?") == {:ok, "there?"}
      assert {:ok, [_ | _] = tools} = Bridge.tools(pool)
      assert %{"idempotent" => true} = Enum.find(tools, &(&1["name"] == "enters_again"))
      assert Bridge.await_ready(pool, patience()) == :ok
      assert Bridge.cancel(pool, :nobody) == :ok
      assert {:ok, %{state: :ready, processes: %{0 => :ready, 1 => :ready}}} = Bridge.status(pool)
      assert {:ok, %{ready: %{"tools" => [_ | _]}, size: 2}} = Bridge.info(pool)

      assert {:error, %Error{code: :not_found, started: false}} = Bridge.call(pool, "nothing")
      assert {:error, %Error{code: :invalid_argument}} = Bridge.call(pool, "echo", [&is_map/1])

      assert_raise Error, ~r/not_found/, fn ->
        pool |> Bridge.stream("nothing") |> Enum.to_list()
      end

      assert {:error, %Error{code: :deadline_exceeded, started: true}} =
               Bridge.call(pool, "waits_for", ["/no/such/file"], timeout: 50)
    end

    test "that ask put the answers of all together", %{pool: pool} do
      for slot <- 0..1, do: Bridge.call!(pool, "echo", [1], session: session_of(pool, slot))
      assert {:ok, stats} = Bridge.stats(pool)
      assert stats["max_workers"] == 4
      assert stats["tools"]["echo"]["calls"] == 2
      assert stats["tools"]["echo"]["run_time"]["count"] == 2
      assert stats["tools"]["echo"]["run_time"]["p50_us"] > 0
      assert [%{"slot" => 0, "calls" => 1}, %{"slot" => 1, "calls" => 1}] = stats["processes"]
      assert {:ok, %{"status" => "serving", "processes" => [_, _]}} = Bridge.health(pool)
      assert {:ok, %{"threads" => threads}} = Bridge.stacks(pool)
      assert threads |> Enum.map(& &1["process"]) |> Enum.uniq() |> Enum.sort() == [0, 1]
    end

    test "that ask leave nothing behind, nor do calls of a single process", %{pool: pool} do
      Process.flag(:trap_exit, true)
      %{0 => %{client: client}} = current(pool)

      for _ <- 1..3 do
        assert {:ok, _} = Bridge.stats(pool)
        assert {:ok, _} = Bridge.health(client)
        assert Bridge.call(client, "echo", [1]) == {:ok, 1}
        assert client |> Bridge.stream("counts", [2]) |> Enum.to_list() == [0, 1]
      end

      refute_received _anything
      eventually(fn -> in_flight(pool) == 0 end)

      counters =
        for {_, counters, _, _} <- Pool.Routes.open(Bridge.Places.of(Process.whereis(pool))),
            do: counters

      assert Enum.map(counters, &Pool.Seat.weight/1) == [0, 0]
    end

    test "cancel by tag", %{pool: pool} do
      task =
        Task.async(fn ->
          Bridge.call(pool, "waits_for", ["/no/file"], tag: :it, timeout: 60_000)
        end)

      eventually(fn -> in_flight(pool) == 1 end)
      Bridge.cancel(pool, :it)
      assert {:error, %Error{code: :cancelled}} = Task.await(task, patience())
    end

    test "restart one process after the other", %{pool: pool} do
      before = os_pids(pool)
      assert Bridge.restart(pool) == :ok

      eventually(fn ->
        Enum.all?(os_pids(pool), fn {slot, os_pid} -> os_pid not in [nil, before[slot]] end)
      end)
    end
  end

  test "stop/1 returns when all processes are gone, and the next call says so" do
    {:ok, pool} = Pool.start_link(pool_options(name: :to_be_stopped))
    os_pids = Map.values(os_pids(pool))
    assert Bridge.stop(pool) == :ok
    refute Enum.any?(os_pids, &os_alive?/1)

    for gone <- [pool, :to_be_stopped] do
      assert {:error, %Error{code: :unavailable, started: false}} = Bridge.call(gone, "echo", [1])
      assert {:error, %Error{code: :unavailable}} = Bridge.stats(gone)

      assert_raise Error, ~r/unavailable/, fn ->
        gone |> Bridge.stream("counts", [1]) |> Enum.to_list()
      end
    end
  end

  test "a function that Python calls may call the same process, however full it is" do
    name = :pool_that_calls_itself
    again = fn -> Bridge.call!(name, "pid", [], timeout: 20_000) end
    in_a_task = fn -> again |> Task.async() |> Task.await(:infinity) end
    functions = %{"again" => again, "in_a_task" => in_a_task}
    pool = start_pool(name: name, max_workers: 1, backlog: 0, functions: functions)
    session = session_of(pool, 1)
    os_pid = os_pids(pool)[1]

    for function <- ["again", "in_a_task"] do
      assert Bridge.call(pool, "calls_elixir", [function], session: session, timeout: 20_000) ==
               {:ok, os_pid}
    end
  end

  test "several pools stand side by side, each with its own options" do
    for {id, workers} <- [one: 1, other: 3] do
      opts = pool_options(name: :"side_#{id}", max_workers: workers, processes: 1)
      start_supervised!({Pool, opts})
    end

    assert {:ok, %{"max_workers" => 1}} = Bridge.health(:side_one)
    assert {:ok, %{"max_workers" => 3}} = Bridge.health(:side_other)
  end

  test "profiles have their defaults, and libraries their share of the cores" do
    cores = System.schedulers_online()

    assert %{processes: ^cores, backlog: 4, client: client} =
             Pool.Options.settings!(adapter: "a", profile: :process)

    assert client[:max_workers] == 1
    assert {"OMP_NUM_THREADS", "1"} in client[:env]
    assert %{processes: 2, backlog: 64} = Pool.Options.settings!(adapter: "a")

    pool = start_pool(processes: 1, threads_per_process: 3, env: %{"MKL_NUM_THREADS" => "7"})
    assert Bridge.call(pool, "variable", ["OPENBLAS_NUM_THREADS"]) == {:ok, "3"}
    assert Bridge.call(pool, "variable", ["MKL_NUM_THREADS"]) == {:ok, "7"}
  end

  test "options are checked before a process exists" do
    for {opts, words} <- [
          {[processes: 0], ~r/:processes to be an integer, at least 1/},
          {[recycle: [max_age: 0]], ~r/:recycle to be/},
          {[recycle: [max_memory: 1]], ~r/:recycle to be/},
          {[affinity: :hint], ~r/:affinity to be one of :preferred, :strict, :none/},
          {[threads_per_process: 0],
           ~r/:threads_per_process to be an integer, at least 1, or :all/},
          {[on_failure: :stop], ~r/unknown option :on_failure, known are/},
          {[pool_size: 4], ~r/unknown option :pool_size, known are.*:processes/},
          {[max_workers: 0], ~r/:max_workers to be an integer/}
        ] do
      assert_raise ArgumentError, words, fn -> Pool.start_link([adapter: "a"] ++ opts) end
      assert_raise ArgumentError, words, fn -> Pool.child_spec([adapter: "a"] ++ opts) end
    end

    assert_raise ArgumentError, ~r/expected options in a keyword list/, fn ->
      # applied, as a compiler with types sees that it is wrong
      apply(Pool, :child_spec, [:no])
    end

    assert_raise ArgumentError, ~r/expected options in a keyword list/, fn ->
      apply(Pool, :start_link, [%{}])
    end

    assert_raise ArgumentError, ~r/:adapter is required/, fn -> Pool.start_link(processes: 2) end
    assert_raise ArgumentError, ~r/at least 1, for processes/, fn -> Pool.resize(:nobody, 0) end
  end

  @tag :capture_log
  test "a pool that cannot start says why, and nothing is left of it" do
    opts = pool_options(adapter: "no_such_module:Tools", name: :cannot_start)
    assert {:error, %Error{code: :failed_precondition} = error} = Pool.start_link(opts)
    assert error.message =~ "no_such_module"
    assert Process.whereis(:cannot_start) == nil
  end

  @tag :capture_log
  @tag :tmp_dir
  test "with start: :async it goes on trying, and calls are refused with the reason", %{
    tmp_dir: tmp_dir
  } do
    path = Path.join(tmp_dir, "broken")
    File.write!(path, "")
    pool = start_pool(start: :async, env: %{"POOL_CANNOT_START" => path})
    eventually(fn -> match?({:ok, %{state: :waiting}}, Bridge.status(pool)) end)

    eventually(fn ->
      match?(
        {:error, %Error{code: :unavailable, started: false}},
        Bridge.call(pool, "pid", [], timeout: 50)
      )
    end)

    {:error, error} = Bridge.call(pool, "pid")
    assert error.message =~ "this process shall not start"
    assert {:error, %Error{code: :unavailable}} = Bridge.health(pool)
    File.rm!(path)
    assert Bridge.await_ready(pool, patience()) == :ok
    assert {:ok, _pid} = Bridge.call(pool, "pid", [], timeout: patience())
  end

  test "what is no pool, or not running, is an error" do
    assert {:error, %Error{code: :unavailable, started: false}} = Pool.info(:no_such_pool)
    assert {:error, %Error{code: :unavailable}} = Bridge.call(:no_such_pool, "echo", [1])
    client = start_client()
    assert {:error, %Error{code: :invalid_argument} = error} = Pool.rolling_restart(client)
    assert error.message =~ "no Bridge.Pool"
  end

  @tag :distributed
  test "a pool is called from another node" do
    # this node has the caller, the other one the pool
    pool = Bridge.Test.Nodes.start_client(pool_options(processes: 1), Pool)
    assert node(pool) != node()
    assert Bridge.call(pool, "echo", [1], timeout: patience()) == {:ok, 1}
    assert pool |> Bridge.stream("counts", [100]) |> Enum.sum() == 4950
    assert {:ok, %{size: 1, calls: 0}} = Pool.info(pool)
  end

  defp session_of(pool, slot) do
    {:ok, %{size: size}} = Pool.info(pool)
    Enum.find_value(1..1000, &if(Pool.Routes.slot_of(size, "s#{&1}") == slot, do: "s#{&1}"))
  end
end
