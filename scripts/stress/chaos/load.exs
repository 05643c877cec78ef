# The load of scripts/chaos: an Elixir program that calls Python without pause, and tells on request
# what has become of its calls. It is driven by lines on its standard input, one reply for each.
#
#     elixir -pa EBIN load.exs CLIENTS GRACE APP_DIR

defmodule Chaos.Load do
  alias Bridge.Client

  # callers for each client: 16 whose tools take long, 8 quick ones, large frames, a stream, and 8 whose
  # tools call back, so that there are always calls in the middle of calls, in both directions
  @callers List.duplicate(:sleeps, 8) ++
             List.duplicate(:waits, 8) ++
             List.duplicate(:echoes, 8) ++
             [:large, :large, :streams] ++
             List.duplicate(:nests, 8)
  @large :binary.copy(<<0, 255>>, 200_000)
  # what must happen, happens within so many milliseconds, or counts as lost
  @patience_ms 15_000

  def main([clients, grace, app_dir]) do
    clients = for n <- 1..String.to_integer(clients), do: :"python_#{n}"
    :ets.new(:calls, [:named_table, :public, write_concurrency: true])
    # calls, answers, wrong answers
    counters = :counters.new(3, [])

    children =
      for name <- clients do
        options = [
          adapter: "fault_tools:Faults",
          app_dir: app_dir,
          max_workers: 24,
          grace: String.to_float(grace),
          name: name,
          functions: %{"descend" => &descend(name, &1)}
        ]

        {Client, options}
      end

    {:ok, _supervisor} =
      Supervisor.start_link(children, strategy: :one_for_one, max_restarts: 1_000_000)

    for name <- clients, {kind, number} <- Enum.with_index(@callers) do
      spawn_link(fn -> call_without_end(name, kind, {name, number}, counters, 1) end)
    end

    wait_until(fn -> :counters.get(counters, 2) > 20 end)
    IO.puts("ready")
    serve(counters)
  end

  defp call_without_end(name, kind, key, counters, number) do
    :ets.insert(:calls, {key, number, :in_flight})
    :counters.add(counters, 1, 1)
    outcome = call(kind, name, number)
    :counters.add(counters, 2, 1)
    if outcome == :wrong, do: :counters.add(counters, 3, 1)
    :ets.insert(:calls, {key, number, :answered})
    # it is not there while it is started anew
    if outcome == :failed, do: Process.sleep(5)
    call_without_end(name, kind, key, counters, number + 1)
  end

  defp call(:sleeps, name, _number) do
    Client.call(name, "sleep", [Enum.random(1..10) / 10]) |> outcome(&is_float/1)
  end

  defp call(:waits, name, _number) do
    case Client.call(name, "waits", [60], timeout: Enum.random(100..2_000)) do
      {:error, %Bridge.Error{code: :deadline_exceeded}} -> :right
      outcome -> outcome(outcome, fn _result -> false end)
    end
  end

  defp call(:echoes, name, number) do
    value = [Atom.to_string(name), number, inspect(self())]
    Client.call(name, "echo", [value]) |> outcome(&(&1 == value))
  end

  defp call(:large, name, _number) do
    Client.call(name, "echo", [{:bytes, @large}]) |> outcome(&(&1 == @large))
  end

  defp call(:streams, name, _number) do
    items = name |> Client.stream("blobs", [1000], timeout: @patience_ms) |> Enum.take(20)
    if length(items) == 20, do: :right, else: :wrong
  rescue
    Bridge.Error -> :failed
  end

  defp call(:nests, name, _number) do
    Client.call(name, "nests", [3]) |> outcome(&(&1 == 3))
  end

  defp descend(name, depth) do
    Process.sleep(:rand.uniform(20))
    Client.call!(name, "nests", [depth])
  end

  defp outcome({:ok, result}, right?), do: if(right?.(result), do: :right, else: :wrong)
  defp outcome({:error, %Bridge.Error{}}, _right?), do: :failed

  ## What the program that does the harm asks

  defp serve(counters) do
    case IO.gets("") do
      line when is_binary(line) ->
        reply = line |> String.split() |> answer(counters)
        IO.puts(Enum.map_join(reply, " ", fn {key, value} -> "#{key}=#{value}" end))
        serve(counters)

      _end_of_file ->
        System.halt(0)
    end
  end

  defp answer(["counts"], counters) do
    [calls, answers, wrong] = for n <- 1..3, do: :counters.get(counters, n)
    [calls: calls, answers: answers, wrong: wrong]
  end

  # Starts a child process in a tool, and notes which calls are in flight.
  defp answer(["aim", client], _counters) do
    name = String.to_existing_atom(client)
    child = until_ok(name, fn -> Client.call(name, "leaves_a_child") end)
    {:ok, %{os_pid: os_pid}} = Client.info(name)
    pending = pending(name)
    :ets.insert(:calls, {:pending, name, pending})
    [os_pid: os_pid, child: child, pending: length(pending)]
  end

  # Calls a tool, and tells the code of its error.
  defp answer(["call", client, tool | args], _counters) do
    args = Enum.map(args, &String.to_integer/1)

    case Client.call(String.to_existing_atom(client), tool, args, timeout: @patience_ms) do
      {:ok, _result} -> [code: :ok]
      {:error, error} -> [code: error.code]
    end
  end

  # Waits until all that was in flight is answered, and the next call works.
  defp answer(["settle", client], _counters) do
    name = String.to_existing_atom(client)
    [{:pending, ^name, pending}] = :ets.lookup(:calls, :pending)
    began = now()
    wait_until(fn -> Enum.all?(pending, &answered?/1) end)
    lost = Enum.count(pending, &(not answered?(&1)))
    answered_ms = now() - began
    until_ok(name, fn -> Client.call(name, "echo", [1]) end)
    until_ok(name, fn -> Client.call(name, "nests", [2]) end)
    {:ok, %{os_pid: os_pid}} = Client.info(name)
    [lost: lost, answered_ms: answered_ms, works_ms: now() - began, os_pid: os_pid]
  end

  defp pending(name) do
    for {{^name, _} = key, number, :in_flight} <- :ets.tab2list(:calls), do: {key, number}
  end

  defp answered?({key, number}) do
    [{^key, latest, state}] = :ets.lookup(:calls, key)
    latest > number or state == :answered
  end

  defp until_ok(name, call, deadline \\ now() + @patience_ms) do
    case call.() do
      {:ok, result} ->
        result

      {:error, error} ->
        if now() > deadline, do: raise(error)
        # one that is killed again and again is started after pauses, which nobody waits for here
        with {:ok, %{state: :waiting}} <- Bridge.status(name), do: Bridge.restart(name)
        Process.sleep(5)
        until_ok(name, call, deadline)
    end
  end

  defp wait_until(reached?, deadline \\ now() + @patience_ms) do
    unless reached?.() or now() > deadline do
      Process.sleep(2)
      wait_until(reached?, deadline)
    end
  end

  defp now, do: System.monotonic_time(:millisecond)
end

Logger.configure(level: :none)
Chaos.Load.main(System.argv())
