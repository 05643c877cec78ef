defmodule Bridge.ClientCallTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Client, Error, Tensor}

  setup do
    %{client: start_client()}
  end

  # No tool occupies a worker, and the client keeps nothing.
  defp assert_idle(client) do
    eventually(fn -> match?({:ok, %{"in_flight" => 0, "busy" => 0}}, Client.health(client)) end)
    assert {:ok, %{calls: 0, outbox: 0}} = Client.info(client)
  end

  defp running?(client, n) do
    match?({:ok, %{"busy" => ^n}}, Client.health(client))
  end

  describe "call/4" do
    test "takes arguments by position and by name", %{client: client} do
      assert Client.call(client, "echo", ["x"]) == {:ok, "x"}
      assert Client.call(client, :echo, ["x"]) == {:ok, "x"}
      assert Client.call(client, "echo", value: 1) == {:ok, 1}
      assert Client.call(client, "echo", %{value: 2}) == {:ok, 2}
      assert Client.call(client, "echo", %{"value" => 3}) == {:ok, 3}
      assert {:ok, [_nan | _]} = Client.call(client, "odd_floats")
    end

    test "takes {:bytes, data} as the only argument by position", %{client: client} do
      assert Client.call(client, "type_of", [{:bytes, "text"}]) == {:ok, "bytes"}
    end

    test "carries every kind of value there and back", %{client: client} do
      for value <- [
            nil,
            true,
            -1,
            2 ** 64,
            -(2 ** 63) - 1,
            1.5,
            :nan,
            :infinity,
            :neg_infinity,
            "grüß Gott",
            <<0, 255>>,
            [1, [2, []]],
            %{"a" => %{1 => nil, 2.5 => "b"}},
            ~U[2026-11-23 12:00:00.123456Z],
            Tensor.new!(
              {:s, 16},
              {2, 2},
              <<1::little-16, 2::little-16, 3::little-16, 4::little-16>>
            )
          ] do
        assert Client.call(client, "echo", [value]) == {:ok, value}
      end
    end

    test "sends the types that Python should see", %{client: client} do
      for {value, type} <- [
            {"text", "str"},
            {<<255>>, "bytes"},
            {:atom, "str"},
            {{1, 2}, "list"},
            {%{a: 1}, "dict"},
            {~U[2026-11-23 12:00:00Z], "datetime"},
            {Tensor.new!({:u, 8}, {}, <<1>>), "ndarray"}
          ] do
        assert Client.call(client, "type_of", [value]) == {:ok, type}
      end
    end

    test "exchanges tensors with NumPy", %{client: client} do
      assert {:ok, tensor} = Client.call(client, "tensor", [3])
      assert tensor.type == {:f, 32} and tensor.shape == {1, 3}
      assert {:ok, doubled} = Client.call(client, "doubles_tensor", [tensor])
      assert for(<<x::float-little-32 <- doubled.data>>, do: x) == [0.0, 2.0, 4.0]
    end

    test "carries a megabyte", %{client: client} do
      data = :rand.bytes(1_000_000)
      assert Client.call(client, "echo", [{:bytes, data}]) == {:ok, data}
    end

    test "answers a quick call while a slow one runs", %{client: client} do
      slow = Task.async(fn -> Client.call(client, "sleep", [0.3, "slow"]) end)
      eventually(fn -> running?(client, 1) end)
      assert Client.call(client, "echo", ["quick"]) == {:ok, "quick"}
      assert Task.yield(slow, 0) == nil
      assert Task.await(slow) == {:ok, "slow"}
    end

    test "passes session, metadata and the time that remains", %{client: client} do
      opts = [session: "s1", metadata: %{traceparent: "00-ab"}, timeout: 20_000]

      assert {:ok, %{"session" => "s1", "metadata" => %{"traceparent" => "00-ab"}} = seen} =
               Client.call(client, "what_it_sees", [], opts)

      assert seen["seconds_left"] > 0 and seen["seconds_left"] <= 20

      assert Client.call(client, "what_it_sees", [], timeout: :infinity) ==
               {:ok, %{"session" => nil, "metadata" => %{}, "seconds_left" => nil}}
    end

    test "returns a tool's exception with its traceback", %{client: client} do
      assert {:error, %Error{code: :internal, type: "builtins.ValueError"} = error} =
               Client.call(client, "raises", ["no such city"])

      assert error.started
      assert error.message =~ "no such city"
      assert Exception.message(error) =~ ~r/fixture_tools.py", line \d+, in raises/
    end

    test "names tools and arguments that are wrong", %{client: client} do
      assert {:error, %Error{code: :not_found, started: false, message: message}} =
               Client.call(client, "ech", [1])

      assert message =~ "ech"

      assert {:error, %Error{code: :invalid_argument, started: false}} =
               Client.call(client, "echo", [1, 2, 3])
    end

    test "loses no entry of a map", %{client: client} do
      # all that Python holds apart
      kept =
        Map.new(
          [1, 2.0, 0.5, false, nil, "1", <<255>>, 2 ** 53 + 1, 2.0 ** 53],
          &{&1, "#{inspect(&1)}"}
        )

      assert Client.call(client, "echo", [kept]) == {:ok, kept}

      for {key, other} <- [{1, 1.0}, {true, 1}, {0.0, false}, {2 ** 53, 2.0 ** 53}] do
        assert Client.call(client, "are_equal", [key, other]) == {:ok, true}

        assert {:error, %Error{code: :invalid_argument, started: false} = error} =
                 Client.call(client, "echo", value: %{key => "a", other => "b"})

        assert error.message =~ ~r/^args.value has the keys .* which are one key in Python$/
      end
    end

    test "names what cannot be encoded, on either side", %{client: client} do
      assert {:error, %Error{code: :invalid_argument, started: false, message: message}} =
               Client.call(client, "echo", value: [1, self()])

      assert message =~ "args.value[1] is a pid"

      assert {:error, %Error{code: :invalid_argument, message: message}} =
               Client.call(client, "echo", [{:value, 1}, {:value, 2}])

      assert message =~ "twice"

      assert {:error, %Error{code: :internal, message: message}} =
               Client.call(client, "returns_unencodable")

      assert message =~ "scores[1]"
    end

    test "returns an error for an answer that it cannot decode", %{client: client} do
      assert {:error, %Error{code: :internal, message: message}} =
               Client.call(client, "returns_unknown_extension")

      assert message =~ "extension type 77"
    end

    test "raises for an option that is unknown or wrong", %{client: client} do
      for opts <- [
            [timeuot: 1],
            [timeout: -1],
            [timeout: 1.5],
            [timeout: 2 ** 32],
            [session: :s],
            [metadata: [a: 1]],
            [on_progress: fn _ -> :ok end],
            [credit: [items: 1]]
          ] do
        assert_raise ArgumentError, ~r/#{inspect(hd(Keyword.keys(opts)))}/, fn ->
          Client.call(client, "echo", [1], opts)
        end
      end

      assert_raise ArgumentError, fn -> Client.call(client, "echo", "x") end
      assert_raise ArgumentError, fn -> Client.call(client, "echo", ~D[2026-11-23]) end
    end

    test "ends with the timeout, and cancels in Python", %{client: client} do
      assert {:error, %Error{code: :deadline_exceeded}} =
               Client.call(client, "never_returns", [], timeout: 20)

      assert {:error, %Error{code: :deadline_exceeded}} =
               Client.call(client, "never_returns", [], timeout: 0)

      assert_idle(client)
      refute_received _anything
    end

    test "is cancelled when the caller dies; the late answer is counted", %{client: client} do
      caller = spawn(fn -> Client.call(client, "never_returns", [], timeout: :infinity) end)
      eventually(fn -> running?(client, 1) end)
      Process.exit(caller, :kill)
      assert_idle(client)
      assert {:ok, %{late_replies: 1}} = Client.info(client)
    end

    test "is an error without a client" do
      assert {:error, %Error{code: :unavailable, started: false}} =
               Client.call(:nobody, "echo", [1])

      assert {:error, %Error{code: :unavailable}} = Client.info(:nobody)
    end
  end

  describe "call/4 with :on_progress" do
    test "reports in the calling process", %{client: client} do
      on_progress = fn done, total, text -> send(self(), {self(), done, total, text}) end
      test = self()

      assert Client.call(client, "reports_progress", [20], on_progress: on_progress) == {:ok, 20}

      assert {:messages, messages} = Process.info(self(), :messages)
      assert List.last(messages) == {test, 20, 20, "step 20"}
      done = for {^test, done, 20, _text} <- messages, do: done
      assert done == done |> Enum.uniq() |> Enum.sort()
    end

    test "keeps one report for a function that is slow", %{client: client} do
      test = self()

      spawn_link(fn ->
        Client.call(client, "reports_progress_forever", [],
          timeout: :infinity,
          on_progress: fn _done, _total, _text ->
            send(test, {:first, self()})
            receive do: (:go_on -> :ok)
          end
        )
      end)

      assert_receive {:first, caller}
      # Python has reported dozens of times when these have been answered
      for _ <- 1..20, do: Client.call!(client, "wait", [0.005])
      %{connection: %{calls: calls}} = :sys.get_state(client)
      assert [[_newest]] = for({_id, call} <- calls, do: call.notes)
      Process.unlink(caller)
      Process.exit(caller, :kill)
      assert_idle(client)
    end

    test "cancels when the function raises", %{client: client} do
      assert_raise RuntimeError, "enough", fn ->
        Client.call(client, "reports_progress_forever", [],
          on_progress: fn _, _, _ -> raise "enough" end
        )
      end

      assert_idle(client)
    end

    test "leaves the timeout in force", %{client: client} do
      assert {:error, %Error{code: :deadline_exceeded}} =
               Client.call(client, "reports_progress_forever", [],
                 timeout: 50,
                 on_progress: fn _, _, _ -> :ok end
               )
    end
  end

  describe "call!/4" do
    test "returns the bare result, or raises", %{client: client} do
      assert Client.call!(client, "echo", [1]) == 1
      assert_raise Error, ~r/internal: boom/, fn -> Client.call!(client, "raises", ["boom"]) end
    end
  end

  describe "cancel/2" do
    test "ends the calls with the tag, and no others", %{client: client} do
      calls =
        for tag <- [{:job, 1}, {:job, 1}, {:job, 2}] do
          Task.async(fn -> Client.call(client, "wait", [0.3], tag: tag) end)
        end

      eventually(fn -> running?(client, 3) end)
      assert Client.cancel(client, {:job, 1}) == :ok

      assert [
               {:error, %Error{code: :cancelled}},
               {:error, %Error{code: :cancelled}},
               {:ok, false}
             ] = Task.await_many(calls)

      assert_idle(client)
    end

    test "does nothing where there is nothing", %{client: client} do
      assert Client.cancel(client, nil) == :ok
      assert Client.cancel(:nobody, nil) == :ok
    end
  end
end
