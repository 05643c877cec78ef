defmodule Bridge.Server.Transitions do
  @moduledoc false

  # What happens when Python comes and goes: each function takes the server's state and what happened,
  # and returns what a callback of `GenServer` does.
  #
  # Whoever waits is answered first. Only then come the last lines of the standard error, for the log
  # and for those who ask later.

  require Logger

  alias Bridge.Connection.Sending

  alias Bridge.{
    Connection,
    Error,
    Lifecycle,
    Msgpack,
    Places,
    ProcessGroup,
    Python,
    Requests,
    Server,
    Stderr,
    Telemetry,
    Waiters
  }

  alias Bridge.Pool.Seat

  # How long the last lines of the standard error may take to come. They come within milliseconds,
  # unless the machine is very busy, or somebody has ended what reads them.
  @tail_ms 10_000

  # How long a Python that is not ready in time may take to say where it is.
  @stack_ms 10_000

  # How often Python is asked at most, and at least, whether it serves calls.
  @health_ms {100, 5_000}

  @type result :: {:noreply, Server.t()} | {:stop, reason :: term, Server.t()}

  ## The start

  @doc "Starts Python."
  @spec start(Server.t()) :: result
  def start(state) do
    settings = state.life.settings
    requests = Requests.reset(state.requests)
    state = %{listen(state) | requests: requests, ending: nil, overdue: nil, health: nil}

    case Python.open(settings, with({_pid, path} <- state.stderr, do: path)) do
      {:ok, python} ->
        life = Lifecycle.started(state.life, python)
        connection = Connection.attach(state.connection, python.port)
        state = %{state | life: life, connection: connection}
        send_overdue(state, :start, settings.start_timeout_ms)
        tell(:start, %{system_time: System.system_time()}, life)
        {:noreply, state}

      {:error, error} ->
        lost(error, state)
    end
  end

  # The process that reads the standard error is started once; without one it is the BEAM's.
  defp listen(%{stderr: {pid, _path}} = state) do
    Stderr.clear(pid)
    state
  end

  defp listen(state) do
    case Stderr.start_link(state.life.settings.stderr) do
      {:ok, pid} -> %{state | stderr: {pid, Stderr.path(pid)}}
      _missing -> state
    end
  end

  @doc "Python is ready to serve."
  @spec ready(ready :: map, Server.t()) :: Server.t()
  def ready(ready, state) do
    Waiters.answer(state.life.waiters, :ok)
    if state.starter, do: send(state.parent, {state.starter, :ready})
    tell(:ready, %{duration: System.monotonic_time() - state.life.started_at}, state.life)
    settings = state.life.settings
    Places.change(state.places, max_queue(ready, settings), true)
    port = state.life.python.port

    if settings.seat,
      do: send(self(), {:bridge_health, port}),
      else: ask_health_later(settings, port)

    Python.send_hello(port, settings)
    if settings.shared_memory, do: Places.lend_from(state.places, Python.lends_from(ready))

    connection = Connection.open(state.connection, Python.batch_bytes(ready))
    Seat.open(settings.seat, ready, state.life.python.os_pid)
    %{state | life: Lifecycle.ready(state.life, ready), connection: connection, starter: nil}
  end

  defp max_queue(%{"limits" => %{"max_queue" => limit}}, _settings)
       when limit in 0..0xFFFF_FFFF do
    limit
  end

  defp max_queue(_ready, settings), do: settings.max_queue

  @doc "Has `overdue/2` called after so long, should it be the same Python then."
  @spec send_overdue(Server.t(), what :: term, ms :: non_neg_integer) :: reference
  def send_overdue(state, what, ms) do
    Process.send_after(self(), {:bridge_overdue, state.life.python.port, what}, ms)
  end

  @doc "Python took too long: to get ready, to say where it is, to end."
  @spec overdue(what :: term, Server.t()) :: result
  # A signal that has Python print where each of its threads is, and end.
  def overdue(:start, %{life: %{state: :starting}} = state) do
    ProcessGroup.kill(state.life.python.os_pid, "ABRT")
    send_overdue(state, :stack, @stack_ms)
    seconds = state.life.settings.start_timeout_ms / 1000
    message = "the Python process was not ready within the :start_timeout of #{seconds} s"
    error = %Error{code: :deadline_exceeded, message: message, started: false}
    {:noreply, %{state | overdue: error}}
  end

  def overdue(:start, state), do: {:noreply, state}

  # The signal was for Python alone, unless the BEAM is about to end as well. While it ends, init may
  # not answer, so another process asks.
  def overdue(:signal, state) do
    {client, port} = {self(), state.life.python.port}

    spawn(fn ->
      unless match?({:stopping, _started}, :init.get_status()) do
        send(client, {:bridge_overdue, port, :alone})
      end
    end)

    {:noreply, state}
  end

  def overdue(:alone, state), do: drain(state, :start)

  def overdue(:stack, state), do: lost(state.overdue, state)
  def overdue({:bye, reason}, state), do: gone("it said #{inspect(reason)}", state)

  def overdue(:drain, state) do
    ProcessGroup.kill(state.life.python.os_pid)
    gone("it took longer than its grace", state)
  end

  ## The end

  @doc "The process has ended: by its exit status, or what else its port said."
  @spec gone(status :: term, Server.t()) :: result
  def gone(reason, %{life: %{state: :draining} = life} = state) do
    Python.close(life.python.port)
    # Python has seen to what its tools started, if it could
    ProcessGroup.finish(life.python.os_pid)
    error = unavailable("the Python process has been stopped")

    case life.then do
      {:stop, reason} ->
        connection = Connection.detach(state.connection, error, held: :answer)
        {:stop, reason, %{state | connection: connection, life: Lifecycle.left(life)}}

      :start ->
        Logger.info("#{life.name}: the Python process #{Python.ending(reason)}, and starts again")
        tell(:restart, %{system_time: System.system_time()}, life)
        connection = Connection.detach(state.connection, error, held: :keep)
        start(%{state | connection: connection, life: Lifecycle.left(life)})
    end
  end

  def gone(_status, %{overdue: error} = state) when error != nil, do: lost(error, state)

  def gone(status, state) do
    before = if state.life.state == :starting, do: " before it was ready", else: ""
    ending = "the Python process #{Python.ending(status)}#{before}"
    error = unavailable(ending)
    lost(%{error | details: %{"exit_status" => status}}, state)
  end

  @doc "Python is gone, or is no good, for this reason."
  @spec lost(Error.t(), Server.t()) :: result
  def lost(error, state) do
    before = state.life
    answer = Python.explain(%{error | code: :unavailable, started: false}, before, [])
    {life, pause} = Lifecycle.failed(before, answer)
    stops = state.starter != nil or life.settings.on_failure == :stop
    Places.change(state.places, life.settings.max_queue, false)
    Places.lend_from(state.places, 0)
    tell(:down, %{pause_ms: pause}, before, %{error: error})
    Seat.shut(life.settings.seat, {:down, answer, pause})

    connection = Connection.detach(state.connection, answer, held: :answer)

    connection =
      if pause > 0 or stops, do: Connection.refuse(connection, answer), else: connection

    if before.python do
      Python.close(before.python.port)
      # what its tools started, if it had no time to end that itself
      ProcessGroup.kill(before.python.os_pid)
    end

    requests = Requests.reset(state.requests)
    state = %{state | life: life, connection: connection, requests: requests}
    state = %{state | overdue: nil, health: nil}
    await_tail(state, &told(error, before, pause, stops, &1, &2))
  end

  defp told(error, before, pause, stops, lines, state) do
    error = Python.explain(error, before, lines)
    if pause > 0 or stops, do: Seat.tell(before.settings.seat, {:failed, error})

    cond do
      state.starter ->
        # whoever started it gets the error, and not the exit
        Process.unlink(state.parent)
        {:stop, {:shutdown, {:not_started, error}}, state}

      stops ->
        Logger.error("#{before.name}: #{error.message}\n  the client stops")
        {:stop, {:shutdown, {:bridge_exited, error.details["exit_status"]}}, state}

      pause == 0 ->
        Logger.error("#{before.name}: #{error.message}\n  it is started again at once")
        start(state)

      true ->
        Logger.error("#{before.name}: #{error.message}\n  next try in #{pause} ms")
        timer = make_ref()
        Process.send_after(self(), {:bridge_start, timer}, pause)
        failure = %{error | code: :unavailable, started: false}
        connection = Connection.refuse(state.connection, failure)

        {:noreply,
         %{state | connection: connection, life: %{state.life | failure: failure, timer: timer}}}
    end
  end

  defp await_tail(%{stderr: nil} = state, told), do: told.([], state)

  defp await_tail(%{stderr: {pid, _path}} = state, told) do
    reference = make_ref()
    Stderr.tail(pid, reference)
    Process.send_after(self(), {:bridge_stderr, reference, []}, @tail_ms)
    {:noreply, %{state | ending: {reference, told}}}
  end

  @doc "Has Python end what runs; then the client stops, or starts the next one."
  @spec drain(Server.t(), {:stop, reason :: term} | :start) :: result
  # Python ends what runs, and then the client stops or starts the next one.
  def drain(%{life: %{state: :ready} = life} = state, then) do
    Seat.shut(life.settings.seat, :draining)
    connection = Sending.send_request(state.connection, "$/shutdown", [])
    connection = if then == :start, do: Connection.hold(connection), else: connection
    send_overdue(state, :drain, life.settings.grace_ms + Python.exit_ms())
    {:noreply, %{state | connection: connection, life: Lifecycle.draining(life, then)}}
  end

  def drain(%{life: %{state: :draining}} = state, :start), do: {:noreply, state}

  def drain(%{life: %{state: :draining} = life} = state, then) do
    {:noreply, %{state | life: Lifecycle.draining(life, then)}}
  end

  def drain(%{life: %{state: :waiting}} = state, :start), do: start(state)
  def drain(state, :start), do: {:noreply, state}

  def drain(%{life: life} = state, {:stop, reason}) do
    if life.python, do: ProcessGroup.kill(life.python.os_pid)
    {:stop, reason, state}
  end

  ## Whether it serves

  defp ask_health_later(%{stuck_after_ms: :infinity, seat: nil}, _port), do: :ok

  # A pool's keeper decides by it.
  defp ask_health_later(%{seat: seat} = settings, port) when seat != nil,
    do: Process.send_after(self(), {:bridge_health, port}, settings.seat.health_ms)

  defp ask_health_later(settings, port) do
    {least, most} = @health_ms
    pause = settings.stuck_after_ms |> div(4) |> max(least) |> min(most)
    Process.send_after(self(), {:bridge_health, port}, pause)
  end

  @doc "Python has said whether it serves calls."
  @spec health(frame :: binary, Server.t()) :: Server.t()
  def health(frame, %{life: %{state: :ready} = life} = state) do
    decoded = Msgpack.decode(frame)

    with {:ok, [1, _id, nil, health]} <- decoded,
         do: Seat.tell(life.settings.seat, {:health, health})

    with {:ok, [1, _id, nil, %{"status" => "stuck"}]} <- decoded do
      Logger.error("#{life.name}: no call is served any more, so the Python process is ended")
      ProcessGroup.kill(life.python.os_pid)
      %{state | overdue: unavailable("the Python process was stuck: no call was served any more")}
    else
      _serving ->
        ask_health_later(life.settings, life.python.port)
        state
    end
  end

  def health(_frame, state), do: state

  defp tell(event, measurements, life, more \\ %{}) do
    os_pid = life.python && life.python.os_pid
    metadata = Map.merge(more, %{client: self(), name: life.name, os_pid: os_pid})
    Telemetry.python(event, measurements, metadata)
  end

  @doc "An error without a Python."
  @spec unavailable(String.t()) :: Error.t()
  def unavailable(message) do
    %Error{code: :unavailable, message: message, started: false}
  end
end
