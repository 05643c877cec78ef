defmodule Bridge.OccupancyTest do
  use Bridge.TestCase, async: true

  import Bridge.Test.Pools

  alias Bridge.{Occupancy, Places, Pool}

  @moduletag :capture_log

  doctest Bridge.Occupancy

  # Many that take a place, and then are killed at any point between that and the request, or after it.
  defp killed_at_random(pool, count) do
    for n <- 1..count do
      {pid, monitor} =
        spawn_monitor(fn ->
          # the first few reductions of its time are used up, so that it is interrupted elsewhere each time
          :erlang.bump_reductions(4_000 - rem(n * 7, 900))
          Bridge.call(pool, "echo", [n])
        end)

      Process.exit(pid, :kill)
      assert_receive {:DOWN, ^monitor, :process, ^pid, _reason}, patience()
    end
  end

  test "all places are free again after callers were killed at random" do
    pool = start_pool(processes: 1)
    {:ok, %{processes: [%{client: client}]}} = Pool.info(pool)
    [{^client, counters, limit, 0}] = Pool.Routes.open(Places.of(pool))
    places = Places.of(client)
    killed_at_random(pool, 2_000)
    # as if three of them had been killed right between the two
    for _ <- 1..3, do: {:ok, _period} = Pool.Seat.take(counters, limit)
    for _ <- 1..3, do: Places.take_anyway(places)

    # while others call: a busy client finds them as well
    {:ok, _pid} =
      Task.start_link(fn ->
        Stream.repeatedly(fn -> Bridge.call(pool, "echo", [1]) end) |> Stream.run()
      end)

    # that one has a place now and then
    eventually(fn -> Occupancy.taken(places) <= 1 and Occupancy.taken(counters) <= 1 end)
  end
end
