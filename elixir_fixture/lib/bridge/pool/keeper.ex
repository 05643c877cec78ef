defmodule Bridge.Pool.Keeper do
  @moduledoc false

  # The process of a pool, registered under its name: starts the processes, replaces those that end or
  # are due, and writes the routes. What it knows of them is in `Bridge.Pool.Processes`.
  #
  # No call passes it, but for those from other nodes, which it tells where to go. It never waits: for
  # the start and the end of processes there are messages. How one replaces another is in
  # `Bridge.Pool.Replacement`.

  use GenServer

  require Logger

  alias Bridge.{Error, Places, Runners, Waiters}
  alias Bridge.Pool.{Away, Description, Line, Nodes, Processes, Replacement, Routes}

  # A client whose own process ends is followed at once, and after a pause if that happens again and again.
  @at_once 3
  @longest_pause_ms 30_000
  @stable_ms 10_000

  @enforce_keys [:processes, :parent]
  defstruct [
    :processes,
    :parent,
    :starter,
    :stopping,
    :nodes,
    awaiting: Waiters.new(),
    tasks: [],
    rolling: [],
    crashes: %{},
    failures: 0,
    not_before: nil,
    recycled: 0,
    died: 0
  ]

  @type t :: %__MODULE__{
          processes: Processes.t(),
          parent: pid,
          starter: reference | nil,
          stopping: nil | {:stop, reason :: term},
          nodes: Nodes.t() | nil,
          awaiting: Waiters.t(),
          tasks: [Replacement.task()],
          rolling: [Replacement.roll()],
          crashes: %{optional(Routes.slot()) => non_neg_integer},
          failures: non_neg_integer,
          not_before: integer | nil,
          recycled: non_neg_integer,
          died: non_neg_integer
        }

  ## Callbacks

  @impl true
  def init({settings, parent, starter}) do
    Process.flag(:trap_exit, true)
    Process.link(parent)
    routes = Routes.new(settings.title, settings.max_waiting, settings.affinity)
    routes = %{routes | away?: settings.nodes != nil}
    {:ok, line} = Line.start_link(routes)
    routes = %{routes | line: line}
    Places.put_routes(routes)
    if settings.client[:functions], do: Runners.open_pool(routes)
    processes = %Processes{settings: settings, routes: routes, size: settings.processes}

    state = %__MODULE__{
      processes: processes,
      parent: parent,
      starter: if(settings.start == :sync, do: starter),
      nodes: Nodes.join(settings)
    }

    check_later(settings)
    {:ok, state, {:continue, :start}}
  end

  @impl true
  def handle_continue(:start, state) do
    slots = 0..(state.processes.size - 1)//1
    processes = Enum.reduce(slots, state.processes, &Processes.start(&2, &1, :current))
    {:noreply, Nodes.look(first_start(%{state | processes: Processes.publish(processes)}))}
  end

  @impl true
  def handle_cast({:cancel, tag}, state) do
    send(state.processes.routes.line, {:cancel, tag})
    for {client, _member} <- state.processes.members, do: GenServer.cast(client, {:cancel, tag})

    for {client, _, _, _} <- Away.all(state.processes.routes),
        do: GenServer.cast(client, {:cancel, tag})

    {:noreply, state}
  end

  @impl true
  def handle_info({:bridge_process, client, what}, state) do
    case state.processes.members do
      %{^client => member} when state.stopping == nil -> told(what, member, state)
      _gone -> {:noreply, state}
    end
  end

  def handle_info({:bridge_drained, client}, state) do
    with %{^client => member} <- state.processes.members,
         do: Processes.drained(state.processes, member)

    {:noreply, state}
  end

  def handle_info({:bridge_start, slot}, %{stopping: nil} = state) do
    there = Enum.any?([:current, :next], &Processes.find(state.processes, slot, &1))

    if slot < state.processes.size and not there,
      do: {:noreply, %{state | processes: Processes.start(state.processes, slot, :current)}},
      else: {:noreply, state}
  end

  def handle_info(:bridge_check, state) do
    check_later(state.processes.settings)
    {:noreply, state |> Nodes.look() |> Replacement.check()}
  end

  ## Other nodes

  def handle_info({:bridge_nodes, what}, state),
    do: {:noreply, state |> Nodes.told(what) |> answer_awaiting()}

  def handle_info({:bridge_node_down, _monitor, :process, pid, _reason}, state),
    do: {:noreply, Nodes.lost(state, pid)}

  def handle_info(:bridge_published, state), do: {:noreply, Nodes.tell_all(state)}

  def handle_info({:EXIT, parent, reason}, %{parent: parent} = state), do: stop(state, reason)

  def handle_info({:EXIT, line, reason}, %{processes: %{routes: %{line: line}}} = state),
    do: {:stop, reason, state}

  def handle_info({:EXIT, pid, reason}, state) do
    case state.processes.members do
      %{^pid => member} -> gone(member, reason, state)
      _other -> {:noreply, state}
    end
  end

  ## Questions and orders

  def handle_info({:bridge_stop, reason}, state), do: stop(state, reason)

  def handle_info(:bridge_restart, %{stopping: nil} = state),
    do: {:noreply, Replacement.restart_all(state, nil)}

  def handle_info({:bridge_await_ready, from, pid}, state),
    do: {:noreply, answer_awaiting(%{state | awaiting: Waiters.add(state.awaiting, from, pid)})}

  def handle_info({:bridge_await_over, from}, state),
    do: {:noreply, %{state | awaiting: Waiters.remove(state.awaiting, from)}}

  def handle_info({{:bridge_waiter_down, from}, _monitor, :process, _pid, _reason}, state),
    do: {:noreply, %{state | awaiting: Waiters.remove(state.awaiting, from)}}

  def handle_info({:bridge_status, from}, state) do
    reply(from, {:ok, Description.status(state)})
    {:noreply, state}
  end

  def handle_info({:bridge_info, from}, state) do
    reply(from, {:ok, Description.info(state)})
    {:noreply, state}
  end

  # From another node: the caller then asks the client that it is told.
  def handle_info({:bridge_request, from, _pid, nil, _body, _watch, _tag}, state) do
    case Enum.take_random(Routes.open(state.processes.routes), 1) do
      [{client, _counters, _limit, _slot}] ->
        reply(from, {:redirect, client})

      [] ->
        message = "no process of #{state.processes.routes.name} is ready"
        reply(from, {:error, error(:unavailable, message)})
    end

    {:noreply, state}
  end

  def handle_info({:bridge_pool, from, order}, %{stopping: nil} = state),
    do: {:noreply, order(order, from, state)}

  def handle_info({:bridge_pool, from, _order}, state) do
    reply(from, {:error, error(:unavailable, "#{state.processes.routes.name} stops")})
    {:noreply, state}
  end

  def handle_info(_other, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, _state) do
    Runners.close()
    Places.close()
  end

  defp order(:info, from, state) do
    reply(from, {:ok, Description.info(state)})
    state
  end

  defp order({:recycle, slot}, from, state) do
    if slot in Replacement.slots(state) do
      Replacement.recycle(state, slot, :requested, from)
    else
      numbers = "its processes are numbered from 0 to #{state.processes.size - 1}"
      message = "#{state.processes.routes.name} has no process #{inspect(slot)}: #{numbers}"
      reply(from, {:error, error(:not_found, message)})
      state
    end
  end

  defp order(:rolling_restart, from, state), do: Replacement.restart_all(state, from)
  defp order({:resize, size}, from, state), do: Replacement.resize(state, size, from)

  ## What a client tells

  defp told({:ready, ready, os_pid}, member, state) do
    processes = Processes.ready(state.processes, member, ready, os_pid)
    state = %{state | processes: processes, failures: 0, not_before: nil}
    state = state |> answer_awaiting() |> first_start()
    {:noreply, Replacement.finish(state, {:ready, member.slot})}
  end

  defp told(:draining, member, state) do
    processes = Processes.put(state.processes, %{member | state: :draining})
    {:noreply, %{state | processes: Processes.publish(processes)}}
  end

  # The client of one that leaves would start it again.
  defp told({:down, _error, _pause}, %{role: :leaving} = member, state) do
    Processes.stop(member)
    {:noreply, state}
  end

  defp told({:down, error, pause}, member, state) do
    died = if member.since, do: state.died + 1, else: state.died
    processes = Processes.down(state.processes, member, error, pause)
    {:noreply, %{state | processes: processes, died: died}}
  end

  defp told({:failed, error}, %{role: :next} = member, state) do
    Logger.error("#{state.processes.routes.name}: no new process: #{error.message}")
    Processes.stop(member)
    processes = Processes.put(state.processes, %{member | role: :leaving})
    {:noreply, Replacement.failed(%{state | processes: processes}, member.slot, error)}
  end

  # Nothing is left of a pool that does not start.
  defp told({:failed, error}, %{role: :current}, %{starter: starter} = state)
       when starter != nil do
    Process.unlink(state.parent)
    stop(state, {:shutdown, {:not_started, error}})
  end

  defp told({:failed, error}, %{role: :current} = member, state) do
    failure = %{error | code: :unavailable, started: false}
    processes = Processes.put(state.processes, %{member | failure: failure})
    {:noreply, %{state | processes: Processes.publish(processes)}}
  end

  defp told({:failed, _error}, _leaving, state), do: {:noreply, state}

  defp told({:health, health}, member, state),
    do: {:noreply, %{state | processes: Processes.health(state.processes, member, health)}}

  defp told(:max_calls, _member, state), do: {:noreply, Replacement.check(state)}

  ## A client has ended

  defp gone(member, reason, state) do
    state = %{state | processes: Processes.gone(state.processes, member)}

    cond do
      state.stopping != nil and state.processes.members == %{} ->
        {:stop, elem(state.stopping, 1), state}

      state.stopping != nil ->
        {:noreply, state}

      member.role == :next ->
        message = "the client of the new process has ended: #{Exception.format_exit(reason)}"
        {:noreply, Replacement.failed(state, member.slot, error(:unavailable, message))}

      member.role == :current ->
        {:noreply, start_again(member, reason, state)}

      true ->
        {:noreply, Replacement.finish(state, {:gone, member.client})}
    end
  end

  defp start_again(member, reason, state) do
    stable = member.since != nil and now() - member.since >= @stable_ms
    crashes = if stable, do: 1, else: Map.get(state.crashes, member.slot, 0) + 1
    error = error(:unavailable, "its client has ended: #{Exception.format_exit(reason)}")

    times = %{system_time: System.system_time()}
    Processes.tell(state.processes, :down, member, times, %{error: error})
    longest = min(200 * 2 ** min(crashes, 16), @longest_pause_ms)
    pause = if crashes <= @at_once, do: 0, else: longest
    Process.send_after(self(), {:bridge_start, member.slot}, pause)
    %{state | crashes: Map.put(state.crashes, member.slot, crashes), died: state.died + 1}
  end

  ## Start and end

  # `start_link/1` returns when all are ready.
  defp first_start(%{starter: nil} = state), do: state

  defp first_start(state) do
    if Enum.all?(Processes.all(state.processes, :current), &(&1.state == :ready)) do
      send(state.parent, {state.starter, :ready})
      %{state | starter: nil}
    else
      state
    end
  end

  defp answer_awaiting(state) do
    ready = Enum.any?(Processes.all(state.processes, :current), &(&1.state == :ready))

    if ready or Nodes.serve?(state) do
      Waiters.answer(state.awaiting, :ok)
      %{state | awaiting: Waiters.new()}
    else
      state
    end
  end

  defp stop(%{stopping: nil} = state, reason) do
    error = error(:unavailable, "#{state.processes.routes.name} stops")
    state = %{state | processes: Processes.close(state.processes, error)}
    for from <- waiting(state), do: reply(from, {:error, error})
    Waiters.answer(state.awaiting, {:error, error})
    state = %{state | stopping: {:stop, reason}, tasks: [], rolling: [], awaiting: Waiters.new()}
    if state.processes.members == %{}, do: {:stop, reason, state}, else: {:noreply, state}
  end

  defp stop(state, _reason), do: {:noreply, state}

  defp waiting(state) do
    (Enum.map(state.tasks, &elem(&1, 1)) ++
       Enum.map(state.rolling, &elem(&1, 0)))
    |> Enum.reject(&is_nil/1)
  end

  defp check_later(settings), do: Process.send_after(self(), :bridge_check, settings.check_ms)

  defp error(code, message), do: %Error{code: code, message: message, started: false}

  defp reply(from, answer), do: send(from, {from, answer})

  defp now, do: System.monotonic_time(:millisecond)
end
