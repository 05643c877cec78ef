defmodule Mix.Tasks.Bridge.GenTest do
  @moduledoc """
  `mix bridge.gen`: what it writes is compiled, called, and compared with Python's tools.
  """

  use ExUnit.Case, async: false

  import Bridge.TestCase
  import ExUnit.CaptureIO

  alias Mix.Bridge.{Facade, Names, Types}
  alias Mix.Tasks.Bridge.Gen

  @moduletag :tmp_dir
  @support Path.expand("../support", __DIR__)

  setup do
    Mix.shell(Mix.Shell.Process)
    on_exit(fn -> Mix.shell(Mix.Shell.IO) end)
  end

  defp refused(arguments), do: Exception.message(catch_error(Gen.run(arguments)))

  defp gen(file, more \\ []) do
    python = System.get_env("BRIDGE_PYTHON") || "python3"

    ["gen_tools:GenTools", "--module", "GenTest.Tools", "--output", file] ++
      ["--app-dir", @support, "--python", python] ++ more
  end

  test "what it writes is compiled without a warning, called, and compared", %{tmp_dir: tmp_dir} do
    file = Path.join(tmp_dir, "tools.ex")
    Gen.run(gen(file))
    source = File.read!(file)

    assert source |> Code.format_string!() |> IO.iodata_to_binary() ==
             String.trim_trailing(source)

    # Python's text is text: nothing of it has run
    output = capture_io(:stderr, fn -> Code.compile_file(file) end)
    assert output == ""
    tools = Module.concat(["GenTest.Tools"])

    client = start_client(adapter: "gen_tools:GenTools")
    assert tools.predict(client, "a") == {:ok, ["a"]}
    assert tools.predict(client, "a", top: 2) == {:ok, ["a", "a"]}
    assert tools.predict(client, "a", %{"exact" => true}, timeout: 5000) == {:ok, ["a", "exact"]}
    assert {:error, %Bridge.Error{code: :invalid_argument}} = tools.predict(client, "a", tip: 2)

    assert tools.get_value_2(client, "e", 1, [2], 0.5, "f") == {:ok, "e 1 [2] 0.5 b'f'"}
    assert tools.end_(client) == {:ok, nil}
    assert tools.if_(client, a: 3) == {:ok, 3}
    assert tools.tool_2nd(client) == {:ok, true}
    assert client |> tools.count(7, step: 3) |> Enum.to_list() == [0, 3, 6]
    assert tools.many(client, [1, 2, 3]) == {:ok, 6}
    assert tools.many(client, %{first: 1}) == {:ok, 1}
    assert tools.named_2(client, 1, x: 2, y: 3) == {:ok, 6}
    assert tools.named(client, 4) == {:ok, 8}
    assert tools.gr_e(client, "abc") == {:ok, 3}
    assert tools.tool(client) == {:ok, "🐍"}

    # the file is as it was, and is written again only when the tools are others
    Gen.run(gen(file, ["--check"]))
    Gen.run(gen(file))
    assert_received {:mix_shell, :info, ["Nothing to do: " <> _file]}
    File.write!(file, String.replace(source, "top: int", "top: str"))

    assert refused(gen(file, ["--check"])) =~
             "is not what gen_tools:GenTools has now. Write it anew"

    assert refused(gen(Path.join(tmp_dir, "none.ex"), ["--check"])) =~
             "cannot be read: no such file"
  end

  test "replaces no module and no file that somebody has written", %{tmp_dir: tmp_dir} do
    file = Path.join(tmp_dir, "mine.ex")
    File.write!(file, "defmodule Mine do\nend\n")
    other = ["--module", "GenTest.Other"]
    assert refused(gen(file) ++ other) =~ "mine.ex is there already, and not by mix bridge.gen"
    assert File.read!(file) =~ "defmodule Mine"
    free = Path.join(tmp_dir, "free.ex")

    for name <- ["Enum", "Bridge", "Mix.Tasks.Bridge.Gen"] do
      assert refused(gen(free) ++ ["--module", name]) =~ "#{name} is a module already"
    end

    refute File.exists?(free)
  end

  test "names, arguments and types may be many, long and nested" do
    parameter = &%{"name" => &1, "kind" => "either", "required" => true, "annotation" => nil}
    integers = %{"type" => "array", "items" => %{"type" => ["integer", "string"]}}
    numbers = %{"type" => "array", "items" => %{"type" => ["number", "string"]}}
    many = for n <- 1..300, do: parameter.("p#{n}")

    tools = [
      %{"name" => String.duplicate("a", 300), "parameters" => []},
      %{"name" => String.duplicate("a", 301), "parameters" => []},
      %{"name" => "many", "parameters" => many},
      %{
        "name" => "nested",
        "parameters" => [parameter.("x"), parameter.(String.duplicate("y", 400))],
        "schema" => %{"properties" => %{"x" => %{"anyOf" => [integers, numbers]}}},
        "returns" => %{"anyOf" => [numbers, integers, %{"type" => "null"}]}
      }
    ]

    source = Facade.source("GenTest.Long", "a:B", tools)
    [{module, _beam}] = Code.compile_string(source)
    functions = module.__info__(:functions)
    assert {:many, 3} in functions
    assert {:nested, 4} in functions
    assert functions |> Keyword.keys() |> Enum.uniq() |> length() == 4
    assert source =~ "[integer | String.t()]"
  end

  test "says what it takes, and what Python says", %{tmp_dir: tmp_dir} do
    assert refused([]) =~ "takes an adapter and --module"
    assert refused(["a:B", "--module", "x"]) =~ "cannot be the name of a module"
    assert refused(["a:B", "--modul", "X"]) =~ "see mix help bridge.gen"

    python = System.get_env("BRIDGE_PYTHON") || "python3"
    arguments = ["none:None", "--module", "X", "--app-dir", tmp_dir, "--python", python]
    assert refused(arguments) =~ "there is no module 'none'"
    assert refused(["a:B", "--module", "X", "--python", "/none"]) =~ "There is no /none"
  end

  test "any text is a literal that means it" do
    for text <- [
          "",
          "\"",
          ~s("""),
          ~s(a\n"""\nb""""c),
          "\#{System.halt()}",
          "a\n\\\#{1}\\",
          "\\",
          "a\n\t\r\0\u{202E}\u{2028}\x7F é 🐍",
          "~S'''\n'''"
        ] do
      literal = Facade.text(text)
      {value, _} = Code.eval_string(literal)
      # a heredoc ends with a line
      assert String.trim_trailing(value, "\n") == String.trim_trailing(text, "\n")
      assert {:ok, quoted} = Code.string_to_quoted(literal)
      assert is_binary(quoted)
    end
  end

  test "names are names of Elixir, each once" do
    assert Names.functions(["a-b", "a_b", "A.b", "when", "def", "1", "", "by_name"]) == %{
             "" => "tool",
             "1" => "tool_1",
             "A.b" => "a_b",
             "a-b" => "a_b_2",
             "a_b" => "a_b_3",
             "by_name" => "by_name_2",
             "def" => "def_",
             "when" => "when_"
           }

    assert Names.variables(["_x", "X", "client", "é", "nil", "options"]) ==
             ["x", "x_2", "client_2", "argument", "nil_", "options_2"]
  end

  test "schemas are types" do
    node = %{"type" => "object", "properties" => %{"next" => %{"$ref" => "#/$defs/Node"}}}
    defs = %{"Node" => node, "Loop" => %{"$ref" => "#/$defs/Loop"}}

    for {schema, type} <- [
          {%{}, "term"},
          {%{"$ref" => "#/$defs/Node"}, "map"},
          {%{"$ref" => "#/$defs/Loop"}, "term"},
          {%{"anyOf" => [%{"type" => "integer"}, %{"type" => "null"}]}, "integer | nil"},
          {%{"type" => "array", "items" => %{"type" => "string"}}, "[String.t()]"},
          {%{"type" => "string", "format" => "binary"}, "binary | {:bytes, iodata}"},
          {%{"enum" => ["a", 1, nil]}, "String.t() | atom | 1 | nil"},
          {%{"type" => ["string", "number"], "format" => "decimal"},
           "String.t() | struct | number | :nan | :infinity | :neg_infinity"},
          {%{"type" => "object", "additionalProperties" => %{"type" => "boolean"}},
           "%{optional(term) => boolean}"}
        ] do
      assert Types.taken(schema, defs) == type
      assert {:ok, _} = Code.string_to_quoted(type)
    end
  end
end
