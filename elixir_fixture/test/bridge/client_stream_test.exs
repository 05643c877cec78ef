defmodule Bridge.ClientStreamTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Client, Error}

  @moduletag :tmp_dir

  setup %{tmp_dir: tmp_dir} do
    %{client: start_client(), marker: Path.join(tmp_dir, "closed")}
  end

  defp assert_closed(marker) do
    eventually(fn -> File.exists?(marker) end)
    marker |> File.read!() |> String.to_integer()
  end

  defp assert_idle(client) do
    eventually(fn -> match?({:ok, %{"in_flight" => 0, "busy" => 0}}, Client.health(client)) end)
    assert {:ok, %{calls: 0}} = Client.info(client)
  end

  defp endless(client, marker, opts \\ []), do: Client.stream(client, "endless", [marker], opts)

  describe "stream/4" do
    test "gives all items in order, each time it is enumerated", %{client: client} do
      stream = Client.stream(client, "counts", [1_000])
      assert Enum.to_list(stream) == Enum.to_list(0..999)
      assert Enum.sum(stream) == 499_500
      assert client |> Client.stream("counts", n: 0) |> Enum.to_list() == []
      assert_idle(client)
    end

    test "refuses a tool that returns, before it begins", %{client: client} do
      error =
        assert_raise Error, ~r/echo does not stream/, fn ->
          client |> Client.stream("echo", [1]) |> Enum.to_list()
        end

      assert {error.code, error.started} == {:invalid_argument, false}
      assert {:ok, %{"calls" => 0}} = Client.stats(client)
      # as the reverse is
      assert {:error, %Error{code: :invalid_argument}} = Client.call(client, "counts", [1])
    end

    test "sends nothing until it is enumerated", %{client: client} do
      stream = Client.stream(client, "counts", [3])
      assert {:ok, %{"calls" => 0}} = Client.stats(client)
      assert Enum.to_list(stream) == [0, 1, 2]
      # a call is counted after its answer
      eventually(fn -> match?({:ok, %{"calls" => 1}}, Client.stats(client)) end)
    end

    test "closes the generator when no more is wanted", %{client: client, marker: marker} do
      assert [%{"count" => 0}, %{"count" => 1}] = client |> endless(marker) |> Enum.take(2)
      assert_closed(marker)
      assert_idle(client)
      refute_received _anything
    end

    test "pauses Python while the consumer is busy", %{client: client, marker: marker} do
      client
      |> endless(marker, credit: [items: 4])
      |> Enum.reduce_while(nil, fn %{"count" => 0}, nil ->
        # as long as this takes, an unchecked generator would make thousands of items
        for _ <- 1..20, do: Client.call!(client, "wait", [0.005])
        assert %{connection: %{calls: calls}} = :sys.get_state(client)
        assert [waiting] = for({_id, call} <- calls, do: length(call.notes))
        assert waiting <= 4
        {:halt, nil}
      end)

      # what was taken and what was waiting, one window each, and the item that was not sent
      assert assert_closed(marker) <= 8
    end

    test "makes no more for a consumer that is slow, however long it goes on", context do
      %{client: client, marker: marker} = context

      client
      |> endless(marker)
      |> Enum.reduce_while(0, fn %{"count" => count}, taken ->
        # until Python has sent what it may, so that there is some whenever this one asks
        eventually(fn ->
          %{connection: %{calls: calls}} = :sys.get_state(client)
          [{_id, call}] = Map.to_list(calls)
          assert {16, left, _spent} = call.flow
          left == 0
        end)

        if count < 100, do: {:cont, taken + 1}, else: {:halt, taken}
      end)

      assert assert_closed(marker) <= 100 + 2 * 16 + 1
    end

    test "lets more travel together for one that is quick", %{client: client} do
      test = self()

      client
      |> Client.stream("counts", [30_000])
      |> Enum.each(fn count ->
        if rem(count, 1_000) == 999 do
          %{connection: %{calls: calls}} = :sys.get_state(client)
          for {_id, %{flow: {window, _left, _spent}}} <- calls, do: send(test, {:window, window})
        end
      end)

      windows = for {:window, window} <- Process.info(self(), :messages) |> elem(1), do: window
      assert Enum.max(windows) > 16
      assert Enum.max(windows) <= 1_024
      assert windows == Enum.sort(windows)
      assert_idle(client)
    end

    test "counts the credit in bytes as well", %{client: client, marker: marker} do
      stream = Client.stream(client, "endless", [marker, 1_000_000], credit: [bytes: 1])

      assert stream |> Stream.map(&byte_size(&1["ballast"])) |> Enum.take(5) |> Enum.uniq() == [
               1_000_000
             ]

      assert assert_closed(marker) <= 8
    end

    test "works a step at a time", %{client: client} do
      a = Client.stream(client, "counts", [100], credit: [items: 1])
      b = Client.stream(client, "counts", [50])
      assert a |> Stream.zip(b) |> Enum.to_list() == for(i <- 0..49, do: {i, i})
      assert_idle(client)
    end

    test "raises an error after the items before it", %{client: client} do
      test = self()
      stream = Client.stream(client, "counts_then_raises", [3])

      assert_raise Error, ~r/internal: after the last item/, fn ->
        Enum.each(stream, &send(test, &1))
      end

      assert Process.info(self(), :messages) == {:messages, [0, 1, 2]}
      assert_idle(client)
    end

    test "raises in the consumer what keeps it from starting", %{client: client} do
      for {tool, args, code} <- [
            {"nothing", [], :not_found},
            {"counts", [], :invalid_argument},
            {"counts", [self()], :invalid_argument}
          ] do
        stream = Client.stream(client, tool, args)
        assert %Error{code: ^code} = catch_error(Enum.to_list(stream))
      end

      assert %Error{code: :unavailable} =
               catch_error(Enum.to_list(Client.stream(:nobody, "counts", [1])))
    end

    test "is limited by its timeout", %{client: client} do
      stream = Client.stream(client, "counts_slowly", [1000, 0.01], timeout: 100)
      assert %Error{code: :deadline_exceeded} = catch_error(Enum.to_list(stream))
      assert_idle(client)
    end

    test "ends with its client", %{client: client} do
      stream = Client.stream(client, "counts", [100])
      error = catch_error(Enum.each(stream, fn _item -> stop_supervised(Client) end))
      assert %Error{code: :unavailable, started: true} = error
    end

    test "is cancelled by its tag", %{client: client, marker: marker} do
      test = self()

      consumer =
        Task.async(fn ->
          client
          |> endless(marker, tag: :watching)
          |> Enum.each(&if(&1["count"] == 100, do: send(test, :watching)))
          |> catch_error()
        end)

      assert_receive :watching
      Client.cancel(client, :watching)
      assert %Error{code: :cancelled} = Task.await(consumer)
      assert_closed(marker)
      assert_idle(client)
    end

    test "ends with its consumer", %{client: client, marker: marker} do
      test = self()

      consumer =
        spawn(fn ->
          client |> endless(marker) |> Enum.each(fn _item -> send(test, :consuming) end)
        end)

      assert_receive :consuming
      Process.exit(consumer, :kill)
      assert_closed(marker)
      assert_idle(client)
    end

    test "ends when the consumer raises", %{client: client, marker: marker} do
      assert_raise RuntimeError, "enough", fn ->
        client |> endless(marker) |> Enum.each(fn _item -> raise "enough" end)
      end

      assert_closed(marker)
      assert_idle(client)
    end

    test "raises at once for an option that is unknown or wrong", %{client: client} do
      for opts <- [[credits: 1], [credit: 1], [credit: [items: 0]], [on_progress: &{&1, &2, &3}]] do
        assert_raise ArgumentError, fn -> Client.stream(client, "counts", [1], opts) end
      end
    end
  end
end
