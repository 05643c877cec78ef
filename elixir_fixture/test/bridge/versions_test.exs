defmodule Bridge.VersionsTest do
  @moduledoc """
  Either half beside the other one of version 0.1, which is taken from the history of the repository.
  """

  use Bridge.TestCase, async: true

  alias Bridge.Client
  alias Bridge.Test.History

  @moduletag :tmp_dir
  @moduletag :history

  @support Path.expand("../support", __DIR__)

  test "this client is served by a bridge of version 0.1", %{tmp_dir: tmp_dir} do
    History.extract!("bridge", tmp_dir)
    client = start_client(env: %{"PYTHONPATH" => tmp_dir})
    assert {:ok, %{ready: %{"version" => "0.1" <> _}}} = Client.info(client)

    assert Client.call(client, "echo", [%{"x" => 1}], timeout: patience()) == {:ok, %{"x" => 1}}
    assert client |> Client.stream("counts", [100]) |> Enum.sum() == 4950
    assert {:error, %{code: :not_found}} = Client.call(client, "nothing")

    assert {:error, %{code: :deadline_exceeded}} =
             Client.call(client, "never_returns", [], timeout: 10)

    assert {:ok, %{"status" => "serving"}} = Client.health(client)
    assert Client.stop(client) == :ok
  end

  test "a client of version 0.1 is served by this bridge", %{tmp_dir: tmp_dir} do
    History.extract!("elixir_fixture/lib", tmp_dir)
    program = Path.join(tmp_dir, "program.exs")

    File.write!(program, """
    Application.ensure_all_started(:logger)
    files = Path.wildcard(#{inspect(Path.join(tmp_dir, "elixir_fixture/lib/**/*.ex"))})
    {:ok, _modules, _warnings} = Kernel.ParallelCompiler.compile(files)

    {:ok, client} =
      Bridge.Client.start_link(#{inspect(options(app_dir: @support), limit: :infinity)})

    {:ok, 1} = Bridge.Client.call(client, "echo", [1], timeout: 60_000)
    4950 = client |> Bridge.Client.stream("counts", [100]) |> Enum.sum()
    {:error, %{code: :deadline_exceeded}} = Bridge.Client.call(client, "never_returns", [], timeout: 10)
    :ok = Bridge.Client.stop(client)
    IO.puts("all is right")
    """)

    {output, status} = System.cmd("elixir", [program], stderr_to_stdout: true)
    assert status == 0, output
    assert output =~ "all is right"
  end
end
