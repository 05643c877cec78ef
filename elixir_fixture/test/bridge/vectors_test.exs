defmodule Bridge.VectorsTest do
  # The files that the Python tests read as well. Their names say what must happen: y_ decodes to
  # the value and encodes to the bytes, n_ is refused, i_ may do either but must not crash.
  use ExUnit.Case, async: true

  alias Bridge.Msgpack

  @directory Path.expand("../../../tests/vectors", __DIR__)
  @files Path.wildcard(Path.join(@directory, "*.txt"))

  for file <- @files, do: @external_resource(file)

  test "there are vectors" do
    assert @files != [], "no test vectors in #{@directory}"
  end

  for file <- @files do
    vector =
      for line <- file |> File.read!() |> String.split("\n", trim: true),
          not String.starts_with?(line, "#"),
          [key, value] = String.split(line, ":", parts: 2),
          into: %{},
          do: {key, String.trim(value)}

    @vector Macro.escape(vector)
    @tag skip: vector["only"] == "python"

    test Path.basename(file, ".txt") do
      check(unquote(Path.basename(file)), unquote(@vector))
    end
  end

  defp check("y_" <> _name, vector) do
    {value, _bindings} = Code.eval_string(vector["elixir"])
    assert_same(Msgpack.decode!(bytes(vector["bytes"])), value)

    unless vector["skip-encode"] == "elixir" or vector["decode-only"] == "elixir" do
      expected = bytes(vector["reencodes"] || vector["bytes"])
      assert value |> Msgpack.encode!() |> IO.iodata_to_binary() == expected
    end
  end

  defp check("n_" <> _name, vector) do
    assert {:error, %Bridge.Error{code: :invalid_argument}} =
             Msgpack.decode(bytes(vector["bytes"]))
  end

  defp check("i_" <> _name, vector) do
    assert {result, _value_or_error} = Msgpack.decode(bytes(vector["bytes"]))
    assert result in [:ok, :error]
  end

  # Times are the same at any precision; of equal floats, 0.0 and -0.0 are told apart.
  defp assert_same(%DateTime{} = decoded, %DateTime{} = value) do
    assert DateTime.compare(decoded, value) == :eq
  end

  defp assert_same(decoded, value) do
    assert :erlang.term_to_binary(decoded) == :erlang.term_to_binary(plain(value))
  end

  # What can be sent as an explicit binary comes back as a plain one.
  defp plain({:bytes, iodata}), do: IO.iodata_to_binary(iodata)
  defp plain(list) when is_list(list), do: Enum.map(list, &plain/1)
  defp plain(%_{} = struct), do: struct
  defp plain(%{} = map), do: Map.new(map, fn {key, value} -> {plain(key), plain(value)} end)
  defp plain(term), do: term

  defp bytes(hex), do: hex |> String.replace(~r/\s/, "") |> Base.decode16!(case: :mixed)
end
