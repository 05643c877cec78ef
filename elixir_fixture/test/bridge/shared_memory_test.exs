defmodule Bridge.SharedMemoryTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Client, Tensor}
  alias Bridge.SharedMemory
  alias Bridge.SharedMemory.Lending

  @tools [
    adapter: "memory_tools:Tools",
    app_dir: Path.expand("../../../tests/integration", __DIR__)
  ]
  @mib 1_048_576

  defp start(opts \\ []), do: start_client(@tools ++ Keyword.put_new(opts, :shared_memory, true))

  defp memory(client) do
    {:ok, stats} = Client.stats(client)
    stats["shared_memory"]
  end

  # A Python that was killed just now says nothing.
  defp free?(client) do
    match?(
      {:ok, %{"shared_memory" => %{"places" => 0, "used_bytes" => 0}}},
      Client.stats(client)
    )
  end

  defp lending(client), do: :sys.get_state(client).connection.lending

  defp idle?(client) do
    free?(client) and
      match?(
        %{granted: g, asked: a, readers: r, reading: d}
        when g == %{} and a == %{} and r == %{} and d == %{},
        lending(client)
      )
  end

  defp data(mib), do: :crypto.strong_rand_bytes(mib * @mib)

  # The descriptors that this runtime has of the client's file.
  defp descriptors(client) do
    {pid, descriptor, _token} = lending(client).file
    file = File.stat!("/proc/#{pid}/fd/#{descriptor}")
    folder = "/proc/#{System.pid()}/fd"

    for number <- File.ls!(folder),
        {:ok, stat} <- [File.stat(Path.join(folder, number))],
        {stat.inode, stat.major_device} == {file.inode, file.major_device},
        do: number
  end

  # A machine where it does not work has the pipe, which other tests try.
  @moduletag skip:
               if(File.exists?("/proc/self/fd") and match?({:unix, :linux}, :os.type()),
                 do: false,
                 else: "no /proc"
               )

  describe "both directions" do
    test "bytes, text, tensors and tables, nested anywhere" do
      client = start()
      bytes = data(3)
      text = String.duplicate("ü", @mib)
      tensor = Tensor.new!({:f, 32}, {2, div(@mib, 2)}, data(4))
      value = %{"a" => [bytes, 1, %{"t" => tensor}], "b" => text, "small" => "x"}
      given = %{"a" => [{:bytes, bytes}, 1, %{"t" => tensor}], "b" => text, "small" => "x"}

      for _ <- 1..3, do: assert({:ok, ^value} = Client.call(client, "echo", [given]))
      assert %{"sent" => sent, "received" => received} = memory(client)
      assert %{"messages" => 3, "refused" => 0} = sent
      assert %{"messages" => 3, "refused" => 0} = received
      assert received["bytes"] >= 3 * 9 * @mib
      eventually(fn -> idle?(client) end)
    end

    test "tables" do
      client = start()

      case Client.call(client, "frame", [300_000]) do
        {:ok, %Bridge.Table{ipc: ipc} = table} ->
          assert byte_size(ipc) > 4 * @mib
          assert {:ok, 300_000} = Client.call(client, "rows", [table])
          assert {:ok, ^table} = Client.call(client, "echo", [table])

          assert %{"sent" => %{"messages" => 2}, "received" => %{"messages" => 2}} =
                   memory(client)

          eventually(fn -> idle?(client) end)

        {:error, error} ->
          # nothing but what is not installed
          assert error.message =~ ~r/pandas|pyarrow/
      end
    end

    test "iodata of many parts, by name" do
      client = start()
      parts = [data(1), ["between", [data(1)]], <<7>>]
      joined = IO.iodata_to_binary(parts)
      assert {:ok, ^joined} = Client.call(client, "echo", value: {:bytes, parts})
      assert memory(client)["received"]["messages"] == 1
    end

    test "what is small, or a key of a map, stays in the pipe" do
      client = start()
      key = String.duplicate("k", 2 * @mib)
      assert {:ok, %{^key => 1}} = Client.call(client, "echo", [%{key => 1}])
      assert {:ok, _} = Client.call(client, "echo", [{:bytes, :binary.copy(<<1>>, @mib - 1)}])
      assert %{"received" => %{"messages" => 0}, "sent" => %{"messages" => 0}} = memory(client)
    end

    test "items of a stream, in their order" do
      client = start()
      items = client |> Client.stream("items", [8, 2 * @mib]) |> Enum.to_list()

      assert items ==
               for(n <- 0..7, do: if(rem(n, 2) == 0, do: :binary.copy(<<n>>, 2 * @mib), else: n))

      assert client |> Client.stream("items", [100, 2 * @mib]) |> Enum.take(3) |> length() == 3
      assert memory(client)["sent"]["messages"] >= 6
      eventually(fn -> idle?(client) end)
    end

    test "an array that a tool keeps is not overwritten" do
      client = start()
      ones = Tensor.new!({:f, 32}, {@mib}, :binary.copy(<<1.0::float-32-little>>, @mib))
      assert {:ok, false} = Client.call(client, "keep", [ones])
      for _ <- 1..4, do: Client.call!(client, "digest", [{:bytes, data(4)}])
      assert {:ok, 1_048_575.0} = Client.call(client, "kept_sum")
      assert memory(client)["places"] == 1
      Client.call!(client, "drop")
      eventually(fn -> idle?(client) end)
    end
  end

  describe "the pipe instead" do
    test "when it is switched off" do
      client = start(shared_memory: false)
      bytes = data(2)
      assert {:ok, ^bytes} = Client.call(client, "echo", [{:bytes, bytes}])
      assert %{"received" => %{"messages" => 0}, "sent" => %{"messages" => 0}} = memory(client)
      client = start_supervised!({Client, options(@tools ++ [shared_memory: 0])}, id: :zero)
      assert {:ok, ^bytes} = Client.call(client, "echo", [{:bytes, bytes}])
      assert %{"available" => false} = memory(client)
    end

    test "when the arena is full" do
      client = start(shared_memory: 6 * @mib)
      ones = Tensor.new!({:u, 8}, {2 * @mib}, :binary.copy(<<1>>, 2 * @mib))
      for _ <- 1..4, do: Client.call!(client, "keep", [ones])
      bytes = data(5)
      assert {:ok, ^bytes} = Client.call(client, "echo", [{:bytes, bytes}])
      assert memory(client)["received"]["refused"] >= 1
      assert {:ok, 8_388_604.0} = Client.call(client, "kept_sum")
    end

    test "when what /proc shows is another file" do
      # of this process: its input is a pipe, and 3 a file
      program = "exec 3<\"$0\"; echo ready; exec sleep 60"

      port =
        Port.open({:spawn_executable, "/bin/sh"}, [:binary, args: ["-c", program, __ENV__.file]])

      assert_receive {^port, {:data, "ready\n"}}, 10_000
      {:os_pid, pid} = Port.info(port, :os_pid)

      for descriptor <- [0, 3] do
        assert {:error, {:another_file, _}} =
                 SharedMemory.check({pid, descriptor, "no such token"})
      end

      System.cmd("kill", [to_string(pid)])
      assert {:error, :enoent} = SharedMemory.check({4_000_000, 1, "token"})
      assert {:error, {:no_file, _}} = SharedMemory.check({"1", nil, ""})
    end

    test "for a message that is larger than the limit, whose error is the same" do
      client = start(max_message_bytes: 2 * @mib)
      assert {:error, error} = Client.call(client, "size", [{:bytes, data(3)}])
      assert error.code == :resource_exhausted
      assert error.message =~ "--max-message-bytes"
    end
  end

  describe "ends" do
    test "a caller that is killed in the midst of it leaves no place" do
      client = start()
      bytes = data(8)

      for n <- 1..30 do
        caller = spawn(fn -> Client.call(client, "echo", [{:bytes, bytes}]) end)
        Process.sleep(rem(n, 10))
        Process.exit(caller, :kill)
      end

      eventually(fn -> idle?(client) end)
      assert {:ok, ^bytes} = Client.call(client, "echo", [{:bytes, bytes}])
    end

    test "a call without time is over at once, and leaves no place" do
      client = start()
      bytes = data(8)

      for timeout <- [0, 1, 2, 5, 10] do
        case Client.call(client, "echo", [{:bytes, bytes}], timeout: timeout) do
          {:ok, ^bytes} -> :ok
          {:error, error} -> assert error.code == :deadline_exceeded
        end
      end

      eventually(fn -> idle?(client) end)
    end

    test "Python that is killed, again and again: no wrong byte, and the next one serves" do
      client = start()

      callers =
        for n <- 1..3 do
          Task.async(fn ->
            bytes = :binary.copy(<<n>>, 5 * @mib)

            for _ <- 1..12 do
              case Client.call(client, "echo", [{:bytes, bytes}], timeout: 20_000) do
                {:ok, result} -> assert result == bytes
                {:error, error} -> assert error.code == :unavailable
              end
            end
          end)
        end

      for _ <- 1..4 do
        Process.sleep(100)

        with {:ok, %{os_pid: pid}} when pid != nil <- Client.status(client),
             do: System.cmd("kill", ["-KILL", "#{pid}"], stderr_to_stdout: true)
      end

      Task.await_many(callers, :infinity)
      eventually(fn -> match?({:ok, %{state: :ready}}, Client.status(client)) end)
      eventually(fn -> idle?(client) end)
      bytes = data(2)
      assert {:ok, ^bytes} = Client.call(client, "echo", [{:bytes, bytes}])
    end

    test "a restart: what was written for the old Python goes to the next one whole" do
      client = start()
      bytes = data(4)
      echo = fn -> Client.call(client, "echo", [{:bytes, bytes}], timeout: 20_000) end
      callers = for _ <- 1..8, do: Task.async(echo)
      Client.restart(client)
      for result <- Task.await_many(callers, :infinity), do: assert({:ok, ^bytes} = result)
      eventually(fn -> idle?(client) end)
    end

    test "a restart: what Python answers at its end is read when it is no more" do
      client = start(grace: 10)
      {:ok, _first} = Client.call(client, "make", [@mib])
      nap = fn -> Client.call(client, "nap", [1, 4 * @mib], timeout: 20_000) end
      callers = for _ <- 1..4, do: Task.async(nap)
      eventually(fn -> match?({:ok, %{"in_flight" => 4}}, Client.stats(client)) end)
      restart = Task.async(fn -> Client.restart(client) end)
      eventually(fn -> match?({:ok, %{state: :draining}}, Client.status(client)) end)
      # it sees neither the answers nor the end before both are over
      {:ok, %{os_pid: pid}} = Client.status(client)
      :sys.suspend(client)
      eventually(fn -> not File.exists?("/proc/#{pid}/fd/0") end)
      :sys.resume(client)
      for result <- Task.await_many(callers, :infinity), do: assert({:ok, _bytes} = result)
      Task.await(restart, :infinity)
    end

    test "many callers beside a Python that does not read need few descriptors" do
      client = start()
      bytes = data(1)
      echo = fn -> Client.call(client, "echo", [{:bytes, bytes}], timeout: 60_000) end

      # both sides know of the memory, soon after the start: a stopped Python could not say so any more
      eventually(fn -> echo.() == {:ok, bytes} and memory(client)["received"]["messages"] > 0 end)
      {:ok, %{os_pid: os_pid}} = Client.info(client)
      os_stop(os_pid)
      on_exit(fn -> System.cmd("kill", ["-KILL", "#{os_pid}"], stderr_to_stdout: true) end)
      calls = for _ <- 1..100, do: Task.async(echo)
      eventually(fn -> map_size(lending(client).asked) >= 100 end)

      # each has done what it does before it is given a place, or has given up, after a second
      waits? = fn {writer, _monitor} ->
        writer == nil or
          Process.info(writer, [:message_queue_len, :status]) in [
            nil,
            [message_queue_len: 0, status: :waiting]
          ]
      end

      eventually(fn -> Enum.all?(Map.values(lending(client).asked), waits?) end)
      assert length(descriptors(client)) <= 16

      System.cmd("kill", ["-CONT", "#{os_pid}"])
      assert Enum.uniq(Task.await_many(calls, 30_000)) == [{:ok, bytes}]
      eventually(fn -> idle?(client) and descriptors(client) == [] end)
    end

    test "a request whose place is not known any more is sent with everything in it" do
      connection = Bridge.Connection.new(Bridge.Places.open(1))
      place = {7, 65_536, 100}
      assert {"inline", nil, _} = Lending.take(connection, {:lent, place, "lent", "inline"})
    end

    test "a result that comes when the time is just over is read, if its caller still waits" do
      connection = Bridge.Connection.new(Bridge.Places.open(1))
      call = %{struct(Bridge.Call, notes: []) | overdue: true}

      for {from, kind, readers} <- [{self(), :response, 1}, {self(), :item, 0}, {nil, :item, 0}] do
        connection = %{connection | calls: %{7 => %{call | from: from}}}
        connection = Lending.receive_frame(connection, kind, 7, "frame", {1, 65_536, 9})
        assert map_size(connection.lending.readers) == readers
      end
    end

    test "what is no file is not heard" do
      connection = Bridge.Connection.new(Bridge.Places.open(1))

      for words <- [[nil, nil, nil], [1, 2], ["1", 2, "token"], [1, 2, 3], %{}, nil],
          do: assert(Lending.announced(connection, words) == connection)
    end

    test "whether a writer without luck speaks for all" do
      connection = Bridge.Connection.new(Bridge.Places.open(1))
      file = {4_000_000, 10, "token"}
      connection = Lending.announced(connection, [4_000_000, 10, "token"])
      # it was never opened
      for reason <- [:enoent, :eacces, :emfile],
          do: assert(Lending.unwritable?(connection, file, reason))

      refute Lending.unwritable?(connection, {4_000_001, 10, "another"}, :enoent)
      # it was, so that Python has ended, or is not to be seen by us any more
      connection = put_in(connection.lending.opened, true)

      for reason <- [:enoent, :emfile, {:another_file, file}],
          do: refute(Lending.unwritable?(connection, file, reason))

      assert Lending.unwritable?(connection, file, :eacces)
    end

    test "a writer that is killed keeps its place from everybody" do
      client = start()
      Client.call!(client, "echo", [{:bytes, data(1)}])

      writer =
        spawn(fn ->
          send(client, {:bridge_reserve, self(), @mib})
          receive do: (:never -> :ok)
        end)

      eventually(fn -> map_size(lending(client).granted) == 1 end)
      Process.exit(writer, :kill)
      eventually(fn -> map_size(lending(client).granted) == 0 end)
      assert memory(client)["places"] == 1
    end
  end

  test "a pool: each process has its own" do
    pool =
      start_supervised!({Bridge.Pool, [processes: 2] ++ options(@tools ++ [shared_memory: true])})

    bytes = data(2)

    results =
      1..12
      |> Task.async_stream(fn _ -> Bridge.call(pool, "echo", [{:bytes, bytes}]) end,
        max_concurrency: 6,
        timeout: 60_000
      )
      |> Enum.map(fn {:ok, result} -> result end)

    assert Enum.all?(results, &(&1 == {:ok, bytes}))
    {:ok, stats} = Bridge.stats(pool)
    assert stats["shared_memory"]["received"]["messages"] == 12
  end
end
