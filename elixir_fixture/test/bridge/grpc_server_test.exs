defmodule Bridge.GRPCServerTest do
  @moduledoc """
  Servers with settings of their own: one pool for both transports, certificates that Erlang has
  made, a token, a Unix socket.
  """

  use Bridge.TestCase, async: true

  import Bridge.GRPCCase

  alias Bridge.Error
  alias Bridge.Test.GRPC

  @moduletag :grpc
  @moduletag :tmp_dir

  test "both transports share one pool and one queue" do
    {client, address} = start_both(max_workers: 1, max_queue: 1)
    server = GRPC.new("http://" <> address)
    running = Task.async(fn -> Bridge.call(client, "never_returns", [], tag: :running) end)
    eventually_busy(client, 1)
    queued = GRPC.start_call(server, "echo", ["queued"])
    eventually(fn -> match?({:ok, %{"queued" => 1}}, Bridge.stats(client)) end)

    assert {:error, %Error{code: :resource_exhausted, started: false}} =
             Bridge.call(client, "echo", [1])

    assert {:error, %Error{code: :resource_exhausted, started: false}} =
             GRPC.call(server, "echo", [1])

    Bridge.cancel(client, :running)
    assert {:error, %Error{code: :cancelled}} = Task.await(running)
    assert GRPC.await_result(queued) == {:ok, "queued"}
    assert {:ok, %{"tools" => %{"echo" => %{"calls" => 1}}}} = Bridge.stats(client)
  end

  test "both transports end together" do
    {client, address} = start_both(grace: 0.1)
    server = GRPC.new("http://" <> address)
    call = GRPC.start_call(server, "never_returns")
    eventually_busy(client, 1)
    assert stop_supervised(Bridge.Client) == :ok
    assert {:error, %Error{code: :unavailable, started: true}} = GRPC.await_result(call)
    assert {:error, %Error{code: :unavailable}} = GRPC.call(server, "echo", [1])
  end

  test "TLS shows who both sides are", %{tmp_dir: tmp_dir} do
    %{server_config: server, client_config: client} = certificates()
    server = write_identity(tmp_dir, "server", server)
    client = write_identity(tmp_dir, "client", client)

    flags = [
      "--tls-cert",
      server.cert,
      "--tls-key",
      server.key,
      "--tls-client-ca",
      server.trusted
    ]

    {_client, "localhost" <> port = address} = start_both(args: flags)

    trust = ["--cacert", client.trusted]
    identity = ["--cert", client.cert, "--key", client.key]
    url = "https://" <> address
    assert url |> GRPC.new(trust ++ identity) |> GRPC.call("echo", [1]) == {:ok, 1}

    for {url, flags} <- [
          {url, identity},
          {url, trust},
          {"https://127.0.0.1" <> port, trust ++ identity},
          {"http://" <> address, []}
        ] do
      assert {:error, %Error{code: :unavailable}} =
               url |> GRPC.new(flags) |> GRPC.call("echo", [1])
    end
  end

  test "a token is asked of every call", %{tmp_dir: tmp_dir} do
    file = Path.join(tmp_dir, "token")
    File.write!(file, "s3cret\n")
    {_client, address} = start_both(args: ["--token-file", file])
    server = GRPC.new("http://" <> address)

    assert GRPC.call(server, "echo", [1], metadata: [{"authorization", "Bearer s3cret"}]) ==
             {:ok, 1}

    for metadata <- [[], [{"authorization", "Bearer wrong"}]] do
      assert {:error, %Error{code: :unauthenticated, started: false}} =
               GRPC.call(server, "echo", [1], metadata: metadata)
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

  # What `:public_key` makes for its own tests: of elliptic curves the server's library refuses it.
  defp certificates do
    rsa = [key: {:rsa, 2048, 65_537}, digest: :sha256]
    subject_alt_name = {:Extension, {2, 5, 29, 17}, false, [dNSName: ~c"localhost"]}
    server = [extensions: [subject_alt_name]] ++ rsa

    :public_key.pkix_test_data(%{
      server_chain: %{root: rsa, intermediates: [], peer: server},
      client_chain: %{root: rsa, intermediates: [], peer: rsa}
    })
  end

  defp write_pem(tmp_dir, name, entries) do
    path = Path.join(tmp_dir, name)
    entries = for {type, der} <- entries, do: {type, der, :not_encrypted}
    File.write!(path, :public_key.pem_encode(entries))
    path
  end

  # A certificate, its key and the authorities that it trusts, in files.
  defp write_identity(tmp_dir, name, config) do
    %{
      cert: write_pem(tmp_dir, "#{name}.pem", Certificate: config[:cert]),
      key: write_pem(tmp_dir, "#{name}.key", [config[:key]]),
      trusted:
        write_pem(tmp_dir, "#{name}.cas", for(der <- config[:cacerts], do: {:Certificate, der}))
    }
  end
end
