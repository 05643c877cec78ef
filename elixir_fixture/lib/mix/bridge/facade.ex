defmodule Mix.Bridge.Facade do
  @moduledoc false

  # The source of a module with one function for each tool. A pure function of what Python tells of its
  # tools; whatever text that is, it stands in the source as text.

  alias Mix.Bridge.{Names, Types}

  @mark "# Written by `mix bridge.gen`"

  @doc "How each source begins."
  @spec mark() :: String.t()
  def mark, do: @mark

  # A function has at most 255: the client, those by name and the options come on top.
  @most_arguments 250

  @doc "The source of `module` for the tools of `adapter`, as `bridge tools` describes them."
  @spec source(String.t(), String.t(), [map]) :: String.t()
  def source(module, adapter, tools) do
    tools = Enum.sort_by(tools, & &1["name"])
    functions = Names.functions(Enum.map(tools, & &1["name"]))
    written = Enum.map(tools, &function(&1, Map.fetch!(functions, &1["name"])))

    """
    #{@mark}, which compares it with Python's tools (--check). Do not edit.
    defmodule #{module} do
      @moduledoc #{text("The tools of `#{adapter}`, as functions.\n\nEach takes the client or pool first, and the options of `Bridge.call/4` or `Bridge.stream/4` last.")}

      #{Enum.map_join(written, "\n\n", & &1.source)}
      #{if Enum.any?(written, & &1.named), do: helper()}
    end
    """
    |> Code.format_string!()
    |> IO.iodata_to_binary()
    |> Kernel.<>("\n")
  end

  defp helper do
    """

    defp by_name(given, arguments) do
      Enum.into(arguments, given, fn {name, value} -> {to_string(name), value} end)
    end
    """
  end

  defp function(tool, name) do
    kinds = Enum.map(tool["parameters"], & &1["kind"])
    many? = Enum.count(tool["parameters"], & &1["required"]) > @most_arguments
    function(tool, name, if("rest" in kinds or many?, do: :any, else: :named))
  end

  # Further arguments by position: a list or a map, as `Bridge.call/4` takes them.
  defp function(tool, name, :any) do
    %{
      named: false,
      source: """
      @doc #{doc(tool, "`arguments` is a list, by position, or a map or keyword list, by name.")}
      @spec #{name}(Bridge.client(), Bridge.args(), keyword) :: #{result(tool)}
      def #{name}(client, arguments \\\\ [], options \\\\ []) do
        Bridge.#{verb(tool)}(client, #{text(tool["name"])}, arguments, options)
      end
      """
    }
  end

  defp function(tool, name, :named) do
    {required, optional} = Enum.split_with(tool["parameters"], & &1["required"])
    variables = Names.variables(Enum.map(required, & &1["name"]))
    pairs = Enum.zip(Enum.map(required, & &1["name"]), variables)
    given = "%{#{Enum.map_join(pairs, ", ", fn {key, var} -> "#{text(key)} => #{var}" end)}}"

    {parameter, type, arguments} =
      if optional == [],
        do: {[], [], given},
        else:
          {["arguments \\\\ %{}"], [optional_type(tool, optional)],
           "by_name(#{given}, arguments)"}

    parameters = ["client"] ++ variables ++ parameter ++ ["options \\\\ []"]
    required_types = Enum.map(required, &Types.taken(schema(tool, &1["name"]), defs(tool)))
    types = ["Bridge.client()"] ++ required_types ++ type ++ ["keyword"]

    %{
      named: optional != [],
      source: """
      @doc #{doc(tool, optional_text(optional))}
      @spec #{name}(#{Enum.join(types, ", ")}) :: #{result(tool)}
      def #{name}(#{Enum.join(parameters, ", ")}) do
        Bridge.#{verb(tool)}(client, #{text(tool["name"])}, #{arguments}, options)
      end
      """
    }
  end

  defp verb(tool), do: if(tool["streaming"], do: "stream", else: "call")

  defp result(%{"streaming" => true}), do: "Enumerable.t()"

  defp result(tool) do
    returns = tool["returns"] || %{}
    "{:ok, #{Types.returned(returns, returns["$defs"] || %{})}} | {:error, Bridge.Error.t()}"
  end

  # By the names that Python knows, as a map or a keyword list.
  defp optional_type(tool, optional) do
    pairs =
      for %{"name" => name, "kind" => kind} <- optional,
          kind != "named_rest" and String.length(name) <= 255 do
        "{#{inspect(String.to_atom(name))}, #{Types.taken(schema(tool, name), defs(tool))}}"
      end

    any = if Enum.any?(optional, &(&1["kind"] == "named_rest")), do: ["{atom, term}"], else: []
    "[#{Enum.join(pairs ++ any, " | ")}] | %{optional(String.t() | atom) => term}"
  end

  defp optional_text([]), do: ""

  defp optional_text(optional) do
    lines =
      Enum.map(optional, fn
        %{"kind" => "named_rest"} = parameter ->
          "  * any other name#{annotated(parameter)}"

        parameter ->
          "  * `#{parameter["name"]}`#{annotated(parameter)}, default: `#{shown(parameter["default"])}`"
      end)

    "In `arguments`, by name:\n\n" <> Enum.join(lines, "\n")
  end

  defp annotated(%{"annotation" => nil}), do: ""
  defp annotated(%{"annotation" => annotation}), do: " - `#{steady(annotation)}`"

  defp shown(nil), do: "nil"
  defp shown(default) when is_binary(default), do: steady(default)
  defp shown(default), do: inspect(default)

  defp doc(tool, more) do
    description = steady(tool["description"] || "")
    called = "Python's `#{signature(tool)}`."
    text(Enum.join(Enum.reject([description, called, more], &(&1 == "")), "\n\n"))
  end

  defp signature(tool) do
    shown =
      Enum.map_join(tool["parameters"], ", ", fn parameter ->
        stars = Map.get(%{"rest" => "*", "named_rest" => "**"}, parameter["kind"], "")
        annotation = if parameter["annotation"], do: ": #{steady(parameter["annotation"])}"
        "#{stars}#{parameter["name"]}#{annotation}"
      end)

    "#{tool["name"]}(#{shown})"
  end

  # The address of an object is another one in each process.
  defp steady(text), do: String.replace(text, ~r/ at 0x[0-9a-fA-F]+/, "")

  defp schema(tool, name), do: get_in(tool, ["schema", "properties", name]) || %{}
  defp defs(tool), do: get_in(tool, ["schema", "$defs"]) || %{}

  @doc """
  A literal of Elixir for any text of Python: nothing of it is code, and none of it is hidden.

  Text of several lines is a heredoc. Characters that are not printed, or change the direction in which
  text is read, are escaped.
  """
  @spec text(String.t()) :: String.t()
  def text(string) do
    if String.contains?(string, "\n"),
      do: ~s("""\n#{string |> escaped("") |> String.replace(~s("""), ~S(\"\"\"))}\n"""),
      else: ~s("#{string |> escaped("") |> String.replace(~s("), ~S(\"))}")
  end

  @directions Enum.concat([0x202A..0x202E, 0x2066..0x2069, [0x200E, 0x200F, 0x061C]])

  defp escaped("", done), do: done
  defp escaped(<<"\#{", rest::binary>>, done), do: escaped(rest, done <> "\\\#{")
  defp escaped(<<"\\", rest::binary>>, done), do: escaped(rest, done <> "\\\\")
  defp escaped(<<?\n, rest::binary>>, done), do: escaped(rest, done <> "\n")

  defp escaped(<<character::utf8, rest::binary>>, done)
       when character in @directions or character in [0x2028, 0x2029],
       do: escaped(rest, done <> hex(character))

  defp escaped(<<character::utf8, rest::binary>>, done) do
    shown = <<character::utf8>>
    escaped(rest, done <> if(printed?(shown), do: shown, else: hex(character)))
  end

  defp escaped(<<_byte, rest::binary>>, done), do: escaped(rest, done <> "?")

  defp printed?(<<byte>>), do: byte in 0x20..0x7E
  defp printed?(character), do: String.printable?(character)

  defp hex(character), do: "\\u{#{Integer.to_string(character, 16)}}"
end
