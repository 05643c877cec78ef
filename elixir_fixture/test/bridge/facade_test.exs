defmodule Bridge.FacadeTest do
  @moduledoc """
  Every function of the facade with arguments that are wrong: each says what is wrong, and with what.
  """

  use Bridge.TestCase, async: true

  alias Bridge.{Error, Lookup, Pool, RandomTerms}

  doctest Lookup

  # How each function tells of what cannot be reached: by an error, by raising it, by `:ok` or by an exit.
  defp functions do
    [
      call: {:error, &Bridge.call(&1, "echo", [1])},
      call!: {:raise, &Bridge.call!(&1, "echo", [1])},
      stream: {:raise, &Enum.to_list(Bridge.stream(&1, "counts", [1]))},
      tools: {:error, &Bridge.tools/1},
      stats: {:error, &Bridge.stats/1},
      stacks: {:error, &Bridge.stacks/1},
      health: {:error, &Bridge.health/1},
      ping: {:error, &Bridge.ping/1},
      info: {:error, &Bridge.info/1},
      status: {:error, &Bridge.status/1},
      await_ready: {:error, &Bridge.await_ready/1},
      cancel: {:ok, &Bridge.cancel(&1, :tag)},
      restart: {:ok, &Bridge.restart/1},
      stop: {:exit, &Bridge.stop/1},
      pool_info: {:error, &Pool.info/1},
      recycle: {:error, &Pool.recycle(&1, 0)},
      rolling_restart: {:error, &Pool.rolling_restart/1},
      resize: {:error, &Pool.resize(&1, 2)}
    ]
  end

  # What a function does, within a task, where the client is looked up once more.
  defp outcome(function) do
    Task.async(fn ->
      try do
        function.()
      rescue
        error -> {:raised, error}
      catch
        :exit, reason -> {:exit, reason}
      end
    end)
    |> Task.await(patience())
  end

  @no_client [
    "MyApp.Python",
    ~c"MyApp.Python",
    nil,
    true,
    :undefined,
    7,
    1.5,
    [],
    %{},
    {},
    {1, 2},
    {"name", :node@host},
    {nil, :node@host},
    {:a, :b, :c},
    {:via, "registry", :name},
    {:ok, :client},
    [name: :client]
  ]

  describe "what can be no client" do
    test "is refused by each function" do
      odd = @no_client ++ [make_ref(), fn -> :client end, {:ok, self()}, Port.list() |> hd()]

      for {name, {_kind, function}} <- functions(), client <- odd, client != {:ok, :client} do
        assert {:raised, %ArgumentError{message: message}} = outcome(fn -> function.(client) end),
               "#{name} of #{inspect(client)}"

        assert message =~ "expected a client or a pool"
        assert message =~ inspect(client)
      end
    end

    test "is refused, whatever it is" do
      :rand.seed(:exsss, ExUnit.configuration()[:seed])

      for _ <- 1..300, term = RandomTerms.term(), not is_atom(term) and not is_pid(term) do
        {name, {_kind, function}} = Enum.random(functions())
        assert {:raised, %ArgumentError{}} = outcome(fn -> function.(term) end), "#{name}"
      end
    end

    test "is refused by a stream at once" do
      assert_raise ArgumentError, ~r/expected a client/, fn ->
        Bridge.stream("a", "counts", [])
      end

      assert_raise ArgumentError, ~r/name of a tool/, fn -> Bridge.stream(:a, {:b}, []) end
    end
  end

  test "a client that does not run is told of as each function says" do
    {dead, monitor} = spawn_monitor(fn -> :ok end)
    assert_receive {:DOWN, ^monitor, :process, ^dead, _reason}
    nobody = [:nobody, {:global, :nobody}, {:via, :global, 1}, {:nobody, node()}, dead]

    for {name, {kind, function}} <- functions(), client <- nobody do
      outcome = outcome(fn -> function.(client) end)

      case kind do
        :error -> assert {:error, %Error{code: :unavailable, started: false}} = outcome, "#{name}"
        :raise -> assert {:raised, %Error{code: :unavailable, started: false}} = outcome
        :ok -> assert outcome == :ok
        :exit -> assert {:exit, {:noproc, {_module, :stop, [^client, _, _]}}} = outcome
      end
    end
  end

  test "a process that is no client is told of at once, and gets no message" do
    {:ok, agent} = Agent.start_link(fn -> :state end)
    Process.register(agent, :an_agent)

    others = [
      spawn_link(fn -> Process.sleep(:infinity) end),
      agent,
      :an_agent,
      Process.whereis(:kernel_sup)
    ]

    for {name, {kind, function}} <- functions(), other <- others do
      outcome = outcome(fn -> function.(other) end)

      case kind do
        :error -> assert {:error, %Error{code: :invalid_argument, started: false}} = outcome
        :raise -> assert {:raised, %Error{code: :invalid_argument, started: false}} = outcome
        _order -> assert {:raised, %ArgumentError{}} = outcome, "#{name}"
      end
    end

    assert Process.info(hd(others), :messages) == {:messages, []}
    assert Agent.get(agent, & &1) == :state
  end

  describe "with a client:" do
    setup do
      %{client: start_client()}
    end

    defp both(client, tool, args, opts) do
      [
        outcome(fn -> Bridge.call(client, tool, args, opts) end),
        outcome(fn -> client |> Bridge.stream(tool, args, opts) |> Enum.to_list() end)
      ]
    end

    test "what can be no name of a tool is refused, and text goes to Python", %{client: client} do
      odd = [nil, 1, 1.5, ~c"echo", [1], {}, {:echo}, %{}, self(), make_ref(), fn -> 1 end]

      for tool <- odd ++ [~D[2020-01-01], <<1::3>>], outcome <- both(client, tool, [1], []) do
        assert {:raised, %ArgumentError{message: message}} = outcome
        assert message =~ "name of a tool" and message =~ inspect(tool)
      end

      for tool <- ["", "a\0b", <<255>>, "$/none", "Écho", String.duplicate("x", 100_000), true] do
        assert [{:error, %Error{started: false, code: code}}, {:raised, %Error{code: code}}] =
                 both(client, tool, [1], [])

        assert code in [:not_found, :invalid_argument, :unimplemented]
      end
    end

    test "options that are unknown or wrong are refused", %{client: client} do
      odd = [
        nil,
        %{},
        "x",
        7,
        [1],
        [:timeout],
        [{"timeout", 5}],
        [{:timeout, 5, 6}],
        [{:timeout, 5} | 6],
        [timeuot: 5],
        [timeout: -1],
        [timeout: 1.5],
        [timeout: nil],
        [timeout: "5"],
        [timeout: :forever],
        [timeout: 0x1_0000_0000],
        [timeout: 1, timeout: -1],
        [metadata: 1],
        [session: 1],
        [session: ""],
        [within: 1],
        [within: {:a, 1}],
        [on_progress: fn -> 1 end],
        [credit: [items: 0]],
        [credit: 5]
      ]

      for opts <- odd, outcome <- both(client, "counts", [1], opts) do
        assert {:raised, %ArgumentError{message: message}} = outcome
        assert message =~ ~r/expected :|unknown option|keyword list/
        refute message =~ "second argument"
      end

      assert_raise ArgumentError, ~r/at most 4294967295/, fn ->
        Bridge.call(client, "echo", [1], timeout: 0x1_0000_0000)
      end

      for timeout <- [-1, 1.5, nil, "5", 0x1_0000_0000] do
        assert_raise ArgumentError, fn -> Bridge.await_ready(client, timeout) end
        assert_raise ArgumentError, fn -> Bridge.stop(client, :normal, timeout) end
      end

      assert Bridge.call(client, "echo", [1], timeout: 0xFFFF_FFFF) == {:ok, 1}
    end

    test "arguments that are neither list nor map are refused", %{client: client} do
      for args <- [nil, 1, "x", {1}, self(), ~D[2020-01-01], fn -> 1 end],
          outcome <- both(client, "counts", args, []) do
        assert {:raised, %ArgumentError{message: "expected arguments" <> _}} = outcome
      end

      assert [{:error, %Error{code: :invalid_argument}}, {:raised, %Error{}}] =
               both(client, "counts", [1 | 2], [])
    end
  end

  test "options of a start are refused by all that take them" do
    starts = [
      &Bridge.child_spec/1,
      &Bridge.start_link/1,
      &Pool.child_spec/1,
      &Pool.start_link/1
    ]

    odd = [
      nil,
      %{},
      "x",
      [1],
      [:adapter],
      [],
      [adapter: nil],
      [adaptor: "a:b"],
      [adapter: "a:b", x: 1]
    ]

    names = for name <- ["name", {1, 2}, 7, {:via, "m", 1}], do: [adapter: "a:b", name: name]

    for start <- starts, opts <- odd ++ names do
      assert {:raised, %ArgumentError{message: message}} = outcome(fn -> start.(opts) end)
      refute message =~ "second argument"
    end
  end
end
