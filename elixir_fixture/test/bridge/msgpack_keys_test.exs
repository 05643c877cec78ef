defmodule Bridge.MsgpackKeysTest do
  use ExUnit.Case, async: true

  alias Bridge.Msgpack

  # what Python has as two keys and Elixir as one
  @same [
    text_and_bytes: <<0xA1, "a", 1, 0xC4, 1, "a", 2>>,
    text_twice: <<0xA1, "a", 1, 0xA1, "a", 2>>,
    nan_twice: <<0xCB, 0x7FF8000000000000::64, 1, 0xCB, 0xFFF8000000000000::64, 2>>,
    times_within_a_microsecond: <<0xD7, -1, 1::30, 0::34, 1, 0xD7, -1, 2::30, 0::34, 2>>
  ]

  for {name, pairs} <- @same do
    test "a map with #{name} for keys is refused, at any depth" do
      map = <<0x82>> <> unquote(pairs)
      assert {:error, %{message: message}} = Msgpack.decode(map)
      assert message =~ "a map with a key that comes twice"
      assert {:error, _error} = Msgpack.decode(<<0x92, 1, 0x81, 0xA1, "x">> <> map)
    end
  end

  test "1 and 1.0 are two keys" do
    assert Msgpack.decode(<<0x82, 1, 1, 0xCB, 1.0::float-64, 2>>) == {:ok, %{1 => 1, 1.0 => 2}}
  end
end
