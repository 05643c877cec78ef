# Run by scripts/demo: an Elixir program that starts Python and calls it.

say = fn text -> IO.puts("\n#{IO.ANSI.bright()}#{text}#{IO.ANSI.reset()}") end

{:ok, python} =
  Bridge.start_link(
    adapter: "demo_tools:DemoTools",
    app_dir: Path.expand(".", __DIR__),
    max_workers: 8
  )

{:ok, info} = Bridge.Client.info(python)
interpreter = info.ready["python"]

IO.puts(
  "Python #{interpreter["version"]} is ready, OS process #{info.os_pid}, " <>
    "tools: #{Enum.join(info.ready["tools"], ", ")}"
)

say.("A call")
IO.puts("  add(1, 2) = #{Bridge.call!(python, "add", [1, 2])}")
IO.puts("  add(a: 0.5, b: 2) = #{Bridge.call!(python, "add", a: 0.5, b: 2)}")

say.("Five calls at once; each reply comes when its tool is done")
started = System.monotonic_time(:millisecond)

1..5
|> Task.async_stream(
  fn n -> {n, Bridge.call!(python, "slow_square", [n, (6 - n) * 0.1])} end,
  ordered: false,
  max_concurrency: 5
)
|> Enum.each(fn {:ok, {n, square}} ->
  ms = System.monotonic_time(:millisecond) - started
  IO.puts("  after #{ms} ms: slow_square(#{n}) = #{square}")
end)

say.("A stream that never ends, of which we take ten items")
primes = python |> Bridge.stream("primes") |> Enum.take(10)
IO.puts("  #{inspect(primes, charlists: :as_lists)}")

say.("A call that is cancelled from another process")
parent = self()

task =
  Task.async(fn ->
    Bridge.call(python, "train", [1000],
      timeout: :infinity,
      tag: :training,
      on_progress: fn epoch, epochs, text ->
        IO.puts("  #{text}: #{epoch}/#{epochs}")
        if epoch == 2, do: send(parent, :enough)
      end
    )
  end)

receive do: (:enough -> Bridge.cancel(python, :training))
{:error, %Bridge.Error{code: :cancelled} = error} = Task.await(task)
IO.puts("  #{Exception.message(error)}")

say.("A NumPy array, in the layout that Nx.from_binary/2 takes")
tensor = Bridge.call!(python, "rotation", [90])
values = for <<x::float-32-little <- tensor.data>>, do: Float.round(x, 3) + 0.0
IO.puts("  #{inspect(tensor.type)} #{inspect(tensor.shape)} #{inspect(values)}")

say.("An error is a value, with Python's traceback")
{:error, error} = Bridge.call(python, "add", [1, "two"])
error |> Exception.message() |> String.split("\n") |> Enum.each(&IO.puts("  #{&1}"))

:ok = Bridge.stop(python)
say.("Done; the Python process has ended.")
