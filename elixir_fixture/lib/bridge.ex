defmodule Bridge do
  @moduledoc ~S'''
  Calls Python from Elixir: functions marked `@tool` run in one Python process, many at a time.

  In Python:

      # python/my_app/tools.py
      from bridge import Context, ThreadSafeAdapter, tool

      class Tools(ThreadSafeAdapter):
          @tool
          def add(self, a, b):
              return a + b

          @tool
          def primes(self, below):
              for n in range(2, below):
                  if all(n % d for d in range(2, n)):
                      yield n

          @tool
          def train(self, steps, ctx: Context):
              for step in range(steps):
                  ctx.check()  # raises when nobody waits any more
                  ctx.progress(step + 1, steps)
              return f"{steps} steps"

  In the application's supervisor:

      children = [
        {Bridge, adapter: "my_app.tools:Tools", app_dir: "python", name: MyApp.Python}
      ]

  The child is started when Python is ready to serve; when Python dies, it is started again below the
  same child. All options are listed at `start_link/1`.

  ## Calls

      {:ok, 3} = Bridge.call(MyApp.Python, "add", [1, 2])
      {:ok, 3} = Bridge.call(MyApp.Python, "add", a: 1, b: 2)
      3 = Bridge.call!(MyApp.Python, "add", [1, 2], timeout: 500)

  Any number of processes may call at the same time; `:max_workers` of the calls run, the others
  wait in Python's queue. Which Elixir value becomes which Python value, and back, is listed at
  `Bridge.Msgpack`. In short: strings are text, `{:bytes, data}` is bytes, atoms become text and
  stay text.

  `Task.await/1` waits five seconds, as long as a call does by default. Whichever is first decides: the
  call's `:deadline_exceeded`, or an exit of the caller of `Task.await/1`, which ends the task with it.
  So let the call be the first:

      tasks = for text <- texts, do: Task.async(fn -> Bridge.call(MyApp.Python, "embed", [text]) end)
      Task.await_many(tasks, :infinity)

  ## Streams

  A tool that yields is called with `stream/4`, which is lazy at both ends: nothing is sent until
  the stream is enumerated, and Python makes no more items than the consumer keeps up with.

      MyApp.Python |> Bridge.stream("primes", [1_000_000]) |> Enum.take(3)
      #=> [2, 3, 5]

  ## Cancelling

  A call that runs out of time ends in Python as well, and so does that of a process that dies. To
  cancel from elsewhere, give the call a tag:

      Bridge.call(MyApp.Python, "train", [1000], timeout: :infinity, tag: {:training, 7})

      # in another process
      Bridge.cancel(MyApp.Python, {:training, 7})

  In Python cancelling is a request: the tool goes on until it looks at its `Context`, or yields.

  ## Tensors

  NumPy arrays arrive as `Bridge.Tensor`, in the layout of Nx, and the other way round:

      {:ok, tensor} = Bridge.call(MyApp.Python, "embed", ["some text"])
      tensor.data |> Nx.from_binary(tensor.type) |> Nx.reshape(tensor.shape)

  ## Errors

  Whatever goes wrong is a `Bridge.Error`, with a `code` to match on and, for an exception in a
  tool, Python's traceback:

      case Bridge.call(MyApp.Python, "add", [1, nil]) do
        {:ok, sum} -> sum
        {:error, %Bridge.Error{code: :unavailable, started: false}} -> :try_again
        {:error, error} -> Logger.error(Exception.message(error))
      end

  ## Several processes

  `Bridge.Pool` is several Python processes behind one name. All functions here take a pool where they take a
  client.

  What happens when Python dies, or does not read, is written at `Bridge.Client`.
  '''

  alias Bridge.{Client, Error, Options}

  @typedoc "A running client, or pool: its pid or name."
  @type client :: GenServer.server()

  @typedoc "The name of a tool."
  @type tool :: String.t() | atom

  @typedoc """
  Arguments: a list gives them by position, a map or a keyword list by name. `[]` is none.

  `[{:bytes, data}]` is one argument by position, which is bytes. For a parameter that is called
  `bytes`, write `%{bytes: data}`.
  """
  @type args :: [term] | keyword | %{optional(String.t() | atom) => term}

  ## Life

  @doc """
  The specification of a client under a supervisor: `{Bridge, opts}`.

  Takes the options of `start_link/1`, and checks them as it does. The `:name` is also the child's id, so that
  several clients can stand side by side. The supervisor waits two seconds longer than `:grace` for
  the client to stop. The child is `:permanent`.

      iex> spec = Bridge.child_spec(adapter: "my_app.tools:Tools", name: MyApp.Python, grace: 3)
      iex> {spec.id, spec.shutdown}
      {MyApp.Python, 5000}

  """
  @spec child_spec(keyword) :: Supervisor.child_spec()
  defdelegate child_spec(opts), to: Client

  @doc """
  Starts Python, and returns when its adapter is loaded.

  The client is linked to the calling process. It owns the port to `python -m bridge`, and Python
  ends with it, however it ends. When Python ends, the client starts it again, see `:on_failure`.

  ## Options

  #{Options.docs(:start)}

  What Python chose can be seen in `info/1`, under `ready`; `python -m bridge --help` lists its
  defaults.

  ## Returns

  `{:ok, pid}`, or `{:error, %Bridge.Error{}}` if Python ends or fails before it is ready, with the
  code `:deadline_exceeded` after the `:start_timeout`. The message has Python's own, and names the
  interpreter, its arguments, its directory and the last lines of its standard error. Nothing of it
  is left then. A name that is taken is `{:error, {:already_started, pid}}`.

  Raises `ArgumentError` for an option that is unknown, missing or wrong, before any process exists.

  ## Examples

      {:ok, python} = Bridge.start_link(adapter: "my_app.tools:Tools", app_dir: "python")

      iex> Bridge.start_link(adapter: "my_app.tools:Tools", grace: :long)
      ** (ArgumentError) expected :grace to be seconds, an integer or a float, got: :long

  """
  @spec start_link(keyword) :: GenServer.on_start()
  defdelegate start_link(opts), to: Client

  @doc """
  Stops a client and its Python process.

  Calls and streams that run may end within the `:grace`; what is left then, and every new call, is
  answered `:unavailable`. When this returns `:ok`, the Python process is gone.

  `reason` and `timeout` (milliseconds, or `:infinity`) are those of `GenServer.stop/3`: this exits
  if the client is not running, ends with another reason, or takes longer than `timeout`. A
  supervisor starts a client anew that was stopped so; stop its child there with
  `Supervisor.terminate_child/2`.
  """
  @spec stop(client, reason :: term, timeout) :: :ok
  defdelegate stop(client, reason \\ :normal, timeout \\ :infinity), to: Client

  @doc """
  Waits until Python is ready: `:ok`, or an error with the code `:deadline_exceeded` after `timeout`
  milliseconds.

      iex> Bridge.await_ready(MyApp.Python, 5_000)
      :ok

  """
  @spec await_ready(client, timeout) :: :ok | {:error, Error.t()}
  defdelegate await_ready(client, timeout \\ :infinity), to: Client

  @doc """
  How Python is: a map with these keys.

    * `:state` - `:starting`, `:ready`, `:waiting` (for the next try) or `:draining`
    * `:os_pid` - the process id of Python, `nil` if there is none
    * `:starts` - how often it was started, and `:failures`, how often in a row it has failed
    * `:reason` - the `Bridge.Error` of the last failure, until Python is ready again
    * `:next_try_in_ms` - when it is started again, while `:waiting`

  An error is that the client is not running, or does not answer.

      iex> {:ok, status} = Bridge.status(MyApp.Python)
      iex> {status.state, status.failures, status.reason}
      {:ready, 0, nil}

  """
  @spec status(client) :: {:ok, map} | {:error, Error.t()}
  defdelegate status(client), to: Client

  @doc """
  Replaces Python: what runs may end within the `:grace`, and calls that come meanwhile wait for the
  next Python. A client that waits for its next try makes it now. Returns at once.
  """
  @spec restart(client) :: :ok
  defdelegate restart(client), to: Client

  ## Calls

  @doc """
  Calls a tool, and waits for its result.

  `args` are a list by position, or a map or keyword list by name, see `t:args/0`. They are encoded,
  and the result is decoded, in the calling process. Nothing can arrive in its mailbox late.

  ## Options

  #{Options.docs(:call)}

  ## Returns

  `{:ok, result}`, or `{:error, %Bridge.Error{}}` with one of these codes, among others:

    * `:invalid_argument` - wrong arguments, or a value that cannot be encoded; the message names it
    * `:not_found` - no such tool
    * `:internal` - the tool raised; `type` and `traceback` are Python's
    * `:deadline_exceeded` - the `:timeout` ran out; for a call that is still queued in Python up to 30 ms
      before (0.3 of the time, if that is less), so that it is sure that it never began
    * `:cancelled` - by `cancel/2`
    * `:resource_exhausted` - Python's queue is full, or a message is too large
    * `:unavailable` - Python is gone, going, or was never there

  The call returns at its `:timeout`, or a moment (12 ms) later with what Python said of it, whatever
  the client does. `started: true` means that the tool may have begun; it may go on. Where the tool never began, the error has `started: false`, and a retry repeats no work.

  Raises `ArgumentError` for an option that is unknown or wrong, and for `args` that are neither
  list nor map.

  ## Examples

      iex> Bridge.call(MyApp.Python, "add", [1, 2])
      {:ok, 3}

      iex> Bridge.call(MyApp.Python, "add", a: 1, b: 2)
      {:ok, 3}

      iex> {:error, error} = Bridge.call(MyApp.Python, "add", [1, nil])
      iex> {error.code, error.type, error.started}
      {:internal, "builtins.TypeError", true}

      iex> {:error, error} = Bridge.call(MyApp.Python, "subtract", [1, 2])
      iex> {error.code, error.started}
      {:not_found, false}

      iex> report = fn step, steps, _text -> send(self(), {step, steps}) end
      iex> Bridge.call(MyApp.Python, "train", [1], timeout: 60_000, on_progress: report)
      {:ok, "1 steps"}

  """
  @spec call(client, tool, args, keyword) :: {:ok, term} | {:error, Error.t()}
  defdelegate call(client, tool, args \\ [], opts \\ []), to: Client

  @doc """
  Calls a tool as `call/4` does, and returns the bare result or raises `Bridge.Error`.

      iex> Bridge.call!(MyApp.Python, "add", [1, 2])
      3

      iex> Bridge.call!(MyApp.Python, "add", [1, &is_map/1])
      ** (Bridge.Error) invalid_argument: args[1] is a function, which cannot be encoded: &:erlang.is_map/1

  """
  @spec call!(client, tool, args, keyword) :: term
  defdelegate call!(client, tool, args \\ [], opts \\ []), to: Client

  @doc """
  The items of a streaming tool, as a lazy `Stream`.

  The call is made when the stream is enumerated, once for each time. Python is paused when it is
  `:credit` ahead of the consumer. When the consumer takes no more (`Enum.take/2`, an exception, its
  death), the generator is closed, and its `finally` runs. The generator's return value is dropped.

  ## Options

  #{Options.docs(:stream)}

  ## Errors

  An error is raised in the consumer, as `Bridge.Error` with the codes of `call/4`, after the items
  that came before it. A tool that does not
  yield is refused with `:invalid_argument`, before it begins.

  Raises `ArgumentError` at once for an option that is unknown or wrong.

  ## Examples

      iex> MyApp.Python |> Bridge.stream("primes", [1_000_000]) |> Enum.take(3)
      [2, 3, 5]

      iex> MyApp.Python |> Bridge.stream("primes", %{below: 12}) |> Enum.sum()
      28

  """
  @spec stream(client, tool, args, keyword) :: Enumerable.t()
  defdelegate stream(client, tool, args \\ [], opts \\ []), to: Client

  @doc """
  Cancels every call and stream in flight that has this tag, from any process.

  They end with `:cancelled`, unless another answer was on its way. Returns `:ok` at once, also when
  there is nothing to cancel, and when the client is not running. In Python a call that waits in the
  queue never runs; a tool that runs is asked to end, and goes on until it looks at its `Context`,
  or yields.

      iex> Bridge.cancel(MyApp.Python, {:training, 7})
      :ok

  """
  @spec cancel(client, tag :: term) :: :ok
  defdelegate cancel(client, tag), to: Client

  ## Questions

  @doc """
  The tools that Python serves: maps with `"name"`, `"description"`, `"parameters"` and
  `"streaming"`.

  Python's reader answers this, as it does `stats/1`, `health/1` and `ping/2`: however busy the
  workers are. All four fail as `call/4` does, after its default timeout at the latest.

      iex> {:ok, tools} = Bridge.tools(MyApp.Python)
      iex> for tool <- tools, do: {tool["name"], tool["streaming"]}
      [{"add", false}, {"primes", true}, {"train", false}]

  """
  @spec tools(client) :: {:ok, [map]} | {:error, Error.t()}
  defdelegate tools(client), to: Client

  @doc """
  Python's counters and histograms: of the pool, and under `"tools"` of each tool.

      iex> {:ok, stats} = Bridge.stats(MyApp.Python)
      iex> {stats["status"], stats["queued"]}
      {"serving", 0}

  """
  @spec stats(client) :: {:ok, map} | {:error, Error.t()}
  defdelegate stats(client), to: Client

  @doc """
  Where every tool is now: under `"threads"` a map for each thread.

  Their keys are `"name"`, `"tool"` (`nil` if it runs none), `"id"` of the call, `"seconds"` since it
  began, `"abandoned"` (whether nobody awaits it any more), `"stack"` (maps of `"file"`, `"line"` and
  `"function"`, innermost last) and `"left_out"`. No arguments or values are shown. A tool that holds the
  GIL keeps this from being answered, like everything else.

      iex> {:ok, %{"threads" => threads}} = Bridge.stacks(MyApp.Python)
      iex> Enum.all?(threads, &is_binary(&1["name"]))
      true

  """
  @spec stacks(client) :: {:ok, map} | {:error, Error.t()}
  defdelegate stacks(client), to: Client

  @doc """
  Python's health: `"status"` is `"serving"` or `"draining"`.

      iex> {:ok, %{"status" => status}} = Bridge.health(MyApp.Python)
      iex> status
      "serving"

  """
  @spec health(client) :: {:ok, map} | {:error, Error.t()}
  defdelegate health(client), to: Client

  @doc """
  Sends a value to Python and back, however busy its workers are.

      iex> Bridge.ping(MyApp.Python, "anybody there?")
      {:ok, "anybody there?"}

  """
  @spec ping(client, value) :: {:ok, value} | {:error, Error.t()} when value: term
  defdelegate ping(client, value \\ nil), to: Client

  @doc """
  What the client itself knows, without asking Python: a map with these keys.

    * `:os_pid`, `:ready` - the process id of Python, and what it told when it was ready: protocol,
      limits, tools, interpreter; `nil` if it is not
    * `:calls` - how many calls are in flight
    * `:outbox` - how many frames wait because Python starts, or does not read
    * `:late_replies` - how many answers came after their caller's time

  An error is that the client is not running.

      iex> {:ok, info} = Bridge.info(MyApp.Python)
      iex> {info.calls, info.ready["tools"]}
      {0, ["add", "primes", "train"]}

  """
  @spec info(client) :: {:ok, map} | {:error, Error.t()}
  defdelegate info(client), to: Client
end
