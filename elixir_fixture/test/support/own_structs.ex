defmodule Bridge.Test.Money do
  defstruct [:cents, :currency]
end

defimpl Bridge.Encoder, for: Bridge.Test.Money do
  def encode(money), do: %{cents: money.cents, currency: money.currency}
end

defmodule Bridge.Test.Order do
  @derive {Bridge.Encoder, only: [:number, :total]}
  defstruct [:number, :total, :__meta__]
end

defmodule Bridge.Test.Whole do
  @derive Bridge.Encoder
  defstruct [:a, :b]
end

defmodule Bridge.Test.Rest do
  @derive {Bridge.Encoder, except: [:secret]}
  defstruct [:name, :secret]
end

defmodule Bridge.Test.Endless do
  defstruct [:next]
end

defimpl Bridge.Encoder, for: Bridge.Test.Endless do
  def encode(value), do: [value]
end

defmodule Bridge.Test.Itself do
  defstruct []
end

defimpl Bridge.Encoder, for: Bridge.Test.Itself do
  def encode(value), do: value
end

defmodule Bridge.Test.Broken do
  defstruct [:how]
end

defimpl Bridge.Encoder, for: Bridge.Test.Broken do
  def encode(%{how: :raises}), do: raise(ArgumentError, "no rate for it")
  def encode(%{how: :throws}), do: throw(:ball)
  def encode(%{how: :pid}), do: %{pid: self()}
end
