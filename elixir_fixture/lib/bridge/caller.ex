defmodule Bridge.Caller do
  @moduledoc false

  # The caller's side of a call: encodes the arguments, waits, and decodes the answer.
  #
  # All of it runs in the caller's own process. The client answers a request with
  # `{:response, frame}`, with `{:error, error}`, or, when items or progress came first, with
  # `{:notes, handle, frames}`. The handle is what to ask with for more.

  alias Bridge.{Connection, Error, Msgpack}

  @typep answer :: {:notes, handle, [binary]} | {:response, binary} | {:error, Error.t()}

  # The process, not the client's name: its successor would not know the call.
  @typep handle :: {pid, Connection.id()}

  @typedoc "Where a stream is: what the client answered last, or that its items were all taken."
  @type stream :: answer | {:more, handle} | :ended

  @doc "Calls a tool with checked options, and waits for its result."
  @spec call(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) ::
          {:ok, term} | {:error, Error.t()}
  def call(client, tool, args, opts) do
    watch = if opts[:on_progress], do: :progress

    with {:ok, request} <- request(tool, args, opts, watch) do
      client |> ask(request) |> result(opts[:on_progress])
    end
  end

  @doc "Opens a stream with checked options. Waits for the first items, or for its end."
  @spec open(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) :: stream
  def open(client, tool, args, opts) do
    with {:ok, request} <- request(tool, args, opts, :item), do: ask(client, request)
  end

  @doc """
  The next items of a stream, as `Stream.resource/3` wants them. Waits for one at least.

  Raises the error that ends the stream.
  """
  @spec next_items(stream) :: {[term], stream} | {:halt, stream}
  def next_items({:notes, handle, frames}) do
    items =
      for frame <- frames do
        [_notification, _method, [_id, item]] = decode!(frame)
        item
      end

    {items, {:more, handle}}
  end

  def next_items({:more, handle}), do: handle |> await() |> next_items()

  def next_items(outcome) do
    case result(outcome, nil) do
      {:ok, _return_value} -> {:halt, :ended}
      {:error, error} -> raise error
    end
  end

  @doc "Ends a stream, wherever it is."
  @spec close(stream) :: :ok
  def close({:more, handle}), do: forget(handle)
  def close({:notes, handle, _frames}), do: forget(handle)
  def close(_ended), do: :ok

  @doc "Asks the client, and waits for its answer. A client that is not there is an error too."
  @spec ask(Bridge.client(), question :: term) :: term | {:error, Error.t()}
  def ask(client, question) do
    # The client sets the timeout itself, so that it knows when it stopped waiting.
    GenServer.call(client, question, :infinity)
  catch
    :exit, {:noproc, {GenServer, :call, _arguments}} ->
      message = "the client #{inspect(client)} is not running"
      {:error, %Error{code: :unavailable, message: message, started: false}}

    :exit, {reason, {GenServer, :call, _arguments}} ->
      message = "the client #{inspect(client)} has ended: #{Exception.format_exit(reason)}"
      {:error, %Error{code: :unavailable, message: message}}
  end

  # There is a handle only when the tool has begun.
  defp await({pid, id}) do
    with {:error, error} <- ask(pid, {:await, id}), do: {:error, %{error | started: true}}
  end

  defp forget({pid, id}), do: GenServer.cast(pid, {:forget, id})

  ## The request

  defp request(tool, args, opts, watch) do
    timeout = Keyword.fetch!(opts, :timeout)
    options = for {key, value} <- opts, option <- wire_option(key, value), into: %{}, do: option

    with {:ok, params} <- params(args),
         {:ok, options} <- Msgpack.encode(options, "options") do
      # Small parts are put together here rather than in the client; large binaries stay uncopied.
      body = :erlang.iolist_to_iovec([Msgpack.encode!(to_string(tool)), params | options])
      {:ok, {:request, body, watch, timeout, Keyword.fetch(opts, :tag)}}
    end
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

  defp result({:response, frame}, _on_progress) do
    case decode(frame) do
      {:ok, [_response, _id, nil, result]} -> {:ok, result}
      {:ok, [_response, _id, error, _nil]} -> {:error, Error.from_wire(error)}
      {:error, error} -> {:error, error}
    end
  end

  defp result({:notes, handle, frames}, on_progress) do
    report(handle, frames, on_progress)
    handle |> await() |> result(on_progress)
  end

  defp result({:error, error}, _on_progress), do: {:error, error}

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
