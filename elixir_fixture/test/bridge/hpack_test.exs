defmodule Bridge.HPACKTest do
  use ExUnit.Case, async: true

  alias Bridge.Test.HTTP2.{HPACK, Huffman}

  doctest HPACK
  doctest Huffman

  # Hexadecimal as the RFC prints it.
  defp hex(text), do: text |> String.replace(~r/\s/, "") |> Base.decode16!(case: :lower)

  # Decodes blocks one after the other; the fields of each, and the table's size behind it.
  defp decode_all(blocks, table) do
    {results, _table} =
      Enum.map_reduce(blocks, table, fn block, table ->
        {:ok, fields, table} = HPACK.decode(hex(block), table)
        {{fields, table.size}, table}
      end)

    results
  end

  # The dynamic table after the fields of a response with a field for each of 100 new names.
  defp crowded do
    fields = for n <- 1..100, do: {"name-#{n}", "value"}

    block =
      for {name, value} <- fields, do: [0x40, byte_size(name), name, byte_size(value), value]

    {:ok, ^fields, table} = HPACK.decode(IO.iodata_to_binary(block), HPACK.new())
    table
  end

  # RFC 7541, appendix C
  describe "decode/2, by the examples of the RFC" do
    test "reads integers (C.1)" do
      for {bytes, size} <- [{<<0x2A>>, 10}, {<<0x3F, 0x9A, 0x0A>>, 1337}] do
        assert {:ok, [], %HPACK{max_size: ^size}} = HPACK.decode(bytes, HPACK.new())
      end
    end

    test "reads each representation of a field (C.2)" do
      for {block, field, size} <- [
            {"400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
             {"custom-key", "custom-header"}, 55},
            {"040c 2f73 616d 706c 652f 7061 7468", {":path", "/sample/path"}, 0},
            {"1008 7061 7373 776f 7264 0673 6563 7265 74", {"password", "secret"}, 0},
            {"82", {":method", "GET"}, 0}
          ] do
        assert decode_all([block], HPACK.new()) == [{[field], size}]
      end
    end

    @requests [
      {[
         {":method", "GET"},
         {":scheme", "http"},
         {":path", "/"},
         {":authority", "www.example.com"}
       ], 57},
      {[
         {":method", "GET"},
         {":scheme", "http"},
         {":path", "/"},
         {":authority", "www.example.com"},
         {"cache-control", "no-cache"}
       ], 110},
      {[
         {":method", "GET"},
         {":scheme", "https"},
         {":path", "/index.html"},
         {":authority", "www.example.com"},
         {"custom-key", "custom-value"}
       ], 164}
    ]

    test "reads requests in plain text (C.3)" do
      blocks = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65"
      ]

      assert decode_all(blocks, HPACK.new()) == @requests
    end

    test "reads requests in Huffman code (C.4)" do
      blocks = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf"
      ]

      assert decode_all(blocks, HPACK.new()) == @requests
    end

    @responses [
      {[
         {":status", "302"},
         {"cache-control", "private"},
         {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
         {"location", "https://www.example.com"}
       ], 222},
      {[
         {":status", "307"},
         {"cache-control", "private"},
         {"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
         {"location", "https://www.example.com"}
       ], 222},
      {[
         {":status", "200"},
         {"cache-control", "private"},
         {"date", "Mon, 21 Oct 2013 20:13:22 GMT"},
         {"location", "https://www.example.com"},
         {"content-encoding", "gzip"},
         {"set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"}
       ], 215}
    ]

    test "reads responses in plain text, with a table that overflows (C.5)" do
      blocks = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
         2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
         6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
         54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
         5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
         3d31"
      ]

      assert decode_all(blocks, HPACK.new(256)) == @responses
    end

    test "reads responses in Huffman code, with a table that overflows (C.6)" do
      blocks = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
         77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
         9587 3160 65c0 03ed 4ee5 b106 3d50 07"
      ]

      assert decode_all(blocks, HPACK.new(256)) == @responses
    end
  end

  describe "decode/2" do
    test "keeps the newest entries that fit, and no others" do
      table = crowded()
      assert table.size <= 4096 and length(table.entries) < 100
      assert hd(table.entries) == {"name-100", "value"}
      assert {:ok, [{"name-100", "value"}], ^table} = HPACK.decode(<<0x80 + 62>>, table)
    end

    test "empties the table when its size is 0, and fills it again after the next size" do
      assert {:ok, [], %HPACK{entries: [], size: 0} = table} = HPACK.decode(<<0x20>>, crowded())
      assert {:ok, [{"a", "b"}], %{entries: []}} = HPACK.decode(<<0x40, 1, "a", 1, "b">>, table)

      # a size of 0 and then one of 64 in front of a field, as after two changes of the setting
      assert {:ok, [{"a", "b"}], %HPACK{entries: [{"a", "b"}], max_size: 64}} =
               HPACK.decode(<<0x20, 0x3F, 33, 0x40, 1, "a", 1, "b">>, crowded())
    end

    test "empties the table for an entry that is larger than it" do
      {:ok, [], table} = HPACK.decode(<<0x3F, 33>>, crowded())
      value = String.duplicate("v", 100)

      assert {:ok, [{"a", ^value}], %HPACK{entries: [], size: 0}} =
               HPACK.decode(<<0x40, 1, "a", 100, value::binary>>, table)
    end

    test "refuses what is malformed" do
      for {block, reason} <- [
            {<<0x80>>, "no table has an entry 0"},
            {<<0x80 + 62>>, "no table has an entry 62"},
            {<<0x82, 0x20>>, "size update behind a field"},
            {<<0x3F, 0xE2, 0x1F>>, "a table of 4097 bytes"},
            {<<0x40, 5, "abc">>, "cut short in a string"},
            {<<0x40, 1, "a">>, "cut short before a string"},
            {<<0xFF>>, "cut short in an integer"},
            {<<0xFF, 0x80, 0x80, 0x80, 0x80, 0x80, 1>>, "beyond every frame"},
            # padding of zeros, of a whole byte, and the end symbol
            {<<0x40, 0x81, 0b00000_000, 1, "a">>, "no Huffman code"},
            {<<0x40, 0x82, 0b00000_111, 0xFF, 1, "a">>, "no Huffman code"},
            {<<0x40, 0x84, 0xFFFF_FFFF::32, 1, "a">>, "no Huffman code"}
          ] do
        assert {:error, "HPACK: " <> text} = HPACK.decode(block, HPACK.new())
        assert text =~ reason
      end
    end

    test "finds a block cut short anywhere" do
      block = hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")

      for size <- 4..(byte_size(block) - 1) do
        assert {:error, _reason} = block |> binary_part(0, size) |> HPACK.decode(HPACK.new())
      end
    end
  end

  describe "encode/1" do
    test "is undone by decode/2, whatever the lengths" do
      fields =
        for size <- [0, 1, 126, 127, 128, 254, 255, 10_000] do
          {"name-#{size}", String.duplicate("v", size)}
        end

      block = fields |> HPACK.encode() |> IO.iodata_to_binary()
      assert HPACK.decode(block, HPACK.new()) == {:ok, fields, HPACK.new()}
    end
  end
end
