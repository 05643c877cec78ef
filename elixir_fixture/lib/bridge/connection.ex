defmodule Bridge.Connection do
  @moduledoc false

  # What a client keeps of its callers: the calls in flight, and the frames that wait for Python.
  #
  # Each function takes the connection and what happened, and returns the connection as it is then. On
  # the way it writes to Python and answers callers. All of it runs in the client's process. The
  # connection outlives Python: `attach/2` and `detach/2` say which one there is.
  #
  # A call is told apart by its id, which is also the number of its request in the outbox. An answer
  # goes to the alias at which its caller waits; the runtime drops it when the caller waits no more.
  # There is one monitor for each process that calls, kept while it goes on calling.

  alias Bridge.{Admission, Body, Call, Callers, Claim, Error, Frame, Outbox, Places}
  alias Bridge.Connection.Sending
  alias Bridge.Msgpack.Decoder
  alias Bridge.Pool.Seat
  alias Bridge.SharedMemory.Lending

  import Lending, only: [is_reading: 2]

  import Bridge.Connection.Answers

  # `port` is nil while there is no Python, `refusal` the answer to calls while there will be none.
  # `seat` is the client's in a pool: a call has a place there until it has left. `decoders` go with what
  # callers get, who are the ones that decode.
  @enforce_keys [:places, :outbox]
  defstruct [
    :places,
    :outbox,
    decoders: %{},
    seat: nil,
    port: nil,
    refusal: nil,
    next_id: 1,
    calls: %{},
    callers: Callers.new(),
    lending: %Lending{},
    late_replies: 0
  ]

  @type t :: %__MODULE__{
          places: Places.t(),
          outbox: Outbox.t(),
          decoders: Decoder.decoders(),
          seat: Seat.t() | nil,
          port: port | nil,
          refusal: Error.t() | nil,
          next_id: id,
          calls: %{optional(id) => Call.t()},
          callers: Callers.t(),
          lending: Lending.t(),
          late_replies: non_neg_integer
        }

  @type id :: pos_integer

  @typedoc """
  What a caller asks for: where it waits, who it is, and what it wants.

  `:bridge_pooled` has taken a place in the pool. The claim is nil if the caller is on another node;
  `{:item, n}` is a stream whose window of so many items may grow; `tag` is as `Keyword.fetch/2` finds it.
  """
  @type request ::
          {:bridge_request | :bridge_pooled, reference, pid, Claim.t() | nil, Body.sendable(),
           Call.watch() | {:item, pos_integer}, tag :: {:ok, term} | :error}

  @doc "A connection that holds requests until there is a Python."
  @spec new(Places.t(), Seat.t() | nil, Decoder.decoders()) :: t
  def new(places, seat \\ nil, decoders \\ %{}) do
    %__MODULE__{places: places, outbox: Outbox.new(places), seat: seat, decoders: decoders}
  end

  @doc "What `Bridge.info/1` tells of it."
  @spec info(t) :: map
  def info(connection) do
    %{
      calls: map_size(connection.calls),
      outbox: Outbox.size(connection.outbox),
      late_replies: connection.late_replies
    }
  end

  ## Python comes and goes

  @doc "There is a Python, which is not ready yet: requests are held."
  @spec attach(t, port) :: t
  def attach(connection, port), do: %{connection | port: port, refusal: nil}

  @doc "Python is ready: what was held is written. It takes batches of so many bytes, or 0."
  @spec open(t, batch_bytes :: non_neg_integer) :: t
  def open(connection, batch_bytes) do
    outbox = Outbox.open(connection.outbox, connection.port, batch_bytes)
    %{connection | refusal: nil, outbox: outbox}
  end

  @doc "Python is about to leave for another one: requests are held for that."
  @spec hold(t) :: t
  def hold(connection), do: %{connection | outbox: Outbox.close(connection.outbox)}

  @doc "Requests are answered with this error from now on."
  @spec refuse(t, Error.t()) :: t
  def refuse(connection, error), do: %{connection | refusal: error}

  @doc """
  Python is gone. Whoever waits for it gets this error, with `started` as it is for the call.

  `:held` are the requests that were never meant for it: `:keep` has them wait on.
  """
  @spec detach(t, Error.t(), held: :keep | :answer) :: t
  def detach(connection, error, held: held) do
    gone =
      for {id, call} <- connection.calls,
          held == :answer or not Outbox.held?(connection.outbox, id),
          do: {id, call}

    connection = Lending.reset(connection)

    connection =
      for {id, call} <- gone, reduce: %{connection | port: nil} do
        connection ->
          started = Claim.sent?(call.claim)
          # what still waits is taken back, for whoever looks at the claim
          Claim.withdraw(call.claim)
          connection = %{connection | outbox: Outbox.delete(connection.outbox, id)}
          end_call(connection, id, call, {:error, %{error | started: started}})
      end

    %{connection | outbox: Outbox.reset(connection.outbox)}
  end

  @doc "Frees the places of callers that died before they sent their requests. Called now and then."
  @spec settle(t) :: :ok
  def settle(%{calls: calls, seat: seat} = connection) do
    Places.settle(connection.places, &Outbox.requests(connection.outbox, &1))

    Seat.settle(seat, fn period ->
      Enum.count(calls, fn {_id, call} -> Claim.seat(call.claim) == period end)
    end)
  end

  ## What callers want

  @doc """
  A caller asks for a call, and waits. One that has taken it back, or has died, is forgotten.

  The client gets a message that begins with `:bridge_caller_down` when the caller dies.
  """
  @spec request(t, request) :: t
  def request(connection, {kind, key, pid, claim, body, watch, tag}) do
    has_place = claim != nil
    claim = claim || Claim.new(Places.take_anyway(connection.places))
    if kind == :bridge_request, do: Seat.admit(connection.seat, claim)
    {body, place, connection} = Lending.take(connection, body)

    case Admission.admit(connection.places, connection.refusal, pid, has_place) do
      :ok ->
        id = connection.next_id

        {watch, flow} = Call.window(watch)

        call = %Call{
          key: key,
          from: key,
          caller: pid,
          claim: claim,
          watch: watch,
          flow: flow,
          place: place,
          tag: tag
        }

        frame = Frame.request(id, body)
        in_flight = map_size(connection.calls)

        outbox = Outbox.request(connection.outbox, connection.port, id, frame, claim, in_flight)

        %{
          connection
          | next_id: id + 1,
            outbox: outbox,
            calls: Map.put(connection.calls, id, call),
            callers: Callers.add(connection.callers, pid, id, connection.calls)
        }

      :gone ->
        connection |> leave(claim) |> Lending.release(place)

      {:error, error} ->
        leave(connection, claim)
        reply(key, {:error, error})
        Lending.release(connection, place)
    end
  end

  @doc "A caller that got notes wants to know what came then."
  @spec await(t, id, reference) :: t
  def await(connection, id, from) do
    case connection.calls do
      %{^id => call} ->
        call = Call.await(call, from)

        case Call.widen(call) do
          {items, call} -> connection |> put_call(id, call) |> give_credit(id, {items, 0})
          nil -> hand_over(connection, id, call)
        end

      _over ->
        reply(from, {:error, %Error{code: :cancelled, message: "the call is over"}})
        connection
    end
  end

  @doc "Somebody cancels the calls with this tag."
  @spec cancel(t, tag :: term) :: t
  def cancel(connection, tag) do
    ids = for {id, %{tag: {:ok, ^tag}, outcome: nil}} <- connection.calls, do: id

    Enum.reduce(ids, connection, fn id, connection ->
      case withdraw(connection, id) do
        {:sent, connection} -> connection
        {:unsent, connection} -> fail(connection, id, :cancelled, "the call was cancelled")
      end
    end)
  end

  @doc """
  The time of a call is over, for its caller.

  Python has the deadline as well, and will answer. A request that it never got is taken back.
  """
  @spec time_out(t, pid, key :: reference) :: t
  def time_out(connection, pid, key) do
    ids = Callers.ids(connection.callers, pid, connection.calls)

    with id when id != nil <- Enum.find(ids, &(connection.calls[&1].key == key)) do
      call = connection.calls[id]

      cond do
        Claim.withdraw(call.claim) ->
          connection = unsent(connection, id)
          fail(connection, id, :deadline_exceeded, "the call took longer than its timeout")

        call.outcome ->
          remove(connection, id)

        true ->
          put_call(connection, id, Call.expire(call))
      end
    else
      nil -> connection
    end
  end

  @doc "Nobody wants the outcome of a call any more."
  @spec abandon(t, id) :: t
  def abandon(connection, id) do
    case connection.calls do
      %{^id => %{outcome: nil}} ->
        {_state, connection} = withdraw(connection, id)
        remove(connection, id)

      %{^id => _ended} ->
        remove(connection, id)

      _over ->
        connection
    end
  end

  @doc "A process that called has died."
  @spec caller_down(t, pid) :: t
  def caller_down(connection, pid) do
    ids = Callers.ids(connection.callers, pid, connection.calls)
    connection = Enum.reduce(ids, connection, &abandon(&2, &1))
    %{connection | callers: Callers.down(connection.callers, pid)}
  end

  ## What Python sends

  @doc "A response, an item or a progress report has arrived: `kind` and `id` are those of the frame."
  @spec receive_frame(t, Frame.kind(), id, Frame.t()) :: t
  def receive_frame(connection, kind, id, frame) when is_reading(connection, id),
    do: Lending.later(connection, id, {kind, frame})

  def receive_frame(connection, :response, id, frame) do
    case connection.calls do
      %{^id => %{outcome: nil, notes: [], from: from} = call} when from != nil ->
        # whoever calls again at once finds its place free
        Seat.release(connection.seat, call.claim)
        answer(connection, from, {:response, frame})
        connection |> count_late(call) |> forget(id)

      %{^id => %{outcome: nil, overdue: true} = call} ->
        connection |> count_late(call) |> remove(id)

      %{^id => %{outcome: nil} = call} ->
        hand_over(connection, id, Call.finish(call, {:response, frame}))

      _over ->
        with :unknown <- Lending.answered(connection, id, frame),
             do: %{connection | late_replies: connection.late_replies + 1}
    end
  end

  def receive_frame(connection, kind, id, frame) do
    case connection.calls do
      %{^id => call} -> hand_over(connection, id, Call.note(call, kind, frame))
      _over -> connection
    end
  end

  @doc "Items of one stream have arrived together, here newest first."
  @spec receive_items(t, id, [binary, ...]) :: t
  def receive_items(connection, id, frames) when is_reading(connection, id) do
    Enum.reduce(Enum.reverse(frames), connection, &Lending.later(&2, id, {:item, &1}))
  end

  def receive_items(connection, id, frames) do
    case connection.calls do
      %{^id => call} -> hand_over(connection, id, Call.note_items(call, frames))
      _over -> connection
    end
  end

  @doc "What Python has sent for a call cannot be read, which ends the call."
  @spec fail_reading(t, :response | :item, id, Error.t()) :: t
  def fail_reading(connection, kind, id, error) do
    case connection.calls do
      %{^id => %{outcome: nil}} ->
        connection = if kind == :item, do: elem(withdraw(connection, id), 1), else: connection

        end_call(connection, id, connection.calls[id], {:error, error})

      _over ->
        connection
    end
  end

  ## Parts

  # Takes a request back: out of the outbox, or from Python, which may have begun with it.
  defp withdraw(connection, id) do
    if Claim.withdraw(connection.calls[id].claim) do
      {:unsent, unsent(connection, id)}
    else
      {:sent, Sending.send_message(connection, [2, "$/cancelRequest", [id]])}
    end
  end

  # The request will never be written.
  defp unsent(connection, id) do
    call = connection.calls[id]
    connection = %{connection | outbox: Outbox.delete(connection.outbox, id)}

    if call.place,
      do: connection |> put_call(id, %{call | place: nil}) |> Lending.release(call.place),
      else: connection
  end

  # One that never became a call.
  defp leave(connection, claim) do
    Places.give_back(connection.places, Claim.place(claim))
    Seat.release(connection.seat, claim)
    connection
  end

  defp count_late(connection, %{overdue: true}) do
    %{connection | late_replies: connection.late_replies + 1}
  end

  defp count_late(connection, _call), do: connection
end
