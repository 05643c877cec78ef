defmodule Bridge.EncoderTest do
  use ExUnit.Case, async: true

  alias Bridge.{Error, Msgpack, Table, Tensor}
  alias Bridge.Test.{Broken, Endless, Itself, Money, Order, Rest, Whole}

  doctest Table

  defp passed(term) do
    {:ok, value} = term |> Msgpack.encode!() |> IO.iodata_to_binary() |> Msgpack.decode()
    value
  end

  defp refusal(term) do
    assert {:error, %Error{code: :invalid_argument} = error} = Msgpack.encode(term, "args")
    error.message
  end

  describe "structs of one's own" do
    test "are what they say" do
      money = %Money{cents: 5, currency: "EUR"}
      map = %{"cents" => 5, "currency" => "EUR"}
      assert passed(money) == map
      assert passed([%{"a" => {money, money}}]) == [%{"a" => [map, map]}]
      assert passed(%Order{number: 1, total: money}) == %{"number" => 1, "total" => map}
      assert passed(%Whole{a: 1}) == %{"a" => 1, "b" => nil}
      assert passed(%Rest{name: "x", secret: "y"}) == %{"name" => "x"}
    end

    test "are refused with the way out if they say nothing" do
      assert refusal(%{order: [%{__struct__: Unknown}]}) =~
               "args.order[0] is a %Unknown{}; make it a map first, with Map.from_struct/1, or have it encoded, with @derive Bridge.Encoder"

      assert refusal(%{__struct__: Complex, re: 1.0, im: 2.0}) =~ "give a list of its :re and :im"
    end

    test "that fail are errors that name the place" do
      assert refusal([%Broken{how: :raises}]) ==
               "args[0] is a %Bridge.Test.Broken{} that cannot be encoded: no rate for it"

      assert refusal([%Broken{how: :throws}]) =~ "cannot be encoded: throw :ball"
      assert refusal([%Broken{how: :pid}]) =~ "args[0].pid is a pid"
    end

    test "that stand for themselves come to an end" do
      for value <- [%Itself{}, %Endless{}, [%{a: %Itself{}}]] do
        assert refusal(value) ==
                 "args has structs that Bridge.Encoder makes structs of without end"
      end
    end

    test "derive nothing that is not there" do
      code = """
      defmodule Bridge.Test.Wrong do
        @derive {Bridge.Encoder, only: [:nmae]}
        defstruct [:name]
      end
      """

      # on the error output: that protocols are consolidated already
      ExUnit.CaptureIO.capture_io(:stderr, fn ->
        assert_raise ArgumentError, ~r/has no field nmae/, fn -> Code.eval_string(code) end
        code = String.replace(code, "only: [:nmae]", "onyl: [:name]")
        assert_raise ArgumentError, ~r/takes only: and except/, fn -> Code.eval_string(code) end
      end)
    end
  end

  # of packages that are not here: test/support/foreign_structs.ex
  describe "structs of packages" do
    test "of Nx are tensors" do
      tensor = %Nx.Tensor{data: <<1, 2, 3, 4>>, type: {:u, 8}, shape: {2, 2}}
      assert passed([tensor]) == [%Tensor{type: {:u, 8}, shape: {2, 2}, data: <<1, 2, 3, 4>>}]
      vectorized = %{tensor | shape: {2}, vectorized_axes: [x: 2]}
      assert passed(vectorized).shape == {2, 2}

      assert refusal(%{tensor | type: {:f8, 8}}) =~
               "cannot be encoded: a tensor has a type such as"

      assert refusal(%{tensor | data: <<1>>}) =~ "has 4 bytes, got 1"
    end

    test "of Decimal, URI and Version are text" do
      assert passed(%Decimal{sign: 1, coef: 15, exp: -1}) == "15E-1"
      assert passed(URI.parse("http://a/b?c=1")) == "http://a/b?c=1"
      assert passed(Version.parse!("1.2.3")) == "1.2.3"
    end

    test "of Explorer are tables and lists" do
      ipc = <<255, 255, 255, 255, 0, 0, 0, 0>>
      assert passed([%Explorer.DataFrame{ipc: ipc}]) == [%Table{ipc: ipc}]
      assert passed(%Explorer.Series{list: [1, nil]}) == [1, nil]
    end
  end

  describe "tables" do
    test "come back as they went, of any size" do
      for size <- [8, 255, 256, 65_535, 65_536, 200_000] do
        table = %Table{ipc: :binary.copy(<<255>>, size)}
        assert passed(table) == table
        assert passed(%{"t" => [table]}) == %{"t" => [table]}
      end
    end

    test "are refused if they are none at first sight" do
      assert refusal([%Table{ipc: "ARROW1\0\0"}]) =~ "args[0] is not a table: this is a file of"
      assert refusal([%Table{ipc: [1]}]) =~ "holds the bytes of an Arrow IPC stream, got [1]"
      assert refusal([%Table{ipc: ""}]) =~ "is not a table"
      assert_raise ArgumentError, fn -> Table.new!("ARROW1\0\0") end
    end
  end

  test "a range too long for the memory is refused" do
    assert passed(1..3) == [1, 2, 3]
    assert refusal([1..1_000_000_000_000]) =~ "args[0] is a range of 1000000000000 numbers"
  end
end
