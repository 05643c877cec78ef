defmodule Bridge.Test.GRPC do
  @moduledoc """
  gRPC calls with curl, as "gRPC over HTTP2" specifies them (`doc/PROTOCOL-HTTP2.md` in the repository
  of gRPC), and the methods of `bridge.v1.Bridge` on top.

  OTP has no HTTP/2 client; curl has one. Each call is a process of its own, whose output is read
  when it has ended. It belongs to the process that begins it, and is no more when that is.
  """

  alias Bridge.{Error, Msgpack}
  alias Bridge.Test.Protobuf

  @enforce_keys [:url, :flags]
  defstruct [:url, :flags]

  @typedoc "Where a server is, and how curl gets there."
  @type t :: %__MODULE__{url: String.t(), flags: [String.t()]}

  @typedoc "A call in flight."
  @type call :: {port, body :: Path.t()}

  # The status codes, from 0 on: their number is their place.
  @codes ~w(ok cancelled unknown invalid_argument deadline_exceeded not_found already_exists
            permission_denied resource_exhausted failed_precondition aborted out_of_range
            unimplemented internal unavailable data_loss unauthenticated)a
  @code_of_text @codes |> Enum.with_index(&{Integer.to_string(&2), &1}) |> Map.new()

  # the first two: without the settings of whoever runs the tests
  @flags ~w(--disable --noproxy * --http2-prior-knowledge --silent --no-buffer --dump-header -)

  @doc "Whether there is a curl that speaks HTTP/2."
  @spec available?() :: boolean
  def available? do
    curl = System.find_executable("curl")
    curl != nil and curl |> System.cmd(["--version"]) |> elem(0) |> String.contains?("HTTP2")
  end

  @doc """
  The server at `"host:port"` or `"unix:/path"`.
  """
  @spec new(String.t()) :: t
  def new("unix:" <> path) do
    %__MODULE__{url: "http://localhost", flags: ["--unix-socket", path]}
  end

  def new(address), do: %__MODULE__{url: "http://" <> address, flags: []}

  ## Tools

  @doc """
  Calls a tool and waits for its result. Options: `:session`, and those of `start/4`.
  """
  @spec call(t, String.t(), [term] | map, keyword) :: {:ok, term} | {:error, Error.t()}
  def call(server, tool, args \\ [], opts \\ []) do
    server |> start_call(tool, args, opts) |> await_result()
  end

  @doc "Begins a call of a tool."
  @spec start_call(t, String.t(), [term] | map, keyword) :: call
  def start_call(server, tool, args \\ [], opts \\ []) do
    start(server, "/bridge.v1.Bridge/Call", request(tool, args, opts), opts)
  end

  @doc "Waits for the result of a call of a tool."
  @spec await_result(call) :: {:ok, term} | {:error, Error.t()}
  def await_result(call) do
    with {:ok, response} <- await(call) do
      [{1, payload}] = Protobuf.decode(response)
      {:ok, term(payload)}
    end
  end

  @doc """
  Calls a tool that streams, and waits for its end: what came, as `{:item, term}` and
  `{:result, term}`, and how it ended.
  """
  @spec stream(t, String.t(), [term] | map, keyword) :: {[tuple], :ok | {:error, Error.t()}}
  def stream(server, tool, args \\ [], opts \\ []) do
    call = start_stream(server, tool, args, opts)
    {messages, status} = await_messages(call)

    messages =
      for message <- messages do
        case Protobuf.decode(message) do
          [{1, payload}] -> {:item, term(payload)}
          [{2, payload}] -> {:result, term(payload)}
        end
      end

    {messages, status}
  end

  @doc "Begins a call of a tool that streams."
  @spec start_stream(t, String.t(), [term] | map, keyword) :: call
  def start_stream(server, tool, args, opts \\ []) do
    start(server, "/bridge.v1.Bridge/CallStream", request(tool, args, opts), opts)
  end

  defp request(tool, args, opts) do
    payload = Protobuf.encode([{1, args |> Msgpack.encode!() |> IO.iodata_to_binary()}])
    session = for session <- List.wrap(opts[:session]), do: {3, session}
    Protobuf.encode([{1, tool}, {2, payload} | session])
  end

  defp term(payload) do
    [{1, msgpack}] = Protobuf.decode(payload)
    Msgpack.decode!(msgpack)
  end

  ## Calls

  @doc """
  Begins a call with one message.

  Options: `:timeout`, of which the server is told, in milliseconds; `:metadata`, pairs of text.
  """
  @spec start(t, String.t(), binary, keyword) :: call
  def start(server, path, message, opts \\ []) do
    name = "bridge-grpc-#{System.pid()}-#{System.unique_integer([:positive])}"
    body = Path.join(System.tmp_dir!(), name)
    File.write!(body, <<0, byte_size(message)::32, message::binary>>)

    timeout = for ms <- List.wrap(opts[:timeout]), do: {"grpc-timeout", "#{ms}m"}
    metadata = timeout ++ Keyword.get(opts, :metadata, [])
    headers = [{"te", "trailers"}, {"content-type", "application/grpc+proto"} | metadata]

    port =
      Port.open({:spawn_executable, System.find_executable("curl")}, [
        :binary,
        :exit_status,
        args:
          @flags ++
            ["--data-binary", "@" <> body] ++
            Enum.flat_map(headers, fn {name, value} -> ["--header", "#{name}: #{value}"] end) ++
            server.flags ++ [server.url <> path]
      ])

    {port, body}
  end

  @doc "Makes a unary call and waits for its answer. Takes the options of `start/4`."
  @spec unary(t, String.t(), binary, keyword) :: {:ok, binary} | {:error, Error.t()}
  def unary(server, path, message, opts \\ []) do
    server |> start(path, message, opts) |> await()
  end

  @doc "Waits for the answer of a unary call."
  @spec await(call) :: {:ok, binary} | {:error, Error.t()}
  def await(call) do
    case await_messages(call) do
      {[message], :ok} -> {:ok, message}
      {_messages, {:error, error}} -> {:error, error}
    end
  end

  @doc "Ends the process of a call, and with it its connection."
  @spec abandon(call) :: :ok
  def abandon({port, body}) do
    {:os_pid, os_pid} = Port.info(port, :os_pid)
    {_output, 0} = System.cmd("kill", ["-KILL", "#{os_pid}"])
    _output = output(port, "")
    File.rm!(body)
  end

  defp await_messages({port, body}) do
    {output, status} = output(port, "")
    File.rm!(body)
    read(output, status)
  end

  defp output(port, output) do
    receive do
      {^port, {:data, data}} -> output(port, output <> data)
      {^port, {:exit_status, status}} -> {output, status}
    end
  end

  # Headers, messages, trailers; or nothing but trailers.
  defp read(output, exit_status) do
    [headers | rest] = :binary.split(output, "\r\n\r\n")
    {messages, trailers} = messages(IO.iodata_to_binary(rest), [])
    fields = fields(if trailers == "", do: headers, else: trailers)

    case fields do
      %{"grpc-status" => "0"} ->
        {messages, :ok}

      %{"grpc-status" => status} ->
        error = %Error{
          code: Map.fetch!(@code_of_text, status),
          message: URI.decode(Map.get(fields, "grpc-message", ""))
        }

        {messages, {:error, add_details(error, fields["grpc-status-details-bin"])}}

      _no_status ->
        message = "curl ended with #{exit_status}"
        {messages, {:error, %Error{code: :unavailable, message: message}}}
    end
  end

  defp messages(<<0, size::32, message::binary-size(size), rest::binary>>, messages) do
    messages(rest, [message | messages])
  end

  defp messages(rest, messages), do: {Enum.reverse(messages), rest}

  defp fields(text) do
    for line <- String.split(text, "\r\n"),
        [name, value] <- [String.split(line, ": ", parts: 2)],
        into: %{},
        do: {name, value}
  end

  ## Rich errors: google.rpc.Status, ErrorInfo and DebugInfo

  defp add_details(error, nil), do: error

  defp add_details(error, text) do
    status = text |> Base.decode64!(padding: false) |> Protobuf.decode()
    Enum.reduce(for({3, any} <- status, do: Protobuf.decode(any)), error, &add_detail/2)
  end

  defp add_detail([{1, url}, {2, binary}], error) do
    fields = Protobuf.decode(binary)

    case url do
      "type.googleapis.com/google.rpc.ErrorInfo" ->
        facts =
          for {3, entry} <- fields, [{1, key}, {2, value}] = Protobuf.decode(entry), into: %{} do
            {key, value}
          end

        started = %{"true" => true, "false" => false}[facts["started"]]
        details = for {1, reason} <- fields, into: %{}, do: {"reason", reason}
        %{error | type: facts["type"], started: started, details: details}

      "type.googleapis.com/google.rpc.DebugInfo" ->
        %{error | traceback: for({1, line} <- fields, do: line)}

      _other ->
        error
    end
  end
end
