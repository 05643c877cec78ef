defmodule Bridge.ClientTimeTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Client, Error}
  alias Bridge.Test.{Callers, Nodes}

  @moduletag :capture_log
  @moduletag :tmp_dir

  @callers 40

  # A client whose Python waits for a file before it is ready.
  defp start_held(tmp_dir, opts \\ []) do
    file = Path.join(tmp_dir, "start")
    env = Map.put(options()[:env], "FIXTURE_START_FILE", file)
    opts = [adapter: "fixture_tools:StartsWhenTold", env: env, start: :async] ++ opts
    {start_client(opts), file}
  end

  defp os_pid(client) do
    {:ok, %{os_pid: os_pid}} = Client.info(client)
    os_pid
  end

  defp idle?(client) do
    match?({:ok, %{calls: 0, outbox: 0}}, Client.info(client)) and
      match?({:ok, %{"in_flight" => 0, "busy" => 0}}, Client.health(client))
  end

  # Callers return while `during` has the client in some state, and nothing comes when it has left it.
  defp callers_keep_their_time(client, leave, again \\ fn -> :ok end) do
    :rand.seed(:exsss, ExUnit.configuration()[:seed])
    callers = Callers.start(client, @callers)
    again.()
    assert Callers.await(callers, patience()) == []
    leave.()
    assert Client.await_ready(client, patience()) == :ok
    eventually(fn -> idle?(client) end)
    assert Callers.late_messages(callers) == []
    Callers.stop(callers)
  end

  describe "callers keep their time, and get nothing late, of a client that" do
    test "is starting", %{tmp_dir: tmp_dir} do
      {client, file} = start_held(tmp_dir)
      callers_keep_their_time(client, fn -> File.touch!(file) end)
    end

    test "is suspended" do
      client = start_client()
      :sys.suspend(client)
      callers_keep_their_time(client, fn -> :sys.resume(client) end)
    end

    test "is flooded" do
      client = start_client()
      flood = spawn_link(Callers, :flood, [client])

      callers_keep_their_time(client, fn ->
        Process.unlink(flood)
        Process.exit(flood, :kill)
      end)
    end

    test "has a Python that is stopped, and one that goes on" do
      client = start_client()
      os_pid = os_pid(client)
      os_stop(os_pid)
      callers_keep_their_time(client, fn -> os_kill("CONT", os_pid) end)
      callers_keep_their_time(client, fn -> :ok end)
    end

    test "has a Python that is killed" do
      client = start_client()
      os_pid = os_pid(client)
      callers_keep_their_time(client, fn -> :ok end, fn -> os_kill("KILL", os_pid) end)
    end

    test "drains for another Python" do
      client = start_client()
      callers_keep_their_time(client, fn -> :ok end, fn -> Client.restart(client) end)
    end

    @tag :distributed
    test "is on another node, and suspended there" do
      client = Nodes.start_client(options())
      callers_keep_their_time(client, fn -> :ok end)
      :sys.suspend(client)
      callers_keep_their_time(client, fn -> :sys.resume(client) end)
    end
  end

  describe "started is false when the time is over" do
    test "before Python is ready, and the call never runs", %{tmp_dir: tmp_dir} do
      {client, file} = start_held(tmp_dir)

      assert {:error, %Error{code: :deadline_exceeded, started: false}} =
               Client.call(client, "echo", [1], timeout: 10)

      File.touch!(file)
      assert Client.await_ready(client, patience()) == :ok
      assert {:ok, %{"calls" => 0}} = Client.stats(client)
    end

    test "before a client that is suspended takes it, and the call never runs" do
      client = start_client()
      :sys.suspend(client)

      assert {:error, %Error{code: :deadline_exceeded, started: false}} =
               Client.call(client, "echo", [1], timeout: 10)

      dead = spawn(fn -> Client.call(client, "echo", [1], timeout: :infinity) end)
      eventually(fn -> match?({_, 3}, Process.info(client, :message_queue_len)) end)
      Process.exit(dead, :kill)
      eventually(fn -> not Process.alive?(dead) end)
      :sys.resume(client)
      assert {:ok, %{"calls" => 0}} = Client.stats(client)
    end

    test "in Python's queue; it is a deadline there, not a cancel" do
      client = start_client(max_workers: 1)
      # Python's own word comes within milliseconds, but not beside everything else that is tested
      running =
        Task.async(fn -> Client.call(client, "wait", [60], timeout: 60_000, tag: :wait) end)

      eventually(fn -> match?({:ok, %{"busy" => 1}}, Client.health(client)) end)

      eventually(fn ->
        assert {:error, %Error{code: :deadline_exceeded} = error} =
                 Client.call(client, "echo", [1], timeout: 10)

        error.started == false
      end)

      Client.cancel(client, :wait)
      assert {:error, %Error{code: :cancelled, started: true}} = Task.await(running)
      assert {:ok, %{"interrupted" => counts}} = Client.stats(client)
      assert %{"cancelled" => 1, "deadline_exceeded" => n} = counts
      assert n > 0
    end
  end

  # A client which answers no request before its time is over.
  defp late_client(answer) do
    test = self()

    client =
      spawn_link(fn ->
        # as the real one has it, which is looked at
        Process.put(:"$initial_call", {Bridge.Server, :init, 1})
        send(test, :there)
        assert_receive {:bridge_request, key, caller, _claim, _body, _watch, _tag}, patience()
        assert_receive {:bridge_timeout, ^caller, ^key}, patience()
        send(key, {key, answer})
      end)

    assert_receive :there
    client
  end

  describe "an answer that comes when the time is over" do
    setup do
      %{response: {:response, IO.iodata_to_binary(Bridge.Msgpack.encode!([1, 1, nil, "done"]))}}
    end

    test "is that of a call", %{response: response} do
      # within the moment that there is for it, but not beside everything else that is tested
      eventually(fn ->
        Client.call(late_client(response), "echo", [1], timeout: 10) == {:ok, "done"}
      end)
    end

    test "is no end of a stream, whose items nobody has kept", %{response: response} do
      stream = Client.stream(late_client(response), "counts", [3], timeout: 10)
      assert %Error{code: :deadline_exceeded} = catch_error(Enum.to_list(stream))
    end
  end

  describe ":max_queue holds" do
    test "while Python starts", %{tmp_dir: tmp_dir} do
      {client, file} = start_held(tmp_dir, max_queue: 3)
      calls = for n <- 1..5, do: Task.async(fn -> Client.call(client, "echo", [n]) end)
      eventually(fn -> Enum.count(calls, &(not Process.alive?(&1.pid))) == 2 end)
      File.touch!(file)
      codes = calls |> Task.await_many() |> Enum.frequencies_by(&code/1)
      assert codes == %{ok: 3, resource_exhausted: 2}
    end

    test "while the client is suspended, and is free again after that" do
      client = start_client(max_queue: 3)
      :sys.suspend(client)
      calls = for n <- 1..5, do: Task.async(fn -> Client.call(client, "echo", [n]) end)
      eventually(fn -> Enum.count(calls, &(not Process.alive?(&1.pid))) == 2 end)
      :sys.resume(client)
      codes = calls |> Task.await_many() |> Enum.frequencies_by(&code/1)
      assert codes == %{ok: 3, resource_exhausted: 2}
      for n <- 1..10, do: assert(Client.call(client, "echo", [n]) == {:ok, n})
    end
  end

  defp code({:ok, _result}), do: :ok
  defp code({:error, error}), do: error.code
end
