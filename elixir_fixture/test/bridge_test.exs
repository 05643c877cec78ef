defmodule BridgeTest do
  use Bridge.TestCase, async: true

  # The examples call the tools that the documentation shows.
  setup_all do
    {:docs_v1, _, _, _, %{"en" => text}, _, _} = Code.fetch_docs(Bridge)
    [_all, path, code] = Regex.run(~r/^ {4}# (\S+\.py)\n(.*?)^\S/ms, text)
    directory = Path.join(System.tmp_dir!(), "bridge-docs-#{System.pid()}")
    on_exit(fn -> File.rm_rf!(directory) end)
    file = Path.join(directory, path)
    File.mkdir_p!(Path.dirname(file))
    File.write!(file, String.replace(code, ~r/^ {4}/m, ""))

    start_supervised!(
      {Bridge,
       options(
         adapter: "my_app.tools:Tools",
         app_dir: Path.join(directory, "python"),
         name: MyApp.Python
       )}
    )

    :ok
  end

  doctest Bridge

  test "every function of the client is one of the facade" do
    functions = fn module -> module.__info__(:functions) |> Enum.reject(&callback?/1) end
    assert functions.(Bridge.Client) == functions.(Bridge)
  end

  defp callback?({name, _arity}) do
    name in [:init, :terminate, :code_change, :handle_call, :handle_cast, :handle_info]
  end

  test "stops" do
    start_supervised!(
      Supervisor.child_spec({Bridge, options(name: __MODULE__)}, restart: :temporary)
    )

    assert Bridge.call(__MODULE__, "echo", [1]) == {:ok, 1}
    assert Bridge.stop(__MODULE__) == :ok

    assert {:error, %Bridge.Error{code: :unavailable, started: false}} =
             Bridge.call(__MODULE__, "echo", [1])
  end
end
