defmodule Bridge.Testing do
  @moduledoc ~S'''
  Calls functions of an application as Python's tools would, without a Python: for tests of what the
  option `:functions` offers.

      defmodule MyApp.ForPythonTest do
        use ExUnit.Case, async: true

        import Bridge.Testing

        test "a product" do
          assert call_function(MyApp.ForPython, "product", [7]) ==
                   {:ok, %{"name" => "hat", "number" => 7}}
        end

        test "numbers are made as they are taken" do
          assert MyApp.ForPython |> stream_function("numbers") |> Enum.take(2) == [1, 2]
        end

        test "this is what an agent sees" do
          assert [%{"name" => "numbers"}, %{"name" => "product", "arity" => [1]}] =
                   offered_functions(MyApp.ForPython)
        end
      end

  All of it is what the client itself does with a request of Python: the name is looked up, the function
  runs in a process of its own, arguments and result are encoded and decoded. So a test sees what a tool
  would: atoms have become text, a result that has no form on the wire is an error, and so is a
  name that is not offered.

  The function's process has the test's in `$callers`, as a `Task` has: what goes by that, such as expectations of Mox
  and the sandbox of Ecto, works in it.

  What it does not do is to serve tools: a function that calls Python needs one, or a stub.
  '''

  alias Bridge.{Error, Frame, Functions, Msgpack, Options, Requests}

  @id 1
  @ahead 64
  @ahead_bytes 1_048_576

  @doc """
  Calls a function as `ctx.call_elixir(name, *args)` does.

  `functions` is what the option `:functions` takes. `args` are a list by position, or a map or keyword
  list, which the function gets as one map with keys that are text.

  ## Options

    * `:timeout` (milliseconds or `:infinity`; default: `5000`) - when the function is ended

  ## Returns

  `{:ok, result}` as Python would have it, in Elixir's terms; or `{:error, %Bridge.Error{}}`, of
  which Python makes a `bridge.ElixirError`: `:not_found` and `:invalid_argument` where there is no such function, or none
  that takes so many arguments, `:deadline_exceeded`, and `:internal` where it raised, threw or exited, with
  `details["kind"]`, `type` and `traceback`.

  Raises `ArgumentError` for `functions` that the client would not take, and `Bridge.Error` for arguments
  that have no form on the wire.

      iex> Bridge.Testing.call_function(%{"double" => &(&1 * 2)}, "double", [4])
      {:ok, 8}

      iex> Bridge.Testing.call_function(%{"state" => fn %{"of" => of} -> {:ok, of} end}, "state", of: :it)
      {:ok, ["ok", "it"]}

      iex> {:error, error} = Bridge.Testing.call_function(%{}, "double", [4])
      iex> {error.code, error.message}
      {:not_found, "there is no function double/1; there are no functions"}

  """
  @spec call_function(Functions.offered(), String.t(), Bridge.args(), keyword) ::
          {:ok, term} | {:error, Error.t()}
  def call_function(functions, name, args \\ [], opts \\ []) do
    timeout = Keyword.get(opts, :timeout, 5_000)
    options = if is_integer(timeout), do: %{"timeout_ms" => timeout}, else: %{}
    request = prepare(functions, name, args, options)
    callers = [self() | Process.get(:"$callers", [])]

    # in a process of its own, so that nothing can be left in the mailbox
    {pid, monitor} =
      spawn_monitor(fn ->
        Process.put(:"$callers", callers)
        # and no longer than somebody waits
        {:response, outcome} = request |> ask() |> next(Process.monitor(hd(callers)))
        exit({:shutdown, {@id, outcome}})
      end)

    receive do
      {:DOWN, ^monitor, :process, ^pid, {:shutdown, {@id, outcome}}} -> outcome
      {:DOWN, ^monitor, :process, ^pid, reason} -> exit(reason)
    end
  end

  @doc """
  The items of a function, as `ctx.stream_elixir(name, *args)` takes them: a lazy `Stream`.

  The function is called when the stream is enumerated; it runs some 64 items ahead at most. An error is raised, as
  `Bridge.Error`. Arguments are those of `call_function/4`.

      iex> functions = %{"numbers" => fn -> Stream.iterate(1, &(&1 + 1)) end}
      iex> functions |> Bridge.Testing.stream_function("numbers") |> Enum.take(3)
      [1, 2, 3]

  """
  @spec stream_function(Functions.offered(), String.t(), Bridge.args()) :: Enumerable.t()
  def stream_function(functions, name, args \\ []) do
    credit = %{"stream" => %{"items" => @ahead, "bytes" => @ahead_bytes}}
    request = prepare(functions, name, args, credit)
    Stream.resource(fn -> ask(request) end, &next_item/1, &close/1)
  end

  @doc """
  What `ctx.elixir_tools()` tells of functions: maps with `"name"`, `"description"` and `"arity"`.

      iex> Bridge.Testing.offered_functions(%{"double" => &(&1 * 2)})
      [%{"name" => "double", "description" => "", "arity" => [1]}]

  """
  @spec offered_functions(Functions.offered()) :: [map]
  def offered_functions(functions) do
    {:ok, offered} = call_function(functions, "$/tools")
    offered
  end

  ## Asking: the calling process is the client

  defp prepare(functions, name, args, options) do
    settings = Options.start!(adapter: "no:Adapter", functions: functions, max_elixir_calls: 1)
    args = Msgpack.encode!(args, "args")
    frame = [<<0x95, 0, @id>>, Msgpack.encode!(name), args, Msgpack.encode!(options)]
    {settings, IO.iodata_to_binary(frame)}
  end

  defp ask({settings, frame}) do
    {:request, @id, head} = Frame.peek(frame)
    # its end may not be that of the test
    {:ok, supervisor} = Task.Supervisor.start_link()
    settings |> Requests.new(nil, supervisor) |> Requests.request(@id, head, frame)
  end

  defp next_item(asked) do
    case next(asked) do
      {:item, item, asked} -> {[item], asked}
      {:response, {:ok, nil}} -> {:halt, asked}
      {:response, {:error, error}} -> raise error
    end
  end

  # `owner` monitors whoever waits, if that is another process.
  defp next(asked, owner \\ nil)

  defp next({requests, [frame]}, _owner) do
    case frame |> IO.iodata_to_binary() |> Msgpack.decode!() do
      [1, @id, nil, result] ->
        {:response, {:ok, result}}

      [1, @id, error, _nil] ->
        {:response, {:error, Error.from_wire(error)}}

      [2, "$/item", [@id, item]] ->
        Requests.credit(requests, @id, 1, :erlang.iolist_size(frame))
        {:item, item, {requests, []}}
    end
  end

  defp next({%{running: %{@id => {pid, monitor}}} = requests, []}, owner) do
    receive do
      {:bridge_function, @id, ^pid, kind, frame} ->
        next(Requests.answered(requests, @id, pid, kind, frame), owner)

      {:bridge_function_overdue, @id, ^pid} ->
        next(Requests.overdue(requests, @id, pid), owner)

      {:DOWN, ^monitor, :process, ^pid, reason} ->
        next(Requests.down(requests, monitor, reason), owner)

      {:DOWN, ^owner, :process, _pid, _reason} ->
        exit(:shutdown)
    end
  end

  # Nothing of it is left, also not in the mailbox.
  defp close({requests, _frames}) do
    for {@id, {pid, monitor}} <- requests.running do
      Process.demonitor(monitor, [:flush])
      Process.exit(pid, :shutdown)
    end

    Process.unlink(requests.supervisor)
    Supervisor.stop(requests.supervisor)
    for {@id, {pid, _monitor}} <- requests.running, do: forget(pid)
  end

  defp forget(pid) do
    receive do
      {:bridge_function, @id, ^pid, _kind, _frame} -> forget(pid)
    after
      0 -> :ok
    end
  end
end
