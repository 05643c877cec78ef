defmodule Bench.Loads do
  @moduledoc """
  Loads that applications have, as their callers see them. Each function takes a `Bench.Peer` or a
  `Bench.Client` and the job's options, and returns a map of figures, CPU time of both sides for
  each call among them.
  """

  alias Bench.{Client, Peer, Series}

  @names ["values", "predict", "tokens", "idle_streams", "mix", "window_costs", "long_run"]
  @ticks_s 100

  @doc "Whether a workload is one of these."
  def has?(name), do: name in @names

  @doc "Runs one workload by its name."
  def run("values", subject, %{"value" => value} = options),
    do: called(subject, "echo", value(value), options)

  def run("predict", subject, options) do
    rows = for n <- 1..10, do: for(k <- 1..8, do: n * k / 7)
    called(subject, "predict", rows, options)
  end

  # each of `callers` takes a stream of `items`; an item says when it was made
  def run("tokens", %Client{} = client, %{"callers" => callers, "items" => items} = options) do
    arguments = [items, options["per_s"]]

    take = fn ->
      for item <- client.stream.("tokens", arguments, 64) do
        {made, _} = Integer.parse(item)
        :os.system_time(:nanosecond) - made
      end
    end

    together(callers, fn -> Enum.take(client.stream.("tokens", [1, 1.0], 64), 1) end)
    measured(client, callers * items, fn -> together(callers, take) end)
  end

  # one call at a time while many streams wait for their next item
  def run("idle_streams", %Client{} = client, %{"streams" => streams, "calls" => calls}) do
    echo(client, div(calls, 10))
    parent = self()

    tasks =
      for _ <- 1..streams do
        Task.async(fn ->
          Enum.each(client.stream.("idle", [], 2), fn _ -> send(parent, :open) end)
        end)
      end

    for _ <- 1..streams, do: receive(do: (:open -> :ok))
    figures = measured(client, calls, fn -> echo(client, calls) end)
    for task <- tasks, do: Task.shutdown(task, :brutal_kill)
    figures
  end

  # `callers`, of whose calls each twentieth sleeps: the times of the others
  def run("mix", %Client{} = client, %{"callers" => callers, "each" => each, "slow_s" => slow_s}) do
    parent = self()
    echo(client, 200)

    for n <- 1..callers,
        do: spawn_link(fn -> send(parent, {:times, mix(client, n, each, slow_s)}) end)

    measured(client, callers * each, fn ->
      Enum.flat_map(1..callers, fn _ -> receive(do: ({:times, times} -> times)) end)
    end)
  end

  # `windows`: list of [calls in flight, calls]: what each call costs, in microseconds
  def run("window_costs", %Peer{} = peer, %{"windows" => windows}) do
    request = Peer.prepare(peer, "echo", [%{"x" => 1}])
    window(peer, request, 64, 2_000)

    points =
      for [size, calls] <- windows do
        window(peer, request, size, size)
        {ns, _} = timed(fn -> window(peer, request, size, calls) end)
        [size, ns / calls / 1000]
      end

    %{"us" => points |> List.last() |> List.last(), "points" => points}
  end

  # what a call costs when so many were made before, in microseconds: by the last tenth of each
  def run("long_run", subject, %{"marks" => marks}) do
    argument = %{"x" => 1}
    times(subject, "echo", argument, 64, 2_000)

    {points, _} =
      Enum.map_reduce(marks, 0, fn mark, done ->
        tenth = div(mark - done, 10)
        times(subject, "echo", argument, 64, mark - done - tenth)
        {ns, _} = timed(fn -> times(subject, "echo", argument, 64, tenth) end)
        {[mark, ns / tenth / 1000], mark}
      end)

    %{"us" => points |> List.last() |> List.last(), "points" => points}
  end

  # -- calls --------------------------------------------------------------------------------------

  defp called(subject, tool, argument, %{"callers" => callers, "calls" => calls}) do
    times(subject, tool, argument, callers, div(calls, 10))
    measured(subject, calls, fn -> times(subject, tool, argument, callers, calls) end)
  end

  # so many calls by so many callers: how long each took
  defp times(%Client{} = client, tool, argument, callers, calls) do
    each = max(div(calls, callers), 1)
    call = fn -> timed(fn -> client.call.(tool, [argument]) end) |> elem(0) end
    together(callers, fn -> for _ <- 1..each, do: call.() end)
  end

  defp times(%Peer{} = peer, tool, argument, callers, calls),
    do: window(peer, Peer.prepare(peer, tool, [encoded(argument)]), callers, calls)

  defp encoded({:bytes, _} = bytes),
    do: {:encoded, bytes |> Bridge.Msgpack.encode!() |> IO.iodata_to_binary()}

  defp encoded(value), do: value

  defp window(peer, request, size, calls) do
    sent = for id <- 1..min(size, calls), into: %{}, do: {id, send_now(peer, id, request)}
    refill(peer, request, map_size(sent) + 1, calls, sent, [])
  end

  defp refill(_peer, _request, _next, _calls, sent, times) when sent == %{}, do: times

  defp refill(peer, request, next, calls, sent, times) do
    {began, sent} = Map.pop!(sent, Peer.next(peer))
    times = [now() - began | times]

    if next <= calls do
      sent = Map.put(sent, next, send_now(peer, next, request))
      refill(peer, request, next + 1, calls, sent, times)
    else
      refill(peer, request, next, calls, sent, times)
    end
  end

  defp send_now(peer, id, request) do
    began = now()
    Peer.send_call(peer, id, request)
    began
  end

  defp echo(client, calls) do
    for _ <- 1..calls, do: timed(fn -> client.call.("echo", [%{"x" => 1}]) end) |> elem(0)
  end

  defp mix(client, caller, each, slow_s) do
    Enum.flat_map(1..each, fn n ->
      slow = rem(n + caller, 20) == 0
      {tool, argument} = if slow, do: {"sleep", slow_s}, else: {"echo", %{"x" => 1}}
      {ns, _} = timed(fn -> client.call.(tool, [argument]) end)
      if slow, do: [], else: [ns]
    end)
  end

  # -- values ---------------------------------------------------------------------------------------

  defp value("map") do
    for n <- 1..16, into: %{}, do: {"field_#{n}", String.duplicate("value ", 8) <> "#{n}"}
  end

  defp value("table") do
    for n <- 1..100 do
      %{"id" => n, "name" => "name #{n}", "price" => n / 3, "sold" => rem(n, 2) == 0, "at" => nil}
    end
  end

  defp value("embedding"), do: for(n <- 1..384, do: :math.sin(n))
  defp value("image"), do: {:bytes, :binary.copy(<<7>>, 65_536)}

  # -- figures --------------------------------------------------------------------------------------

  defp measured(subject, calls, fun) do
    python = os_pid(subject)
    {ours, theirs} = {cpu_s("self"), cpu_s(python)}
    {ns, times} = timed(fun)

    times
    |> Series.summary()
    |> Map.merge(%{
      "calls_s" => calls / ns * 1.0e9,
      "cpu_elixir_us" => (cpu_s("self") - ours) / calls * 1.0e6,
      "cpu_python_us" => (cpu_s(python) - theirs) / calls * 1.0e6
    })
  end

  defp os_pid(%Client{os_pid: os_pid}), do: os_pid
  defp os_pid(%Peer{port: port}), do: port |> Port.info(:os_pid) |> elem(1)

  # of a process, all its threads together; 0 where there is no /proc
  defp cpu_s(pid) do
    case File.read("/proc/#{pid}/stat") do
      {:ok, text} ->
        fields = text |> String.split(")") |> List.last() |> String.split()
        (fields |> Enum.slice(11, 2) |> Enum.map(&String.to_integer/1) |> Enum.sum()) / @ticks_s

      {:error, _} ->
        0.0
    end
  end

  # all that so many processes return, in one list
  defp together(count, fun) do
    1..count
    |> Enum.map(fn _ -> Task.async(fun) end)
    |> Task.await_many(:infinity)
    |> Enum.concat()
  end

  defp timed(fun) do
    began = now()
    result = fun.()
    {now() - began, result}
  end

  defp now, do: :erlang.monotonic_time(:nanosecond)
end
