defmodule Bridge.SnakepitTest do
  @moduledoc """
  The executable that takes the place of Snakepit's Python interpreter, started as Snakepit does:
  the same options of the port, the same arguments and environment, the same signs of readiness,
  the same ends. No part of Snakepit is needed for that.
  """

  use Bridge.TestCase, async: true

  alias Bridge.Test.{GRPC, Protobuf}

  @support Path.expand("../support", __DIR__)
  @service "/snakepit.bridge.BridgeService/"
  @json "type.googleapis.com/google.protobuf.StringValue"
  @patience 30_000

  @moduletag :tmp_dir

  setup %{tmp_dir: directory} do
    %{directory: directory, executable: executable(directory)}
  end

  # What pip makes of the console script; the package itself need not be installed.
  defp executable(directory) do
    python = System.find_executable(System.get_env("BRIDGE_PYTHON") || "python3")
    path = Path.join(directory, "bridge-snakepit")

    # a first line takes no spaces: both languages read the second
    File.write!(path, """
    #!/bin/sh
    '''exec' '#{python}' "$0" "$@"
    ' '''
    import sys
    from bridge.snakepit.main import main
    sys.exit(main())
    """)

    File.chmod!(path, 0o755)
    path
  end

  # As Snakepit.GRPCWorker of 0.6.0, and Snakepit.Worker.ProcessManager of 0.13.0.
  defp spawn_worker(executable, opts) do
    script = Path.join(@support, "grpc_server_threaded.py")

    args =
      ~w(--adapter) ++
        [Keyword.get(opts, :adapter, "fixture_tools.FixtureTools")] ++
        ~w(--mode threaded --max-workers 4 --port 0 --elixir-address localhost:50051) ++
        ~w(--snakepit-run-id k7x2m9q) ++ Keyword.get(opts, :args, [])

    env = [{"PYTHONPATH", options()[:env]["PYTHONPATH"]} | Keyword.get(opts, :env, [])]

    port =
      Port.open({:spawn_executable, executable}, [
        :binary,
        :exit_status,
        :use_stdio,
        :stderr_to_stdout,
        {:args, [script | args]},
        {:cd, Path.dirname(script)},
        {:env, for({name, value} <- env, do: {to_charlist(name), to_charlist(value)})}
      ])

    {:os_pid, os_pid} = Port.info(port, :os_pid)
    # it may just be ending by itself
    on_exit(fn -> System.cmd("kill", ["-s", "KILL", "#{os_pid}"], stderr_to_stdout: true) end)
    %{port: port, os_pid: os_pid}
  end

  defp start_0_6(executable, opts \\ []) do
    worker = spawn_worker(executable, opts)
    Map.put(worker, :number, ready_line(worker.port))
  end

  defp start_0_13(executable, directory, opts \\ []) do
    ready_file = Path.join(directory, "snakepit_ready_pool_worker_1_12")

    env = [
      {"SNAKEPIT_READY_FILE", ready_file},
      {"SNAKEPIT_PROCESS_GROUP", "1"},
      {"SNAKEPIT_LOG_LEVEL", "error"}
    ]

    args = ~w(--snakepit-instance-name app --snakepit-instance-token t0ken)
    worker = spawn_worker(executable, Keyword.merge([env: env, args: args], opts))
    eventually(fn -> File.exists?(ready_file) end, @patience)
    {number, _rest} = ready_file |> File.read!() |> String.trim() |> Integer.parse()
    Map.put(worker, :number, number)
  end

  # Up to 0.8.0: all in one message, somewhere in the output.
  defp ready_line(port) do
    receive do
      {^port, {:data, data}} ->
        case Regex.run(~r/GRPC_READY:(\d+)/, data) do
          [_line, number] -> String.to_integer(number)
          nil -> ready_line(port)
        end

      {^port, {:exit_status, status}} ->
        flunk("the worker ended with #{status} before it was ready")
    after
      @patience -> flunk("the worker is not ready")
    end
  end

  defp server(worker), do: GRPC.new("localhost:#{worker.number}")

  defp ask(server, method, fields) do
    path = @service <> method
    message = Protobuf.encode(fields)

    with {:ok, response} <- GRPC.unary(server, path, message, timeout: @patience) do
      {:ok, Protobuf.decode(response)}
    end
  end

  # An ExecuteToolRequest; arguments are JSON already.
  defp request(session, tool, arguments) do
    parameters =
      for {name, json} <- arguments do
        value = Protobuf.encode([{1, @json}, {2, json}])
        {3, Protobuf.encode([{1, name}, {2, value}])}
      end

    [{1, session}, {2, tool} | parameters]
  end

  describe "0.6" do
    @tag :grpc
    test "finds the port in the output, and calls a tool", %{executable: executable} do
      server = executable |> start_0_6() |> server()
      assert {:ok, [{1, pong} | _]} = ask(server, "Ping", [{1, "connection_test"}])
      assert pong =~ "connection_test"

      request = request("default_session", "echo", [{"value", ~s({"one": 1})}])
      # success, and a result with its type
      assert {:ok, [{1, 1}, {2, result} | _]} = ask(server, "ExecuteTool", request)
      assert [{1, @json}, {2, ~s({"one":1})}] = Protobuf.decode(result)
    end

    @tag :grpc
    test "gets errors as text with the status OK", %{executable: executable} do
      server = executable |> start_0_6() |> server()
      request = request("default_session", "raises", [{"message", ~s("it is bad")}])
      # no success, no result, but an error_message
      assert ask(server, "ExecuteTool", request) == {:ok, [{3, "it is bad"}]}
    end

    test "ends the worker with SIGTERM within 2 seconds", %{executable: executable} do
      %{port: port, os_pid: os_pid} = start_0_6(executable)
      os_kill("TERM", os_pid)
      assert_receive {^port, {:exit_status, 0}}, 2_000
    end

    test "learns from the exit status that the start failed", %{executable: executable} do
      %{port: port} = spawn_worker(executable, adapter: "fixture_tools.Nothing")
      assert_receive {^port, {:exit_status, status}}, @patience
      assert status not in [0, 143]
      assert_received {^port, {:data, output}}
      assert output =~ "Nothing"
    end
  end

  describe "0.13" do
    @tag :grpc
    test "finds the port in the file, and its heartbeat answered while all workers are busy",
         %{executable: executable, directory: directory} do
      server = executable |> start_0_13(directory) |> server()
      assert {:ok, _tools} = ask(server, "InitializeSession", [{1, "session_1"}])

      message = Protobuf.encode(request("session_1", "never_returns", []))
      calls = for _call <- 1..8, do: GRPC.start(server, @service <> "ExecuteTool", message)

      for _beat <- 1..10 do
        assert {:ok, beat} = ask(server, "Heartbeat", [{1, "session_1"}])
        # session_valid
        assert {2, 1} in beat
      end

      Enum.each(calls, &GRPC.abandon/1)
    end

    @tag :grpc
    test "gets errors as JSON", %{executable: executable, directory: directory} do
      server = executable |> start_0_13(directory) |> server()
      request = request("session_1", "raises", [{"message", ~s("it is bad")}])
      assert {:ok, [{3, error} | _]} = ask(server, "ExecuteTool", request)
      assert error =~ ~s("type": "ValueError", "message": "it is bad")
    end

    test "ends the worker's group with SIGTERM", %{executable: executable, directory: directory} do
      %{port: port, os_pid: os_pid} = start_0_13(executable, directory)
      {group, 0} = System.cmd("ps", ["-o", "pgid=", "-p", "#{os_pid}"])
      assert String.trim(group) == "#{os_pid}"
      {_output, 0} = System.cmd("kill", ["-TERM", "--", "-#{os_pid}"])
      assert_receive {^port, {:exit_status, 0}}, 6_000
    end

    test "probes the interpreter", %{executable: executable} do
      opts = [env: options()[:env], stderr_to_stdout: true]
      code = "import sys; print(sys.version.split()[0])"
      assert {version, 0} = System.cmd(executable, ["-c", code], opts)
      assert version =~ ~r/^3\.\d+\.\d+/
      assert {_output, 0} = System.cmd(executable, ["-c", "import grpc"], opts)
      script = Path.join(@support, "grpc_server.py")
      args = [script, "--health-check", "--adapter", "fixture_tools.FixtureTools"]
      assert {_output, 0} = System.cmd(executable, args, opts)
    end
  end

  test "a closed port ends the worker, as the death of the VM does", %{executable: executable} do
    %{port: port, os_pid: os_pid} = start_0_6(executable)
    Port.close(port)
    eventually(fn -> not os_alive?(os_pid) end)
  end

  test "who cleans up after a dead VM finds the worker", %{executable: executable} do
    %{os_pid: os_pid} = start_0_6(executable)
    {name, 0} = System.cmd("ps", ["-o", "comm=", "-p", "#{os_pid}"])
    assert name =~ "python"
    {command, 0} = System.cmd("ps", ["-ww", "-o", "args=", "-p", "#{os_pid}"])
    assert command =~ "grpc_server_threaded.py"
    assert command =~ "--snakepit-run-id k7x2m9q"
  end
end
