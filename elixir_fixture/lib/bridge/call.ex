defmodule Bridge.Call do
  @moduledoc false

  # One call in flight: what has arrived for its caller, and whether the caller waits. Pure functions.
  #
  #   * `key` is the alias with which the caller asked first; `from` is the one that it waits at now.
  #   * `watch` says which notifications it wants to see: the items of a stream, or progress.
  #   * `notes` are the frames of those that it has not seen, newest first. All items are kept, but
  #     only the newest progress.
  #   * `outcome` is how the call ended, as soon as it is known.
  #   * `overdue`: the caller's time is over. It waits a moment longer for Python's word, no more.
  #
  # `take/1` says what the caller gets now; it gets all notes before the outcome. A caller that got
  # notes waits no more until it asks again (`await/2`).

  alias Bridge.{Claim, Error}

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
    overdue: false
  ]

  @type t :: %__MODULE__{
          key: reference,
          from: reference | nil,
          caller: pid,
          claim: Claim.t(),
          watch: watch,
          tag: {:ok, term} | :error,
          notes: [binary],
          outcome: outcome | nil,
          overdue: boolean
        }

  @type watch :: :item | :progress | nil

  @type outcome :: {:response, frame :: binary} | {:error, Error.t()}

  @typedoc "How many items the caller took, and their bytes: so much more may Python send."
  @type credit :: {items :: pos_integer, bytes :: pos_integer}

  @doc "The caller asks, and waits from now on."
  @spec await(t, reference) :: t
  def await(call, from), do: %{call | from: from}

  @doc "A notification has arrived. One that the caller does not watch for changes nothing."
  @spec note(t, :item | :progress, frame :: binary) :: t
  def note(%{watch: kind, outcome: nil, overdue: false} = call, kind, frame) do
    %{call | notes: if(kind == :item, do: [frame | call.notes], else: [frame])}
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
  @spec take(t) :: {:notes, [binary], credit | nil, t} | {:outcome, outcome} | :nothing
  def take(%{from: nil}), do: :nothing

  def take(%{notes: [_ | _] = notes} = call) do
    {:notes, Enum.reverse(notes), credit(call), %{call | from: nil, notes: []}}
  end

  def take(%{outcome: nil}), do: :nothing
  def take(%{outcome: outcome}), do: {:outcome, outcome}

  defp credit(%{watch: :item, outcome: nil, notes: notes}) do
    {length(notes), notes |> Enum.map(&byte_size/1) |> Enum.sum()}
  end

  defp credit(_call), do: nil
end
