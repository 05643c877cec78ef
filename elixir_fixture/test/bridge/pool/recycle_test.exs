defmodule Bridge.Pool.RecycleTest do
  @moduledoc """
  How processes of a pool are replaced: when, in which order, and that no call notices.
  """

  use Bridge.TestCase, async: true

  import Bridge.Test.Pools

  alias Bridge.{Error, Pool}

  @moduletag :tmp_dir
  @moduletag :capture_log

  defp replaced(pool, slot, before) do
    eventually(fn ->
      match?(%{state: :ready, os_pid: now} when now != before, current(pool)[slot])
    end)

    eventually(fn -> not os_alive?(before) end)
  end

  test "the new process is ready before the old one gets no more calls, and that ends what it has",
       %{tmp_dir: tmp_dir} do
    pool = start_pool(processes: 1, grace: 0.05)
    %{0 => before} = os_pids(pool)
    path = Path.join(tmp_dir, "go")
    task = occupy(pool, path)
    stream = Bridge.stream(pool, "pids_forever", [], credit: [items: 1])
    test = self()

    reader =
      Task.async(fn ->
        stream
        |> Enum.reduce_while(0, fn os_pid, n ->
          if n == 0, do: send(test, {:first, os_pid})
          if File.exists?(path), do: {:halt, os_pid}, else: {:cont, n + 1}
        end)
      end)

    assert_receive {:first, ^before}
    assert Pool.recycle(pool, 0) == :ok
    assert {:ok, now} = Bridge.call(pool, "pid", [], timeout: patience())
    assert now != before
    assert os_alive?(before)
    assert {:ok, %{recycled: 1, processes: [_, _]}} = Pool.info(pool)
    # much longer than the grace of a process that was told to end
    Process.sleep(500)
    assert os_alive?(before)
    File.write!(path, "")
    assert Task.await(task, patience()) == {:ok, before}
    assert Task.await(reader, patience()) == before
    eventually(fn -> not os_alive?(before) end)
    eventually(fn -> match?({:ok, %{processes: [%{os_pid: ^now}]}}, Pool.info(pool)) end)
  end

  test "what does not end within :drain is ended, and told that it had begun" do
    pool = start_pool(processes: 1, drain: 0.05, grace: 0.1)
    call = Task.async(fn -> Bridge.call(pool, "waits_for", ["/no/file"], timeout: 60_000) end)

    stream =
      Task.async(fn -> catch_error(pool |> Bridge.stream("pids_forever") |> Enum.count()) end)

    eventually(fn -> in_flight(pool) == 2 end)
    assert Pool.recycle(pool, 0) == :ok
    assert {:error, %Error{code: code, started: true}} = Task.await(call, patience())
    assert code in [:unavailable, :cancelled]
    assert %Error{code: code, started: true} = Task.await(stream, patience())
    assert code in [:unavailable, :cancelled]
  end

  test "a new process that does not start is an error, and the old one stays", %{tmp_dir: tmp_dir} do
    path = Path.join(tmp_dir, "broken")
    pool = start_pool(env: %{"POOL_CANNOT_START" => path})
    before = os_pids(pool)
    File.write!(path, "")
    assert {:error, %Error{message: message}} = Pool.recycle(pool, 1)
    assert message =~ "this process shall not start"
    assert {:error, %Error{}} = Pool.rolling_restart(pool)
    assert {:error, %Error{}} = Pool.resize(pool, 4)
    assert os_pids(pool) == before
    assert {:ok, %{size: 2}} = Pool.info(pool)
    assert {:ok, _pid} = Bridge.call(pool, "pid")
    File.rm!(path)
    assert Pool.rolling_restart(pool) == :ok
    assert Pool.resize(pool, 3) == :ok
    assert {:ok, %{size: 3}} = Pool.info(pool)
    assert Map.keys(os_pids(pool)) == [0, 1, 2]
  end

  test "fewer processes: those that are too many end their calls first", %{tmp_dir: tmp_dir} do
    pool = start_pool(processes: 2, max_workers: 1, backlog: 0)
    path = Path.join(tmp_dir, "go")
    tasks = for _ <- 1..2, do: occupy(pool, path)
    %{1 => last} = os_pids(pool)
    resize = Task.async(fn -> Pool.resize(pool, 1) end)
    eventually(fn -> map_size(current(pool)) == 1 end)
    assert os_alive?(last)
    File.write!(path, "")
    assert [{:ok, _}, {:ok, _}] = Task.await_many(tasks, patience())
    assert Task.await(resize, patience()) == :ok
    eventually(fn -> not os_alive?(last) end)
    assert Pool.resize(pool, 1) == :ok
    assert {:error, %Error{code: :not_found}} = Pool.recycle(pool, 1)
    assert {:ok, _} = Bridge.call(pool, "pid")
  end

  test "by calls" do
    pool = start_pool(processes: 1, recycle: [max_calls: 20])
    %{0 => before} = os_pids(pool)
    for n <- 1..20, do: assert(Bridge.call(pool, "echo", [n], timeout: patience()) == {:ok, n})
    replaced(pool, 0, before)
  end

  test "by age" do
    pool = start_pool(processes: 1, recycle: [max_age: 0.2])
    %{0 => before} = os_pids(pool)
    replaced(pool, 0, before)
  end

  test "by Python's own memory" do
    pool = start_pool(processes: 1, recycle: [max_rss: 120_000_000])
    %{0 => before} = os_pids(pool)
    assert Bridge.call(pool, "leaks", [1_000_000], timeout: patience()) == {:ok, before}
    assert Bridge.call(pool, "leaks", [150_000_000], timeout: patience()) == {:ok, before}
    replaced(pool, 0, before)

    eventually(fn ->
      match?(%{rss_bytes: rss} when rss in 5_000_000..120_000_000, current(pool)[0])
    end)
  end

  test "by tools that nobody awaits any more", %{tmp_dir: tmp_dir} do
    pool = start_pool(processes: 1, max_workers: 4, recycle: [max_abandoned: 2], grace: 0.1)
    %{0 => before} = os_pids(pool)
    hang = fn -> Bridge.call(pool, "hangs_until", [Path.join(tmp_dir, "go")], timeout: 50) end
    assert {:error, %Error{code: :deadline_exceeded}} = hang.()
    eventually(fn -> current(pool)[0].abandoned == 1 end)
    assert os_pids(pool) == %{0 => before}
    assert {:error, %Error{code: :deadline_exceeded}} = hang.()
    replaced(pool, 0, before)
  end

  test "when all workers are held so, and until then calls go elsewhere", %{tmp_dir: tmp_dir} do
    pool = start_pool(max_workers: 1, check_every: 0.2, grace: 0.1)
    %{0 => before} = os_pids(pool)
    session = Enum.find_value(1..100, &if(Pool.Routes.slot_of(2, "#{&1}") == 0, do: "#{&1}"))
    path = Path.join(tmp_dir, "go")

    assert {:error, %Error{code: :deadline_exceeded}} =
             Bridge.call(pool, "hangs_until", [path], timeout: 50, session: session)

    eventually(fn ->
      {:ok, %{processes: processes}} = Pool.info(pool)
      Enum.any?(processes, &(&1.os_pid == before and &1.state in [:blocked, :draining]))
    end)

    for _ <- 1..10 do
      assert {:ok, os_pid} = Bridge.call(pool, "pid", [], timeout: patience())
      assert os_pid != before
    end

    replaced(pool, 0, before)
  end
end
