defmodule Bridge.DeadCallersTest do
  @moduledoc """
  What callers that have died cost the client, and the line of a pool: something for each, however many
  messages wait. Counted in reductions, and not in time, so that it is the same on every machine.
  """

  use Bridge.TestCase, async: true

  alias Bridge.{Call, Claim, Client, Connection, Msgpack, Places}
  alias Bridge.Pool.{Line, Routes}
  alias Bridge.SharedMemory.Lending

  @moduletag :capture_log

  # A look through all messages for each of the dead is as many reductions as both multiplied.
  @dead 2_000
  @flood 50_000
  @each 5_000

  # With collections of garbage, for which all messages are looked at too.
  @one 20_000

  defp reductions(process \\ self()) do
    {:reductions, count} = Process.info(process, :reductions)
    count
  end

  # Processes that each do something once, and live on.
  defp callers(count, call), do: for(_ <- 1..count, do: spawn(fn -> call.() && sleep() end))

  defp sleep, do: Process.sleep(:infinity)

  defp kill(pids) do
    for pid <- pids, do: Process.exit(pid, :kill)
    eventually(fn -> not Enum.any?(pids, &Process.alive?/1) end)
  end

  # How many reductions a suspended process needs for what it has, a flood, and the ends of callers behind.
  defp work(process, flood, callers) do
    for _ <- 1..@flood, do: send(process, flood)
    kill(callers)
    before = reductions(process)
    :sys.resume(process)
    eventually(fn -> match?({_, 0}, Process.info(process, :message_queue_len)) end)
    reductions(process) - before
  end

  defp bound, do: @each * @dead + 100 * @flood

  defp call(client, tool \\ "echo"),
    do: Client.call(client, tool, [60], timeout: :infinity)

  test "before the client takes their calls" do
    client = start_client(max_queue: @dead)
    :sys.suspend(client)
    callers = callers(@dead, fn -> call(client) end)
    eventually(fn -> elem(Process.info(client, :message_queue_len), 1) >= @dead end)
    assert work(client, {:bridge_forget, 0}, callers) < bound()
    assert {:ok, 60} = call(client)
  end

  test "while their calls run" do
    client = start_client(max_queue: @dead)
    callers = callers(@dead, fn -> call(client, "wait") end)
    eventually(fn -> match?({:ok, %{calls: @dead}}, Client.info(client)) end)
    :sys.suspend(client)
    assert work(client, {:bridge_forget, 0}, callers) < bound()
    eventually(fn -> match?({:ok, %{calls: 0}}, Client.info(client)) end)
  end

  test "after their calls, when the client forgets them for others" do
    client = start_client()

    # one after another, so that it keeps as many as it ever does
    callers =
      for _ <- 1..1_001 do
        test = self()
        pid = spawn(fn -> {call(client), send(test, self()), sleep()} end)
        assert_receive ^pid
        pid
      end

    :sys.suspend(client)
    next = Task.async(fn -> call(client) end)
    eventually(fn -> elem(Process.info(client, :message_queue_len), 1) >= 1 end)
    assert work(client, {:bridge_forget, 0}, callers) < bound()
    assert {:ok, 60} = Task.await(next, patience())
  end

  test "while they stand in the line of a pool" do
    routes = Routes.new("full", @dead, :none)
    line = start_supervised!(%{id: Line, start: {Line, :start_link, [routes]}})
    routes = %{routes | line: line}
    callers = callers(@dead, fn -> Line.stand(routes, nil, :error, :infinity) end)
    eventually(fn -> Line.waiting(routes) == @dead end)
    :sys.suspend(line)
    assert work(line, {:leave, make_ref()}, callers) < bound()
    assert Line.waiting(routes) == 0
  end

  # Here the test is the client.
  describe "processes that move shared memory, and have ended when the client comes to it:" do
    setup do
      cat = System.find_executable("cat")
      port = Port.open({:spawn_executable, cat}, [:binary, packet: 4])
      connection = Connection.new(Places.open(1)) |> Connection.attach(port) |> Connection.open(0)
      for n <- 1..@flood, do: send(self(), {:flood, n})
      %{connection: connection}
    end

    defp dies(pid) do
      Process.exit(pid, :kill)
      eventually(fn -> not Process.alive?(pid) end)
    end

    # A writer that asks for a place, and one that has it.
    defp asking(connection) do
      writer = spawn(&sleep/0)
      {writer, Lending.reserve(connection, writer, 1_000)}
    end

    defp granted(connection, number) do
      id = connection.next_id
      {writer, connection} = asking(connection)
      answer = Msgpack.encode!([1, id, nil, [number, number * 65_536, 1, 2, "token"]])
      {writer, Lending.answered(connection, id, IO.iodata_to_binary(answer))}
    end

    defp many(connection, numbers, make) do
      {writers, connection} = Enum.map_reduce(numbers, connection, &make.(&2, &1))
      Enum.each(writers, &dies/1)
      connection
    end

    test "writers", %{connection: connection} do
      connection = many(connection, 1..100, fn connection, _number -> asking(connection) end)
      connection = many(connection, 101..300, &granted/2)
      before = reductions()

      connection =
        for number <- 101..200, reduce: connection do
          connection ->
            place = {number, number * 65_536, 1_000}

            assert {{:lent, ^place, ["lent"]}, ^number, connection} =
                     Lending.take(connection, {:lent, place, ["lent"], ["inline"]})

            connection
        end

      assert map_size(connection.lending.granted) == 100
      assert Lending.reset(connection).lending == %Lending{}
      assert reductions() - before < 300 * @one
    end

    test "readers", %{connection: connection} do
      call = %Call{
        key: make_ref(),
        from: make_ref(),
        caller: self(),
        claim: Claim.new(),
        watch: nil,
        tag: :error
      }

      connection = %{connection | calls: Map.new(1..100, &{&1, call})}

      connection =
        Enum.reduce(1..100, connection, fn id, connection ->
          Lending.receive_frame(connection, :response, id, <<0x94, 1, id>>, {id, 0, 1_000})
        end)

      readers = Map.keys(connection.lending.readers)
      Enum.each(readers, &dies/1)
      before = reductions()
      connection = Enum.reduce(readers, connection, &Lending.read(&2, &1, {:error, :gone}))
      assert connection.lending == %Lending{}
      assert connection.calls == %{}
      assert reductions() - before < 100 * @one
    end
  end
end
