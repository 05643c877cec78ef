defmodule Bridge.Test.GRPC do
  @moduledoc """
  gRPC calls over `Bridge.Test.HTTP2`, as the specification says: "gRPC over HTTP2",
  `doc/PROTOCOL-HTTP2.md` in the repository of gRPC.

  Messages are binaries here; `Bridge.Test.GRPC.Stub` knows the bridge's methods and messages.
  Unary calls and server streaming are there, which is what the bridge serves; compression is
  not, and is not offered to the server.

  Every failure is a `Bridge.Error`, whose code is gRPC's status. What the server added in
  `grpc-status-details-bin` is taken apart:

    * `ErrorInfo` gives `type` and `started`, and `details` its `"reason"` and `"domain"`
    * `DebugInfo` gives the `traceback`
    * `RetryInfo` gives `details` a `"retry_after_ms"`
    * `BadRequest` gives `details` the `"fields"` that are wrong, a map of text to text
    * a `Struct` is put into `details` as it is
  """

  alias Bridge.Error
  alias Bridge.Test.{HTTP2, Protobuf}

  @enforce_keys [:connection, :scheme, :authority, :metadata]
  defstruct [:connection, :scheme, :authority, :metadata]

  @typedoc "A connection, and what goes along with every call on it."
  @type t :: %__MODULE__{
          connection: pid,
          scheme: String.t(),
          authority: String.t(),
          metadata: metadata
        }

  @typedoc "A call in flight."
  @type call :: {t, HTTP2.Frame.stream()}

  @typedoc "Names in lower case, text in ASCII."
  @type metadata :: [{String.t(), String.t()}]

  # The status codes, from 0 on: their number is their place.
  @codes ~w(ok cancelled unknown invalid_argument deadline_exceeded not_found already_exists
            permission_denied resource_exhausted failed_precondition aborted out_of_range
            unimplemented internal unavailable data_loss unauthenticated)a
  @code_of_text @codes |> Enum.with_index(&{Integer.to_string(&2), &1}) |> Map.new()

  # Before each message: is it compressed, and its length.
  @prefix 5

  @doc """
  Connects to `"host:port"` or `"unix:/path"`.

  | option | |
  | --- | --- |
  | `:tls` | options for `:ssl.connect/4`; without them nothing is encrypted |
  | `:metadata` | for every call |
  | `:window` | see `Bridge.Test.HTTP2.open/2` |
  """
  @spec connect(String.t(), keyword) :: {:ok, t} | {:error, Error.t()}
  def connect(target, opts \\ []) do
    {address, authority} = address(target)

    case HTTP2.open(address, Keyword.take(opts, [:tls, :window])) do
      {:ok, connection} ->
        {:ok,
         %__MODULE__{
           connection: connection,
           scheme: if(opts[:tls], do: "https", else: "http"),
           authority: authority,
           metadata: Keyword.get(opts, :metadata, [])
         }}

      {:error, reason} ->
        {:error, error(:unavailable, "cannot connect to #{target}: #{inspect(reason)}", false)}
    end
  end

  @doc "Closes the connection."
  @spec close(t) :: :ok
  def close(channel), do: HTTP2.close(channel.connection)

  @doc """
  Makes a unary call and waits for its answer.

  | option | default | |
  | --- | --- | --- |
  | `:timeout` | `:infinity` | milliseconds; the server is told, and our own clock runs, too |
  | `:metadata` | none | for this call |
  """
  @spec unary(t, String.t(), binary, keyword) :: {:ok, binary} | {:error, Error.t()}
  def unary(channel, path, message, opts \\ []) do
    with {:ok, call} <- start(channel, path, message, opts), do: await(call)
  end

  @doc "Begins a call. Takes the options of `unary/4`. Whoever begins it must `await/1` it."
  @spec start(t, String.t(), binary, keyword) :: {:ok, call} | {:error, Error.t()}
  def start(channel, path, message, opts \\ []) do
    timeout = Keyword.get(opts, :timeout, :infinity)
    headers = headers(channel, path, timeout, Keyword.get(opts, :metadata, []))
    body = <<0, byte_size(message)::32, message::binary>>

    case HTTP2.request(channel.connection, headers, body, timeout: timeout) do
      {:ok, stream} -> {:ok, {channel, stream}}
      {:error, reason} -> {:error, broken(reason)}
    end
  end

  @doc "Waits for the answer of a unary call."
  @spec await(call) :: {:ok, binary} | {:error, Error.t()}
  def await({channel, stream} = call) do
    outcome = collect(call, reader(), [])
    HTTP2.forget(channel.connection, stream)

    case outcome do
      {:ok, [message]} -> {:ok, message}
      {:ok, many} -> {:error, error(:internal, "a unary call with #{length(many)} messages")}
      {:error, error} -> {:error, error}
    end
  end

  @doc "Cancels a call, from any process: its answer is `:cancelled`."
  @spec cancel(call) :: :ok
  def cancel({channel, stream}), do: HTTP2.cancel(channel.connection, stream)

  @doc """
  The messages of a server-streaming call, lazily.

  The call is made when the stream is enumerated, and takes the options of `unary/4`. What the
  consumer does not take, the server has to keep, as `Bridge.Test.HTTP2` explains. A consumer that
  halts cancels the call. An error is raised, after the messages before it.
  """
  @spec stream(t, String.t(), binary, keyword) :: Enumerable.t()
  def stream(channel, path, message, opts \\ []) do
    Stream.resource(
      fn -> {channel |> start(path, message, opts) |> or_raise(), reader()} end,
      fn {call, reader} ->
        case call |> read(reader) |> or_raise() do
          {:messages, messages, reader} -> {messages, {call, reader}}
          :end -> {:halt, {call, reader}}
        end
      end,
      fn {{channel, stream}, _reader} -> HTTP2.forget(channel.connection, stream) end
    )
  end

  ## Requests

  defp address("unix:" <> path), do: {{:local, path}, "localhost"}

  defp address(target) do
    [host, port] = String.split(target, ":")
    {{host, String.to_integer(port)}, target}
  end

  defp headers(channel, path, timeout, metadata) do
    [
      {":method", "POST"},
      {":scheme", channel.scheme},
      {":path", path},
      {":authority", channel.authority},
      {"te", "trailers"}
    ] ++
      timeout(timeout) ++
      [{"content-type", "application/grpc+proto"}, {"user-agent", "grpc-elixir-test"}] ++
      channel.metadata ++ metadata
  end

  # At most eight digits, in milliseconds if they suffice.
  defp timeout(:infinity), do: []
  defp timeout(ms) when ms <= 99_999_999, do: [{"grpc-timeout", "#{ms}m"}]
  defp timeout(ms), do: [{"grpc-timeout", "#{div(ms, 1000)}S"}]

  ## Responses

  # What was received of a call: the last headers, and the parts of a message that is not complete.
  defp reader, do: %{headers: nil, parts: [], size: 0, needed: @prefix}

  defp collect(call, reader, messages) do
    case read(call, reader) do
      {:ok, {:messages, more, reader}} -> collect(call, reader, messages ++ more)
      {:ok, :end} -> {:ok, messages}
      {:error, error} -> {:error, error}
    end
  end

  defp read({channel, stream}, reader) do
    case HTTP2.next(channel.connection, stream) do
      {:headers, fields} ->
        {:ok, {:messages, [], %{reader | headers: fields}}}

      {:data, data} ->
        add(reader, data)

      :end ->
        with :ok <- outcome(reader), do: {:ok, :end}

      {:error, reason} ->
        {:error, broken(reason)}
    end
  end

  # The parts are joined only when there is a whole message in them: a large one would otherwise
  # be copied with every part.
  defp add(%{size: size, needed: needed} = reader, data) when size + byte_size(data) < needed do
    reader = %{reader | parts: [reader.parts | data], size: size + byte_size(data)}
    {:ok, {:messages, [], reader}}
  end

  defp add(reader, data) do
    case messages(IO.iodata_to_binary([reader.parts | data]), []) do
      {_messages, <<compressed, _::binary>>} when compressed != 0 ->
        {:error, error(:internal, "a compressed message, which was not asked for")}

      {messages, rest} ->
        reader = %{reader | parts: rest, size: byte_size(rest), needed: needed(rest)}
        {:ok, {:messages, messages, reader}}
    end
  end

  defp messages(<<0, size::32, message::binary-size(size), rest::binary>>, messages) do
    messages(rest, [message | messages])
  end

  defp messages(rest, messages), do: {Enum.reverse(messages), rest}

  defp needed(<<_compressed, size::32, _::binary>>), do: @prefix + size
  defp needed(_rest), do: @prefix

  # The last headers are the trailers, also those of a response that has no others.
  defp outcome(%{headers: fields, size: left_over}) do
    trailers = Map.new(fields || [])

    case trailers do
      %{"grpc-status" => "0"} when left_over == 0 -> :ok
      %{"grpc-status" => "0"} -> {:error, error(:internal, "a message is cut short")}
      %{"grpc-status" => status} -> {:error, failed(status, trailers)}
      %{":status" => status} -> {:error, not_grpc(status)}
      _no_status -> {:error, error(:internal, "no gRPC status in #{inspect(fields)}")}
    end
  end

  ## Errors

  defp failed(status, trailers) do
    message = trailers |> Map.get("grpc-message", "") |> percent_decode()
    error = error(Map.get(@code_of_text, status, :unknown), message)

    case trailers do
      %{"grpc-status-details-bin" => text} ->
        rich = Protobuf.decode!(:status, Base.decode64!(text, padding: false))
        Enum.reduce(rich.details, error, &add_detail/2)

      _poor ->
        error
    end
  end

  # A percent sign that introduces nothing is one: the specification wants no message lost.
  defp percent_decode(text) do
    Regex.replace(~r/%([0-9A-Fa-f]{2})/, text, fn _all, hex ->
      Base.decode16!(hex, case: :mixed)
    end)
  end

  defp add_detail({:error_info, info}, error) do
    started = %{"true" => true, "false" => false}[info.metadata["started"]]
    error = %{error | type: info.metadata["type"], started: started}
    put_details(error, %{"reason" => info[:reason], "domain" => info[:domain]})
  end

  defp add_detail({:debug_info, info}, error), do: %{error | traceback: info.stack_entries}

  defp add_detail({:retry_info, %{retry_delay: delay}}, error) do
    ms = Map.get(delay, :seconds, 0) * 1000 + div(Map.get(delay, :nanos, 0), 1_000_000)
    put_details(error, %{"retry_after_ms" => ms})
  end

  defp add_detail({:bad_request, %{field_violations: violations}}, error) do
    put_details(error, %{"fields" => Map.new(violations, &{&1[:field], &1[:description]})})
  end

  defp add_detail({:struct, struct}, error), do: put_details(error, struct)
  defp add_detail(_unknown, error), do: error

  defp put_details(error, more), do: %{error | details: Map.merge(error.details, more)}

  # The answer of a proxy, or of a server that is none of gRPC: `doc/http-grpc-status-mapping.md`.
  defp not_grpc(status) do
    code =
      case status do
        "400" -> :internal
        "401" -> :unauthenticated
        "403" -> :permission_denied
        "404" -> :unimplemented
        status when status in ["429", "502", "503", "504"] -> :unavailable
        _other -> :unknown
      end

    error(code, "HTTP status #{status} and no gRPC status")
  end

  # A call that ended without a status. What a reset means is in the specification's section
  # "Errors".
  defp broken(:timeout), do: error(:deadline_exceeded, "the call took longer than its timeout")
  defp broken(:cancelled), do: error(:cancelled, "the call was cancelled")
  defp broken({:refused, why}), do: error(:unavailable, "refused: #{inspect(why)}", false)
  defp broken({:lost, why}), do: error(:unavailable, "the connection is lost: #{inspect(why)}")

  defp broken({:reset, :refused_stream}), do: broken({:refused, :refused_stream})
  defp broken({:reset, :cancel}), do: error(:cancelled, "the server cancelled the call")
  defp broken({:reset, :enhance_your_calm}), do: error(:resource_exhausted, "too many requests")
  defp broken({:reset, :inadequate_security}), do: error(:permission_denied, "not secure enough")
  defp broken({:reset, why}), do: error(:internal, "the server reset the stream: #{inspect(why)}")

  defp error(code, message, started \\ nil) do
    %Error{code: code, message: message, started: started}
  end

  defp or_raise({:ok, value}), do: value
  defp or_raise({:error, error}), do: raise(error)
end

defmodule Bridge.Test.GRPC.Stub do
  @moduledoc """
  The methods of `bridge.v1.Bridge` and `grpc.health.v1.Health`, with plain terms for messages.

  An application has this generated of `protos/bridge.proto`; what it then writes by hand is the
  MessagePack in a payload.

  Calls of tools take these options, and those of `Bridge.Test.GRPC.unary/4`:

  | option | default | |
  | --- | --- | --- |
  | `:form` | `:msgpack` | `:msgpack` or `:json`, the form of parameters and results |
  | `:session` | none | text |
  """

  alias Bridge.{Error, Msgpack}
  alias Bridge.Test.{GRPC, Protobuf}

  @bridge "/bridge.v1.Bridge/"
  @health "/grpc.health.v1.Health/"

  @statuses {:unknown, :serving, :not_serving, :service_unknown}

  @typedoc "Arguments by position or by name."
  @type args :: [term] | %{optional(String.t() | atom) => term}

  @type status :: :unknown | :serving | :not_serving | :service_unknown

  @doc "Calls a tool and waits for its result."
  @spec call(GRPC.t(), String.t(), args, keyword) :: {:ok, term} | {:error, Error.t()}
  def call(channel, tool, args \\ [], opts \\ []) do
    with {:ok, call} <- start_call(channel, tool, args, opts), do: await(call)
  end

  @doc "Begins a call, for `await/1` and `Bridge.Test.GRPC.cancel/1`."
  @spec start_call(GRPC.t(), String.t(), args, keyword) ::
          {:ok, GRPC.call()} | {:error, Error.t()}
  def start_call(channel, tool, args \\ [], opts \\ []) do
    GRPC.start(channel, @bridge <> "Call", call_request(tool, args, opts), opts)
  end

  @doc "Waits for the result of a call."
  @spec await(GRPC.call()) :: {:ok, term} | {:error, Error.t()}
  def await(call) do
    with {:ok, message} <- GRPC.await(call) do
      {:ok, payload(Protobuf.decode!(:call_response, message).result)}
    end
  end

  @doc """
  Calls a tool, and streams what it says: `{:item, term}`, `{:progress, map}`, `{:log, map}` and at
  last `{:result, term}`.
  """
  @spec stream(GRPC.t(), String.t(), args, keyword) :: Enumerable.t()
  def stream(channel, tool, args \\ [], opts \\ []) do
    channel
    |> GRPC.stream(@bridge <> "CallStream", call_request(tool, args, opts), opts)
    |> Stream.map(fn message ->
      case Map.to_list(Protobuf.decode!(:stream_response, message)) do
        [{kind, payload}] when kind in [:item, :result] -> {kind, payload(payload)}
        [{kind, note}] -> {kind, note}
      end
    end)
  end

  @doc "The tools."
  @spec tools(GRPC.t()) :: {:ok, [map]} | {:error, Error.t()}
  def tools(channel) do
    with {:ok, message} <- GRPC.unary(channel, @bridge <> "ListTools", "") do
      {:ok, Protobuf.decode!(:list_tools_response, message).tools}
    end
  end

  @doc "The bridge's counters."
  @spec stats(GRPC.t()) :: {:ok, map} | {:error, Error.t()}
  def stats(channel) do
    with {:ok, message} <- GRPC.unary(channel, @bridge <> "GetStats", "") do
      {:ok, Protobuf.decode!(:get_stats_response, message).stats}
    end
  end

  @doc "Is a service serving? `\"\"` is the server as a whole."
  @spec health(GRPC.t(), String.t()) :: {:ok, status} | {:error, Error.t()}
  def health(channel, service \\ "") do
    request = Protobuf.encode!(:health_check_request, %{service: service})

    with {:ok, message} <- GRPC.unary(channel, @health <> "Check", request) do
      {:ok, status(message)}
    end
  end

  @doc "The status of a service now, and whenever it changes."
  @spec watch_health(GRPC.t(), String.t()) :: Enumerable.t()
  def watch_health(channel, service \\ "") do
    request = Protobuf.encode!(:health_check_request, %{service: service})
    channel |> GRPC.stream(@health <> "Watch", request) |> Stream.map(&status/1)
  end

  defp call_request(tool, args, opts) do
    params =
      case Keyword.get(opts, :form, :msgpack) do
        :msgpack -> %{msgpack: Msgpack.encode!(args)}
        :json -> %{json: args}
      end

    session = Keyword.get(opts, :session, "")
    Protobuf.encode!(:call_request, %{tool: tool, params: params, session: session})
  end

  defp payload(%{msgpack: binary}), do: Msgpack.decode!(binary)
  defp payload(%{json: term}), do: term

  defp status(message) do
    elem(@statuses, Map.get(Protobuf.decode!(:health_check_response, message), :status, 0))
  end
end
