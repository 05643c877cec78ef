defmodule Bridge.Server do
  @moduledoc false

  # The process of a client. What its callers want is in `Bridge.Connection`, what happens when Python
  # comes and goes in `Bridge.Server.Transitions`.
  #
  # It never waits for anything, so that it answers in every state: for Python's start and end, for the
  # last lines of its standard error, for the next try there are messages.

  use GenServer

  require Logger

  alias Bridge.{
    Connection,
    Error,
    Frame,
    Lifecycle,
    Log,
    Places,
    Python,
    Reload,
    Requests,
    Runners
  }

  alias Bridge.Server.Transitions

  # `starter` is told of the first start. `ending` waits for the last lines of the standard error;
  # `overdue` is why Python is being ended; `health` is the id of the question for its health.
  @enforce_keys [:life, :connection, :requests, :places, :parent]
  defstruct [
    :life,
    :connection,
    :requests,
    :places,
    :parent,
    :stderr,
    :starter,
    :ending,
    :overdue,
    :health,
    letting_go: false
  ]

  # Frames beyond so many bytes are let go of after this time at the latest.
  @large_bytes 65_536
  @let_go_ms 1_000

  @type t :: %__MODULE__{
          life: Lifecycle.t(),
          connection: Connection.t(),
          requests: Requests.t(),
          places: Places.t(),
          parent: pid,
          stderr: {pid, Path.t()} | nil,
          starter: reference | nil,
          ending: {reference, ([String.t()], t -> term)} | nil,
          overdue: Error.t() | nil,
          health: Connection.id() | nil,
          letting_go: boolean
        }

  ## Callbacks

  @impl true
  def init({settings, parent, starter}) do
    # The ends of the parent and of the port come as messages.
    Process.flag(:trap_exit, true)
    Process.link(parent)
    places = Places.open(settings.max_queue)
    if settings.watched, do: {:ok, _pid} = Reload.start_link(settings.watched, settings.title)

    state = %__MODULE__{
      life: Lifecycle.new(settings),
      connection: Connection.new(places, settings.seat),
      requests: Requests.new(settings, if(settings.functions != %{}, do: Runners.open())),
      places: places,
      parent: parent,
      starter: if(settings.start == :sync, do: starter)
    }

    {:ok, state, {:continue, :start}}
  end

  @impl true
  def handle_continue(:start, state), do: Transitions.start(state)

  @impl true
  def handle_cast({:cancel, tag}, state) do
    {:noreply, %{state | connection: Connection.cancel(state.connection, tag)}}
  end

  @impl true
  def handle_info(request, state)
      when elem(request, 0) in [:bridge_request, :bridge_pooled] and tuple_size(request) == 7 do
    state = %{state | connection: Connection.request(state.connection, request)}
    # one that is large comes in parts
    {:noreply, if(is_list(elem(request, 4)), do: let_go(state), else: state)}
  end

  def handle_info({port, {:data, frame}}, %{connection: %{port: port}} = state) do
    case Frame.peek(frame) do
      {:response, id} when id == state.health ->
        {:noreply, Transitions.health(frame, %{state | health: nil})}

      {kind, id} when kind in [:response, :item, :progress] ->
        connection = Connection.receive_frame(state.connection, kind, id, frame)
        state = %{state | connection: connection}
        {:noreply, let_go(state, frame)}

      other ->
        receive_message(other, frame, state)
    end
  end

  def handle_info({:bridge_await, from, id}, state) do
    {:noreply, %{state | connection: Connection.await(state.connection, id, from)}}
  end

  def handle_info({:bridge_timeout, pid, key}, state) do
    {:noreply, %{state | connection: Connection.time_out(state.connection, pid, key)}}
  end

  def handle_info({:bridge_forget, id}, state) do
    {:noreply, %{state | connection: Connection.abandon(state.connection, id)}}
  end

  def handle_info({:bridge_caller_down, _monitor, :process, pid, _reason}, state) do
    {:noreply, %{state | connection: Connection.caller_down(state.connection, pid)}}
  end

  def handle_info(:bridge_let_go, state) do
    :erlang.garbage_collect()
    {:noreply, %{state | letting_go: false}}
  end

  def handle_info({:bridge_function, id, pid, kind, frame}, state) do
    answer(state, Requests.answered(state.requests, id, pid, kind, frame))
  end

  def handle_info({:bridge_function_overdue, id, pid}, state) do
    answer(state, Requests.overdue(state.requests, id, pid))
  end

  def handle_info({:DOWN, monitor, :process, _pid, reason} = message, state) do
    case Requests.down(state.requests, monitor, reason) do
      :unknown -> unexpected(message, state)
      answered -> answer(state, answered)
    end
  end

  def handle_info(:flush, state) do
    {:noreply, %{state | connection: Connection.flush(state.connection)}}
  end

  ## Questions and orders

  def handle_info({:bridge_info, from}, state) do
    python = %{os_pid: nil} |> Map.merge(state.life.python || %{}) |> Map.take([:os_pid])
    info = Map.merge(python, Connection.info(state.connection))
    reply(from, {:ok, Map.put(info, :ready, state.life.ready)})
    {:noreply, state}
  end

  def handle_info({:bridge_status, from}, state) do
    reply(from, {:ok, Lifecycle.status(state.life)})
    {:noreply, state}
  end

  def handle_info({:bridge_pool, from, _order}, state) do
    message = "#{state.life.name} is a client of one process, and no Bridge.Pool"
    reply(from, {:error, %Error{code: :invalid_argument, message: message, started: false}})
    {:noreply, state}
  end

  def handle_info({:bridge_await_ready, from}, %{life: %{state: :ready}} = state) do
    reply(from, :ok)
    {:noreply, state}
  end

  def handle_info({:bridge_await_ready, from}, state) do
    {:noreply, put_in(state.life.waiters, [from | state.life.waiters])}
  end

  def handle_info({:bridge_stop, reason}, state), do: Transitions.drain(state, {:stop, reason})
  def handle_info(:bridge_restart, state), do: Transitions.drain(state, :start)

  ## Python's start and end

  def handle_info(:bridge_start, %{life: %{state: :waiting}} = state),
    do: Transitions.start(state)

  def handle_info(:bridge_start, state), do: {:noreply, state}

  def handle_info({:bridge_overdue, port, what}, %{connection: %{port: port}} = state) do
    Transitions.overdue(what, state)
  end

  def handle_info({:bridge_overdue, _old, _what}, state), do: {:noreply, state}

  def handle_info({port, {:exit_status, status}}, %{connection: %{port: port}} = state) do
    Transitions.gone(status, state)
  end

  # Comes after the exit status, or instead of it: a runtime may lose the status.
  def handle_info({:EXIT, port, reason}, %{connection: %{port: port}} = state) do
    Transitions.gone(reason, state)
  end

  def handle_info({:EXIT, parent, reason}, %{parent: parent} = state) do
    Transitions.drain(state, {:stop, reason})
  end

  def handle_info({:EXIT, pid, _reason}, %{stderr: {pid, _path}} = state) do
    state = %{state | stderr: nil}

    case state.ending do
      {_reference, told} -> told.([], %{state | ending: nil})
      nil -> {:noreply, state}
    end
  end

  def handle_info(:bridge_health, %{life: %{state: :ready}, health: nil} = state) do
    id = state.connection.next_id
    connection = Connection.send_request(state.connection, "$/health", [])
    {:noreply, %{state | connection: connection, health: id}}
  end

  def handle_info(:bridge_health, state), do: {:noreply, state}

  # Of a port that is no more.
  def handle_info({:EXIT, port, _reason}, state) when is_port(port), do: {:noreply, state}
  def handle_info({port, {:data, _frame}}, state) when is_port(port), do: {:noreply, state}
  def handle_info({port, {:exit_status, _}}, state) when is_port(port), do: {:noreply, state}

  def handle_info({:bridge_stderr, reference, lines}, %{ending: {reference, told}} = state) do
    told.(lines, %{state | ending: nil})
  end

  def handle_info({:bridge_stderr, _told, _lines}, state), do: {:noreply, state}

  def handle_info(message, state), do: unexpected(message, state)

  @impl true
  def terminate(_reason, state) do
    Places.close()
    Runners.close()
    if state.life.python, do: Python.close(state.life.python.port)

    Connection.detach(state.connection, Transitions.unavailable("the client has ended"),
      held: :answer
    )
  end

  defp unexpected(message, state) do
    Logger.warning("#{inspect(Bridge.Client)} got an unexpected message: #{inspect(message)}")
    {:noreply, state}
  end

  ## What Python says

  defp receive_message({:broken, reason}, _frame, state), do: refuse(reason, state)

  defp receive_message({:request, id, head}, frame, state) do
    answer(let_go(state, frame), Requests.request(state.requests, id, head, frame))
  end

  defp receive_message({:other, _message}, frame, %{life: %{state: :starting}} = state) do
    case Python.receive_start(frame) do
      {:ready, ready} -> {:noreply, Transitions.ready(ready, state)}
      {:error, error} -> Transitions.lost(error, state)
      :not_yet -> {:noreply, state}
    end
  end

  defp receive_message({:other, message}, _frame, state), do: receive_message(message, state)

  defp receive_message([2, "$/log", record], state) do
    Log.record(record)
    {:noreply, state}
  end

  defp receive_message([2, "$/error", [error]], state) do
    Log.fault(error)
    {:noreply, state}
  end

  # A SIGTERM for a group of processes, as systemd sends it, is the BEAM's business as well: while
  # its applications end, their workers go on calling.
  defp receive_message([2, "$/signal", [name]], state) do
    Logger.info("#{state.life.name}: #{name} has reached the Python process")
    Transitions.send_overdue(state, :signal, Python.exit_ms())
    {:noreply, state}
  end

  # Nothing may be seen of its end.
  defp receive_message([2, "$/bye", [reason]], state) do
    Transitions.send_overdue(state, {:bye, reason}, Python.exit_ms())
    {:noreply, state}
  end

  defp receive_message([2, "$/cancelRequest", [id]], state) do
    answer(state, Requests.cancel(state.requests, id))
  end

  defp receive_message([2, "$/credit", [id, items, bytes]], state) do
    Requests.credit(state.requests, id, items, bytes)
    {:noreply, state}
  end

  defp receive_message([2, "$/send", [name, message]], state) do
    with {:error, text} <- Requests.deliver(state.requests, name, message),
         do: Logger.warning("#{state.life.name}: #{text}")

    {:noreply, state}
  end

  defp receive_message([2, "$/" <> _unknown, _params], state), do: {:noreply, state}

  defp receive_message(other, state), do: refuse(other, state)

  defp answer(state, {requests, frames}) do
    connection = Connection.send_frames(state.connection, frames)
    {:noreply, %{state | requests: requests, connection: connection}}
  end

  defp refuse(what, state) do
    Log.nonsense(what)
    {:noreply, state}
  end

  defp let_go(state, frame),
    do: if(byte_size(frame) > @large_bytes, do: let_go(state), else: state)

  # A process that does nothing collects no garbage: the last large frame would stay as long as that.
  defp let_go(%{letting_go: true} = state), do: state

  defp let_go(state) do
    Process.send_after(self(), :bridge_let_go, @let_go_ms)
    %{state | letting_go: true}
  end

  defp reply(from, answer), do: send(from, {from, answer})
end
