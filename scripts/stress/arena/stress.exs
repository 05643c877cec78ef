# What scripts/arena runs: see there.
#
# With `--child` it is the BEAM that is killed: it says which process its Python is, and calls on.

defmodule Arena do
  @mib 1_048_576
  @root Path.expand("../../..", __DIR__)

  def options do
    [
      adapter: "memory_tools:Tools",
      app_dir: Path.join(@root, "tests/integration"),
      env: %{"PYTHONPATH" => @root},
      shared_memory: 256 * @mib,
      grace: 1
    ]
  end

  def main(args) do
    {opts, [], []} =
      OptionParser.parse(args,
        strict: [payloads: :integer, kills: :integer, beams: :integer, child: :boolean]
      )

    if opts[:child] do
      child()
    else
      payloads(opts[:payloads] || 10_000)
      kills(opts[:kills] || 1_000)
      beams(opts[:beams] || 100)
      IO.puts("all right")
    end
  end

  ## Payloads of random sizes: every byte, and how much memory there is

  defp payloads(count) do
    {:ok, client} = Bridge.Client.start_link(options())
    {:ok, %{os_pid: pid}} = Bridge.status(client)

    for n <- 1..count//1 do
      echo!(client, value(n))
      if rem(n, max(div(count, 10), 1)) == 0, do: tell(client, pid, "#{n} payloads")
    end

    free!(client)
    Bridge.stop(client)
  end

  defp tell(client, pid, what) do
    {:ok, %{"shared_memory" => memory}} = Bridge.stats(client)

    IO.puts(
      "#{what}: Python #{rss(pid)} MiB, BEAM #{div(:erlang.memory(:total), @mib)} MiB, reserved " <>
        "#{div(memory["reserved_bytes"], @mib)} MiB, places #{memory["places"]}, " <>
        "refused #{memory["received"]["refused"]} + #{memory["sent"]["refused"]}"
    )
  end

  defp rss(pid) do
    [_size, pages | _] = File.read!("/proc/#{pid}/statm") |> String.split()
    div(String.to_integer(pages) * 4096, @mib)
  end

  ## Python is killed while callers call

  defp kills(0), do: :ok

  defp kills(count) do
    {:ok, client} = Bridge.Client.start_link(options() ++ [stderr: :logger])
    Logger.configure(level: :none)
    parent = self()
    callers = for n <- 1..3, do: spawn_link(fn -> call_on(client, parent, n, 1) end)

    for n <- 1..count do
      Process.sleep(:rand.uniform(400))

      with {:ok, %{os_pid: pid}} when pid != nil <- Bridge.status(client),
           do: System.cmd("kill", ["-KILL", "#{pid}"], stderr_to_stdout: true)

      # so that the client does not wait longer and longer between two starts
      if rem(n, 3) == 0, do: Process.sleep(1_000)
      if rem(n, max(div(count, 10), 1)) == 0, do: IO.puts("#{n} kills of Python")
    end

    for caller <- callers, do: send(caller, :stop)
    results = for _ <- callers, do: receive(do: ({:done, right, lost} -> {right, lost}))
    :ok = Bridge.await_ready(client, 60_000)
    free!(client)

    IO.puts(
      "right #{results |> Enum.map(&elem(&1, 0)) |> Enum.sum()}, " <>
        "unavailable #{results |> Enum.map(&elem(&1, 1)) |> Enum.sum()}, wrong 0"
    )

    Bridge.stop(client)
  end

  defp call_on(client, parent, seed, n, right \\ 0, lost \\ 0) do
    receive do
      :stop -> send(parent, {:done, right, lost})
    after
      0 ->
        case echo(client, value(seed * 1_000_003 + n)) do
          :right -> call_on(client, parent, seed, n + 1, right + 1, lost)
          :lost -> call_on(client, parent, seed, n + 1, right, lost + 1)
        end
    end
  end

  ## The BEAM is killed while it calls

  defp beams(count) do
    for n <- 1..count//1 do
      paths = Enum.flat_map(:code.get_path(), &["-pa", to_string(&1)])
      args = paths ++ [__ENV__.file, "--child"]

      port =
        Port.open({:spawn_executable, System.find_executable("elixir")}, [
          :binary,
          :exit_status,
          args: args
        ])

      {:os_pid, beam} = Port.info(port, :os_pid)

      python =
        receive do: ({^port, {:data, text}} -> text |> String.trim() |> String.to_integer())

      Process.sleep(:rand.uniform(300))
      # elixir is a script that becomes the runtime
      System.cmd("kill", ["-KILL", "#{beam}"], stderr_to_stdout: true)
      gone!(python, 200)
      if rem(n, max(div(count, 10), 1)) == 0, do: IO.puts("#{n} kills of the BEAM")
    end
  end

  defp child do
    {:ok, client} = Bridge.Client.start_link(options())
    {:ok, %{os_pid: pid}} = Bridge.status(client)
    IO.puts("#{pid}")
    Enum.each(Stream.iterate(1, &(&1 + 1)), &echo(client, value(&1)))
  end

  defp gone!(pid, tries) do
    cond do
      not File.exists?("/proc/#{pid}") -> :ok
      tries == 0 -> wrong("the Python process #{pid} is left")
      true -> Process.sleep(50) && gone!(pid, tries - 1)
    end
  end

  ## Values

  defp value(n) do
    size = 500_000 + :erlang.phash2({n, :size}, 6 * @mib)
    data = :binary.copy(<<:erlang.phash2(n)::32>>, div(size, 4))

    case rem(n, 4) do
      0 ->
        {{:bytes, data}, data}

      1 ->
        with tensor = Bridge.Tensor.new!({:u, 32}, {div(byte_size(data), 4)}, data),
          do: {tensor, tensor}

      2 ->
        with text = String.duplicate("ü#{n}", div(size, 8)), do: {text, text}

      3 ->
        {[%{"a" => {:bytes, data}, "n" => n}, {:bytes, data}], [%{"a" => data, "n" => n}, data]}
    end
  end

  defp echo!(client, value), do: :right = echo(client, value)

  defp echo(client, {given, expected}) do
    case Bridge.call(client, "echo", [given], timeout: 60_000) do
      {:ok, ^expected} -> :right
      {:ok, _other} -> wrong("an answer that is not what was sent")
      {:error, %{code: :unavailable}} -> :lost
      {:error, error} -> wrong(Exception.message(error))
    end
  end

  defp free!(client, tries \\ 100) do
    case Bridge.stats(client) do
      {:ok, %{"shared_memory" => %{"places" => 0, "used_bytes" => 0}}} ->
        :ok

      {:ok, %{"shared_memory" => memory}} when tries == 0 ->
        wrong("places are left: #{inspect(memory)}")

      _not_yet ->
        Process.sleep(100) && free!(client, tries - 1)
    end
  end

  defp wrong(what) do
    IO.puts(:stderr, "wrong: #{what}")
    System.halt(1)
  end
end

Arena.main(System.argv())
