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
  # Small frames that come one after another are gathered, and written as one: each write has its
  # price, on both sides. `write_gathered/2` is due as soon as nothing more is there to be gathered.
  #
  # Of requests no more are gathered than half of what is in flight: if all went together, all answers would
  # come together as well, and Python would have nothing to do while their callers do the next ones. One that
  # comes while none is in flight is written at once, as is each frame to a bridge that takes no batches.
  #
  # All functions run in the client's process, which owns the port. Nobody tells a process that wrote
  # with `:nosuspend` when the port can take more; so while frames wait the client is sent `:flush`
  # every few milliseconds, and answers with `flush/2`.

  alias Bridge.{Claim, Frame, Occupancy, Places}

  @retry_ms 2

  # So many frames, and bytes, are gathered at most; and so many requests, however few are in flight.
  @most_frames 64
  @most_bytes 32_768
  @least_frames 16

  @enforce_keys [:places]
  defstruct [
    :places,
    open: false,
    most_bytes: 0,
    gathered: [],
    count: 0,
    bytes: 0,
    held: :gb_trees.empty(),
    frames: :gb_trees.empty(),
    retrying: false
  ]

  # `gathered` has the newest first; while there are some, `frames` is empty.
  @opaque t :: %__MODULE__{
            places: Places.t(),
            open: boolean,
            most_bytes: non_neg_integer,
            gathered: [{pos_integer, entry}],
            count: non_neg_integer,
            bytes: non_neg_integer,
            held: :gb_trees.tree(pos_integer, entry),
            frames: :gb_trees.tree(pos_integer, entry),
            retrying: boolean
          }

  @typep entry :: {iodata, Claim.t() | nil}

  @doc "An outbox without frames, which holds requests."
  @spec new(Places.t()) :: t
  def new(places), do: %__MODULE__{places: places}

  @doc "Writes a frame, after all that wait, or gathers it. What cannot be written now waits as well."
  @spec write(t, port, pos_integer, iodata) :: t
  def write(outbox, port, number, frame), do: put(outbox, port, number, {frame, nil})

  @doc """
  Writes a request as `write/4` does, or holds it; one that was withdrawn is dropped. `in_flight` is how
  many requests wait for their answers.
  """
  @spec request(t, port | nil, pos_integer, iodata, Claim.t(), in_flight :: non_neg_integer) :: t
  def request(%{open: false} = outbox, _port, number, frame, claim, _in_flight) do
    %{outbox | held: :gb_trees.insert(number, {frame, claim}, outbox.held)}
  end

  def request(%{gathered: []} = outbox, port, number, frame, claim, 0),
    do: put_now(outbox, port, number, {frame, claim})

  def request(outbox, port, number, frame, claim, in_flight) do
    outbox = put(outbox, port, number, {frame, claim})

    if outbox.count >= @least_frames and 2 * outbox.count > in_flight,
      do: write_gathered(outbox, port),
      else: outbox
  end

  @doc """
  Writes the requests that were held; those that come from now on are not. `batch_bytes` is how many
  bytes many frames may have together; 0: they are written one by one.
  """
  @spec open(t, port, batch_bytes :: non_neg_integer) :: t
  def open(outbox, port, batch_bytes) do
    outbox = write_gathered(outbox, port)
    held = :gb_trees.to_list(outbox.held)
    outbox = %{outbox | open: true, most_bytes: min(batch_bytes, @most_bytes)}
    write_all(wait(%{outbox | held: :gb_trees.empty()}, held), port)
  end

  @doc "Holds the requests that come from now on."
  @spec close(t) :: t
  def close(outbox), do: %{outbox | open: false}

  @doc "Forgets the frames for a Python that is gone. The requests that are held stay."
  @spec reset(t) :: t
  def reset(outbox) do
    waiting = outbox.gathered ++ :gb_trees.to_list(outbox.frames)

    for {_number, {_frame, claim}} <- waiting, claim != nil do
      give_back(outbox, claim)
    end

    %{none_gathered(outbox) | open: false, most_bytes: 0, frames: :gb_trees.empty()}
  end

  @doc "How many frames wait for `write_gathered/2`."
  @spec gathered(t) :: non_neg_integer
  def gathered(outbox), do: outbox.count

  @doc "Writes what was gathered."
  @spec write_gathered(t, port | nil) :: t
  def write_gathered(%{gathered: []} = outbox, _port), do: outbox

  def write_gathered(%{gathered: [{number, entry}]} = outbox, port) do
    outbox = none_gathered(outbox)

    if written?(outbox, port, entry),
      do: outbox,
      else: outbox |> wait([{number, entry}]) |> retry()
  end

  def write_gathered(outbox, port) do
    entries =
      for {_number, {_frame, claim} = entry} <- outbox.gathered, claimed?(claim), do: entry

    frames = for {frame, _claim} <- entries, reduce: [], do: (all -> [frame | all])

    if entries == [] or command(port, Frame.batch(frames)) do
      for {_number, {_frame, claim}} <- outbox.gathered,
          claim,
          do: give_back(outbox, claim)

      none_gathered(outbox)
    else
      for {_frame, claim} <- entries, claim, do: Claim.release(claim)
      outbox |> none_gathered() |> wait(outbox.gathered) |> retry()
    end
  end

  @doc "Writes what waits, as far as the port takes it. Called on the message `:flush`."
  @spec flush(t, port | nil) :: t
  def flush(outbox, nil), do: %{outbox | retrying: false}
  def flush(outbox, port), do: write_all(%{outbox | retrying: false}, port)

  @doc "How many frames wait."
  @spec size(t) :: non_neg_integer
  def size(outbox) do
    outbox.count + :gb_trees.size(outbox.frames) + :gb_trees.size(outbox.held)
  end

  @doc "Whether the frame with this number is held."
  @spec held?(t, pos_integer) :: boolean
  def held?(outbox, number), do: :gb_trees.is_defined(number, outbox.held)

  @doc "Takes a request back. One that does not wait changes nothing."
  @spec delete(t, pos_integer) :: t
  def delete(outbox, number) do
    cond do
      :gb_trees.is_defined(number, outbox.frames) ->
        {{_frame, claim}, frames} = :gb_trees.take(number, outbox.frames)
        give_back(outbox, claim)
        %{outbox | frames: frames}

      :gb_trees.is_defined(number, outbox.held) ->
        {{_frame, claim}, held} = :gb_trees.take(number, outbox.held)
        give_back(outbox, claim)
        %{outbox | held: held}

      List.keymember?(outbox.gathered, number, 0) ->
        {{_number, {_frame, claim}}, gathered} = List.keytake(outbox.gathered, number, 0)
        give_back(outbox, claim)
        # its bytes count on, which does no harm
        %{outbox | gathered: gathered, count: outbox.count - 1}

      true ->
        outbox
    end
  end

  @doc "How many requests wait that took their places in this period."
  @spec requests(t, Occupancy.period()) :: non_neg_integer
  def requests(outbox, period) do
    entries = for {_number, entry} <- outbox.gathered, do: entry

    (entries ++ :gb_trees.values(outbox.frames) ++ :gb_trees.values(outbox.held))
    |> Enum.count(fn {_frame, claim} -> claim != nil and Claim.place(claim) == period end)
  end

  defp put(%{most_bytes: 0} = outbox, port, number, entry) do
    put_now(outbox, port, number, entry)
  end

  defp put(outbox, port, number, {frame, _claim} = entry) do
    size = Frame.batched_size(frame)
    bytes = outbox.bytes + size

    cond do
      not :gb_trees.is_empty(outbox.frames) ->
        put_now(outbox, port, number, entry)

      size > outbox.most_bytes ->
        outbox |> write_gathered(port) |> put_now(port, number, entry)

      bytes > outbox.most_bytes or outbox.count == @most_frames ->
        outbox |> write_gathered(port) |> put(port, number, entry)

      true ->
        gathered = [{number, entry} | outbox.gathered]
        %{outbox | gathered: gathered, count: outbox.count + 1, bytes: bytes}
    end
  end

  defp put_now(outbox, port, number, entry) do
    if :gb_trees.is_empty(outbox.frames) and written?(outbox, port, entry),
      do: outbox,
      else: outbox |> wait([{number, entry}]) |> write_all(port)
  end

  defp none_gathered(outbox), do: %{outbox | gathered: [], count: 0, bytes: 0}

  defp wait(outbox, entries) do
    frames =
      for {number, entry} <- entries, reduce: outbox.frames do
        frames -> :gb_trees.insert(number, entry, frames)
      end

    %{outbox | frames: frames}
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
          give_back(outbox, claim)
          true

        false ->
          Claim.release(claim)
          false
      end
    else
      give_back(outbox, claim)
      true
    end
  end

  defp give_back(_outbox, nil), do: :ok
  defp give_back(outbox, claim), do: Places.give_back(outbox.places, Claim.place(claim))

  defp claimed?(nil), do: true
  defp claimed?(claim), do: Claim.claim(claim)

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
