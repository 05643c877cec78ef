defmodule Bridge.Callers do
  @moduledoc false

  # The processes that call: a monitor for each, and the ids of its calls.
  #
  # Most that call once call again, so a monitor outlives the call. What is kept so of processes that
  # have no call in flight has a limit. That a call has ended is not noted: an id that is in flight no
  # more goes when its process calls again, or is looked for. All functions run in the client's process.

  # So many processes are monitored although they have no call in flight, and once more as many as
  # there are calls.
  @idle 1_000

  @type t :: %{optional(pid) => {monitor :: reference, [Bridge.Connection.id()]}}

  @typedoc "What is in flight, by its id."
  @type calls :: %{optional(Bridge.Connection.id()) => term}

  @doc "No callers."
  @spec new() :: t
  def new, do: %{}

  @doc "A process has a call; when it dies, a message comes that begins with `:bridge_caller_down`."
  @spec add(t, pid, Bridge.Connection.id(), calls) :: t
  def add(callers, pid, id, calls) do
    case callers do
      %{^pid => {monitor, [last]}} when not is_map_key(calls, last) ->
        %{callers | pid => {monitor, [id]}}

      %{^pid => {monitor, ids}} ->
        %{callers | pid => {monitor, [id | in_flight(ids, calls)]}}

      _new ->
        monitor = :erlang.monitor(:process, pid, tag: :bridge_caller_down)

        callers
        |> forget_some(calls)
        |> Map.put(pid, {monitor, [id]})
    end
  end

  # Half of them go at least, so in the mean this costs little.
  defp forget_some(callers, calls) when map_size(callers) <= @idle + 2 * map_size(calls),
    do: callers

  defp forget_some(callers, calls) do
    for {pid, {monitor, ids}} <- callers, reduce: callers do
      callers ->
        if in_flight(ids, calls) == [] do
          # without :flush, which looks through all messages: who has died has no calls here
          Process.demonitor(monitor)
          Map.delete(callers, pid)
        else
          callers
        end
    end
  end

  defp in_flight(ids, calls), do: Enum.filter(ids, &is_map_key(calls, &1))

  @doc "The calls of a process that are in flight, newest first."
  @spec ids(t, pid, calls) :: [Bridge.Connection.id()]
  def ids(callers, pid, calls) do
    case callers do
      %{^pid => {_monitor, ids}} -> in_flight(ids, calls)
      _none -> []
    end
  end

  @doc "A process has died."
  @spec down(t, pid) :: t
  def down(callers, pid), do: Map.delete(callers, pid)
end
