defmodule Bridge.Test.Nodes do
  @moduledoc """
  Another node of this machine, with a client on it.

  Names are found by the machine's `epmd`, or by one of the tests' own for the loopback only.
  """

  @doc "Whether there is what it takes."
  def available?, do: System.find_executable("epmd") != nil

  @doc "Starts a client, or a pool, on another node, which ends with the test, and returns its pid."
  def start_client(opts, module \\ Bridge.Client) do
    start_distribution()

    {:ok, peer, node} =
      :peer.start(%{
        name: :"bridge_peer_#{System.pid()}_#{System.unique_integer([:positive])}",
        host: ~c"127.0.0.1",
        longnames: true,
        args: [~c"-setcookie", Atom.to_charlist(Node.get_cookie()) | paths()]
      })

    ExUnit.Callbacks.on_exit(fn -> :peer.stop(peer) end)
    {:ok, _started} = :erpc.call(node, Application, :ensure_all_started, [:logger])
    # the process that starts it is gone when the call is over
    {:ok, client} = :erpc.call(node, __MODULE__, :start_unlinked, [module, opts])
    client
  end

  @doc false
  def start_unlinked(module, opts) do
    parent = self()

    spawn(fn ->
      send(parent, {:started, module.start_link(opts)})
      Process.sleep(:infinity)
    end)

    receive do: ({:started, result} -> result)
  end

  defp paths, do: Enum.flat_map(:code.get_path(), &[~c"-pa", &1])

  defp start_distribution do
    unless Node.alive?() do
      unless epmd_listens?(), do: start_epmd()
      {:ok, _pid} = start_node(100)
    end
  end

  # The runtime looks for it on one port only.
  defp start_epmd do
    args = ["-address", "127.0.0.1"]
    daemon = Port.open({:spawn_executable, System.find_executable("epmd")}, [:binary, args: args])
    {:os_pid, os_pid} = Port.info(daemon, :os_pid)
    System.at_exit(fn _status -> System.cmd("kill", ["#{os_pid}"], stderr_to_stdout: true) end)
  end

  # It may need a moment.
  defp start_node(tries) do
    if tries > 0 and not epmd_listens?() do
      Process.sleep(50)
      start_node(tries - 1)
    else
      :net_kernel.start([:"bridge_test_#{System.pid()}@127.0.0.1", :longnames])
    end
  end

  defp epmd_listens? do
    match?({:ok, _names}, :erl_epmd.names({127, 0, 0, 1}))
  end
end
