defmodule Bench.Series do
  @moduledoc "Figures of a list of times in nanoseconds."

  @doc "Median, 99th and 99.9th percentile, in microseconds."
  def summary(times) do
    sorted = times |> Enum.sort() |> List.to_tuple()

    %{
      "p50_us" => at(sorted, 0.5) / 1000,
      "p99_us" => at(sorted, 0.99) / 1000,
      "p999_us" => at(sorted, 0.999) / 1000
    }
  end

  @doc "The middle of a list, or the mean of the two in the middle."
  def median(list) do
    sorted = Enum.sort(list)
    count = length(sorted)
    (Enum.at(sorted, div(count - 1, 2)) + Enum.at(sorted, div(count, 2))) / 2
  end

  @doc "`[share, microseconds]` pairs that draw the distribution, dense towards its slow end."
  def quantiles_us(times) do
    sorted = times |> Enum.sort() |> List.to_tuple()

    shares =
      Enum.map(0..50, &(&1 / 50 * 0.9)) ++ Enum.map(1..40, &(1 - 0.1 * :math.pow(0.85, &1)))

    for share <- shares, do: [share, at(sorted, share) / 1000]
  end

  defp at(sorted, share),
    do: elem(sorted, min(trunc(tuple_size(sorted) * share), tuple_size(sorted) - 1))
end
