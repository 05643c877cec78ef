defmodule Bridge.PoolPageTest do
  @moduledoc """
  The programs of `docs/pool.md`, as the page has them, and the pools of `docs/coming-from-snakepit.md`.
  """

  # not async: other pages have clients of the same names
  use Bridge.TestCase

  alias Bridge.Test.Pools

  @moduletag :tmp_dir
  @root Path.expand("../../..", __DIR__)

  defp blocks(page, language) do
    for [_all, code] <-
          Regex.scan(~r/^```#{language}\n(.*?)^```/ms, File.read!(Path.join(@root, page))),
        do: code
  end

  test "the pools of several nodes are what Bridge.Pool takes" do
    blocks = blocks("docs/scale.md", "elixir")
    assert length(blocks) == 2

    for block <- blocks do
      {[{Bridge.Pool, opts}], _bindings} = Code.eval_string(block)

      assert %{id: MyApp.Python, start: {Bridge.Pool, :start_link, [^opts]}} =
               Bridge.Pool.child_spec(opts)

      assert opts[:nodes] == :all
    end
  end

  test "the pool of the page serves, and its processes are replaced", %{tmp_dir: tmp_dir} do
    [adapter | _more] = blocks("README.md", "python")
    File.write!(Path.join(tmp_dir, "my_tools.py"), adapter)
    [start, replace] = blocks("docs/pool.md", "elixir")
    options = options() |> Keyword.take([:env, :grace]) |> inspect()

    {_result, _bindings} =
      start
      |> String.replace(~s(app_dir: "python"), "app_dir: #{inspect(tmp_dir)}")
      |> String.replace("{Bridge.Pool,\n", "{Bridge.Pool, #{options} ++ [\n")
      |> String.replace("max_workers: 8}", "max_workers: 8]}")
      |> Code.eval_string()

    before = Pools.os_pids(MyApp.Python)
    Code.eval_string(replace)
    later = Pools.os_pids(MyApp.Python)

    assert map_size(later) == 3 and
             Enum.all?(before, fn {slot, os_pid} -> later[slot] != os_pid end)

    Supervisor.stop(Process.whereis(MyApp.Python) |> supervisor())
  end

  # The one that the page's program started.
  defp supervisor(pool) do
    {:links, links} = Process.info(pool, :links)
    Enum.find(links, &(is_pid(&1) and match?({:supervisor, _, _}, initial_call(&1))))
  end

  defp initial_call(pid) do
    {:dictionary, dictionary} = Process.info(pid, :dictionary)
    dictionary[:"$initial_call"]
  end

  test "the tool of the page is idempotent", %{tmp_dir: tmp_dir} do
    [adapter] = blocks("docs/pool.md", "python")
    File.write!(Path.join(tmp_dir, "page_tools.py"), adapter)
    client = start_client(adapter: "page_tools:Tools", app_dir: tmp_dir)
    assert {:ok, [%{"name" => "embed", "idempotent" => true}]} = Bridge.tools(client)
    assert Bridge.call(client, "embed", ["four"]) == {:ok, [4.0]}
  end

  test "options that come from Snakepit's configuration are right" do
    code = Enum.find(blocks("docs/coming-from-snakepit.md", "elixir"), &(&1 =~ "Bridge.Pool"))
    {children, _bindings} = Code.eval_string(code)

    assert [%{id: MyApp.Python}, %{id: MyApp.Models}] =
             Enum.map(children, &Supervisor.child_spec(&1, []))
  end
end
