defmodule Bridge.Pool.Replacement do
  @moduledoc false

  # How processes of a pool are replaced, and how their number changes. Each function takes the keeper's
  # state and returns it.
  #
  # `tasks` are what somebody waits for. `finish/2` is told what has happened: that the next process of a slot
  # is ready or has failed, that a client has gone; a task that this ends answers whoever waits.

  require Logger

  alias Bridge.Error
  alias Bridge.Pool.{Keeper, Processes, Routes}

  # After a start that failed, a process that is due is not replaced for as long, doubled each time.
  @first_pause_ms 1_000
  @longest_pause_ms 60_000

  @type task ::
          {:recycle, from :: reference | nil, Routes.slot()}
          | {:grow, from :: reference, size :: pos_integer, missing :: [Routes.slot()]}
          | {:shrink, from :: reference, clients :: [pid]}

  @typedoc "A rolling restart: the slots that are left, and the one that is being replaced."
  @type roll :: {from :: reference | nil, left :: [Routes.slot()], active :: Routes.slot() | nil}

  @type event ::
          {:ready, Routes.slot()} | {:failed, Routes.slot(), Error.t()} | {:gone, client :: pid}

  @doc "The slots that there are."
  @spec slots(Keeper.t()) :: [Routes.slot()]
  def slots(state), do: Enum.to_list(0..(state.processes.size - 1)//1)

  @doc "Starts the next process of a slot, unless it starts already. `from` is told when it is ready."
  @spec recycle(Keeper.t(), Routes.slot(), reason :: atom, from :: reference | nil) :: Keeper.t()
  def recycle(state, slot, reason, from) do
    state = %{state | tasks: state.tasks ++ [{:recycle, from, slot}]}

    if Processes.find(state.processes, slot, :next) do
      state
    else
      with %{} = member <- Processes.find(state.processes, slot, :current) do
        times = %{system_time: System.system_time()}
        Processes.tell(state.processes, :recycle, member, times, %{reason: reason})
      end

      processes = Processes.start(state.processes, slot, :next)
      %{state | processes: processes, recycled: state.recycled + 1}
    end
  end

  @doc """
  Replaces a process that is due by the rules. One after the other, so that there is one process more
  than usual at most; one that is blocked does not wait for others to drain.
  """
  @spec check(Keeper.t()) :: Keeper.t()
  def check(%{stopping: nil, starter: nil, rolling: []} = state) do
    busy = Processes.all(state.processes, :next) != []
    drains = Processes.all(state.processes, :leaving) != []
    wait = state.not_before != nil and now() < state.not_before

    due =
      for member <- Processes.all(state.processes, :current),
          why = Processes.due(state.processes, member),
          not drains or why == :blocked,
          do: {member.slot, why}

    case due do
      [{slot, why} | _later] when not wait and not busy ->
        Logger.info("#{state.processes.routes.name}[#{slot}] is replaced: #{why}")
        recycle(state, slot, why, nil)

      _none ->
        state
    end
  end

  def check(state), do: state

  @doc "The next process of a slot has not become ready."
  @spec failed(Keeper.t(), Routes.slot(), Error.t()) :: Keeper.t()
  def failed(state, slot, error) do
    failures = state.failures + 1
    pause = min(@first_pause_ms * 2 ** min(failures - 1, 16), @longest_pause_ms)
    state = %{state | failures: failures, not_before: now() + pause}
    # the one before may have ended meanwhile
    Process.send_after(self(), {:bridge_start, slot}, pause)
    finish(state, {:failed, slot, error})
  end

  ## One after the other

  @doc "Replaces all processes, one after the other; after other such restarts that are under way."
  @spec restart_all(Keeper.t(), from :: reference | nil) :: Keeper.t()
  def restart_all(state, from),
    do: go_on(%{state | rolling: state.rolling ++ [{from, slots(state), nil}]})

  # The one before has drained when the next one's turn comes.
  defp go_on(%{rolling: []} = state), do: state

  defp go_on(%{rolling: [{from, left, active} | later]} = state) do
    busy =
      Enum.any?(state.processes.members, fn {_client, m} ->
        m.slot == active and m.role in [:next, :leaving]
      end)

    case left do
      _any when busy ->
        state

      [] ->
        if from, do: reply(from, :ok)
        go_on(%{state | rolling: later})

      [slot | left] ->
        state = %{state | rolling: [{from, left, slot} | later]}

        if slot in slots(state),
          do: recycle(state, slot, :rolling_restart, nil),
          else: go_on(state)
    end
  end

  # What cannot be replaced stays, and the others as well.
  defp give_up(%{rolling: [{from, _left, slot} | later]} = state, {:failed, slot, error}) do
    if from, do: reply(from, {:error, error})
    %{state | rolling: later}
  end

  defp give_up(state, _event), do: state

  ## More and fewer

  @doc "Changes how many processes there are. `from` is told when it is so."
  @spec resize(Keeper.t(), size :: pos_integer, from :: reference) :: Keeper.t()
  def resize(%{processes: processes} = state, size, from) do
    cond do
      Enum.any?(state.tasks, &(elem(&1, 0) == :grow)) ->
        message = "#{processes.routes.name} is becoming larger already"
        error = %Error{code: :failed_precondition, message: message, started: false}
        reply(from, {:error, error})
        state

      size == processes.size ->
        reply(from, :ok)
        state

      size > processes.size ->
        slots = Enum.to_list(processes.size..(size - 1))
        processes = Enum.reduce(slots, processes, &Processes.start(&2, &1, :next))
        %{state | processes: processes, tasks: state.tasks ++ [{:grow, from, size, slots}]}

      true ->
        shrink(state, size, from)
    end
  end

  defp shrink(state, size, from) do
    gone = Enum.to_list(size..(state.processes.size - 1))
    processes = Processes.resize(state.processes, size)
    state = %{state | processes: Processes.leave_slots(processes, gone)}
    clients = for {client, m} <- state.processes.members, m.slot >= size, do: client
    state = %{state | tasks: state.tasks ++ [{:shrink, from, clients}]}
    message = "the process has left the pool, which has become smaller"
    error = %Error{code: :cancelled, message: message, started: false}
    state = Enum.reduce(gone, state, &finish(&2, {:failed, &1, error}))
    # if none was there any more
    finish(state, {:gone, self()})
  end

  ## What has happened

  @doc "Answers those who waited for this, and goes on with what waits for it."
  @spec finish(Keeper.t(), event) :: Keeper.t()
  def finish(state, event) do
    {tasks, state} = Enum.flat_map_reduce(state.tasks, state, &finish(&1, event, &2))
    %{state | tasks: tasks} |> give_up(event) |> go_on()
  end

  defp finish({:recycle, from, slot}, {:ready, slot}, state) do
    if from, do: reply(from, :ok)
    {[], state}
  end

  defp finish({:recycle, from, slot}, {:failed, slot, error}, state) do
    if from, do: reply(from, {:error, error})
    {[], state}
  end

  defp finish({:grow, from, size, missing}, {:ready, slot}, state) do
    case List.delete(missing, slot) do
      [] ->
        reply(from, :ok)
        {[], %{state | processes: Processes.resize(state.processes, size)}}

      missing ->
        {[{:grow, from, size, missing}], state}
    end
  end

  defp finish({:grow, from, size, missing} = task, {:failed, slot, error}, state) do
    if slot in missing do
      reply(from, {:error, error})
      new = Enum.to_list(state.processes.size..(size - 1))
      {[], %{state | processes: Processes.leave_slots(state.processes, new)}}
    else
      {[task], state}
    end
  end

  defp finish({:shrink, from, clients}, {:gone, client}, state) do
    case List.delete(clients, client) do
      [] ->
        reply(from, :ok)
        {[], state}

      left ->
        {[{:shrink, from, left}], state}
    end
  end

  defp finish(task, _other, state), do: {[task], state}

  defp reply(from, answer), do: send(from, {from, answer})

  defp now, do: System.monotonic_time(:millisecond)
end
