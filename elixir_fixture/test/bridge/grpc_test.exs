defmodule Bridge.GRPCCase do
  @moduledoc """
  What the tests over gRPC share: a bridge that serves the fixture's tools to our own client.
  """

  use ExUnit.CaseTemplate

  import Bridge.TestCase

  alias Bridge.Test.GRPC
  alias Bridge.Test.GRPC.Stub

  using do
    quote do
      import Bridge.TestCase
      import Bridge.GRPCCase

      alias Bridge.Error
      alias Bridge.Test.{GRPC, HTTP2, Protobuf}
      alias Bridge.Test.GRPC.Stub
    end
  end

  @doc """
  Starts a bridge that serves gRPC alone, and waits until it does. It ends with the test.

  The caller gets the messages of `:port`, in the end its exit status.
  """
  def start_bridge(flags \\ []) do
    options = options()
    python = System.find_executable(System.get_env("BRIDGE_PYTHON") || "python3")
    served = ["--adapter", options[:adapter], "--app-dir", options[:app_dir]]
    # what a refused handshake makes gRPC's library log is not for the output of the tests
    env = Map.put(options[:env], "GRPC_VERBOSITY", "NONE")

    port =
      Port.open({:spawn_executable, python}, [
        :binary,
        :exit_status,
        line: 1_000,
        env: for({name, value} <- env, do: {to_charlist(name), to_charlist(value)}),
        args: ["-P", "-m", "bridge", "--transport", "grpc", "--port", "0" | served] ++ flags
      ])

    {:os_pid, os_pid} = Port.info(port, :os_pid)

    # A closed pipe need not end it. It may be about to end by itself, so nothing is expected here.
    kill = fn -> System.cmd("kill", ["-KILL", "#{os_pid}"], stderr_to_stdout: true) end
    ExUnit.Callbacks.on_exit(kill)

    receive do
      {^port, {:data, {:eol, "GRPC_READY:unix:" <> path}}} ->
        %{port: port, os_pid: os_pid, target: "unix:" <> path}

      {^port, {:data, {:eol, "GRPC_READY:" <> number}}} ->
        %{port: port, os_pid: os_pid, target: "127.0.0.1:" <> number}

      {^port, {:exit_status, status}} ->
        ExUnit.Assertions.flunk("the bridge ended with #{status} before it was ready")
    end
  end

  @doc "Connects, or fails."
  def connect!(target, opts \\ []) do
    {:ok, channel} = GRPC.connect(target, opts)
    channel
  end

  @doc "Waits until so many workers run a tool."
  def eventually_busy(channel, n) do
    eventually(fn -> match?({:ok, %{"busy" => busy}} when busy == n, Stub.stats(channel)) end)
  end

  @doc "Waits until so many calls wait for a worker."
  def eventually_queued(channel, n) do
    eventually(fn ->
      match?({:ok, %{"queued" => queued}} when queued == n, Stub.stats(channel))
    end)
  end

  @doc "Begins a call that runs until it is cancelled, and waits until it does run."
  def occupy_worker(channel) do
    {:ok, call} = Stub.start_call(channel, "never_returns")
    eventually_busy(channel, 1)
    call
  end
end

defmodule Bridge.GRPCTest do
  use Bridge.GRPCCase, async: true

  alias Bridge.Tensor

  setup_all do
    %{target: start_bridge(["--max-workers", "8"]).target}
  end

  setup %{target: target} do
    %{channel: connect!(target)}
  end

  # No tool occupies a worker any more, and our connection keeps nothing.
  defp assert_idle(channel) do
    eventually_busy(channel, 0)
    assert HTTP2.info(channel.connection) == %{streams: 0, unsent: 0}
  end

  describe "Call" do
    test "carries every kind of value there and back", %{channel: channel} do
      for value <- [
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
          ] do
        assert Stub.call(channel, "echo", [value]) == {:ok, value}
      end

      assert {:ok, [:nan, :infinity, :neg_infinity, zero]} = Stub.call(channel, "odd_floats")
      assert zero == 0.0
    end

    test "exchanges tensors with NumPy", %{channel: channel} do
      assert {:ok, %Tensor{type: {:f, 32}, shape: {1, 3}} = tensor} =
               Stub.call(channel, "tensor", [3])

      assert {:ok, doubled} = Stub.call(channel, "doubles_tensor", [tensor])
      assert for(<<x::float-little-32 <- doubled.data>>, do: x) == [0.0, 2.0, 4.0]
    end

    test "takes arguments by position and by name, in both forms", %{channel: channel} do
      for form <- [:msgpack, :json], args <- [["x"], %{value: "x"}] do
        assert Stub.call(channel, "echo", args, form: form) == {:ok, "x"}
      end

      assert {:ok, %{"metadata" => %{}}} = Stub.call(channel, "what_it_sees")
    end

    test "carries JSON, and makes what it lacks text", %{channel: channel} do
      value = %{"a" => [1, 2.5, nil, true, "grüß Gott", %{}, []], "b" => %{"c" => -(2 ** 53)}}
      assert Stub.call(channel, "echo", [value], form: :json) == {:ok, value}
      assert Stub.call(channel, "type_of", [1], form: :json) == {:ok, "int"}
      assert Stub.call(channel, "type_of", [1.5], form: :json) == {:ok, "float"}

      assert Stub.call(channel, "odd_floats", [], form: :json) ==
               {:ok, ["NaN", "Infinity", "-Infinity", -0.0]}

      assert Stub.call(channel, "tensor", [3], form: :json) == {:ok, [[0, 1, 2]]}
    end

    test "passes session, metadata and the time that remains", %{channel: channel} do
      opts = [session: "s1", metadata: [{"traceparent", "00-ab"}], timeout: 10_000]
      assert {:ok, seen} = Stub.call(channel, "what_it_sees", [], opts)
      assert %{"session" => "s1", "metadata" => %{"traceparent" => "00-ab"}} = seen
      assert seen["seconds_left"] > 0 and seen["seconds_left"] <= 10

      assert Stub.call(channel, "what_it_sees") ==
               {:ok, %{"session" => nil, "metadata" => %{}, "seconds_left" => nil}}
    end

    test "carries megabytes past the windows of both sides", %{channel: channel} do
      data = :rand.bytes(5_000_000)
      assert Stub.call(channel, "echo", [{:bytes, data}]) == {:ok, data}
      assert_idle(channel)
    end

    test "serves many callers on one connection", %{channel: channel} do
      1..40
      |> Enum.map(fn n ->
        Task.async(fn ->
          for i <- 1..10, do: assert(Stub.call(channel, "echo", [[n, i]]) == {:ok, [n, i]})
        end)
      end)
      |> Task.await_many(20_000)

      assert_idle(channel)
    end

    test "answers a quick call while a slow one runs", %{channel: channel} do
      slow = occupy_worker(channel)
      assert Stub.call(channel, "echo", ["quick"]) == {:ok, "quick"}
      GRPC.cancel(slow)
      assert {:error, %Error{code: :cancelled}} = Stub.await(slow)
    end
  end

  describe "an error of Call" do
    test "says that there is no such tool", %{channel: channel} do
      assert {:error, %Error{code: :not_found, started: false} = error} =
               Stub.call(channel, "ech", [1])

      assert error.message =~ "there is no tool 'ech'"
      assert %{"domain" => "bridge", "reason" => "NOT_FOUND"} = error.details
    end

    test "names what is wrong with the arguments", %{channel: channel} do
      for {tool, args, reason} <- [
            {"echo", [1, 2, 3], "echo"},
            {"echo", %{"values" => 1}, "values"},
            {"counts", [1], "streams"}
          ] do
        assert {:error, %Error{code: :invalid_argument, started: false} = error} =
                 Stub.call(channel, tool, args)

        assert error.message =~ reason
        assert [{"params" <> _, _description}] = Map.to_list(error.details["fields"])
      end
    end

    test "names the field that cannot be decoded", %{channel: channel} do
      for {params, field} <- [
            {%{msgpack: <<0xC1>>}, "params.msgpack"},
            {%{msgpack: <<1>>}, "params.msgpack"},
            {%{json: "text"}, "params.json"}
          ] do
        request = Protobuf.encode!(:call_request, %{tool: "echo", params: params})

        assert {:error, %Error{code: :invalid_argument} = error} =
                 GRPC.unary(channel, "/bridge.v1.Bridge/Call", request)

        assert Map.has_key?(error.details["fields"], field)
      end

      assert {:error, %Error{code: :invalid_argument}} =
               GRPC.unary(channel, "/bridge.v1.Bridge/Call", "\xFFno protobuf")
    end

    test "brings a tool's exception, with its class and traceback", %{channel: channel} do
      assert {:error, %Error{code: :internal, type: "builtins.ValueError"} = error} =
               Stub.call(channel, "raises", ["keine Stadt namens Öß, 100 %"])

      assert error.message == "keine Stadt namens Öß, 100 %"
      assert error.started
      assert error.details["reason"] == "TOOL_FAILED"
      assert Exception.message(error) =~ ~r/fixture_tools.py", line \d+, in raises/

      assert {:error, %Error{code: :internal, message: message}} =
               Stub.call(channel, "returns_unencodable")

      assert message =~ "scores[1]"
    end

    test "survives a message of any length", %{channel: channel} do
      for size <- [1_000, 20_000] do
        assert {:error, %Error{code: :internal, message: message, type: "builtins.ValueError"}} =
                 Stub.call(channel, "raises", [String.duplicate("ö", size)])

        assert String.starts_with?(message, "öööö")
      end
    end

    test "says that there is no such method", %{channel: channel} do
      for path <- ["/bridge.v1.Bridge/Nothing", "/nobody/Call"] do
        assert {:error, %Error{code: :unimplemented}} = GRPC.unary(channel, path, "")
      end
    end
  end

  describe "a deadline" do
    test "ends the call, and the tool sees it", %{channel: channel} do
      {:ok, %{"interrupted" => before}} = Stub.stats(channel)

      assert {:error, %Error{code: :deadline_exceeded}} =
               Stub.call(channel, "never_returns", [], timeout: 50)

      assert_idle(channel)
      {:ok, %{"interrupted" => interrupted}} = Stub.stats(channel)
      assert interrupted != before
    end

    test "is kept by the server, too", %{channel: channel} do
      # our own clock is not set
      assert {:error, %Error{code: :deadline_exceeded}} =
               Stub.call(channel, "never_returns", [], metadata: [{"grpc-timeout", "50m"}])

      assert_idle(channel)
    end

    test "of a stream is one for all of it", %{channel: channel} do
      stream = Stub.stream(channel, "counts_slowly", [1_000, 0.01], timeout: 100)
      assert %Error{code: :deadline_exceeded} = catch_error(Enum.to_list(stream))
      assert_idle(channel)
    end
  end

  describe "a call is cancelled" do
    test "by hand, from another process", %{channel: channel} do
      call = occupy_worker(channel)
      Task.await(Task.async(fn -> GRPC.cancel(call) end))
      assert {:error, %Error{code: :cancelled}} = Stub.await(call)
      assert_idle(channel)
    end

    test "with its caller", %{channel: channel} do
      caller = spawn(fn -> Stub.call(channel, "never_returns") end)
      eventually_busy(channel, 1)
      Process.exit(caller, :kill)
      assert_idle(channel)
    end

    test "with its connection", %{channel: channel, target: target} do
      other = connect!(target)
      call = occupy_worker(other)
      GRPC.close(other)
      assert {:noproc, _} = catch_exit(Stub.await(call))
      assert_idle(channel)
    end
  end

  describe "CallStream" do
    @describetag :tmp_dir

    defp assert_closed(marker) do
      eventually(fn -> File.exists?(marker) end)
      marker |> File.read!() |> String.to_integer()
    end

    test "brings all items in order, then the result", %{channel: channel} do
      for form <- [:msgpack, :json] do
        stream = Stub.stream(channel, "counts", [1_000], form: form)
        items = for n <- 0..999, do: {:item, n}

        assert Enum.map(stream, fn {kind, n} -> {kind, as_integer(n)} end) ==
                 items ++ [result: "the return value"]
      end

      assert_idle(channel)
    end

    defp as_integer(n) when is_float(n), do: trunc(n)
    defp as_integer(other), do: other

    test "takes a tool that does not stream", %{channel: channel} do
      assert channel |> Stub.stream("echo", [1]) |> Enum.to_list() == [result: 1]
    end

    test "brings progress and log lines", %{channel: channel} do
      notes = channel |> Stub.stream("reports_progress", [3]) |> Enum.to_list()

      assert notes ==
               for(n <- 1..3, do: {:progress, %{done: n / 1, total: 3.0, text: "step #{n}"}}) ++
                 [result: 3]

      assert [log: log, result: nil] = channel |> Stub.stream("logs", ["hm"]) |> Enum.to_list()

      assert log == %{
               level: "warning",
               logger: "bridge.tool.logs",
               text: "hm",
               fields: %{"answer" => 42.0}
             }
    end

    test "raises an error after the items before it", %{channel: channel} do
      test = self()
      stream = Stub.stream(channel, "counts_then_raises", [3])

      error =
        assert_raise Error, ~r/after the last item/, fn -> Enum.each(stream, &send(test, &1)) end

      assert %Error{code: :internal, type: "builtins.RuntimeError", started: true} = error
      assert Process.info(self(), :messages) == {:messages, [item: 0, item: 1, item: 2]}

      assert %Error{code: :not_found} =
               channel |> Stub.stream("ech") |> Enum.to_list() |> catch_error()
    end

    test "pauses the generator while its reader is slow", context do
      %{channel: channel, target: target, tmp_dir: tmp_dir} = context
      marker = Path.join(tmp_dir, "closed")

      # the window takes six items
      target
      |> connect!(window: 65_535)
      |> Stub.stream("endless", [marker, 10_000])
      |> Enum.reduce_while(0, fn {:item, %{"count" => count}}, count ->
        # as long as this takes, an unchecked generator would make thousands of items
        if count == 20, do: for(_ <- 1..20, do: Stub.call(channel, "wait", [0.005]))
        if count < 20, do: {:cont, count + 1}, else: {:halt, nil}
      end)

      assert assert_closed(marker) in 20..40
    end

    test "closes the generator when no more is wanted", %{channel: channel, tmp_dir: tmp_dir} do
      marker = Path.join(tmp_dir, "closed")

      assert [item: %{"count" => 0}, item: %{"count" => 1}] =
               channel |> Stub.stream("endless", [marker]) |> Enum.take(2)

      assert_closed(marker)
      assert_idle(channel)
      refute_received _anything
    end

    test "closes the generator with its consumer", %{channel: channel, tmp_dir: tmp_dir} do
      marker = Path.join(tmp_dir, "closed")
      test = self()

      consumer =
        spawn(fn ->
          channel
          |> Stub.stream("endless", [marker])
          |> Enum.each(fn _item -> send(test, :consuming) end)
        end)

      assert_receive :consuming, 5_000
      Process.exit(consumer, :kill)
      assert_closed(marker)
      assert_idle(channel)
    end

    test "works on several streams a step at a time", %{channel: channel} do
      a = Stub.stream(channel, "counts", [100])
      b = Stub.stream(channel, "counts", [50])
      pairs = for n <- 0..49, do: {{:item, n}, {:item, n}}
      result = {{:item, 50}, {:result, "the return value"}}
      assert a |> Stream.zip(b) |> Enum.to_list() == pairs ++ [result]
      assert_idle(channel)
    end
  end

  describe "what is asked about the bridge" do
    test "ListTools lists the tools with their parameters", %{channel: channel} do
      assert {:ok, tools} = Stub.tools(channel)
      assert tools == Enum.sort_by(tools, & &1.name)
      sleep = Enum.find(tools, &(&1.name == "sleep"))
      assert sleep.description =~ "the worker stays occupied"
      assert [%{name: "seconds", annotation: "float", required: true}, value] = sleep.parameters
      assert %{name: "value", default: nil} = value
      assert %{streaming: true} = Enum.find(tools, &(&1.name == "counts"))
    end

    test "GetStats counts", %{channel: channel} do
      {:ok, %{"tools" => %{"type_of" => %{"calls" => before}}}} = Stub.stats(channel)
      assert Stub.call(channel, "type_of", [1]) == {:ok, "int"}

      assert {:ok, %{"tools" => %{"type_of" => %{"calls" => calls}}} = stats} =
               Stub.stats(channel)

      assert calls == before + 1
      assert %{"status" => "serving", "max_workers" => 8.0} = stats
    end

    test "the health of server and service", %{channel: channel} do
      assert Stub.health(channel) == {:ok, :serving}
      assert Stub.health(channel, "bridge.v1.Bridge") == {:ok, :serving}
      assert {:error, %Error{code: :not_found}} = Stub.health(channel, "nobody")
      assert channel |> Stub.watch_health() |> Enum.take(1) == [:serving]
      assert channel |> Stub.watch_health("nobody") |> Enum.take(1) == [:service_unknown]
    end
  end
end

defmodule Bridge.GRPCResponseTest do
  use Bridge.GRPCCase, async: true

  alias Bridge.Test.HTTP2.{Frame, HPACK}

  @headers [{":status", "200"}, {"content-type", "application/grpc"}]

  # A channel to a server that answers the first request, which is on stream 1, with these frames.
  defp answering(frames) do
    {:ok, listener} = :gen_tcp.listen(0, [:binary, active: false, ip: {127, 0, 0, 1}])
    {:ok, port} = :inet.port(listener)

    Task.start_link(fn ->
      {:ok, socket} = :gen_tcp.accept(listener)
      {:ok, "PRI * HTTP/2.0" <> _} = :gen_tcp.recv(socket, 24)
      :ok = :gen_tcp.send(socket, Frame.encode({:settings, []}))
      read_request(socket, "")
      :ok = :gen_tcp.send(socket, Enum.map(frames, &Frame.encode/1))
      read_to_end(socket)
    end)

    connect!("127.0.0.1:#{port}")
  end

  defp read_request(socket, buffer) do
    case Frame.decode(buffer, 16_384) do
      {:ok, {:data, 1, [:end_stream], _data, 0}, _rest} ->
        :ok

      {:ok, _frame, rest} ->
        read_request(socket, rest)

      :incomplete ->
        {:ok, more} = :gen_tcp.recv(socket, 0, 5_000)
        read_request(socket, buffer <> more)
    end
  end

  defp read_to_end(socket) do
    with {:ok, _bytes} <- :gen_tcp.recv(socket, 0), do: read_to_end(socket)
  end

  defp headers(fields), do: {:headers, 1, [:end_headers], HPACK.encode(fields)}
  defp last(fields), do: {:headers, 1, [:end_headers, :end_stream], HPACK.encode(fields)}
  defp data(binary), do: {:data, 1, [], binary, 0}
  defp prefixed(message), do: <<0, byte_size(message)::32, message::binary>>

  defp unary(frames), do: frames |> answering() |> GRPC.unary("/some/Method", "request")

  defp code_of(frames) do
    {:error, %Error{code: code}} = unary(frames)
    code
  end

  test "is put together, however it is cut" do
    <<first::binary-size(3), second::binary-size(4), third::binary>> = prefixed("response")
    frames = [headers(@headers) | Enum.map([first, second, third], &data/1)]
    assert unary(frames ++ [last([{"grpc-status", "0"}])]) == {:ok, "response"}

    messages = for n <- 1..3, do: prefixed("#{n}")
    <<cut::binary-size(8), rest::binary>> = IO.iodata_to_binary(messages)
    frames = [headers(@headers), data(cut), data(rest), last([{"grpc-status", "0"}])]
    assert frames |> answering() |> GRPC.stream("/some/Method", "") |> Enum.to_list() == ~w(1 2 3)
  end

  test "may be nothing but trailers" do
    fields = @headers ++ [{"grpc-status", "5"}, {"grpc-message", "100%25 f%C3%BCr 100 %, %zz"}]
    assert {:error, %Error{code: :not_found, message: message}} = unary([last(fields)])
    assert message == "100% für 100 %, %zz"
    assert code_of([last(@headers ++ [{"grpc-status", "99"}])]) == :unknown
  end

  test "has details in base64 with and without padding" do
    info = %{reason: "TIRED", domain: "bridge", metadata: %{"started" => "true"}}
    details = [error_info: info, struct: %{"hours" => 16}] ++ [{"type.of/another", "?"}]

    for padding <- [true, false], message <- ["a", "ab", "abc"] do
      status = Protobuf.encode!(:status, %{code: 10, message: message, details: details})
      text = Base.encode64(status, padding: padding)
      fields = [{"grpc-status", "10"}, {"grpc-status-details-bin", text}]

      assert {:error, %Error{code: :aborted, started: true} = error} =
               unary([last(@headers ++ fields)])

      assert error.details == %{"reason" => "TIRED", "domain" => "bridge", "hours" => 16.0}
    end
  end

  test "without a status of gRPC's is an error by its HTTP status" do
    for {status, code} <- [
          {"200", :unknown},
          {"401", :unauthenticated},
          {"404", :unimplemented},
          {"503", :unavailable}
        ] do
      assert code_of([last([{":status", status}])]) == code
    end
  end

  test "that is malformed is an error of the server" do
    ok = last([{"grpc-status", "0"}])
    compressed = <<1, 1::32, "x">>

    for frames <- [[data(compressed), ok], [data("\0\0"), ok], [ok]] do
      assert code_of([headers(@headers) | frames]) == :internal
    end

    twice = [data(prefixed("one")), data(prefixed("two")), ok]
    assert code_of([headers(@headers) | twice]) == :internal
  end

  test "may be a reset or a refusal" do
    for {error, code} <- [
          {:refused_stream, :unavailable},
          {:cancel, :cancelled},
          {:enhance_your_calm, :resource_exhausted},
          {:inadequate_security, :permission_denied},
          {:internal_error, :internal}
        ] do
      assert code_of([headers(@headers), {:rst_stream, 1, error}]) == code
    end

    assert {:error, %Error{code: :unavailable, started: false}} =
             unary([{:goaway, 0, :no_error, ""}])
  end
end

defmodule Bridge.ProtobufTest do
  use ExUnit.Case, async: true

  alias Bridge.Test.Protobuf

  doctest Protobuf

  # The bytes are those of the protobuf documentation's page on encoding, where it has them.
  test "reads and writes the wire format" do
    for {name, message, binary} <- [
          {:duration, %{seconds: 150}, <<0x08, 0x96, 0x01>>},
          {:duration, %{nanos: -2}, <<0x10, 0xFE, 0xFFFFFFFFFFFFFFFF::64, 0x01>>},
          {:any_message, %{value: "testing"}, <<0x12, 0x07, "testing">>},
          {:progress, %{done: 1.5}, <<0x09, 1.5::float-little-64>>},
          {:tool, %{streaming: true, parameters: []}, <<0x20, 0x01>>},
          {:debug_info, %{stack_entries: ["a", ""]}, <<0x0A, 1, "a", 0x0A, 0>>}
        ] do
      assert Protobuf.encode!(name, message) == binary
      assert Protobuf.decode!(name, binary) == message
    end
  end

  test "carries JSON as plain terms" do
    for term <- [nil, true, false, 0.0, -1.5, "", "text", [], [nil, [1.0]], %{}, %{"a" => [%{}]}] do
      assert :payload |> Protobuf.encode!(%{json: term}) |> then(&Protobuf.decode!(:payload, &1)) ==
               %{json: term}
    end
  end

  test "skips what it does not know, and takes the last of what is there twice" do
    unknown = <<0x78, 1, 0x79, 0::64, 0x7A, 2, "??", 0x7D, 0::32>>
    assert Protobuf.decode!(:duration, unknown <> <<0x08, 1, 0x08, 2>>) == %{seconds: 2}
  end

  test "refuses what is malformed" do
    for {name, binary} <- [
          {:duration, <<0x08>>},
          {:duration, <<0x08, 0xFF>>},
          {:duration, <<0x0A, 5, "abc">>},
          {:duration, <<0x0B>>},
          {:any_message, <<0x08, 1>>},
          {:progress, <<0x09, 1>>},
          {:value, <<>>}
        ] do
      assert_raise ArgumentError, fn -> Protobuf.decode!(name, binary) end
    end

    assert_raise KeyError, fn -> Protobuf.encode!(:duration, %{minutes: 1}) end
  end
end

defmodule Bridge.GRPCLifeTest do
  use Bridge.GRPCCase, async: true

  describe "a bridge whose workers are all busy" do
    setup do
      bridge = start_bridge(["--max-workers", "1", "--max-queue", "1"])
      %{channel: connect!(bridge.target)}
    end

    test "queues, then refuses, and still tells how it is", %{channel: channel} do
      running = occupy_worker(channel)
      {:ok, queued} = Stub.start_call(channel, "echo", ["queued"])
      eventually_queued(channel, 1)

      assert {:error, %Error{code: :resource_exhausted, started: false} = error} =
               Stub.call(channel, "echo", ["refused"])

      assert %{"reason" => "RESOURCE_EXHAUSTED", "retry_after_ms" => ms} = error.details
      assert ms > 0

      assert %Error{code: :resource_exhausted} =
               channel |> Stub.stream("counts", [1]) |> Enum.to_list() |> catch_error()

      assert Stub.health(channel) == {:ok, :serving}
      assert {:ok, [_ | _]} = Stub.tools(channel)

      GRPC.cancel(running)
      assert {:error, %Error{code: :cancelled}} = Stub.await(running)
      assert Stub.await(queued) == {:ok, "queued"}
    end

    test "does not run what was cancelled in the queue", %{channel: channel} do
      running = occupy_worker(channel)
      {:ok, queued} = Stub.start_call(channel, "type_of", ["never"])
      eventually_queued(channel, 1)
      GRPC.cancel(queued)
      assert {:error, %Error{code: :cancelled}} = Stub.await(queued)
      GRPC.cancel(running)
      # it keeps its place until a worker passes it by
      eventually_queued(channel, 0)
      assert Stub.call(channel, "echo", ["next"]) == {:ok, "next"}
      {:ok, %{"tools" => %{"type_of" => %{"calls" => calls}}}} = Stub.stats(channel)
      assert calls == 0
    end
  end

  describe "a message beyond --max-message-bytes" do
    test "is refused in either direction, and others go on" do
      channel = connect!(start_bridge(["--max-message-bytes", "100000"]).target)
      large = {:bytes, :binary.copy(<<0>>, 150_000)}

      assert {:error, %Error{code: :resource_exhausted}} = Stub.call(channel, "echo", [large])
      assert {:error, %Error{code: :resource_exhausted}} = Stub.call(channel, "tensor", [50_000])
      assert {:ok, _tensor} = Stub.call(channel, "tensor", [10_000])
    end
  end

  describe "SIGTERM" do
    test "lets what runs end, and nothing new begin" do
      bridge = start_bridge(["--grace", "10"])
      channel = connect!(bridge.target)
      # its window takes a few items, so that the tool runs until we read on
      paused = connect!(bridge.target, window: 64)
      test = self()

      stream =
        Task.async(fn ->
          paused
          |> Stub.stream("counts", [100])
          |> Enum.map(fn item ->
            if item == {:item, 0} do
              send(test, :reading)
              receive do: (:go_on -> :ok)
            end

            item
          end)
        end)

      assert_receive :reading, 5_000
      {:ok, running} = Stub.start_call(channel, "never_returns")
      eventually_busy(channel, 2)
      os_kill("TERM", bridge.os_pid)

      eventually(fn -> Stub.health(channel) == {:ok, :not_serving} end)
      assert Stub.health(channel, "bridge.v1.Bridge") == {:ok, :not_serving}

      assert {:error, %Error{code: :unavailable, started: false}} =
               Stub.call(channel, "echo", [1])

      send(stream.pid, :go_on)
      assert List.last(Task.await(stream)) == {:result, "the return value"}
      GRPC.cancel(running)
      %{port: port} = bridge
      assert_receive {^port, {:exit_status, 0}}, 5_000
      assert {:error, %Error{code: :unavailable}} = Stub.call(channel, "echo", [1])
      assert {:error, %Error{code: :unavailable}} = GRPC.connect(bridge.target)
    end

    test "ends what does not end by itself within the grace" do
      bridge = start_bridge(["--grace", "0"])
      channel = connect!(bridge.target)
      call = occupy_worker(channel)
      os_kill("TERM", bridge.os_pid)
      assert {:error, %Error{code: :unavailable, started: true}} = Stub.await(call)
      %{port: port} = bridge
      assert_receive {^port, {:exit_status, 0}}, 5_000
    end

    test "is told to those who watch the health, while something runs" do
      bridge = start_bridge(["--grace", "10"])
      channel = connect!(bridge.target)
      call = occupy_worker(channel)

      assert [:serving, :not_serving] =
               channel
               |> Stub.watch_health()
               |> Stream.each(&if(&1 == :serving, do: os_kill("TERM", bridge.os_pid)))
               |> Enum.take(2)

      GRPC.cancel(call)
    end
  end

  describe "SIGKILL" do
    test "leaves no call waiting" do
      bridge = start_bridge()
      channel = connect!(bridge.target)
      call = occupy_worker(channel)
      os_kill("KILL", bridge.os_pid)
      assert {:error, %Error{code: :unavailable}} = Stub.await(call)
    end
  end

  describe "both transports at once" do
    @describetag :tmp_dir

    setup %{tmp_dir: tmp_dir} do
      file = Path.join(tmp_dir, "port")
      args = ["--transport", "stdio,grpc", "--port", "0", "--ready-file", file]
      client = start_client(max_workers: 1, max_queue: 1, args: args)
      {:ok, %{ready: %{"grpc_port" => port}}} = Bridge.Client.info(client)
      assert file |> File.read!() |> String.trim() == "#{port}"
      %{client: client, channel: connect!("127.0.0.1:#{port}")}
    end

    test "share one pool", %{client: client, channel: channel} do
      assert Bridge.call(client, "echo", [1]) == {:ok, 1}
      assert Stub.call(channel, "echo", [2]) == {:ok, 2}
      assert {:ok, %{"tools" => %{"echo" => %{"calls" => 2}}}} = Bridge.stats(client)
      assert {:ok, %{"tools" => %{"echo" => %{"calls" => 2.0}}}} = Stub.stats(channel)

      running = Task.async(fn -> Bridge.call(client, "never_returns", [], tag: :running) end)
      eventually_busy(channel, 1)
      {:ok, queued} = Stub.start_call(channel, "echo", ["queued"])
      eventually(fn -> match?({:ok, %{"queued" => 1}}, Bridge.stats(client)) end)
      assert {:error, %Error{code: :resource_exhausted}} = Bridge.call(client, "echo", [1])
      assert {:error, %Error{code: :resource_exhausted}} = Stub.call(channel, "echo", [1])

      Bridge.cancel(client, :running)
      assert {:error, %Error{code: :cancelled}} = Task.await(running)
      assert Stub.await(queued) == {:ok, "queued"}
    end

    test "say the same about an error", %{client: client, channel: channel} do
      for {tool, args} <- [
            {"ech", []},
            {"echo", [1, 2, 3]},
            {"raises", ["boom"]},
            {"returns_unencodable", []}
          ] do
        {:error, expected} = Bridge.call(client, tool, args)
        {:error, error} = Stub.call(channel, tool, args)
        assert %{error | details: %{}} == expected
      end
    end

    test "end together", %{channel: channel} do
      call = occupy_worker(channel)
      waiting = Task.async(fn -> Stub.await(call) end)
      assert stop_supervised(Bridge.Client) == :ok
      assert {:error, %Error{code: :unavailable, started: true}} = Task.await(waiting)
      assert {:error, %Error{code: :unavailable}} = Stub.call(channel, "echo", [1])
    end
  end
end

defmodule Bridge.GRPCSecurityTest do
  use Bridge.GRPCCase, async: true

  @moduletag :tmp_dir

  # Certificates for a server called localhost and for a client, each with its authority. What
  # `:public_key` makes for its own tests: of elliptic curves the server's library refuses it.
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

  defp tls_flags(%{server_config: server}, tmp_dir) do
    [
      "--tls-cert",
      write_pem(tmp_dir, "server.pem", Certificate: server[:cert]),
      "--tls-key",
      write_pem(tmp_dir, "server.key", [server[:key]])
    ]
  end

  # What the server has to know of its clients: the authority of their certificates.
  defp client_ca_flags(%{server_config: server}, tmp_dir) do
    entries = for der <- server[:cacerts], do: {:Certificate, der}
    ["--tls-client-ca", write_pem(tmp_dir, "clients.pem", entries)]
  end

  defp start_tls_bridge(flags) do
    "127.0.0.1" <> port = start_bridge(flags).target
    "localhost" <> port
  end

  defp trust(%{client_config: client}), do: Keyword.take(client, [:cacerts])

  setup_all do
    {:ok, _applications} = Application.ensure_all_started(:ssl)
    %{certificates: certificates()}
  end

  describe "TLS" do
    test "encrypts, and shows who the server is", %{certificates: certificates, tmp_dir: tmp_dir} do
      target = start_tls_bridge(tls_flags(certificates, tmp_dir))
      channel = connect!(target, tls: trust(certificates))
      assert Stub.call(channel, "echo", [1]) == {:ok, 1}
      data = :rand.bytes(1_000_000)
      assert Stub.call(channel, "echo", [{:bytes, data}]) == {:ok, data}
      assert channel |> Stub.stream("counts", [100]) |> Enum.count() == 101

      strangers = trust(certificates())
      "localhost" <> port = target

      for {target, opts} <- [
            {target, [tls: strangers]},
            {"127.0.0.1" <> port, [tls: trust(certificates)]},
            {target, []}
          ] do
        assert {:error, %Error{code: :unavailable, started: false}} = GRPC.connect(target, opts)
      end
    end

    test "admits only clients with a certificate, if told so", context do
      %{certificates: %{client_config: client} = certificates, tmp_dir: tmp_dir} = context
      flags = tls_flags(certificates, tmp_dir) ++ client_ca_flags(certificates, tmp_dir)
      target = start_tls_bridge(flags)
      channel = connect!(target, tls: Keyword.take(client, [:cacerts, :cert, :key]))
      assert Stub.call(channel, "echo", [1]) == {:ok, 1}

      wrong = Keyword.take(certificates().client_config, [:cert, :key])

      for stranger <- [[], wrong] do
        assert {:error, %Error{code: :unavailable}} =
                 GRPC.connect(target, tls: trust(certificates) ++ stranger)
      end
    end
  end

  describe "a token" do
    test "is asked of every call but health checks", %{tmp_dir: tmp_dir} do
      file = Path.join(tmp_dir, "token")
      File.write!(file, "s3cret\n")
      target = start_bridge(["--token-file", file]).target

      channel = connect!(target, metadata: [{"authorization", "Bearer s3cret"}])
      assert Stub.call(channel, "echo", [1]) == {:ok, 1}
      assert channel |> Stub.stream("counts", [1]) |> Enum.count() == 2
      # tools do not see it
      assert {:ok, %{"metadata" => metadata}} = Stub.call(channel, "what_it_sees")
      assert metadata == %{}

      for metadata <- [[], [{"authorization", "Bearer wrong"}], [{"authorization", "s3cret"}]] do
        stranger = connect!(target, metadata: metadata)
        assert Stub.health(stranger) == {:ok, :serving}

        assert {:error, %Error{code: :unauthenticated, started: false}} =
                 Stub.call(stranger, "echo", [1])

        assert {:error, %Error{code: :unauthenticated}} = Stub.tools(stranger)

        assert %Error{code: :unauthenticated} =
                 stranger |> Stub.stream("counts", [1]) |> Enum.to_list() |> catch_error()
      end
    end
  end

  describe "a Unix socket" do
    test "serves like a port" do
      # the test's own directory is too deep: such a path has at most 107 bytes
      name = "bridge-#{System.pid()}-#{System.unique_integer([:positive])}"
      path = Path.join(System.tmp_dir!(), name)
      on_exit(fn -> File.rm(path) end)

      bridge = start_bridge(["--host", "unix:" <> path])
      assert bridge.target == "unix:" <> path
      channel = connect!(bridge.target)
      assert Stub.call(channel, "echo", [1]) == {:ok, 1}
      data = :rand.bytes(1_000_000)
      assert Stub.call(channel, "echo", [{:bytes, data}]) == {:ok, data}
      assert channel |> Stub.stream("counts", [100]) |> Enum.count() == 101
    end
  end
end
