defmodule Bridge.Pool.Seat do
  @moduledoc false

  # The places of one process in a pool, and what its client tells the pool's keeper.
  #
  # `counters` are atomic integers that every process of the node sees. The load is how many calls have a
  # place: whoever routes a call takes one, and the client gives it back when the call has left its
  # table, however that was. A large number is added to the load while there is no Python that serves,
  # and another one when the process leaves the pool; so a place that is taken then is one too many, and
  # nobody has to be told.
  #
  # A caller that is killed between taking a place and sending its request leaves one taken. The window is
  # a microsecond, but nobody else knows of the place; so the client compares now and then, see
  # `audit/3`.
  #
  # A place is given back before the number of those that wait is read, and whoever finds no place tells the
  # line afterwards; so either the line is told of a place, or it looks for one itself.

  import Bitwise

  alias Bridge.Error

  @load 1
  @served 2
  @serving 3
  @surplus 4
  @looks 5

  # A place for which there was no call so often in a row is given back.
  @times 5

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
    counters = :atomics.new(5, signed: true)
    :atomics.put(counters, @load, @shut)

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
  @spec take(counters, limit :: pos_integer) :: boolean
  def take(counters, limit) do
    if :atomics.add_get(counters, @load, 1) <= limit do
      true
    else
      :atomics.sub(counters, @load, 1)
      false
    end
  end

  @doc "Takes a place, whether there is one or not."
  @spec take_anyway(counters) :: :ok
  def take_anyway(counters), do: :atomics.add(counters, @load, 1)

  @doc "Gives back a place of which the client will never know."
  @spec give_back(counters) :: :ok
  def give_back(counters), do: :atomics.sub(counters, @load, 1)

  @doc "The load as it is compared: immense for a process that takes no calls."
  @spec weight(counters) :: integer
  def weight(counters), do: :atomics.get(counters, @load)

  @doc "How many calls have a place."
  @spec load(counters) :: non_neg_integer
  def load(counters) do
    load = :atomics.get(counters, @load)
    load = if load > div(@leaving, 2) + @shut, do: load - @leaving, else: load
    load = if load > div(@shut, 2), do: load - @shut, else: load
    max(load, 0)
  end

  @doc "How many calls have had one."
  @spec served(counters) :: non_neg_integer
  def served(counters), do: :atomics.get(counters, @served)

  ## In the client, for which a nil is no pool

  @doc "A call has left the client's table."
  @spec release(t | nil) :: :ok
  def release(nil), do: :ok

  def release(%{counters: counters, max_calls: most} = seat) do
    :atomics.sub(counters, @load, 1)
    if :atomics.add_get(counters, @served, 1) == most, do: tell(seat, :max_calls)
    if :atomics.get(seat.waiting, 1) > 0, do: send(seat.line, :free)
    :ok
  end

  @doc "A call comes that has taken no place: from another node, or to this client by its pid."
  @spec admit(t | nil) :: :ok
  def admit(nil), do: :ok
  def admit(seat), do: take_anyway(seat.counters)

  @doc "Python serves."
  @spec open(t | nil, ready :: map, os_pid :: non_neg_integer | nil) :: :ok
  def open(nil, _ready, _os_pid), do: :ok

  def open(seat, ready, os_pid) do
    if :atomics.exchange(seat.counters, @serving, 1) == 0,
      do: :atomics.sub(seat.counters, @load, @shut)

    tell(seat, {:ready, ready, os_pid})
  end

  @doc "Python serves no more: it drains, or is gone. `pause_ms` is the time until the next one is tried."
  @spec shut(t | nil, :draining | {:down, Error.t(), pause_ms :: non_neg_integer}) :: :ok
  def shut(nil, _why), do: :ok

  def shut(seat, why) do
    if :atomics.exchange(seat.counters, @serving, 0) == 1,
      do: :atomics.add(seat.counters, @load, @shut)

    tell(seat, why)
  end

  @doc """
  Compares the load with the calls that there are, and the messages that may become some. A surplus is
  mostly a place whose request is on its way, but not the same one time after time.
  """
  @spec audit(t | nil, calls :: non_neg_integer, messages :: non_neg_integer) :: :ok
  def audit(nil, _calls, _messages), do: :ok

  def audit(%{counters: counters}, calls, messages) do
    surplus = load(counters) - calls - messages
    looks = :atomics.get(counters, @looks)

    cond do
      surplus <= 0 ->
        :atomics.put(counters, @looks, 0)

      looks + 1 < @times ->
        least = if looks == 0, do: surplus, else: min(surplus, :atomics.get(counters, @surplus))
        :atomics.put(counters, @surplus, least)
        :atomics.put(counters, @looks, looks + 1)

      true ->
        :atomics.sub(counters, @load, min(surplus, :atomics.get(counters, @surplus)))
        :atomics.put(counters, @looks, 0)
    end
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
  def leave(seat), do: :atomics.add(seat.counters, @load, @leaving)
end
