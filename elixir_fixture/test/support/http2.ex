defmodule Bridge.Test.HTTP2 do
  @moduledoc """
  An HTTP/2 client connection (RFC 9113), as much of it as gRPC needs.

  OTP has no HTTP/2 client, and these tests take nothing from Hex. So this is one: small enough to
  be read, and strict about what it does. It is made for tests: it sends a request's body as a
  whole, takes no pushes, sets no priorities, opens as many streams as it is asked for, and does
  not check whether the server keeps to the windows.

  One process owns the socket, and ends with the process that opened it. Any number of processes
  make requests on it. They wait inside `GenServer.call/3`, so that nothing can turn up in a
  mailbox late. When a requester dies, its stream is reset.

  ## Flow control

  Sending keeps to the windows of stream and connection that the server grants. Receiving is
  paced by the reader: the window of a stream is given back when `next/2` takes the data, so a
  reader that does not read stops the server after `:window` bytes. The window of the connection
  is as large as it can be, and is given back at once. Otherwise one slow reader would stop all.

  ## A connection that is lost

  stays a process, and answers every request with the reason, until its owner ends.
  """

  use GenServer

  alias Bridge.Test.HTTP2.{Frame, HPACK}

  @typedoc "A host and port, or the path of a Unix socket."
  @type address ::
          {String.t() | :inet.ip_address(), :inet.port_number()} | {:local, Path.t()}

  @typedoc """
  Why a stream ended without its end: reset by the server; by its `:timeout`; by `cancel/2`;
  refused, so that the server has not begun with it; or lost with the connection.
  """
  @type reason ::
          {:reset, Frame.error()} | :timeout | :cancelled | {:refused, term} | {:lost, term}

  @typedoc "What a stream brings, in this order; informational headers and trailers as `:headers`."
  @type event :: {:headers, [HPACK.field()]} | {:data, binary} | :end | {:error, reason}

  @preface "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

  # What both sides start with (section 6.5.2).
  @default_window 65_535
  @default_max_frame_size 16_384

  @max_window 0x7FFF_FFFF
  @connect_timeout_ms 5_000
  @socket_options [:binary, active: false, send_timeout: 5_000, send_timeout_close: true]

  # `block` is the header block that is not complete yet: its stream, its flags and its fragments.
  # `lost` is why there is no connection any more, `goaway` why there are no more requests.
  @enforce_keys [:transport, :socket]
  defstruct [
    :transport,
    :socket,
    :block,
    :lost,
    :goaway,
    buffer: <<>>,
    hpack: HPACK.new(),
    next_id: 1,
    streams: %{},
    send_window: @default_window,
    peer_window: @default_window,
    peer_max_frame_size: @default_max_frame_size
  ]

  @type t :: %__MODULE__{
          transport: :gen_tcp | :ssl,
          socket: :gen_tcp.socket() | :ssl.sslsocket(),
          block: {Frame.stream(), [Frame.flag()], iodata} | nil,
          lost: term,
          goaway: term,
          buffer: binary,
          hpack: HPACK.t(),
          next_id: pos_integer,
          streams: %{optional(Frame.stream()) => stream},
          send_window: integer,
          peer_window: non_neg_integer,
          peer_max_frame_size: pos_integer
        }

  # `events` wait for the reader, or the reader, `from`, for them. A stream that is not `open` is
  # over as far as the server is concerned. `unsent` is the rest of the body, nil when all is sent.
  @typep stream :: %{
           from: GenServer.from() | nil,
           events: :queue.queue(event),
           open: boolean,
           unsent: binary | nil,
           send_window: integer,
           monitor: reference,
           timer: reference | nil
         }

  @doc """
  Connects, and returns when the server has greeted: then a client certificate was accepted, too.

  | option | default | |
  | --- | --- | --- |
  | `:tls` | none | options for `:ssl.connect/4`; without them nothing is encrypted |
  | `:window` | 65 535 | how many bytes of a stream may wait for its reader |
  """
  @spec open(address, keyword) :: {:ok, pid} | {:error, term}
  def open(address, opts \\ []) do
    # a failure is the opener's to report, and shutting down is not logged
    with {:error, {:shutdown, reason}} <- GenServer.start(__MODULE__, {address, opts, self()}) do
      {:error, reason}
    end
  end

  @doc """
  Sends a request, and returns the number of its stream.

  After `:timeout` milliseconds the stream is reset, wherever it is.
  """
  @spec request(pid, [HPACK.field()], binary, timeout: timeout) ::
          {:ok, Frame.stream()} | {:error, reason}
  def request(connection, headers, body, opts \\ []) do
    GenServer.call(connection, {:request, headers, body, opts[:timeout] || :infinity}, :infinity)
  end

  @doc """
  Waits for the next event of a stream, which has one reader at a time. `:end` and an error are the
  last one.
  """
  @spec next(pid, Frame.stream()) :: event
  def next(connection, stream), do: GenServer.call(connection, {:next, stream}, :infinity)

  @doc "Resets a stream. Its reader gets what has arrived and then `{:error, :cancelled}`."
  @spec cancel(pid, Frame.stream()) :: :ok
  def cancel(connection, stream), do: GenServer.cast(connection, {:cancel, stream})

  @doc "Forgets a stream, whether it is over or not: resets it if need be."
  @spec forget(pid, Frame.stream()) :: :ok
  def forget(connection, stream), do: GenServer.cast(connection, {:forget, stream})

  @doc "How many streams the connection keeps, and how many bytes wait to be sent."
  @spec info(pid) :: %{streams: non_neg_integer, unsent: non_neg_integer}
  def info(connection), do: GenServer.call(connection, :info)

  @doc "Says goodbye and closes the connection."
  @spec close(pid) :: :ok
  def close(connection), do: GenServer.stop(connection)

  ## Callbacks

  @impl true
  def init({address, opts, owner}) do
    :erlang.monitor(:process, owner, tag: :owner_down)

    with {:ok, transport, socket} <- connect(address, opts[:tls]),
         :ok <- transport.send(socket, greeting(opts[:window] || @default_window)),
         {:ok, bytes} <- await_settings(transport, socket) do
      {:ok, received(%__MODULE__{transport: transport, socket: socket}, bytes)}
    else
      {:error, reason} -> {:stop, {:shutdown, reason}}
    end
  end

  @impl true
  def handle_call({:request, _headers, _body, _timeout}, _from, %{lost: reason} = state)
      when reason != nil do
    {:reply, {:error, {:lost, reason}}, state}
  end

  def handle_call({:request, _headers, _body, _timeout}, _from, %{goaway: reason} = state)
      when reason != nil do
    {:reply, {:error, {:refused, reason}}, state}
  end

  def handle_call({:request, headers, body, timeout}, {pid, _tag}, state) do
    id = state.next_id

    stream = %{
      from: nil,
      events: :queue.new(),
      open: true,
      unsent: body,
      send_window: state.peer_window,
      monitor: :erlang.monitor(:process, pid, tag: {:requester_down, id}),
      timer: if(timeout != :infinity, do: Process.send_after(self(), {:timeout, id}, timeout))
    }

    state = put_stream(%{state | next_id: id + 2}, id, stream)
    {:reply, {:ok, id}, state |> send_headers(id, headers) |> send_bodies()}
  end

  def handle_call({:next, id}, from, state) do
    case state.streams do
      %{^id => stream} -> {:noreply, hand_over(state, id, %{stream | from: from})}
      _forgotten -> {:reply, {:error, :cancelled}, state}
    end
  end

  def handle_call(:info, _from, state) do
    unsent = for {_id, %{unsent: unsent}} when unsent != nil <- state.streams, do: unsent

    info = %{
      streams: map_size(state.streams),
      unsent: unsent |> Enum.map(&byte_size/1) |> Enum.sum()
    }

    {:reply, info, state}
  end

  @impl true
  def handle_cast({:cancel, id}, state), do: {:noreply, give_up(state, id, :cancelled)}
  def handle_cast({:forget, id}, state), do: {:noreply, remove(state, id)}

  @impl true
  def handle_info({tag, socket, bytes}, %{socket: socket} = state) when tag in [:tcp, :ssl] do
    {:noreply, received(state, bytes)}
  end

  def handle_info({tag, socket}, %{socket: socket} = state)
      when tag in [:tcp_closed, :ssl_closed] do
    {:noreply, lose(state, :closed)}
  end

  def handle_info({tag, socket, reason}, %{socket: socket} = state)
      when tag in [:tcp_error, :ssl_error] do
    {:noreply, lose(state, reason)}
  end

  def handle_info({:timeout, id}, state), do: {:noreply, give_up(state, id, :timeout)}

  def handle_info({{:requester_down, id}, _monitor, :process, _pid, _reason}, state) do
    {:noreply, remove(state, id)}
  end

  def handle_info({:owner_down, _monitor, :process, _pid, _reason}, state) do
    {:stop, :normal, state}
  end

  @impl true
  def terminate(_reason, state) do
    transmit(state, {:goaway, 0, :no_error, []})
    state.transport.close(state.socket)
  end

  ## Start of the connection (section 3)

  defp connect({:local, path}, nil), do: connect(:gen_tcp, {:local, path}, 0, [])
  defp connect({host, port}, nil), do: connect(:gen_tcp, host, port, nodelay: true)

  # Whether a server behind TLS speaks HTTP/2 is settled in the handshake (ALPN).
  defp connect({host, port}, tls) do
    options = [alpn_advertised_protocols: ["h2"], verify: :verify_peer, log_level: :none] ++ tls

    with {:ok, transport, socket} <- connect(:ssl, host, port, [{:nodelay, true} | options]) do
      case transport.negotiated_protocol(socket) do
        {:ok, "h2"} -> {:ok, transport, socket}
        _other -> {:error, :not_http2}
      end
    end
  end

  defp connect(transport, host, port, options) do
    host = if is_binary(host), do: to_charlist(host), else: host

    with {:ok, socket} <-
           transport.connect(host, port, @socket_options ++ options, @connect_timeout_ms) do
      {:ok, transport, socket}
    end
  end

  defp greeting(window) do
    settings = [enable_push: 0, initial_window_size: window]
    room = {:window_update, 0, @max_window - @default_window}
    [@preface, Frame.encode({:settings, settings}), Frame.encode(room)]
  end

  # The server's first frame must be its settings (section 3.4).
  defp await_settings(transport, socket) do
    with {:ok, <<size::24, 4, _flags, 0::32>> = header} when size <= @default_max_frame_size <-
           transport.recv(socket, 9, @connect_timeout_ms),
         {:ok, payload} <- recv(transport, socket, size) do
      {:ok, header <> payload}
    else
      {:ok, _other} -> {:error, :not_http2}
      {:error, reason} -> {:error, reason}
    end
  end

  # Zero would mean: whatever is there.
  defp recv(_transport, _socket, 0), do: {:ok, <<>>}
  defp recv(transport, socket, size), do: transport.recv(socket, size, @connect_timeout_ms)

  ## In

  defp received(state, bytes) do
    %{state | buffer: state.buffer <> bytes} |> take_frames() |> read_on()
  end

  defp read_on(%{lost: nil, transport: transport, socket: socket} = state) do
    module = if transport == :gen_tcp, do: :inet, else: transport
    if module.setopts(socket, active: :once) == :ok, do: state, else: lose(state, :closed)
  end

  defp read_on(state), do: state

  defp take_frames(%{lost: nil} = state) do
    case Frame.decode(state.buffer, @default_max_frame_size) do
      {:ok, frame, rest} -> frame |> handle_frame(%{state | buffer: rest}) |> take_frames()
      :incomplete -> state
      {:error, error, text} -> break(state, error, text)
    end
  end

  defp take_frames(state), do: state

  # Nothing may come between the parts of a header block (section 6.10).
  defp handle_frame({:continuation, id, flags, part}, %{block: {id, first, parts}} = state) do
    header_block(id, first ++ flags, [parts, part], state)
  end

  defp handle_frame(_frame, %{block: block} = state) when block != nil do
    break(state, :protocol_error, "another frame amid a header block")
  end

  defp handle_frame({:continuation, _id, _flags, _part}, state) do
    break(state, :protocol_error, "a continuation of nothing")
  end

  defp handle_frame({:headers, id, flags, part}, state), do: header_block(id, flags, part, state)

  # A stream that we have forgotten still counts for the connection's window.
  defp handle_frame({:data, id, flags, data, padding}, state) do
    state
    |> grant(0, byte_size(data) + padding)
    |> push(id, {:data, data})
    |> grant(id, padding)
    |> end_if_last(id, flags)
  end

  # After a complete answer this only means that the rest of the body is not wanted
  # (section 8.1).
  defp handle_frame({:rst_stream, id, error}, state) do
    conclude(state, id, {:error, {:reset, error}})
  end

  defp handle_frame({:settings, :ack}, state), do: state

  defp handle_frame({:settings, settings}, state) do
    settings
    |> Enum.reduce(state, &apply_setting/2)
    |> transmit({:settings, :ack})
    |> send_bodies()
  end

  defp handle_frame({:ping, :request, opaque}, state), do: transmit(state, {:ping, :ack, opaque})

  defp handle_frame({:goaway, last, error, _debug_data}, state) do
    state = %{state | goaway: {:goaway, error}}

    for {id, _stream} when id > last <- state.streams, reduce: state do
      state -> conclude(state, id, {:error, {:refused, state.goaway}})
    end
  end

  defp handle_frame({:window_update, 0, increment}, state) do
    send_bodies(%{state | send_window: state.send_window + increment})
  end

  defp handle_frame({:window_update, id, increment}, state) do
    case state.streams do
      %{^id => %{send_window: window} = stream} ->
        send_body(id, put_stream(state, id, %{stream | send_window: window + increment}))

      _forgotten ->
        state
    end
  end

  defp handle_frame({:push_promise, _id}, state) do
    break(state, :protocol_error, "a push, which was turned off")
  end

  defp handle_frame(_other, state), do: state

  defp header_block(id, flags, parts, state) do
    if :end_headers in flags do
      # also for a stream that we have forgotten, since the block may change the table
      case parts |> IO.iodata_to_binary() |> HPACK.decode(state.hpack) do
        {:ok, fields, hpack} ->
          %{state | hpack: hpack, block: nil}
          |> push(id, {:headers, fields})
          |> end_if_last(id, flags)

        {:error, reason} ->
          break(state, :compression_error, reason)
      end
    else
      %{state | block: {id, flags, parts}}
    end
  end

  # A changed window counts for open streams, too, and may make theirs negative (section 6.9.2).
  defp apply_setting({:initial_window_size, size}, state) do
    change = size - state.peer_window
    widen = fn {id, stream} -> {id, %{stream | send_window: stream.send_window + change}} end
    %{state | peer_window: size, streams: Map.new(state.streams, widen)}
  end

  defp apply_setting({:max_frame_size, size}, state), do: %{state | peer_max_frame_size: size}
  defp apply_setting(_other, state), do: state

  # A server that ends the stream does not want the rest of our body.
  defp end_if_last(state, id, flags) do
    case state.streams do
      %{^id => %{open: true, unsent: unsent}} ->
        cond do
          :end_stream not in flags -> state
          unsent == nil -> conclude(state, id, :end)
          true -> state |> transmit({:rst_stream, id, :cancel}) |> conclude(id, :end)
        end

      _over ->
        state
    end
  end

  ## Out

  defp send_headers(state, id, headers) do
    block = headers |> HPACK.encode() |> IO.iodata_to_binary()
    {first, rest} = split(block, state.peer_max_frame_size)
    state |> transmit({:headers, id, end_headers(rest), first}) |> send_continuations(id, rest)
  end

  defp send_continuations(state, _id, <<>>), do: state

  defp send_continuations(state, id, block) do
    {part, rest} = split(block, state.peer_max_frame_size)

    state
    |> transmit({:continuation, id, end_headers(rest), part})
    |> send_continuations(id, rest)
  end

  defp end_headers(rest), do: if(rest == <<>>, do: [:end_headers], else: [])

  # As much of every body as the windows allow, oldest first.
  defp send_bodies(state) do
    state.streams |> Map.keys() |> Enum.sort() |> Enum.reduce(state, &send_body/2)
  end

  defp send_body(id, state) do
    case state.streams do
      %{^id => %{unsent: unsent} = stream} when unsent != nil -> send_body(id, stream, state)
      _all_sent -> state
    end
  end

  defp send_body(id, stream, state) do
    room = Enum.min([state.send_window, stream.send_window, state.peer_max_frame_size])

    cond do
      byte_size(stream.unsent) <= room ->
        state
        |> spend(byte_size(stream.unsent), id, %{stream | unsent: nil})
        |> transmit({:data, id, [:end_stream], stream.unsent, 0})

      room > 0 ->
        {part, rest} = split(stream.unsent, room)
        state = spend(state, room, id, %{stream | unsent: rest})
        send_body(id, transmit(state, {:data, id, [], part, 0}))

      true ->
        state
    end
  end

  defp spend(state, bytes, id, stream) do
    %{state | send_window: state.send_window - bytes}
    |> put_stream(id, %{stream | send_window: stream.send_window - bytes})
  end

  defp grant(state, _id, 0), do: state
  defp grant(state, 0, bytes), do: transmit(state, {:window_update, 0, bytes})

  defp grant(state, id, bytes) do
    if open?(state, id), do: transmit(state, {:window_update, id, bytes}), else: state
  end

  defp split(binary, size) when byte_size(binary) <= size, do: {binary, <<>>}

  defp split(binary, size) do
    <<part::binary-size(size), rest::binary>> = binary
    {part, rest}
  end

  defp transmit(%{lost: nil} = state, frame) do
    case state.transport.send(state.socket, Frame.encode(frame)) do
      {:error, :timeout} -> lose(state, :timeout)
      # the end of the connection is to be read, behind what came before it
      _sent_or_closed -> state
    end
  end

  defp transmit(state, _frame), do: state

  ## Streams

  defp put_stream(state, id, stream), do: %{state | streams: Map.put(state.streams, id, stream)}

  defp open?(state, id), do: match?(%{^id => %{open: true}}, state.streams)

  # Adds what an open stream has brought.
  defp push(state, _id, {:data, <<>>}), do: state

  defp push(state, id, event) do
    case state.streams do
      %{^id => %{open: true, events: events} = stream} ->
        hand_over(state, id, %{stream | events: :queue.in(event, events)})

      _over ->
        state
    end
  end

  # Adds the last that an open stream brings, which is over then.
  defp conclude(state, id, event) do
    case state.streams do
      %{^id => %{open: true, events: events} = stream} ->
        events = :queue.in(event, events)
        hand_over(state, id, %{stream | open: false, unsent: nil, events: events})

      _over ->
        state
    end
  end

  # Gives the reader the next event, if there are both.
  defp hand_over(state, id, %{from: nil} = stream), do: put_stream(state, id, stream)

  defp hand_over(state, id, stream) do
    case :queue.out(stream.events) do
      {:empty, _events} ->
        put_stream(state, id, stream)

      {{:value, event}, events} ->
        GenServer.reply(stream.from, event)
        state |> put_stream(id, %{stream | from: nil, events: events}) |> handed_over(id, event)
    end
  end

  defp handed_over(state, id, {:data, data}), do: grant(state, id, byte_size(data))
  defp handed_over(state, _id, {:headers, _fields}), do: state
  defp handed_over(state, id, _last), do: remove(state, id)

  # We end the stream; the reader shall know.
  defp give_up(state, id, reason) do
    if open?(state, id) do
      state |> transmit({:rst_stream, id, :cancel}) |> conclude(id, {:error, reason})
    else
      state
    end
  end

  defp remove(state, id) do
    case state.streams do
      %{^id => stream} ->
        state = if stream.open, do: transmit(state, {:rst_stream, id, :cancel}), else: state
        Process.demonitor(stream.monitor, [:flush])
        if stream.timer, do: Process.cancel_timer(stream.timer)
        %{state | streams: Map.delete(state.streams, id)}

      _forgotten ->
        state
    end
  end

  ## End of the connection

  # The server has broken a rule (section 5.4.1).
  defp break(state, error, text) do
    state |> transmit({:goaway, 0, error, text}) |> lose({error, text})
  end

  defp lose(%{lost: nil} = state, reason) do
    state.transport.close(state.socket)
    state = %{state | lost: reason}

    for {id, _stream} <- state.streams, reduce: state do
      state -> conclude(state, id, {:error, {:lost, reason}})
    end
  end

  defp lose(state, _reason), do: state
end
