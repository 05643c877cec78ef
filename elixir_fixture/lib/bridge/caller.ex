defmodule Bridge.Caller do
  @moduledoc false

  # The caller's side of a call: encodes the arguments, waits, and decodes the answer.
  #
  # All of it runs in the caller's own process, which keeps its own time: it waits at an alias of
  # itself until its deadline, whatever the client is doing. What is sent to the alias later is
  # dropped by the runtime. The client answers a request with `{:response, frame}`, with
  # `{:error, error}`, or, when items or progress came first, with `{:notes, handle, frames}`. The
  # handle is what to ask with for more.

  alias Bridge.{Claim, Connection, Error, Msgpack, Places}

  # When its time is over, a caller waits so long for Python's own word on whether the tool began.
  @last_word_ms 12

  # What is copied rather than sent in parts.
  @small_bytes 4_096

  # How long to wait before a message is tried again that would have suspended the caller.
  @again_ms 5

  @typedoc "The process, not the client's name: its successor would not know the call."
  @type handle :: {pid, Connection.id()}

  @typep answer :: {:notes, handle, [binary]} | {:response, binary} | {:error, Error.t()}

  # A call that goes on: `key` is the alias at which it was asked for, `until` the deadline.
  @typep wait :: %{key: reference, until: integer | :infinity}

  @typedoc "Where a stream is: what the client answered last, or that its items were all taken."
  @type stream :: {answer, wait} | {:more, handle, wait} | :ended

  @doc "Calls a tool with checked options, and waits for its result."
  @spec call(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) ::
          {:ok, term} | {:error, Error.t()}
  def call(client, tool, args, opts) do
    on_progress = opts[:on_progress]

    with {:ok, body} <- encode(tool, args, opts) do
      client |> request(body, if(on_progress, do: :progress), opts) |> result(on_progress)
    end
  end

  @doc "Opens a stream with checked options. Waits for the first items, or for its end."
  @spec open(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) :: stream
  def open(client, tool, args, opts) do
    case encode(tool, args, opts) do
      {:ok, body} -> request(client, body, :item, opts)
      error -> {error, nil}
    end
  end

  @doc """
  The next items of a stream, as `Stream.resource/3` wants them. Waits for one at least.

  Raises the error that ends the stream.
  """
  @spec next_items(stream) :: {[term], stream} | {:halt, stream}
  def next_items({{:notes, handle, frames}, wait}) do
    items =
      for frame <- frames do
        [_notification, _method, [_id, item]] = decode!(frame)
        item
      end

    {items, {:more, handle, wait}}
  end

  def next_items({:more, handle, wait}), do: {await(handle, wait), wait} |> next_items()

  def next_items(outcome) do
    case result(outcome, nil) do
      {:ok, _return_value} -> {:halt, :ended}
      {:error, error} -> raise error
    end
  end

  @doc "Ends a stream, wherever it is."
  @spec close(stream) :: :ok
  def close({:more, handle, _wait}), do: forget(handle)
  def close({{:notes, handle, _frames}, _wait}), do: forget(handle)
  def close(_ended), do: :ok

  @doc """
  Asks the client itself, and waits for its answer: `message` makes the message of an alias.

  A client that is not there, or does not answer in time, is an error too.
  """
  @spec ask(Bridge.client(), (reference -> term), timeout) :: term | {:error, Error.t()}
  def ask(client, message, timeout) do
    with {:ok, process} <- find(client) do
      case wait(process, message, timeout) do
        {:down, _alias, reason} -> down(client, reason, nil)
        {:overdue, alias} -> give_up(alias)
        {answer, _alias} -> answer
      end
    end
  end

  ## Requests

  defp request(client, body, watch, opts) do
    timeout = Keyword.fetch!(opts, :timeout)
    # only who asks again has to know when it began
    until = if watch, do: deadline(timeout)

    with {:ok, process} <- find(client),
         {:ok, claim} <- enter(process, timeout) do
      message = &{:bridge_request, &1, self(), claim, body, watch, Keyword.fetch(opts, :tag)}

      case wait(process, message, timeout) do
        {:overdue, key} -> {expire(process, key, key, claim), nil}
        {:down, _key, reason} -> {down(client, reason, began?(claim)), nil}
        {answer, key} -> {answer, %{key: key, until: until}}
      end
    else
      error -> {error, nil}
    end
  end

  # There is a handle only when the tool has begun.
  defp await({pid, id}, wait) do
    answer =
      case wait(pid, &{:bridge_await, &1, id}, remaining(wait.until)) do
        {:overdue, alias} -> expire(pid, wait.key, alias, nil)
        {:down, _alias, reason} -> down(pid, reason, true)
        {answer, _alias} -> answer
      end

    with {:error, error} <- answer, do: {:error, %{error | started: true}}
  end

  defp forget({pid, id}) do
    send(pid, {:bridge_forget, id})
    :ok
  end

  # A place in the client. On another node the client looks for itself.
  defp enter(process, timeout) do
    case is_pid(process) and node(process) == node() and Places.of(process) do
      places when is_reference(places) ->
        case Places.take(places, timeout) do
          :ok -> {:ok, Claim.new()}
          {:full, limit} -> {:error, Connection.full(limit)}
        end

      _elsewhere ->
        {:ok, nil}
    end
  end

  defp find(client) do
    case GenServer.whereis(client) do
      nil -> down(client, :noproc, false)
      process -> {:ok, process}
    end
  end

  ## Waiting

  # Sends what `message` makes of an alias, and waits there for so many milliseconds. The alias is one
  # of the monitor, which the first answer ends.
  defp wait(process, message, timeout) do
    alias = :erlang.monitor(:process, process, alias: :reply_demonitor)

    case deliver(process, message.(alias), timeout) do
      :late ->
        {:overdue, alias}

      left ->
        receive do
          {^alias, answer} -> {answer, alias}
          {:DOWN, ^alias, :process, _process, reason} -> {:down, alias, reason}
        after
          left -> {:overdue, alias}
        end
    end
  end

  # Sends a message, and says how much time is left.
  defp deliver(process, message, timeout) when is_pid(process) and node(process) == node() do
    send(process, message)
    timeout
  end

  # To another node: without :nosuspend a full connection would suspend the caller.
  defp deliver(process, message, timeout) do
    case :erlang.send(process, message, [:nosuspend]) do
      :ok ->
        timeout

      :nosuspend when timeout == 0 ->
        :late

      :nosuspend ->
        pause = min(timeout, @again_ms)
        Process.sleep(pause)
        deliver(process, message, if(timeout == :infinity, do: timeout, else: timeout - pause))
    end
  end

  # The time is over. Whoever has taken the call back knows that it never began; otherwise Python, or
  # a client on another node, has the last word, if it comes at once.
  defp expire(process, key, alias, claim) do
    withdrawn = claim != nil and Claim.withdraw(claim)
    :erlang.send(process, {:bridge_timeout, self(), key}, [:nosuspend])

    if withdrawn do
      :erlang.demonitor(alias, [:flush])

      receive do
        {^alias, {:error, error}} -> {:error, error}
      after
        0 -> overdue("the call took longer than its timeout, before it was sent to Python", false)
      end
    else
      receive do
        {^alias, {:notes, _handle, _frames}} -> give_up(alias, claim)
        {^alias, answer} -> answer
        {:DOWN, ^alias, :process, _process, reason} -> down(process, reason, began?(claim))
      after
        @last_word_ms -> give_up(alias, claim)
      end
    end
  end

  defp give_up(alias, claim \\ nil) do
    :erlang.demonitor(alias, [:flush])

    receive do
      {^alias, {:notes, _handle, _frames}} -> give_up(alias, claim)
      {^alias, answer} -> answer
    after
      0 -> overdue("the call took longer than its timeout", began?(claim))
    end
  end

  defp overdue(message, started) do
    {:error, %Error{code: :deadline_exceeded, message: message, started: started}}
  end

  # Takes the call back, so that the answer stays true.
  defp began?(nil), do: nil
  defp began?(claim), do: not Claim.withdraw(claim)

  defp down(client, :noproc, _began) do
    message = "the client #{inspect(client)} is not running"
    {:error, %Error{code: :unavailable, message: message, started: false}}
  end

  defp down(client, :noconnection, _began) do
    message = "the node of the client #{inspect(client)} cannot be reached"
    {:error, %Error{code: :unavailable, message: message}}
  end

  defp down(client, reason, began) do
    message = "the client #{inspect(client)} has ended: #{Exception.format_exit(reason)}"
    {:error, %Error{code: :unavailable, message: message, started: began}}
  end

  defp deadline(:infinity), do: :infinity
  defp deadline(ms), do: System.monotonic_time(:millisecond) + ms

  defp remaining(:infinity), do: :infinity
  defp remaining(until), do: max(until - System.monotonic_time(:millisecond), 0)

  ## Encoding

  # All of a request but its id. Small parts are put together here rather than in the client; large
  # binaries stay uncopied.
  defp encode(tool, args, opts) do
    with {:ok, params} <- params(args),
         {:ok, options} <- options(opts) do
      body = [Msgpack.encode!(to_string(tool)), params | options]

      if :erlang.iolist_size(body) <= @small_bytes,
        do: {:ok, :erlang.iolist_to_binary(body)},
        else: {:ok, :erlang.iolist_to_iovec(body)}
    end
  end

  # The most frequent ones need no look at a table.
  defp options(timeout: :infinity), do: {:ok, <<0x80>>}
  defp options(timeout: ms), do: {:ok, <<0x81, 0xAA, "timeout_ms", 0xCE, ms::32>>}

  defp options(opts) do
    options = for {key, value} <- opts, option <- wire_option(key, value), into: %{}, do: option
    Msgpack.encode(options, "options")
  end

  defp wire_option(:timeout, timeout) when is_integer(timeout), do: [timeout_ms: timeout]
  defp wire_option(:credit, credit), do: [stream: Map.new(credit)]
  defp wire_option(key, value) when key in [:session, :metadata], do: [{key, value}]
  defp wire_option(_key, _value), do: []

  defp params(args) when is_list(args) do
    named = if by_name?(args), do: Map.new(args), else: args

    if is_map(named) and map_size(named) < length(args) do
      message = "args gives a name twice: #{inspect(Keyword.keys(args))}"
      {:error, %Error{code: :invalid_argument, message: message, started: false}}
    else
      Msgpack.encode(named, "args")
    end
  end

  defp params(args) when is_map(args) and not is_struct(args), do: Msgpack.encode(args, "args")

  defp params(args) do
    raise ArgumentError, "expected arguments in a list or a map, got: #{inspect(args)}"
  end

  # `[{:bytes, data}]` is also the keyword list `[bytes: data]`.
  defp by_name?(args) do
    Keyword.keyword?(args) and Enum.any?(args, fn {name, _value} -> name != :bytes end)
  end

  ## The answer

  defp result({{:response, frame}, _wait}, _on_progress) do
    case decode(frame) do
      {:ok, [_response, _id, nil, result]} -> {:ok, result}
      {:ok, [_response, _id, error, _nil]} -> {:error, Error.from_wire(error)}
      {:error, error} -> {:error, error}
    end
  end

  defp result({{:notes, handle, frames}, wait}, on_progress) do
    report(handle, frames, on_progress)
    result({await(handle, wait), wait}, on_progress)
  end

  defp result({{:error, error}, _wait}, _on_progress), do: {:error, error}

  defp report(handle, frames, on_progress) do
    for frame <- frames do
      [_notification, _method, [_id, done, total, text]] = decode!(frame)
      on_progress.(done, total, text)
    end
  catch
    kind, reason ->
      forget(handle)
      :erlang.raise(kind, reason, __STACKTRACE__)
  end

  defp decode(frame) do
    with {:error, error} <- Msgpack.decode(frame) do
      {:error, %{error | code: :internal, message: "an answer of Python is #{error.message}"}}
    end
  end

  defp decode!(frame) do
    case decode(frame) do
      {:ok, message} -> message
      {:error, error} -> raise error
    end
  end
end
