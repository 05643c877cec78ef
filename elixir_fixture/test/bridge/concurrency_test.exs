defmodule Bridge.ConcurrencyTest do
  # Not async: it measures times, and keeps the machine busy.
  use Bridge.TestCase

  alias Bridge.{Client, Error}

  test "16 calls of 50 ms take little more than 50 ms" do
    client = start_client()
    call = fn -> Task.async(fn -> Client.call!(client, "sleep", [0.05]) end) end

    {microseconds, _results} =
      :timer.tc(fn -> for(_ <- 1..16, do: call.()) |> Task.await_many() end)

    # one after the other they take 800 ms
    assert microseconds < 600_000
  end

  # 5,000 calls; set BRIDGE_STORM for more.
  @tag timeout: :infinity
  test "a storm of calls, timeouts and cancels leaves every caller with its own answer" do
    client = start_client(max_workers: 32, max_queue: 10_000)
    calls = "BRIDGE_STORM" |> System.get_env("5000") |> String.to_integer()
    callers = 50
    :rand.seed(:exsss, {7, 8, 9})
    seeds = for _ <- 1..callers, do: :rand.uniform(1_000_000)

    outcomes =
      seeds
      |> Enum.map(&Task.async(fn -> storm(client, &1, div(calls, callers)) end))
      |> Task.await_many(:infinity)
      |> List.flatten()

    assert length(outcomes) == div(calls, callers) * callers
    counts = Enum.frequencies(outcomes)
    assert counts |> Map.keys() |> Enum.all?(&(&1 in [:ok, :deadline_exceeded, :cancelled]))
    assert counts[:ok] > 0 and counts[:deadline_exceeded] > 0 and counts[:cancelled] > 0

    assert {:ok, %{calls: 0, outbox: 0}} = Client.info(client)
    eventually(fn -> match?({:ok, %{"in_flight" => 0, "busy" => 0}}, Client.health(client)) end)
  end

  # One caller: some calls one after the other, each cancelled by another process or not at all.
  defp storm(client, seed, calls) do
    :rand.seed(:exsss, seed)

    outcomes =
      for n <- 1..calls do
        answer = {seed, n}
        seconds = Enum.random(0..5) / 1000
        tag = make_ref()
        if :rand.uniform(4) == 1, do: cancel_soon(client, tag)

        case Client.call(client, "sleep", [seconds, answer], timeout: Enum.random(0..8), tag: tag) do
          {:ok, [^seed, ^n]} -> :ok
          {:error, %Error{code: code}} -> code
        end
      end

    assert Process.info(self(), :messages) == {:messages, []}
    outcomes
  end

  defp cancel_soon(client, tag) do
    ms = Enum.random(0..5)

    spawn_link(fn ->
      Process.sleep(ms)
      Client.cancel(client, tag)
    end)
  end
end
