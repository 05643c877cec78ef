defmodule MyApp do
  @moduledoc """
  What the application does with Python.
  """

  @doc "The mean of numbers."
  @spec mean([number]) :: {:ok, float} | {:error, Bridge.Error.t()}
  def mean(numbers), do: Bridge.call(MyApp.Python, "mean", [numbers])
end
