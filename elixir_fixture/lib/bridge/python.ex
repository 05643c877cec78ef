defmodule Bridge.Python do
  @moduledoc false

  # The Python process: how it is started, and how it is made to go.
  #
  # It is the child of a port, which belongs to the process that calls `start/1` and brings it one
  # message for each frame, and one for the end. That process traps exits.

  require Logger

  alias Bridge.{Error, Msgpack, Options}

  @protocol 1

  @exit_ms 1_000

  @level_of_text Map.new([:debug, :info, :warning, :error], &{Atom.to_string(&1), &1})

  @typedoc """
  Python when it is ready to serve.

  `ready` is what it told of itself. `os_pid` is unknown if it ended at once.
  """
  @type t :: %{port: port, os_pid: non_neg_integer | nil, ready: map}

  @doc """
  How many milliseconds a process that said `$/bye`, or that should be gone, may take to vanish.
  """
  @spec exit_ms() :: pos_integer
  def exit_ms, do: @exit_ms

  @doc """
  Starts Python, and returns when it is ready. If it does not get there, nothing of it is left.

  Exits with the reason of a linked process that ends meanwhile, such as the supervisor.
  """
  @spec start(Options.settings()) :: {:ok, t} | {:error, Error.t()}
  def start(settings) do
    port = Port.open({:spawn_executable, settings.python}, port_options(settings))
    os_pid = os_pid(port)

    case await_ready(port, System.monotonic_time(:millisecond) + settings.start_timeout_ms) do
      {:ok, ready} ->
        {:ok, %{port: port, os_pid: os_pid, ready: ready}}

      {:error, error} ->
        if error.code == :deadline_exceeded, do: kill(os_pid)
        close(port)
        {:error, error}
    end
  end

  @doc """
  Kills the process with this id and its child processes, which outlive it otherwise.

  A child of a port leads a process group of its own, which its own children belong to.
  """
  @spec kill(non_neg_integer | nil) :: term
  def kill(os_pid) do
    if os_pid && System.find_executable("kill") do
      # without "--", procps 4 takes -1234 for the process -1, which is every process there is
      System.cmd("kill", ["-KILL", "--", "-#{os_pid}"], stderr_to_stdout: true)
    end
  end

  @doc "Closes the port; Python sees the end of its input. A port that is closed may be named."
  @spec close(port) :: true
  def close(port) do
    Port.close(port)
  rescue
    ArgumentError -> true
  end

  @doc "Hands one of Python's log lines, the parameters of `$/log`, to the `Logger`."
  @spec log([term]) :: :ok
  def log([level, logger, text, fields, id]) do
    metadata = [python_logger: logger, python_fields: fields, call_id: id]
    Logger.log(Map.get(@level_of_text, level, :info), "#{logger}: #{text}", metadata)
  end

  # The busy limits are what may wait in the port before it is busy; the 8 kB that are the default
  # would make every larger message wait for Python.
  defp port_options(settings) do
    [
      :binary,
      :exit_status,
      :hide,
      packet: 4,
      parallelism: true,
      busy_limits_port: {4_194_304, 8_388_608},
      busy_limits_msgq: :disabled,
      args: settings.arguments,
      env: settings.env
    ] ++ if(settings.cd, do: [cd: settings.cd], else: [])
  end

  defp os_pid(port) do
    case Port.info(port, :os_pid) do
      {:os_pid, os_pid} -> os_pid
      nil -> nil
    end
  end

  defp await_ready(port, deadline) do
    receive do
      {^port, {:data, frame}} ->
        with :not_yet <- ready(frame), do: await_ready(port, deadline)

      {^port, {:exit_status, status}} ->
        not_ready("exited with status #{status} before it was ready; see its standard error")

      {:EXIT, ^port, reason} ->
        not_ready("ended before it was ready: #{inspect(reason)}")

      {:EXIT, parent, reason} when is_pid(parent) ->
        close(port)
        exit(reason)
    after
      max(deadline - System.monotonic_time(:millisecond), 0) ->
        message = "the Python process was not ready within the :start_timeout"
        {:error, %Error{code: :deadline_exceeded, message: message}}
    end
  end

  # What one of its first frames says.
  defp ready(frame) do
    case Msgpack.decode(frame) do
      {:ok, [2, "$/ready", [%{"protocol" => @protocol} = ready]]} ->
        {:ok, ready}

      {:ok, [2, "$/ready", [ready]]} ->
        not_ready("speaks another protocol than version #{@protocol}: #{inspect(ready)}")

      {:ok, [2, "$/error", [error]]} ->
        {:error, Error.from_wire(error)}

      {:ok, [2, "$/log", [_level, _logger, _text, _fields, _id] = line]} ->
        log(line)
        :not_yet

      _other ->
        not_ready("is no bridge: it began with #{inspect(frame, limit: 16)}")
    end
  end

  defp not_ready(what) do
    {:error, %Error{code: :unavailable, message: "the Python process " <> what, started: false}}
  end
end
