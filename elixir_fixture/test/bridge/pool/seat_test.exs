defmodule Bridge.Pool.SeatTest do
  use ExUnit.Case, async: true

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
    refute Seat.take(counters, 2)
    Seat.open(seat, %{}, 1)
    assert_received {:bridge_process, _client, {:ready, %{}, 1}}
    assert Seat.take(counters, 2) and Seat.take(counters, 2)
    refute Seat.take(counters, 2)
    assert Seat.load(counters) == 2
    Seat.shut(seat, :draining)
    Seat.shut(seat, :draining)
    assert Seat.load(counters) == 2
    Seat.release(seat)
    refute Seat.take(counters, 2)
    Seat.open(seat, %{}, 1)
    Seat.open(seat, %{}, 1)
    assert Seat.take(counters, 2)
    Seat.leave(seat)
    refute Seat.take(counters, 100)
    assert Seat.load(counters) == 2
    for _ <- 1..2, do: Seat.release(seat)
    assert Seat.load(counters) == 0
  end

  test "whoever waits hears of a place, and the keeper of the last call", %{
    seat: seat,
    waiting: waiting
  } do
    Seat.open(seat, %{}, 1)
    for _ <- 1..2, do: Seat.take(seat.counters, 9)
    Seat.release(seat)
    refute_received :free
    :atomics.add(waiting, 1, 1)
    Seat.release(seat)
    assert_received :free
    refute_received {:bridge_process, _client, :max_calls}
    Seat.take_anyway(seat.counters)
    Seat.release(seat)
    assert_received {:bridge_process, _client, :max_calls}
    assert Seat.served(seat.counters) == 3
  end

  test "a place without a call is given back when it was seen five times, others are not", %{
    seat: seat,
    counters: counters
  } do
    Seat.open(seat, %{}, 1)
    for _ <- 1..4, do: Seat.take(counters, 9)
    # 3 calls; one place was left by somebody who has died
    for _ <- 1..4, do: Seat.audit(seat, 3, 0)
    assert Seat.load(counters) == 4
    # a request in the mailbox explains it
    Seat.audit(seat, 3, 1)
    for surplus <- [3, 2, 1, 3], do: Seat.audit(seat, 4 - surplus, 0)
    assert Seat.load(counters) == 4
    Seat.audit(seat, 2, 0)
    assert Seat.load(counters) == 3
    for _ <- 1..10, do: Seat.audit(seat, 3, 0)
    assert Seat.load(counters) == 3
  end
end
