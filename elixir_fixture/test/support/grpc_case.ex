defmodule Bridge.GRPCCase do
  @moduledoc """
  What the tests over gRPC share.
  """

  import Bridge.TestCase

  @doc "Starts a client whose Python serves gRPC as well: the client, and the server's address."
  def start_both(opts \\ []) do
    {flags, opts} = Keyword.pop(opts, :args, [])
    args = ["--transport", "stdio,grpc", "--port", "0" | flags]
    client = start_client([args: args] ++ opts)
    {:ok, %{ready: ready}} = Bridge.info(client)
    {client, "localhost:#{ready["grpc_port"]}"}
  end

  @doc "Waits until so many workers run a tool."
  def eventually_busy(client, n) do
    eventually(fn -> match?({:ok, %{"busy" => ^n}}, Bridge.health(client)) end)
  end
end
