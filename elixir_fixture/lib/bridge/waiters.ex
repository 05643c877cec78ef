defmodule Bridge.Waiters do
  @moduledoc false

  # Who waits until Python is ready: the alias of each, and a monitor of its process. One whose time is
  # over says so, and one that dies is told of; so none is kept for longer than it waits, however long
  # there is no Python. All functions run in the process that is waited for.

  @type t :: %{optional(from :: reference) => monitor :: reference}

  @doc "Nobody waits."
  @spec new() :: t
  def new, do: %{}

  @doc """
  One more waits. When its process dies a message comes that begins with `{:bridge_waiter_down, from}`.
  """
  @spec add(t, from :: reference, pid) :: t
  def add(waiters, from, pid) do
    monitor = :erlang.monitor(:process, pid, tag: {:bridge_waiter_down, from})
    Map.put(waiters, from, monitor)
  end

  @doc "That one waits no more."
  @spec remove(t, from :: reference) :: t
  def remove(waiters, from) do
    {monitor, waiters} = Map.pop(waiters, from)
    # without :flush, which looks through all messages: what comes of it finds nobody here
    if monitor, do: Process.demonitor(monitor)
    waiters
  end

  @doc "Answers all of them."
  @spec answer(t, term) :: :ok
  def answer(waiters, answer) do
    for {from, monitor} <- waiters do
      Process.demonitor(monitor)
      send(from, {from, answer})
    end

    :ok
  end
end
