defmodule Bridge.Application do
  @moduledoc false

  # Has no processes of its own: clients belong to the supervisors of those who use them. It only has
  # the modules loaded, since callers may be on a node on which no client ever starts.

  use Application

  @impl true
  def start(_type, _args) do
    Bridge.EarlyCode.load()
    Supervisor.start_link([], strategy: :one_for_one)
  end

  @impl true
  def stop(_state), do: Bridge.Pool.Nodes.close()
end
