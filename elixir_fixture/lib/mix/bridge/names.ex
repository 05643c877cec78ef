defmodule Mix.Bridge.Names do
  @moduledoc false

  # Names of Python as names of Elixir's functions and variables.

  @reserved ~w(after and catch do else end false fn in nil not or rescue true when) ++
              ~w(__MODULE__ __CALLER__ __ENV__ __DIR__ __STACKTRACE__ __struct__ __info__ module_info behaviour_info)
  # Macros and special forms are no names of functions that could be called without their module.
  @macros Enum.map(
            Kernel.__info__(:macros) ++ Kernel.SpecialForms.__info__(:macros),
            &Atom.to_string(elem(&1, 0))
          )
  # An atom has at most 255 characters, and some are put behind to tell names apart.
  @longest 200
  @own ~w(client arguments options by_name)

  @doc "The function for each tool, by the tool's name: no two are the same."
  @spec functions([String.t()]) :: %{String.t() => String.t()}
  def functions(names) do
    names
    |> Enum.sort()
    |> Enum.map_reduce(MapSet.new(["by_name"]), fn name, taken ->
      function = unique(identifier(name, "tool", @reserved ++ @macros), taken)
      {{name, function}, MapSet.put(taken, function)}
    end)
    |> elem(0)
    |> Map.new()
  end

  @doc "The variable for each parameter, in their order: no two are the same."
  @spec variables([String.t()]) :: [String.t()]
  def variables(names) do
    names
    |> Enum.map_reduce(MapSet.new(@own), fn name, taken ->
      variable = unique(identifier(name, "argument", @reserved), taken)
      {variable, MapSet.put(taken, variable)}
    end)
    |> elem(0)
  end

  defp identifier(name, otherwise, reserved) do
    words =
      name
      |> Macro.underscore()
      |> String.replace(~r/[^a-zA-Z0-9]+/, "_")
      |> String.downcase()
      |> String.slice(0, @longest)
      |> String.trim("_")

    cond do
      words == "" -> otherwise
      words =~ ~r/^[0-9]/ -> "#{otherwise}_#{words}"
      words in reserved -> words <> "_"
      true -> words
    end
  end

  defp unique(name, taken) do
    if name in taken do
      Enum.find(Stream.map(Stream.iterate(2, &(&1 + 1)), &"#{name}_#{&1}"), &(&1 not in taken))
    else
      name
    end
  end
end
