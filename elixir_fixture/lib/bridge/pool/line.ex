defmodule Bridge.Pool.Line do
  @moduledoc false

  # The calls that wait until a process has a place for them, first come, first served.
  #
  # A caller waits at an alias of its own until its time is over, and has a claim (`Bridge.Claim`) as for a
  # request: the line claims it when it has taken a place for the caller, the caller takes it back when
  # its time is over. One of them wins, so no place is given to a caller that has gone.
  #
  # No more callers than may wait are on their way to the line at a time, counted before they send
  # (`Bridge.Occupancy`): so what is in its mailbox is bounded, however busy it is, and whoever dies meanwhile.
  #
  # A call that may go to one process only waits in a queue of its own, so that it holds nobody up. Of
  # the heads of all queues the one that came first is tried first.

  use GenServer

  alias Bridge.{Claim, Error, Occupancy, Telemetry, Waiting}
  alias Bridge.Pool.Routes

  # Every so often the places of callers are freed that died on their way.
  @settle_ms 1_000

  @enforce_keys [:routes]
  defstruct [:routes, refusal: nil, next: 0, queues: %{}, waiters: %{}]

  @type key :: :any | Routes.slot()

  @type waiter :: %{
          from: reference,
          pid: pid,
          claim: Claim.t() | nil,
          session: String.t() | nil,
          tag: {:ok, term} | :error,
          monitor: reference
        }

  @type t :: %__MODULE__{
          routes: Routes.t(),
          refusal: Error.t() | nil,
          next: non_neg_integer,
          queues: %{optional(key) => :gb_trees.tree(non_neg_integer, waiter)},
          waiters: %{optional(reference) => {key, non_neg_integer}}
        }

  @spec start_link(Routes.t()) :: GenServer.on_start()
  def start_link(routes), do: GenServer.start(__MODULE__, {self(), routes})

  ## In the caller

  @doc """
  Stands in the line for a place until the deadline, and returns with one that is taken.
  """
  @spec stand(Routes.t(), session :: String.t() | nil, tag :: {:ok, term} | :error, timeout) ::
          {:ok, Routes.place()} | {:error, Error.t()}
  def stand(routes, session, tag, timeout) do
    with true <- :atomics.get(routes.waiting, 1) < routes.max_waiting,
         {:ok, period} <- set_out(routes) do
      began = System.monotonic_time()
      answer = wait(routes, period, session, tag, timeout)
      tell(routes, answer, began)
      answer
    else
      _full -> {:error, full(routes)}
    end
  end

  # The line gives the place back when the message is there.
  defp set_out(%{arriving: arriving, max_waiting: limit}) do
    case Occupancy.take(arriving) do
      {taken, period} when taken <= limit ->
        {:ok, period}

      {_taken, period} ->
        Occupancy.give_back(arriving, period)
        :full
    end
  end

  defp wait(routes, period, session, tag, timeout) do
    claim = Claim.new(period)
    message = &{:stand, &1, self(), claim, session, tag}

    case Waiting.wait(routes.line, message, timeout) do
      {:overdue, alias} -> overdue(routes, alias, claim)
      {:down, _alias, _reason} -> {:error, gone(routes)}
      {answer, _alias} -> answer
    end
  end

  defp overdue(routes, alias, claim) do
    if Claim.withdraw(claim) do
      :erlang.demonitor(alias, [:flush])
      send(routes.line, {:leave, alias})
      {:error, late(routes)}
    else
      # the place is on its way
      receive do
        {^alias, answer} -> answer
        {:DOWN, ^alias, :process, _line, _reason} -> {:error, gone(routes)}
      end
    end
  end

  defp tell(routes, answer, began) do
    code = with {:error, error} <- answer, do: error.code, else: (_place -> :ok)
    measurements = %{duration: System.monotonic_time() - began, waiting: waiting(routes)}
    Telemetry.pool(:line, measurements, %{pool: routes.name, code: code})
  end

  @doc "How many calls wait."
  @spec waiting(Routes.t()) :: non_neg_integer
  def waiting(routes), do: :atomics.get(routes.waiting, 1)

  defp full(routes) do
    %Error{
      code: :resource_exhausted,
      message:
        "no process of #{routes.name} has room, and #{routes.max_waiting} calls wait already, " <>
          "which is its :max_waiting",
      started: false
    }
  end

  @doc "The error of a call whose time is over before it has a place."
  @spec late(Routes.t()) :: Error.t()
  def late(routes) do
    message = "no process of #{routes.name} had room within the call's timeout"
    %Error{code: :deadline_exceeded, message: message, started: false}
  end

  defp gone(routes) do
    %Error{code: :unavailable, message: "#{routes.name} has ended", started: false}
  end

  ## Callbacks

  @impl true
  @spec init({pool :: pid, Routes.t()}) :: {:ok, t}
  def init({pool, routes}) do
    # to end with the pool, however that ends: a normal end is no signal to who traps none
    Process.flag(:trap_exit, true)
    Process.link(pool)
    settle_later()
    {:ok, %__MODULE__{routes: %{routes | line: self()}}}
  end

  @impl true
  def handle_info({:stand, from, _pid, claim, _session, _tag}, %{refusal: error} = state)
      when error != nil do
    arrived(state, claim)
    send(from, {from, {:error, error}})
    {:noreply, state}
  end

  def handle_info({:stand, from, pid, claim, session, tag}, state) do
    arrived(state, claim)

    if map_size(state.waiters) < state.routes.max_waiting do
      key = key(state.routes, session)
      monitor = :erlang.monitor(:process, pid, tag: {:caller_down, from})

      waiter = %{
        from: from,
        pid: pid,
        claim: claim,
        session: session,
        tag: tag,
        monitor: monitor
      }

      :atomics.add(state.routes.waiting, 1, 1)
      queue = Map.get(state.queues, key, :gb_trees.empty())
      queues = Map.put(state.queues, key, :gb_trees.insert(state.next, waiter, queue))

      waiters = Map.put(state.waiters, from, {key, state.next})

      # a place may have become free before this one was counted
      {:noreply, serve(%{state | next: state.next + 1, queues: queues, waiters: waiters})}
    else
      send(from, {from, {:error, full(state.routes)}})
      {:noreply, state}
    end
  end

  def handle_info(:free, state), do: {:noreply, serve(state)}
  def handle_info({:leave, from}, state), do: {:noreply, remove(state, from)}

  def handle_info({{:caller_down, from}, _monitor, :process, _pid, _reason}, state),
    do: {:noreply, remove(state, from)}

  def handle_info({:cancel, tag}, state) do
    message = "the call was cancelled while it waited for #{state.routes.name}"
    error = %Error{code: :cancelled, message: message, started: false}
    {:noreply, answer_those(state, error, &(&1.tag == {:ok, tag}))}
  end

  def handle_info({:refuse, error}, state),
    do: {:noreply, %{answer_those(state, error, fn _all -> true end) | refusal: error}}

  def handle_info(:settle, state) do
    # none is kept here: what was sent in that period has arrived
    Occupancy.settle(state.routes.arriving, fn _period -> 0 end)
    settle_later()
    {:noreply, state}
  end

  # nothing else is linked
  def handle_info({:EXIT, _pool, _reason}, state), do: {:stop, :normal, state}
  def handle_info(_other, state), do: {:noreply, state}

  defp arrived(state, claim), do: Occupancy.give_back(state.routes.arriving, Claim.place(claim))

  defp settle_later, do: Process.send_after(self(), :settle, @settle_ms)

  defp key(%{affinity: :strict} = routes, session) when session != nil,
    do: Routes.slot_of(routes, session)

  defp key(_routes, _session), do: :any

  # Gives places as long as there are any.
  defp serve(%{queues: queues} = state) when queues == %{}, do: state

  defp serve(state) do
    heads =
      for {key, queue} <- state.queues do
        {number, waiter} = :gb_trees.smallest(queue)
        {number, key, waiter}
      end

    case heads |> Enum.sort_by(&elem(&1, 0)) |> Enum.find_value(&try_head(state, &1)) do
      nil -> state
      served -> serve(served)
    end
  end

  defp try_head(state, {_number, _key, waiter}) do
    case Routes.take(state.routes, waiter.session, waiter.pid) do
      :full ->
        nil

      answer ->
        unless hand_over(waiter, answer), do: give_back(answer)
        remove(state, waiter.from)
    end
  end

  defp hand_over(waiter, answer) do
    # one that has died gives no place back
    Process.alive?(waiter.pid) and Claim.claim(waiter.claim) and
      match?({_, _}, send(waiter.from, {waiter.from, answer}))
  end

  defp give_back({:ok, place}), do: Routes.give_back(place)
  defp give_back(_error), do: :ok

  defp answer_those(state, error, wanted) do
    for(
      {_key, queue} <- state.queues,
      waiter <- :gb_trees.values(queue),
      wanted.(waiter),
      do: waiter
    )
    |> Enum.reduce(state, fn waiter, state ->
      hand_over(waiter, {:error, error})
      remove(state, waiter.from)
    end)
  end

  defp remove(state, from) do
    case state.waiters do
      %{^from => {key, number}} ->
        {waiter, queue} = :gb_trees.take(number, Map.fetch!(state.queues, key))
        # without :flush, which looks through all messages: what comes of it finds nobody here
        Process.demonitor(waiter.monitor)
        :atomics.sub(state.routes.waiting, 1, 1)

        queues =
          if :gb_trees.is_empty(queue),
            do: Map.delete(state.queues, key),
            else: Map.put(state.queues, key, queue)

        %{state | queues: queues, waiters: Map.delete(state.waiters, from)}

      _gone ->
        state
    end
  end
end
