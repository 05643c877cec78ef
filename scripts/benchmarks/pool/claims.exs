# What `scripts/bench-pool --claims` runs: what docs/pool.md says a pool costs and brings, measured in
# turns, so that the machine is the same for both sides. See --help there.

defmodule PoolClaims do
  alias Bridge.Pool

  @here __DIR__
  @most_us 2.0
  @least_ratio 1.5

  def main(arguments) do
    types = [only: :string] ++ for(n <- ~w(seconds rounds callers)a, do: {n, :integer})
    {opts, [], []} = OptionParser.parse(arguments, strict: types)
    opts = Keyword.merge([seconds: 5, rounds: 5, callers: 32], opts)
    right = if opts[:only] == "routing", do: routing(opts), else: two(opts)
    exit({:shutdown, if(right, do: 0, else: 1)})
  end

  # The same call of one caller, to a client and to a pool of one, some hundred at a time.
  defp routing(opts) do
    {:ok, client} = Bridge.start_link(options(max_workers: 8))
    {:ok, pool} = Pool.start_link(options(processes: 1, max_workers: 8))
    for process <- [client, pool], do: times(process, 2_000)
    until = now() + opts[:seconds] * opts[:rounds] * 500
    {bare, pooled} = alternate(client, pool, until, [], [])
    for process <- [client, pool], do: Bridge.stop(process)
    costs = Enum.zip_with(bare, pooled, &(&2 - &1))
    cost = median(costs)

    verdict(
      cost <= @most_us,
      "routing: a call takes #{us(median(bare))} with a client and #{us(median(pooled))} with a pool of one; " <>
        "the median of #{length(costs)} differences is #{us(cost)}, at most #{@most_us} µs"
    )
  end

  defp alternate(client, pool, until, bare, pooled) do
    if now() < until do
      # who is first changes
      {one, other} =
        if rem(length(bare), 2) == 0 do
          one = median(times(client, 300))
          {one, median(times(pool, 300))}
        else
          other = median(times(pool, 300))
          {median(times(client, 300)), other}
        end

      alternate(client, pool, until, [one | bare], [other | pooled])
    else
      {bare, pooled}
    end
  end

  defp times(process, count) do
    for _ <- 1..count do
      began = System.monotonic_time(:nanosecond)
      {:ok, true} = Bridge.call(process, "quick", [])
      (System.monotonic_time(:nanosecond) - began) / 1000
    end
  end

  # Python's own code, in one process and in two.
  defp two(opts) do
    pools =
      for processes <- [1, 2] do
        {:ok, pool} = Pool.start_link(options(processes: processes, max_workers: 8))
        pool
      end

    for pool <- pools, do: rate(pool, 500, opts)

    ratios =
      for round <- 1..opts[:rounds] do
        order = if rem(round, 2) == 0, do: pools, else: Enum.reverse(pools)
        rates = Map.new(order, &{&1, rate(&1, opts[:seconds] * 500, opts)})
        [one, two] = for pool <- pools, do: rates[pool]
        two / max(one, 1)
      end

    for pool <- pools, do: Bridge.stop(pool)
    ratio = median(ratios)
    shown = Enum.map_join(Enum.sort(ratios), " ", &"#{Float.round(&1, 2)}")

    verdict(
      ratio >= @least_ratio or System.schedulers_online() < 2,
      "two: two processes do #{Float.round(ratio, 2)} times what one does in Python (#{shown}), " <>
        "at least #{@least_ratio} on two cores; here are #{System.schedulers_online()}"
    )
  end

  # Calls in so many milliseconds.
  defp rate(pool, ms, opts) do
    until = now() + ms
    tasks = for _ <- 1..opts[:callers], do: Task.async(fn -> calls(pool, until, 0) end)
    tasks |> Task.await_many(:infinity) |> Enum.sum()
  end

  defp calls(pool, until, n) do
    {:ok, _result} = Bridge.call(pool, "python_computes", [], timeout: :infinity)
    if now() < until, do: calls(pool, until, n + 1), else: n
  end

  defp options(more) do
    [
      adapter: "profile_tools:ProfileTools",
      app_dir: @here,
      env: %{"PYTHONPATH" => Path.expand("../../..", @here)},
      start_timeout: 300_000,
      grace: 1
    ] ++ more
  end

  defp verdict(right, text) do
    IO.puts("#{if right, do: "right", else: "WRONG"}: #{text}")
    right
  end

  defp us(microseconds), do: "#{Float.round(microseconds * 1.0, 2)} µs"
  defp median(figures), do: Enum.at(Enum.sort(figures), div(length(figures), 2))
  defp now, do: System.monotonic_time(:millisecond)
end

PoolClaims.main(System.argv())
