defmodule Bridge.Pool.LossTest do
  @moduledoc """
  That no call is lost, and none is made twice, while processes come and go. A ledger in a file has the number
  of each call that a tool has begun.
  """

  use Bridge.TestCase, async: true

  import Bridge.Test.Pools

  alias Bridge.{Error, Pool}

  @moduletag :tmp_dir
  @moduletag :capture_log

  test "rolling restarts and recycling under load lose nothing: the ledger has each call once", %{
    tmp_dir: tmp_dir
  } do
    ledger = Path.join(tmp_dir, "ledger")
    pool = start_pool(max_workers: 4, recycle: [max_calls: 2_000])
    load = start_load(pool, ledger, 16)
    before = os_pids(pool)
    for _ <- 1..2, do: assert(Pool.rolling_restart(pool) == :ok)
    assert os_pids(pool) |> Map.values() |> Enum.all?(&(&1 not in Map.values(before)))
    eventually(fn -> map_size(ledger(ledger)) > 4_000 end)
    results = stop_load(load)
    assert [] == for({_call, result} = got <- results, not match?({:ok, _}, result), do: got)

    assert Enum.all?(results, fn {call, {:ok, got}} ->
             if call == :stream, do: got == Enum.to_list(0..19), else: got == call
           end)

    answered = for {number, {:ok, number}} <- results, do: number
    assert ledger(ledger) == Map.new(answered, &{&1, 1})
    {:ok, info} = Pool.info(pool)
    assert info.recycled >= 4 and info.died == 0
  end

  test "processes that are killed: a call stands in the ledger once at most, and exactly once if it was answered",
       %{tmp_dir: tmp_dir} do
    ledger = Path.join(tmp_dir, "ledger")
    pool = start_pool(processes: 3, max_workers: 4)
    load = start_load(pool, ledger, 16)

    for n <- 1..6 do
      slot = rem(n, 3)
      eventually(fn -> match?(%{state: :ready}, current(pool)[slot]) end)
      lost = current(pool)[slot].os_pid
      os_kill("KILL", lost)
      eventually(fn -> match?(%{os_pid: now} when now != lost, current(pool)[slot]) end)
    end

    results = stop_load(load)
    entered = ledger(ledger)
    assert Enum.all?(entered, fn {_number, times} -> times == 1 end)

    for {number, result} <- results, number != :stream do
      case result do
        {:ok, ^number} -> assert entered[number] == 1
        {:error, %Error{code: :unavailable, started: true}} -> :ok
      end
    end

    failed = for {_call, {:error, error}} <- results, do: error
    assert length(failed) < length(results) / 2
    # who had begun knows it, and what had not was done elsewhere
    assert Enum.all?(failed, &(&1.code == :unavailable and &1.started == true))
  end

  test "a call of an idempotent tool is repeated though it had begun, but not for ever", %{
    tmp_dir: tmp_dir
  } do
    ledger = Path.join(tmp_dir, "ledger")
    pool = start_pool(processes: 2)

    task =
      Task.async(fn -> Bridge.call(pool, "enters_again", [ledger, 1, 1], timeout: 60_000) end)

    eventually(fn -> ledger(ledger) == %{1 => 1} end)
    %{os_pid: lost} = Enum.find(Map.values(current(pool)), &(&1.calls == 1))
    os_kill("KILL", lost)
    assert Task.await(task, patience()) == {:ok, 1}
    assert ledger(ledger) == %{1 => 2}

    once = Task.async(fn -> Bridge.call(pool, "enters", [ledger, 2, 60], timeout: 60_000) end)
    eventually(fn -> ledger(ledger)[2] == 1 end)
    eventually(fn -> Enum.any?(Map.values(current(pool)), &(&1.calls == 1)) end)
    %{os_pid: lost} = Enum.find(Map.values(current(pool)), &(&1.calls == 1))
    os_kill("KILL", lost)
    assert {:error, %Error{code: :unavailable, started: true}} = Task.await(once, patience())
    assert ledger(ledger)[2] == 1

    killers = Path.join(tmp_dir, "killers")

    assert {:error, %Error{code: :unavailable, started: true}} =
             Bridge.call(pool, "kills_its_process", [killers], timeout: 60_000)

    assert map_size(ledger(killers)) == 3
  end

  test "a stream that had begun ends with an error that says so" do
    pool = start_pool(processes: 2)
    test = self()

    task =
      Task.async(fn ->
        pool
        |> Bridge.stream("pids_forever", [], credit: [items: 1])
        |> Enum.each(&send(test, {:item, &1}))
        |> catch_error()
      end)

    assert_receive {:item, os_pid}
    os_kill("KILL", os_pid)

    assert %Error{code: :unavailable, started: true, message: message} =
             Task.await(task, patience())

    assert message =~ "it had begun, so no other process goes on with it"
    assert message =~ "SIGKILL"

    assert pool |> Bridge.stream("counts", [3], timeout: patience()) |> Enum.to_list() == [
             0,
             1,
             2
           ]
  end

  test "a client whose own process ends is started again, and calls go on" do
    pool = start_pool(processes: 2)
    %{0 => %{client: client, os_pid: lost}} = current(pool)
    Process.exit(client, :kill)
    for n <- 1..50, do: assert(Bridge.call(pool, "echo", [n], timeout: patience()) == {:ok, n})
    eventually(fn -> match?(%{state: :ready, os_pid: now} when now != lost, current(pool)[0]) end)
    eventually(fn -> not os_alive?(lost) end)
  end
end
