# Stand-ins of the same shape for structs of packages that cannot be installed here (there is no Hex):
# what the encoder asks of Nx, Decimal and Explorer, and no more.

defmodule Nx.Tensor do
  defstruct [:data, :type, :shape, :names, vectorized_axes: []]
end

defmodule Nx do
  def type(%Nx.Tensor{type: type}), do: type
  def to_binary(%Nx.Tensor{data: data}), do: data

  # as in Nx, without the axes over which a tensor is vectorized
  def shape(%Nx.Tensor{shape: shape}), do: shape

  def devectorize(%Nx.Tensor{shape: shape, vectorized_axes: axes} = tensor) do
    sizes = Keyword.values(axes) ++ Tuple.to_list(shape)
    %{tensor | shape: List.to_tuple(sizes), vectorized_axes: []}
  end
end

defmodule Decimal do
  defstruct [:sign, :coef, :exp]

  defimpl String.Chars do
    def to_string(%{sign: 1, coef: coef, exp: exp}), do: "#{coef}E#{exp}"
  end
end

defmodule Explorer.DataFrame do
  defstruct [:ipc]
  def dump_ipc_stream!(%__MODULE__{ipc: ipc}), do: ipc
end

defmodule Explorer.Series do
  defstruct [:list]
  def to_list(%__MODULE__{list: list}), do: list
end
