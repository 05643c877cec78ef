defmodule Bridge.Pool.Away do
  @moduledoc false

  # Processes on other nodes, for the callers of this one: which there are, and the places that callers
  # of this node have in them.
  #
  # What a caller knows of another node is late, so each node has a share of the places of a process for
  # its callers, and counts them itself: in a table for each process, with a row for each call, whose
  # number of rows is the load. A row is there or not, so whoever dies between taking a place and
  # giving it back leaves a row that names it, which `sweep/1` finds.
  #
  # The tables belong to the keeper. When a process goes, its table goes: its places are gone at once, and
  # what its callers give back then is dropped.

  alias Bridge.Pool.Routes

  # So many are compared; of more, so many at random.
  @few 8

  @typedoc "A process on another node, and how many calls of this node it takes at the same time."
  @type route :: {client :: pid, :ets.table(), share :: pos_integer, Routes.slot()}

  @typedoc "A place that is taken."
  @type where :: {:away, :ets.table(), key :: reference, Routes.t()}

  ## In the keeper

  @doc "A process on another node: nobody of this one has a place there yet."
  @spec open(pid, share :: pos_integer, Routes.slot()) :: route
  def open(client, share, slot),
    do: {client, :ets.new(:bridge_away, [:public, write_concurrency: true]), share, slot}

  @doc "The process is there no more, nor any place in it."
  @spec close(route) :: true
  def close({_client, table, _share, _slot}), do: :ets.delete(table)

  @doc "Writes which there are."
  @spec publish(Routes.t(), [route]) :: true
  def publish(routes, away),
    do: :ets.insert(routes.table, {:away, List.to_tuple(away)})

  @doc "Gives back the places of callers that have died, and tells the line."
  @spec sweep(Routes.t()) :: :ok
  def sweep(routes) do
    dead =
      for {_client, table, _share, _slot} <- all(routes),
          {key, pid} <- :ets.tab2list(table),
          not Process.alive?(pid),
          do: :ets.delete(table, key)

    if dead != [], do: send(routes.line, :free)
    :ok
  end

  ## In the caller

  @doc "All of them."
  @spec all(Routes.t()) :: [route]
  def all(%{away?: false}), do: []
  def all(routes), do: Tuple.to_list(:ets.lookup_element(routes.table, :away, 2))

  @doc "How many calls of this node have a place there."
  @spec load(route) :: non_neg_integer
  def load({_client, table, _share, _slot}) do
    with :undefined <- :ets.info(table, :size), do: 0
  end

  @doc "Takes a place for a process of this node, in one that has one; nil if none has."
  @spec take(Routes.t(), session :: String.t() | nil, pid) :: {:ok, Routes.place()} | nil
  def take(routes, session, pid) do
    case all(routes) do
      [] -> nil
      away -> away |> in_order(routes, session) |> Enum.find_value(&take_in(routes, &1, pid))
    end
  end

  defp in_order(away, %{affinity: affinity}, session) when session == nil or affinity == :none,
    do: away |> Enum.take_random(@few) |> Enum.sort_by(&load/1)

  # The same on every node: of those that it sees.
  defp in_order(away, routes, session) do
    sorted =
      Enum.sort_by(away, fn {client, _, _, slot} ->
        :erlang.phash2({node(client), slot, session}, 0x1_0000_0000)
      end)

    if routes.affinity == :strict, do: [hd(sorted)], else: sorted
  end

  defp take_in(routes, {client, table, share, _slot}, pid) do
    key = make_ref()
    :ets.insert(table, {key, pid})

    if :ets.info(table, :size) <= share do
      {:ok, {client, {:away, table, key, routes}}}
    else
      :ets.delete(table, key)
      nil
    end
  rescue
    # the process, or its node, has gone meanwhile
    ArgumentError -> nil
  end

  @doc "Takes a place in any of them, whether there is one or not; nil if there is none of them."
  @spec take_anyway(Routes.t(), pid) :: {:ok, Routes.place()} | nil
  def take_anyway(routes, pid) do
    with [_ | _] = away <- all(routes) do
      {client, table, _share, slot} = Enum.random(away)
      take_in(routes, {client, table, :infinity, slot}, pid)
    else
      [] -> nil
    end
  end

  @doc "Gives a place back, and tells the line. Once more does no harm."
  @spec give_back(where) :: :ok
  def give_back({:away, table, key, routes}) do
    :ets.delete(table, key)
    if :atomics.get(routes.waiting, 1) > 0, do: send(routes.line, :free)
    :ok
  rescue
    ArgumentError -> :ok
  end
end
