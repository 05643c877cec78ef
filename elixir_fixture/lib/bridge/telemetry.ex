defmodule Bridge.Telemetry do
  @moduledoc """
  The events of `:telemetry`, if that library is loaded. It is no dependency.

  | event | measurements | metadata |
  | --- | --- | --- |
  | `[:bridge, :call, :start]` | `monotonic_time`, `system_time` | `client`, `node`, `tool`, `kind` |
  | `[:bridge, :call, :stop]` | `duration`, `queue_time`, `bytes_out`, `bytes_in`, `shared_out`, `shared_in`, `items` | the same, `code`, `error` and `process` |
  | `[:bridge, :call, :exception]` | `duration` | the same, `reason` and `stacktrace` |
  | `[:bridge, :python, :start]` | `system_time` | `client`, `name`, `os_pid` |
  | `[:bridge, :python, :ready]` | `duration` of the start | the same |
  | `[:bridge, :python, :down]` | `pause_ms` until the next try | the same, `error` |
  | `[:bridge, :python, :restart]` | `system_time` | the same; `Bridge.restart/1` was called |
  | `[:bridge, :pool, :line]` | `duration` of the wait, `waiting` then | `pool`, `code` |
  | `[:bridge, :pool, :process, :ready]` | `duration` of the start | `pool`, `slot`, `process`, `os_pid` |
  | `[:bridge, :pool, :process, :down]` | `system_time` | the same, `error` |
  | `[:bridge, :pool, :process, :recycle]` | `system_time` | the same, `reason` |

  Times and durations are in the runtime's native unit. The events of a call come in the process that
  calls. `kind` is `:call` or `:stream`; a stream starts when it is enumerated, and stops when it is no
  more. `code` is `:ok`, or that of the `Bridge.Error` that `error` is; `:exception` is for what is
  raised in the caller's own process, by `:on_progress` or by wrong arguments. `bytes_out` and `bytes_in`
  are those of the arguments and of the result, `shared_out` and `shared_in` how many of them went through shared
  memory; `nil` for streams, which count `items`. `queue_time` is how
  long the call has waited for a worker of Python, 0 for a quick tool that needs none; `nil` where Python has
  not told: for errors and streams, and of versions before 0.2. All events of one
  call have the same `telemetry_span_context`.

  Of a `Bridge.Pool`, `client` is the pool and `process` the client of the process that served the call, the
  same as in `client` of its `[:bridge, :python, …]`; `nil` where there is no pool, or no process had
  room. `[:bridge, :pool, :line]` is for calls that had to wait for room, whose `code` is `:ok` or that of
  the error; it comes in the process that calls. `reason` says why a process is replaced: `:requested`,
  `:rolling_restart`, `:max_age`, `:max_calls`, `:max_rss`, `:max_abandoned` or `:blocked`.
  """

  alias Bridge.Error

  @typep span :: %{context: reference, began: integer, meta: map}

  @typedoc "What was measured of a call; nil: it was not."
  @type measured :: %{
          bytes_out: non_neg_integer | nil,
          bytes_in: non_neg_integer | nil,
          shared_out: non_neg_integer | nil,
          shared_in: non_neg_integer | nil,
          queued_us: non_neg_integer | nil
        }

  @doc "Whether anybody can listen."
  @spec loaded?() :: boolean
  def loaded?, do: function_exported?(:telemetry, :execute, 3)

  @doc "What was measured of a call, with what `Bridge.Answer.measured/1` says of its response."
  @spec measured(bytes_out :: non_neg_integer | nil, received) :: measured
        when received:
               {bytes_in :: non_neg_integer | nil, queued_us :: non_neg_integer | nil,
                shared_in :: non_neg_integer | nil, shared_out :: non_neg_integer | nil}
               | nil
  def measured(bytes_out, nil),
    do: measured(bytes_out, {nil, nil, nil, nil})

  def measured(bytes_out, {bytes_in, queued, shared_in, shared_out}) do
    %{
      bytes_out: bytes_out,
      bytes_in: bytes_in,
      shared_out: shared_out,
      shared_in: shared_in,
      queued_us: queued
    }
  end

  @doc """
  Makes a call, and tells of it. `call` returns its result, what was measured, and the process of a pool.
  """
  @spec call(Bridge.client(), Bridge.tool(), (... -> {result, measured, process :: pid | nil})) ::
          result
        when result: {:ok, term} | {:error, Error.t()}
  def call(client, tool, call) do
    span = start(client, tool, :call)

    try do
      call.()
    catch
      kind, reason ->
        failed(span, kind, reason, __STACKTRACE__)
        :erlang.raise(kind, reason, __STACKTRACE__)
    else
      {result, measured, process} ->
        stop(span, result, process, Map.put(measured, :items, nil))
        result
    end
  end

  @doc """
  A stream as `Stream.resource/3` makes it, which tells of itself. `open` returns the process of a pool,
  too.
  """
  @spec stream(Bridge.client(), Bridge.tool(), (... -> {acc, pid | nil}), next, (acc -> term)) ::
          Enumerable.t()
        when acc: term, next: (acc -> {list, acc} | {:halt, acc})
  def stream(client, tool, open, next, close) do
    Stream.resource(
      fn ->
        span = start(client, tool, :stream)
        {stream, process} = open.()
        {stream, {span, process}, 0}
      end,
      fn {stream, {span, _process} = told, items} ->
        stream |> next_items(next, span) |> counted(told, items)
      end,
      fn {stream, {span, process}, items} ->
        close.(stream)
        # what ended it, if that was an error
        result = Process.delete(span.context) || {:ok, nil}
        measured = Map.put(measured(nil, nil), :items, items)
        stop(span, result, process, measured)
      end
    )
  end

  defp next_items(stream, next, span) do
    next.(stream)
  rescue
    error in Error ->
      Process.put(span.context, {:error, error})
      reraise error, __STACKTRACE__
  end

  defp counted({:halt, stream}, span, items), do: {:halt, {stream, span, items}}
  defp counted({more, stream}, span, items), do: {more, {stream, span, items + length(more)}}

  @doc "Tells that a Python starts, is ready, or is gone. In the client's process."
  @spec python(:start | :ready | :down | :restart, map, map) :: :ok
  def python(event, measurements, metadata) do
    if loaded?(), do: execute([:bridge, :python, event], measurements, metadata), else: :ok
  end

  @doc "Tells of a pool: that a call has left the line, in its own process, or of a process."
  @spec pool(:line | {:process, :ready | :down | :recycle}, map, map) :: :ok
  def pool(event, measurements, metadata) do
    name = if is_tuple(event), do: Tuple.to_list(event), else: [event]
    if loaded?(), do: execute([:bridge, :pool | name], measurements, metadata), else: :ok
  end

  @spec start(Bridge.client(), Bridge.tool(), :call | :stream) :: span
  defp start(client, tool, kind) do
    began = System.monotonic_time()
    context = make_ref()

    meta = %{
      client: client,
      node: node_of(client),
      tool: to_string(tool),
      kind: kind,
      telemetry_span_context: context
    }

    times = %{monotonic_time: began, system_time: System.system_time()}
    execute([:bridge, :call, :start], times, meta)
    %{context: context, began: began, meta: meta}
  end

  defp stop(span, result, process, measurements) do
    outcome =
      case result do
        {:ok, _result} -> %{code: :ok, error: nil, process: process}
        {:error, error} -> %{code: error.code, error: error, process: process}
      end

    meta = Map.merge(span.meta, outcome)
    {queued, measurements} = Map.pop!(measurements, :queued_us)
    queue_time = queued && System.convert_time_unit(queued, :microsecond, :native)
    measurements = Map.merge(measurements, %{queue_time: queue_time, duration: since(span)})
    execute([:bridge, :call, :stop], measurements, meta)
  end

  defp failed(span, kind, reason, stacktrace) do
    meta = Map.merge(span.meta, %{reason: {kind, reason}, stacktrace: stacktrace})
    execute([:bridge, :call, :exception], %{duration: since(span)}, meta)
  end

  defp since(span), do: System.monotonic_time() - span.began

  defp node_of({_name, node}) when is_atom(node), do: node
  defp node_of(pid) when is_pid(pid), do: node(pid)
  defp node_of(_name), do: node()

  defp execute(event, measurements, metadata) do
    apply(:telemetry, :execute, [event, measurements, metadata])
  end
end
