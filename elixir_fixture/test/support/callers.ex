defmodule Bridge.Test.Callers do
  @moduledoc """
  Processes that call a client at random, each once, and tell how it went.

  A caller calls or streams with a short timeout, and may be cancelled or killed meanwhile. When its
  call has returned it reports, and lives on, so that what arrives late is seen in its mailbox.

  What it may take longer than its timeout is wide, as tests run on busy machines; the milliseconds in
  BRIDGE_LATE_MS are for quiet ones.
  """

  alias Bridge.{Client, Error}

  @codes [:deadline_exceeded, :cancelled, :unavailable, :resource_exhausted, :internal]

  @doc "Starts so many callers of a client, and returns them with what they will do."
  def start(client, count) do
    for _ <- 1..count//1 do
      plan = %{
        call: Enum.random([:call, :call, :stream]),
        timeout: Enum.random([0, 1, 5, 20, 50]),
        tag: make_ref(),
        end: Enum.random([:none, :none, :cancel, :death]),
        after: Enum.random(0..30),
        seed: :rand.uniform(1_000_000)
      }

      test = self()
      {pid, monitor} = spawn_monitor(fn -> run(client, plan, test) end)
      interrupt(client, pid, plan)
      %{pid: pid, monitor: monitor, plan: plan}
    end
  end

  @doc """
  Waits until all have returned, or were killed. What is wrong with an outcome, or has come too late, is the
  answer.
  """
  def await(callers, ms) do
    Enum.flat_map(callers, fn %{pid: pid, monitor: monitor, plan: plan} ->
      receive do
        {^pid, outcome, late_ms} -> wrong(plan, outcome, late_ms, late_ms())
        {:DOWN, ^monitor, :process, ^pid, :killed} -> []
        {:DOWN, ^monitor, :process, ^pid, reason} -> [{plan, reason}]
      after
        ms -> [{plan, :still_waits}]
      end
    end)
  end

  defp wrong(plan, outcome, late_ms, limit) when late_ms > limit,
    do: [{plan, {:late, late_ms, outcome}}]

  defp wrong(_plan, {:ok, _result}, _late, _limit), do: []
  defp wrong(_plan, {:error, %Error{code: code}}, _late, _limit) when code in @codes, do: []
  defp wrong(plan, outcome, _late, _limit), do: [{plan, outcome}]

  defp late_ms, do: "BRIDGE_LATE_MS" |> System.get_env("10000") |> String.to_integer()

  @doc "Sends a client of this node what it has to look at, without end."
  def flood(client) do
    case Process.info(client, :message_queue_len) do
      {:message_queue_len, length} when length < 20_000 ->
        for _ <- 1..1_000, do: send(client, {:bridge_forget, 0})
        flood(client)

      {:message_queue_len, _full} ->
        flood(client)

      nil ->
        :ok
    end
  end

  @doc "What is in the mailboxes of those that live."
  def late_messages(callers) do
    for %{pid: pid} <- callers, {:messages, messages} <- [Process.info(pid, :messages)] do
      messages
    end
    |> Enum.concat()
  end

  @doc "Ends them."
  def stop(callers) do
    for %{pid: pid, monitor: monitor} <- callers do
      Process.demonitor(monitor, [:flush])
      Process.exit(pid, :kill)
    end
  end

  defp run(client, plan, test) do
    :rand.seed(:exsss, plan.seed)
    began = System.monotonic_time(:millisecond)
    outcome = outcome(client, plan)
    late_ms = System.monotonic_time(:millisecond) - began - plan.timeout
    send(test, {self(), outcome, late_ms})
    # not by receive: whatever comes stays in the mailbox
    :erlang.hibernate(__MODULE__, :rest, [])
  end

  @doc false
  def rest, do: :erlang.hibernate(__MODULE__, :rest, [])

  defp outcome(client, %{call: :call} = plan) do
    {tool, args} =
      Enum.random([
        {"echo", [1]},
        {"sleep", [0.01]},
        {"raises", ["no"]},
        {"never_returns", []},
        {"wait", [0.02]}
      ])

    Client.call(client, tool, args, timeout: plan.timeout, tag: plan.tag)
  end

  defp outcome(client, %{call: :stream} = plan) do
    {tool, [count | _] = args} = Enum.random([{"counts", [50]}, {"counts_slowly", [20, 0.002]}])
    stream = Client.stream(client, tool, args, timeout: plan.timeout, tag: plan.tag)
    wanted = Enum.random([1, 10, 100])
    items = Enum.take(stream, wanted)
    # all of them, or an error
    if items == Enum.take(0..(count - 1), wanted), do: {:ok, items}, else: {:cut_short, items}
  rescue
    error in Error -> {:error, error}
  end

  defp interrupt(_client, _pid, %{end: :none}), do: :ok

  defp interrupt(client, pid, plan) do
    spawn(fn ->
      Process.sleep(plan.after)
      if plan.end == :cancel, do: Client.cancel(client, plan.tag), else: Process.exit(pid, :kill)
    end)
  end
end
