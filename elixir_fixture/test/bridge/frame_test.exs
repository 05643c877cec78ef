defmodule Bridge.FrameTest do
  use ExUnit.Case, async: true

  alias Bridge.{Frame, Msgpack}

  doctest Frame

  defp frame(message), do: message |> Msgpack.encode!() |> IO.iodata_to_binary()

  describe "peek/1" do
    test "finds ids of every length" do
      for bits <- [7, 8, 16, 32, 64], id <- [2 ** bits - 1, 2 ** (bits - 1)] do
        assert Frame.peek(frame([1, id, nil, %{}])) == {:response, id}
        assert Frame.peek(frame([2, "$/item", [id, 1]])) == {:item, id}
        assert Frame.peek(frame([2, "$/progress", [id, 1, 2, "text"]])) == {:progress, id}
      end
    end

    test "knows the same messages in a longer form" do
      id = <<0xD3, 5::signed-64>>
      assert Frame.peek(<<0xDC, 4::16, 1, 5, 0xC0, 0xC0>>) == {:response, 5}
      assert Frame.peek(<<0x94, 1, id::binary, 0xC0, 0xC0>>) == {:response, 5}
      assert Frame.peek(<<0x93, 2, 0xD9, 6, "$/item", 0x92, 5, 1>>) == {:item, 5}
      assert Frame.peek(<<0x93, 2, 0xA6, "$/item", 0x92, id::binary, 1>>) == {:item, 5}
    end

    test "hands over all other messages, and says what is none" do
      log = [2, "$/log", ["info", "root", "text", %{}, nil]]
      assert Frame.peek(frame(log)) == {:other, log}
      assert Frame.peek(frame("no message")) == {:other, "no message"}
      assert {:broken, "not MessagePack: cut short" <> _} = Frame.peek(<<0x94, 1>>)
    end
  end
end
