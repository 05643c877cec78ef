defmodule Bridge.ClientTest do
  use Bridge.TestCase, async: true

  import ExUnit.CaptureLog

  alias Bridge.Client

  setup do
    %{client: start_client()}
  end

  describe "questions" do
    test "are answered while all workers are busy", %{client: client} do
      callers =
        for _ <- 1..16 do
          spawn_link(fn -> Client.call(client, "never_returns", [], timeout: :infinity) end)
        end

      eventually(fn -> match?({:ok, %{"busy" => 16}}, Client.health(client)) end)
      assert Client.ping(client, "hello") == {:ok, "hello"}
      assert {:ok, %{"status" => "serving"}} = Client.health(client)
      assert {:ok, %{"in_flight" => 16}} = Client.stats(client)
      assert {:ok, %{"threads" => threads}} = Client.stacks(client)
      busy = for %{"tool" => "never_returns"} = thread <- threads, do: List.last(thread["stack"])
      assert length(busy) == 16
      assert Enum.all?(busy, &(is_binary(&1["file"]) and is_integer(&1["line"])))
      assert {:ok, tools} = Client.tools(client)

      assert %{"streaming" => true, "parameters" => [%{"name" => "n", "annotation" => "int"}]} =
               Enum.find(tools, &(&1["name"] == "counts"))

      for caller <- callers do
        Process.unlink(caller)
        Process.exit(caller, :kill)
      end
    end
  end

  describe "info/1" do
    test "tells what the client knows", %{client: client} do
      assert {:ok, info} = Client.info(client)
      assert %{calls: 0, outbox: 0, late_replies: 0, os_pid: os_pid} = info
      assert %{"protocol" => 1, "pid" => ^os_pid, "limits" => %{"max_workers" => 16}} = info.ready
    end
  end

  describe "names and limits" do
    test "of a node that is not there are an error" do
      assert {:error, %{code: :unavailable}} = Client.call({:python, :no@where}, "echo", [1])
      assert {:error, %{code: :unavailable}} = Client.status({:python, :no@where})
    end

    test "may be as large as one likes" do
      client = start_client(max_queue: 10 ** 30, name: :bridge_of_many)
      assert Client.call(client, "echo", [1]) == {:ok, 1}
    end

    test "are checked before anything happens", %{client: client} do
      for timeout <- [-1, 1.5, :never, nil] do
        assert_raise ArgumentError, ~r/expected the timeout/, fn ->
          Client.await_ready(client, timeout)
        end

        assert_raise ArgumentError, ~r/expected the timeout/, fn ->
          Client.stop(client, :normal, timeout)
        end
      end

      assert Client.call(client, "echo", [1]) == {:ok, 1}
    end
  end

  describe "the connection" do
    test "is not disturbed by prints from Python, C and child processes", %{client: client} do
      text = "(printed by a test)"
      for _ <- 1..3, do: assert(Client.call(client, "prints_everywhere", [text]) == {:ok, text})
      assert Client.ping(client, 1) == {:ok, 1}
    end

    test "brings what Python prints to the Logger, if it shall" do
      log =
        capture_log(fn ->
          start_supervised!({Client, options(stderr: :logger, name: :printing)})
          Client.call!(:printing, "prints_everywhere", ["(printed, and logged)"])
          stop_supervised!(:printing)
        end)

      assert log =~ ~r/\[info\].*\(printed, and logged\)/
    end

    test "lets go of large frames in both directions", %{client: client} do
      large = :binary.copy("x", 1_000_000)
      assert Client.call(client, "echo", [large]) == {:ok, large}

      large_binaries = fn ->
        {:binary, binaries} = Process.info(client, :binary)
        for {_id, size, _count} <- binaries, size >= 1_000_000, do: size
      end

      eventually(fn -> large_binaries.() == [] end)
    end

    test "brings Python's log lines to the Logger", %{client: client} do
      log =
        capture_log(fn ->
          Client.call!(client, "logs", ["disk nearly full"])
          Client.ping(client)
        end)

      assert log =~ "[warning]"
      assert log =~ "disk nearly full"
    end

    test "survives requests of another version", %{client: client} do
      log =
        capture_log(fn ->
          send(client, {:bridge_request, make_ref(), self()})
          assert Client.ping(client, 1) == {:ok, 1}
        end)

      assert log =~ "unexpected message"
    end

    test "survives messages that nobody knows", %{client: client} do
      log =
        capture_log(fn ->
          send(client, :hello)
          assert Client.ping(client, 1) == {:ok, 1}
        end)

      assert log =~ "unexpected message: :hello"
    end
  end
end
