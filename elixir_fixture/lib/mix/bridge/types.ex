defmodule Mix.Bridge.Types do
  @moduledoc false

  # JSON Schemas of Python's annotations as types of Elixir: what a tool takes, and what it returns.

  @deepest 5

  @doc "What may be given for a value of this schema."
  @spec taken(map, map) :: String.t()
  def taken(schema, defs), do: type(schema, defs, :taken, @deepest)

  @doc "What comes as a value of this schema."
  @spec returned(map, map) :: String.t()
  def returned(schema, defs), do: type(schema, defs, :returned, @deepest)

  defp type(_schema, _defs, _way, 0), do: "term"

  defp type(%{"$ref" => "#/$defs/" <> name}, defs, way, depth),
    do: type(Map.get(defs, name, %{}), defs, way, depth - 1)

  defp type(%{"anyOf" => schemas}, defs, way, depth), do: union(schemas, defs, way, depth)
  defp type(%{"oneOf" => schemas}, defs, way, depth), do: union(schemas, defs, way, depth)

  defp type(%{"enum" => values}, _defs, way, _depth),
    do: values |> Enum.map(&value(&1, way)) |> any_of()

  defp type(%{"type" => types} = schema, defs, way, depth) when is_list(types),
    do: types |> Enum.map(&Map.put(schema, "type", &1)) |> union(defs, way, depth)

  defp type(%{"type" => "string", "format" => format}, _defs, way, _depth),
    do: formatted(format, way)

  defp type(%{"type" => "array", "format" => "tensor"}, _defs, :taken, _depth),
    do: "Bridge.Tensor.t() | [term]"

  defp type(%{"type" => "array", "format" => "tensor"}, _defs, :returned, _depth),
    do: "Bridge.Tensor.t()"

  defp type(%{"type" => "array", "items" => items}, defs, way, depth) when is_map(items),
    do: "[#{type(items, defs, way, depth - 1)}]"

  defp type(%{"type" => "object", "additionalProperties" => items}, defs, way, depth)
       when is_map(items) and items != %{},
       do: "%{optional(term) => #{type(items, defs, way, depth - 1)}}"

  defp type(%{"type" => type}, _defs, _way, _depth), do: plain(type)
  defp type(_anything, _defs, _way, _depth), do: "term"

  defp union(schemas, defs, way, depth),
    do: schemas |> Enum.map(&type(&1, defs, way, depth - 1)) |> any_of()

  defp any_of(types) do
    types = types |> Enum.flat_map(&members/1) |> Enum.uniq()
    if types == [] or "term" in types, do: "term", else: Enum.join(types, " | ")
  end

  # One with lists or maps in it may be a union inside of these, so it stays in one piece.
  defp members(type) do
    if String.contains?(type, ["[", "{"]), do: [type], else: String.split(type, " | ")
  end

  defp formatted("binary", :taken), do: "binary | {:bytes, iodata}"
  defp formatted("binary", :returned), do: "binary"

  defp formatted("date-time", _way),
    do: "DateTime.t() | NaiveDateTime.t() | String.t()"

  defp formatted("date", :taken), do: "Date.t() | String.t()"
  defp formatted("time", :taken), do: "Time.t() | String.t()"
  defp formatted("decimal", :taken), do: "String.t() | struct"
  defp formatted(_text, _way), do: "String.t()"

  defp plain("integer"), do: "integer"
  defp plain("number"), do: "number | :nan | :infinity | :neg_infinity"
  defp plain("string"), do: "String.t()"
  defp plain("boolean"), do: "boolean"
  defp plain("null"), do: "nil"
  defp plain("array"), do: "list"
  defp plain("object"), do: "map"
  defp plain(_unknown), do: "term"

  defp value(text, :taken) when is_binary(text), do: "String.t() | atom"
  defp value(text, :returned) when is_binary(text), do: "String.t()"
  defp value(number, _way) when is_integer(number), do: Integer.to_string(number)
  defp value(number, _way) when is_float(number), do: "float"
  defp value(atom, _way) when is_boolean(atom) or is_nil(atom), do: inspect(atom)
  defp value(_other, _way), do: "term"
end
