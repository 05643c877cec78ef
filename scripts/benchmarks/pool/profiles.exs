# What `scripts/bench-pool` runs: pools of several shapes beside each other. See --help there.

defmodule PoolProfiles do
  alias Bridge.Pool

  @tools ~w(sleeps numpy_computes python_computes)
  @here __DIR__
  @model_bytes 100_000_000

  def main(arguments) do
    types =
      [shapes: :string, threads: :integer] ++
        for(n <- ~w(seconds callers rounds)a, do: {n, :integer})

    {opts, [], []} = OptionParser.parse(arguments, strict: types)

    opts =
      Keyword.merge([shapes: "1x16,4x16,16x1,100x1", seconds: 3, callers: 128, rounds: 1], opts)

    shapes = for text <- String.split(opts[:shapes], ","), do: shape(text)
    model = Path.join(System.tmp_dir!(), "bridge-model-#{System.pid()}.npy")
    write_model(model)

    IO.puts(
      "#{System.schedulers_online()} cores, #{opts[:callers]} callers, #{opts[:seconds]} s for each figure\n"
    )

    IO.puts(
      "| processes x workers | ready after s | memory MB | with a model of 100 MB | as a map | sleeping calls/s | NumPy | Python |"
    )

    IO.puts("| --- | --- | --- | --- | --- | --- | --- | --- |")

    # one after the other, and all again in each round, so that the machine changes for all of them
    rounds = for _ <- 1..opts[:rounds], do: for(shape <- shapes, do: measure(shape, model, opts))

    for {_shape, n} <- Enum.with_index(shapes) do
      rows = Enum.map(rounds, &Enum.at(&1, n))
      [shape | figures] = Enum.zip_with(rows, & &1)
      IO.puts("| #{hd(shape)} | #{Enum.map_join(figures, " | ", &median/1)} |")
    end

    File.rm(model)
  end

  defp measure({processes, workers} = shape, model, opts) do
    {pool, seconds} = start(shape, %{}, opts)
    rates = for tool <- @tools, do: rate(pool, tool, opts)
    plain = memory(pool)
    Bridge.stop(pool)
    loaded = with_model(shape, %{"PROFILE_MODEL" => model}, opts)
    mapped = with_model(shape, %{"PROFILE_MODEL" => model, "PROFILE_MMAP" => "c"}, opts)
    ["#{processes} x #{workers}", seconds, plain, loaded, mapped | rates]
  end

  defp with_model(shape, env, opts) do
    {pool, _seconds} = start(shape, env, opts)
    megabytes = memory(pool)
    Bridge.stop(pool)
    megabytes
  end

  defp start({processes, workers}, env, opts) do
    began = System.monotonic_time(:millisecond)

    options = [
      adapter: "profile_tools:ProfileTools",
      app_dir: @here,
      env: Map.put(env, "PYTHONPATH", Path.expand("../../..", @here)),
      processes: processes,
      max_workers: workers,
      start_timeout: 300_000,
      grace: 1
    ]

    threads = if opts[:threads], do: [threads_per_process: opts[:threads]], else: []
    {:ok, pool} = Pool.start_link(options ++ threads)
    {pool, Float.round((System.monotonic_time(:millisecond) - began) / 1000, 1)}
  end

  defp rate(pool, tool, opts) do
    until = System.monotonic_time(:millisecond) + opts[:seconds] * 1000
    tasks = for _ <- 1..opts[:callers], do: Task.async(fn -> calls(pool, tool, until, 0) end)
    div(tasks |> Task.await_many(:infinity) |> Enum.sum(), opts[:seconds])
  end

  defp calls(pool, tool, until, n) do
    {:ok, _result} = Bridge.call(pool, tool, [], timeout: :infinity)
    if System.monotonic_time(:millisecond) < until, do: calls(pool, tool, until, n + 1), else: n
  end

  # What the processes take together: pages that several have count once.
  defp memory(pool) do
    {:ok, info} = Pool.info(pool)

    bytes =
      for %{os_pid: os_pid} <- info.processes do
        [_all, kilobytes] =
          Regex.run(~r/^Pss:\s+(\d+) kB/m, File.read!("/proc/#{os_pid}/smaps_rollup"))

        String.to_integer(kilobytes) * 1024
      end

    div(Enum.sum(bytes), 1_000_000)
  end

  defp shape(text) do
    [processes, workers] = String.split(text, "x")
    {String.to_integer(processes), String.to_integer(workers)}
  end

  # The format of NumPy: a magic, the length of a header, the header, the data.
  defp write_model(path) do
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (#{div(@model_bytes, 4)},), }"
    header = String.pad_trailing(header, 117) <> "\n"
    data = :binary.copy(<<1.0::float-little-32>>, div(@model_bytes, 4))
    File.write!(path, [<<0x93, "NUMPY", 1, 0, byte_size(header)::little-16>>, header, data])
  end

  defp median(figures), do: Enum.at(Enum.sort(figures), div(length(figures), 2))
end

PoolProfiles.main(System.argv())
