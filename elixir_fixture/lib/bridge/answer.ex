defmodule Bridge.Answer do
  @moduledoc false

  # What is in the frames of an answer, decoded in the caller's process.

  alias Bridge.{Error, Frame, Msgpack}

  @doc "The outcome of a call, in the response to it."
  @spec result({:response, binary} | {:error, Error.t()}) :: {:ok, term} | {:error, Error.t()}
  def result({:response, frame}) do
    case Frame.result(frame) do
      {:ok, encoded} -> with :error <- Msgpack.decode_part(encoded), do: outcome(frame)
      :other -> outcome(frame)
    end
  end

  def result({:error, error}), do: {:error, error}

  # Of any response, and of one that cannot be read.
  defp outcome(frame) do
    case decode(frame) do
      {:ok, [_response, _id, nil, result]} -> {:ok, result}
      {:ok, [_response, _id, error, _nil]} -> {:error, Error.from_wire(error)}
      {:error, error} -> {:error, error}
    end
  end

  defp decode(frame) do
    with {:error, error} <- Msgpack.decode(frame) do
      {:error, %{error | code: :internal, message: "an answer of Python is #{error.message}"}}
    end
  end

  @doc "The message in a frame. Raises if there is none."
  @spec decode!(binary) :: term
  def decode!(frame) do
    case decode(frame) do
      {:ok, message} -> message
      {:error, error} -> raise error
    end
  end
end
