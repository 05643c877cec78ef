defmodule Bridge.Test.Pools do
  @moduledoc """
  Pools of real processes for tests.
  """

  import Bridge.TestCase

  @doc "Options for a pool that serves the tools of `pool_tools.py`."
  def pool_options(opts \\ []) do
    options(adapter: "pool_tools:PoolTools", max_workers: 2, processes: 2, check_every: 0.05)
    |> Keyword.merge(opts)
    |> Keyword.update!(:env, &Map.merge(options()[:env], Map.new(&1)))
  end

  @doc "Starts a pool under the test's supervisor."
  def start_pool(opts \\ []),
    do: ExUnit.Callbacks.start_supervised!({Bridge.Pool, pool_options(opts)})

  @doc "The processes that have a slot, by its number."
  def current(pool) do
    {:ok, info} = Bridge.Pool.info(pool)

    for %{state: state} = process <- info.processes,
        state != :draining,
        into: %{},
        do: {process.slot, process}
  end

  @doc "The pids of Python, by slot."
  def os_pids(pool), do: Map.new(current(pool), fn {slot, process} -> {slot, process.os_pid} end)

  @doc "A call in a process of its own, that waits until `path` is there. Returns when it runs in Python."
  def occupy(pool, path, opts \\ []) do
    before = in_flight(pool)
    task = Task.async(fn -> Bridge.call(pool, "waits_for", [path], [timeout: 60_000] ++ opts) end)
    eventually(fn -> in_flight(pool) > before end)
    task
  end

  @doc "How many calls have a place."
  def in_flight(pool) do
    {:ok, info} = Bridge.Pool.info(pool)
    info.calls
  end

  @doc "How many calls the processes that there are have had."
  def served(pool) do
    {:ok, %{processes: processes}} = Bridge.Pool.info(pool)
    processes |> Enum.map(& &1.served) |> Enum.sum()
  end

  @doc "How many calls stand in line."
  def waiting(pool) do
    {:ok, info} = Bridge.Pool.info(pool)
    info.waiting
  end

  @doc "How often each number stands in a ledger."
  def ledger(path) do
    case File.read(path) do
      {:ok, text} ->
        text
        |> String.split("\n", trim: true)
        |> Enum.map(&String.to_integer/1)
        |> Enum.frequencies()

      {:error, :enoent} ->
        %{}
    end
  end

  @doc """
  Callers that call and stream, one call after the other, until `stop/1`. Each call of `tool` enters a
  number of its own in the ledger.
  """
  def start_load(pool, ledger, count, opts \\ []) do
    tool = Keyword.get(opts, :tool, "enters")
    numbers = :atomics.new(1, signed: false)
    stop = :atomics.new(1, signed: false)

    tasks =
      for caller <- 1..count do
        Task.async(fn -> caller(pool, ledger, tool, numbers, stop, rem(caller, 4) == 0, []) end)
      end

    %{tasks: tasks, stop: stop}
  end

  @doc "Ends the callers, and returns what they got: `{number, result}` of calls, `{:stream, result}` of streams."
  def stop_load(load) do
    :atomics.put(load.stop, 1, 1)
    load.tasks |> Task.await_many(60_000) |> Enum.concat()
  end

  defp caller(pool, ledger, tool, numbers, stop, streams?, results) do
    if :atomics.get(stop, 1) == 1 do
      results
    else
      result = if streams?, do: {:stream, stream(pool)}, else: call(pool, ledger, tool, numbers)
      caller(pool, ledger, tool, numbers, stop, streams?, [result | results])
    end
  end

  defp call(pool, ledger, tool, numbers) do
    number = :atomics.add_get(numbers, 1, 1)
    seconds = if rem(number, 8) == 0, do: 0.005, else: 0
    {number, Bridge.call(pool, tool, [ledger, number, seconds], timeout: 30_000)}
  end

  defp stream(pool) do
    {:ok, pool |> Bridge.stream("counts", [20, 0.001]) |> Enum.to_list()}
  rescue
    error in Bridge.Error -> {:error, error}
  end
end
