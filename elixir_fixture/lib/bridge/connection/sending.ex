defmodule Bridge.Connection.Sending do
  @moduledoc false

  # What a client sends of its own, and when what it has gathered is written.
  #
  # Each function takes a connection, and returns it as it is then. All of it runs in the client's
  # process.

  alias Bridge.{Connection, Msgpack, Outbox}

  @doc "Writes what waits, as far as the port takes it."
  @spec flush(Connection.t()) :: Connection.t()
  def flush(connection) do
    %{connection | outbox: Outbox.flush(connection.outbox, connection.port)}
  end

  @doc "How many frames wait for `write/1`, due as soon as nothing more has come to travel along."
  @spec gathered(Connection.t()) :: non_neg_integer
  def gathered(connection), do: Outbox.gathered(connection.outbox)

  @doc "Writes what was gathered."
  @spec write(Connection.t()) :: Connection.t()
  def write(connection) do
    %{connection | outbox: Outbox.write_gathered(connection.outbox, connection.port)}
  end

  @doc "Sends Python a request of the client's own, whose response is dropped."
  @spec send_request(Connection.t(), method :: String.t(), params :: list) :: Connection.t()
  def send_request(connection, method, params) do
    write(
      connection,
      connection.next_id,
      Msgpack.encode!([0, connection.next_id, method, params])
    )
  end

  @doc "Sends Python a message."
  @spec send_message(Connection.t(), message :: list) :: Connection.t()
  def send_message(connection, message) do
    write(connection, connection.next_id, Msgpack.encode!(message))
  end

  @doc "Sends Python messages that are encoded already."
  @spec send_frames(Connection.t(), [iodata]) :: Connection.t()
  def send_frames(connection, frames) do
    Enum.reduce(frames, connection, &write(&2, &2.next_id, &1))
  end

  defp write(%{next_id: number} = connection, number, frame) do
    outbox = Outbox.write(connection.outbox, connection.port, number, frame)
    %{connection | next_id: number + 1, outbox: outbox}
  end
end
