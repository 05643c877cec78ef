defmodule Bridge.Callers do
  @moduledoc false

  # The processes that call: a monitor for each, and the ids of its calls.
  #
  # Most that call once call again, so a monitor outlives the call. What is kept so of processes that
  # have no call in flight has a limit. All functions run in the client's process.

  # So many processes are monitored although they have no call in flight.
  @idle 1_000

  @type t :: %{optional(pid) => {monitor :: reference, [Bridge.Connection.id()]}}

  @doc "No callers."
  @spec new() :: t
  def new, do: %{}

  @doc "A process has a call; when it dies, a message comes that begins with `:bridge_caller_down`."
  @spec add(t, pid, Bridge.Connection.id()) :: t
  def add(callers, pid, id) do
    case callers do
      %{^pid => {monitor, ids}} ->
        %{callers | pid => {monitor, [id | ids]}}

      _new ->
        monitor = :erlang.monitor(:process, pid, tag: :bridge_caller_down)
        Map.put(callers, pid, {monitor, [id]})
    end
  end

  @doc "A call has ended."
  @spec remove(t, pid, Bridge.Connection.id()) :: t
  def remove(callers, pid, id) do
    case callers do
      %{^pid => {monitor, [^id]}} when map_size(callers) <= @idle ->
        %{callers | pid => {monitor, []}}

      %{^pid => {monitor, [^id]}} ->
        Process.demonitor(monitor, [:flush])
        Map.delete(callers, pid)

      %{^pid => {monitor, ids}} ->
        %{callers | pid => {monitor, List.delete(ids, id)}}

      _dead ->
        callers
    end
  end

  @doc "The calls of a process, newest first."
  @spec ids(t, pid) :: [Bridge.Connection.id()]
  def ids(callers, pid) do
    case callers do
      %{^pid => {_monitor, ids}} -> ids
      _none -> []
    end
  end

  @doc "A process has died."
  @spec down(t, pid) :: t
  def down(callers, pid), do: Map.delete(callers, pid)
end
