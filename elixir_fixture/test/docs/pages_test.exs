defmodule Bridge.PagesTest do
  @moduledoc """
  The snippets of pages in `docs/`, with the first adapter of the README.
  """

  use Bridge.TestCase, async: true

  @moduletag :tmp_dir
  @repository Path.expand("../../..", __DIR__)

  defp blocks(page, language) do
    text = File.read!(Path.join(@repository, page))
    for [_all, code] <- Regex.scan(~r/^```#{language}\n(.*?)^```/ms, text), do: code
  end

  # As somebody with the package in an active environment has it, in a directory with `python/`.
  setup %{tmp_dir: tmp_dir} do
    [adapter | _more] = blocks("README.md", "python")
    File.mkdir_p!(Path.join(tmp_dir, "python"))
    File.write!(Path.join(tmp_dir, "python/my_tools.py"), adapter)

    %{
      run: fn code ->
        app_dir = inspect(Path.join(tmp_dir, "python"))
        env = inspect(options()[:env])

        code
        |> String.replace(~s(app_dir: "python"), "app_dir: #{app_dir}, env: #{env}")
        |> Code.eval_string()
      end
    }
  end

  for page <- ["docs/coming-from-snex.md", "docs/coming-from-pythonx.md"] do
    test page, %{run: run, tmp_dir: tmp_dir} do
      [file | _more] = blocks(unquote(page), "python")
      [_all, path] = Regex.run(~r/^# (python\/\w+\.py)$/m, file)
      File.write!(Path.join(tmp_dir, path), file)
      [snippet] = for "# with the bridge" <> _ = code <- blocks(unquote(page), "elixir"), do: code
      run.(snippet)
    end
  end

  test "docs/upgrading.md", %{run: run} do
    [snippet] = blocks("docs/upgrading.md", "elixir")
    run.(snippet)
  end

  test "docs/development.md", %{run: run} do
    [iex, config, children, test_module, sums, _livebook] =
      blocks("docs/development.md", "elixir")

    run.(iex)
    assert [my_app: [{MyApp.Python, reload: true}]] = config |> write() |> Config.Reader.read!()
    assert {[{Bridge, opts}], _bindings} = run.(children)
    assert opts[:name] == MyApp.Python
    run.(sums)
    stub = Module.concat(MyApp.Sums, Stub)
    assert stub.add(1, 2) == {:ok, 3}
    assert {:error, %Bridge.Error{}} = stub.add(0, 2)
    # what it defines would be run by ExUnit; here it only has to be what ExUnit takes
    assert {:ok, {:defmodule, _meta, _args}} = Code.string_to_quoted(test_module)
  end

  # In a VM of its own: here protocols are consolidated, and derive nothing any more.
  test "docs/values.md", %{tmp_dir: tmp_dir} do
    for "# python/" <> rest = code <- blocks("docs/values.md", "python") do
      [file, _code] = String.split(rest, "\n", parts: 2)
      File.write!(Path.join([tmp_dir, "python", file]), code)
    end

    [module, snippet] = blocks("docs/values.md", "elixir")
    File.write!(Path.join(tmp_dir, "money.ex"), module)
    program = Path.join(tmp_dir, "values.exs")
    File.write!(program, snippet <> ~s|\nIO.puts("done: \#{Bridge.stop(till)}")|)
    ebin = :beam_bridge |> :code.lib_dir() |> Path.join("ebin")

    {output, status} =
      System.cmd("elixir", ["-pa", ebin, "-r", "money.ex", program],
        cd: tmp_dir,
        env: Map.to_list(options()[:env]),
        stderr_to_stdout: true
      )

    assert {status, output =~ "done: ok"} == {0, true}, output
  end

  # A notebook begins with Mix.install, which works in any program that is no project.
  @tag timeout: 180_000
  test "Livebook, of docs/development.md", %{tmp_dir: tmp_dir} do
    cell = List.last(blocks("docs/development.md", "elixir"))
    assert cell =~ "Mix.install"
    program = Path.join(tmp_dir, "notebook.exs")
    code = String.replace(cell, "/path/to/this/repository", @repository)
    File.write!(program, code <> "\n" <> ~s|IO.inspect(Bridge.call(python, "add", [1, 2]))|)

    env = [
      {"MIX_INSTALL_DIR", Path.join(tmp_dir, "installs")},
      {"PYTHONPATH", @repository}
      | for(name <- ~w(MIX_ENV MIX_BUILD_PATH MIX_EXS), do: {name, nil})
    ]

    {output, status} =
      System.cmd("elixir", [program], cd: tmp_dir, env: env, stderr_to_stdout: true)

    assert {status, output =~ "{:ok, 3}"} == {0, true}, output
  end

  defp write(code) do
    path = Path.join(System.tmp_dir!(), "config-#{System.unique_integer([:positive])}.exs")
    ExUnit.Callbacks.on_exit(fn -> File.rm(path) end)
    File.write!(path, code)
    path
  end
end
