# What `scripts/pool` runs: processes of a pool are replaced and killed under load, and a ledger says
# whether each call was made once. See --help there.

defmodule PoolStress do
  import Bridge.Test.Pools

  alias Bridge.Pool

  @defaults [seconds: 30, callers: 32, restarts: 10, kills: 20, recycles: 1_000, processes: 2]
  @scenarios ~w(rolling memory kills repeats recycles)

  def main(arguments) do
    types = [only: :string] ++ for {name, _} <- @defaults, do: {name, :integer}
    {opts, [], []} = OptionParser.parse(arguments, strict: types)
    opts = Keyword.merge(@defaults, opts)
    only = if opts[:only], do: String.split(opts[:only], ","), else: @scenarios
    Logger.configure(level: :critical)
    wrong = for name <- only, not run(name, opts), do: name
    if wrong != [], do: IO.puts("WRONG: #{Enum.join(wrong, ", ")}")
    System.halt(length(wrong))
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
         Enum.all?(failed, &(&1 == {:unavailable, true})), %{failed: Enum.frequencies(failed)}}
    end)
  end

  defp scenario("repeats", opts) do
    under_load(opts, [processes: opts[:processes] + 1], "enters_again", &kill(&1, &2, opts))
    |> judge(fn results, entered ->
      failed = for {number, {:error, error}} <- results, is_integer(number), do: error

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

  defp wait_until(condition) do
    unless condition.() do
      Process.sleep(20)
      wait_until(condition)
    end
  end

  defp now, do: System.monotonic_time(:millisecond)
end

PoolStress.main(System.argv())
