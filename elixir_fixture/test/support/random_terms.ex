defmodule Bridge.RandomTerms do
  @moduledoc """
  Terms of all kinds that MessagePack can carry, and some that no one would expect.

  They come from the process's own random numbers: seed these (`:rand.seed/2`) to have them again.
  """

  @doc "A term of at most so many levels."
  @spec term(non_neg_integer) :: term
  def term(depth \\ 3) do
    case :rand.uniform(if(depth > 0, do: 14, else: 10)) do
      1 -> nil
      2 -> :rand.uniform(2) == 1
      3 -> :rand.uniform(256) - 128
      4 -> (:rand.uniform(2) * 2 - 3) * Integer.pow(2, :rand.uniform(200))
      5 -> :rand.uniform() * 1.0e6
      6 -> :nan
      7 -> "text #{:rand.uniform(1000)} ü"
      8 -> <<0xFF, :rand.uniform(255)>>
      9 -> String.duplicate("long", div(20_000, :rand.uniform(100)))
      10 -> ~U[2026-11-28 12:00:00.000000Z]
      11 -> list(:rand.uniform(6) - 1, depth - 1)
      12 -> map(:rand.uniform(4) - 1, depth - 1)
      13 -> Bridge.Tensor.new!({:u, 8}, {2}, <<1, 2>>)
      14 -> %{"message" => term(depth - 1), "code" => term(depth - 1)}
    end
  end

  @doc "A list of so many terms."
  @spec list(non_neg_integer, non_neg_integer) :: list
  def list(length, depth), do: Enum.map(Enum.take(1..20, length), fn _ -> term(depth) end)

  defp map(size, depth) do
    keys = Enum.take_random(["a", "b", "levelno", "pathname", "lineno", "ü", <<0xFF>>, 7], size)
    Map.new(keys, &{&1, term(depth)})
  end
end
