defmodule Bridge.Places do
  @moduledoc false

  # How many calls wait for Python in a client: in its mailbox, for a start, or because Python does
  # not read. An integer that all processes of the node see, so that the limit holds also while the
  # client is busy or suspended.
  #
  # A caller takes a place before it sends its request. The client gives it back when it has written
  # the request or has answered for it; it handles every message some time. That of a caller which dies
  # before it sends is found by `settle/2`, see `Bridge.Occupancy`.

  alias Bridge.Occupancy

  @limit 4
  @moving 5
  @lends_from 6

  # What an atomic integer holds, and more than there are processes.
  @most 0x7FFF_FFFF

  # How often, and with what pauses, a caller looks again when all places are taken of a client that
  # moves: thousands of calls at once are taken in no time.
  @tries 20
  @pause_ms 10

  @type t :: Occupancy.t()

  @doc "The places of the calling process, a client. They are known by its pid until `close/0`."
  @spec open(limit :: non_neg_integer) :: t
  def open(limit) do
    forget_the_dead()
    places = Occupancy.new(3)
    :atomics.put(places, @limit, min(limit, @most))
    :persistent_term.put({__MODULE__, self()}, places)
    places
  end

  @doc "The calling process is a pool: its routes are found in the place of a client's places."
  @spec put_routes(Bridge.Pool.Routes.t()) :: :ok
  def put_routes(routes), do: :persistent_term.put({__MODULE__, self()}, routes)

  @doc "Forgets the places or the routes of the calling process."
  @spec close() :: boolean
  def close, do: :persistent_term.erase({__MODULE__, self()})

  @doc "The places of a client on this node, or the routes of a pool; nil if it is neither."
  @spec of(pid) :: t | Bridge.Pool.Routes.t() | nil
  def of(client), do: :persistent_term.get({__MODULE__, client}, nil)

  @doc "Changes how many calls may wait, and whether the client is writing to Python."
  @spec change(t, limit :: non_neg_integer, moving :: boolean) :: :ok
  def change(places, limit, moving) do
    :atomics.put(places, @limit, min(limit, @most))
    :atomics.put(places, @moving, if(moving, do: 1, else: 0))
  end

  @doc "From so many bytes on data may go to Python through shared memory; 0: it never does."
  @spec lends_from(t) :: non_neg_integer
  def lends_from(places), do: :atomics.get(places, @lends_from)

  @doc "Changes that."
  @spec lend_from(t, non_neg_integer) :: :ok
  def lend_from(places, bytes), do: :atomics.put(places, @lends_from, min(bytes, @most))

  @doc """
  Takes a place, or says how many there are when all are taken.

  Looks again for a moment, but not longer than `timeout`, when the client is writing to Python.
  """
  @spec take(t, timeout) :: {:ok, Occupancy.period()} | {:full, limit :: non_neg_integer}
  def take(places, timeout), do: take(places, timeout, @tries)

  @doc "Takes a place, whether there is one or not."
  @spec take_anyway(t) :: Occupancy.period()
  def take_anyway(places), do: places |> Occupancy.take() |> elem(1)

  @doc "Gives a place back."
  @spec give_back(t, Occupancy.period()) :: :ok
  defdelegate give_back(places, period), to: Occupancy

  @doc "Frees the places of callers that died before they sent. `known`: see `Bridge.Occupancy.settle/2`."
  @spec settle(t, (Occupancy.period() -> non_neg_integer)) :: integer
  defdelegate settle(places, known), to: Occupancy

  @doc "Whether more calls wait than may."
  @spec overdrawn?(t) :: {true, limit :: non_neg_integer} | false
  def overdrawn?(places) do
    limit = :atomics.get(places, @limit)
    if Occupancy.taken(places) > limit, do: {true, limit}, else: false
  end

  defp take(places, timeout, tries) do
    {waiting, period} = Occupancy.take(places)
    limit = :atomics.get(places, @limit)

    cond do
      waiting <= limit ->
        {:ok, period}

      tries > 0 and timeout > @pause_ms and :atomics.get(places, @moving) == 1 ->
        give_back(places, period)
        Process.sleep(:rand.uniform(@pause_ms))
        take(places, if(timeout == :infinity, do: timeout, else: timeout - @pause_ms), tries - 1)

      true ->
        give_back(places, period)
        {:full, limit}
    end
  end

  # A client that was killed has forgotten nothing.
  defp forget_the_dead do
    for {{__MODULE__, client} = key, _places} <- :persistent_term.get(),
        not Process.alive?(client),
        do: :persistent_term.erase(key)
  end
end
