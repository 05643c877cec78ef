defmodule Bridge.ClientHistoryTest do
  @moduledoc """
  Random histories of a client and its callers. Short here; on a quiet machine:

      BRIDGE_HISTORIES=50 BRIDGE_LATE_MS=20 BRIDGE_KILLS=100 mix test test/bridge/client_history_test.exs
  """

  use Bridge.TestCase, async: true

  import Bridge.Test.Pools, only: [ledger: 1]

  alias Bridge.{Client, Error}
  alias Bridge.Test.{Callers, Nodes}

  @moduletag :capture_log
  @moduletag timeout: :infinity

  @histories "BRIDGE_HISTORIES" |> System.get_env("2") |> String.to_integer()
  @kills "BRIDGE_KILLS" |> System.get_env("3") |> String.to_integer()

  @steps 5

  # What may be wrong with a client, or be done to it, while there are callers.
  @troubles [:suspended, :flooded, :stopped, :killed, :starting]

  setup do
    seed = ExUnit.configuration()[:seed]
    :rand.seed(:exsss, seed)
    %{seed: seed}
  end

  describe "whatever happens meanwhile, callers keep their time, get nothing late, and all goes on, of a client" do
    test "on this node", %{seed: seed} do
      client = start_client()
      for history <- 1..@histories, do: live(client, {seed, history})
    end

    @tag :distributed
    test "on another node", %{seed: seed} do
      client = Nodes.start_client(options())
      for history <- 1..@histories, do: live(client, {seed, history})
    end
  end

  defp live(client, seed) do
    for step <- 1..@steps do
      {:ok, %{os_pid: os_pid}} = Client.info(client)
      troubles = Enum.take_random(@troubles, Enum.random(0..2))
      where = "history #{inspect(seed)}, step #{step}: #{inspect(troubles)}"
      {before, meanwhile} = Enum.split(troubles, Enum.random(0..2))

      over = for trouble <- before, do: begin(trouble, client, os_pid)
      callers = Callers.start(client, Enum.random(1..30))
      Process.sleep(Enum.random(0..10))
      over = over ++ for trouble <- meanwhile, do: begin(trouble, client, os_pid)
      more = Callers.start(client, Enum.random(0..10))

      # the time of all is over before this is
      if Enum.random([true, false]), do: Process.sleep(100)
      early = Enum.random([true, false])
      if early, do: for(over <- Enum.shuffle(over), do: over.())
      assert Callers.await(callers ++ more, patience()) == [], where
      unless early, do: for(over <- Enum.shuffle(over), do: over.())

      serves_again(client)
      assert Callers.late_messages(callers ++ more) == [], where
      Callers.stop(callers ++ more)
    end
  end

  # Returns what ends it.
  defp begin(:suspended, client, _os_pid) do
    :sys.suspend(client, :infinity)
    fn -> :sys.resume(client, :infinity) end
  end

  defp begin(:flooded, client, _os_pid) do
    flood = Node.spawn(node(client), Callers, :flood, [client])
    fn -> Process.exit(flood, :kill) end
  end

  defp begin(:stopped, _client, os_pid) do
    signal("STOP", os_pid)
    fn -> signal("CONT", os_pid) end
  end

  defp begin(:killed, _client, os_pid) do
    signal("KILL", os_pid)
    fn -> :ok end
  end

  defp begin(:starting, client, _os_pid) do
    Client.restart(client)
    fn -> :ok end
  end

  # It may have been killed.
  defp signal(name, os_pid),
    do: System.cmd("kill", ["-s", name, "#{os_pid}"], stderr_to_stdout: true)

  defp serves_again(client) do
    eventually(fn -> ready?(client) end)

    eventually(fn ->
      match?({:ok, %{calls: 0, outbox: 0}}, Client.info(client)) and
        match?({:ok, %{"in_flight" => 0, "busy" => 0}}, Client.health(client))
    end)

    assert Client.call(client, "echo", [1], timeout: patience()) == {:ok, 1}
  end

  # After many faults it would wait for the next try.
  defp ready?(client) do
    {:ok, %{state: state}} = Client.status(client)
    if state == :waiting, do: Client.restart(client)
    state == :ready
  end

  test "50 callers are answered when Python is killed, again and again, and know what began" do
    ledger = Path.join(System.tmp_dir!(), "bridge_ledger_#{System.unique_integer([:positive])}")
    on_exit(fn -> File.rm(ledger) end)
    client = start_client(adapter: "pool_tools:PoolTools")
    shared = %{enough: :atomics.new(1, []), numbers: :atomics.new(1, []), ledger: ledger}
    callers = for _ <- 1..50, do: Task.async(fn -> call_until(client, shared, []) end)

    for _ <- 1..@kills do
      eventually(fn -> ready?(client) end)
      {:ok, %{os_pid: os_pid}} = Client.info(client)
      # so that calls are in all states
      enters = :atomics.get(shared.numbers, 1) + Enum.random(50..200)
      eventually(fn -> :atomics.get(shared.numbers, 1) >= enters end)
      os_kill("KILL", os_pid)
      eventually(fn -> not match?({:ok, %{os_pid: ^os_pid}}, Client.info(client)) end)
    end

    eventually(fn -> ready?(client) end)
    :atomics.put(shared.enough, 1, 1)
    {answers, messages} = callers |> Task.await_many(2 * patience()) |> Enum.unzip()
    assert Enum.concat(messages) == []
    began = ledger(ledger)

    for {number, answer} <- Enum.concat(answers) do
      times = Map.get(began, number, 0)

      case answer do
        {:ok, ^number} ->
          assert times == 1

        # what was written to it just then has not cost the status
        {:error, %Error{code: :unavailable, details: %{"exit_status" => 137}} = error} ->
          assert is_boolean(error.started)
          assert times <= if(error.started, do: 1, else: 0), "#{number}: #{inspect(error)}"
      end
    end

    assert Enum.count(Enum.concat(answers), &match?({_, {:error, %{started: true}}}, &1)) > 0
    assert Client.call(client, "echo", [1], timeout: patience()) == {:ok, 1}
  end

  # Calls until it is enough; what it got, and what is in its mailbox then.
  defp call_until(client, shared, answers) do
    if :atomics.get(shared.enough, 1) == 1 do
      {:messages, messages} = Process.info(self(), :messages)
      {answers, messages}
    else
      number = :atomics.add_get(shared.numbers, 1, 1)
      seconds = if rem(number, 8) == 0, do: 0.005, else: 0
      args = [shared.ledger, number, seconds]
      answer = Client.call(client, "enters", args, timeout: patience())
      # while it waits for its next try, errors come in no time
      if match?({:error, %{started: false}}, answer), do: Process.sleep(1)
      call_until(client, shared, [{number, answer} | answers])
    end
  end
end
