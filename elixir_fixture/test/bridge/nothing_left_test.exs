defmodule Bridge.NothingLeftTest do
  # not async: it looks at all processes and ports of the node
  use Bridge.TestCase

  import ExUnit.CaptureLog
  import Bridge.Test.Pools, only: [pool_options: 1]

  @moduletag :tmp_dir

  @kinds [
    {Bridge.Client, []},
    {Bridge.Client, [stderr: :logger, reload: true, functions: true, start: :async]},
    {Bridge.Pool, [functions: true]}
  ]

  @ends [:stop, :stop_with_reason, :supervisor, :parent_returns, :parent_fails, :kill]

  for {module, opts} <- @kinds, how <- @ends do
    test "#{inspect(module)} with #{inspect(opts)}, #{how}: all is as before", %{tmp_dir: dir} do
      before = what_there_is()
      serve_and_end(unquote(module), unquote(opts), unquote(how), dir)
      eventually(fn -> what_there_is() -- before == [] end)
    end
  end

  test "what pools have together ends with the application; a pool that goes on has it again" do
    opts = pool_options(env: %{}, name: :pool_of_nodes, nodes: :all, processes: 0)
    start_supervised!({Bridge.Pool, opts})
    groups = fn -> Process.whereis(:bridge_pools) && :pg.which_groups(:bridge_pools) end
    eventually(fn -> groups.() == [{Bridge.Pool, :pool_of_nodes}] end)

    capture_log(fn ->
      :ok = Application.stop(:beam_bridge)
      eventually(fn -> groups.() == [{Bridge.Pool, :pool_of_nodes}] end)
      stop_supervised!(:pool_of_nodes)
      :ok = Application.start(:beam_bridge)
      :ok = Application.stop(:beam_bridge)
      assert groups.() == nil
      :ok = Application.start(:beam_bridge)
    end)
  end

  defp serve_and_end(module, opts, how, dir) do
    capture_log(fn ->
      {parent, monitor} =
        spawn_monitor(fn ->
          Process.flag(:trap_exit, how in [:kill, :stop_with_reason])
          end_so(how, module, opts(module, opts, dir))
        end)

      assert_receive {:DOWN, ^monitor, :process, ^parent, reason}, 2 * patience()
      assert reason == if(how == :parent_fails, do: :failed, else: :normal)
    end)
  end

  defp end_so(:supervisor, module, opts) do
    {:ok, supervisor} = Supervisor.start_link([{module, opts}], strategy: :one_for_one)
    [{_id, server, _type, _modules}] = Supervisor.which_children(supervisor)
    {:ok, 1} = Bridge.call(server, "echo", [1], timeout: patience())
    Supervisor.stop(supervisor)
  end

  defp end_so(how, module, opts) do
    {:ok, server} = module.start_link(opts)
    {:ok, 1} = Bridge.call(server, "echo", [1], timeout: patience())

    case how do
      :stop -> Bridge.stop(server)
      :stop_with_reason -> Bridge.stop(server, :shutdown)
      :parent_returns -> :ok
      :parent_fails -> exit(:failed)
      :kill -> kill(server)
    end
  end

  defp kill(server) do
    Process.exit(server, :kill)
    assert_receive {:EXIT, ^server, :killed}
  end

  defp opts(module, opts, dir) do
    {functions, opts} = Keyword.pop(opts, :functions)
    opts = if functions, do: [functions: %{"double" => &(&1 * 2)}] ++ opts, else: opts

    if module == Bridge.Pool do
      pool_options([env: %{}] ++ opts)
    else
      # a directory of its own, so that nothing else changes in what is watched
      File.cp!(
        Path.join(options()[:app_dir], "fixture_tools.py"),
        Path.join(dir, "fixture_tools.py")
      )

      options([app_dir: dir] ++ opts)
    end
  end

  # Processes and tables of the library, programs that run, named pipes.
  defp what_there_is do
    processes =
      for pid <- Process.list(),
          {:dictionary, dictionary} <- [Process.info(pid, :dictionary)],
          {module, _function, _arity} <- [dictionary[:"$initial_call"]],
          ours?(module),
          do: {pid, module}

    programs =
      for port <- Port.list(),
          {:os_pid, os_pid} <- [Port.info(port, :os_pid)],
          is_integer(os_pid),
          do: {port, os_pid}

    tables = for table <- :ets.all(), ours?(:ets.info(table, :name)), do: table

    # those of a client that was killed go when the next one starts
    terms =
      for {{module, client}, _term} <- :persistent_term.get(),
          ours?(module) and Process.alive?(client),
          do: {module, client}

    pipes = Path.wildcard(Path.join(System.tmp_dir!(), "bridge-#{System.pid()}-*"))
    processes ++ programs ++ tables ++ terms ++ pipes
  end

  defp ours?(module), do: module |> inspect() |> String.starts_with?("Bridge.")
end
