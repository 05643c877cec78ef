# What `scripts/pool` runs: processes of a pool are replaced and killed under load, and a ledger says
# whether each call was made once. See --help there.

defmodule PoolStress do
  import Bridge.Test.Pools

  alias Bridge.{Occupancy, Places, Pool}
  alias Bridge.Test.Nodes

  @defaults [seconds: 30, callers: 32, restarts: 10, kills: 20, recycles: 1_000, processes: 2] ++
              [sessions: 10_000, node_kills: 3]
  @scenarios ~w(rolling memory kills repeats recycles callers fair sessions nodes)

  def main(arguments) do
    types = [only: :string] ++ for {name, _} <- @defaults, do: {name, :integer}
    {opts, [], []} = OptionParser.parse(arguments, strict: types)
    opts = Keyword.merge(@defaults, opts)
    only = if opts[:only], do: String.split(opts[:only], ","), else: @scenarios
    Logger.configure(level: :critical)
    wrong = for name <- only, not run(name, opts), do: name
    if wrong != [], do: IO.puts("WRONG: #{Enum.join(wrong, ", ")}")
    # not halt: what the nodes need, epmd, ends at exit
    exit({:shutdown, length(wrong)})
  end

  defp run(name, opts) do
    began = now()
    IO.puts("== #{name}")
    {right, facts} = scenario(name, opts)
    for {what, fact} <- facts, do: IO.puts("   #{what}: #{inspect(fact)}")
    IO.puts("   #{if right, do: "right", else: "WRONG"}, after #{div(now() - began, 1000)} s")
    right
  end

  # Each starts a pool, a load, and something that happens to it.

  defp scenario("rolling", opts) do
    under_load(opts, [], "enters", fn pool, until ->
      restarts =
        repeat(opts[:restarts], until, fn ->
          :ok = Pool.rolling_restart(pool)
        end)

      %{rolling_restarts: restarts}
    end)
    |> no_errors()
  end

  defp scenario("memory", opts) do
    under_load(opts, [recycle: [max_rss: 100_000_000], check_every: 0.2], "enters", fn pool,
                                                                                       until ->
      leak = fn -> Bridge.call(pool, "leaks", [8_000_000], timeout: 30_000) end

      keep_on(until, fn ->
        {:ok, _pid} = leak.()
        Process.sleep(20)
      end)

      {:ok, info} = Pool.info(pool)
      %{recycled_by_memory: info.recycled}
    end)
    |> no_errors()
  end

  defp scenario("kills", opts) do
    under_load(opts, [processes: opts[:processes] + 1], "enters", &kill(&1, &2, opts))
    |> judge(fn results, entered ->
      answered = for {number, {:ok, _}} <- results, is_integer(number), do: number
      failed = for {_call, {:error, error}} <- results, do: {error.code, error.started}

      {Enum.all?(answered, &(entered[&1] == 1)) and
         Enum.all?(entered, fn {_n, times} -> times == 1 end) and
         Enum.all?(failed, &(&1 in [{:unavailable, true}, {:unavailable, false}])),
       %{failed: Enum.frequencies(failed)}}
    end)
  end

  defp scenario("repeats", opts) do
    under_load(opts, [processes: opts[:processes] + 1], "enters_again", &kill(&1, &2, opts))
    |> judge(fn results, entered ->
      # kills so quick that no process is there for a moment: then nothing begins
      failed =
        for {number, {:error, error}} <- results,
            is_integer(number) and error.started != false,
            do: error

      missing =
        for {number, {:ok, _}} <- results, is_integer(number), entered[number] == nil, do: number

      more = Enum.count(entered, fn {_number, times} -> times > 1 end)
      {failed == [] and missing == [], %{failed: length(failed), made_more_than_once: more}}
    end)
  end

  # A pool of one that is recycled again and again: nothing of it may stay.
  defp scenario("recycles", opts) do
    {:ok, pool} = Pool.start_link(pool_options(processes: 1, max_workers: 2))
    rounds = opts[:recycles]
    warm = max(div(rounds, 10), 1)

    recycle = fn _n ->
      :ok = Pool.recycle(pool, 0) && ({:ok, 1} = Bridge.call(pool, "echo", [1])) && :ok
    end

    Enum.each(1..warm, recycle)
    before = settled(pool)
    Enum.each(1..rounds, recycle)
    later = settled(pool)
    Bridge.stop(pool)
    flat = Enum.all?(~w(processes ports atoms threads children)a, &(later[&1] <= before[&1] + 10))
    grown = later.memory - before.memory
    {flat and grown < 10_000_000, %{after_a_tenth: before, at_the_end: later}}
  end

  # Callers are killed at any point of their calls, and every place is free again soon after.
  defp scenario("callers", opts) do
    {:ok, pool} = Pool.start_link(pool_options(processes: opts[:processes], max_workers: 8))
    until = now() + opts[:seconds] * 1000
    killed = for _ <- 1..opts[:callers], do: Task.async(fn -> kill_callers(pool, until, 0) end)
    killed = killed |> Task.await_many(:infinity) |> Enum.sum()
    began = now()
    wait_until(fn -> taken(pool) == {0, 0} or now() - began > 10_000 end)
    left = taken(pool)
    facts = %{killed: killed, places_left: left, all_free_after_ms: now() - began}
    answers = for _ <- 1..100, do: Bridge.call(pool, "echo", [1], timeout: 60_000)
    Bridge.stop(pool)
    wrong = Enum.reject(answers, &(&1 == {:ok, 1}))
    {left == {0, 0} and wrong == [], Map.put(facts, :wrong_answers_then, wrong)}
  end

  # 200 callers where 4 calls run and 4 stand by: with room for all in the line, they are served alike; with
  # room for 50, whoever is refused hears why, and comes again; all do something else between two calls.
  defp scenario("fair", opts) do
    half = div(opts[:seconds], 2)
    {served, none} = little_room(200, half, 0)
    {least, most} = Enum.min_max(served)
    {served_at_50, refused} = little_room(50, half, 10)
    facts = %{least_served: least, most_served: most, refused_of_200: none}
    more = %{least_served_of_50: Enum.min(served_at_50), refused_of_50: refused}

    {least > 0 and most <= 2 * least and none == %{} and
       Map.keys(refused) == [{:resource_exhausted, false}] and Enum.min(served_at_50) > 0,
     Map.merge(facts, more)}
  end

  # Each stays while its process lives; when one leaves, only its own move.
  defp scenario("sessions", opts) do
    {:ok, pool} = Pool.start_link(pool_options(processes: 4, max_workers: 4))
    names = for n <- 1..opts[:sessions], do: "session #{n}"
    before = where(pool, names)
    again = where(pool, names)
    gone = os_pids(pool)[3]
    :ok = Pool.resize(pool, 3)
    later = where(pool, names)
    Bridge.stop(pool)
    moved = for {name, pid} <- before, later[name] != pid, do: pid
    its_own = Enum.count(before, fn {_name, pid} -> pid == gone end)
    spread = before |> Map.values() |> Enum.frequencies() |> Map.values()

    {before == again and length(moved) == its_own and Enum.uniq(moved) == [gone],
     %{moved: length(moved), of_the_one_that_left: its_own, spread: spread}}
  end

  # Three nodes: this one calls, one of the others is killed again and again, and one is added.
  defp scenario("nodes", opts) do
    shape = [name: PoolStress.Python, nodes: :all, max_workers: 8, backlog: 8]
    start = fn -> start_node([processes: 1] ++ shape) end
    others = for _ <- 1..2, do: start.()
    kept = List.last(others)

    under_load(opts, [processes: 1] ++ shape, "enters", fn pool, until ->
      wait_until(fn -> length(away(pool)) == 2 end)
      latency = latency(pool, kept)
      kills = opts[:node_kills]

      {_victim, gone_ms} =
        Enum.reduce(1..kills, {hd(others), []}, fn n, {victim, gone} ->
          Process.sleep(div(max(until - now(), 0), 2 * (kills - n + 1)))
          Node.monitor(victim, true)
          Nodes.kill(victim)
          receive do: ({:nodedown, ^victim} -> :ok)
          began = System.monotonic_time(:microsecond)
          wait_until(fn -> length(away(pool)) == 1 end, 1)
          gone = [Float.round((System.monotonic_time(:microsecond) - began) / 1000, 1) | gone]
          added = start.()
          wait_until(fn -> length(away(pool)) == 2 end)
          {added, gone}
        end)

      Process.sleep(max(until - now(), 0))
      there = :erpc.call(kept, Bridge.Test.Pools, :served, [PoolStress.Python])
      served = %{this_node: served(pool), the_node_that_stayed: there}
      %{node_kills: kills, places_gone_after_ms: gone_ms, latency_us_p50: latency, served: served}
    end)
    |> judge(fn results, entered ->
      answered = for {number, {:ok, _}} <- results, is_integer(number), do: number
      failed = for {_call, {:error, error}} <- results, do: {error.code, error.started}
      once = Enum.all?(entered, fn {_n, times} -> times == 1 end)

      {once and Enum.all?(answered, &(entered[&1] == 1)) and
         Enum.all?(failed, &(&1 in [{:unavailable, nil}, {:unavailable, true}])),
       %{failed: Enum.frequencies(failed), ledger: map_size(entered)}}
    end)
  end

  defp start_node(opts) do
    {node, _stop} = Nodes.start()
    {:ok, _pool} = Nodes.start_on(node, pool_options(opts), Pool)
    node
  end

  # In turn, so that the machine is the same for all.
  defp latency(pool, node) do
    {:ok, front} =
      Pool.start_link(pool_options(name: PoolStress.Front, nodes: :all, processes: 0))

    {:ok, _pool} =
      Nodes.start_on(node, pool_options(name: PoolStress.Front, nodes: :all, processes: 1), Pool)

    server = Node.spawn(node, Nodes, :echo_server, [])
    :ok = Bridge.await_ready(front, 30_000)

    ways = [
      local_pool: fn -> {:ok, 1} = Bridge.call(pool, "echo", [1]) end,
      remote_pool: fn -> {:ok, 1} = Bridge.call(front, "echo", [1]) end,
      bare_remote_genserver_call: fn -> 1 = GenServer.call(server, 1) end
    ]

    times = for _ <- 1..1_000, {name, way} <- ways, do: {name, elem(:timer.tc(way), 0)}
    Bridge.stop(front)

    for {name, all} <- Enum.group_by(times, &elem(&1, 0), &elem(&1, 1)),
        into: %{},
        do: {name, Enum.at(Enum.sort(all), 500)}
  end

  defp away(pool) do
    {:ok, %{nodes: nodes}} = Pool.info(pool)
    for {_node, %{processes: processes}} <- nodes, process <- processes, do: process
  end

  defp kill_callers(pool, until, killed) do
    if now() < until do
      {pid, monitor} = spawn_monitor(fn -> Bridge.call(pool, "echo", [1]) end)
      for _ <- 1..:rand.uniform(60), do: :erlang.yield()
      Process.exit(pid, :kill)
      receive do: ({:DOWN, ^monitor, :process, ^pid, _reason} -> :ok)
      kill_callers(pool, until, killed + 1)
    else
      killed
    end
  end

  # Places in the pool, and in the clients.
  defp taken(pool) do
    routes = Pool.Routes.open(Places.of(pool))
    seats = for {_client, counters, _limit, _slot} <- routes, do: Occupancy.taken(counters)
    places = for {client, _, _, _} <- routes, do: Occupancy.taken(Places.of(client))
    {Enum.sum(seats), Enum.sum(places)}
  end

  defp little_room(max_waiting, seconds, pause) do
    little = [processes: 2, max_workers: 2, backlog: 2, max_waiting: max_waiting]
    {:ok, pool} = Pool.start_link(pool_options(little))
    until = now() + seconds * 1000
    tasks = for _ <- 1..200, do: Task.async(fn -> ask(pool, until, pause, 0, %{}) end)
    outcomes = Task.await_many(tasks, :infinity)
    Bridge.stop(pool)

    {for({served, _errors} <- outcomes, do: served),
     Enum.reduce(outcomes, %{}, fn {_, errors}, all -> Map.merge(all, errors, &add/3) end)}
  end

  defp ask(pool, until, pause, served, errors) do
    if now() < until do
      result = Bridge.call(pool, "enters", ["/dev/null", 0, 0.002], timeout: 30_000)
      if pause > 0, do: Process.sleep(pause + :rand.uniform(pause))

      case result do
        {:ok, 0} ->
          ask(pool, until, pause, served + 1, errors)

        {:error, error} ->
          errors = Map.update(errors, {error.code, error.started}, 1, &(&1 + 1))
          ask(pool, until, pause, served, errors)
      end
    else
      {served, errors}
    end
  end

  defp add(_key, one, other), do: one + other

  defp where(pool, names) do
    names
    |> Task.async_stream(&{&1, Bridge.call!(pool, "pid", [], session: &1)}, max_concurrency: 8)
    |> Map.new(fn {:ok, found} -> found end)
  end

  defp settled(pool) do
    wait_until(fn -> match?({:ok, %{processes: [_one]}}, Pool.info(pool)) end)
    for pid <- Process.list(), do: :erlang.garbage_collect(pid)
    Process.sleep(500)
    os = System.pid()

    %{
      memory: :erlang.memory(:total),
      processes: :erlang.system_info(:process_count),
      ports: :erlang.system_info(:port_count),
      atoms: :erlang.system_info(:atom_count),
      threads: length(File.ls!("/proc/#{os}/task")),
      children: length(String.split(elem(System.cmd("sh", ["-c", "pgrep -P #{os} || true"]), 0)))
    }
  end

  defp under_load(opts, pool_opts, tool, happens) do
    ledger =
      Path.join(
        System.tmp_dir!(),
        "bridge-ledger-#{System.unique_integer([:positive])}-#{System.pid()}"
      )

    pool_opts = Keyword.merge([processes: opts[:processes], max_workers: 8], pool_opts)
    {:ok, pool} = Pool.start_link(pool_options(pool_opts))
    load = start_load(pool, ledger, opts[:callers], tool: tool)
    facts = happens.(pool, now() + opts[:seconds] * 1000)
    results = stop_load(load)
    {:ok, info} = Pool.info(pool)
    Bridge.stop(pool)
    entered = ledger(ledger)
    File.rm(ledger)
    calls = Enum.count(results, fn {call, _} -> call != :stream end)
    facts = Map.merge(facts, %{calls: calls, streams: length(results) - calls, died: info.died})
    {results, entered, facts}
  end

  defp no_errors(outcome) do
    judge(outcome, fn results, entered ->
      errors = for {_call, {:error, error}} <- results, do: Exception.message(error)
      answered = for {number, {:ok, number}} <- results, into: %{}, do: {number, 1}

      {errors == [] and entered == answered,
       %{errors: Enum.frequencies(errors), ledger: map_size(entered)}}
    end)
  end

  defp judge({results, entered, facts}, judgement) do
    {right, more} = judgement.(results, entered)
    {right, Map.merge(facts, more)}
  end

  defp kill(pool, until, opts) do
    kills =
      repeat(opts[:kills], until, fn ->
        ready = for {_slot, %{state: :ready, os_pid: os_pid}} <- current(pool), do: os_pid
        if ready != [], do: System.cmd("kill", ["-9", "#{Enum.random(ready)}"])
      end)

    wait_until(fn ->
      Enum.all?(current(pool), fn {_slot, process} -> process.state == :ready end)
    end)

    %{kills: kills}
  end

  # So many times, spread over the time that is left; the rest of the time passes under load.
  defp repeat(times, until, happens) do
    pause = div(max(until - now(), 0), times)
    began = now()

    for n <- 1..times do
      happens.()
      Process.sleep(max(began + n * pause - now(), 0))
    end

    times
  end

  defp keep_on(until, happens) do
    if now() < until do
      happens.()
      keep_on(until, happens)
    end
  end

  defp wait_until(condition, pause \\ 20) do
    unless condition.() do
      Process.sleep(pause)
      wait_until(condition, pause)
    end
  end

  defp now, do: System.monotonic_time(:millisecond)
end

PoolStress.main(System.argv())
