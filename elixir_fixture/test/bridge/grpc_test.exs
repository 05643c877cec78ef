defmodule Bridge.GRPCTest do
  @moduledoc """
  Elixir's values and errors over gRPC.

  What a server has to do is tested in Python, for both transports alike.
  """

  use Bridge.TestCase, async: true

  import Bridge.GRPCCase

  alias Bridge.{Error, Tensor}
  alias Bridge.Test.{GRPC, Protobuf}

  doctest Protobuf

  @moduletag :grpc
  @moduletag :tmp_dir

  setup_all do
    {client, address} = start_both(max_workers: 8)
    %{client: client, server: GRPC.new(address)}
  end

  describe "Call" do
    test "carries every kind of value there and back", %{server: server} do
      values = [
        nil,
        true,
        -1,
        2 ** 64,
        -(2 ** 63) - 1,
        2 ** 1000,
        1.5,
        :nan,
        :infinity,
        :neg_infinity,
        "grüß Gott",
        <<0, 255>>,
        [1, [2, []]],
        %{"a" => %{1 => nil, 2.5 => %{"b" => [%{}]}}},
        ~U[2026-11-23 12:00:00.123456Z],
        Tensor.new!({:s, 16}, {2, 2}, for(n <- 1..4, into: <<>>, do: <<n::little-16>>))
      ]

      assert GRPC.call(server, "echo", [values]) == {:ok, values}
      data = :rand.bytes(5_000_000)
      assert GRPC.call(server, "echo", [{:bytes, data}]) == {:ok, data}
    end

    test "takes arguments by position and by name", %{server: server} do
      assert GRPC.call(server, "echo", ["x"]) == {:ok, "x"}
      assert GRPC.call(server, "echo", %{value: "x"}) == {:ok, "x"}
    end

    test "passes session, metadata and the time that remains", %{server: server} do
      opts = [session: "s1", metadata: [{"traceparent", "00-ab"}], timeout: 10_000]
      assert {:ok, seen} = GRPC.call(server, "what_it_sees", [], opts)
      assert %{"session" => "s1", "metadata" => %{"traceparent" => "00-ab"}} = seen
      assert seen["seconds_left"] > 0 and seen["seconds_left"] <= 10
    end

    test "ends with its deadline", %{client: client, server: server} do
      assert {:error, %Error{code: :deadline_exceeded}} =
               GRPC.call(server, "never_returns", [], timeout: 50)

      eventually_busy(client, 0)
    end

    test "is cancelled with its connection", %{client: client, server: server} do
      call = GRPC.start_call(server, "never_returns")
      eventually_busy(client, 1)
      GRPC.abandon(call)
      eventually_busy(client, 0)
    end
  end

  describe "CallStream" do
    test "brings all items in order, then the result", %{server: server} do
      items = for n <- 0..999, do: {:item, n}

      assert GRPC.stream(server, "counts", [1_000]) ==
               {items ++ [result: "the return value"], :ok}
    end

    test "brings an error after the items before it", %{server: server} do
      assert {[item: 0, item: 1, item: 2], {:error, %Error{code: :internal} = error}} =
               GRPC.stream(server, "counts_then_raises", [3])

      assert error.message =~ "after the last item"
    end

    test "closes the generator with its connection", context do
      %{client: client, server: server, tmp_dir: tmp_dir} = context
      marker = Path.join(tmp_dir, "closed")
      call = GRPC.start_stream(server, "endless", [marker])
      eventually_busy(client, 1)
      GRPC.abandon(call)
      eventually(fn -> File.exists?(marker) end)
    end
  end

  describe "both transports" do
    test "say the same about an error", %{client: client, server: server} do
      for {tool, args} <- [
            {"ech", []},
            {"echo", [1, 2, 3]},
            {"raises", ["keine Stadt namens Öß, 100 %"]},
            {"returns_unencodable", []}
          ] do
        {:error, expected} = Bridge.call(client, tool, args)
        {:error, error} = GRPC.call(server, tool, args)
        assert %{error | details: %{}} == expected
        assert is_binary(error.details["reason"])
      end
    end
  end
end
