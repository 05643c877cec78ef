defmodule Bridge.Pool.Processes do
  @moduledoc false

  # The processes of a pool, each with its client: which slot each has, and how it comes and goes. All
  # functions run in the keeper's process.
  #
  # | role | what it is |
  # | --- | --- |
  # | `:current` | has the slot; calls go there while Python serves |
  # | `:next` | starts, and gets the slot when it is ready |
  # | `:leaving` | has lost the slot; ends its calls, and then itself |
  #
  # A client starts its Python again by itself when that ends. Only one whose own process has ended is
  # replaced.

  alias Bridge.{Error, Server, Telemetry}
  alias Bridge.Pool.{Routes, Seat}

  # More calls than there are processes in the runtime, and less than what shuts a seat.
  @most 0x7FFF_FFFF

  # How often to look whether a process that leaves has ended its calls.
  @drained_ms 10

  @enforce_keys [:settings, :routes]
  # `closed` is the error of all calls once the pool stops.
  defstruct [:settings, :routes, :closed, size: 0, members: %{}]

  @type role :: :current | :next | :leaving

  @typedoc """
  `since` is when Python became ready, `failure` why calls are refused, `blocked` how often in a row its
  health said so, `until` when it has to be gone, in milliseconds of the monotonic clock.
  """
  @type member :: %{
          client: pid,
          slot: Routes.slot(),
          role: role,
          seat: Seat.t(),
          state: :starting | :ready | :waiting | :draining,
          began: integer,
          since: integer | nil,
          os_pid: non_neg_integer | nil,
          ready: map | nil,
          limit: pos_integer,
          health: map,
          blocked: non_neg_integer,
          failure: Error.t() | nil,
          until: integer | nil,
          starts: non_neg_integer
        }

  @type t :: %__MODULE__{
          settings: Bridge.Pool.Options.settings(),
          routes: Routes.t(),
          closed: Error.t() | nil,
          size: non_neg_integer,
          members: %{optional(pid) => member}
        }

  @doc "Starts a client for a slot. Python's start is told of later."
  @spec start(t, Routes.slot(), :current | :next) :: t
  def start(processes, slot, role) do
    settings = processes.settings
    %{waiting: waiting, line: line} = processes.routes
    seat = Seat.new(waiting, line, settings.recycle[:max_calls], settings.check_ms)
    title = "#{settings.title}[#{slot}] (#{settings.client[:adapter]})"
    {:ok, client} = Server.Start.seated(settings.client, title, seat)

    member = %{
      client: client,
      slot: slot,
      role: role,
      seat: seat,
      state: :starting,
      began: System.monotonic_time(),
      since: nil,
      os_pid: nil,
      ready: nil,
      limit: 1,
      health: %{},
      blocked: 0,
      failure: nil,
      until: nil,
      starts: 0
    }

    put(processes, member)
  end

  @doc "Python is ready. One that was the next gets its slot, and the one before leaves."
  @spec ready(t, member, ready :: map, os_pid :: non_neg_integer | nil) :: t
  def ready(processes, member, ready, os_pid) do
    before = if member.role == :next, do: find(processes, member.slot, :current)
    workers = get_in(ready, ["limits", "max_workers"])
    workers = if is_integer(workers) and workers > 0, do: workers, else: 1

    member = %{
      member
      | role: if(member.role == :next, do: :current, else: member.role),
        state: :ready,
        since: now(),
        os_pid: os_pid,
        ready: ready,
        limit: min(workers + processes.settings.backlog, @most),
        health: %{},
        blocked: 0,
        failure: nil,
        starts: member.starts + 1
    }

    with tools when is_list(tools) <- ready["idempotent"],
         do: Routes.put_idempotent(processes.routes, Enum.filter(tools, &is_binary/1))

    tell(processes, :ready, member, %{duration: System.monotonic_time() - member.began})
    processes = processes |> put(member) |> publish()
    if before, do: leave(processes, before), else: processes
  end

  @doc "Python serves no more, but its client goes on."
  @spec down(t, member, Error.t(), pause_ms :: non_neg_integer) :: t
  def down(processes, member, error, pause) do
    tell(processes, :down, member, %{system_time: System.system_time()}, %{error: error})
    # whoever calls while the next one starts at once waits for it
    failure = if pause > 0, do: error
    state = if pause > 0, do: :waiting, else: :starting
    member = %{member | state: state, failure: failure, began: System.monotonic_time()}
    processes |> put(member) |> publish()
  end

  @doc "Takes the slot from a process; it ends when its calls have."
  @spec leave(t, member) :: t
  def leave(processes, member) do
    Seat.leave(member.seat)
    until = now() + processes.settings.drain_ms
    processes = put(processes, %{member | role: :leaving, until: until})
    if member.state == :ready, do: look_later(member), else: stop(member)
    publish(processes)
  end

  @doc "Takes these slots from whoever has them, or would get them."
  @spec leave_slots(t, [Routes.slot()]) :: t
  def leave_slots(processes, slots) do
    for({_client, m} <- processes.members, m.slot in slots, m.role != :leaving, do: m)
    |> Enum.reduce(processes, &leave(&2, &1))
  end

  @doc "No call gets a place any more, and all clients end."
  @spec close(t, Error.t()) :: t
  def close(processes, error) do
    send(processes.routes.line, {:refuse, error})
    for {_client, member} <- processes.members, do: stop(member)
    publish(%{processes | closed: error})
  end

  @doc "Looks whether a process that leaves has ended its calls, or must end them now."
  @spec drained(t, member) :: :ok
  def drained(_processes, member) do
    if Seat.load(member.seat.counters) == 0 or now() >= member.until,
      do: stop(member),
      else: look_later(member)
  end

  defp look_later(member),
    do: Process.send_after(self(), {:bridge_drained, member.client}, @drained_ms)

  @doc "Has a client end what runs, and end."
  @spec stop(member) :: :ok
  def stop(member) do
    send(member.client, {:bridge_stop, :shutdown})
    :ok
  end

  @doc "A client has ended."
  @spec gone(t, member) :: t
  def gone(processes, member) do
    Routes.delete(processes.routes, {:member, member.client})
    publish(%{processes | members: Map.delete(processes.members, member.client)})
  end

  @doc "Changes what is known of a process."
  @spec put(t, member) :: t
  def put(processes, member) do
    Routes.put_member(processes.routes, route(member))
    %{processes | members: Map.put(processes.members, member.client, member)}
  end

  @doc "The process of a slot that has this role; nil if there is none."
  @spec find(t, Routes.slot(), role) :: member | nil
  def find(processes, slot, role) do
    Enum.find_value(processes.members, fn {_client, member} ->
      if member.slot == slot and member.role == role, do: member
    end)
  end

  @doc "Those that have this role, by their slots."
  @spec all(t, role) :: [member]
  def all(processes, role) do
    members = for {_client, %{role: ^role} = member} <- processes.members, do: member
    Enum.sort_by(members, & &1.slot)
  end

  @doc "Changes how many slots there are."
  @spec resize(t, size :: non_neg_integer) :: t
  def resize(processes, size) do
    for slot <- size..(processes.size - 1)//1, do: Routes.delete(processes.routes, slot)
    publish(%{processes | size: size})
  end

  @doc "Writes the routes as they are, and has the line look for places."
  @spec publish(t) :: t
  def publish(%{closed: error} = processes) when error != nil do
    slots = for slot <- 0..(processes.size - 1)//1, into: %{}, do: {slot, error}
    Routes.publish(processes.routes, slots, [], error)
    if processes.routes.away?, do: send(self(), :bridge_published)
    processes
  end

  def publish(%{routes: routes} = processes) do
    current = for member <- all(processes, :current), into: %{}, do: {member.slot, member}
    slots = for slot <- 0..(processes.size - 1)//1, into: %{}, do: {slot, at(current[slot])}
    open = for {_slot, {client, _, _, _} = route} <- slots, do: {route, processes.members[client]}
    failures = for {_slot, %Error{} = failure} <- slots, do: failure
    refusal = if failures != [] and length(failures) == map_size(slots), do: hd(failures)
    Routes.publish(routes, slots, serving(open), refusal)
    send(routes.line, :free)
    if routes.away?, do: send(self(), :bridge_published)
    processes
  end

  defp at(%{state: :ready} = member), do: route(member)
  defp at(%{failure: failure}), do: failure
  defp at(nil), do: nil

  defp route(member), do: {member.client, member.seat.counters, member.limit, member.slot}

  # One whose workers are all held by calls that nobody awaits seems to have nothing to do.
  defp serving(open) do
    case for {route, %{blocked: 0}} <- open, do: route do
      [] -> Enum.map(open, &elem(&1, 0))
      serving -> serving
    end
  end

  @doc "Tells that a process is ready, down, or replaced."
  @spec tell(t, :ready | :down | :recycle, member, map, map) :: :ok
  def tell(processes, event, member, measurements, more \\ %{}) do
    metadata =
      Map.merge(more, %{
        pool: processes.settings.name || self(),
        slot: member.slot,
        process: member.client,
        os_pid: member.os_pid
      })

    Telemetry.pool({:process, event}, measurements, metadata)
  end

  ## Whether they are due

  @doc "How many tools of a process go on although nobody awaits them."
  @spec abandoned(member) :: non_neg_integer
  def abandoned(%{health: health}),
    do: (health["abandoned"] || 0) + (health["async_abandoned"] || 0)

  @doc """
  Why a process is due to be replaced, by the rules; nil if it is not.
  """
  @spec due(t, member) :: atom | nil
  def due(%{settings: %{recycle: rules}}, %{state: :ready, role: :current} = member) do
    cond do
      member.blocked >= 2 -> :blocked
      rules[:max_age] && now() - member.since >= rules[:max_age] * 1000 -> :max_age
      rules[:max_calls] && Seat.served(member.seat.counters) >= rules[:max_calls] -> :max_calls
      rules[:max_rss] && (member.health["rss_bytes"] || 0) > rules[:max_rss] -> :max_rss
      rules[:max_abandoned] && abandoned(member) >= rules[:max_abandoned] -> :max_abandoned
      true -> nil
    end
  end

  def due(_processes, _member), do: nil

  @doc "What the health of a process says."
  @spec health(t, member, map) :: t
  def health(processes, %{state: :ready} = member, health) when is_map(health) do
    blocked = if health["status"] in ["blocked", "stuck"], do: member.blocked + 1, else: 0
    changed = blocked > 0 != member.blocked > 0
    processes = put(processes, %{member | health: health, blocked: blocked})
    if changed, do: publish(processes), else: processes
  end

  def health(processes, _member, _health), do: processes

  defp now, do: System.monotonic_time(:millisecond)
end
