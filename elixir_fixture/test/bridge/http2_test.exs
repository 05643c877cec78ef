defmodule Bridge.HTTP2Test do
  use Bridge.TestCase, async: true

  alias Bridge.Test.HTTP2
  alias Bridge.Test.HTTP2.{Frame, HPACK}

  doctest Frame

  @max_frame_size 16_384
  @preface "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
  @request [{":method", "POST"}, {":path", "/"}]
  @response [{":status", "200"}, {"content-type", "application/grpc"}]

  describe "Frame" do
    test "decode/2 undoes encode/1" do
      for frame <- [
            {:data, 1, [:end_stream], "data", 0},
            {:data, 1, [], "data", 1},
            {:data, 1, [], "", 256},
            {:headers, 3, [:end_stream, :end_headers], "block"},
            {:continuation, 3, [:end_headers], "block"},
            {:rst_stream, 5, :cancel},
            {:rst_stream, 5, 99},
            {:settings, :ack},
            {:settings, []},
            {:settings, [max_frame_size: 16_384, header_table_size: 0]},
            {:settings, [{0xFE03, 1}]},
            {:ping, :request, "12345678"},
            {:ping, :ack, "12345678"},
            {:goaway, 0x7FFF_FFFF, :no_error, "bye"},
            {:window_update, 0, 0x7FFF_FFFF}
          ] do
        binary = frame |> Frame.encode() |> IO.iodata_to_binary()
        assert Frame.decode(binary <> "rest", @max_frame_size) == {:ok, frame, "rest"}

        for size <- 0..(byte_size(binary) - 1) do
          assert Frame.decode(binary_part(binary, 0, size), @max_frame_size) == :incomplete
        end
      end
    end

    test "decode/2 takes off the priority, and passes over what it has no use for" do
      headers = <<8::24, 1, 0x2C, 3::32, 1, 0::32, 16, "b", 0>>

      assert Frame.decode(headers, @max_frame_size) ==
               {:ok, {:headers, 3, [:end_headers], "b"}, ""}

      assert Frame.decode(<<5::24, 2, 0, 3::32, 0::40>>, 100) == {:ok, {:ignored, 2}, ""}
      assert Frame.decode(<<0::24, 77, 255, 0::32>>, 100) == {:ok, {:ignored, 77}, ""}
    end

    test "decode/2 refuses what is malformed" do
      for {frame, error} <- [
            {<<101::24, 0, 0, 1::32>>, :frame_size_error},
            {<<7::24, 6, 0, 0::32, 0::56>>, :frame_size_error},
            {<<5::24, 4, 0, 0::32, 0::40>>, :frame_size_error},
            {<<3::24, 3, 0, 1::32, 0::24>>, :frame_size_error},
            {<<3::24, 8, 0, 1::32, 0::24>>, :frame_size_error},
            {<<1::24, 0, 0, 0::32, 0>>, :protocol_error},
            {<<2::24, 0, 8, 1::32, 2, 0>>, :protocol_error}
          ] do
        assert {:error, ^error, _text} = Frame.decode(frame, 100)
      end
    end
  end

  # A server in the hands of the test: it has read the preface and sent its settings. The client's
  # own settings are the first frame to `expect`.
  defp connected(settings \\ [], opts \\ []) do
    {:ok, listener} = :gen_tcp.listen(0, [:binary, active: false, ip: {127, 0, 0, 1}])
    {:ok, port} = :inet.port(listener)
    test = self()

    accepting =
      Task.async(fn ->
        {:ok, socket} = :gen_tcp.accept(listener)
        {:ok, @preface} = :gen_tcp.recv(socket, byte_size(@preface), 5_000)
        say(socket, {:settings, settings})
        :ok = :gen_tcp.controlling_process(socket, test)
        socket
      end)

    {:ok, connection} = HTTP2.open({{127, 0, 0, 1}, port}, opts)
    {connection, Task.await(accepting)}
  end

  # Likewise, behind the greetings.
  defp greeted(settings \\ []) do
    {connection, server} = connected(settings)
    assert {:settings, [_ | _]} = expect(server)
    assert {:window_update, 0, _room} = expect(server)
    assert {:settings, :ack} = expect(server)
    {connection, server}
  end

  # A request without a body, of which the server knows.
  defp requested(settings \\ []) do
    {connection, server} = greeted(settings)
    {:ok, id} = HTTP2.request(connection, @request, "")
    assert {:headers, ^id, [:end_headers], _block} = expect(server)
    assert {:data, ^id, [:end_stream], "", 0} = expect(server)
    {connection, server, id}
  end

  defp say(socket, frame), do: :ok = :gen_tcp.send(socket, Frame.encode(frame))

  defp answer(socket, id, fields, flags \\ []) do
    say(socket, {:headers, id, [:end_headers | flags], HPACK.encode(fields)})
  end

  defp expect(socket) do
    {:ok, <<size::24, _::bits>> = header} = :gen_tcp.recv(socket, 9, 5_000)
    {:ok, payload} = if size > 0, do: :gen_tcp.recv(socket, size, 5_000), else: {:ok, ""}
    {:ok, frame, ""} = Frame.decode(header <> payload, @max_frame_size)
    frame
  end

  # The client has sent nothing: the next thing it says is the answer to this.
  defp expect_nothing(socket) do
    say(socket, {:ping, :request, "anything"})
    assert expect(socket) == {:ping, :ack, "anything"}
  end

  defp expect_closed(socket), do: assert({:error, :closed} = :gen_tcp.recv(socket, 0, 5_000))

  describe "open/2" do
    test "greets, and acknowledges the server's settings" do
      {_connection, server} = connected([max_concurrent_streams: 100], window: 1_000)
      assert expect(server) == {:settings, [enable_push: 0, initial_window_size: 1_000]}
      assert expect(server) == {:window_update, 0, 0x7FFF_FFFF - 65_535}
      assert expect(server) == {:settings, :ack}
      say(server, {:settings, :ack})
      expect_nothing(server)
    end

    test "fails if nobody is there" do
      {:ok, listener} = :gen_tcp.listen(0, [])
      {:ok, port} = :inet.port(listener)
      :gen_tcp.close(listener)
      assert HTTP2.open({"127.0.0.1", port}) == {:error, :econnrefused}
      assert {:error, :enoent} = HTTP2.open({:local, "/nowhere/socket"})
    end

    test "fails if the server speaks something else, or goes away" do
      for {greeting, reason} <- [{"HTTP/1.1 400 Bad Request\r\n\r\n", :not_http2}, {"", :closed}] do
        {:ok, listener} = :gen_tcp.listen(0, [:binary, active: false])
        {:ok, port} = :inet.port(listener)

        server =
          Task.async(fn ->
            {:ok, socket} = :gen_tcp.accept(listener)
            {:ok, _preface} = :gen_tcp.recv(socket, byte_size(@preface))
            :gen_tcp.send(socket, greeting)
            :gen_tcp.shutdown(socket, :write)
            :gen_tcp.recv(socket, 1_000_000)
          end)

        assert HTTP2.open({"127.0.0.1", port}) == {:error, reason}
        Task.await(server)
      end
    end

    test "makes a connection that ends with its owner" do
      test = self()

      {:ok, owner} =
        Task.start(fn ->
          send(test, connected())
          Process.sleep(:infinity)
        end)

      assert_receive {connection, _server}, 5_000
      assert Process.alive?(connection)
      Process.exit(owner, :kill)
      eventually(fn -> not Process.alive?(connection) end)
    end
  end

  describe "request/4 and next/2" do
    test "exchange headers, bodies and trailers" do
      {connection, server} = greeted()
      {:ok, id} = HTTP2.request(connection, @request, "question")
      assert {:headers, ^id, [:end_headers], block} = expect(server)
      assert {:ok, @request, _table} = HPACK.decode(block, HPACK.new())
      assert expect(server) == {:data, id, [:end_stream], "question", 0}

      reader = Task.async(fn -> HTTP2.next(connection, id) end)
      answer(server, id, @response)
      assert Task.await(reader) == {:headers, @response}

      say(server, {:data, id, [], "ans", 0})
      say(server, {:data, id, [], "wer", 0})
      answer(server, id, [{"grpc-status", "0"}], [:end_stream])
      assert HTTP2.next(connection, id) == {:data, "ans"}
      assert HTTP2.next(connection, id) == {:data, "wer"}
      assert HTTP2.next(connection, id) == {:headers, [{"grpc-status", "0"}]}
      assert HTTP2.next(connection, id) == :end
      assert HTTP2.info(connection) == %{streams: 0, unsent: 0}
    end

    test "keep streams apart that are answered in another order" do
      {connection, server} = greeted()
      ids = for _ <- 1..3, do: elem(HTTP2.request(connection, @request, ""), 1)
      assert ids == [1, 3, 5]
      for id <- Enum.reverse(ids), do: say(server, {:data, id, [:end_stream], "#{id}", 0})
      for id <- ids, do: assert(HTTP2.next(connection, id) == {:data, "#{id}"})
      for id <- ids, do: assert(HTTP2.next(connection, id) == :end)
    end

    test "cut long headers into pieces, and join them" do
      {connection, server} = greeted()
      long = [{"long", String.duplicate("x", 40_000)}]
      {:ok, id} = HTTP2.request(connection, long, "")
      assert {:headers, ^id, [], first} = expect(server)
      assert {:continuation, ^id, [], second} = expect(server)
      assert {:continuation, ^id, [:end_headers], third} = expect(server)
      assert {:ok, ^long, _table} = HPACK.decode(first <> second <> third, HPACK.new())

      say(server, {:headers, id, [:end_stream], first})
      say(server, {:continuation, id, [], second})
      say(server, {:continuation, id, [:end_headers], third})
      assert HTTP2.next(connection, id) == {:headers, long}
      assert HTTP2.next(connection, id) == :end
    end

    test "read a server that speaks a byte at a time" do
      {connection, server, id} = requested()
      frame = {:data, id, [:end_stream], "slow", 3} |> Frame.encode() |> IO.iodata_to_binary()
      for <<byte <- frame>>, do: :ok = :gen_tcp.send(server, <<byte>>)
      assert HTTP2.next(connection, id) == {:data, "slow"}
      assert HTTP2.next(connection, id) == :end
    end
  end

  describe "flow control" do
    test "sends no more than the window of the stream" do
      {connection, server} = greeted(initial_window_size: 10)
      {:ok, id} = HTTP2.request(connection, @request, "0123456789abcdefghijklmnopqrstuvwxyz")
      assert {:headers, ^id, [:end_headers], _block} = expect(server)
      assert expect(server) == {:data, id, [], "0123456789", 0}
      expect_nothing(server)
      assert %{unsent: 26} = HTTP2.info(connection)

      say(server, {:window_update, id, 6})
      assert expect(server) == {:data, id, [], "abcdef", 0}

      # a change counts for streams that are open; this window is now below zero
      say(server, {:settings, [initial_window_size: 5]})
      assert expect(server) == {:settings, :ack}
      say(server, {:window_update, id, 6})
      assert expect(server) == {:data, id, [], "g", 0}

      say(server, {:settings, [initial_window_size: 100]})
      assert {:settings, :ack} = expect(server)
      assert expect(server) == {:data, id, [:end_stream], "hijklmnopqrstuvwxyz", 0}
    end

    test "sends no more than the window of the connection, nor larger frames than allowed" do
      {connection, server} = greeted(initial_window_size: 1_000_000)
      body = :rand.bytes(70_000)
      {:ok, id} = HTTP2.request(connection, @request, body)
      {:ok, other} = HTTP2.request(connection, @request, "waits, too")
      assert {:headers, ^id, _flags, _block} = expect(server)

      parts = for _ <- 1..4, do: expect(server)

      assert [16_384, 16_384, 16_384, 16_383] =
               for({:data, ^id, [], d, 0} <- parts, do: byte_size(d))

      assert {:headers, ^other, _flags, _block} = expect(server)
      expect_nothing(server)

      say(server, {:window_update, 0, 100_000})
      assert {:data, ^id, [:end_stream], rest, 0} = expect(server)
      assert IO.iodata_to_binary([for({:data, _, _, d, 0} <- parts, do: d), rest]) == body
      assert expect(server) == {:data, other, [:end_stream], "waits, too", 0}
    end

    test "gives a stream's window back when its reader takes the data" do
      {connection, server, id} = requested()
      say(server, {:data, id, [], String.duplicate("x", 100), 0})
      assert expect(server) == {:window_update, 0, 100}
      expect_nothing(server)

      assert {:data, _hundred} = HTTP2.next(connection, id)
      assert expect(server) == {:window_update, id, 100}
    end

    test "gives padding back at once" do
      {_connection, server, id} = requested()
      say(server, {:data, id, [], "x", 11})
      assert expect(server) == {:window_update, 0, 12}
      assert expect(server) == {:window_update, id, 11}
      expect_nothing(server)
    end

    test "goes on for the connection when a stream is forgotten" do
      {connection, server, id} = requested()
      HTTP2.forget(connection, id)
      assert expect(server) == {:rst_stream, id, :cancel}
      say(server, {:data, id, [], "late", 0})
      assert expect(server) == {:window_update, 0, 4}
      expect_nothing(server)
    end
  end

  describe "a stream ends before its end" do
    test "while its reader waits, and is reset no more than once" do
      {connection, server} = greeted()

      for {frame, event} <- [
            {{:data, 0, [:end_stream], "", 0}, :end},
            {{:rst_stream, 0, :internal_error}, {:error, {:reset, :internal_error}}}
          ] do
        {:ok, id} = HTTP2.request(connection, @request, "")
        assert {:headers, ^id, _flags, _block} = expect(server)
        assert {:data, ^id, _flags, "", 0} = expect(server)
        reader = Task.async(fn -> HTTP2.next(connection, id) end)
        eventually(fn -> reader_waits?(connection, id) end)
        say(server, put_elem(frame, 1, id))
        assert Task.await(reader) == event
        expect_nothing(server)
      end

      {:ok, id} = HTTP2.request(connection, @request, "")
      assert {:headers, ^id, _flags, _block} = expect(server)
      assert {:data, ^id, _flags, "", 0} = expect(server)
      reader = Task.async(fn -> HTTP2.next(connection, id) end)
      eventually(fn -> reader_waits?(connection, id) end)
      HTTP2.cancel(connection, id)
      assert Task.await(reader) == {:error, :cancelled}
      assert expect(server) == {:rst_stream, id, :cancel}
      expect_nothing(server)
    end

    defp reader_waits?(connection, id) do
      match?(%{streams: %{^id => %{from: {_pid, _tag}}}}, :sys.get_state(connection))
    end

    test "by cancel/2, behind what has arrived" do
      {connection, server, id} = requested()
      answer(server, id, @response)
      expect_nothing(server)
      HTTP2.cancel(connection, id)
      assert expect(server) == {:rst_stream, id, :cancel}
      assert HTTP2.next(connection, id) == {:headers, @response}
      assert HTTP2.next(connection, id) == {:error, :cancelled}
      assert %{streams: 0} = HTTP2.info(connection)
    end

    test "by its timeout" do
      {connection, server} = greeted()
      {:ok, id} = HTTP2.request(connection, @request, "", timeout: 10)
      assert HTTP2.next(connection, id) == {:error, :timeout}
      assert {:headers, ^id, _flags, _block} = expect(server)
      assert {:data, ^id, _flags, "", 0} = expect(server)
      assert expect(server) == {:rst_stream, id, :cancel}
    end

    test "with its requester" do
      {connection, server} = greeted()
      {:ok, id} = Task.await(Task.async(fn -> HTTP2.request(connection, @request, "") end))
      assert {:headers, ^id, _flags, _block} = expect(server)
      assert {:data, ^id, _flags, "", 0} = expect(server)
      assert expect(server) == {:rst_stream, id, :cancel}
      assert HTTP2.next(connection, id) == {:error, :cancelled}
    end

    test "by the server" do
      {connection, server, id} = requested()
      say(server, {:rst_stream, id, :enhance_your_calm})
      assert HTTP2.next(connection, id) == {:error, {:reset, :enhance_your_calm}}
    end

    test "when the server answers before it has read everything" do
      {connection, server} = greeted(initial_window_size: 3)
      {:ok, id} = HTTP2.request(connection, @request, "too long")
      assert {:headers, ^id, _flags, _block} = expect(server)
      assert expect(server) == {:data, id, [], "too", 0}
      answer(server, id, @response, [:end_stream])
      assert expect(server) == {:rst_stream, id, :cancel}
      say(server, {:rst_stream, id, :no_error})
      assert HTTP2.next(connection, id) == {:headers, @response}
      assert HTTP2.next(connection, id) == :end
    end
  end

  describe "the connection ends" do
    test "for new streams, by GOAWAY" do
      {connection, server} = greeted()
      {:ok, old} = HTTP2.request(connection, @request, "")
      {:ok, refused} = HTTP2.request(connection, @request, "")
      say(server, {:goaway, old, :no_error, "draining"})
      reason = {:refused, {:goaway, :no_error}}
      assert HTTP2.next(connection, refused) == {:error, reason}
      assert HTTP2.request(connection, @request, "") == {:error, reason}

      say(server, {:data, old, [:end_stream], "done", 0})
      assert HTTP2.next(connection, old) == {:data, "done"}
      assert HTTP2.next(connection, old) == :end
    end

    test "for everybody, when it is closed" do
      {connection, server, id} = requested()
      say(server, {:data, id, [], "cut", 0})
      assert {:window_update, 0, 3} = expect(server)
      reader = Task.async(fn -> for _ <- 1..2, do: HTTP2.next(connection, id) end)
      :gen_tcp.close(server)
      assert Task.await(reader) == [{:data, "cut"}, {:error, {:lost, :closed}}]
      assert HTTP2.request(connection, @request, "") == {:error, {:lost, :closed}}
    end

    test "when the server breaks a rule, and tells it why" do
      for {frames, error} <- [
            {[{:headers, 1, [], <<0x82>>}, {:data, 1, [], "", 0}], :protocol_error},
            {[{:headers, 1, [], <<0x82>>}, {:continuation, 3, [], ""}], :protocol_error},
            {[{:continuation, 1, [], ""}], :protocol_error},
            {[{:headers, 1, [:end_headers], <<0x80>>}], :compression_error},
            {[{:data, 1, [], :binary.copy("x", 16_385), 0}], :frame_size_error},
            {[{:ping, :request, "short"}], :frame_size_error}
          ] do
        {connection, server, id} = requested()
        for frame <- frames, do: say(server, frame)
        assert {:goaway, 0, ^error, text} = expect(server)
        expect_closed(server)
        assert HTTP2.next(connection, id) == {:error, {:lost, {error, text}}}
      end
    end

    test "when we close it" do
      {connection, server} = greeted()
      assert HTTP2.close(connection) == :ok
      assert expect(server) == {:goaway, 0, :no_error, ""}
      expect_closed(server)
    end
  end
end
