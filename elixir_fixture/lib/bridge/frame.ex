defmodule Bridge.Frame do
  @moduledoc false

  # What the client itself reads and writes of a frame. Pure functions.
  #
  # A frame is one message, a MessagePack array:
  #
  # | message | shape |
  # | --- | --- |
  # | request | `[0, id, method, params, options]` |
  # | response | `[1, id, error, result]`, or with the microseconds in Python's queue as a fifth element |
  # | notification | `[2, method, params]` |
  #
  # Many frames may come as one, a batch: the byte 0xC1, with which no message begins, and each frame
  # with its length in front.
  #
  # The callers encode and decode what is in it. The client has to know no more than which call it
  # belongs to; the port puts the length in front.

  alias Bridge.Msgpack

  @typedoc "All of a request but its id: `method`, `params` and `options`, each encoded."
  @type body :: iodata

  @typedoc "A frame, with what it had in shared memory."
  @type t :: binary | {:lent, binary, data :: binary}

  @type kind :: :response | :item | :progress

  @typedoc "What a request asks for: the name, and how many arguments there are (1 if by name)."
  @type head :: {name :: String.t(), arity :: non_neg_integer}

  @doc """
  The frame of a request.

      iex> body = Enum.map(["echo", [42], %{}], &Bridge.Msgpack.encode!/1)
      iex> frame = 7 |> Bridge.Frame.request(body) |> IO.iodata_to_binary()
      iex> Bridge.Msgpack.decode(frame)
      {:ok, [0, 7, "echo", [42], %{}]}

  """
  @spec request(pos_integer, body | {:lent, Bridge.SharedMemory.place(), body}) :: iodata
  def request(id, {:lent, {number, offset, size}, body}),
    do: [<<0xC7, 24, 5, number::64, offset::64, size::64>> | request(id, body)]

  def request(id, body) when id <= 0xFFFF_FFFF, do: [<<0x95, 0x00, 0xCE, id::32>> | body]
  def request(id, body), do: [<<0x95, 0x00, 0xCF, id::64>> | body]

  @doc """
  One frame of many.

      iex> frame = ["one", "two"] |> Bridge.Frame.batch() |> IO.iodata_to_binary()
      iex> frame
      <<0xC1, 3::32, "one", 3::32, "two">>

  """
  @spec batch([iodata]) :: iodata
  def batch(frames) do
    [<<0xC1>> | for(frame <- frames, do: [<<:erlang.iolist_size(frame)::32>> | frame])]
  end

  @doc "How many bytes a frame has in a batch."
  @spec batched_size(iodata) :: pos_integer
  def batched_size(frame), do: :erlang.iolist_size(frame) + 5

  @doc """
  The first frame of what is left of a batch, and the rest.

  It is a copy: whoever keeps a part of it keeps no more than that frame.
  """
  @spec next(binary) :: {binary, rest :: binary} | :end | :broken
  def next(<<size::32, frame::binary-size(size), rest::binary>>), do: {:binary.copy(frame), rest}
  def next(<<>>), do: :end
  def next(_cut), do: :broken

  @doc "The items of this stream with which what is left of a batch begins, before those that are given."
  @spec next_items(binary, id :: term, [binary]) :: {newest_first :: [binary], rest :: binary}
  def next_items(batch, id, frames) do
    with {frame, rest} <- next(batch),
         {:item, ^id} <- peek(frame) do
      next_items(rest, id, [frame | frames])
    else
      _other -> {frames, batch}
    end
  end

  @doc """
  What a frame is, and the id of the call that it belongs to.

  The frequent messages are told by their first bytes, and go on as they are to the caller, who
  decodes them. Of a request, the arguments are not read either. All others are `{:other, message}`, or `{:broken, text}` if they cannot be decoded.

      iex> [1, 7, nil, "result"] |> Bridge.Msgpack.encode!() |> IO.iodata_to_binary() |> Bridge.Frame.peek()
      {:response, 7}

      iex> [0, 7, "add", [1, 2], %{}] |> Bridge.Msgpack.encode!() |> IO.iodata_to_binary() |> Bridge.Frame.peek()
      {:request, 7, {"add", 2}}

      iex> [2, "$/bye", ["sigterm"]] |> Bridge.Msgpack.encode!() |> IO.iodata_to_binary() |> Bridge.Frame.peek()
      {:other, [2, "$/bye", ["sigterm"]]}

  """
  @spec peek(binary) ::
          {kind, id :: term}
          | {:request, id :: non_neg_integer, head}
          | {:lent, Bridge.SharedMemory.place(), frame :: binary}
          | {:other, term}
          | {:broken, String.t()}
  def peek(<<0x94, 1, rest::binary>> = frame), do: peek_id(rest, :response, frame)
  def peek(<<0x95, 1, rest::binary>> = frame), do: peek_id(rest, :response, frame)

  def peek(<<0x93, 2, 0xA6, "$/item", 0x92, rest::binary>> = frame) do
    peek_id(rest, :item, frame)
  end

  def peek(<<0x93, 2, 0xAA, "$/progress", 0x94, rest::binary>> = frame) do
    peek_id(rest, :progress, frame)
  end

  def peek(<<n, 0, rest::binary>> = frame) when n in [0x94, 0x95], do: peek_head(rest, frame)

  def peek(<<0xC7, 24, 5, number::64, offset::64, size::64, frame::binary>>)
      when size > 0,
      do: {:lent, {number, offset, size}, frame}

  def peek(frame), do: read(frame)

  @doc "How many bytes a message has, with those that it had in shared memory."
  @spec size(t) :: non_neg_integer
  def size({:lent, frame, data}), do: byte_size(frame) + byte_size(data)
  def size(frame), do: byte_size(frame)

  @doc "How many of them were there."
  @spec shared(t) :: non_neg_integer
  def shared({:lent, _frame, data}), do: byte_size(data)
  def shared(_frame), do: 0

  @doc """
  The result in a response, still encoded; `:other` if it is an error, or written in another way.

      iex> [1, 300, nil, "result"] |> Bridge.Msgpack.encode!() |> IO.iodata_to_binary() |> Bridge.Frame.result()
      {:ok, <<0xA6, "result">>}

  """
  @spec result(binary) :: {:ok, binary} | :other
  def result(<<0x94, 1, 0::1, _id::7, 0xC0, result::binary>>), do: {:ok, result}
  def result(<<0x94, 1, 0xCC, _id, 0xC0, result::binary>>), do: {:ok, result}
  def result(<<0x94, 1, 0xCD, _id::16, 0xC0, result::binary>>), do: {:ok, result}
  def result(<<0x94, 1, 0xCE, _id::32, 0xC0, result::binary>>), do: {:ok, result}
  def result(<<0x94, 1, 0xCF, _id::64, 0xC0, result::binary>>), do: {:ok, result}
  def result(_frame), do: :other

  defp peek_id(<<0::1, id::7, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(<<0xCC, id, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(<<0xCD, id::16, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(<<0xCE, id::32, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(<<0xCF, id::64, _::binary>>, kind, _frame), do: {kind, id}
  defp peek_id(_rest, _kind, frame), do: read(frame)

  defp peek_head(rest, frame) do
    with {id, rest} <- natural(rest),
         {name, rest} <- name(rest),
         arity when arity != nil <- arity(rest) do
      {:request, id, {name, arity}}
    else
      _other -> read(frame)
    end
  end

  defp natural(<<0::1, n::7, rest::binary>>), do: {n, rest}
  defp natural(<<0xCC, n, rest::binary>>), do: {n, rest}
  defp natural(<<0xCD, n::16, rest::binary>>), do: {n, rest}
  defp natural(<<0xCE, n::32, rest::binary>>), do: {n, rest}
  defp natural(<<0xCF, n::64, rest::binary>>), do: {n, rest}
  defp natural(_rest), do: nil

  # copied, as a part would keep the frame
  defp name(<<0b101::3, n::5, name::binary-size(n), rest::binary>>),
    do: {:binary.copy(name), rest}

  defp name(<<0xD9, n, name::binary-size(n), rest::binary>>), do: {:binary.copy(name), rest}
  defp name(<<0xDA, n::16, name::binary-size(n), rest::binary>>), do: {:binary.copy(name), rest}
  defp name(_rest), do: nil

  defp arity(<<0b1001::4, n::4, _::binary>>), do: n
  defp arity(<<0xDC, n::16, _::binary>>), do: n
  defp arity(<<0xDD, n::32, _::binary>>), do: n
  defp arity(<<first, _::binary>>) when first in 0x80..0x8F or first in [0xDE, 0xDF], do: 1
  defp arity(_rest), do: nil

  # Python may write the same in more bytes than it needs.
  defp read(frame) do
    case Msgpack.decode(frame) do
      {:ok, [1, id, _error, _result]} -> {:response, id}
      {:ok, [1, id, _error, _result, _waited]} -> {:response, id}
      {:ok, [0, id, name, params | _options]} when is_integer(id) -> asked(id, name, params)
      {:ok, [2, "$/item", [id, _item]]} -> {:item, id}
      {:ok, [2, "$/progress", [id, _done, _total, _text]]} -> {:progress, id}
      {:ok, message} -> {:other, message}
      {:error, error} -> {:broken, error.message}
    end
  end

  defp asked(id, name, params) when is_binary(name) and is_list(params),
    do: {:request, id, {name, length(params)}}

  defp asked(id, name, params) when is_binary(name) and is_map(params),
    do: {:request, id, {name, 1}}

  defp asked(id, _name, _params), do: {:request, id, {"", 0}}
end
