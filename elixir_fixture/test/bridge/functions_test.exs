defmodule Bridge.FunctionsTest do
  @moduledoc """
  Tools call functions of the application, which call tools again.
  """

  use Bridge.TestCase, async: true

  import ExUnit.CaptureLog

  doctest Bridge.Functions

  defmodule ForPython do
    use Bridge.Functions

    @doc "The sum of two numbers."
    def add(a, b \\ 1), do: a + b

    @doc "What it was given."
    def named(map) do
      for {name, value} <- Enum.sort(map), do: "#{name}, #{inspect(value)}"
    end

    @doc "Raises."
    def fail, do: raise(ArgumentError, "no such thing")

    @doc "Throws."
    def throws, do: throw(:ball)

    @doc "Exits."
    def exits, do: exit(:shutdown)

    @doc "Is killed."
    def killed, do: Process.exit(self(), :kill)

    @doc "What has no form on the wire."
    def formless, do: self()

    @doc "Tells the test that it runs, and waits for ever."
    def hang(test) do
      send(String.to_existing_atom(test), {:hangs, self()})
      Process.sleep(:infinity)
    end

    @doc "Does not end when it is told to."
    def trap(test) do
      Process.flag(:trap_exit, true)
      hang(test)
    end

    @doc "Numbers up to one."
    def count_to(0), do: []
    def count_to(n), do: 1..n

    @doc "All numbers."
    def for_ever, do: Stream.iterate(1, &(&1 + 1))

    @doc "One that is none."
    def seven, do: 7

    @doc "Goes on downwards."
    def descend(depth), do: Bridge.call!(client(), "fathom", [depth], timeout: 60_000)

    @doc "Asks again."
    def again(tool), do: Bridge.call!(client(), tool, ["add", [1, 2]])

    @doc "Asks twice at once, in tasks, and in tasks of tasks."
    def both do
      python = client()
      echo = fn text -> Bridge.call!(python, "echo", [text], timeout: 60_000) end
      nested = fn text -> Task.await(Task.async(fn -> echo.(text) end), 60_000) end

      [Task.async(fn -> echo.("a") end), Task.async(fn -> nested.("b") end)]
      |> Task.await_many(60_000)
    end

    @doc "Asks in a process that is no task."
    def elsewhere do
      {python, within, parent} = {client(), Bridge.Functions.within(), self()}
      spawn(fn -> send(parent, {:echo, Bridge.call!(python, "echo", ["c"], within: within)}) end)
      receive do: ({:echo, text} -> text)
    end

    @doc "Leaves a call behind that is none of its own, and says how that went to a test."
    def leave_behind(test) do
      python = client()
      test = String.to_existing_atom(test)

      {:ok, _pid} =
        Task.start(fn ->
          send(test, {:left, Bridge.call(python, "ask_in_turn", ["add", [1, 2]], within: nil)})
        end)

      :left
    end

    @doc "How much there is."
    def size(values), do: length(values)

    def undocumented, do: 1

    defp client, do: elem(Bridge.Functions.within(), 0)
  end

  defp start(opts \\ []) do
    options = [adapter: "asking_tools:AskingTools", functions: ForPython, max_workers: 2]
    start_client(Keyword.merge(options, opts))
  end

  test "a tool asks, and gets what is answered" do
    python = start()
    assert Bridge.call(python, "ask", ["add", [1, 2]]) == {:ok, 3}
    assert Bridge.call(python, "ask", ["add", [1]]) == {:ok, 2}
    assert Bridge.call(python, "ask_async", ["add", [1, 2]]) == {:ok, 3}

    assert Bridge.call(python, "ask_named", ["named", %{b: 1, a: [2]}]) ==
             {:ok, ["a, [2]", "b, 1"]}

    assert {:ok, offered} = Bridge.call(python, "offered")
    assert %{"arity" => [1, 2], "description" => "The sum of two numbers."} = offered["add"]
    refute Map.has_key?(offered, "undocumented")
  end

  test "what goes wrong arrives as it is" do
    python = start()
    caught = fn name, args -> Bridge.call!(python, "caught", [name, args]) end

    assert %{"code" => "internal", "kind" => "error", "type" => "ArgumentError", "stack" => stack} =
             error = caught.("fail", [])

    assert error["message"] == "Elixir's fail: no such thing"
    assert stack > 0

    assert %{"kind" => "throw", "message" => "Elixir's throws: threw :ball"} =
             caught.("throws", [])

    assert %{"kind" => "exit", "message" => "Elixir's exits: shutdown"} = caught.("exits", [])

    assert %{"kind" => "exit", "message" => "Elixir's killed: it has exited: killed"} =
             caught.("killed", [])

    assert %{"code" => "internal", "message" => formless} = caught.("formless", [])
    assert formless =~ "Elixir's formless: the result is a pid"

    assert %{"code" => "not_found", "kind" => nil, "message" => message} =
             caught.("undocumented", [])

    assert message =~ "there is no function undocumented/0; there are add,"
    assert %{"code" => "invalid_argument", "message" => message} = caught.("add", [1, 2, 3])
    assert message =~ "add takes 1 or 2 arguments, and not 3"

    assert {:error, %Bridge.Error{code: :internal, message: "Elixir's fail: no such thing"}} =
             Bridge.call(python, "ask", ["fail", []])
  end

  test "an enumerable is made as Python takes it" do
    python = start()
    assert Bridge.call(python, "total", ["count_to", [1000]]) == {:ok, 500_500}
    assert Bridge.call(python, "total", ["count_to", [0]]) == {:ok, 0}
    assert Bridge.call(python, "total", ["seven", []]) == {:ok, 7}
    assert Bridge.call(python, "first", ["for_ever", 3]) == {:ok, [1, 2, 3]}

    assert {:error, %{message: "Elixir's fail: no such thing"}} =
             Bridge.call(python, "total", ["fail", []])
  end

  test "what nobody waits for is ended" do
    python = start()
    Process.register(self(), :functions_test_hang)

    assert {:error, %{code: :deadline_exceeded}} =
             Bridge.call(python, "ask", ["hang", ["functions_test_hang"]], timeout: 50)

    assert_receive {:hangs, pid}
    monitor = Process.monitor(pid)
    assert_receive {:DOWN, ^monitor, :process, ^pid, _reason}
    assert Bridge.call(python, "ask", ["add", [1, 2]]) == {:ok, 3}
  end

  test "so is what traps exits, a little later" do
    python = start()
    Process.register(self(), :functions_test_trap)
    ask = fn -> Bridge.call(python, "ask", ["trap", ["functions_test_trap"]], tag: :trap) end

    for stop <- [
          fn -> Bridge.cancel(python, :trap) end,
          fn -> stop_supervised!(Bridge.Client) end
        ] do
      call = Task.async(ask)
      assert_receive {:hangs, pid}
      stop.()
      assert {:error, _over} = Task.await(call, patience())
      eventually(fn -> not Process.alive?(pid) end)
    end
  end

  test "what runs for a Python that is gone is ended" do
    python = start()
    Process.register(self(), :functions_test_gone)
    call = Task.async(fn -> Bridge.call(python, "ask", ["hang", ["functions_test_gone"]]) end)
    assert_receive {:hangs, pid}
    monitor = Process.monitor(pid)
    {:ok, %{os_pid: os_pid}} = Bridge.status(python)

    capture_log(fn ->
      os_kill("KILL", os_pid)
      assert {:error, %{code: :unavailable, started: true}} = Task.await(call, patience())
      assert_receive {:DOWN, ^monitor, :process, ^pid, _reason}
      assert :ok = Bridge.await_ready(python, patience())
    end)

    assert Bridge.call(python, "ask", ["add", [1, 2]]) == {:ok, 3}
  end

  test "only so many run at once" do
    python = start(max_elixir_calls: 1)
    Process.register(self(), :functions_test_limit)

    call =
      Task.async(fn ->
        Bridge.call(python, "ask", ["hang", ["functions_test_limit"]], timeout: 60_000)
      end)

    assert_receive {:hangs, _pid}
    assert %{"code" => "resource_exhausted"} = Bridge.call!(python, "caught", ["add", [1, 2]])
    Task.shutdown(call, :brutal_kill)
    eventually(fn -> Bridge.call(python, "ask", ["add", [1, 2]]) == {:ok, 3} end)
  end

  test "nested calls need no further worker" do
    for workers <- [1, 2] do
      python =
        start_supervised!(
          {Bridge.Client,
           options(
             adapter: "asking_tools:AskingTools",
             functions: ForPython,
             max_workers: workers
           )},
          id: workers
        )

      assert Bridge.call(python, "fathom", [20], timeout: 60_000) == {:ok, 20}

      depths =
        1..100
        |> Task.async_stream(fn _ -> Bridge.call!(python, "fathom", [3], timeout: 60_000) end,
          max_concurrency: 32,
          timeout: 60_000
        )
        |> Enum.uniq()

      assert depths == [ok: 3]
      assert Bridge.call(python, "ask", ["both", []]) == {:ok, ["a", "b"]}
      assert Bridge.call(python, "ask", ["elsewhere", []]) == {:ok, "c"}
    end
  end

  test "a nested call that might wait for itself is refused" do
    python = start()

    assert {:error, %{code: :internal, message: message}} =
             Bridge.call(python, "ask_in_turn", ["again", ["ask_in_turn"]])

    assert message =~ "resource_exhausted"
    assert message =~ "it might wait for itself"
    assert Bridge.call(python, "ask_in_turn", ["again", ["ask"]]) == {:ok, 3}
  end

  test "what a function leaves behind waits its turn, and is not within its call" do
    python = start()
    Process.register(self(), :functions_test_left)

    assert Bridge.call(python, "ask_in_turn", ["leave_behind", ["functions_test_left"]]) ==
             {:ok, "left"}

    assert_receive {:left, {:ok, 3}}
  end

  test "a large argument is read by the process of its function, and not by the client" do
    python = start()
    count = 100_000
    {:reductions, before} = Process.info(python, :reductions)
    assert Bridge.call(python, "ask_size", [count]) == {:ok, count}
    {:reductions, later} = Process.info(python, :reductions)
    # each element that is read costs one at least
    assert later - before < div(count, 2)
  end

  test "a message reaches a process that is named, and no other" do
    Process.register(self(), :functions_test_process)
    python = start(processes: %{"progress" => self(), "gone" => :no_such_process})
    assert Bridge.call(python, "send", ["progress", %{done: 1}]) == {:ok, nil}
    assert_receive {Bridge, "progress", %{"done" => 1}}

    log =
      capture_log(fn ->
        for name <- ["functions_test_process", "gone"],
            do: Bridge.call!(python, "send", [name, 1])

        Bridge.ping(python)
      end)

    assert log =~ "functions_test_process, which :processes does not name"
    assert log =~ "gone, whose process is not there"
    refute_received {Bridge, _name, _message}
  end

  test "a client that offers nothing is not asked" do
    python = start_client(adapter: "asking_tools:AskingTools")

    assert {:error, %{code: :failed_precondition, message: message}} =
             Bridge.call(python, "ask", ["add", [1, 2]])

    assert message =~ "no way back to Elixir"
  end

  test "what is no offer is refused before anything starts" do
    for functions <- [
          String,
          nil,
          %{1 => &is_atom/1},
          %{"$/tools" => &is_atom/1},
          %{"a" => 1},
          [a: 1]
        ] do
      assert_raise ArgumentError, ~r/expected :functions to be a map of functions/, fn ->
        Bridge.start_link(options(functions: functions))
      end
    end
  end

  test "a map of functions" do
    python = start(functions: %{"double" => &(&1 * 2), "Any name" => fn -> "of any kind" end})
    assert Bridge.call(python, "ask", ["double", [4]]) == {:ok, 8}
    assert Bridge.call(python, "ask", ["Any name", []]) == {:ok, "of any kind"}
    refute_atom("a name that nobody has used as an atom")

    assert %{"code" => "not_found"} =
             Bridge.call!(python, "caught", ["a name that nobody has used as an atom", []])

    refute_atom("a name that nobody has used as an atom")
  end

  defp refute_atom(text), do: assert_raise(ArgumentError, fn -> String.to_existing_atom(text) end)
end
