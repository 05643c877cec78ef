defmodule Bridge.Outbox do
  @moduledoc false

  # The frames that wait because Python does not read.
  #
  # They are kept by number, and written in the order of their numbers: a request by its id, so that
  # it is easily found and taken back, other frames by a number from the same counter.
  #
  # All functions run in the client's process, which owns the port. Nobody tells a process that wrote
  # with `:nosuspend` when the port can take more; so while frames wait the client is sent `:flush`
  # every few milliseconds, and answers with `flush/2`.

  @retry_ms 2

  defstruct frames: :gb_trees.empty(), retrying: false

  @opaque t :: %__MODULE__{frames: :gb_trees.tree(pos_integer, iodata), retrying: boolean}

  @doc "Writes a frame, after all that wait. What cannot be written now waits as well."
  @spec write(t, port, pos_integer, iodata) :: t
  def write(outbox, port, number, frame) do
    if :gb_trees.is_empty(outbox.frames) and command(port, frame) do
      outbox
    else
      write_all(%{outbox | frames: :gb_trees.insert(number, frame, outbox.frames)}, port)
    end
  end

  @doc "Writes what waits, as far as the port takes it. Called on the message `:flush`."
  @spec flush(t, port) :: t
  def flush(outbox, port), do: write_all(%{outbox | retrying: false}, port)

  @doc "How many frames wait."
  @spec size(t) :: non_neg_integer
  def size(outbox), do: :gb_trees.size(outbox.frames)

  @doc "Whether the frame with this number waits."
  @spec waits?(t, pos_integer) :: boolean
  def waits?(outbox, number), do: :gb_trees.is_defined(number, outbox.frames)

  @doc "Takes a frame back that waits."
  @spec delete(t, pos_integer) :: t
  def delete(outbox, number) do
    %{outbox | frames: :gb_trees.delete(number, outbox.frames)}
  end

  defp write_all(outbox, port) do
    if :gb_trees.is_empty(outbox.frames) do
      outbox
    else
      {_number, frame, rest} = :gb_trees.take_smallest(outbox.frames)
      if command(port, frame), do: write_all(%{outbox | frames: rest}, port), else: retry(outbox)
    end
  end

  # Without :nosuspend a port that is busy would suspend the client, and with it every timeout.
  defp command(port, frame) do
    :erlang.port_command(port, frame, [:nosuspend])
  rescue
    # The port is closed; the message that says so is on its way.
    ArgumentError -> false
  end

  defp retry(%{retrying: true} = outbox), do: outbox

  defp retry(outbox) do
    Process.send_after(self(), :flush, @retry_ms)
    %{outbox | retrying: true}
  end
end
