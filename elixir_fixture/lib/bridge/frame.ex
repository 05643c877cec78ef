defmodule Bridge.Frame do
  @moduledoc false

  # What the client itself reads and writes of a frame. Pure functions.
  #
  # A frame is one message, a MessagePack array:
  #
  # | message | shape |
  # | --- | --- |
  # | request | `[0, id, method, params, options]` |
  # | response | `[1, id, error, result]` |
  # | notification | `[2, method, params]` |
  #
  # The callers encode and decode what is in it. The client has to know no more than which call it
  # belongs to; the port puts the length in front.

  alias Bridge.Msgpack

  @typedoc "All of a request but its id: `method`, `params` and `options`, each encoded."
  @type body :: iodata

  @type kind :: :response | :item | :progress

  @doc """
  The frame of a request.

      iex> body = Enum.map(["echo", [42], %{}], &Bridge.Msgpack.encode!/1)
      iex> frame = 7 |> Bridge.Frame.request(body) |> IO.iodata_to_binary()
      iex> Bridge.Msgpack.decode(frame)
      {:ok, [0, 7, "echo", [42], %{}]}

  """
  @spec request(pos_integer, body) :: iodata
  def request(id, body) when id <= 0xFFFF_FFFF, do: [<<0x95, 0x00, 0xCE, id::32>> | body]
  def request(id, body), do: [<<0x95, 0x00, 0xCF, id::64>> | body]

  @doc """
  What a frame is, and the id of the call that it belongs to.

  The frequent messages are told by their first bytes, and go on as they are to the caller, who
  decodes them. All others are `{:other, message}`, or `{:broken, text}` if they cannot be decoded.

      iex> [1, 7, nil, "result"] |> Bridge.Msgpack.encode!() |> IO.iodata_to_binary() |> Bridge.Frame.peek()
      {:response, 7}

      iex> [2, "$/bye", ["sigterm"]] |> Bridge.Msgpack.encode!() |> IO.iodata_to_binary() |> Bridge.Frame.peek()
      {:other, [2, "$/bye", ["sigterm"]]}

  """
  @spec peek(binary) :: {kind, id :: term} | {:other, term} | {:broken, String.t()}
  def peek(<<0x94, 1, rest::binary>> = frame), do: peek_id(rest, :response, frame)

  def peek(<<0x93, 2, 0xA6, "$/item", 0x92, rest::binary>> = frame) do
    peek_id(rest, :item, frame)
  end

  def peek(<<0x93, 2, 0xAA, "$/progress", 0x94, rest::binary>> = frame) do
    peek_id(rest, :progress, frame)
  end

  def peek(frame), do: read(frame)

  defp peek_id(<<0::1, id::7, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(<<0xCC, id, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(<<0xCD, id::16, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(<<0xCE, id::32, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(<<0xCF, id::64, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(_rest, _kind, frame), do: read(frame)

  # Python may write the same in more bytes than it needs.
  defp read(frame) do
    case Msgpack.decode(frame) do
      {:ok, [1, id, _error, _result]} -> {:response, id}
      {:ok, [2, "$/item", [id, _item]]} -> {:item, id}
      {:ok, [2, "$/progress", [id, _done, _total, _text]]} -> {:progress, id}
      {:ok, message} -> {:other, message}
      {:error, error} -> {:broken, error.message}
    end
  end
end
