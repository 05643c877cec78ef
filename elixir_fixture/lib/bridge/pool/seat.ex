defmodule Bridge.Pool.Seat do
  @moduledoc false

  # The places of one process in a pool, and what its client tells the pool's keeper.
  #
  # `counters` are atomic integers that every process of the node sees. The load is how many calls have a
  # place (`Bridge.Occupancy`): whoever routes a call takes one, and the client gives it back when the
  # call has left its table, however that was. A large number goes with the load while there is no Python
  # that serves, and another one when the process leaves the pool; so a place that is taken then is one
  # too many, and nobody has to be told.
  #
  # A place is given back before the number of those that wait is read, and whoever finds no place tells the
  # line afterwards; so either the line is told of a place, or it looks for one itself.

  import Bitwise

  alias Bridge.{Claim, Error, Occupancy}

  # After those of the load.
  @closed 4
  @serving 5
  @served 6

  @shut 1 <<< 40
  @leaving 1 <<< 43

  @enforce_keys [:counters, :waiting, :line, :keeper]
  defstruct [:counters, :waiting, :line, :keeper, max_calls: nil, health_ms: 1_000]

  @type t :: %__MODULE__{
          counters: :atomics.atomics_ref(),
          waiting: :atomics.atomics_ref(),
          line: pid,
          keeper: pid,
          max_calls: pos_integer | nil,
          health_ms: pos_integer
        }

  @type counters :: :atomics.atomics_ref()

  @doc "The seat of a process that does not serve yet. `waiting` counts the calls in the line."
  @spec new(
          waiting :: :atomics.atomics_ref(),
          line :: pid,
          max_calls :: pos_integer | nil,
          health_ms :: pos_integer
        ) :: t
  def new(waiting, line, max_calls, health_ms) do
    counters = Occupancy.new(3)
    :atomics.put(counters, @closed, @shut)

    %__MODULE__{
      counters: counters,
      waiting: waiting,
      line: line,
      keeper: self(),
      max_calls: max_calls,
      health_ms: health_ms
    }
  end

  ## In the caller

  @doc "Takes a place, if there are fewer calls than `limit`."
  @spec take(counters, limit :: pos_integer) :: {:ok, Occupancy.period()} | :full
  def take(counters, limit) do
    {taken, period} = Occupancy.take(counters)

    if taken + :atomics.get(counters, @closed) <= limit do
      {:ok, period}
    else
      Occupancy.give_back(counters, period)
      :full
    end
  end

  @doc "Takes a place, whether there is one or not."
  @spec take_anyway(counters) :: Occupancy.period()
  def take_anyway(counters), do: counters |> Occupancy.take() |> elem(1)

  @doc "Gives back a place of which the client will never know."
  @spec give_back(counters, Occupancy.period()) :: :ok
  defdelegate give_back(counters, period), to: Occupancy

  @doc "The load as it is compared: immense for a process that takes no calls."
  @spec weight(counters) :: integer
  def weight(counters), do: Occupancy.taken(counters) + :atomics.get(counters, @closed)

  @doc "How many calls have a place."
  @spec load(counters) :: non_neg_integer
  def load(counters), do: max(Occupancy.taken(counters), 0)

  @doc "How many calls have had one."
  @spec served(counters) :: non_neg_integer
  def served(counters), do: :atomics.get(counters, @served)

  ## In the client, for which a nil is no pool

  @doc "A call has left the client's table."
  @spec release(t | nil, Claim.t()) :: :ok
  def release(nil, _claim), do: :ok

  def release(%{counters: counters, max_calls: most} = seat, claim) do
    Occupancy.give_back(counters, Claim.seat(claim))
    if :atomics.add_get(counters, @served, 1) == most, do: tell(seat, :max_calls)
    tell_line(seat)
  end

  defp tell_line(seat) do
    if :atomics.get(seat.waiting, 1) > 0, do: send(seat.line, :free)
    :ok
  end

  @doc "A call comes that has taken no place: from another node, or to this client by its pid."
  @spec admit(t | nil, Claim.t()) :: :ok
  def admit(nil, _claim), do: :ok
  def admit(seat, claim), do: Claim.put_seat(claim, take_anyway(seat.counters))

  @doc "Python serves."
  @spec open(t | nil, ready :: map, os_pid :: non_neg_integer | nil) :: :ok
  def open(nil, _ready, _os_pid), do: :ok

  def open(seat, ready, os_pid) do
    if :atomics.exchange(seat.counters, @serving, 1) == 0,
      do: :atomics.sub(seat.counters, @closed, @shut)

    tell(seat, {:ready, ready, os_pid})
  end

  @doc "Python serves no more: it drains, or is gone. `pause_ms` is the time until the next one is tried."
  @spec shut(t | nil, :draining | {:down, Error.t(), pause_ms :: non_neg_integer}) :: :ok
  def shut(nil, _why), do: :ok

  def shut(seat, why) do
    if :atomics.exchange(seat.counters, @serving, 0) == 1,
      do: :atomics.add(seat.counters, @closed, @shut)

    tell(seat, why)
  end

  @doc "Frees the places of callers that died before they sent, and tells the line. See `Bridge.Occupancy`."
  @spec settle(t | nil, (Occupancy.period() -> non_neg_integer)) :: :ok
  def settle(nil, _known), do: :ok

  def settle(seat, known) do
    if Occupancy.settle(seat.counters, known) > 0, do: tell_line(seat), else: :ok
  end

  @doc "Tells the keeper something of this client."
  @spec tell(t | nil, term) :: :ok
  def tell(nil, _what), do: :ok

  def tell(seat, what) do
    send(seat.keeper, {:bridge_process, self(), what})
    :ok
  end

  ## In the keeper

  @doc "The process leaves the pool: no call gets a place any more."
  @spec leave(t) :: :ok
  def leave(seat), do: :atomics.add(seat.counters, @closed, @leaving)
end
