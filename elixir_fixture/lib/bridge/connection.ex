defmodule Bridge.Connection do
  @moduledoc false

  # What a client keeps: the port to Python, the calls in flight, and the frames that wait.
  #
  # Each function takes the connection and what happened, and returns the connection as it is then. On
  # the way it writes to Python and answers callers. All of it runs in the client's process.
  #
  # A call is told apart by its id, which is also the number of its request in the outbox.

  require Logger

  alias Bridge.{Call, Error, Frame, Msgpack, Outbox, Python}

  # `port` is nil when Python is gone.
  @enforce_keys [:port, :os_pid, :ready, :grace_ms]
  defstruct [
    :port,
    :os_pid,
    :ready,
    :grace_ms,
    next_id: 1,
    calls: %{},
    outbox: %Outbox{},
    late_replies: 0
  ]

  @type t :: %__MODULE__{
          port: port | nil,
          os_pid: non_neg_integer | nil,
          ready: map,
          grace_ms: non_neg_integer,
          next_id: id,
          calls: %{optional(id) => Call.t()},
          outbox: Outbox.t(),
          late_replies: non_neg_integer
        }

  @type id :: pos_integer

  @typedoc "What a caller asks for; `tag` is as `Keyword.fetch/2` finds it."
  @type request ::
          {:request, Frame.body(), Call.watch(), timeout, tag :: {:ok, term} | :error}

  @doc "The connection to a Python that has just started."
  @spec new(Python.t(), grace_ms :: non_neg_integer) :: t
  def new(python, grace_ms) do
    %__MODULE__{
      port: python.port,
      os_pid: python.os_pid,
      ready: python.ready,
      grace_ms: grace_ms
    }
  end

  @doc "What `Bridge.info/1` tells."
  @spec info(t) :: map
  def info(connection) do
    %{
      os_pid: connection.os_pid,
      ready: connection.ready,
      calls: map_size(connection.calls),
      outbox: Outbox.size(connection.outbox),
      late_replies: connection.late_replies
    }
  end

  ## What callers want

  @doc """
  A caller asks for a call, and waits.

  The client gets `{:timeout, id}` when the time is over, and a message that begins with
  `{:caller_down, id}` when the caller dies.
  """
  @spec request(t, request, GenServer.from()) :: t
  def request(connection, {:request, body, watch, timeout, tag}, {pid, _} = from) do
    {id, connection} = next_id(connection)

    call = %Call{
      from: from,
      watch: watch,
      tag: tag,
      monitor: :erlang.monitor(:process, pid, tag: {:caller_down, id}),
      timer: if(timeout != :infinity, do: Process.send_after(self(), {:timeout, id}, timeout))
    }

    connection |> put_call(id, call) |> write(id, Frame.request(id, body))
  end

  @doc "A caller that got notes wants to know what came then."
  @spec await(t, id, GenServer.from()) :: t
  def await(connection, id, from) do
    case connection.calls do
      %{^id => call} ->
        hand_over(connection, id, Call.await(call, from))

      _over ->
        GenServer.reply(from, {:error, %Error{code: :cancelled, message: "the call is over"}})
        connection
    end
  end

  @doc "Somebody cancels the calls with this tag."
  @spec cancel(t, tag :: term) :: t
  def cancel(connection, tag) do
    ids = for {id, %{tag: {:ok, ^tag}, outcome: nil}} <- connection.calls, do: id

    Enum.reduce(ids, connection, fn id, connection ->
      case withdraw(connection, id) do
        {:sent, connection} -> connection
        {:unsent, connection} -> fail(connection, id, :cancelled, "the call was cancelled", false)
      end
    end)
  end

  @doc "The time of a call is over."
  @spec time_out(t, id) :: t
  def time_out(connection, id) do
    case connection.calls do
      %{^id => %{outcome: nil}} ->
        {state, connection} = withdraw(connection, id)
        message = "the call took longer than its timeout"
        fail(connection, id, :deadline_exceeded, message, state == :sent)

      _over ->
        connection
    end
  end

  @doc "Nobody wants the outcome of a call any more."
  @spec abandon(t, id) :: t
  def abandon(connection, id) do
    case connection.calls do
      %{^id => %{outcome: nil} = call} ->
        {_state, connection} = withdraw(connection, id)
        remove(connection, id, call)

      %{^id => ended} ->
        remove(connection, id, ended)

      _over ->
        connection
    end
  end

  ## What Python sends

  @doc """
  A frame has arrived.

  After `$/bye` the client gets `{:overdue, reason}`, should Python not be gone by then.
  """
  @spec receive_frame(t, binary) :: t
  def receive_frame(connection, frame) do
    case Frame.peek(frame) do
      {:response, id} -> receive_response(connection, id, frame)
      {:other, message} -> receive_message(connection, message)
      {:broken, reason} -> refuse(connection, reason)
      {kind, id} -> receive_note(connection, kind, id, frame)
    end
  end

  defp receive_response(connection, id, frame) do
    case connection.calls do
      %{^id => %{outcome: nil} = call} ->
        hand_over(connection, id, Call.finish(call, {:response, frame}))

      _over ->
        %{connection | late_replies: connection.late_replies + 1}
    end
  end

  defp receive_note(connection, kind, id, frame) do
    case connection.calls do
      %{^id => call} -> hand_over(connection, id, Call.note(call, kind, frame))
      _over -> connection
    end
  end

  defp receive_message(connection, [2, "$/log", [_level, _logger, _text, _fields, _id] = line]) do
    Python.log(line)
    connection
  end

  defp receive_message(connection, [2, "$/error", [error]]) do
    Logger.error("Python: " <> Exception.message(Error.from_wire(error)))
    connection
  end

  defp receive_message(connection, [2, "$/bye", [reason]]) do
    Process.send_after(self(), {:overdue, reason}, Python.exit_ms())
    connection
  end

  defp receive_message(connection, [2, "$/" <> _unknown, _params]), do: connection

  defp receive_message(connection, [0, id, method | _params]) when is_integer(id) do
    message = "this client serves no requests, got #{inspect(method)}"
    send_message(connection, [1, id, %{code: :unimplemented, message: message}, nil])
  end

  defp receive_message(connection, other), do: refuse(connection, other)

  defp refuse(connection, what) do
    Logger.error("Python sent what is no message: #{inspect(what)}")
    connection
  end

  ## The port

  @doc "Writes what waits, as far as the port takes it."
  @spec flush(t) :: t
  def flush(connection) do
    %{connection | outbox: Outbox.flush(connection.outbox, connection.port)}
  end

  @doc "Asks Python to end within its grace."
  @spec shut_down(t) :: t
  def shut_down(connection) do
    {id, connection} = next_id(connection)
    write(connection, id, Msgpack.encode!([0, id, "$/shutdown", []]))
  end

  @doc "Python is gone, or will be soon: all who wait get an error. The connection is of no more use."
  @spec answer_all(t) :: :ok
  def answer_all(connection) do
    for {id, %{from: from, outcome: nil}} when from != nil <- connection.calls do
      error = %Error{
        code: :unavailable,
        message: "the Python process is gone",
        started: not Outbox.waits?(connection.outbox, id)
      }

      GenServer.reply(from, {:error, error})
    end

    :ok
  end

  ## Calls in flight

  # Gives the caller what there is for it, if it waits.
  defp hand_over(connection, id, call) do
    case Call.take(call) do
      {:outcome, outcome} ->
        GenServer.reply(call.from, outcome)
        remove(connection, id, call)

      {:notes, frames, credit, call_then} ->
        GenServer.reply(call.from, {:notes, {self(), id}, frames})
        connection |> put_call(id, call_then) |> give_credit(id, credit)

      :nothing ->
        put_call(connection, id, call)
    end
  end

  defp fail(connection, id, code, message, started) do
    error = %Error{code: code, message: message, started: started}
    call = Map.fetch!(connection.calls, id)
    hand_over(connection, id, Call.finish(call, {:error, error}))
  end

  # Takes a request back: out of the outbox, or from Python, which may have begun with it.
  defp withdraw(connection, id) do
    if Outbox.waits?(connection.outbox, id) do
      {:unsent, %{connection | outbox: Outbox.delete(connection.outbox, id)}}
    else
      {:sent, send_message(connection, [2, "$/cancelRequest", [id]])}
    end
  end

  defp put_call(connection, id, call) do
    %{connection | calls: Map.put(connection.calls, id, call)}
  end

  defp remove(connection, id, call) do
    Process.demonitor(call.monitor, [:flush])
    if call.timer, do: Process.cancel_timer(call.timer, async: true, info: false)
    %{connection | calls: Map.delete(connection.calls, id)}
  end

  ## Frames to Python

  defp give_credit(connection, _id, nil), do: connection

  defp give_credit(connection, id, {items, bytes}) do
    send_message(connection, [2, "$/credit", [id, items, bytes]])
  end

  defp send_message(connection, message) do
    {number, connection} = next_id(connection)
    write(connection, number, Msgpack.encode!(message))
  end

  defp next_id(connection) do
    {connection.next_id, %{connection | next_id: connection.next_id + 1}}
  end

  defp write(connection, number, frame) do
    %{connection | outbox: Outbox.write(connection.outbox, connection.port, number, frame)}
  end
end
