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
    EarlyCode,
    Error,
    Lifecycle,
    Places,
    Python,
    Reload,
    Requests,
    Runners,
    Waiters
  }

  alias Bridge.Connection.Sending
  alias Bridge.Server.{Messages, Transitions}
  alias Bridge.SharedMemory.Lending

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

  # Every so often the places are counted, see `Bridge.Occupancy`.
  @settle_ms 1_000

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
    EarlyCode.load()
    places = Places.open(settings.max_queue)
    if settings.watched, do: {:ok, _pid} = Reload.start_link(settings.watched, settings.title)

    state = %__MODULE__{
      life: Lifecycle.new(settings),
      connection: Connection.new(places, settings.seat, settings.decoders),
      requests: Requests.new(settings, if(settings.functions != %{}, do: Runners.open())),
      places: places,
      parent: parent,
      starter: if(settings.start == :sync, do: starter)
    }

    settle_later()
    {:ok, state, {:continue, :start}}
  end

  @impl true
  def handle_continue(:start, state), do: state |> Transitions.start() |> gather()

  # Nobody of us calls: whoever does takes this for another process, which shall not end it.
  @impl true
  def handle_call(request, from, state) do
    message = "this is a client of Bridge, which does not know the call #{inspect(request)}"
    error = %Error{code: :unimplemented, message: message, started: false}
    GenServer.reply(from, {:error, error})
    gather({:noreply, state})
  end

  @impl true
  def handle_cast({:cancel, tag}, state) do
    gather({:noreply, %{state | connection: Connection.cancel(state.connection, tag)}})
  end

  def handle_cast(message, state), do: message |> unexpected(state) |> gather()

  # Nothing more is in the mailbox.
  @impl true
  def handle_info(:timeout, state) do
    {:noreply, %{state | connection: Sending.write(state.connection)}}
  end

  def handle_info(message, state), do: message |> take(state) |> gather()

  # What is to be written travels together with what the next messages bring, if there are some.
  defp gather({:noreply, state}) do
    if Sending.gathered(state.connection) == 0,
      do: {:noreply, state},
      else: {:noreply, state, 0}
  end

  defp gather(stop), do: stop

  @impl true
  def terminate(_reason, state) do
    Places.close()
    Runners.close()
    # a normal end is not that of what is linked
    Requests.reset(state.requests)
    if state.life.python, do: Python.close(state.life.python.port)

    Connection.detach(state.connection, Transitions.unavailable("the client has ended"),
      held: :answer
    )
  end

  ## Messages

  defp take(request, state)
       when elem(request, 0) in [:bridge_request, :bridge_pooled] and tuple_size(request) == 7 do
    state = %{state | connection: Connection.request(state.connection, request)}
    # one that is large comes in parts
    {:noreply,
     if(is_list(elem(request, 4)) or is_tuple(elem(request, 4)), do: let_go(state), else: state)}
  end

  defp take({port, {:data, frame}}, %{connection: %{port: port}} = state) do
    with {:noreply, state} <- Messages.receive_frame(frame, state),
         do: {:noreply, let_go(state, frame)}
  end

  defp take({:bridge_await, from, id}, state) do
    {:noreply, %{state | connection: Connection.await(state.connection, id, from)}}
  end

  defp take({:bridge_timeout, pid, key}, state) do
    {:noreply, %{state | connection: Connection.time_out(state.connection, pid, key)}}
  end

  defp take({:bridge_forget, id}, state) do
    {:noreply, %{state | connection: Connection.abandon(state.connection, id)}}
  end

  defp take({:bridge_caller_down, _monitor, :process, pid, _reason}, state) do
    {:noreply, %{state | connection: Connection.caller_down(state.connection, pid)}}
  end

  defp take(:bridge_let_go, state) do
    :erlang.garbage_collect()
    {:noreply, %{state | letting_go: false}}
  end

  defp take(:bridge_settle, state) do
    Connection.settle(state.connection)
    settle_later()
    {:noreply, state}
  end

  defp take({:bridge_reserve, writer, size}, state),
    do: {:noreply, %{state | connection: Lending.reserve(state.connection, writer, size)}}

  defp take({:bridge_read, reader, result}, state),
    do: {:noreply, %{state | connection: Lending.read(state.connection, reader, result)}}

  defp take({:bridge_memory, file, opened}, state),
    do: {:noreply, %{state | connection: Lending.checked(state.connection, file, opened)}}

  defp take({:bridge_memory_down, monitor, :process, pid, reason}, state),
    do: {:noreply, %{state | connection: Lending.down(state.connection, monitor, pid, reason)}}

  # It is not the file that Python has: it is in another container, or on another machine.
  defp take({:bridge_unwritable, file, reason}, state) do
    # once, however many have tried
    if Lending.unwritable?(state.connection, file, reason) and Places.lends_from(state.places) > 0 do
      Places.lend_from(state.places, 0)
      Logger.warning("#{state.life.name}: no shared memory with Python: #{inspect(reason)}")
      # before it puts an answer there
      {:noreply, %{state | connection: Lending.checked(state.connection, file, false)}}
    else
      {:noreply, state}
    end
  end

  defp take({:bridge_function, id, pid, kind, frame}, state) do
    Messages.answer(state, Requests.answered(state.requests, id, pid, kind, frame))
  end

  defp take({:bridge_function_overdue, id, pid}, state) do
    Messages.answer(state, Requests.overdue(state.requests, id, pid))
  end

  defp take(:flush, state) do
    {:noreply, %{state | connection: Sending.flush(state.connection)}}
  end

  ## Questions and orders

  defp take({:bridge_info, from}, state) do
    python = %{os_pid: nil} |> Map.merge(state.life.python || %{}) |> Map.take([:os_pid])
    info = Map.merge(python, Connection.info(state.connection))
    reply(from, {:ok, Map.put(info, :ready, state.life.ready)})
    {:noreply, state}
  end

  defp take({:bridge_status, from}, state) do
    reply(from, {:ok, Lifecycle.status(state.life)})
    {:noreply, state}
  end

  defp take({:bridge_pool, from, _order}, state) do
    message = "#{state.life.name} is a client of one process, and no Bridge.Pool"
    reply(from, {:error, %Error{code: :invalid_argument, message: message, started: false}})
    {:noreply, state}
  end

  defp take({:bridge_await_ready, from, _pid}, %{life: %{state: :ready}} = state) do
    reply(from, :ok)
    {:noreply, state}
  end

  defp take({:bridge_await_ready, from, pid}, state),
    do: {:noreply, update_in(state.life.waiters, &Waiters.add(&1, from, pid))}

  defp take({:bridge_await_over, from}, state),
    do: {:noreply, update_in(state.life.waiters, &Waiters.remove(&1, from))}

  defp take({{:bridge_waiter_down, from}, _monitor, :process, _pid, _reason}, state),
    do: {:noreply, update_in(state.life.waiters, &Waiters.remove(&1, from))}

  defp take({:bridge_stop, reason}, state), do: Transitions.drain(state, {:stop, reason})
  defp take(:bridge_restart, state), do: Transitions.drain(state, :start)

  ## Python's start and end

  # One that has come early, by `Bridge.restart/1`, takes the place of that which was to come.
  defp take({:bridge_start, timer}, %{life: %{state: :waiting, timer: timer}} = state),
    do: Transitions.start(state)

  defp take({:bridge_start, _before}, state), do: {:noreply, state}

  defp take({:bridge_overdue, port, what}, %{connection: %{port: port}} = state) do
    Transitions.overdue(what, state)
  end

  defp take({:bridge_overdue, _old, _what}, state), do: {:noreply, state}

  defp take({port, {:exit_status, status}}, %{connection: %{port: port}} = state) do
    Transitions.gone(status, state)
  end

  # Comes after the exit status, or instead of it: a runtime may lose the status.
  defp take({:EXIT, port, reason}, %{connection: %{port: port}} = state) do
    Transitions.gone(reason, state)
  end

  defp take({:EXIT, parent, reason}, %{parent: parent} = state) do
    Transitions.drain(state, {:stop, reason})
  end

  defp take({:EXIT, pid, _reason}, %{stderr: {pid, _path}} = state) do
    state = %{state | stderr: nil}

    case state.ending do
      {_reference, told} -> told.([], %{state | ending: nil})
      nil -> {:noreply, state}
    end
  end

  # Of this Python: what one before was to be asked is not.
  defp take({:bridge_health, port}, %{connection: %{port: port}} = state)
       when state.life.state == :ready and state.health == nil do
    id = state.connection.next_id
    connection = Sending.send_request(state.connection, "$/health", [])
    {:noreply, %{state | connection: connection, health: id}}
  end

  defp take({:bridge_health, _port}, state), do: {:noreply, state}

  # Of a port that is no more.
  defp take({:EXIT, port, _reason}, state) when is_port(port), do: {:noreply, state}
  defp take({port, {:data, _frame}}, state) when is_port(port), do: {:noreply, state}
  defp take({port, {:exit_status, _}}, state) when is_port(port), do: {:noreply, state}

  # What runs for Python is linked. One that has answered, or was told to end, is known no more.
  defp take({:EXIT, pid, reason} = message, state) when is_pid(pid) do
    case Requests.down(state.requests, pid, reason) do
      :unknown when reason in [:normal, :shutdown, :killed] -> {:noreply, state}
      :unknown -> unexpected(message, state)
      answered -> Messages.answer(state, answered)
    end
  end

  defp take({:bridge_stderr, reference, lines}, %{ending: {reference, told}} = state) do
    told.(lines, %{state | ending: nil})
  end

  defp take({:bridge_stderr, _told, _lines}, state), do: {:noreply, state}

  defp take(message, state), do: unexpected(message, state)

  defp unexpected(message, state) do
    Logger.warning("#{inspect(Bridge.Client)} got an unexpected message: #{inspect(message)}")
    {:noreply, state}
  end

  defp settle_later, do: Process.send_after(self(), :bridge_settle, @settle_ms)

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
