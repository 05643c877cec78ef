defmodule Bridge.Pool.Nodes do
  @moduledoc false

  # The pools of the same name on other nodes. All functions run in the keeper's process.
  #
  # The keepers of one name are a group of `:pg`. Each looks there every `:check_every`, says hello to
  # those that are new to it, and is told from then on which processes the other has for it. So two
  # keepers know of each other what they need, and nothing passes them when a call is made.
  #
  # | message between keepers | says |
  # | --- | --- |
  # | `{:hello, pid, about}` | tell me of your processes; `about` has version and adapter |
  # | `{:refused, pid, reason}` | the two do not go together |
  # | `{:processes, pid, list}` | these take calls, each with the share of its places for your node |
  #
  # A keeper, or its node, that is lost takes its processes along, as soon as the runtime tells.

  require Logger

  alias Bridge.Pool.{Away, Keeper, Routes}

  # Of the messages between keepers, and of those between callers and clients on different nodes.
  @version 1

  @scope :bridge_pools

  @enforce_keys [:group, :wanted, :about]
  defstruct [:group, :wanted, :about, :told, peers: %{}, subscribers: %{}]

  @type t :: %__MODULE__{
          group: term,
          wanted: :all | [node],
          about: map,
          told: list | nil,
          peers: %{optional(pid) => peer},
          subscribers: %{optional(pid) => true}
        }

  @type peer :: %{refused: String.t() | nil, routes: [Away.route()]}

  @doc "Joins the pools of this name; nil if the pool has no `:nodes`."
  @spec join(Bridge.Pool.Options.settings()) :: t | nil
  def join(%{nodes: nil}), do: nil

  def join(settings) do
    about = %{version: @version, adapter: settings.client[:adapter], package: package()}
    nodes = %__MODULE__{group: {Bridge.Pool, settings.name}, wanted: settings.nodes, about: about}
    join_group(nodes)
    nodes
  end

  @doc "Ends what all pools of this node have together. A pool that goes on begins it anew."
  @spec close() :: :ok
  def close do
    with scope when scope != nil <- Process.whereis(@scope), do: GenServer.stop(scope)
    :ok
  catch
    # it has ended just now
    :exit, _reason -> :ok
  end

  # The scope is for all pools of this node, and lives longer than any of them: until this application stops.
  defp join_group(nodes) do
    case :pg.start(@scope) do
      {:ok, _pid} -> :ok
      {:error, {:already_started, _pid}} -> :ok
    end

    :pg.join(@scope, nodes.group, self())
  end

  # Not by `:pg.monitor`: OTP 24 has none, and that of 25 fails when a member that monitors ends.
  defp members(nodes) do
    members = :pg.get_members(@scope, nodes.group)
    if self() not in members, do: join_group(nodes)
    members
  rescue
    # somebody has ended the scope
    ArgumentError ->
      join_group(nodes)
      []
  end

  @doc "Looks for keepers that are new."
  @spec look(Keeper.t()) :: Keeper.t()
  def look(%{nodes: nil} = state), do: state

  def look(%{nodes: nodes} = state) do
    Away.sweep(state.processes.routes)
    Enum.reduce(members(nodes), state, &greet(&2, &1))
  end

  defp greet(%{nodes: nodes} = state, pid) do
    if node(pid) != node() and wanted?(nodes, pid) and not is_map_key(nodes.peers, pid) do
      :erlang.monitor(:process, pid, tag: :bridge_node_down)
      tell(pid, {:hello, self(), nodes.about})
      put_peer(state, pid, %{refused: nil, routes: []})
    else
      state
    end
  end

  defp wanted?(%{wanted: :all}, _pid), do: true
  defp wanted?(%{wanted: names}, pid), do: node(pid) in names

  @doc "What another keeper says."
  @spec told(Keeper.t(), term) :: Keeper.t()
  def told(%{nodes: nil} = state, {:hello, pid, _about}) do
    tell(pid, {:refused, self(), "it has no :nodes"})
    state
  end

  def told(%{nodes: nodes} = state, {:hello, pid, about}) do
    cond do
      reason = mismatch(nodes.about, about) ->
        tell(pid, {:refused, self(), reason})
        state

      not wanted?(nodes, pid) ->
        tell(pid, {:refused, self(), "its :nodes do not name #{node(pid)}"})
        state

      true ->
        :erlang.monitor(:process, pid, tag: :bridge_node_down)
        subscribers = Map.put(nodes.subscribers, pid, true)
        state = %{state | nodes: %{nodes | subscribers: subscribers, told: nil}}
        # the other one may see us before we see it
        state |> greet(pid) |> tell_all()
    end
  end

  def told(%{nodes: %{peers: peers}} = state, {:refused, pid, reason})
      when is_map_key(peers, pid) do
    Logger.warning(
      "#{state.processes.routes.name}: no calls go to the one on #{node(pid)}: #{reason}"
    )

    put_peer(state, pid, %{peers[pid] | refused: reason})
  end

  def told(%{nodes: %{peers: peers}} = state, {:processes, pid, list})
      when is_map_key(peers, pid) do
    before = peers[pid].routes

    routes =
      for {client, share, slot} <- list do
        case List.keyfind(before, client, 0) do
          {_client, table, _share, _slot} -> {client, table, share, slot}
          nil -> Away.open(client, share, slot)
        end
      end

    state = state |> put_peer(pid, %{peers[pid] | routes: routes}) |> publish()

    for {client, _, _, _} = route <- before,
        not List.keymember?(routes, client, 0),
        do: Away.close(route)

    state
  end

  def told(state, _from_a_stranger), do: state

  @doc "A keeper, or its node, is lost."
  @spec lost(Keeper.t(), pid) :: Keeper.t()
  def lost(%{nodes: nil} = state, _pid), do: state

  def lost(%{nodes: nodes} = state, pid) do
    {peer, peers} = Map.pop(nodes.peers, pid)
    nodes = %{nodes | peers: peers, subscribers: Map.delete(nodes.subscribers, pid), told: nil}
    state = publish(%{state | nodes: nodes})
    if peer, do: Enum.each(peer.routes, &Away.close/1)
    tell_all(state)
  end

  @doc "Tells those that want to know which processes take calls, if that has changed."
  @spec tell_all(Keeper.t()) :: Keeper.t()
  def tell_all(%{nodes: nil} = state), do: state

  def tell_all(%{nodes: nodes} = state) do
    # so all others together have at most as many as the callers of this node
    parts = 1 + map_size(nodes.subscribers)

    list =
      for {client, _counters, limit, slot} <- Routes.open(state.processes.routes),
          do: {client, max(div(limit, parts), 1), slot}

    if list != nodes.told do
      for {pid, _monitor} <- nodes.subscribers, do: tell(pid, {:processes, self(), list})
    end

    %{state | nodes: %{nodes | told: list}}
  end

  @doc "Whether another node has a process for the callers of this one."
  @spec serve?(Keeper.t()) :: boolean
  def serve?(state), do: Away.all(state.processes.routes) != []

  @doc "What is known of other nodes, for `Bridge.Pool.info/1`."
  @spec describe(Keeper.t()) :: %{optional(node) => map}
  def describe(%{nodes: nil}), do: %{}

  def describe(%{nodes: %{peers: peers}}) do
    for {pid, peer} <- peers, into: %{} do
      processes =
        for {client, _table, share, slot} = route <- peer.routes,
            do: %{slot: slot, client: client, calls: Away.load(route), share: share}

      {node(pid), %{processes: processes, refused: peer.refused}}
    end
  end

  defp put_peer(%{nodes: nodes} = state, pid, peer),
    do: %{state | nodes: %{nodes | peers: Map.put(nodes.peers, pid, peer)}}

  defp publish(%{processes: %{routes: routes}} = state) do
    Away.publish(routes, for({_pid, peer} <- state.nodes.peers, route <- peer.routes, do: route))
    send(routes.line, :free)
    state
  end

  defp mismatch(mine, %{version: version} = other) when version != mine.version do
    "it has version #{other[:package]} of beam_bridge, and this node #{mine.package}, whose nodes do not understand each other"
  end

  defp mismatch(%{adapter: adapter}, %{adapter: other}) when other != adapter,
    do: "it serves #{adapter}, and this node #{other}"

  defp mismatch(_mine, _other), do: nil

  defp tell(pid, what), do: :erlang.send(pid, {:bridge_nodes, what}, [:noconnect])

  defp package, do: to_string(Application.spec(:beam_bridge, :vsn) || "unknown")
end
