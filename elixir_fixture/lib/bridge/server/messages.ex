defmodule Bridge.Server.Messages do
  @moduledoc false

  # What Python says: each function takes the server's state, and returns what a callback of `GenServer`
  # does.

  require Logger

  alias Bridge.{Connection, Frame, Log, Python, Requests, Server}
  alias Bridge.Connection.Sending
  alias Bridge.Server.Transitions
  alias Bridge.SharedMemory.Lending

  @type result :: Transitions.result()

  @doc "A frame has come from the port."
  @spec receive_frame(binary, Server.t()) :: result
  def receive_frame(<<0xC1, batch::binary>>, %{connection: %{port: port}} = state) do
    receive_batch(batch, port, state)
  end

  def receive_frame(frame, state), do: receive_frame(Frame.peek(frame), frame, state)

  defp receive_batch(batch, port, %{connection: %{port: port}} = state) do
    case Frame.next(batch) do
      {frame, rest} ->
        receive_next(Frame.peek(frame), frame, rest, port, state)

      :end ->
        {:noreply, state}

      :broken ->
        refuse("a batch that is cut short", state)
    end
  end

  # This Python is gone.
  defp receive_batch(_rest, _port, state), do: {:noreply, state}

  # What is there of a stream is handed over together.
  defp receive_next({:item, id}, frame, rest, port, state) do
    {frames, rest} = Frame.next_items(rest, id, [frame])
    connection = Connection.receive_items(state.connection, id, frames)
    receive_batch(rest, port, %{state | connection: connection})
  end

  defp receive_next(what, frame, rest, port, state) do
    with {:noreply, state} <- receive_frame(what, frame, state),
         do: receive_batch(rest, port, state)
  end

  defp receive_frame(what, frame, state) do
    case what do
      {:response, id} when id == state.health ->
        {:noreply, Transitions.health(frame, %{state | health: nil})}

      {:lent, place, inner} ->
        {:noreply, %{state | connection: receive_lent(inner, place, state.connection)}}

      {kind, id} when kind in [:response, :item, :progress] ->
        connection = Connection.receive_frame(state.connection, kind, id, frame)
        {:noreply, %{state | connection: connection}}

      other ->
        receive_message(other, frame, state)
    end
  end

  # Of anything else nothing may be in shared memory.
  defp receive_lent(frame, place, connection) do
    case Frame.peek(frame) do
      {kind, id} when kind in [:response, :item] ->
        Lending.receive_frame(connection, kind, id, frame, place)

      _other ->
        Log.nonsense("a message with a place in shared memory that may have none")
        Lending.release(connection, elem(place, 0))
    end
  end

  defp receive_message({:broken, reason}, _frame, state), do: refuse(reason, state)

  defp receive_message({:request, id, head}, frame, state) do
    answer(state, Requests.request(state.requests, id, head, frame))
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

  defp receive_message([2, "$/memory", file], state) do
    {:noreply, %{state | connection: Lending.announced(state.connection, file)}}
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

  @doc "Sends what the functions that run for Python have answered."
  @spec answer(Server.t(), {Requests.t(), Requests.frames()}) :: result
  def answer(state, {requests, frames}) do
    connection = Sending.send_frames(state.connection, frames)
    {:noreply, %{state | requests: requests, connection: connection}}
  end

  defp refuse(what, state) do
    Log.nonsense(what)
    {:noreply, state}
  end
end
