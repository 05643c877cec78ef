# What scripts/arena --figures runs: how long large values take through the pipe and through shared memory, in turns;
# how long a quick call waits beside large ones; and how much memory a value takes beside the one that is shared.

defmodule Figures do
  @mib 1_048_576
  @root Path.expand("../../..", __DIR__)
  @sizes [1, 4, 16, 64, 256]
  @ways [
    "bytes to Python",
    "tensor to Python",
    "bytes to Elixir",
    "there and back",
    "float32, doubled"
  ]

  def main(args) do
    {opts, [], []} =
      OptionParser.parse(args, strict: [figures: :boolean, sizes: :string, rounds: :integer])

    sizes =
      if opts[:sizes],
        do: opts[:sizes] |> String.split(",") |> Enum.map(&String.to_integer/1),
        else: @sizes

    clients = [pipe: start(false), memory: start(true)]

    figures =
      for mib <- sizes, into: %{} do
        {mib,
         for(
           {way, call} <- calls(mib * @mib),
           into: %{},
           do: {way, compare(clients, call, rounds(mib, opts))}
         )}
      end

    IO.puts("pipe / shared memory: medians of both (least of both)")
    row(["" | Enum.map(sizes, &"#{&1} MiB")])
    for way <- @ways, do: row([way | Enum.map(sizes, &ratio(figures[&1][way]))])
    IO.puts("milliseconds through shared memory, median (pipe)")
    for way <- @ways, do: row([way | Enum.map(sizes, &times(figures[&1][way]))])

    for {way, client} <- clients do
      IO.puts("quick calls beside 63 MiB there and back, #{way}: #{beside(client, 63 * @mib)}")
    end

    {python, beam} = extra(clients[:memory], 64 * @mib)

    IO.puts(
      "64 MiB there and back: beside what is shared, Python has #{python} x as much, the BEAM #{beam} x"
    )
  end

  defp start(memory) do
    {:ok, client} =
      Bridge.Client.start_link(
        adapter: "memory_tools:Tools",
        app_dir: Path.join(@root, "tests/integration"),
        env: %{"PYTHONPATH" => @root},
        max_message_bytes: 1_100_000_000,
        shared_memory: memory
      )

    client
  end

  defp rounds(mib, opts),
    do:
      opts[:rounds] ||
        cond(
          do:
            (
              mib <= 4 -> 61
              mib <= 64 -> 15
              true -> 7
            )
        )

  ## Times

  defp calls(size) do
    bytes = :binary.copy(<<1>>, size)

    ones =
      Bridge.Tensor.new!(
        {:f, 32},
        {div(size, 4)},
        :binary.copy(<<1.0::float-32-little>>, div(size, 4))
      )

    %{
      "bytes to Python" => fn client -> ^size = call(client, "size", {:bytes, bytes}) end,
      "tensor to Python" => fn client -> true = call(client, "size", ones) > 0 end,
      "bytes to Elixir" => fn client -> ^size = byte_size(call(client, "made", size)) end,
      "there and back" => fn client ->
        ^size = byte_size(call(client, "echo", {:bytes, bytes}))
      end,
      "float32, doubled" => fn client -> ^size = byte_size(call(client, "double", ones).data) end
    }
  end

  defp call(client, tool, value), do: Bridge.call!(client, tool, [value], timeout: 120_000)

  # In turns, so that what else the machine does concerns both.
  defp compare(clients, call, rounds) do
    for {_way, client} <- clients, _ <- 1..2, do: call.(client)

    times =
      for _ <- 1..rounds do
        for {way, client} <- clients,
            into: %{},
            do: {way, fn -> call.(client) end |> :timer.tc() |> elem(0)}
      end

    for {way, _client} <- clients,
        into: %{},
        do: {way, times |> Enum.map(& &1[way]) |> Enum.sort()}
  end

  defp ratio(%{pipe: pipe, memory: memory}) do
    "#{Float.round(median(pipe) / median(memory), 1)} (#{Float.round(hd(pipe) / hd(memory), 1)})"
  end

  defp times(%{pipe: pipe, memory: memory}), do: "#{ms(median(memory))} (#{ms(median(pipe))})"

  defp median(sorted), do: Enum.at(sorted, div(length(sorted), 2))
  defp ms(us), do: Float.round(us / 1000, 1)
  defp row(cells), do: IO.puts("| " <> Enum.join(cells, " | ") <> " |")

  ## A quick call beside large ones

  defp beside(client, size) do
    bytes = :binary.copy(<<1>>, size)

    large =
      spawn_link(fn -> Enum.each(Stream.cycle([bytes]), &call(client, "echo", {:bytes, &1})) end)

    for _ <- 1..100, do: call(client, "echo", 1)

    times =
      for _ <- 1..2_000 do
        {us, 1} = :timer.tc(fn -> call(client, "echo", 1) end)
        Process.sleep(1)
        us
      end

    Process.unlink(large)
    Process.exit(large, :kill)
    times = Enum.sort(times)

    "median #{ms(median(times))} ms, p99 #{ms(Enum.at(times, 1_979))} ms, longest #{ms(List.last(times))} ms"
  end

  ## Memory

  defp extra(client, size) do
    bytes = :binary.copy(<<1>>, size)
    {:ok, %{os_pid: pid}} = Bridge.status(client)
    for _ <- 1..3, do: call(client, "echo", {:bytes, bytes})
    Process.sleep(2_000)
    :erlang.garbage_collect()
    before = used(pid)

    caller =
      Task.async(fn -> for _ <- 1..10, do: byte_size(call(client, "echo", {:bytes, bytes})) end)

    peak = watch(caller, pid, before)

    [python, beam] =
      Enum.zip_with(peak, before, fn most, at_first ->
        Float.round((most - at_first) / size, 2)
      end)

    {python, beam}
  end

  defp watch(caller, pid, peak) do
    case Task.yield(caller, 1) do
      nil -> watch(caller, pid, Enum.zip_with(peak, used(pid), &max/2))
      _ended -> peak
    end
  end

  # of Python without what is shared; of the BEAM all, in which the value itself is once before
  defp used(pid) do
    [_, kib] = Regex.run(~r/RssAnon:\s+(\d+) kB/, File.read!("/proc/#{pid}/status"))
    [String.to_integer(kib) * 1024, :erlang.memory(:total)]
  end
end

Figures.main(System.argv())
