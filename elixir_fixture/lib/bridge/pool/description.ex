defmodule Bridge.Pool.Description do
  @moduledoc false

  # What is told of a pool: `Bridge.Pool.info/1`, and what its process answers as a client does.

  alias Bridge.Pool.{Keeper, Line, Nodes, Processes, Seat}

  # The first of these that a process is in is the state of the pool.
  @states ~w(ready draining starting waiting)a

  @doc "`Bridge.Pool.info/1`, with what `Bridge.info/1` has of a client."
  @spec info(Keeper.t()) :: map
  def info(state) do
    processes = Enum.map(sorted(state), &describe/1)
    serves = Enum.find(Processes.all(state.processes, :current), &(&1.state == :ready))

    %{
      size: state.processes.size,
      processes: processes,
      waiting: Line.waiting(state.processes.routes),
      recycled: state.recycled,
      died: state.died,
      nodes: Nodes.describe(state),
      os_pid: serves && serves.os_pid,
      ready: serves && serves.ready,
      calls: processes |> Enum.map(& &1.calls) |> Enum.sum()
    }
  end

  @doc "`Bridge.status/1`."
  @spec status(Keeper.t()) :: map
  def status(state) do
    current = Processes.all(state.processes, :current)
    states = Enum.map(current, & &1.state)
    now = Enum.find(@states, :starting, &(&1 in states))
    now = if now != :ready and Nodes.serve?(state), do: :ready, else: now

    %{
      state: if(state.stopping, do: :draining, else: now),
      os_pid: Enum.find_value(current, & &1.os_pid),
      starts: current |> Enum.map(& &1.starts) |> Enum.sum(),
      failures: Enum.count(current, & &1.failure),
      reason: Enum.find_value(current, & &1.failure),
      next_try_in_ms: nil,
      processes: Map.new(current, &{&1.slot, &1.state})
    }
  end

  defp sorted(state),
    do: state.processes.members |> Map.values() |> Enum.sort_by(&{&1.slot, &1.began})

  defp describe(member) do
    %{
      slot: member.slot,
      client: member.client,
      state: state(member),
      os_pid: member.os_pid,
      calls: Seat.load(member.seat.counters),
      served: Seat.served(member.seat.counters),
      age_ms: member.since && System.monotonic_time(:millisecond) - member.since,
      rss_bytes: member.health["rss_bytes"],
      abandoned: Processes.abandoned(member),
      reason: member.failure
    }
  end

  defp state(%{role: :leaving}), do: :draining
  defp state(%{blocked: n, state: :ready}) when n > 0, do: :blocked
  defp state(member), do: member.state
end
