defmodule Bridge.Msgpack.Structs do
  @moduledoc false

  # What becomes of structs of packages that say nothing about it themselves. They are known by their names
  # as text: the packages need not be there, and compilers look for what is named.

  alias Bridge.{Table, Tensor}

  @doc "What makes a term of a struct that can be encoded; `:text`: `to_string/1`. `nil`: nothing is known."
  @spec form(module) :: (struct -> term) | :text | nil
  def form(module) do
    case Atom.to_string(module) do
      "Elixir." <> name when name in ["Decimal", "URI", "Version"] -> :text
      "Elixir.Nx.Tensor" -> &from_nx/1
      "Elixir.Explorer.DataFrame" -> &%Table{ipc: apply(module, :dump_ipc_stream!, [&1])}
      "Elixir.Explorer.Series" -> &apply(module, :to_list, [&1])
      _unknown -> nil
    end
  end

  @doc "What to do with a struct of which nothing is known."
  @spec remedy(module) :: String.t()
  def remedy(module) do
    case Atom.to_string(module) do
      "Elixir.Complex" ->
        "give a list of its :re and :im, or a tensor of type {:c, 128}"

      "Elixir.Stream" ->
        "make it a list first, with Enum.to_list/1"

      _unknown ->
        "make it a map first, with Map.from_struct/1, or have it encoded, with @derive Bridge.Encoder"
    end
  end

  defp from_nx(tensor) do
    nx = Module.concat(["Nx"])
    vectorized? = Map.get(tensor, :vectorized_axes, []) != []
    tensor = if vectorized?, do: apply(nx, :devectorize, [tensor]), else: tensor
    [type, shape, data] = for part <- [:type, :shape, :to_binary], do: apply(nx, part, [tensor])
    Tensor.new!(type, shape, data)
  end
end
