defmodule Bridge.ProcessGroupTest do
  use Bridge.TestCase, async: true

  alias Bridge.ProcessGroup

  # A program that has started another one, and tells the ids of both.
  defp start(script) do
    port = Port.open({:spawn_executable, "/bin/sh"}, [:binary, args: ["-c", script]])
    assert_receive {^port, {:data, ids}}, patience()
    [os_pid, child] = ids |> String.split() |> Enum.map(&String.to_integer/1)
    on_exit(fn -> ProcessGroup.kill(os_pid) end)
    {os_pid, child}
  end

  test "sends a signal to a program and all that it has started, and kills them" do
    {os_pid, child} =
      start("trap 'echo told; exit' TERM; sleep 600 & echo $$ $!; while :; do sleep 0.01; done")

    assert ProcessGroup.kill(os_pid, "TERM") == :ok
    assert_receive {_port, {:data, "told\n"}}, patience()
    assert ProcessGroup.kill(os_pid) == :ok
    eventually(fn -> not os_alive?(os_pid) and not os_alive?(child) end)
  end

  test "ends what a program has left behind, also what is deaf" do
    {os_pid, child} = start("sleep 600 & echo $$ $!")
    assert ProcessGroup.finish(os_pid) == :ok
    eventually(fn -> not os_alive?(child) end)

    {os_pid, child} = start("(trap '' TERM; while :; do sleep 600; done) & echo $$ $!")
    assert ProcessGroup.finish(os_pid) == :ok
    eventually(fn -> not os_alive?(child) end)
  end

  test "does nothing about a group that is not there" do
    {os_pid, _child} = start("echo $$ $$")
    eventually(fn -> not os_alive?(os_pid) end)
    assert ProcessGroup.finish(os_pid) == :ok
    assert ProcessGroup.kill(os_pid) == :ok
    assert ProcessGroup.kill(nil) == :ok
    assert ProcessGroup.finish(nil) == :ok
  end
end
