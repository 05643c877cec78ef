defmodule Bridge.CallingElixirPageTest do
  @moduledoc """
  The agent of `docs/calling-elixir.md`, as the page has it.
  """

  use Bridge.TestCase, async: true

  @moduletag :tmp_dir

  @page Path.expand("../../../docs/calling-elixir.md", __DIR__)

  defp blocks(language) do
    for [_all, code] <- Regex.scan(~r/^```#{language}\n(.*?)^```/ms, File.read!(@page)), do: code
  end

  test "the agent answers", %{tmp_dir: tmp_dir} do
    [agent] = blocks("python")
    File.write!(Path.join(tmp_dir, "agent.py"), agent)
    [offered, program, of_functions] = blocks("elixir")
    Code.eval_string(offered)
    run_tests(of_functions)

    options = options(app_dir: tmp_dir) |> Keyword.take([:env, :app_dir, :grace]) |> inspect()
    program = String.replace(program, ~s(app_dir: "python",), "", global: false)
    program = String.replace(program, "Bridge.start_link(", "Bridge.start_link(#{options} ++ [")
    program = String.replace(program, "self()}\n  )", "self()}\n  ])")
    {_messages, bindings} = Code.eval_string(program)

    assert ["weather", "says:" | _facts] = bindings[:words]
    Bridge.stop(bindings[:python])
  end

  # Its tests one by one, in this process: ExUnit itself is at work.
  defp run_tests(code) do
    code = String.replace(code, "use ExUnit.Case, async: true", "import ExUnit.Assertions")

    macro =
      ~s/defmacrop test(name, do: body), do: quote(do: (IO.puts(unquote(name)); unquote(body)))/

    [head, body] = String.split(code, "import Bridge.Testing\n", parts: 2)
    code = head <> "import Bridge.Testing\n" <> macro <> "\n def run do\n" <> body
    code = String.trim_trailing(code) <> "\nend"

    said =
      ExUnit.CaptureIO.capture_io(fn ->
        Code.eval_string(code)
        apply(Module.concat(MyApp, ForAgentTest), :run, [])
      end)

    assert length(String.split(said, "\n", trim: true)) == 3
  end
end
