defmodule Bridge.Occupancy do
  @moduledoc false

  # How many places are taken, where whoever takes one may die before anybody else knows of it.
  #
  # A caller takes a place, and then sends a request to the process that gives it back. If it is killed in
  # between, nobody has its place to give back. So a place counts in the period in which it was taken,
  # of which there are two, in turn. Now and then the process that gives places back begins the other one
  # with `settle/2`. Long after that it has got all requests of the period before, so there must be
  # as many places taken in that as it has requests; what is more, or less, is corrected then.
  #
  # **Guarantee.** A place that is lost is free again after three calls of `settle/2` at the latest, however
  # busy the process is. Nothing else takes notice: to take a place costs one look at the period.
  #
  # **Assumes** that a message which was sent before the period ended is handled before `settle/2` is called
  # next. A living caller that is stopped for longer between the two has its place counted as lost;
  # that is corrected as well, two calls later, so a mistake never stays.
  #
  # The first three of the atomic integers are used here; the others are whoever's who made them.

  @period 3

  @type t :: :atomics.atomics_ref()
  @type period :: 0 | 1

  @doc "Atomic integers, three for this and so many more, all 0."
  @spec new(more :: non_neg_integer) :: t
  def new(more), do: :atomics.new(3 + more, signed: true)

  @doc "Takes a place: how many are taken then, and the period that it counts in."
  @spec take(t) :: {taken :: integer, period}
  def take(occupancy) do
    period = :atomics.get(occupancy, @period)
    taken = :atomics.add_get(occupancy, 1 + period, 1)
    {taken + :atomics.get(occupancy, 2 - period), period}
  end

  @doc "Gives a place back that was taken in this period."
  @spec give_back(t, period) :: :ok
  def give_back(occupancy, period), do: :atomics.sub(occupancy, 1 + period, 1)

  @doc "How many places are taken."
  @spec taken(t) :: integer
  def taken(occupancy), do: :atomics.get(occupancy, 1) + :atomics.get(occupancy, 2)

  @doc """
  Corrects the period before, and has what is taken from now on count in that again. `known` says how
  many requests there are of a period. Returns how many places were lost. One process calls it.

      iex> occupancy = Bridge.Occupancy.new(0)
      iex> {1, 0} = Bridge.Occupancy.take(occupancy)
      iex> for _ <- 1..2, do: Bridge.Occupancy.settle(occupancy, fn _period -> 0 end)
      [0, 1]
      iex> Bridge.Occupancy.taken(occupancy)
      0

  """
  @spec settle(t, known :: (period -> non_neg_integer)) :: integer
  def settle(occupancy, known) do
    before = 1 - :atomics.get(occupancy, @period)
    lost = :atomics.get(occupancy, 1 + before) - known.(before)
    if lost != 0, do: :atomics.sub(occupancy, 1 + before, lost)
    :atomics.put(occupancy, @period, before)
    lost
  end
end
