defmodule Bridge.Pool.Routes do
  @moduledoc false

  # Which process gets a call: decided in the process that calls, by one row of a table and the loads of
  # the processes. The keeper writes the table, everybody reads it.
  #
  # | row | value |
  # | --- | --- |
  # | `:open` | the routes that take calls: all of them if they are few, else the numbers of their slots |
  # | a slot, 0 and up | its route, or the error with which calls for it are refused, or nil while it starts |
  # | `:slots` | how many there are: sessions are spread over them |
  # | `{:member, pid}` | the route of a client, also of one that leaves |
  # | `:refusal` | the error of all calls while no process can serve, else nil |
  # | `:away` | the processes on other nodes that take calls, see `Bridge.Pool.Away` |
  # | `:idempotent` | the tools of which a call may be repeated, in a map |
  #
  # A session belongs to the slot for which it has the highest hash (rendezvous hashing): when a slot
  # comes or goes, only sessions that move to it or from it move.

  alias Bridge.{Error, Occupancy}
  alias Bridge.Pool.{Away, Seat}

  # So many routes are all looked at; of more, two.
  @few 8

  # `name` is what messages call the pool, `away?` whether calls may go to other nodes.
  @enforce_keys [:name, :table, :waiting, :arriving, :max_waiting, :affinity]
  defstruct [:name, :table, :waiting, :arriving, :max_waiting, :affinity, :line, away?: false]

  @type t :: %__MODULE__{
          name: String.t(),
          table: :ets.table(),
          waiting: :atomics.atomics_ref(),
          arriving: Occupancy.t(),
          max_waiting: non_neg_integer,
          affinity: affinity,
          line: pid | nil,
          away?: boolean
        }

  @type affinity :: :strict | :preferred | :none

  @type slot :: non_neg_integer

  @type route :: {client :: pid, Seat.counters(), limit :: pos_integer, slot}

  @typedoc "A place that is taken, and what it takes to give it back."
  @type place :: {client :: pid, {Seat.counters(), Bridge.Occupancy.period()} | Away.where()}

  @type choice :: {:ok, place} | :full | {:error, Error.t()}

  ## In the keeper

  @doc "Routes to nowhere. The table belongs to the calling process."
  @spec new(name :: String.t(), max_waiting :: non_neg_integer, affinity) :: t
  def new(name, max_waiting, affinity) do
    table = :ets.new(:bridge_pool, [:protected, read_concurrency: true])
    rows = [open: {}, slots: 0, refusal: nil, away: {}, idempotent: %{}]
    :ets.insert(table, rows)
    waiting = :atomics.new(1, signed: true)

    %__MODULE__{
      name: name,
      table: table,
      waiting: waiting,
      arriving: Occupancy.new(0),
      max_waiting: max_waiting,
      affinity: affinity
    }
  end

  @doc """
  Writes which routes there are: `slots` has for each its route, its error, or nil; `open` are the
  routes that take calls.
  """
  @spec publish(
          t,
          slots :: %{optional(slot) => route | Error.t() | nil},
          open :: [route],
          refusal :: Error.t() | nil
        ) :: true
  def publish(routes, slots, open, refusal) do
    few = if length(open) <= @few, do: open, else: for({_, _, _, slot} <- open, do: slot)
    rows = [open: List.to_tuple(few), refusal: refusal, slots: map_size(slots)]
    # the slots first: `:open` may name them
    :ets.insert(routes.table, Map.to_list(slots) ++ rows)
  end

  @doc "Notes a client, which calls made on behalf of its Python go to."
  @spec put_member(t, route) :: true
  def put_member(routes, {pid, _, _, _} = route),
    do: :ets.insert(routes.table, {{:member, pid}, route})

  @doc "Forgets a client, or a slot."
  @spec delete(t, {:member, pid} | slot) :: true
  def delete(routes, key), do: :ets.delete(routes.table, key)

  @doc "Notes which tools are idempotent."
  @spec put_idempotent(t, [String.t()]) :: true
  def put_idempotent(routes, tools),
    do: :ets.insert(routes.table, {:idempotent, Map.new(tools, &{&1, true})})

  ## In the caller

  @doc "The client's route, if it belongs to this pool."
  @spec member(t, pid) :: {:ok, route} | :none
  def member(routes, pid) do
    case :ets.lookup(routes.table, {:member, pid}) do
      [{_key, route}] -> {:ok, route}
      [] -> :none
    end
  rescue
    ArgumentError -> :none
  end

  @doc "The clients that belong to this pool, also those that leave; none if the pool has ended."
  @spec members(t) :: [pid]
  def members(routes) do
    for [pid] <- :ets.match(routes.table, {{:member, :"$1"}, :_}), do: pid
  rescue
    # the table has gone with the pool
    ArgumentError -> []
  end

  @doc "Whether a call of a tool may be repeated although it may have begun."
  @spec idempotent?(t, Bridge.tool()) :: boolean
  def idempotent?(routes, tool),
    do: is_map_key(:ets.lookup_element(routes.table, :idempotent, 2), to_string(tool))

  @doc "All processes that serve."
  @spec open(t) :: [route]
  def open(routes) do
    case Tuple.to_list(:ets.lookup_element(routes.table, :open, 2)) do
      [slot | _] = slots when is_integer(slot) ->
        for slot <- slots, r = route(routes, slot), do: r

      few ->
        few
    end
  end

  @doc "All slots: with the route of each, its error, or nil."
  @spec slots(t) :: [{slot, route | Error.t() | nil}]
  def slots(routes) do
    for slot <- 0..(:ets.lookup_element(routes.table, :slots, 2) - 1)//1,
        do: {slot, at(routes, slot)}
  end

  @doc """
  Takes a place in a process that has one: in the least loaded, or in that of the session. Only where
  none of this node has one, in a process of another node.

  `pid` is the process that will give it back. An error is that there is no process to wait for.
  """
  @spec take(t, session :: String.t() | nil, pid) :: choice
  def take(routes, session, pid \\ self())
  def take(%{away?: false} = routes, session, _pid), do: take_here(routes, session)

  def take(routes, session, pid) do
    with none when none == :full or elem(none, 0) == :error <- take_here(routes, session) do
      # the sessions of processes of this node stay there, if they must
      stays =
        session != nil and routes.affinity == :strict and
          :ets.lookup_element(routes.table, :slots, 2) > 0

      if stays, do: none, else: Away.take(routes, session, pid) || none
    end
  end

  defp take_here(routes, nil) do
    case :ets.lookup_element(routes.table, :open, 2) do
      {route} -> take_in(routes, route)
      {} -> refusal(routes)
      open when is_tuple(elem(open, 0)) -> take_least(routes, least(open))
      slots -> take_least(routes, lighter_of_two(routes, slots))
    end
  end

  defp take_here(%{affinity: :none} = routes, _session), do: take_here(routes, nil)

  defp take_here(%{affinity: :strict} = routes, session) do
    case at(routes, slot_of(routes, session)) do
      {_, _, _, _} = route -> take_in(routes, route)
      nil -> :full
      error -> {:error, error}
    end
  end

  defp take_here(routes, session) do
    with {_, _, _, _} = route <- at(routes, slot_of(routes, session)),
         {:ok, place} <- take_in(routes, route) do
      {:ok, place}
    else
      _full_or_down -> take_next(routes, session)
    end
  end

  @doc "Gives a place back that no request goes to. Whoever does tells the line."
  @spec give_back(place) :: :ok
  def give_back({_client, {counters, period}}), do: Seat.give_back(counters, period)
  def give_back({_client, where}), do: Away.give_back(where)

  @doc "Takes a place in any process that serves, whether there is one or not."
  @spec take_anyway(t) :: choice
  def take_anyway(routes) do
    case open(routes) do
      [] -> Away.take_anyway(routes, self()) || refusal(routes)
      open -> {:ok, open |> Enum.random() |> take_anyway_in()}
    end
  end

  @doc "Takes a place in this process, whether there is one or not."
  @spec take_anyway_in(route) :: place
  def take_anyway_in({client, counters, _limit, _slot}),
    do: {client, {counters, Seat.take_anyway(counters)}}

  @doc """
  The slot of a session, of so many.

      iex> Bridge.Pool.Routes.slot_of(1, "a session")
      0

  """
  @spec slot_of(t | pos_integer, session :: String.t()) :: slot
  def slot_of(%__MODULE__{} = routes, session),
    do: slot_of(:ets.lookup_element(routes.table, :slots, 2), session)

  def slot_of(slots, session) when is_integer(slots), do: highest(session, slots - 1, 0, -1)

  defp highest(_session, slot, best, _most) when slot < 0, do: best

  defp highest(session, slot, best, most) do
    score = score(session, slot)

    if score > most,
      do: highest(session, slot - 1, slot, score),
      else: highest(session, slot - 1, best, most)
  end

  defp score(session, slot), do: :erlang.phash2({slot, session}, 0x1_0000_0000)

  # The others, in the order in which the session would have them.
  defp take_next(routes, session) do
    routes
    |> open()
    |> Enum.sort_by(fn {_pid, _counters, _limit, slot} -> score(session, slot) end, :desc)
    |> take_first(routes)
  end

  defp take_least(_routes, nil), do: :full

  # One that was lost to others is rare: then all are tried, before the caller stands in line.
  defp take_least(routes, route) do
    with :full <- take_in(routes, route), do: routes |> open() |> take_first(routes)
  end

  defp take_first([], routes), do: refusal(routes)

  defp take_first(open, routes) do
    Enum.find_value(open, :full, fn route ->
      with :full <- take_in(routes, route), do: nil
    end)
  end

  # The place that was one too many may have hidden a free one from the line, which looked meanwhile. What
  # the line itself takes hides one from callers only, and they come to the line then.
  defp take_in(routes, {client, counters, limit, _slot}) do
    case Seat.take(counters, limit) do
      {:ok, period} -> {:ok, {client, {counters, period}}}
      :full -> tell_line(routes)
    end
  end

  defp tell_line(routes) do
    if :atomics.get(routes.waiting, 1) > 0 and routes.line != self(), do: send(routes.line, :free)
    :full
  end

  defp refusal(routes) do
    case :ets.lookup_element(routes.table, :refusal, 2) do
      nil -> :full
      error -> {:error, error}
    end
  end

  defp at(routes, slot) do
    case :ets.lookup(routes.table, slot) do
      [{_slot, value}] -> value
      [] -> nil
    end
  end

  defp route(routes, slot) do
    with {_, _, _, _} = route <- at(routes, slot), do: route, else: (_gone -> nil)
  end

  # Each process begins elsewhere, so that the first of equals is not the same one for all.
  defp least(open) do
    size = tuple_size(open)
    start = :erlang.phash2(self(), size)
    first = elem(open, start)
    lighter(open, size, start + 1, size - 1, first, weight(first))
  end

  defp lighter(_open, _size, _at, 0, best, _weight), do: best
  defp lighter(_open, _size, _at, _left, best, 0), do: best

  defp lighter(open, size, at, left, best, weight) do
    at = if at == size, do: 0, else: at
    route = elem(open, at)

    case weight(route) do
      less when less < weight -> lighter(open, size, at + 1, left - 1, route, less)
      _more -> lighter(open, size, at + 1, left - 1, best, weight)
    end
  end

  defp lighter_of_two(routes, slots) do
    size = tuple_size(slots)
    one = :rand.uniform(size) - 1
    other = rem(one + :rand.uniform(size - 1), size)

    case {route(routes, elem(slots, one)), route(routes, elem(slots, other))} do
      {nil, other} -> other
      {one, nil} -> one
      {one, other} -> if weight(one) <= weight(other), do: one, else: other
    end
  end

  defp weight({_pid, counters, _limit, _slot}), do: Seat.weight(counters)
end
