defmodule Bridge.OutboxTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Claim, Frame, Outbox, Occupancy, Places}

  # A program that echoes, stopped, and as many frames as it takes to make some wait.
  setup do
    cat = System.find_executable("cat")
    limits = [busy_limits_port: {1_000, 2_000}, busy_limits_msgq: :disabled]
    port = Port.open({:spawn_executable, cat}, [:binary, packet: 4] ++ limits)
    {:os_pid, os_pid} = Port.info(port, :os_pid)
    os_stop(os_pid)
    on_exit(fn -> System.cmd("kill", ["-KILL", "#{os_pid}"], stderr_to_stdout: true) end)

    {outbox, last} = write_until_two_wait(Outbox.new(Places.open(100)), port, 1)
    %{port: port, os_pid: os_pid, outbox: outbox, last: last}
  end

  defp write_until_two_wait(outbox, port, number) do
    outbox = Outbox.write(outbox, port, number, frame(number))

    case Outbox.size(outbox) do
      2 -> {outbox, number}
      _fewer -> write_until_two_wait(outbox, port, number + 1)
    end
  end

  defp frame(number), do: [<<number::32>> | :binary.copy(<<0>>, 20_000)]

  defp receive_number(port) do
    assert_receive {^port, {:data, <<number::32, _::binary>>}}
    number
  end

  # All numbers until this one, which must come.
  defp receive_until(port, last) do
    case receive_number(port) do
      ^last -> [last]
      number -> [number | receive_until(port, last)]
    end
  end

  test "keeps the order, also when the port takes more before it is flushed", context do
    %{port: port, outbox: outbox, last: last} = context
    os_kill("CONT", context.os_pid)
    written = receive_until(port, last - 2)

    outbox = Outbox.write(outbox, port, last + 1, frame(last + 1))
    outbox = flush_until_empty(outbox, port)

    assert Outbox.size(outbox) == 0
    assert written ++ receive_until(port, last + 1) == Enum.to_list(1..(last + 1))
  end

  test "is told once to flush, until it has", %{port: port, outbox: outbox} do
    assert_receive :flush
    refute_received :flush
    outbox = Outbox.flush(outbox, port)
    assert Outbox.size(outbox) == 2
    assert_receive :flush
  end

  test "gives back what waits, and that is never written", context do
    %{port: port, outbox: outbox, last: last} = context
    outbox = Outbox.delete(outbox, last - 1)
    assert Outbox.size(outbox) == 1

    os_kill("CONT", context.os_pid)
    flush_until_empty(outbox, port)
    assert receive_until(port, last) == Enum.to_list(1..last) -- [last - 1]
  end

  test "keeps what a closed port does not take", %{port: port, outbox: outbox, last: last} do
    Port.close(port)
    outbox = Outbox.write(outbox, port, last + 1, frame(last + 1))
    assert Outbox.size(outbox) == 3
  end

  defp flush_until_empty(outbox, port) do
    if Outbox.size(outbox) == 0 do
      outbox
    else
      assert_receive :flush
      outbox |> Outbox.flush(port) |> flush_until_empty(port)
    end
  end

  describe "a bridge that takes batches" do
    setup do
      port = Port.open({:spawn_executable, System.find_executable("cat")}, [:binary, packet: 4])
      places = Places.open(100)
      %{cat: port, places: places, gathering: Outbox.open(Outbox.new(places), port, 1_000)}
    end

    defp request(outbox, port, number, frame, in_flight \\ 1) do
      claim = Claim.new()
      {Outbox.request(outbox, port, number, frame, claim, in_flight), claim}
    end

    test "gets what was gathered as one frame", %{cat: port, gathering: outbox} do
      outbox = outbox |> Outbox.write(port, 1, "one") |> Outbox.write(port, 2, ["t", "wo"])
      assert Outbox.gathered(outbox) == 2
      outbox = Outbox.write_gathered(outbox, port)
      assert Outbox.size(outbox) == 0
      assert_receive {^port, {:data, <<0xC1, 3::32, "one", 3::32, "two">>}}
    end

    # or Python has nothing to do while the callers of all its answers do their next calls
    test "gets no more requests in one than half of the calls in flight", context do
      %{cat: port, gathering: outbox} = context

      for {in_flight, together} <- [{1, 16}, {31, 16}, {40, 21}], reduce: outbox do
        outbox ->
          outbox =
            for number <- 1..(2 * together), reduce: outbox do
              outbox -> outbox |> request(port, number, "#{number}", in_flight) |> elem(0)
            end

          assert Outbox.gathered(outbox) == 0
          for _ <- 1..2, do: assert(frames_in_one(port) == together)
          outbox
      end
    end

    test "gets a request at once while no other is in flight", context do
      %{cat: port, gathering: outbox} = context
      {outbox, claim} = request(outbox, port, 1, "alone", 0)
      assert_receive {^port, {:data, "alone"}}
      assert Outbox.gathered(outbox) == 0
      assert Claim.sent?(claim)
    end

    defp frames_in_one(port) do
      assert_receive {^port, {:data, <<0xC1, batch::binary>>}}
      batch |> Stream.unfold(&with(:end <- Frame.next(&1), do: nil)) |> Enum.count()
    end

    test "gets no more in one than it takes", %{cat: port, gathering: outbox} do
      large = :binary.copy("x", 2_000)
      half = :binary.copy("y", 600)

      outbox =
        for {frame, number} <- Enum.with_index(["a", large, half, half]), reduce: outbox do
          outbox -> Outbox.write(outbox, port, number, frame)
        end

      assert Outbox.size(Outbox.write_gathered(outbox, port)) == 0
      for frame <- ["a", large, half, half], do: assert_receive({^port, {:data, ^frame}})
    end

    test "gets nothing of what was taken back", context do
      %{cat: port, gathering: outbox, places: places} = context
      for _ <- 1..3, do: Places.take_anyway(places)
      {outbox, first} = request(outbox, port, 1, "first")
      {outbox, second} = request(outbox, port, 2, "second")
      {outbox, third} = request(outbox, port, 3, "third")
      # by its caller, and by the client
      assert Claim.withdraw(first)
      assert Claim.withdraw(second)
      outbox = outbox |> Outbox.delete(2) |> Outbox.write_gathered(port)
      assert_receive {^port, {:data, <<0xC1, 5::32, "third">>}}
      assert Outbox.size(outbox) == 0
      assert Claim.sent?(third)
      # each has given its place back, once
      assert Occupancy.taken(places) == 0
    end

    test "has what it cannot get now wait in order, unclaimed", context do
      %{port: stopped, places: places, last: last} = context
      outbox = Outbox.open(Outbox.new(places), stopped, 1_000)
      Places.take_anyway(places)
      {outbox, claim} = request(outbox, stopped, last + 1, "request")

      outbox =
        outbox |> Outbox.write(stopped, last + 2, "other") |> Outbox.write_gathered(stopped)

      assert Outbox.size(outbox) == 2
      assert Outbox.gathered(outbox) == 0
      refute Claim.sent?(claim)
      assert Occupancy.taken(places) == 1
      assert Claim.withdraw(claim)

      os_kill("CONT", context.os_pid)
      flush_until_empty(outbox, stopped)
      assert_receive {^stopped, {:data, "other"}}
      refute_received {^stopped, {:data, "request"}}
      assert Occupancy.taken(places) == 0
    end
  end
end
