defmodule Bridge.Pool.SeatTest do
  use ExUnit.Case, async: true

  alias Bridge.Claim
  alias Bridge.Pool.Seat

  setup do
    waiting = :atomics.new(1, signed: true)
    seat = Seat.new(waiting, self(), 3, 1_000)
    %{seat: seat, counters: seat.counters, waiting: waiting}
  end

  test "there is a place only while Python serves, and none once the process leaves", %{
    seat: seat,
    counters: counters
  } do
    assert Seat.take(counters, 2) == :full
    Seat.open(seat, %{}, 1)
    assert_received {:bridge_process, _client, {:ready, %{}, 1}}
    for _ <- 1..2, do: assert(Seat.take(counters, 2) == {:ok, 0})
    assert Seat.take(counters, 2) == :full
    assert Seat.load(counters) == 2
    Seat.shut(seat, :draining)
    Seat.shut(seat, :draining)
    assert Seat.load(counters) == 2
    Seat.release(seat, Claim.new())
    assert Seat.take(counters, 2) == :full
    Seat.open(seat, %{}, 1)
    Seat.open(seat, %{}, 1)
    assert Seat.take(counters, 2) == {:ok, 0}
    Seat.leave(seat)
    assert Seat.take(counters, 100) == :full
    assert Seat.load(counters) == 2
    for _ <- 1..2, do: Seat.release(seat, Claim.new())
    assert Seat.load(counters) == 0
  end

  test "whoever waits hears of a place, and the keeper of the last call", %{
    seat: seat,
    waiting: waiting
  } do
    Seat.open(seat, %{}, 1)
    for _ <- 1..2, do: Seat.take(seat.counters, 9)
    Seat.release(seat, Claim.new())
    refute_received :free
    :atomics.add(waiting, 1, 1)
    Seat.release(seat, Claim.new())
    assert_received :free
    refute_received {:bridge_process, _client, :max_calls}
    Seat.take_anyway(seat.counters)
    Seat.release(seat, Claim.new())
    assert_received {:bridge_process, _client, :max_calls}
    assert Seat.served(seat.counters) == 3
  end

  test "a place without a call is free again after three looks, and the line hears of it; others stay",
       %{
         seat: seat,
         counters: counters,
         waiting: waiting
       } do
    Seat.open(seat, %{}, 1)

    # three calls in one period, two in the other, and one place of either left by somebody who has died
    for _ <- 1..4, do: {:ok, 0} = Seat.take(counters, 9)
    Seat.settle(seat, fn 1 -> 0 end)
    for _ <- 1..3, do: {:ok, 1} = Seat.take(counters, 9)
    assert Seat.load(counters) == 7
    :atomics.add(waiting, 1, 1)
    Seat.settle(seat, fn 0 -> 3 end)
    assert Seat.load(counters) == 6
    assert_received :free
    Seat.settle(seat, fn 1 -> 2 end)
    assert Seat.load(counters) == 5
    for _ <- 1..5, do: Seat.settle(seat, &Enum.at([3, 2], &1))
    assert Seat.load(counters) == 5
  end

  test "a caller that was slower than a period has its place again two looks later", %{
    seat: seat,
    counters: counters
  } do
    Seat.open(seat, %{}, 1)
    {:ok, 0} = Seat.take(counters, 9)
    # it has not sent yet
    for _ <- 1..2, do: Seat.settle(seat, fn _ -> 0 end)
    assert Seat.load(counters) == 0
    for _ <- 1..2, do: Seat.settle(seat, &Enum.at([1, 0], &1))
    assert Seat.load(counters) == 1
    Seat.release(seat, Claim.new(0, 0))
    assert Seat.load(counters) == 0
  end
end
