defmodule Bridge.TestingTest do
  @moduledoc """
  `Bridge.Testing` plays Python's part as Python does.
  """

  use Bridge.TestCase, async: true

  import Bridge.Testing

  doctest Bridge.Testing

  defmodule ForPython do
    use Bridge.Functions

    @doc "The sum of two numbers."
    def add(a, b \\ 1), do: a + b

    @doc "What it was given."
    def given(value), do: value

    @doc "Raises."
    def fail, do: raise(ArgumentError, "no such thing")

    @doc "Throws."
    def throws, do: throw(:ball)

    @doc "Is killed."
    def killed, do: Process.exit(self(), :kill)

    @doc "What has no form on the wire."
    def formless, do: %{pid: [:erlang.list_to_pid(~c"<0.0.0>")]}

    @doc "Waits for ever."
    def hang, do: Process.sleep(:infinity)

    @doc "Whose test it is."
    def caller_is(text), do: text in Enum.map(Process.get(:"$callers"), &inspect/1)

    @doc "Numbers, until one is too much."
    def until(n), do: Stream.map(1..n, &if(&1 < 3, do: &1, else: raise("enough")))

    @doc "All numbers."
    def for_ever, do: Stream.iterate(1, &(&1 + 1))

    def undocumented, do: 1
  end

  # What a tool of a real Python gets for the same.
  defp by_python(python, name, args) do
    Bridge.call!(python, "caught", [name, args])
  end

  test "a test gets what a tool would" do
    python = start_client(adapter: "asking_tools:AskingTools", functions: ForPython)

    for {name, args} <- [
          {"add", [1, 2]},
          {"add", [1]},
          {"given", [%{atom: :value, tuple: {1, 2}, date: ~D[2026-11-28]}]},
          {"given", [nil]},
          {"given", [{:bytes, <<255>>}]}
        ] do
      assert call_function(ForPython, name, args) == {:ok, by_python(python, name, args)}
    end

    for {name, args} <- [
          {"add", [1, 2, 3]},
          {"fail", []},
          {"throws", []},
          {"killed", []},
          {"formless", []},
          {"undocumented", []},
          {"nobody", []}
        ] do
      seen = by_python(python, name, args)
      assert {:error, %Bridge.Error{} = error} = call_function(ForPython, name, args)
      assert "Elixir's #{name}: #{error.message}" == seen["message"]
      assert Atom.to_string(error.code) == seen["code"]
      assert {error.type, error.details["kind"]} == {seen["type"], seen["kind"]}
    end
  end

  test "arguments by name arrive as one map" do
    assert call_function(ForPython, "given", a: 1, b: :two) ==
             {:ok, %{"a" => 1, "b" => "two"}}

    assert call_function(ForPython, "given", %{"a" => 1}) == {:ok, %{"a" => 1}}
  end

  test "the time of a call ends the function" do
    assert {:error, %Bridge.Error{code: :deadline_exceeded}} =
             call_function(ForPython, "hang", [], timeout: 20)
  end

  test "the end of the test ends the function" do
    test = self()

    functions = %{
      "hang" => fn ->
        send(test, {:runs, self()})
        Process.sleep(:infinity)
      end
    }

    caller = spawn(fn -> call_function(functions, "hang", [], timeout: :infinity) end)
    assert_receive {:runs, function}, patience()
    Process.exit(caller, :kill)
    eventually(fn -> not Process.alive?(function) end)
  end

  test "the function's process knows the test's" do
    assert call_function(ForPython, "caller_is", [inspect(self())]) == {:ok, true}

    asked = Task.async(fn -> call_function(ForPython, "caller_is", [inspect(self())]) end)
    assert Task.await(asked, patience()) == {:ok, true}
  end

  test "a stream is made as it is taken, and its error is raised" do
    assert ForPython |> stream_function("for_ever") |> Enum.take(200) == Enum.to_list(1..200)
    items = stream_function(ForPython, "until", [5])
    assert Enum.take(items, 2) == [1, 2]
    assert_raise Bridge.Error, ~r/enough/, fn -> Enum.to_list(items) end
    assert ForPython |> stream_function("add", [1]) |> Enum.to_list() == [2]
  end

  test "nothing is left in the mailbox, also of a test that traps exits" do
    Process.flag(:trap_exit, true)
    call_function(ForPython, "add", [1, 2])
    call_function(ForPython, "hang", [], timeout: 10)
    call_function(ForPython, "killed")
    Enum.take(stream_function(ForPython, "for_ever"), 3)
    offered_functions(ForPython)
    assert Process.info(self(), [:messages, :links]) == [messages: [], links: []]
  end

  test "what the client would not take is refused here" do
    assert_raise ArgumentError, ~r/expected :functions/, fn -> call_function(String, "length") end

    assert_raise Bridge.Error, ~r/args\[0\] is a pid/, fn ->
      call_function(ForPython, "given", [self()])
    end
  end
end
