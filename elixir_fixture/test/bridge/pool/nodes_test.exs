defmodule Bridge.Pool.NodesTest do
  # other nodes are seen by all tests
  use Bridge.TestCase, async: false

  import Bridge.Test.Pools

  alias Bridge.{Error, Pool}
  alias Bridge.Test.Nodes

  @moduletag :distributed
  @moduletag :capture_log
  @moduletag :tmp_dir
  @moduletag timeout: 180_000

  @name Bridge.NodesTest.Python

  setup do
    # a node that was killed is looked for no more
    on_exit(fn -> for node <- Node.list(), do: Node.disconnect(node) end)
  end

  defp nodes_options(opts), do: pool_options([name: @name, nodes: :all] ++ opts)

  # Another node with a pool of the same name.
  defp start_there(opts) do
    {node, stop} = Nodes.start()
    on_exit(stop)
    {:ok, pool} = Nodes.start_on(node, nodes_options(opts), Pool)
    {node, pool}
  end

  # Waits until the pool of this node knows so many processes of others.
  defp knows(pool, count) do
    eventually(fn -> length(away(pool)) == count end)
  end

  defp away(pool) do
    {:ok, %{nodes: nodes}} = Pool.info(pool)
    for {_node, %{processes: processes}} <- nodes, process <- processes, do: process
  end

  defp os_pids_of(node, pool),
    do: for({_slot, os_pid} <- :erpc.call(node, Bridge.Test.Pools, :os_pids, [pool]), do: os_pid)

  test "calls stay on their node while there is room, and go to others then", %{tmp_dir: tmp_dir} do
    pool = start_pool(name: @name, nodes: :all, processes: 1, max_workers: 1, backlog: 0)
    {node, there} = start_there(processes: 1, max_workers: 2, backlog: 0)
    knows(pool, 1)
    [mine] = Map.values(os_pids(pool))
    [other] = os_pids_of(node, there)
    for _ <- 1..20, do: assert(Bridge.call(pool, "pid", []) == {:ok, mine})

    # one here, and one there: that is this node's share of two
    file = Path.join(tmp_dir, "go")
    tasks = for _ <- 1..2, do: occupy_anywhere(pool, file)
    assert [%{calls: 1, share: 1}] = away(pool)
    # the third waits in line for either
    third = Task.async(fn -> Bridge.call(pool, "pid", [], timeout: patience()) end)
    eventually(fn -> waiting(pool) == 1 end)
    File.touch!(file)

    assert Enum.sort(for {:ok, pid} <- Task.await_many(tasks), do: pid) ==
             Enum.sort([mine, other])

    assert {:ok, pid} = Task.await(third)
    assert pid in [mine, other]
    assert [%{calls: 0}] = away(pool)
  end

  defp occupy_anywhere(pool, file) do
    before = busy(pool)
    task = Task.async(fn -> Bridge.call(pool, "waits_for", [file], timeout: 60_000) end)
    eventually(fn -> busy(pool) > before end)
    task
  end

  defp busy(pool), do: in_flight(pool) + Enum.sum(for process <- away(pool), do: process.calls)

  test "a node without processes calls others, streams and asks them; sessions stay" do
    {_node, _pool} = start_there(processes: 2)
    pool = start_pool(name: @name, nodes: :all, processes: 0)
    assert Bridge.await_ready(pool, patience()) == :ok
    knows(pool, 2)
    assert {:ok, %{state: :ready}} = Bridge.status(pool)
    assert {:ok, 7} = Bridge.call(pool, "echo", [7])
    assert pool |> Bridge.stream("counts", [100]) |> Enum.sum() == 4950
    assert pool |> Bridge.stream("pids_forever", []) |> Enum.take(3) |> length() == 3
    assert {:ok, ^pool} = Bridge.ping(pool, "x") |> then(fn {:ok, "x"} -> {:ok, pool} end)
    assert {:ok, %{"processes" => [_, _]}} = Bridge.stats(pool)

    for n <- 1..20 do
      pids = for _ <- 1..5, do: Bridge.call!(pool, "pid", [], session: "s#{n}")
      assert length(Enum.uniq(pids)) == 1
    end

    assert {:error, %Error{code: :cancelled}} = cancelled(pool)
    # whoever gave up, or died, has no place any more
    {pid, monitor} = spawn_monitor(fn -> Bridge.call(pool, "waits_for", ["/nowhere"]) end)
    eventually(fn -> busy(pool) == 1 end)
    Process.exit(pid, :kill)
    assert_receive {:DOWN, ^monitor, :process, ^pid, :killed}, patience()
    eventually(fn -> busy(pool) == 0 end)
  end

  defp cancelled(pool) do
    task = Task.async(fn -> Bridge.call(pool, "waits_for", ["/nowhere"], tag: :it) end)
    eventually(fn -> busy(pool) == 1 end)
    :ok = Bridge.cancel(pool, :it)
    Task.await(task, patience())
  end

  test "a node that is lost: what ran there is known at once, and calls go elsewhere", %{
    tmp_dir: tmp_dir
  } do
    pool = start_pool(name: @name, nodes: :all, processes: 0)
    {node, _there} = start_there(processes: 1)
    knows(pool, 1)
    test = self()

    caller =
      Task.async(fn ->
        answer = Bridge.call(pool, "waits_for", [Path.join(tmp_dir, "never")], timeout: :infinity)
        send(test, {:answered, System.monotonic_time(:millisecond)})
        answer
      end)

    eventually(fn -> busy(pool) == 1 end)
    Node.monitor(node, true)
    Nodes.kill(node)
    assert_receive {:nodedown, ^node}, patience()
    lost = System.monotonic_time(:millisecond)
    assert {:error, %Error{code: :unavailable, started: nil}} = Task.await(caller, patience())
    assert_receive {:answered, answered}
    # 50 ms on a machine that is not busy
    assert answered - lost < 1_000
    knows(pool, 0)

    # one that comes takes the calls that wait
    waits = Task.async(fn -> Bridge.call(pool, "echo", [1], timeout: patience()) end)
    eventually(fn -> waiting(pool) == 1 end)
    {_node, _pool} = start_there(processes: 1)
    assert Task.await(waits, patience()) == {:ok, 1}
  end

  test "three nodes under load, one killed and one added: each answered call was made once", %{
    tmp_dir: tmp_dir
  } do
    pool = start_pool(name: @name, nodes: :all, processes: 1, max_workers: 2, backlog: 0)
    {killed, _pool} = start_there(processes: 1, max_workers: 4, backlog: 4)
    {_node, _pool} = start_there(processes: 1, max_workers: 4, backlog: 4)
    knows(pool, 2)
    path = Path.join(tmp_dir, "ledger")
    load = start_load(pool, path, 32)
    eventually(fn -> map_size(ledger(path)) > 200 end)
    Nodes.kill(killed)
    knows(pool, 1)
    {added, there} = start_there(processes: 1, max_workers: 4, backlog: 4)
    knows(pool, 2)
    [%{client: client}] = for %{client: client} = it <- away(pool), node(client) == added, do: it
    eventually(fn -> :erpc.call(added, Bridge.Test.Pools, :served, [there]) > 10 end)
    results = stop_load(load)
    entered = ledger(path)
    assert node(client) == added

    for {number, {:ok, number}} <- results, do: assert(entered[number] == 1)
    assert Enum.all?(entered, fn {_number, times} -> times == 1 end)
    errors = for {_call, {:error, error}} <- results, do: {error.code, error.started}
    # a stream that had begun says so
    assert Enum.uniq(errors) -- [{:unavailable, nil}, {:unavailable, true}] == []
    assert length(errors) <= 32
  end

  test "pools that do not go together leave each other alone, and say why" do
    pool = start_pool(name: @name, nodes: :all, processes: 1)
    {node, stop} = Nodes.start()
    on_exit(stop)
    other = nodes_options(processes: 1, adapter: "fixture_tools:FixtureTools")
    {:ok, there} = Nodes.start_on(node, other, Pool)

    eventually(fn ->
      match?({:ok, %{nodes: %{^node => %{refused: "it serves" <> _}}}}, Pool.info(pool))
    end)

    # a keeper of another version
    send(there, {:bridge_nodes, {:hello, self(), %{version: 2, package: "9.9.9"}}})
    assert_receive {:bridge_nodes, {:refused, ^there, reason}}
    assert reason =~ "9.9.9" or reason =~ "0.2.0"
    assert {:ok, 1} = Bridge.call(pool, "echo", [1])
    assert away(pool) == []
  end

  test "the options of nodes are checked" do
    assert_raise ArgumentError, ~r/the option :nodes asks for a :name/, fn ->
      Pool.start_link(pool_options(nodes: :all))
    end

    assert_raise ArgumentError, ~r/:processes .* without :nodes/, fn ->
      Pool.start_link(pool_options(name: @name, processes: 0))
    end

    assert_raise ArgumentError, ~r/expected :nodes to be :all, or a list/, fn ->
      Pool.start_link(pool_options(name: @name, nodes: "all"))
    end
  end
end
