defmodule Bridge.Outbox do
  @moduledoc false

  # The frames that wait: because Python does not read, or requests because it is not ready yet.
  #
  # They are kept by number, and written in the order of their numbers: a request by its id, so that
  # it is easily found and taken back, other frames by a number from the same counter. A request is
  # claimed (`Bridge.Claim`) when it is written, and its place (`Bridge.Places`) is given back when it
  # leaves, by whichever way. Those of a closed outbox are held until `open/2`; other frames are
  # written all the same, for calls that run.
  #
  # All functions run in the client's process, which owns the port. Nobody tells a process that wrote
  # with `:nosuspend` when the port can take more; so while frames wait the client is sent `:flush`
  # every few milliseconds, and answers with `flush/2`.

  alias Bridge.{Claim, Places}

  @retry_ms 2

  @enforce_keys [:places]
  defstruct [
    :places,
    open: false,
    held: :gb_trees.empty(),
    frames: :gb_trees.empty(),
    retrying: false
  ]

  @opaque t :: %__MODULE__{
            places: Places.t(),
            open: boolean,
            held: :gb_trees.tree(pos_integer, entry),
            frames: :gb_trees.tree(pos_integer, entry),
            retrying: boolean
          }

  @typep entry :: {iodata, Claim.t() | nil}

  @doc "An outbox without frames, which holds requests."
  @spec new(Places.t()) :: t
  def new(places), do: %__MODULE__{places: places}

  @doc "Writes a frame, after all that wait. What cannot be written now waits as well."
  @spec write(t, port, pos_integer, iodata) :: t
  def write(outbox, port, number, frame), do: put(outbox, port, number, {frame, nil})

  @doc "Writes a request as `write/4` does, or holds it; one that was withdrawn is dropped."
  @spec request(t, port | nil, pos_integer, iodata, Claim.t()) :: t
  def request(%{open: false} = outbox, _port, number, frame, claim) do
    %{outbox | held: :gb_trees.insert(number, {frame, claim}, outbox.held)}
  end

  def request(outbox, port, number, frame, claim), do: put(outbox, port, number, {frame, claim})

  @doc "Writes the requests that were held; those that come from now on are not."
  @spec open(t, port) :: t
  def open(outbox, port) do
    frames =
      Enum.reduce(:gb_trees.to_list(outbox.held), outbox.frames, fn {number, entry}, frames ->
        :gb_trees.insert(number, entry, frames)
      end)

    write_all(%{outbox | open: true, held: :gb_trees.empty(), frames: frames}, port)
  end

  @doc "Holds the requests that come from now on."
  @spec close(t) :: t
  def close(outbox), do: %{outbox | open: false}

  @doc "Forgets the frames for a Python that is gone. The requests that are held stay."
  @spec reset(t) :: t
  def reset(outbox) do
    for {_number, {_frame, claim}} <- :gb_trees.to_list(outbox.frames), claim != nil do
      Places.give_back(outbox.places)
    end

    %{outbox | open: false, frames: :gb_trees.empty()}
  end

  @doc "Writes what waits, as far as the port takes it. Called on the message `:flush`."
  @spec flush(t, port | nil) :: t
  def flush(outbox, nil), do: %{outbox | retrying: false}
  def flush(outbox, port), do: write_all(%{outbox | retrying: false}, port)

  @doc "How many frames wait."
  @spec size(t) :: non_neg_integer
  def size(outbox), do: :gb_trees.size(outbox.frames) + :gb_trees.size(outbox.held)

  @doc "Whether the frame with this number is held."
  @spec held?(t, pos_integer) :: boolean
  def held?(outbox, number), do: :gb_trees.is_defined(number, outbox.held)

  @doc "Takes a request back. One that does not wait changes nothing."
  @spec delete(t, pos_integer) :: t
  def delete(outbox, number) do
    cond do
      :gb_trees.is_defined(number, outbox.frames) ->
        Places.give_back(outbox.places)
        %{outbox | frames: :gb_trees.delete(number, outbox.frames)}

      :gb_trees.is_defined(number, outbox.held) ->
        Places.give_back(outbox.places)
        %{outbox | held: :gb_trees.delete(number, outbox.held)}

      true ->
        outbox
    end
  end

  defp put(outbox, port, number, entry) do
    if :gb_trees.is_empty(outbox.frames) and written?(outbox, port, entry) do
      outbox
    else
      write_all(%{outbox | frames: :gb_trees.insert(number, entry, outbox.frames)}, port)
    end
  end

  defp write_all(outbox, port) do
    if :gb_trees.is_empty(outbox.frames) do
      outbox
    else
      {_number, entry, rest} = :gb_trees.take_smallest(outbox.frames)

      if written?(outbox, port, entry),
        do: write_all(%{outbox | frames: rest}, port),
        else: retry(outbox)
    end
  end

  # Whether the entry waits no more.
  defp written?(_outbox, port, {frame, nil}), do: command(port, frame)

  defp written?(outbox, port, {frame, claim}) do
    if Claim.claim(claim) do
      case command(port, frame) do
        true ->
          Places.give_back(outbox.places)
          true

        false ->
          Claim.release(claim)
          false
      end
    else
      Places.give_back(outbox.places)
      true
    end
  end

  # Without :nosuspend a port that is busy would suspend the client, and with it every call.
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
