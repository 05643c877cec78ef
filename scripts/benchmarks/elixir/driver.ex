defmodule Bench.Driver do
  @moduledoc """
  The Elixir side of `scripts/bench`: takes jobs from standard input, one on a line, and answers each
  with a line. A line is a MessagePack map in base 64, so that nothing but the bridge's own modules
  is needed. A job starts one program, runs one workload on it and ends it:

      %{"workload" => "sequential", "options" => %{"calls" => 5000},
        "program" => ["python3", "bare_loop.py"], "dialect" => "msgpack", "directory" => "/tmp"}

  The answer is `%{"figures" => map}` or `%{"error" => text}`.
  """

  @doc "Answers jobs until the input ends."
  def main do
    # a program that ends must not take the driver along
    Process.flag(:trap_exit, true)

    case IO.gets("") do
      line when is_binary(line) ->
        job = line |> String.trim() |> Base.decode64!() |> Bridge.Msgpack.decode!()
        answer = answer(job) |> Bridge.Msgpack.encode!() |> IO.iodata_to_binary()
        IO.puts(Base.encode64(answer))
        main()

      _end_of_file ->
        :ok
    end
  end

  defp answer(job) do
    # a process of its own: its mailbox and its heap are new
    task = Task.async(fn -> attempt(job) end)
    Task.await(task, :infinity)
  end

  defp attempt(job) do
    Process.flag(:trap_exit, true)

    {opener, worker} =
      if String.ends_with?(job["dialect"], "_client"),
        do: {Bench.Client, Bench.Client},
        else: {Bench.Peer, Bench.Workloads}

    worker = if Bench.Loads.has?(job["workload"]), do: Bench.Loads, else: worker
    subject = opener.open(job)

    try do
      %{"figures" => worker.run(job["workload"], subject, job["options"])}
    after
      opener.close(subject)
    end
  rescue
    error -> %{"error" => Exception.message(error)}
  catch
    kind, reason -> %{"error" => Exception.format(kind, reason, [])}
  end
end
