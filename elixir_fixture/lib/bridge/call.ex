defmodule Bridge.Call do
  @moduledoc false

  # One call in flight: what has arrived for its caller, and whether the caller waits. Pure functions.
  #
  #   * `key` is the alias with which the caller asked first; `from` is the one that it waits at now.
  #   * `watch` says which notifications it wants to see: the items of a stream, or progress.
  #   * `notes` are the frames of those that it has not seen, newest first. All items are kept, but
  #     only the newest progress.
  #   * `outcome` is how the call ended, as soon as it is known.
  #   * `place` is where its request is in shared memory, until Python has the request.
  #   * `flow` is of a stream whose window grows: how many items may wait, how many more Python may
  #     send, and whether it had sent all that it might when some were handed over.
  #   * `overdue`: the caller's time is over. It waits a moment longer for Python's word, no more.
  #
  # `take/1` says what the caller gets now; it gets all notes before the outcome. A caller that got
  # notes waits no more until it asks again (`await/2`).

  alias Bridge.{Claim, Error, Frame}

  @enforce_keys [:key, :from, :caller, :claim, :watch, :tag]
  defstruct [
    :key,
    :from,
    :caller,
    :claim,
    :watch,
    :tag,
    notes: [],
    outcome: nil,
    place: nil,
    flow: nil,
    overdue: false
  ]

  # So many items a window has at most.
  @most_items 1_024

  @type t :: %__MODULE__{
          key: reference,
          from: reference | nil,
          caller: pid,
          claim: Claim.t(),
          watch: watch,
          tag: {:ok, term} | :error,
          notes: [Frame.t()],
          place: non_neg_integer | nil,
          outcome: outcome | nil,
          flow: flow | nil,
          overdue: boolean
        }

  @type watch :: :item | :progress | nil

  @type flow :: {window :: pos_integer, left :: integer, spent :: boolean}

  @type outcome :: {:response, Frame.t()} | {:error, Error.t()}

  @typedoc "How many items the caller took, and their bytes: so much more may Python send."
  @type credit :: {items :: pos_integer, bytes :: pos_integer}

  @doc "The caller asks, and waits from now on."
  @spec await(t, reference) :: t
  def await(call, from), do: %{call | from: from}

  @doc "What a caller watches for, and the window of a stream for which `{:item, n}` was asked."
  @spec window(watch | {:item, pos_integer}) :: {watch, flow | nil}
  def window({:item, items}), do: {:item, {items, items, false}}
  def window(watch), do: {watch, nil}

  @doc "Items have arrived, here newest first. Who does not watch for them gets none."
  @spec note_items(t, [Frame.t(), ...]) :: t
  def note_items(%{watch: :item, outcome: nil, overdue: false} = call, frames) do
    flow = with {window, left, spent} <- call.flow, do: {window, left - length(frames), spent}
    %{call | notes: frames ++ call.notes, flow: flow}
  end

  def note_items(call, _frames), do: call

  @doc """
  How many more items may wait from now on, if the window is what holds both up; otherwise nil.

  Python had sent all that it might, and its caller has taken that and waits again. One that is slower
  than Python finds some when it asks, and of a slow tool the window is never spent.

      iex> call = struct(Bridge.Call, from: :caller, watch: :item, flow: {2, 2, false})
      iex> call = Bridge.Call.note_items(call, ["two", "one"])
      iex> {:notes, ["one", "two"], {2, 6}, call} = Bridge.Call.take(call)
      iex> {2, call} = call |> Bridge.Call.await(:caller) |> Bridge.Call.widen()
      iex> call.flow
      {4, 4, false}

  """
  @spec widen(t) :: {items :: pos_integer, t} | nil
  def widen(%{flow: {window, left, true}, notes: [], outcome: nil} = call)
      when window < @most_items do
    more = min(window, @most_items - window)
    {more, %{call | flow: {window + more, left + more, false}}}
  end

  def widen(_call), do: nil

  @doc "A notification has arrived. One that the caller does not watch for changes nothing."
  @spec note(t, :item | :progress, frame :: Frame.t()) :: t
  def note(call, :item, frame), do: note_items(call, [frame])

  def note(%{watch: :progress, outcome: nil, overdue: false} = call, :progress, frame) do
    %{call | notes: [frame]}
  end

  def note(call, _kind, _frame), do: call

  @doc "The call has ended."
  @spec finish(t, outcome) :: t
  def finish(call, outcome), do: %{call | outcome: outcome}

  @doc "The caller's time is over: of what comes, it takes no more than the outcome."
  @spec expire(t) :: t
  def expire(call), do: %{call | overdue: true, notes: []}

  @doc """
  What the caller gets now.

  Notes come in the order in which they arrived, with the credit that Python gets for them: none
  for progress, nor when the call has ended.

      iex> call = struct(Bridge.Call, from: :caller, watch: :item)
      iex> Bridge.Call.take(call)
      :nothing
      iex> call = call |> Bridge.Call.note(:item, "one") |> Bridge.Call.note(:item, "two")
      iex> {:notes, ["one", "two"], {2, 6}, call} = Bridge.Call.take(call)
      iex> call = Bridge.Call.finish(call, {:response, "end"})
      iex> Bridge.Call.take(call)
      :nothing
      iex> call |> Bridge.Call.await(:caller) |> Bridge.Call.take()
      {:outcome, {:response, "end"}}

  """
  @spec take(t) :: {:notes, [Frame.t()], credit | nil, t} | {:outcome, outcome} | :nothing
  def take(%{from: nil}), do: :nothing

  def take(%{notes: [_ | _] = notes} = call) do
    count = length(notes)
    flow = with {window, left, _spent} <- call.flow, do: {window, left + count, left == 0}
    {:notes, Enum.reverse(notes), credit(call), %{call | from: nil, notes: [], flow: flow}}
  end

  def take(%{outcome: nil}), do: :nothing
  def take(%{outcome: outcome}), do: {:outcome, outcome}

  defp credit(%{watch: :item, outcome: nil, notes: notes}) do
    {length(notes), notes |> Enum.map(&Frame.size/1) |> Enum.sum()}
  end

  defp credit(_call), do: nil
end
