defmodule Bridge.TensorTest do
  use ExUnit.Case, async: true

  alias Bridge.Tensor

  doctest Tensor

  @types [u: 8, u: 16, u: 32, u: 64, s: 8, s: 16, s: 32, s: 64] ++
           [f: 16, f: 32, f: 64, bf: 16, c: 64, c: 128]

  describe "encode/1 and decode/1" do
    test "round every type and rank" do
      for {_kind, bits} = type <- @types,
          shape <- [{}, {0}, {3}, {2, 3}, {2, 0, 5}, {1, 1, 1, 2}] do
        size = shape |> Tuple.to_list() |> Enum.product()
        tensor = Tensor.new!(type, shape, :binary.copy(<<7>>, size * div(bits, 8)))
        {:ok, iodata} = Tensor.encode(tensor)
        assert Tensor.decode(IO.iodata_to_binary(iodata)) == {:ok, tensor}
      end
    end

    test "copy no elements" do
      data = :binary.copy(<<1>>, 1000)

      {:ok, [_type, _rank, _shape | ^data]} =
        {:u, 8} |> Tensor.new!({1000}, data) |> Tensor.encode()
    end
  end

  describe "new!/3" do
    test "refuses what does not fit" do
      for {type, shape, data} <- [
            {{:f, 32}, {2}, <<0::32>>},
            {{:f, 32}, {2}, <<0::96>>},
            {{:f, 31}, {1}, <<0::32>>},
            {{:u, 8}, {-1}, <<>>},
            {{:u, 8}, {:x}, <<0>>},
            {{:u, 8}, [1], <<0>>},
            {{:u, 8}, {1}, [0]},
            {:u8, {1}, <<0>>},
            {{:u, 8}, Tuple.duplicate(1, 33), <<0>>}
          ] do
        assert_raise ArgumentError, fn -> Tensor.new!(type, shape, data) end
      end
    end
  end

  describe "decode/1" do
    test "refuses what is no tensor" do
      f32 = <<"f32", 0::40>>

      for binary <- [
            <<>>,
            f32,
            <<f32::binary, 1::little-64>>,
            <<f32::binary, 1::little-64, 1::little-64>>,
            <<f32::binary, 1::little-64, 1::little-64, 0::40>>,
            <<f32::binary, 33::little-64>>,
            <<f32::binary, 0xFFFF_FFFF_FFFF_FFFF::64, 0::64>>,
            <<f32::binary, 2::little-64, 0xFFFF_FFFF_FFFF_FFFF::64, 0xFFFF_FFFF_FFFF_FFFF::64>>,
            <<"object", 0::16, 0::little-64>>
          ] do
        assert {:error, reason} = Tensor.decode(binary)
        assert is_binary(reason)
      end
    end
  end
end
