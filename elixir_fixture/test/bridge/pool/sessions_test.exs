defmodule Bridge.Pool.SessionsTest do
  use Bridge.TestCase, async: true

  import Bridge.Test.Pools

  alias Bridge.{Error, Pool}
  alias Bridge.Pool.Routes

  @moduletag :tmp_dir

  doctest Routes

  @sessions for n <- 1..10_000, do: "session #{n}"

  defp where(pool, sessions) do
    sessions
    |> Task.async_stream(&{&1, Bridge.call!(pool, "pid", [], session: &1, timeout: 60_000)},
      max_concurrency: 8
    )
    |> Map.new(fn {:ok, pair} -> pair end)
  end

  test "10,000 sessions are spread evenly, and only those that must move when a slot comes or goes" do
    for size <- [2, 3, 8, 20] do
      before = Map.new(@sessions, &{&1, Routes.slot_of(size, &1)})
      counts = before |> Map.values() |> Enum.frequencies() |> Map.values()
      assert length(counts) == size
      assert Enum.max(counts) < 1.25 * 10_000 / size

      for session <- @sessions do
        grown = Routes.slot_of(size + 1, session)
        assert grown == before[session] or grown == size
      end
    end
  end

  @tag :capture_log
  test "each stays while its process lives; when one leaves, only its own move" do
    pool = start_pool(processes: 3)
    sessions = Enum.take(@sessions, 300)
    before = where(pool, sessions)
    assert before |> Map.values() |> Enum.uniq() |> length() == 3
    assert where(pool, sessions) == before

    # as long as the process is away its own are elsewhere, and back in the next one of its number
    %{1 => lost} = os_pids(pool)
    os_stop(lost)
    os_kill("KILL", lost)

    eventually(fn ->
      current(pool)[1].os_pid not in [lost, nil] and current(pool)[1].state == :ready
    end)

    later = where(pool, sessions)
    for {session, os_pid} <- before, os_pid != lost, do: assert(later[session] == os_pid)
    refute lost in Map.values(later)

    # a process that is replaced gives its sessions to the new one
    :ok = Pool.recycle(pool, 0)
    %{0 => os_pid_0} = os_pids(pool)
    replaced = where(pool, sessions)

    for {session, os_pid} <- later do
      slot = Routes.slot_of(3, session)
      assert replaced[session] == if(slot == 0, do: os_pid_0, else: os_pid)
    end

    :ok = Pool.resize(pool, 4)
    grown = where(pool, sessions)
    %{3 => new} = os_pids(pool)
    for {session, os_pid} <- grown, os_pid != new, do: assert(replaced[session] == os_pid)
    assert new in Map.values(grown)
  end

  test "preferred: a session goes elsewhere while its process is full", %{tmp_dir: tmp_dir} do
    pool = start_pool(max_workers: 1, backlog: 0)
    path = Path.join(tmp_dir, "go")
    home = os_pids(pool)[Routes.slot_of(2, "s")]
    assert Bridge.call(pool, "pid", [], session: "s") == {:ok, home}
    task = occupy(pool, path, session: "s")
    assert {:ok, elsewhere} = Bridge.call(pool, "pid", [], session: "s")
    assert elsewhere != home
    File.write!(path, "")
    assert Task.await(task, patience()) == {:ok, home}
  end

  @tag :capture_log
  test "strict: a session waits for its process, and holds nobody up", %{tmp_dir: tmp_dir} do
    pool = start_pool(max_workers: 1, backlog: 0, affinity: :strict)
    path = Path.join(tmp_dir, "go")
    slot = Routes.slot_of(2, "s")
    home = os_pids(pool)[slot]
    task = occupy(pool, path, session: "s")

    assert {:error, %Error{code: :deadline_exceeded, started: false}} =
             Bridge.call(pool, "pid", [], session: "s", timeout: 50)

    waits = Task.async(fn -> Bridge.call(pool, "pid", [], session: "s", timeout: 60_000) end)
    eventually(fn -> waiting(pool) == 1 end)
    # others pass
    assert {:ok, elsewhere} = Bridge.call(pool, "pid", [], timeout: patience())
    assert elsewhere != home
    File.write!(path, "")
    assert Task.await(task, patience()) == {:ok, home}
    assert Task.await(waits, patience()) == {:ok, home}

    # also for the next process of its number
    os_kill("KILL", home)
    # not before that was noticed: a call that is written until then may have begun
    eventually(fn -> not match?(%{state: :ready, os_pid: ^home}, current(pool)[slot]) end)
    assert {:ok, next} = Bridge.call(pool, "pid", [], session: "s", timeout: patience())
    assert next == os_pids(pool)[slot]
  end

  test "none: a session goes where there is room", %{tmp_dir: tmp_dir} do
    pool = start_pool(max_workers: 1, backlog: 0, affinity: :none)
    path = Path.join(tmp_dir, "go")
    tasks = for _ <- 1..2, do: occupy(pool, path, session: "s")
    File.write!(path, "")
    assert [{:ok, one}, {:ok, other}] = Task.await_many(tasks, patience())
    assert one != other
  end
end
