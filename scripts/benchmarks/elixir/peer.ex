defmodule Bench.Peer do
  @moduledoc """
  A program behind a raw port: sends ready-made requests, and of an answer decodes its type, its id
  and whether it is an error. So the driver costs little, and the same for every program.

  Two dialects: `"msgpack"`, that of `protos/stdio.md`, and `"erlport"`, that of ErlPort.
  """

  @enforce_keys [:port, :dialect]
  defstruct [:port, :dialect]

  @patience_ms 20_000
  # Gone of its own accord, once its input is closed, or killed.
  @exit_ms 6_000

  # As Bridge.Client opens its port.
  @options [
    :binary,
    :exit_status,
    :hide,
    {:packet, 4},
    {:parallelism, true},
    {:busy_limits_port, {4_194_304, 8_388_608}},
    {:busy_limits_msgq, :disabled}
  ]

  @doc "Starts the program of a job: a map with `program`, `dialect`, and `directory`."
  def open(%{"program" => [executable | args], "dialect" => dialect} = job) do
    path = System.find_executable(executable) || raise "there is no #{executable}"
    options = [{:args, args}, {:cd, job["directory"]} | @options]
    %__MODULE__{port: Port.open({:spawn_executable, path}, options), dialect: dialect}
  end

  @doc "Ends the program, and returns when it is gone."
  def close(%__MODULE__{port: port}) do
    os_pid = os_pid(port)
    if Port.info(port), do: Port.close(port)
    os_pid == nil or gone?(os_pid, div(@exit_ms, 5)) or System.cmd("kill", ["-9", "#{os_pid}"])
    :ok
  end

  defp os_pid(port) do
    case Port.info(port, :os_pid) do
      {:os_pid, os_pid} -> os_pid
      nil -> nil
    end
  end

  defp gone?(_os_pid, 0), do: false

  defp gone?(os_pid, left) do
    if File.exists?("/proc/#{os_pid}/stat") do
      Process.sleep(5)
      gone?(os_pid, left - 1)
    else
      true
    end
  end

  @doc """
  Makes all of a request but its id: the tool's name and its arguments, by position.

  An argument is what the dialect can encode; `{:encoded, iodata}` is there already.
  """
  def prepare(peer, tool, args, options \\ nil)

  def prepare(%__MODULE__{dialect: "erlport"}, tool, args, nil) do
    terms =
      for arg <- args do
        <<131, term::binary>> = :erlang.term_to_binary(arg)
        term
      end

    list = [<<108, length(args)::32>>, terms, 106]
    IO.iodata_to_binary([atom("tools_for_erlport"), atom(tool), list])
  end

  def prepare(_peer, tool, args, options) do
    list = [<<0x90 + length(args)>> | for(arg <- args, do: msgpack(arg))]
    options = if options, do: msgpack(options), else: []
    kind = if options == [], do: 0x94, else: 0x95
    {kind, IO.iodata_to_binary([msgpack(tool), list, options])}
  end

  defp msgpack({:encoded, data}), do: data
  defp msgpack(value), do: Bridge.Msgpack.encode!(value)

  # an old-style atom, which every version of ErlPort reads
  defp atom(name), do: <<100, byte_size(name)::16, name::binary>>

  @doc "Sends a prepared request."
  def send_call(%__MODULE__{port: port}, id, {kind, rest}) do
    Port.command(port, [<<kind, 0, 0xCE, id::32>>, rest])
  end

  def send_call(%__MODULE__{port: port}, id, rest) do
    Port.command(port, [<<131, 104, 5, 100, 0, 1, ?C, 98, id::32>>, rest])
  end

  @doc "Sends a notification of the bridge's own, already encoded."
  def notify(%__MODULE__{port: port}, method, params) do
    Port.command(port, Bridge.Msgpack.encode!([2, method, params]))
  end

  @doc "A whole call: returns when its answer has come, which is the only one in flight."
  def call(peer, id, request) do
    send_call(peer, id, request)
    ^id = next(peer)
  end

  @doc "The id of the next response. Raises if it is an error."
  def next(%__MODULE__{port: port, dialect: "erlport"}) do
    receive do
      {^port, {:data, <<131, 104, 3, 100, 0, 1, ?r, 98, id::32, _result::binary>>}} ->
        id

      {^port, {:data, <<131, 104, 3, 100, 0, 1, ?r, 97, id, _result::binary>>}} ->
        id

      {^port, {:data, other}} ->
        raise "ErlPort answered #{inspect(:erlang.binary_to_term(other))}"

      {^port, {:exit_status, status}} ->
        raise "the program exited with status #{status}"
    after
      @patience_ms -> raise "no answer for #{div(@patience_ms, 1000)} s"
    end
  end

  def next(%__MODULE__{port: port} = peer) do
    receive do
      {^port, {:data, <<0x94, 1, rest::binary>>}} -> id(rest)
      {^port, {:data, <<0x93, 2, _notification::binary>>}} -> next(peer)
      {^port, {:data, other}} -> raise "unexpected frame #{inspect(other, limit: 60)}"
      {^port, {:exit_status, status}} -> raise "the program exited with status #{status}"
    after
      @patience_ms -> raise "no answer for #{div(@patience_ms, 1000)} s"
    end
  end

  @doc "The next item of a stream, or the response that ends it: `:item` or `{:end, id}`."
  def next_item(%__MODULE__{port: port} = peer) do
    receive do
      {^port, {:data, <<0x93, 2, 0xA6, "$/item", _rest::binary>>}} -> :item
      {^port, {:data, <<0x94, 1, rest::binary>>}} -> {:end, id(rest)}
      {^port, {:data, <<0x93, 2, _notification::binary>>}} -> next_item(peer)
      {^port, {:exit_status, status}} -> raise "the program exited with status #{status}"
    after
      @patience_ms -> raise "no item for #{div(@patience_ms, 1000)} s"
    end
  end

  defp id(<<id, rest::binary>>) when id < 0x80, do: checked(id, rest)
  defp id(<<0xCC, id, rest::binary>>), do: checked(id, rest)
  defp id(<<0xCD, id::16, rest::binary>>), do: checked(id, rest)
  defp id(<<0xCE, id::32, rest::binary>>), do: checked(id, rest)
  defp id(<<0xCF, id::64, rest::binary>>), do: checked(id, rest)

  defp checked(id, <<0xC0, _result::binary>>), do: id

  defp checked(id, rest) do
    # the error and the result, of which there is none
    case Bridge.Msgpack.decode(<<0x92, rest::binary>>) do
      {:ok, [%{"message" => message}, nil]} -> raise "call #{id} failed: #{message}"
      _other -> raise "call #{id} failed: #{inspect(rest, limit: 300)}"
    end
  end
end
