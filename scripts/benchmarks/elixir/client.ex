defmodule Bench.Client do
  @moduledoc """
  The same workloads through the library that an application uses, which encodes every argument and
  decodes every result: `Bridge.Client`, the least that such a client can be (`Bench.BareClient`), or ErlPort's
  own `:python`.
  """

  alias Bench.Series

  @enforce_keys [:call, :stop]
  defstruct [:call, :stop, :stream, :os_pid, value: %{"x" => 1}]

  @doc "Starts the program of a job whose dialect is `bridge_client`, `bare_client` or `erlport_client`."
  def open(%{"dialect" => "bridge_client"} = job) do
    {:ok, client} = Bridge.start_link(client_options(job))

    %__MODULE__{
      call: fn tool, args -> Bridge.call!(client, tool, args, timeout: 60_000) end,
      stream: fn tool, args, credit ->
        Bridge.stream(client, tool, args, credit: [items: credit])
      end,
      stop: fn -> Bridge.stop(client) end,
      os_pid: client |> Bridge.info() |> elem(1) |> Map.fetch!(:os_pid)
    }
  end

  def open(%{"dialect" => "bare_client"} = job) do
    client = Bench.BareClient.start(job)

    %__MODULE__{
      call: fn tool, args -> Bench.BareClient.call(client, tool, args) end,
      stop: fn -> Bench.BareClient.stop(client) end
    }
  end

  def open(%{"dialect" => "erlport_client", "options" => options}) do
    for path <- options["code_paths"], do: Code.prepend_path(path)

    {:ok, python} =
      apply(:python, :start, [
        [
          python: to_charlist(options["python"]),
          python_path: Enum.map(options["python_path"], &to_charlist/1)
        ]
      ])

    %__MODULE__{
      call: fn tool, args ->
        apply(:python, :call, [python, :tools_for_erlport, String.to_atom(tool), args])
      end,
      stop: fn -> apply(:python, :stop, [python]) end,
      # it has no maps
      value: [{"x", 1}]
    }
  end

  defp client_options(%{"program" => [python, "-m", "bridge" | args], "directory" => directory}) do
    {["--adapter", adapter, "--app-dir", app_dir, "--max-workers", workers], rest} =
      Enum.split(args, 6)

    [
      python: python,
      cd: directory,
      adapter: adapter,
      app_dir: app_dir,
      max_workers: String.to_integer(workers),
      args: rest,
      functions: %{"double" => &double/1}
    ]
  end

  @doc "What tools call back, of either program."
  def double(value), do: value * 2

  @doc "Ends the program."
  def close(client), do: client.stop.()

  @doc "Runs one workload by its name, as `Bench.Workloads.run/3` does."
  def run("sequential", client, %{"calls" => calls}) do
    for _ <- 1..max(div(calls, 10), 50), do: echo(client)
    Series.summary(for _ <- 1..calls, do: timed(fn -> echo(client) end))
  end

  def run("window", client, %{"windows" => windows}) do
    together(64, fn -> for _ <- 1..16, do: echo(client) end)

    rates =
      for [size, calls] <- windows do
        each = max(div(calls, size), 1)
        ns = timed(fn -> together(size, fn -> for _ <- 1..each, do: echo(client) end) end)
        [size, each * size / ns * 1.0e9]
      end

    %{"calls_s" => rates |> List.last() |> List.last(), "points" => rates}
  end

  # each call is one tool that calls back once
  def run("calls_back", client, %{"callers" => callers, "calls" => calls}) do
    each = max(div(calls, callers), 1)
    asks = fn -> 14 = client.call.("asks", [7]) end
    together(callers, fn -> for _ <- 1..8, do: asks.() end)
    parent = self()

    ns =
      timed(fn ->
        together(callers, fn -> send(parent, {:times, for(_ <- 1..each, do: timed(asks))}) end)
      end)

    times = for _ <- 1..callers, do: receive(do: ({:times, times} -> times))
    times |> List.flatten() |> Series.summary() |> Map.put("calls_s", each * callers / ns * 1.0e9)
  end

  def run("sleeps", client, %{"count" => count, "seconds" => seconds, "times" => times}) do
    [cold | warm] =
      for _ <- 0..times do
        timed(fn -> together(count, fn -> client.call.("sleep", [seconds]) end) end) / 1.0e6
      end

    ms = Series.median(warm)
    %{"ms" => ms, "cold_ms" => cold, "calls_s" => count / ms * 1000}
  end

  def run("payload", client, %{"sizes" => sizes, "kind" => kind} = options) do
    patience_ns = Map.get(options, "patience_s", 10) * 1.0e9

    points =
      Enum.reduce_while(sizes, [], fn [size, calls], points ->
        data = data(client, kind, size)
        for _ <- 1..min(calls, 3), do: client.call.("echo", [data])
        ns = timed(fn -> for _ <- 1..calls, do: client.call.("echo", [data]) end)
        points = [[size, size * calls / 1.0e6 / (ns / 1.0e9), ns / calls / 1000] | points]
        if ns / calls * 6 > patience_ns, do: {:halt, points}, else: {:cont, points}
      end)

    [[_size, mb_s, _us] | _] = points
    %{"mb_s" => mb_s, "points" => Enum.reverse(points)}
  end

  def run("stream", client, %{"items" => items, "credit" => credit}) do
    count = fn n ->
      client.stream.("count", [n], credit) |> Enum.reduce(0, fn _, sum -> sum + 1 end)
    end

    count.(1_000)
    ns = timed(fn -> ^items = count.(items) end)
    %{"items_s" => items / ns * 1.0e9}
  end

  defp echo(client), do: client.call.("echo", [client.value])

  defp data(%{stream: nil}, "bin", size), do: :binary.copy(<<7>>, size)
  defp data(_client, "bin", size), do: {:bytes, :binary.copy(<<7>>, size)}

  defp data(_client, "tensor", size) do
    Bridge.Tensor.new!({:f, 32}, {div(size, 4)}, :binary.copy(<<0, 0, 128, 63>>, div(size, 4)))
  end

  defp together(count, fun) do
    1..count |> Enum.map(fn _ -> Task.async(fun) end) |> Task.await_many(:infinity)
  end

  defp timed(fun) do
    started = :erlang.monotonic_time(:nanosecond)
    fun.()
    :erlang.monotonic_time(:nanosecond) - started
  end
end
