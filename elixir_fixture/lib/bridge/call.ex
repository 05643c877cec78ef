defmodule Bridge.Call do
  @moduledoc false

  # One call in flight: what has arrived for its caller, and whether the caller waits. Pure functions.
  #
  #   * `from` is the caller while it waits for an answer.
  #   * `watch` says which notifications it wants to see: the items of a stream, or progress.
  #   * `notes` are the frames of those that it has not seen, newest first. All items are kept, but
  #     only the newest progress.
  #   * `outcome` is how the call ended, as soon as it is known.
  #
  # `take/1` says what the caller gets now; it gets all notes before the outcome. A caller that got
  # notes waits no more until it asks again (`await/2`).

  alias Bridge.Error

  @enforce_keys [:from, :watch, :tag, :monitor, :timer]
  defstruct [:from, :watch, :tag, :monitor, :timer, notes: [], outcome: nil]

  @type t :: %__MODULE__{
          from: GenServer.from() | nil,
          watch: watch,
          notes: [binary],
          outcome: outcome | nil,
          tag: {:ok, term} | :error,
          monitor: reference,
          timer: reference | nil
        }

  @type watch :: :item | :progress | nil

  @type outcome :: {:response, frame :: binary} | {:error, Error.t()}

  @typedoc "How many items the caller took, and their bytes: so much more may Python send."
  @type credit :: {items :: pos_integer, bytes :: pos_integer}

  @doc "The caller asks, and waits from now on."
  @spec await(t, GenServer.from()) :: t
  def await(call, from), do: %{call | from: from}

  @doc "A notification has arrived. One that the caller does not watch for changes nothing."
  @spec note(t, :item | :progress, frame :: binary) :: t
  def note(%{watch: kind, outcome: nil} = call, kind, frame) do
    %{call | notes: if(kind == :item, do: [frame | call.notes], else: [frame])}
  end

  def note(call, _kind, _frame), do: call

  @doc "The call has ended."
  @spec finish(t, outcome) :: t
  def finish(call, outcome), do: %{call | outcome: outcome}

  @doc """
  What the caller gets now.

  Notes come in the order in which they arrived, with the credit that Python gets for them: none
  for progress, nor when the call has ended.

      iex> call = %Bridge.Call{from: :caller, watch: :item, tag: :error, monitor: nil, timer: nil}
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
