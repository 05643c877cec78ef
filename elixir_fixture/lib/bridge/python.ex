defmodule Bridge.Python do
  @moduledoc false

  # The Python process: how it is started, what it says before it is ready, how it is made to go, and
  # how its end is told.
  #
  # It is the child of a port, which belongs to the process that calls `open/2` and brings it one
  # message for each frame, and one for the end. That process traps exits.

  alias Bridge.{Error, Lifecycle, Log, Msgpack, Options, Place, Telemetry}

  @protocol 1

  @exit_ms 1_000

  # Erlang's ports take frames below 2 GiB.
  @most_bytes 2_147_483_647 - 1_048_576

  @signals %{1 => "HUP", 2 => "INT", 4 => "ILL", 6 => "ABRT", 7 => "BUS", 8 => "FPE"}
           |> Map.merge(%{9 => "KILL", 11 => "SEGV", 13 => "PIPE", 15 => "TERM", 24 => "XCPU"})

  @typedoc "A Python that was started. `os_pid` is unknown if it ended at once."
  @type t :: %{port: port, os_pid: non_neg_integer | nil}

  @doc """
  How many milliseconds a process that said `$/bye`, or that should be gone, may take to vanish.
  """
  @spec exit_ms() :: pos_integer
  def exit_ms, do: @exit_ms

  @doc """
  Starts Python. Its standard error is the BEAM's, or goes to
  the named pipe `stderr`.

  An error says what is not there.
  """
  @spec open(Options.settings(), stderr :: Path.t() | nil) :: {:ok, t} | {:error, Error.t()}
  def open(settings, stderr) do
    with {:ok, python} <- find(settings),
         :ok <- directory(settings),
         {:ok, port} <- spawn_port(python, settings, stderr) do
      {:ok, %{port: port, os_pid: os_pid(port)}}
    end
  end

  @doc "What a frame says that comes before Python is ready."
  @spec receive_start(binary) :: {:ready, map} | {:error, Error.t()} | :not_yet
  def receive_start(frame) do
    case Msgpack.decode(frame) do
      {:ok, [2, "$/ready", [%{"protocol" => @protocol} = ready]]} ->
        {:ready, Map.update(ready, "limits", %{}, &if(is_map(&1), do: &1, else: %{}))}

      {:ok, [2, "$/ready", [ready]]} ->
        unavailable(
          "the Python process speaks another protocol than version #{@protocol}: " <>
            Log.printable(ready)
        )

      {:ok, [2, "$/error", [error]]} ->
        {:error, Error.from_wire(error)}

      {:ok, [2, "$/log", record]} ->
        Log.record(record)
        :not_yet

      {:ok, [2, "$/" <> _unknown, _params]} ->
        :not_yet

      _other ->
        unavailable("the Python process is no bridge: it began with #{inspect(frame, limit: 16)}")
    end
  end

  @doc "How many bytes it takes in a batch of frames; 0 if it takes none."
  @spec batch_bytes(ready :: map) :: non_neg_integer
  def batch_bytes(%{"features" => features, "limits" => %{"max_message_bytes" => most}})
      when is_list(features) and is_integer(most) do
    if "batch" in features, do: most, else: 0
  end

  def batch_bytes(_ready), do: 0

  @doc "From so many bytes on it gives places in shared memory; 0: it gives none."
  @spec lends_from(ready :: map) :: non_neg_integer
  def lends_from(%{"features" => features, "limits" => %{"shared_memory_from" => least}})
      when is_list(features) and is_integer(least) and least > 0 do
    if "shared_memory" in features, do: least, else: 0
  end

  def lends_from(_ready), do: 0

  @doc "Closes the port; Python sees the end of its input. A port that is closed may be named."
  @spec close(port) :: true
  def close(port) do
    Port.close(port)
  rescue
    ArgumentError -> true
  end

  ## How it is told

  @doc """
  How Python ended, in words: by its exit status, or by what else its port or its last message said.

      iex> Bridge.Python.ending(3)
      "exited with status 3"
      iex> Bridge.Python.ending(137)
      "was killed by SIGKILL"

  """
  @spec ending(status :: term) :: String.t()
  def ending(status) when is_integer(status) and status > 128 do
    "was killed by #{signal(status - 128)}"
  end

  def ending(status) when is_integer(status), do: "exited with status #{status}"
  def ending(reason) when is_binary(reason), do: "ended: #{reason}"

  # whoever ends everything at once, the watcher beside Python included, has the status lost
  def ending(:epipe),
    do: "ended while something was written to it, which loses its exit status (:epipe)"

  def ending(reason), do: "ended: #{inspect(reason)}"

  @doc """
  The error of a Python that has ended: with the last lines of its standard error, and with what was
  started, if it did not get ready.
  """
  @spec explain(Error.t(), Lifecycle.t(), stderr :: [String.t()]) :: Error.t()
  def explain(error, %{state: :ready}, stderr) do
    message = IO.iodata_to_binary([error.message, tail(stderr)])
    %{error | message: message, details: Map.put(error.details, "stderr", stderr)}
  end

  def explain(error, %{settings: settings}, stderr) do
    facts = [
      {"interpreter", elem(interpreter(settings), 1)},
      {"arguments", Enum.join(settings.arguments, " ")},
      {"directory", directory_of(settings)}
    ]

    # the name of a file need be no text
    facts =
      for {name, fact} <- facts,
          do: {name, if(String.valid?(fact), do: fact, else: inspect(fact))}

    lines = for {name, fact} <- facts, do: "\n  #{name}: #{fact}"
    details = facts |> Map.new() |> Map.put("stderr", stderr) |> Map.merge(error.details)

    %{
      error
      | message: IO.iodata_to_binary([error.message, lines, tail(stderr)]),
        details: details
    }
  end

  defp tail([]), do: []
  defp tail(lines), do: ["\n  standard error ended with:" | Enum.map(lines, &["\n    ", &1])]

  defp signal(number),
    do: if(name = @signals[number], do: "SIG" <> name, else: "signal #{number}")

  defp interpreter(settings) do
    with {:error, _missing} <- find(settings), do: {:ok, settings.python}
  end

  defp unavailable(message) do
    {:error, %Error{code: :unavailable, message: message, started: false}}
  end

  ## How it is started

  defp find(%{python: name} = settings) do
    path = if String.contains?(name, "/"), do: Place.expand(name), else: name

    case Place.executable(name) do
      nil when settings.venv ->
        unavailable("no virtual environment: there is no #{path}. mix bridge.setup makes one")

      nil ->
        unavailable(
          "no Python interpreter at #{inspect(path)}; give its path or its name on the PATH " <>
            "in the option :python or in the environment variable BRIDGE_PYTHON"
        )

      found ->
        {:ok, found}
    end
  end

  defp directory(settings) do
    directory = directory_of(settings)

    if File.dir?(directory),
      do: :ok,
      else: unavailable("the directory #{directory} of the option :cd is not there")
  end

  defp directory_of(settings), do: Place.expand(settings.cd || ".")

  # The shell only gives it another standard error, and becomes Python.
  defp spawn_port(python, settings, stderr) do
    {program, arguments} =
      case stderr && System.find_executable("sh") do
        nil ->
          {python, settings.arguments}

        sh ->
          # it may have gone just now, and would be a file then
          script = ~S([ -p "$0" ] && exec 2<>"$0"; exec "$@")
          {sh, ["-c", script, stderr, python | settings.arguments]}
      end

    {:ok, Port.open({:spawn_executable, program}, port_options(settings, arguments))}
  rescue
    error -> unavailable("Python cannot be started: #{Exception.message(error)}")
  end

  # The busy limits are what may wait in the port before it is busy; the 8 kB that are the default
  # would make every larger message wait for Python.
  defp port_options(settings, arguments) do
    [
      :binary,
      :exit_status,
      :hide,
      packet: 4,
      parallelism: true,
      busy_limits_port: {4_194_304, 8_388_608},
      busy_limits_msgq: :disabled,
      args: arguments,
      # what the port starts has its process group to itself
      env: [{~c(BRIDGE_OWN_GROUP), ~c(1)} | settings.env]
    ] ++ if(settings.cd, do: [cd: settings.cd], else: [])
  end

  # What was not declared is never sent. A bridge that does not know the message ignores it.
  @doc """
  Tells Python what this client takes. The client does so when Python is ready, before any request:
  what is written to a program that has ended already costs its exit status.
  """
  @spec send_hello(port, Options.settings()) :: boolean
  def send_hello(port, settings) do
    hello = %{
      client: "elixir",
      version: version(),
      protocol: @protocol,
      requests: settings.functions != %{} or settings.processes != %{},
      max_answer_bytes: min(settings.max_answer_bytes || @most_bytes, @most_bytes),
      signals: true,
      plain_streams: false,
      batches: true,
      queue_times: Telemetry.loaded?(),
      # tables, shared memory; the others are of the first version
      extensions: if(settings.shared_memory, do: [3, 5], else: [3]),
      types: Map.keys(settings.decoders)
    }

    :erlang.port_command(port, Msgpack.encode!([2, "$/hello", [hello]]), [:nosuspend])
  rescue
    # it has ended already, which its message tells
    ArgumentError -> false
  end

  # not known to those who have copied the files
  defp version, do: to_string(Application.spec(:beam_bridge, :vsn))

  defp os_pid(port) do
    case Port.info(port, :os_pid) do
      {:os_pid, os_pid} -> os_pid
      nil -> nil
    end
  end
end
