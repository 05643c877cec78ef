defmodule Bridge.StderrTest do
  # not async: it looks at all named pipes of the node
  use Bridge.TestCase

  import ExUnit.CaptureLog

  # more than a pipe holds
  @much String.duplicate(String.duplicate("x", 99) <> "\n", 1_000)

  defp pipes, do: Path.wildcard(Path.join(System.tmp_dir!(), "bridge-#{System.pid()}-*"))

  defp start do
    before = pipes()
    client = start_client(stderr: :logger, grace: 1)
    [pipe] = pipes() -- before
    {client, pipe}
  end

  # The shell that holds the pipe, its other half, and the program that reads it.
  defp programs(pipe) do
    {output, 0} = System.cmd("ps", ["-A", "-o", "pid=,ppid=,stat=,args="])

    rows =
      for line <- String.split(output, "\n", trim: true),
          [pid, parent, stat, args] <- [String.split(line, ~r/ +/, trim: true, parts: 4)],
          not String.starts_with?(stat, "Z"),
          do: {pid, parent, args}

    own = for {pid, parent, args} <- rows, args =~ pipe, args =~ "mkfifo", do: {pid, parent}
    pids = Enum.map(own, &elem(&1, 0))
    {halves, [{shell, _beam}]} = Enum.split_with(own, fn {_pid, parent} -> parent in pids end)
    halves = Enum.map(halves, &elem(&1, 0))
    readers = for {pid, parent, args} <- rows, parent in halves, args =~ "cat", do: pid
    %{shell: shell, halves: halves, readers: readers}
  end

  defp lose(:reader, _client, pipe) do
    %{readers: [reader]} = before = programs(pipe)
    os_kill("KILL", reader)
    eventually(fn -> match?(%{readers: [other]} when other != reader, programs(pipe)) end)
    before
  end

  defp lose(:shell, _client, pipe) do
    before = programs(pipe)
    os_kill("KILL", before.shell)
    eventually(fn -> not os_alive?(before.shell) end)
    before
  end

  defp lose(:process, client, pipe) do
    before = programs(pipe)
    {:links, links} = Process.info(client, :links)
    # as its client it begins in a callback
    stderr = Enum.find(links, &(is_pid(&1) and begins_in(&1) == {Bridge.Stderr, :init, 1}))
    Process.exit(stderr, :kill)
    eventually(fn -> not File.exists?(pipe) end)
    before
  end

  # what systemd does
  defp lose(:nothing_by_sigterm, _client, pipe) do
    before = programs(pipe)
    for pid <- [before.shell | before.halves ++ before.readers], do: os_kill("TERM", pid)
    before
  end

  defp begins_in(pid) do
    {:dictionary, dictionary} = Process.info(pid, :dictionary)
    dictionary[:"$initial_call"]
  end

  for what <- [:reader, :shell, :process, :nothing_by_sigterm] do
    test "Python goes on writing although #{what} is lost, and nothing is left" do
      capture_log(fn ->
        {client, pipe} = start()
        programs = lose(unquote(what), client, pipe)

        assert {:ok, _text} =
                 Bridge.call(client, "prints_everywhere", [@much], timeout: patience())

        {:ok, %{os_pid: os_pid}} = Bridge.status(client)
        os_kill("KILL", os_pid)
        eventually(fn -> match?({:ok, %{starts: 2, state: :ready}}, Bridge.status(client)) end)

        assert {:ok, _text} =
                 Bridge.call(client, "prints_everywhere", [@much], timeout: patience())

        stop_supervised!(Bridge.Client)
        left = [programs.shell | programs.halves ++ programs.readers]
        eventually(fn -> pipes() == [] and not Enum.any?(left, &os_alive?/1) end)
      end)
    end
  end

  test "the last words are told although SIGTERM has reached all" do
    log =
      capture_log(fn ->
        {client, pipe} = start()
        lose(:nothing_by_sigterm, client, pipe)
        {:ok, _text} = Bridge.call(client, "prints_everywhere", ["last words"])
        Bridge.call(client, "exits")
        eventually(fn -> match?({:ok, %{starts: 2, state: :ready}}, Bridge.status(client)) end)
      end)

    assert log =~ ~r/standard error ended with:(\n.*)*last words/
  end
end
