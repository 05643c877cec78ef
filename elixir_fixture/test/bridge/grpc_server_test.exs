defmodule Bridge.GRPCServerTest do
  @moduledoc """
  Servers with settings of their own: one pool for both transports, a token, a Unix socket.
  """

  use Bridge.TestCase, async: true

  import Bridge.GRPCCase

  alias Bridge.Error
  alias Bridge.Test.GRPC

  @moduletag :grpc
  @moduletag :tmp_dir

  test "both transports share one pool and one queue" do
    {client, address} = start_both(max_workers: 1, max_queue: 1)
    server = GRPC.new(address)
    running = Task.async(fn -> Bridge.call(client, "never_returns", [], tag: :running) end)
    eventually_busy(client, 1)
    queued = GRPC.start_call(server, "echo", ["queued"])
    eventually(fn -> match?({:ok, %{"queued" => 1}}, Bridge.stats(client)) end)

    # it is received behind the one that waits, which is in the one queue then
    assert {:error, %Error{code: :resource_exhausted, started: false}} =
             GRPC.call(server, "echo", [1])

    assert {:error, %Error{code: :resource_exhausted, started: false}} =
             Bridge.call(client, "echo", [1])

    Bridge.cancel(client, :running)
    assert {:error, %Error{code: :cancelled}} = Task.await(running)
    assert GRPC.await_result(queued) == {:ok, "queued"}
    assert {:ok, %{"tools" => %{"echo" => %{"calls" => 1}}}} = Bridge.stats(client)
  end

  test "both transports end together" do
    {client, address} = start_both(grace: 0.1)
    server = GRPC.new(address)
    call = GRPC.start_call(server, "never_returns")
    eventually_busy(client, 1)
    assert stop_supervised(Bridge.Client) == :ok
    assert {:error, %Error{code: :unavailable, started: true}} = GRPC.await_result(call)
    assert {:error, %Error{code: :unavailable}} = GRPC.call(server, "echo", [1])
  end

  test "a token is asked of every call", %{tmp_dir: tmp_dir} do
    file = Path.join(tmp_dir, "token")
    File.write!(file, "s3cret\n")
    {_client, address} = start_both(args: ["--token-file", file])
    server = GRPC.new(address)

    assert GRPC.call(server, "echo", [1], metadata: [{"authorization", "Bearer s3cret"}]) ==
             {:ok, 1}

    for metadata <- [[], [{"authorization", "Bearer wrong"}]] do
      # The answer may come, and end the stream, while curl still sends; curl then reads none.
      eventually(fn ->
        {:error, error} = GRPC.call(server, "echo", [1], metadata: metadata)
        assert error.code in [:unauthenticated, :unavailable]
        match?(%Error{code: :unauthenticated, started: false}, error)
      end)
    end
  end

  test "a Unix socket serves like a port" do
    # the test's own directory is too deep: such a path has at most 107 bytes
    name = "bridge-#{System.pid()}-#{System.unique_integer([:positive])}"
    path = Path.join(System.tmp_dir!(), name)
    on_exit(fn -> File.rm(path) end)
    start_both(args: ["--host", "unix:" <> path])
    server = GRPC.new("unix:" <> path)
    assert GRPC.call(server, "echo", [1]) == {:ok, 1}
    assert {[_ | _], :ok} = GRPC.stream(server, "counts", [100])
  end
end
