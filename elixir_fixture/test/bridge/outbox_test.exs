defmodule Bridge.OutboxTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Outbox, Places}

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
end
