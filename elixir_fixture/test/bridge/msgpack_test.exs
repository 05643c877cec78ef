defmodule Bridge.MsgpackTest do
  use ExUnit.Case, async: true

  alias Bridge.{Error, Msgpack, Tensor}

  doctest Msgpack

  defmodule Point do
    defstruct [:x]
  end

  defp encode(term), do: term |> Msgpack.encode!() |> IO.iodata_to_binary()

  defp assert_round_trip(term), do: assert(term |> encode() |> Msgpack.decode() == {:ok, term})

  defp refusal(term, name \\ "value") do
    assert {:error, %Error{code: :invalid_argument, started: false} = error} =
             Msgpack.encode(term, name)

    error.message
  end

  describe "round trips" do
    test "of integers at every boundary" do
      for bits <- [5, 7, 8, 15, 16, 31, 32, 63, 64, 65, 128, 2000],
          off <- -2..2,
          sign <- [1, -1] do
        assert_round_trip(sign * Integer.pow(2, bits) + off)
      end
    end

    test "of text and bytes at every boundary" do
      for size <- [0, 1, 31, 32, 255, 256, 65_535, 65_536] do
        assert_round_trip(:binary.copy("x", size))
        assert_round_trip(:binary.copy(<<0xFF>>, size))
      end
    end

    test "of lists and maps at every boundary" do
      for size <- [0, 1, 15, 16, 65_535, 65_536] do
        assert_round_trip(List.duplicate(nil, size))
        assert_round_trip(Map.new(Enum.take(1..65_536, size), &{&1, true}))
      end
    end

    test "of floats" do
      for float <- [0.0, -0.0, 1.5, 0.1, 1.0e308, 5.0e-324, :nan, :infinity, :neg_infinity] do
        assert_round_trip(float)
      end
    end

    test "of times" do
      for {time, size} <- [
            {~U[1970-01-01 00:00:00.000000Z], 6},
            {~U[2106-02-07 06:28:15.000000Z], 6},
            {~U[2106-02-07 06:28:16.000000Z], 10},
            {~U[2514-05-30 01:53:03.999999Z], 10},
            {~U[2514-05-30 01:53:04.000000Z], 15},
            {~U[1969-12-31 23:59:59.999999Z], 15},
            {~U[0001-01-01 00:00:00.000000Z], 15},
            {~U[9999-12-31 23:59:59.999999Z], 15}
          ] do
        assert_round_trip(time)
        assert byte_size(encode(time)) == size
      end
    end

    test "of tensors" do
      assert_round_trip(Tensor.new!({:f, 32}, {2, 2}, <<0::128>>))
    end

    test "of random terms" do
      :rand.seed(:exsss, {1, 2, 3})
      for _ <- 1..500, do: assert_round_trip(random_term(3))
    end
  end

  describe "encode/1" do
    test "chooses the shortest form" do
      for {term, bytes} <- [
            {127, <<0x7F>>},
            {128, <<0xCC, 128>>},
            {-32, <<0xE0>>},
            {-33, <<0xD0, -33>>},
            {2 ** 64, <<0xC7, 10, 1, 0, 1, 0::64>>},
            {~U[2026-11-23 12:00:00Z], <<0xD6, -1, 0x6B042AC0::32>>},
            {:infinity, <<0xCB, 0x7FF0::16, 0::48>>}
          ] do
        assert encode(term) == bytes
      end
    end

    test "makes text of UTF-8, and bytes of the rest" do
      assert encode("ü") == <<0xA2, "ü">>
      assert encode(<<0xFF>>) == <<0xC4, 1, 0xFF>>
      assert encode({:bytes, ["ra", ?w]}) == <<0xC4, 3, "raw">>
    end

    test "makes plain values of atoms, tuples and well-known structs" do
      assert_same({:ok, [1]}, ["ok", [1]])
      assert_same(%{a: :b}, %{"a" => "b"})
      assert_same(1..3, [1, 2, 3])
      assert_same(MapSet.new([7]), [7])
      assert_same(~D[2026-11-23], "2026-11-23")
      assert_same(~T[12:00:00], "12:00:00")
      assert_same(~N[2026-11-23 12:00:00], "2026-11-23T12:00:00")
    end

    test "makes maps of keyword lists at any depth, in their order" do
      for {term, same} <- [
            {[lr: 0.1, epochs: 3], %{"lr" => 0.1, "epochs" => 3}},
            {%{options: [a: [b: [c: 1]]]}, %{"options" => %{"a" => %{"b" => %{"c" => 1}}}}},
            {[[a: 1], [b: 2]], [%{"a" => 1}, %{"b" => 2}]},
            {{:ok, [a: {1, [b: 2]}]}, ["ok", %{"a" => [1, %{"b" => 2}]}]},
            {[nil: 1], %{nil => 1}},
            {[bytes: "x", name: "y"], %{"bytes" => "x", "name" => "y"}},
            # what only looks like one
            {[], []},
            {[{:bytes, "x"}, {:bytes, "y"}], ["x", "y"]},
            {[{"a", 1}], [["a", 1]]},
            {{{:a, 1}, {:b, 2}}, [["a", 1], ["b", 2]]},
            {[{:a, 1}, {:b, 2, 3}], [["a", 1], ["b", 2, 3]]},
            {[{:a, 1}, :b], [["a", 1], "b"]}
          ] do
        assert {term, term |> encode() |> Msgpack.decode()} == {term, {:ok, same}}
      end

      assert encode(b: 1, a: 2) == <<0x82, 0xA1, "b", 1, 0xA1, "a", 2>>
      assert refusal([a: 1, b: 2, a: 3], "args") =~ "args is a keyword list that has the name :a"
      assert refusal(%{o: [[a: 1, a: 1]]}, "args") =~ "args.o[0] is a keyword list"
      assert refusal([{:a, 1} | :b]) =~ "improper"
    end

    test "turns a time of any zone into the same instant" do
      vienna = %{
        ~U[2026-11-23 13:00:00Z]
        | time_zone: "Europe/Vienna",
          zone_abbr: "CET",
          utc_offset: 3600
      }

      assert encode(vienna) == encode(~U[2026-11-23 12:00:00Z])
    end

    test "does not copy large binaries" do
      data = :binary.copy(<<0>>, 100_000)
      assert [_header, ^data] = Msgpack.encode!({:bytes, data})
    end

    test "names the place of what it refuses" do
      assert refusal(%{scores: [1, 2, {3, self()}]}, "args") =~ "args.scores[2][1] is a pid"
      assert refusal(%{"odd key" => fn -> 1 end}) =~ ~s(value["odd key"] is a function)
      assert refusal([%{1 => make_ref()}]) =~ "value[0][1] is a reference"
      assert refusal([<<1::3>>]) =~ "value[0] is a bitstring"
      assert refusal([%Point{x: 1}]) =~ "value[0] is a %Bridge.MsgpackTest.Point{}"
      assert refusal(%{<<255>> => self()}) =~ "value[<<255>>] is a pid"
      assert refusal(%{a: [1 | 2]}) =~ "value.a is an improper list"
      assert refusal(bytes: 1) =~ "value[0] is {:bytes, ...} around what is no iodata"
      assert refusal(%Tensor{type: {:f, 32}, shape: {2}, data: <<>>}) =~ "value is not a tensor"
    end

    test "refuses structs that their modules do not know" do
      for broken <- [
            %{~U[2024-01-01 10:00:00Z] | month: 13},
            %{~D[2024-01-01] | month: :x},
            %{~N[2024-01-01 10:00:00] | calendar: NoSuchCalendar},
            %{__struct__: DateTime},
            %{__struct__: MapSet, map: 5},
            %{__struct__: Range, first: 1},
            %{__struct__: Tensor}
          ] do
        assert refusal([broken]) =~ ~r/^value\[0\] is no [A-Z]\S+: ./
      end
    end

    test "refuses a range that no message holds, at once" do
      assert refusal(%{a: 1..10_000_000_000//3}) =~
               "value.a is a range of 3333333334 numbers, too many"
    end

    test "refuses keys that are no scalars" do
      assert refusal(%{a: %{{1, 2} => 3}}) =~ "value.a has the key {1, 2}"
      assert refusal(%{{:bytes, 1} => 2}) =~ "is {:bytes, ...} around what is no iodata"
    end

    test "refuses two keys that are one to Python" do
      assert refusal([%{:a => 1, "a" => 2}]) =~
               ~s(value[0] has the keys :a and "a", which are one key in Python)

      assert refusal(%{a: %{1 => 1, 1.0 => 2}}, "args") ==
               "args.a has the keys 1.0 and 1, which are one key in Python"

      for {key, other} <- [
            {1, true},
            {1.0, true},
            {0, 0.0},
            {0, -0.0},
            {0, false},
            {0.0, false},
            {-0.0, false},
            {-3, -3.0},
            # the largest integers that floats count one by one, and beyond
            {2 ** 53, 9_007_199_254_740_992.0},
            {2 ** 60, 1_152_921_504_606_846_976.0},
            {-(2 ** 70), -(2.0 ** 70)},
            {trunc(1.0e300), 1.0e300},
            {{:bytes, "a"}, {:bytes, ["a"]}},
            {{:bytes, [?a]}, {:bytes, "a"}},
            {{:bytes, <<255>>}, <<255>>},
            {{:bytes, [255]}, <<255>>}
          ] do
        message = refusal(%{key => 1, other => 2, "more" => 3})
        assert message =~ "which are one key in Python"
        assert message =~ inspect(key) and message =~ inspect(other)
      end
    end

    test "takes keys that only look alike" do
      for {key, other} <- [
            {1, 1.5},
            {1, "1"},
            {1.0, "1.0"},
            {1.0, "true"},
            {2, true},
            {-1, true},
            {0, nil},
            {false, nil},
            {2 ** 53 + 1, 9_007_199_254_740_992.0},
            {2 ** 60 + 1, 1_152_921_504_606_846_976.0},
            {10 ** 23, 1.0e23},
            {0, 5.0e-324}
          ] do
        assert_round_trip(%{key => 1, other => 2})
      end

      assert {:ok, _} = Msgpack.encode(%{{:bytes, "a"} => 1, "a" => 2})
    end

    test "refuses what is nested too deeply" do
      assert_round_trip(nest(1023))
      assert refusal([nest(1024)]) =~ "value is nested more than 1024 levels deep"
    end
  end

  describe "decode/1" do
    test "leaves text that is not UTF-8 as it is" do
      assert Msgpack.decode(<<0xA1, 0xFF>>) == {:ok, <<0xFF>>}
    end

    test "keeps no large binary alive for a small part of it" do
      large = :binary.copy(<<0xFF>>, 1_000_000)
      half = :binary.copy("x", 400_000)

      frame =
        encode([%{"id" => "a name", "data" => large}, half, Tensor.new!({:u, 8}, {2}, "xy")])

      assert {:ok, [%{"id" => id, "data" => data} = map, text, tensor]} = Msgpack.decode(frame)
      assert {data, text, tensor.data} == {large, half, "xy"}

      for part <- [id, tensor.data | Map.keys(map)] do
        assert :binary.referenced_byte_size(part) <= 64
      end

      # those are no copies, which would cost more than they give back
      for part <- [data, text] do
        assert :binary.referenced_byte_size(part) == byte_size(frame)
      end
    end

    test "takes any map key" do
      assert Msgpack.decode(<<0x81, 0x92, 1, 2, 3>>) == {:ok, %{[1, 2] => 3}}
    end

    test "takes floats of 32 bits" do
      assert Msgpack.decode(<<0xCA, 1.5::float-32>>) == {:ok, 1.5}
      assert Msgpack.decode(<<0xCA, 0x7F800000::32>>) == {:ok, :infinity}
      assert Msgpack.decode(<<0xCA, 0xFF800000::32>>) == {:ok, :neg_infinity}
      assert Msgpack.decode(<<0xCA, 0xFFC00001::32>>) == {:ok, :nan}
    end

    test "cuts nanoseconds off" do
      assert Msgpack.decode(<<0xD7, -1, 1_999::30, 0::34>>) ==
               {:ok, ~U[1970-01-01 00:00:00.000001Z]}
    end

    test "refuses every truncation" do
      whole =
        encode([
          1,
          -300,
          2 ** 70,
          "text",
          <<255, 254>>,
          %{"k" => [1.5, nil, ~U[2026-11-23 12:00:00Z]]}
        ])

      for size <- 0..(byte_size(whole) - 1) do
        assert {:error, %Error{}} = whole |> binary_part(0, size) |> Msgpack.decode()
      end
    end

    test "refuses what is malformed" do
      for binary <- [
            <<0xC1>>,
            <<1, 2>>,
            # lengths far beyond the data
            <<0xDB, 0xFFFFFFFF::32>>,
            <<0xDD, 0xFFFFFFFF::32, 1>>,
            <<0xDF, 0xFFFFFFFF::32, 1, 1>>,
            # extension types: unknown, and malformed
            <<0xD4, 99, 0>>,
            <<0xD5, -1, 0, 0>>,
            <<0xD7, -1, 1_000_000_000::30, 0::34>>,
            <<0xC7, 12, -1, 0::32, 0x7FFF_FFFF_FFFF_FFFF::64>>,
            <<0xD5, 1, 2, 1>>,
            <<0xD4, 1, 0>>,
            <<0xC7, 3, 1, 0, 0, 1>>,
            <<0xC9, 600_001::32, 1, 0, 1, 0::4_799_992>>,
            <<0xD4, 2, 0>>
          ] do
        assert {:error, %Error{code: :invalid_argument}} = Msgpack.decode(binary)
      end
    end

    test "survives deep nesting" do
      assert {:error, %Error{}} = Msgpack.decode(:binary.copy(<<0x91>>, 100_000))
      assert {:error, %Error{}} = Msgpack.decode(:binary.copy(<<0x81, 1>>, 100_000))
      assert {:ok, _} = Msgpack.decode(:binary.copy(<<0x91>>, 1023) <> <<0x90>>)
      assert {:error, %Error{}} = Msgpack.decode(:binary.copy(<<0x91>>, 1024) <> <<0x90>>)
    end

    test "survives random bytes" do
      :rand.seed(:exsss, {4, 5, 6})

      for _ <- 1..20_000 do
        assert {result, _} = Msgpack.decode(:rand.bytes(:rand.uniform(20)))
        assert result in [:ok, :error]
      end
    end
  end

  defp assert_same(term, plain), do: assert(encode(term) == encode(plain))

  # As many lists around an empty list.
  defp nest(levels), do: Enum.reduce(1..levels, [], fn _, inner -> [inner] end)

  defp random_term(0), do: random_scalar()

  defp random_term(depth) do
    case :rand.uniform(4) do
      1 -> for _ <- 1..:rand.uniform(20), do: random_term(depth - 1)
      2 -> for _ <- 1..:rand.uniform(20), into: %{}, do: {random_key(), random_term(depth - 1)}
      _ -> random_scalar()
    end
  end

  # No true beside a 1: that is one key to Python.
  defp random_key, do: Enum.random([random_integer(), random_text(), nil, 0.5])

  defp random_scalar do
    case :rand.uniform(6) do
      1 -> Enum.random([nil, true, false, :nan, :infinity, :neg_infinity])
      2 -> random_integer()
      3 -> :rand.normal() * 1.0e10
      4 -> random_text()
      5 -> :rand.bytes(:rand.uniform(300))
      6 -> DateTime.from_unix!(:rand.uniform(2 ** 55), :microsecond)
    end
  end

  defp random_integer do
    bits = :rand.uniform(80)
    Enum.random([1, -1]) * :rand.uniform(2 ** bits)
  end

  defp random_text,
    do: for(_ <- 1..:rand.uniform(40), into: "", do: <<Enum.random(?a..?ž)::utf8>>)
end
