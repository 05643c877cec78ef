defmodule Bridge.ClientLifeTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Client, Error}

  # Clients tell the Logger when Python dies.
  @moduletag :capture_log

  defp os_pid(client) do
    {:ok, %{os_pid: os_pid}} = Client.info(client)
    os_pid
  end

  # Waits until a client that was started anew answers under its name.
  defp restarted(name, old_os_pid) do
    eventually(fn -> match?({:ok, %{os_pid: new}} when new != old_os_pid, Client.info(name)) end)
  end

  defp fails_to_start(opts) do
    Process.flag(:trap_exit, true)
    assert {:error, %Error{} = error} = Client.start_link(options(opts))
    refute_received _anything
    error
  end

  describe "start_link/1" do
    test "raises for an option that is unknown, missing or wrong" do
      for {key, value} <- [
            adaptor: "fixture_tools",
            adapter: :fixture_tools,
            adapter: "",
            app_dir: 1,
            max_workers: 0,
            max_queue: -1,
            max_message_bytes: "1",
            grace: -1,
            log_level: :loud,
            args: "--help",
            env: %{a: 1},
            env: [:a],
            cd: :directory,
            start_timeout: :infinity,
            start: :soon,
            on_failure: :despair,
            stuck_after: 0,
            max_answer_bytes: 1,
            max_message_items: 0
          ] do
        error = assert_raise ArgumentError, fn -> Client.start_link(options([{key, value}])) end

        assert error.message =~ inspect(key) or error.message =~ inspect(value)
      end

      assert_raise ArgumentError, ~r/:adapter is required/, fn -> Client.start_link([]) end
    end

    test "takes environment, directory, flags and arguments to Python" do
      client =
        start_client(
          cd: System.tmp_dir!(),
          max_workers: 3,
          max_queue: 5,
          max_message_bytes: 100_000,
          log_level: :error,
          args: ["--log-format", "json"]
        )

      assert {:ok, %{ready: %{"limits" => limits}}} = Client.info(client)
      assert %{"max_workers" => 3, "max_queue" => 5, "max_message_bytes" => 100_000} = limits

      assert {:error, %Error{code: :resource_exhausted}} =
               Client.call(client, "echo", [:binary.copy("x", 100_001)])

      assert Client.call(client, "echo", [1]) == {:ok, 1}
    end

    @tag :tmp_dir
    test "imports nothing from the working directory", %{tmp_dir: tmp_dir} do
      for name <- ~w(bridge.py msgpack.py queue.py threading.py) do
        File.write!(Path.join(tmp_dir, name), "raise SystemExit('imported from the directory')")
      end

      client = start_client(cd: tmp_dir)
      assert Client.call(client, "echo", [1]) == {:ok, 1}
    end

    test "fails with one clear error if there is no such interpreter or directory" do
      for {opts, name} <- [
            {[python: "no_such_python"], "no_such_python"},
            {[python: "no/such/python"], Path.expand("no/such/python")},
            {[python: {:venv, "no/venv"}],
             "#{Path.expand("no/venv/bin/python")}. mix bridge.setup"},
            {[cd: "no/such/directory"], Path.expand("no/such/directory")}
          ] do
        assert %{start: _} = Client.child_spec(options(opts))
        assert %Error{code: :unavailable, started: false, message: message} = fails_to_start(opts)
        assert message =~ name
      end
    end

    test "fails with Python's own words if there is no such adapter" do
      assert fails_to_start(adapter: "no_such_module:Tools").message =~ "no_such_module"
      assert fails_to_start(adapter: "fixture_tools:Nothing").message =~ "Nothing"
      error = fails_to_start(adapter: "fixture_tools:FailsToStart")
      assert error.message =~ "the model file is missing"
    end

    test "fails if the program is no bridge" do
      assert fails_to_start(python: "true").message =~ "exited with status 0"
      error = fails_to_start(python: "false", cd: "test")
      assert error.message =~ "exited with status 1"

      for fact <- ["/false", "-P -m bridge --adapter=fixture_tools:", Path.expand("test")] do
        assert error.message =~ fact
      end

      error = fails_to_start(python: "cat", args: ["/no/such/file"])
      assert error.message =~ ~r/standard error ended with:\n.*cat: /
    end

    @tag :tmp_dir
    test "fails after the :start_timeout, says where Python is, and kills it", context do
      file = Path.join(context.tmp_dir, "os_pid")
      env = Map.put(options()[:env], "FIXTURE_PID_FILE", file)

      # on a busy machine Python needs longer to get as far as to hang
      message =
        Enum.find_value([1_000, 4_000, patience()], fn ms ->
          opts = [adapter: "fixture_tools:StartsSlowly", env: env, start_timeout: ms]
          error = fails_to_start(opts)
          assert error.code == :deadline_exceeded
          if error.message =~ "in setup", do: error.message
        end)

      assert message =~ ~r/fixture_tools.py", line \d+ in setup/
      os_pid = File.read!(file)
      eventually(fn -> not os_alive?(os_pid) end)
    end
  end

  describe "child_spec/1" do
    test "lets clients live side by side, and gives them time to stop" do
      assert %{id: Client, shutdown: 3_000} = Client.child_spec(options())
      assert %{id: :other, shutdown: 2_500} = Client.child_spec(options(name: :other, grace: 0.5))
      assert_raise ArgumentError, fn -> Client.child_spec(options(grace: "5")) end
    end
  end

  describe "stop/3" do
    test "lets running calls end, and returns when Python is gone" do
      client = start_client(grace: 20)
      os_pid = os_pid(client)

      call =
        Task.async(fn -> Client.call(client, "sleep", [1.0, "done"], timeout: patience()) end)

      eventually(fn -> match?({:ok, %{"busy" => 1}}, Client.health(client)) end)

      assert Client.stop(client) == :ok
      assert Task.await(call) == {:ok, "done"}
      refute os_alive?(os_pid)
      assert {:error, %Error{code: :unavailable, started: false}} = Client.ping(client)
    end

    test "lets streams end, and turns new calls away" do
      client = start_client(grace: 10)
      test = self()

      consumer =
        Task.async(fn ->
          client
          |> Client.stream("counts_slowly", [100, 0.005], credit: [items: 1])
          |> Enum.map(fn n ->
            if n == 0, do: send(test, :streaming)
            n
          end)
        end)

      assert_receive :streaming
      stop = Task.async(fn -> Client.stop(client) end)

      eventually(fn ->
        match?({:error, %Error{code: :unavailable}}, Client.call(client, "echo", [1]))
      end)

      assert Task.await(consumer) == Enum.to_list(0..99)
      assert Task.await(stop) == :ok
    end

    test "answers calls that do not end" do
      client = start_client(grace: 0.1)
      call = Task.async(fn -> Client.call(client, "sleep", [60], timeout: :infinity) end)
      eventually(fn -> match?({:ok, %{"busy" => 1}}, Client.health(client)) end)

      assert Client.stop(client) == :ok
      assert {:error, %Error{code: :unavailable, started: true}} = Task.await(call)
    end

    test "kills a process that does not react, and its children" do
      client = start_client(grace: 0)
      os_pid = os_pid(client)
      child = Client.call!(client, "starts_child")
      assert os_alive?(child)
      os_stop(os_pid)
      call = Task.async(fn -> Client.call(client, "echo", [1], timeout: :infinity) end)
      eventually(fn -> match?({:ok, %{calls: 1}}, Client.info(client)) end)

      assert Client.stop(client) == :ok
      assert {:error, %Error{code: :unavailable, started: true}} = Task.await(call)
      eventually(fn -> not os_alive?(os_pid) and not os_alive?(child) end)
    end
  end

  describe "the supervisor" do
    test "gets a new Python when it is killed, and callers their answers" do
      start_client(name: :phoenix)
      os_pid = os_pid(:phoenix)

      calls =
        for _ <- 1..5 do
          Task.async(fn -> Client.call(:phoenix, "never_returns", [], timeout: :infinity) end)
        end

      stream =
        Task.async(fn ->
          :phoenix |> Client.stream("counts_slowly", [1000, 1]) |> Enum.to_list() |> catch_error()
        end)

      eventually(fn -> match?({:ok, %{"busy" => 6}}, Client.health(:phoenix)) end)
      os_kill("KILL", os_pid)

      for call <- calls do
        assert {:error, %Error{code: :unavailable, started: true}} = Task.await(call)
      end

      assert %Error{code: :unavailable} = Task.await(stream)
      restarted(:phoenix, os_pid)
      assert Client.call(:phoenix, "echo", ["again"]) == {:ok, "again"}
    end

    test "gets a new Python when that one gets SIGTERM, and calls are answered meanwhile" do
      start_client(name: :signalled)
      os_pid = os_pid(:signalled)
      os_kill("TERM", os_pid)

      eventually(fn ->
        assert Client.call(:signalled, "echo", [1], timeout: patience()) == {:ok, 1}
        os_pid(:signalled) not in [os_pid, nil]
      end)

      refute os_alive?(os_pid)
    end

    test "has Python answer what workers ask while a BEAM ends that got SIGTERM with it" do
      program = """
      defmodule Worker do
        use GenServer
        def init(_arg), do: {:ok, Process.flag(:trap_exit, true)}
        def terminate(_reason, _state), do: IO.inspect(Bridge.call(:asked, "wait", [1.2]), label: "last")
      end

      children = [
        {Bridge, #{inspect([name: :asked] ++ options(), limit: :infinity)}},
        %{id: Worker, start: {GenServer, :start_link, [Worker, nil]}}
      ]

      defmodule App do
        use Application
        def start(_type, children), do: Supervisor.start_link(children, strategy: :one_for_one)
      end

      :application.load({:application, :app, [mod: {App, children}, applications: [:kernel, :elixir, :logger]]})
      {:ok, _} = Application.ensure_all_started(:app)
      {:ok, %{os_pid: python}} = Bridge.info(:asked)
      for pid <- [python, System.pid()], do: {_, 0} = System.cmd("kill", ["-TERM", to_string(pid)])
      Process.sleep(:infinity)
      """

      paths = Enum.flat_map(:code.get_path(), &["-pa", to_string(&1)])
      {output, 0} = System.cmd("elixir", paths ++ ["-e", program], stderr_to_stdout: true)
      assert output =~ "last: {:ok, false}"
    end

    test "gets a new Python when that one ends by itself" do
      start_client(name: :mortal)
      os_pid = os_pid(:mortal)
      {:error, _ended} = Client.call(:mortal, "exits")
      restarted(:mortal, os_pid)
      refute os_alive?(os_pid)
    end

    test "sees the exit status in the reason, if the client shall stop" do
      client =
        start_supervised!(
          Supervisor.child_spec({Client, options(on_failure: :stop)}, restart: :temporary)
        )

      monitor = Process.monitor(client)

      log =
        ExUnit.CaptureLog.capture_log(fn ->
          os_kill("KILL", os_pid(client))
          assert_receive {:DOWN, ^monitor, _, _, {:shutdown, {:bridge_exited, 137}}}
        end)

      assert log =~ "the Python process was killed by SIGKILL"
    end

    test "leaves no Python behind, however the client ends" do
      client = start_supervised!(Supervisor.child_spec({Client, options()}, restart: :temporary))
      os_pid = os_pid(client)
      Process.exit(client, :kill)
      eventually(fn -> not os_alive?(os_pid) end)
    end
  end

  describe "a Python that does not read" do
    setup do
      client = start_client()
      os_pid = os_pid(client)
      os_stop(os_pid)
      # more than pipe and port take
      data = :binary.copy(<<0>>, 2_000_000)

      calls =
        for n <- 1..8 do
          Task.async(fn ->
            Client.call(client, "echo", [[n, {:bytes, data}]], timeout: 30_000)
          end)
        end

      # all of them: one that comes after Python has died would be served by the next
      eventually(fn -> match?({:ok, %{calls: 8, outbox: n}} when n > 0, Client.info(client)) end)
      %{client: client, os_pid: os_pid, calls: calls, data: data}
    end

    test "does not keep calls from timing out and being cancelled", context do
      %{client: client, os_pid: os_pid} = context

      assert {:error, %Error{code: :deadline_exceeded, started: false}} =
               Client.call(client, "echo", [1], timeout: 50)

      {:ok, %{outbox: before}} = Client.info(client)

      call =
        Task.async(fn -> Client.call(client, "echo", [1], timeout: 30_000, tag: :waiting) end)

      eventually(fn -> match?({:ok, %{outbox: n}} when n > before, Client.info(client)) end)
      Client.cancel(client, :waiting)
      assert {:error, %Error{code: :cancelled, started: false}} = Task.await(call)

      os_kill("CONT", os_pid)

      for {call, n} <- Enum.with_index(context.calls, 1) do
        assert Task.await(call, 30_000) == {:ok, [n, context.data]}
      end

      assert {:ok, %{calls: 0, outbox: 0}} = Client.info(client)
    end

    test "leaves calls that never began when it dies", %{os_pid: os_pid, calls: calls} do
      os_kill("KILL", os_pid)

      started =
        for {:error, %Error{code: :unavailable} = error} <- Task.await_many(calls),
            do: error.started

      assert length(started) == 8
      assert false in started and true in started
    end
  end
end
