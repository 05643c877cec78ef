defmodule Bridge.Connection.Answers do
  @moduledoc false

  # What the callers of a connection get, and how their calls leave it.
  #
  # Each function takes a connection, and returns it as it is then. All of it runs in the client's
  # process.

  alias Bridge.{Answer, Call, Connection, Error}
  alias Bridge.Connection.Sending
  alias Bridge.Pool.Seat

  @doc "Gives the caller what there is for it, if it waits."
  @spec hand_over(Connection.t(), Connection.id(), Call.t()) :: Connection.t()
  def hand_over(connection, id, call) do
    case Call.take(call) do
      {:outcome, outcome} ->
        Seat.release(connection.seat, call.claim)
        answer(connection, call.from, outcome)
        forget(connection, id)

      {:notes, frames, credit, call_then} ->
        answer(connection, call.from, {:notes, {self(), id}, frames})
        connection |> put_call(id, call_then) |> give_credit(id, credit)

      :nothing ->
        put_call(connection, id, call)
    end
  end

  @doc "The call has ended so. One that is overdue, and does not wait, asks no more."
  @spec end_call(Connection.t(), Connection.id(), Call.t(), Call.outcome()) :: Connection.t()
  def end_call(connection, id, %{overdue: true, from: nil}, _outcome), do: remove(connection, id)

  def end_call(connection, id, call, outcome),
    do: hand_over(connection, id, Call.finish(call, outcome))

  @doc "Ends a call whose request was never written."
  @spec fail(Connection.t(), Connection.id(), code :: atom, message :: String.t()) ::
          Connection.t()
  def fail(connection, id, code, message) do
    error = %Error{code: code, message: message, started: false}
    call = Map.fetch!(connection.calls, id)
    hand_over(connection, id, Call.finish(call, {:error, error}))
  end

  @doc "Sends what has come of a call, with what it is decoded with, to the alias at which its caller waits."
  @spec answer(Connection.t(), reference, term) :: term
  def answer(connection, from, answer),
    do: reply(from, Answer.with_decoders(answer, connection.decoders))

  @doc "Sends an answer to an alias."
  @spec reply(reference, term) :: term
  def reply(from, answer), do: send(from, {from, answer})

  @doc "The call as it is now."
  @spec put_call(Connection.t(), Connection.id(), Call.t()) :: Connection.t()
  def put_call(connection, id, call) do
    %{connection | calls: Map.put(connection.calls, id, call)}
  end

  @doc "A call leaves, and gives its place in a pool back."
  @spec remove(Connection.t(), Connection.id()) :: Connection.t()
  def remove(connection, id) do
    Seat.release(connection.seat, Map.fetch!(connection.calls, id).claim)
    forget(connection, id)
  end

  @doc "A call has left."
  @spec forget(Connection.t(), Connection.id()) :: Connection.t()
  def forget(connection, id) do
    %{connection | calls: Map.delete(connection.calls, id)}
  end

  @doc "Python may send so much more of a stream; nil: no more."
  @spec give_credit(Connection.t(), Connection.id(), Call.credit() | {pos_integer, 0} | nil) ::
          Connection.t()
  def give_credit(connection, _id, nil), do: connection

  def give_credit(connection, id, {items, bytes}) do
    Sending.send_message(connection, [2, "$/credit", [id, items, bytes]])
  end
end
