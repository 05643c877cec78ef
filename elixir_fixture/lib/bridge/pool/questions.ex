defmodule Bridge.Pool.Questions do
  @moduledoc false

  # Questions to Python that all processes of a pool are asked, and whose answers become one: `$/stats`,
  # `$/health` and `$/stacks`. Pure but for `ask/3`, which runs in the process that asks.
  #
  # Numbers are added, lists put together; what stands for the process itself is kept under `processes`.

  alias Bridge.Error
  alias Bridge.Pool.{Away, Routes}

  @asked ~w($/stats $/health $/stacks)

  # The first of these that a process says is what the pool is.
  @states ~w(serving draining blocked stuck)

  @doc "Whether all processes are asked."
  @spec for_all?(Bridge.tool()) :: boolean
  def for_all?(tool), do: tool in @asked

  @doc """
  Asks all processes at once, with `ask`. An error only if none of them answers.
  """
  @spec ask(Routes.t(), String.t(), (pid -> {:ok, map} | {:error, Error.t()})) ::
          {:ok, map} | {:error, Error.t()}
  def ask(routes, question, ask) do
    answers =
      routes
      |> slots()
      |> Enum.map(fn {slot, at} -> {slot, start(fn -> ask_one(routes, at, ask) end)} end)
      |> Enum.map(fn {slot, monitor} -> {slot, await(monitor)} end)

    case {answers, for({slot, {:ok, answer}} <- answers, do: {slot, answer})} do
      {[{_slot, error} | _], []} -> error
      {[], []} -> {:error, starting(routes)}
      {_all, good} -> {:ok, merge(question, good, answers)}
    end
  rescue
    # the table has gone with the pool
    ArgumentError ->
      {:error,
       %Error{code: :unavailable, message: "#{routes.name} is not running", started: false}}
  end

  # A pool that has no processes of its own asks those of other nodes.
  defp slots(routes) do
    with [] <- Routes.slots(routes) do
      for {client, _, _, slot} = route <- Away.all(routes),
          do: {"#{slot} on #{node(client)}", route}
    end
  end

  # Not tasks: their links would leave a message with a process that traps exits.
  defp start(ask) do
    {_pid, monitor} = spawn_monitor(fn -> exit({:bridge_answer, ask.()}) end)
    monitor
  end

  defp await(monitor) do
    receive do
      {:DOWN, ^monitor, :process, _pid, {:bridge_answer, answer}} ->
        answer

      {:DOWN, ^monitor, :process, _pid, reason} ->
        message = "asking the process has failed: #{Exception.format_exit(reason)}"
        {:error, %Error{code: :internal, message: message}}
    end
  end

  defp ask_one(_routes, {client, _counters, _limit, _slot}, ask), do: ask.(client)
  defp ask_one(routes, nil, _ask), do: {:error, starting(routes)}
  defp ask_one(_routes, error, _ask), do: {:error, error}

  defp starting(routes) do
    message = "#{routes.name}: the process is not ready yet"
    %Error{code: :unavailable, message: message, started: false}
  end

  defp merge("$/stacks", good, _all) do
    threads =
      for {slot, answer} <- good,
          thread <- answer["threads"],
          do: Map.put(thread, "process", slot)

    %{"threads" => threads, "note" => Enum.find_value(good, fn {_slot, a} -> a["note"] end)}
  end

  defp merge(_question, good, all) do
    merged = good |> Enum.map(&elem(&1, 1)) |> Enum.reduce(&add(&2, &1))
    Map.put(merged, "processes", for({slot, answer} <- all, do: one(slot, answer)))
  end

  # Per tool the sums are enough.
  defp one(slot, {:ok, answer}), do: answer |> Map.delete("tools") |> Map.put("slot", slot)

  defp one(slot, {:error, error}),
    do: %{"slot" => slot, "status" => "down", "error" => error.message}

  @doc """
  Adds the answer of one process to those of others.

      iex> Bridge.Pool.Questions.add(%{"calls" => 1, "status" => "blocked"}, %{"calls" => 2, "status" => "serving"})
      %{"calls" => 3, "status" => "serving"}

  """
  @spec add(map, map) :: map
  def add(one, other) do
    merged = Map.merge(one, other, &add/3)
    if is_map_key(merged, "below_us"), do: Map.merge(merged, quantiles(merged)), else: merged
  end

  defp add("status", one, other), do: Enum.find(@states, one, &(&1 in [one, other]))
  defp add("uptime_s", one, other), do: max(one, other)
  defp add("python", one, _other), do: one
  defp add(_key, one, other) when is_number(one) and is_number(other), do: one + other
  defp add(_key, %{} = one, %{} = other), do: add(one, other)
  defp add(_key, one, other) when is_list(one) and is_list(other), do: one ++ other
  defp add(_key, nil, other), do: other
  defp add(_key, one, _other), do: one

  # As Python has them of one process: the upper bound of the bucket.
  defp quantiles(%{"below_us" => below}) do
    buckets = Enum.sort(below)
    total = buckets |> Enum.map(&elem(&1, 1)) |> Enum.sum()
    %{"p50_us" => quantile(buckets, total * 0.5), "p99_us" => quantile(buckets, total * 0.99)}
  end

  defp quantile(buckets, rank) do
    buckets
    |> Enum.reduce_while(0, fn {bound, count}, seen ->
      if seen + count >= rank, do: {:halt, {:bound, bound}}, else: {:cont, seen + count}
    end)
    |> case do
      {:bound, bound} -> bound
      _none -> 0
    end
  end
end
