defmodule Bridge.Client do
  @moduledoc """
  A Python process and the calls that are in flight in it.

  The client is a `GenServer` that owns the port to `python -m bridge`. It takes the calls of any
  number of processes at once, and answers each when Python does, in whatever order that is. It
  needs Erlang/OTP 24 or newer.

  ## Who does what

  The caller's own process encodes the arguments and decodes the result, so neither errors nor
  megabytes in them concern anybody else. The client only moves frames, and keeps a timer and a
  monitor for each call:

    * When the `:timeout` runs out, or the caller dies, Python is told to cancel, and the call is
      forgotten. A late answer is dropped and counted (see `info/1`); since callers wait inside
      `GenServer.call/3`, nothing can ever turn up in their mailbox.
    * When the Python process dies, every call in flight ends with `:unavailable`, what its tools
      had started is killed, and the client stops with `{:shutdown, {:bridge_exited, status}}`, so
      that its supervisor starts both anew.
      (A client is a `:permanent` child; to a `:transient` one this reason would look like success.)
    * When the supervisor stops the client, Python gets `:grace` seconds to finish what runs. If
      it is still there a second later, it is killed together with its child processes.

  Every error is a `Bridge.Error`, also the one of a client that is not running. Its `started`
  field tells whether the tool may have begun.

  ## When Python does not read

  The client never waits for a full pipe. What cannot be written at once stays in an outbox, and
  calls in there time out and are cancelled like others, with `started: false`.

  ## Where things are

    * `Bridge.Options` checks the options
    * `Bridge.Caller` is the caller's side: it encodes, waits and decodes
    * `Bridge.Connection` is the client's state, and what each event does to it
    * `Bridge.Call` is one call in flight, `Bridge.Frame` what a frame is, `Bridge.Outbox` the frames
      that wait
    * `Bridge.Python` starts the Python process and makes it go

  Only the functions of this module (and those of `Bridge` that lead here) are for applications.
  """

  use GenServer

  require Logger

  alias Bridge.{Caller, Connection, Error, Options, Python}

  @typedoc "A running client: its pid or name."
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
  Starts Python, and returns when its adapter is loaded.

  | option | default | |
  | --- | --- | --- |
  | `:adapter` | required | what to serve: `"module:Class"` |
  | `:app_dir` | working directory | the directory Python finds the adapter's module in |
  | `:python` | `$BRIDGE_PYTHON`, else `"python3"` | the interpreter: a path, or a name on the `PATH`. For a virtual environment `".venv/bin/python"` |
  | `:max_workers` | Python's choice | how many calls run at the same time; the others wait in a queue |
  | `:max_queue` | 1024 | how many calls may wait; one more is answered `:resource_exhausted` |
  | `:max_message_bytes` | 64 MiB | a longer request is answered `:resource_exhausted` |
  | `:grace` | 5 | seconds that running calls get to end when the client stops |
  | `:log_level` | `:warning` | how much Python logs: `:debug`, `:info`, `:warning` or `:error` |
  | `:args` | `[]` | further arguments for `python -m bridge` |
  | `:env` | `[]` | environment variables, a map or list of pairs; the value `nil` removes one |
  | `:cd` | the BEAM's | working directory of the Python process |
  | `:start_timeout` | 30 000 | milliseconds until Python must be ready; after that it is killed |
  | `:name` | none | a name as `GenServer.start_link/3` takes it |

  Raises `ArgumentError` for an option that is unknown or wrong, or if there is no such
  interpreter, before any process exists. If Python ends or fails before it is ready, the result
  is `{:error, %Bridge.Error{}}` with Python's own message.
  """
  @spec start_link(keyword) :: GenServer.on_start()
  def start_link(opts) do
    GenServer.start_link(__MODULE__, Options.start!(opts), Keyword.take(opts, [:name]))
  end

  @doc """
  The specification of a client under a supervisor: `{Bridge.Client, opts}`.

  Takes and checks the options of `start_link/1`. The `:name` is also the child's id, and the
  supervisor waits two seconds longer than `:grace` for the client to stop.
  """
  @spec child_spec(keyword) :: Supervisor.child_spec()
  def child_spec(opts) do
    %{
      id: Keyword.get(opts, :name, __MODULE__),
      start: {__MODULE__, :start_link, [opts]},
      shutdown: Options.start!(opts).grace_ms + 2 * Python.exit_ms()
    }
  end

  @doc """
  Stops a client and its Python process.

  Calls and streams that run may end within the `:grace`; what is left then, and every new call, is
  answered `:unavailable`. When this returns, the Python process is gone. Exits as `GenServer.stop/3` does.
  """
  @spec stop(client, reason :: term, timeout) :: :ok
  def stop(client, reason \\ :normal, timeout \\ :infinity) do
    GenServer.stop(client, reason, timeout)
  end

  ## Calls

  @doc """
  Calls a tool, and waits for its result.

  | option | default | |
  | --- | --- | --- |
  | `:timeout` | 5 000 | milliseconds until the call is cancelled and `:deadline_exceeded` is the answer, or `:infinity`; Python knows it too |
  | `:session` | none | text that names what this call belongs to, for tools that ask |
  | `:metadata` | none | a map of text to text for the tool, such as `traceparent` |
  | `:tag` | none | any term, for `cancel/2` |
  | `:on_progress` | none | a function of `done`, `total` and `text` |

  `:on_progress` runs in the calling process. While it runs, only the newest report is kept for it.
  If it raises, the call is cancelled.

  Raises `ArgumentError` for an option that is unknown or wrong; all else is an error value.
  """
  @spec call(client, tool, args, keyword) :: {:ok, term} | {:error, Error.t()}
  def call(client, tool, args \\ [], opts \\ []) do
    Caller.call(client, tool, args, Options.call!(opts))
  end

  @doc """
  Calls a tool as `call/4` does, and returns the bare result or raises `Bridge.Error`.
  """
  @spec call!(client, tool, args, keyword) :: term
  def call!(client, tool, args \\ [], opts \\ []) do
    case call(client, tool, args, opts) do
      {:ok, result} -> result
      {:error, error} -> raise error
    end
  end

  @doc """
  The items of a streaming tool, as a lazy `Stream`.

  The call is made when the stream is enumerated, once for each time. Python is paused when it is
  `:credit` ahead of the consumer. When the consumer takes no more (`Enum.take/2`, an exception,
  its death), the generator is closed. The generator's return value is dropped.

  An error is raised in the consumer, as `Bridge.Error`, after the items that came before it.

  | option | default | |
  | --- | --- | --- |
  | `:timeout` | `:infinity` | milliseconds for the stream as a whole |
  | `:session`, `:metadata`, `:tag` | none | as for `call/4` |
  | `:credit` | `[items: 16, bytes: 1_048_576]` | how much may wait in the client. It is given back when the consumer takes what waits, so Python can work on while the consumer does |
  """
  @spec stream(client, tool, args, keyword) :: Enumerable.t()
  def stream(client, tool, args \\ [], opts \\ []) do
    opts = Options.stream!(opts)
    open = fn -> Caller.open(client, tool, args, opts) end
    Stream.resource(open, &Caller.next_items/1, &Caller.close/1)
  end

  @doc """
  Cancels every call and stream in flight that has this tag.

  They end with `:cancelled`, unless another answer was on its way. Returns at once, also when
  there is nothing to cancel.
  """
  @spec cancel(client, tag :: term) :: :ok
  def cancel(client, tag), do: GenServer.cast(client, {:cancel, tag})

  ## Questions

  @doc """
  The tools that Python serves: a list of maps with `"name"`, `"description"`, `"parameters"` and
  `"streaming"`.
  """
  @spec tools(client) :: {:ok, [map]} | {:error, Error.t()}
  def tools(client), do: call(client, "$/tools")

  @doc """
  Python's counters and histograms.
  """
  @spec stats(client) :: {:ok, map} | {:error, Error.t()}
  def stats(client), do: call(client, "$/stats")

  @doc """
  Python's health: `"status"` is `"serving"` or `"draining"`.
  """
  @spec health(client) :: {:ok, map} | {:error, Error.t()}
  def health(client), do: call(client, "$/health")

  @doc """
  Sends a value to Python and back, however busy its workers are.
  """
  @spec ping(client, value) :: {:ok, value} | {:error, Error.t()} when value: term
  def ping(client, value \\ nil), do: call(client, "$/ping", [value])

  @doc """
  What the client itself knows, without asking Python.

    * `:os_pid` - the process id of Python
    * `:ready` - what Python told when it was ready: protocol, limits, tools, interpreter
    * `:calls` - how many calls are in flight
    * `:outbox` - how many frames wait because Python does not read
    * `:late_replies` - how many answers came after their call had ended
  """
  @spec info(client) :: {:ok, map} | {:error, Error.t()}
  def info(client), do: Caller.ask(client, :info)

  ## Callbacks

  @impl true
  def init(settings) do
    # The end of the port comes as a message, and `terminate/2` is called before the client ends.
    Process.flag(:trap_exit, true)

    case Python.start(settings) do
      {:ok, python} -> {:ok, Connection.new(python, settings.grace_ms)}
      {:error, error} -> {:stop, error}
    end
  end

  @impl true
  def handle_call({:request, _body, _watch, _timeout, _tag} = request, from, connection) do
    {:noreply, Connection.request(connection, request, from)}
  end

  def handle_call({:await, id}, from, connection) do
    {:noreply, Connection.await(connection, id, from)}
  end

  def handle_call(:info, _from, connection) do
    {:reply, {:ok, Connection.info(connection)}, connection}
  end

  @impl true
  def handle_cast({:cancel, tag}, connection), do: {:noreply, Connection.cancel(connection, tag)}
  def handle_cast({:forget, id}, connection), do: {:noreply, Connection.abandon(connection, id)}

  @impl true
  def handle_info({port, {:data, frame}}, %{port: port} = connection) do
    {:noreply, Connection.receive_frame(connection, frame)}
  end

  def handle_info({port, {:exit_status, status}}, %{port: port} = connection) do
    exited(status, connection)
  end

  # Comes after the exit status, or instead of it: a runtime may lose the status.
  def handle_info({:EXIT, port, reason}, %{port: port} = connection) do
    exited(reason, connection)
  end

  # Python has said `$/bye`, but nothing of its end was seen.
  def handle_info({:overdue, reason}, connection) do
    Python.close(connection.port)
    exited(reason, connection)
  end

  def handle_info({:timeout, id}, connection) do
    {:noreply, Connection.time_out(connection, id)}
  end

  def handle_info({{:caller_down, id}, _monitor, :process, _pid, _reason}, connection) do
    {:noreply, Connection.abandon(connection, id)}
  end

  def handle_info(:flush, connection), do: {:noreply, Connection.flush(connection)}

  def handle_info(message, connection) do
    Logger.warning("#{inspect(__MODULE__)} got an unexpected message: #{inspect(message)}")
    {:noreply, connection}
  end

  defp exited(status, connection) do
    {:stop, {:shutdown, {:bridge_exited, status}}, %{connection | port: nil}}
  end

  @impl true
  def terminate(reason, %{port: nil} = connection) do
    Logger.error("the Python process is gone: #{inspect(reason)}")
    Connection.answer_all(connection)
    # what its tools started, if it had no time to end that itself
    Python.kill(connection.os_pid)
  end

  def terminate(_reason, connection) do
    deadline = now() + connection.grace_ms + Python.exit_ms()
    connection |> Connection.shut_down() |> drain(deadline) |> Connection.answer_all()
  end

  # The loop that `GenServer` has left, until Python is gone: streams and cancels go on, and it is
  # Python that turns new calls away.
  defp drain(connection, deadline) do
    receive do
      {:"$gen_call", from, question} ->
        question |> handle_call(from, connection) |> drain_on(from, deadline)

      {:"$gen_cast", order} ->
        order |> handle_cast(connection) |> drain_on(nil, deadline)

      message when not is_tuple(message) or elem(message, 0) != :system ->
        message |> handle_info(connection) |> drain_on(nil, deadline)
    after
      max(deadline - now(), 0) ->
        Python.kill(connection.os_pid)
        Python.close(connection.port)
        connection
    end
  end

  defp drain_on({:noreply, connection}, _from, deadline), do: drain(connection, deadline)
  defp drain_on({:stop, _reason, connection}, _from, _deadline), do: connection

  defp drain_on({:reply, answer, connection}, from, deadline) do
    GenServer.reply(from, answer)
    drain(connection, deadline)
  end

  defp now, do: System.monotonic_time(:millisecond)
end
