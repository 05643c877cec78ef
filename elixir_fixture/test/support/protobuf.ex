defmodule Bridge.Test.Protobuf do
  @moduledoc """
  As much of protobuf's wire format as the tests need: fields by number, in both directions.

  A field's content is an integer, or text, bytes or an embedded message as a binary. What a number
  means is in the `.proto` file; an application generates modules from it.

      iex> alias Bridge.Test.Protobuf
      iex> Protobuf.encode([{1, 150}, {2, "testing"}])
      <<0x08, 0x96, 0x01, 0x12, 0x07, "testing">>
      iex> Protobuf.decode(<<0x08, 0x96, 0x01, 0x12, 0x07, "testing">>)
      [{1, 150}, {2, "testing"}]

  """

  import Bitwise

  @type field :: {number :: pos_integer, non_neg_integer | binary}

  @doc "Encodes a message."
  @spec encode([field]) :: binary
  def encode(fields), do: for(field <- fields, into: <<>>, do: field(field))

  defp field({number, n}) when is_integer(n), do: varint(number <<< 3) <> varint(n)

  defp field({number, data}) do
    varint(number <<< 3 ||| 2) <> varint(byte_size(data)) <> data
  end

  defp varint(n) when n < 0x80, do: <<n>>
  defp varint(n), do: <<1::1, n::7>> <> varint(n >>> 7)

  @doc "Decodes a message. A field that is repeated comes several times."
  @spec decode(binary) :: [field]
  def decode(<<>>), do: []

  def decode(message) do
    {tag, rest} = take_varint(message, 0, 0)
    {content, rest} = take(tag &&& 7, rest)
    [{tag >>> 3, content} | decode(rest)]
  end

  defp take(0, rest), do: take_varint(rest, 0, 0)

  defp take(2, rest) do
    {size, rest} = take_varint(rest, 0, 0)
    :erlang.split_binary(rest, size)
  end

  defp take_varint(<<more::1, part::7, rest::binary>>, n, shift) do
    n = n ||| part <<< shift
    if more == 1, do: take_varint(rest, n, shift + 7), else: {n, rest}
  end
end
