defmodule Bridge.Pool.LineTest do
  @moduledoc """
  Where calls go, and how they wait when all processes are full.
  """

  use Bridge.TestCase, async: true

  import Bridge.Test.Pools

  alias Bridge.{Error, Pool}

  @moduletag :tmp_dir

  # A pool in which there is room for one call in each process.
  defp narrow(opts \\ []) do
    start_pool([max_workers: 1, backlog: 0] ++ opts)
  end

  defp occupy_all(pool, path) do
    for _ <- current(pool), do: occupy(pool, path)
  end

  defp release(path, tasks) do
    File.write!(path, "")
    Task.await_many(tasks, patience())
  end

  test "calls spread over all processes", %{tmp_dir: tmp_dir} do
    pool = start_pool(processes: 2, max_workers: 4, backlog: 0)
    path = Path.join(tmp_dir, "go")
    tasks = for _ <- 1..8, do: occupy(pool, path)
    assert [4, 4] = for({_slot, process} <- current(pool), do: process.calls)
    results = release(path, tasks)
    assert results |> Enum.frequencies() |> Map.values() == [4, 4]
    eventually(fn -> in_flight(pool) == 0 end)
  end

  test "a call waits until there is room, and what it has waited is gone from Python's time", %{
    tmp_dir: tmp_dir
  } do
    pool = narrow()
    path = Path.join(tmp_dir, "go")
    tasks = occupy_all(pool, path)

    late =
      Task.async(fn ->
        Bridge.call(pool, "seconds_left", [], timeout: 60_000, metadata: %{"a" => "b"})
      end)

    large =
      Task.async(fn ->
        Bridge.call(pool, "echo", [String.duplicate("x", 100_000)], timeout: 60_000)
      end)

    eventually(fn -> waiting(pool) == 2 end)
    Process.sleep(300)
    release(path, tasks)
    assert {:ok, left} = Task.await(late, patience())
    assert left < 59.75
    assert {:ok, text} = Task.await(large, patience())
    assert byte_size(text) == 100_000
  end

  test "whoever waits too long never began, and the next one gets the place", %{tmp_dir: tmp_dir} do
    pool = narrow()
    path = Path.join(tmp_dir, "go")
    tasks = occupy_all(pool, path)

    assert {:error, %Error{code: :deadline_exceeded, started: false} = error} =
             Bridge.call(pool, "echo", [1], timeout: 50)

    assert error.message =~ "no process"
    assert Bridge.call(pool, "echo", [1], timeout: 0) |> elem(0) == :error

    assert_raise Error, ~r/had room/, fn ->
      pool |> Bridge.stream("counts", [1], timeout: 20) |> Enum.to_list()
    end

    eventually(fn -> waiting(pool) == 0 end)
    release(path, tasks)
    assert Bridge.call(pool, "echo", [1], timeout: patience()) == {:ok, 1}
  end

  test "no more wait than may, and one more is refused at once", %{tmp_dir: tmp_dir} do
    pool = narrow(max_waiting: 2)
    path = Path.join(tmp_dir, "go")
    tasks = occupy_all(pool, path)

    late =
      for n <- 1..2, do: Task.async(fn -> Bridge.call(pool, "echo", [n], timeout: 60_000) end)

    eventually(fn -> waiting(pool) == 2 end)

    assert {:error, %Error{code: :resource_exhausted, started: false} = error} =
             Bridge.call(pool, "echo", [3], timeout: 60_000)

    assert error.message =~ ":max_waiting"
    # what is no call of a tool needs no room
    assert {:ok, %{"status" => "serving"}} = Bridge.health(pool)
    assert Bridge.ping(pool, 1) == {:ok, 1}
    release(path, tasks)
    assert Task.await_many(late, patience()) == [{:ok, 1}, {:ok, 2}]
  end

  test "who waits can be cancelled, and may die", %{tmp_dir: tmp_dir} do
    pool = narrow()
    path = Path.join(tmp_dir, "go")
    tasks = occupy_all(pool, path)
    cancelled = Task.async(fn -> Bridge.call(pool, "echo", [1], tag: :mine, timeout: 60_000) end)
    eventually(fn -> waiting(pool) == 1 end)
    Bridge.cancel(pool, :mine)
    assert {:error, %Error{code: :cancelled, started: false}} = Task.await(cancelled, patience())

    dying = spawn(fn -> Bridge.call(pool, "echo", [1], timeout: 60_000) end)
    eventually(fn -> waiting(pool) == 1 end)
    Process.exit(dying, :kill)
    eventually(fn -> waiting(pool) == 0 end)
    release(path, tasks)
    assert Bridge.call(pool, "echo", [1], timeout: patience()) == {:ok, 1}
    eventually(fn -> in_flight(pool) == 0 end)
  end

  test "first come, first served", %{tmp_dir: tmp_dir} do
    pool = narrow(processes: 1)
    path = Path.join(tmp_dir, "go")
    ledger = Path.join(tmp_dir, "ledger")
    tasks = occupy_all(pool, path)

    late =
      for n <- 1..20 do
        task = Task.async(fn -> Bridge.call(pool, "enters", [ledger, n], timeout: 60_000) end)
        eventually(fn -> waiting(pool) == n end)
        task
      end

    release(path, tasks)
    Task.await_many(late, patience())
    assert ledger |> File.read!() |> String.split() == Enum.map(1..20, &"#{&1}")
  end

  test "nobody overtakes those that wait, though there is room" do
    pool = narrow()
    routes = Bridge.Places.of(pool)
    # somebody waits, and the line has not come to it yet
    :sys.suspend(routes.line)
    :atomics.add(routes.waiting, 1, 1)

    assert {:error, %Error{code: :deadline_exceeded, started: false}} =
             Bridge.call(pool, "echo", [1], timeout: 50)

    :atomics.sub(routes.waiting, 1, 1)
    :sys.resume(routes.line)
    assert Bridge.call(pool, "echo", [1], timeout: patience()) == {:ok, 1}
    eventually(fn -> in_flight(pool) == 0 and waiting(pool) == 0 end)
  end

  test "a place that is given while the time runs out is not lost" do
    # the test is the line
    routes = %{Pool.Routes.new("a pool", 10, :none) | line: self()}
    caller = Task.async(fn -> Pool.Line.stand(routes, nil, :error, 50) end)
    assert_receive {:stand, from, _pid, claim, nil, :error}
    assert Bridge.Claim.claim(claim)
    refute Task.yield(caller, 200)
    send(from, {from, {:ok, :a_place}})
    assert Task.await(caller, patience()) == {:ok, :a_place}

    late = Task.async(fn -> Pool.Line.stand(routes, nil, :error, 50) end)
    assert_receive {:stand, from, _pid, claim, nil, :error}
    assert {:error, %Error{code: :deadline_exceeded}} = Task.await(late, patience())
    refute Bridge.Claim.claim(claim)
    assert_receive {:leave, ^from}
  end

  test "no more than may wait are on their way to a line that is busy, also of those that die" do
    routes = Pool.Routes.new("full", 20, :none)
    line = start_supervised!(%{id: Pool.Line, start: {Pool.Line, :start_link, [routes]}})
    routes = %{routes | line: line}
    :sys.suspend(line)

    # all that have a place on the way are killed, or have no more time, and the others are refused
    for _ <- 1..5 do
      dead = for _ <- 1..50, do: spawn(fn -> Pool.Line.stand(routes, nil, :error, :infinity) end)
      for pid <- dead, do: Process.exit(pid, :kill)
      late = for _ <- 1..50, do: Task.async(fn -> Pool.Line.stand(routes, nil, :error, 1) end)

      for {:error, %Error{code: code, started: false}} <- Task.await_many(late, patience()),
          do: assert(code in [:deadline_exceeded, :resource_exhausted])
    end

    {:message_queue_len, length} = Process.info(line, :message_queue_len)
    # one to stand, one to leave, and one that is the line's own
    assert length <= 2 * 20 + 1

    :sys.resume(line)
    # those that died before they sent have theirs back a while later
    eventually(fn -> Bridge.Occupancy.taken(routes.arriving) == 0 end)
    # that those who stood there have died comes after them
    eventually(fn -> Pool.Line.waiting(routes) == 0 end)
    refused = {:error, %Error{code: :unavailable, message: "over", started: false}}
    send(line, {:refuse, elem(refused, 1)})
    assert Pool.Line.stand(routes, nil, :error, patience()) == refused
  end

  test "200 callers on little room: all are served about as often", %{tmp_dir: tmp_dir} do
    pool = narrow(max_waiting: 200)
    path = Path.join(tmp_dir, "go")
    tasks = occupy_all(pool, path)
    stop = :atomics.new(1, [])

    callers =
      for _ <- 1..200 do
        Task.async(fn ->
          Stream.repeatedly(fn -> Bridge.call(pool, "echo", [1], timeout: 60_000) end)
          |> Enum.reduce_while(0, fn {:ok, 1}, n ->
            if :atomics.get(stop, 1) == 1, do: {:halt, n}, else: {:cont, n + 1}
          end)
        end)
      end

    # so that all begin at the same time
    eventually(fn -> waiting(pool) == 200 end)
    release(path, tasks)

    eventually(fn ->
      Enum.sum(for {_slot, process} <- current(pool), do: process.served) > 5_000
    end)

    :atomics.put(stop, 1, 1)
    {least, most} = callers |> Task.await_many(patience()) |> Enum.min_max()

    assert least > 0 and most <= 2 * least,
           "the least served caller had #{least} calls, the most #{most}"

    eventually(fn -> in_flight(pool) == 0 and waiting(pool) == 0 end)
  end

  test "callers that are killed anywhere leave no place taken", %{tmp_dir: _tmp_dir} do
    pool = narrow(max_waiting: 1_000)

    for _ <- 1..300 do
      pid = spawn(fn -> for _ <- 1..100, do: Bridge.call(pool, "echo", [1], timeout: 60_000) end)
      if :rand.uniform(2) == 1, do: Process.sleep(0)
      Process.exit(pid, :kill)
    end

    eventually(fn -> in_flight(pool) == 0 and waiting(pool) == 0 end)
    assert Bridge.call(pool, "echo", [1], timeout: patience()) == {:ok, 1}
  end

  describe "a pool of many" do
    # of processes that are none, as only the places are looked at
    setup do
      routes = Pool.Routes.new("many", 10, :preferred)
      line = spawn_link(fn -> Process.sleep(:infinity) end)
      %{routes: %{routes | line: line}}
    end

    defp publish(routes, size, limit) do
      slots =
        for slot <- 0..(size - 1), into: %{} do
          seat = Pool.Seat.new(routes.waiting, routes.line, nil, 1_000)
          Pool.Seat.open(seat, %{}, 1)
          {slot, {self(), seat.counters, limit, slot}}
        end

      Pool.Routes.publish(routes, slots, Map.values(slots), nil)
      slots
    end

    test "takes each place once, and no more", %{routes: routes} do
      for size <- [1, 2, 8, 9, 30] do
        published = publish(routes, size, 3)
        taken = for _ <- 1..(size * 3), do: Pool.Routes.take(routes, nil)
        assert Enum.all?(taken, &match?({:ok, _place}, &1))

        for {_slot, {_pid, counters, _limit, _}} <- published do
          assert Enum.count(taken, &match?({:ok, {_, {^counters, _period}}}, &1)) == 3
        end

        assert Pool.Routes.take(routes, nil) == :full
        assert Pool.Routes.take(routes, "session") == :full
      end
    end

    test "spreads evenly by two that are compared", %{routes: routes} do
      publish(routes, 50, 1_000)
      for _ <- 1..5_000, do: {:ok, _route} = Pool.Routes.take(routes, nil)

      loads =
        for {_pid, counters, _limit, _slot} <- Pool.Routes.open(routes),
            do: Pool.Seat.load(counters)

      {least, most} = Enum.min_max(loads)
      assert Enum.sum(loads) == 5_000 and most - least <= 10
    end
  end
end
