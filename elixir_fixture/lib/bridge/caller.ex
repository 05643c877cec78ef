defmodule Bridge.Caller do
  @moduledoc false

  # The caller's side of a call: encodes the arguments, waits, and decodes the answer.
  #
  # All of it runs in the caller's own process, which keeps its own time: it waits at an alias of
  # itself until its deadline, whatever the client is doing. What is sent to the alias later is
  # dropped by the runtime. The client answers a request with `{:response, frame}`, with
  # `{:error, error}`, or, when items or progress came first, with `{:notes, handle, frames}`. The
  # handle is what to ask with for more.

  alias Bridge.{Admission, Claim, Connection, Error, Msgpack, Places, Runner, Waiting}

  # What is copied rather than sent in parts.
  @small_bytes 4_096

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

    with {:ok, body} <- encode(tool, args, within(client, opts)) do
      client
      |> request(body, if(on_progress, do: :progress), opts)
      |> last(on_progress)
      |> result()
    end
  end

  @doc "The same, with the bytes of the arguments and of the result; nil where there were none."
  @spec measured_call(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) ::
          {{:ok, term} | {:error, Error.t()}, non_neg_integer | nil, non_neg_integer | nil}
  def measured_call(client, tool, args, opts) do
    on_progress = opts[:on_progress]

    case encode(tool, args, within(client, opts)) do
      {:ok, body} ->
        answer =
          client |> request(body, if(on_progress, do: :progress), opts) |> last(on_progress)

        {result(answer), :erlang.iolist_size(body), received(answer)}

      error ->
        {error, nil, nil}
    end
  end

  defp received({{:response, frame}, _wait}), do: byte_size(frame)
  defp received(_error), do: nil

  @doc "Opens a stream with checked options. Waits for the first items, or for its end."
  @spec open(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) :: stream
  def open(client, tool, args, opts) do
    case encode(tool, args, within(client, opts)) do
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
    case result(outcome) do
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
      case Waiting.wait(process, message, timeout) do
        {:down, _alias, reason} -> Waiting.down(client, reason, nil)
        {:overdue, alias} -> Waiting.give_up(alias, nil)
        {answer, _alias} -> answer
      end
    end
  end

  ## Requests

  defp request(client, body, watch, opts) do
    timeout = Keyword.fetch!(opts, :timeout)
    # only who asks again has to know when it began
    until = if watch, do: Waiting.deadline(timeout)

    with {:ok, process} <- find(client),
         {:ok, claim} <- enter(process, timeout) do
      message = &{:bridge_request, &1, self(), claim, body, watch, Keyword.fetch(opts, :tag)}

      case Waiting.wait(process, message, timeout) do
        {:overdue, key} -> {Waiting.expire(process, key, key, claim), nil}
        {:down, _key, reason} -> {Waiting.down(client, reason, Waiting.began?(claim)), nil}
        {answer, key} -> {answer, %{key: key, until: until}}
      end
    else
      error -> {error, nil}
    end
  end

  # There is a handle only when the tool has begun.
  defp await({pid, id}, wait) do
    answer =
      case Waiting.wait(pid, &{:bridge_await, &1, id}, Waiting.remaining(wait.until)) do
        {:overdue, alias} -> Waiting.expire(pid, wait.key, alias, nil)
        {:down, _alias, reason} -> Waiting.down(pid, reason, true)
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
    with true <- is_pid(process) and node(process) == node(),
         places when places != nil <- Places.of(process),
         {:full, limit} <- Places.take(places, timeout) do
      {:error, Admission.full(limit)}
    else
      :ok -> {:ok, Claim.new()}
      _elsewhere -> {:ok, nil}
    end
  end

  defp find(client) do
    case GenServer.whereis(client) do
      nil -> Waiting.down(client, :noproc, false)
      process -> {:ok, process}
    end
  end

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
  defp options(timeout: ms), do: {:ok, <<0x81, 0xAA, "timeout_ms", 0xCE, in_python(ms)::32>>}

  defp options(opts) do
    options = for {key, value} <- opts, option <- wire_option(key, value), into: %{}, do: option
    Msgpack.encode(options, "options")
  end

  defp wire_option(:timeout, ms) when is_integer(ms), do: [timeout_ms: in_python(ms)]
  defp wire_option(:credit, credit), do: [stream: Map.new(credit)]
  defp wire_option(key, value) when key in [:session, :metadata], do: [{key, value}]
  defp wire_option(:within, id), do: [within: id]
  defp wire_option(_key, _value), do: []

  # A call is within one of Python's only for the client that this one belongs to.
  defp within(client, opts) do
    case Keyword.fetch(opts, :within) do
      :error -> within(client, opts, Runner.within(client))
      {:ok, within} -> within(client, Keyword.delete(opts, :within), within)
    end
  end

  defp within(_client, opts, nil), do: opts

  defp within(client, opts, {process, id}) do
    if GenServer.whereis(client) == process, do: [{:within, id} | opts], else: opts
  end

  # Python's deadline is a little earlier (a fiftieth, 5 ms at most), so that its word on whether the
  # tool began is there when the caller's time is over.
  defp in_python(ms), do: ms - min(div(ms, 50), 5)

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

  # Reports what comes before the end of a call.
  defp last({{:notes, handle, frames}, wait}, on_progress) do
    report(handle, frames, on_progress)
    last({await(handle, wait), wait}, on_progress)
  end

  defp last(answer, _on_progress), do: answer

  defp result({{:response, frame}, _wait}) do
    case decode(frame) do
      {:ok, [_response, _id, nil, result]} -> {:ok, result}
      {:ok, [_response, _id, error, _nil]} -> {:error, Error.from_wire(error)}
      {:error, error} -> {:error, error}
    end
  end

  defp result({{:error, error}, _wait}), do: {:error, error}

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
