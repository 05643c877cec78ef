defmodule Bridge.Test.Nodes do
  @moduledoc """
  Another node of this machine, with a client on it.

  Names are found by the machine's `epmd`, or by one of the tests' own for the loopback only.
  """

  @doc "Whether there is what it takes."
  def available?, do: System.find_executable("epmd") != nil

  @doc "Starts a client, or a pool, on another node, which ends with the test, and returns its pid."
  def start_client(opts, module \\ Bridge.Client) do
    {node, stop} = start()
    ExUnit.Callbacks.on_exit(stop)
    {:ok, client} = start_on(node, opts, module)
    client
  end

  @doc "Starts a client, or a pool, on that node."
  def start_on(node, opts, module) do
    # the process that starts it is gone when the call is over
    :erpc.call(node, __MODULE__, :start_unlinked, [module, opts])
  end

  @doc "Starts another node, and returns its name and what ends it."
  def start do
    start_distribution()
    name = :"bridge_peer_#{System.pid()}_#{System.unique_integer([:positive])}"
    {node, stop} = if Code.ensure_loaded?(:peer), do: peer(name), else: slave(name)
    {:ok, _started} = :erpc.call(node, Application, :ensure_all_started, [:logger])
    # what the pools there say of nodes that are killed is no news
    :ok = :erpc.call(node, Logger, :configure, [[level: :error]])
    {node, stop}
  end

  @doc "Kills a node as a machine that loses its power."
  def kill(node) do
    os_pid = :erpc.call(node, System, :pid, [])
    {_output, 0} = System.cmd("kill", ["-9", os_pid])
    :ok
  end

  defp peer(name) do
    {:ok, peer, node} =
      :peer.start(%{name: name, host: ~c"127.0.0.1", longnames: true, args: arguments()})

    {node,
     fn ->
       try do
         :peer.stop(peer)
       catch
         # it was killed
         :exit, _gone -> :ok
       end
     end}
  end

  # Before OTP 25.
  defp slave(name) do
    arguments = Enum.join(arguments(), " ") |> String.to_charlist()
    {:ok, node} = apply(:slave, :start, [~c"127.0.0.1", name, arguments])
    {node, fn -> apply(:slave, :stop, [node]) end}
  end

  defp arguments, do: [~c"-setcookie", Atom.to_charlist(Node.get_cookie()) | paths()]

  @doc "Answers `GenServer.call/2` with its message, for ever."
  def echo_server do
    receive do
      {:"$gen_call", from, value} -> GenServer.reply(from, value)
    end

    echo_server()
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
