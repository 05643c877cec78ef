defmodule Bridge.DecodersTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Client, Error, Msgpack, Pool}

  @moduletag :capture_log

  defp start(decoders, opts \\ []) do
    options(Keyword.merge([adapter: "value_tools:Tools", decoders: decoders], opts))
  end

  defp client(decoders, opts \\ []) do
    start_supervised!({Client, start(decoders, opts)})
  end

  defp money(%{"cents" => cents, "currency" => currency}), do: {cents, currency}

  describe "objects of classes that have a decoder" do
    test "are what it makes, wherever they stand" do
      python =
        client(%{
          "value_tools.Money" => &money/1,
          "value_tools.Order" => &{:order, &1},
          "value_tools.Colour" => &String.to_existing_atom/1,
          "value_tools.Secret" => &{:secret, &1},
          "decimal.Decimal" => &{:decimal, &1}
        })

      assert Bridge.call(python, "money", [5]) == {:ok, {5, "EUR"}}

      assert Bridge.call(python, "everything") ==
               {:ok,
                %{
                  # innermost first, those of derived classes too
                  "order" =>
                    {:order, %{"lines" => [{1, "EUR"}, {2, "EUR"}], "total" => {3, "EUR"}}},
                  "colour" => :red,
                  "price" => [{:decimal, "1.50"}],
                  "secret" => {:secret, ["sesame", {1, "EUR"}]},
                  {:decimal, "1.50"} => 1
                }}

      assert python |> Bridge.stream("monies", [3]) |> Enum.to_list() ==
               [{0, "EUR"}, {1, "EUR"}, {2, "EUR"}]

      assert {:ok, [{<<"xxx", _::binary>>, "EUR"}, <<"yyy", _::binary>>]} =
               Bridge.call(python, "large")
    end

    test "are what they were without one" do
      plain = %{"cents" => 5, "currency" => "EUR"}

      for decoders <- [%{}, %{"value_tools.Debt" => &money/1}] do
        python = client(decoders)
        assert Bridge.call(python, "money", [5]) == {:ok, plain}
        stop_supervised!(Client)
      end
    end

    test "reach functions in Elixir likewise, and processes and the log without" do
      test = self()

      take = fn one, many ->
        send(test, {:took, one, many})
        :ok
      end

      functions = %{"take" => take}
      decoders = %{"value_tools.Money" => &money/1}
      python = client(decoders, functions: functions, processes: %{"test" => test})
      assert Bridge.call(python, "in_elixir", ["take"]) == {:ok, "ok"}
      assert_receive {:took, {7, "EUR"}, [{8, "EUR"}]}
      assert Bridge.call(python, "tell") == {:ok, nil}
      assert_receive {Bridge, "test", %{"cents" => 9}}
      assert Bridge.call(python, "report") == {:ok, nil}
    end

    test "are decoded for callers of a pool" do
      opts = start(%{"value_tools.Money" => &money/1}, processes: 1)
      python = start_supervised!({Pool, opts})
      assert Bridge.call(python, "money", [5]) == {:ok, {5, "EUR"}}

      assert python |> Bridge.stream("monies", [2]) |> Enum.to_list() ==
               [{0, "EUR"}, {1, "EUR"}]
    end
  end

  describe "a decoder that raises" do
    test "is the error of its call, and of no other" do
      python = client(%{"value_tools.Money" => fn %{"cents" => 1} -> :one end})

      assert {:error, %Error{code: :internal, type: "FunctionClauseError", started: true} = error} =
               Bridge.call(python, "money", [5])

      assert error.message =~ "the decoder of value_tools.Money failed: no function clause"
      assert Bridge.call(python, "money", [1]) == {:ok, :one}

      assert_raise Error, ~r/decoder of value_tools.Money/, fn ->
        python |> Bridge.stream("monies", [3]) |> Enum.to_list()
      end

      assert Bridge.call(python, "money", [1]) == {:ok, :one}
    end

    test "runs in the process that calls" do
      python = client(%{"value_tools.Money" => fn _money -> self() end})
      assert Bridge.call(python, "money", [1]) == {:ok, self()}
    end
  end

  test "what cannot be encoded in such an object has its path" do
    python = client(%{"value_tools.Money" => &money/1})

    assert {:error, %Error{type: "bridge.errors.EncodeError"} = error} =
             Bridge.call(python, "unencodable")

    assert error.message =~ "result[0].cents cannot be encoded"
  end

  test "an object for which there is no decoder is no value" do
    wire = <<0x81, 0xC7, 5, 4, "a.Eur", 0x02>>
    assert {:error, error} = Msgpack.decode(wire)
    assert error.message =~ ~s(an object of "a.Eur", for which there is no decoder)
    # the name alone, and one that is one key of two
    for wire <- [<<0xC7, 5, 4, "a.Eur">>, <<0x82, 1, 2, 0xC7, 5, 4, "a.Eur", 0x02>>] do
      assert {:error, error} = Msgpack.decode(wire, %{"a.Eur" => & &1})
      assert error.message =~ "extension type 4"
    end
  end

  test "levels are counted within objects as outside" do
    named = <<0x81, 0xC7, 5, 4, "a.Eur">>
    deep = fn n -> String.duplicate(named, n) <> <<0>> end
    assert {:ok, 1024} = Msgpack.decode(deep.(1024), %{"a.Eur" => &(&1 + 1)})
    assert {:error, error} = Msgpack.decode(deep.(1025), %{"a.Eur" => &(&1 + 1)})
    assert error.message =~ "levels deep"
  end

  test "what is no decoder is refused before there is a process" do
    for decoders <- [[], %{money: & &1}, %{"a" => 1}, %{"a" => fn -> 1 end}, %{"" => & &1}] do
      assert_raise ArgumentError, ~r/:decoders to be a map of functions/, fn ->
        Client.start_link(start(decoders))
      end
    end
  end
end
