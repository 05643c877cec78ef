defmodule Bench.Workloads do
  @moduledoc """
  What is measured of a program behind a port. Each function takes a `Bench.Peer` and the job's
  options, and returns a map of figures: `_us` and `_ms` are times, `_s` at the end of a rate is
  "per second", `mb` is 10^6 bytes in one direction.
  """

  alias Bench.{Peer, Series}

  @hog_id 4_000_000
  @window 64

  @doc "Runs one workload by its name."
  def run(name, peer, options) do
    case name do
      "sequential" -> sequential(peer, options)
      "window" -> window(peer, options)
      "sleeps" -> sleeps(peer, options)
      "payload" -> payload(peer, options)
      "mixed" -> mixed(peer, options)
      "stream" -> stream(peer, options)
      "beside_hog" -> beside_hog(peer, options)
      "pair" -> pair(peer, options)
    end
  end

  # -- one at a time ----------------------------------------------------------------------------

  defp sequential(peer, %{"calls" => calls}) do
    request = small(peer)
    for id <- 1..max(div(calls, 10), 50), do: Peer.call(peer, id, request)
    Series.summary(for id <- 1..calls, do: timed(fn -> Peer.call(peer, id, request) end))
  end

  # -- many at once -----------------------------------------------------------------------------

  # `windows`: list of [calls in flight, calls]
  defp window(peer, %{"windows" => windows}) do
    request = small(peer)
    in_flight(peer, request, @window, 2_000)

    rates =
      for [size, calls] <- windows do
        ns = timed(fn -> in_flight(peer, request, size, calls) end)
        [size, calls / ns * 1.0e9]
      end

    %{"calls_s" => rates |> List.last() |> List.last(), "points" => rates}
  end

  defp in_flight(peer, request, size, calls) do
    for id <- 1..min(size, calls), do: Peer.send_call(peer, id, request)
    refill(peer, request, min(size, calls) + 1, calls, calls)
  end

  defp refill(_peer, _request, _next, _calls, 0), do: :ok

  defp refill(peer, request, next, calls, open) do
    Peer.next(peer)
    if next <= calls, do: Peer.send_call(peer, next, request)
    refill(peer, request, next + 1, calls, open - 1)
  end

  # `count` calls that sleep, sent at once, `times` times
  defp sleeps(peer, %{"count" => count, "seconds" => seconds, "times" => times}) do
    request = Peer.prepare(peer, "sleep", [seconds])
    Peer.call(peer, 1, small(peer))

    rounds =
      for _ <- 0..times do
        ns =
          timed(fn ->
            for id <- 1..count, do: Peer.send_call(peer, id, request)
            ids = for _ <- 1..count, do: Peer.next(peer)
            true = Enum.sort(ids) == Enum.to_list(1..count)
          end)

        ns / 1.0e6
      end

    # the first makes the threads
    [cold | warm] = rounds
    ms = Series.median(warm)
    %{"ms" => ms, "cold_ms" => cold, "calls_s" => count / ms * 1000}
  end

  # -- bytes ------------------------------------------------------------------------------------

  # `sizes`: list of [bytes, calls]; ends early when one takes longer than `patience_s`
  defp payload(peer, %{"sizes" => sizes, "kind" => kind} = options) do
    patience_ns = Map.get(options, "patience_s", 10) * 1.0e9

    points =
      Enum.reduce_while(sizes, [], fn [size, calls], points ->
        request = Peer.prepare(peer, "echo", [data(peer, kind, size)])
        for id <- 1..min(calls, 3), do: Peer.call(peer, id, request)
        ns = timed(fn -> for id <- 1..calls, do: Peer.call(peer, id, request) end)
        points = [[size, size * calls / 1.0e6 / (ns / 1.0e9), ns / calls / 1000] | points]
        if ns / calls * 6 > patience_ns, do: {:halt, points}, else: {:cont, points}
      end)

    [[_size, mb_s, _us] | _] = points
    %{"mb_s" => mb_s, "points" => Enum.reverse(points)}
  end

  defp data(%Peer{dialect: "erlport"}, "bin", size), do: :binary.copy(<<7>>, size)

  defp data(_peer, "bin", size),
    do: {:encoded, Bridge.Msgpack.encode!({:bytes, :binary.copy(<<7>>, size)})}

  defp data(_peer, "tensor", size) do
    tensor =
      Bridge.Tensor.new!({:f, 32}, {div(size, 4)}, :binary.copy(<<0, 0, 128, 63>>, div(size, 4)))

    {:encoded, IO.iodata_to_binary(Bridge.Msgpack.encode!(tensor))}
  end

  # -- quick among slow -------------------------------------------------------------------------

  # `slow` calls sleep all the time while quick ones are made one at a time, and if there is a `hog_s`
  # one computes all the time, so long each; without any it is what the machine does by itself
  defp mixed(peer, %{"slow" => slow, "seconds" => seconds, "calls" => calls} = options) do
    quick = small(peer)
    sleep = Peer.prepare(peer, "sleep", [seconds])
    first_slow = 1_000_000
    # so many workers are there from now on, as in the life of a server
    count = if slow == 0, do: 0, else: slow + 1
    for id <- 1..count//1, do: Peer.send_call(peer, id, sleep)
    for _ <- 1..count//1, do: Peer.next(peer)
    for id <- 1..200, do: Peer.call(peer, id, quick)
    idle = Series.summary(for id <- 1..calls, do: timed(fn -> Peer.call(peer, id, quick) end))

    others = for n <- 1..slow//1, into: %{}, do: {first_slow + n, sleep}
    hog_s = options["hog_s"]

    others =
      if hog_s, do: Map.put(others, @hog_id, Peer.prepare(peer, "spin", [hog_s])), else: others

    for {id, request} <- others, do: Peer.send_call(peer, id, request)
    times = for id <- 1..calls, do: timed(fn -> quick_among_others(peer, id, quick, others) end)
    for _ <- others, do: Peer.next(peer)
    busy = Series.summary(times)

    Map.merge(busy, %{
      "idle_p50_us" => idle["p50_us"],
      "slowdown" => busy["p50_us"] / idle["p50_us"]
    })
  end

  defp quick_among_others(peer, id, quick, others) do
    Peer.send_call(peer, id, quick)
    await_quick(peer, id, others)
  end

  defp await_quick(peer, id, others) do
    case Peer.next(peer) do
      ^id ->
        :ok

      other ->
        Peer.send_call(peer, other, Map.fetch!(others, other))
        await_quick(peer, id, others)
    end
  end

  # quick calls one at a time while one tool computes in Python
  defp beside_hog(peer, %{"seconds" => seconds}) do
    quick = small(peer)
    for id <- 1..200, do: Peer.call(peer, id, quick)
    Peer.send_call(peer, @hog_id, Peer.prepare(peer, "spin", [seconds]))
    times = until_hog_ends(peer, quick, 1, [])
    times |> Series.summary() |> Map.put("quantiles_us", Series.quantiles_us(times))
  end

  defp until_hog_ends(peer, quick, id, times) do
    started = now()
    Peer.send_call(peer, id, quick)

    case Peer.next(peer) do
      ^id ->
        until_hog_ends(peer, quick, id + 1, [now() - started | times])

      @hog_id ->
        # the quick call that was in flight counts, too
        ^id = Peer.next(peer)
        [now() - started | times]
    end
  end

  # -- streams ----------------------------------------------------------------------------------

  # items of a stream at once from start to end, with `credit` items granted ahead
  defp stream(peer, %{"items" => items, "credit" => credit}) do
    options = %{"stream" => %{"items" => credit, "bytes" => 1_048_576}}
    warm = Peer.prepare(peer, "count", [1_000], options)
    Peer.send_call(peer, 1, warm)
    take(peer, 1, 0, credit)
    request = Peer.prepare(peer, "count", [items], options)

    ns =
      timed(fn ->
        Peer.send_call(peer, 2, request)
        ^items = take(peer, 2, 0, credit)
      end)

    %{"items_s" => items / ns * 1.0e9}
  end

  defp take(peer, id, taken, credit) do
    case Peer.next_item(peer) do
      :item ->
        half = div(credit, 2)
        if rem(taken + 1, half) == 0, do: Peer.notify(peer, "$/credit", [id, half, half * 16])
        take(peer, id, taken + 1, credit)

      {:end, ^id} ->
        taken
    end
  end

  # -- two at once ------------------------------------------------------------------------------

  # one call of a tool that computes, then two at the same time: 2.0 is twice the work in the time
  defp pair(peer, %{"tool" => tool, "args" => args, "times" => times}) do
    request = Peer.prepare(peer, tool, args)
    Peer.send_call(peer, 1, request)
    Peer.send_call(peer, 2, request)
    for _ <- 1..2, do: Peer.next(peer)

    {ones, twos} =
      Enum.unzip(
        for _ <- 1..times do
          one = timed(fn -> Peer.call(peer, 1, request) end)

          two =
            timed(fn ->
              Peer.send_call(peer, 1, request)
              Peer.send_call(peer, 2, request)
              for _ <- 1..2, do: Peer.next(peer)
            end)

          {one, two}
        end
      )

    one = Series.median(ones)
    two = Series.median(twos)
    %{"one_ms" => one / 1.0e6, "two_ms" => two / 1.0e6, "speedup" => 2 * one / two}
  end

  # -- parts ------------------------------------------------------------------------------------

  defp small(%Peer{dialect: "erlport"} = peer), do: Peer.prepare(peer, "echo", [[{"x", 1}]])
  defp small(peer), do: Peer.prepare(peer, "echo", [%{"x" => 1}])

  defp timed(fun) do
    started = now()
    fun.()
    now() - started
  end

  defp now, do: :erlang.monotonic_time(:nanosecond)
end
