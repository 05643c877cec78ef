defmodule Bridge.Answer do
  @moduledoc false

  # What is in the frames of an answer, decoded in the caller's process.

  alias Bridge.{Error, Frame, Msgpack}
  alias Bridge.Msgpack.Decoder

  @typedoc "A frame, or some, with the functions that its objects of Python are for."
  @type received(frames) :: frames | {frames, Decoder.decoders()}

  @typep outcome :: {:response, received(Frame.t())} | {:error, Error.t()}

  @doc "What a client says to a caller, with the client's decoders."
  @spec with_decoders(answer, Decoder.decoders()) :: answer when answer: tuple
  def with_decoders(answer, decoders) when decoders == %{}, do: answer
  def with_decoders({:response, frame}, decoders), do: {:response, {frame, decoders}}

  def with_decoders({:notes, handle, frames}, decoders),
    do: {:notes, handle, {frames, decoders}}

  def with_decoders(error, _decoders), do: error

  @doc "The outcome of a call, in the response to it."
  @spec result(outcome) :: {:ok, term} | {:error, Error.t()}
  def result({:response, {frame, decoders}}), do: result(frame, decoders)
  def result({:response, frame}), do: result(frame, %{})
  def result({:error, error}), do: {:error, error}

  defp result({:lent, _frame, _data} = lent, decoders), do: outcome(lent, decoders)

  defp result(frame, decoders) do
    case Frame.result(frame) do
      {:ok, encoded} ->
        with :error <- Msgpack.decode_part(encoded, decoders), do: outcome(frame, decoders)

      :other ->
        outcome(frame, decoders)
    end
  end

  @doc """
  The same, with the bytes of the response, if there is one, and the microseconds that the call was in
  Python's queue; nil where that is not told.
  """
  @spec measured(outcome) ::
          {{:ok, term} | {:error, Error.t()},
           {bytes_in :: non_neg_integer, queued_us :: non_neg_integer | nil,
            shared_in :: non_neg_integer}
           | nil}
  def measured({:response, {frame, decoders}}), do: measured(frame, decoders)
  def measured({:response, frame}), do: measured(frame, %{})
  def measured(error), do: {result(error), nil}

  defp measured(<<0x95, _::binary>> = frame, decoders), do: measure(frame, decoders)
  defp measured({:lent, _frame, _data} = lent, decoders), do: measure(lent, decoders)
  defp measured(frame, decoders), do: {result(frame, decoders), {byte_size(frame), nil, 0}}

  defp measure(frame, decoders) do
    {size, shared} = {Frame.size(frame), Frame.shared(frame)}

    case decode(frame, decoders) do
      {:ok, [_response, _id, nil, result, queued]} when is_integer(queued) and queued >= 0 ->
        {{:ok, result}, {size, queued, shared}}

      other ->
        {outcome(other), {size, nil, shared}}
    end
  end

  # Of any response, and of one that cannot be read.
  defp outcome(frame, decoders), do: frame |> decode(decoders) |> outcome()

  defp outcome(decoded) do
    case decoded do
      {:ok, [_response, _id, nil, result | _queued]} -> {:ok, result}
      {:ok, [_response, _id, error, _nil | _queued]} -> {:error, Error.from_wire(error)}
      {:error, error} -> {:error, error}
    end
  end

  # What a decoder raises is an internal error already.
  defp decode(frame, decoders) do
    with {:error, %{code: :invalid_argument} = error} <- decode_any(frame, decoders) do
      {:error, %{error | code: :internal, message: "an answer of Python is #{error.message}"}}
    end
  end

  defp decode_any({:lent, frame, data}, decoders), do: Msgpack.decode_lent(frame, data, decoders)
  defp decode_any(frame, decoders), do: Msgpack.decode(frame, decoders)

  @doc "The messages in frames. Raises if there is none in one."
  @spec decode!(received([Frame.t()])) :: [term]
  def decode!({frames, decoders}), do: Enum.map(frames, &decode!(&1, decoders))
  def decode!(frames), do: Enum.map(frames, &decode!(&1, %{}))

  defp decode!(frame, decoders) do
    case decode(frame, decoders) do
      {:ok, message} -> message
      {:error, error} -> raise error
    end
  end
end
