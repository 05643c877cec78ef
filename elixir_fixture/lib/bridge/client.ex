defmodule Bridge.Client do
  @moduledoc """
  A Python process and the calls that are in flight in it.

  The client is a `GenServer` that owns the port to `python -m bridge`. It takes the calls of any
  number of processes at once, and answers each when Python does, in whatever order that is.

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

  Needs Erlang/OTP 24 or newer.
  """

  use GenServer

  require Logger

  alias Bridge.{Error, Msgpack}

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

  @protocol 1

  @default_grace_s 5
  @default_start_timeout_ms 30_000
  @default_timeout_ms 5_000
  @default_credit [items: 16, bytes: 1_048_576]

  # How long a process that said `$/bye`, or that should be gone, may take to vanish.
  @exit_ms 1_000

  # Nobody tells a process that wrote with :nosuspend when the port can take more.
  @retry_ms 2

  # What the runtime's timers can count.
  @max_timeout_ms 0xFFFF_FFFF

  # The flags of `python -m bridge`.
  @flags [:adapter, :app_dir, :max_workers, :max_queue, :max_message_bytes, :grace, :log_level]
  @start_options @flags ++ [:args, :cd, :env, :name, :python, :start_timeout]
  @call_options [:timeout, :session, :metadata, :tag, :on_progress]
  @stream_options [:timeout, :session, :metadata, :tag, :credit]

  @log_levels [:debug, :info, :warning, :error]
  @level_of_text Map.new(@log_levels, &{Atom.to_string(&1), &1})

  # `outbox` holds the frames that are not written yet, by number. Requests are numbered by their
  # id, other frames from the same counter: so the order is that of sending, and a request is
  # easily found and taken back.
  @enforce_keys [:port, :os_pid, :ready, :grace_ms]
  defstruct [
    :port,
    :os_pid,
    :ready,
    :grace_ms,
    next_id: 1,
    calls: %{},
    outbox: :gb_trees.empty(),
    retrying: false,
    late_replies: 0
  ]

  @type t :: %__MODULE__{
          port: port | nil,
          os_pid: non_neg_integer | nil,
          ready: map,
          grace_ms: non_neg_integer,
          next_id: pos_integer,
          calls: %{optional(pos_integer) => call},
          outbox: :gb_trees.tree(pos_integer, iodata),
          retrying: boolean,
          late_replies: non_neg_integer
        }

  # `from` is the caller while it waits. `watch` says which notifications it wants to see; they
  # stay in `notes`, newest first, until it asks for them, and so does the `outcome`.
  @typep call :: %{
           from: GenServer.from() | nil,
           watch: :item | :progress | nil,
           notes: [binary],
           outcome: outcome | nil,
           tag: {:ok, term} | :error,
           monitor: reference,
           timer: reference | nil
         }

  @typep outcome :: {:response, frame :: binary} | {:error, Error.t()}

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
    GenServer.start_link(__MODULE__, settings!(opts), Keyword.take(opts, [:name]))
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
      shutdown: settings!(opts).grace_ms + 2 * @exit_ms
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
    check!(opts, @call_options)
    opts = Keyword.put_new(opts, :timeout, @default_timeout_ms)
    watch = if opts[:on_progress], do: :progress

    with {:ok, request} <- request(tool, args, opts, watch) do
      client |> ask(request) |> result(opts[:on_progress])
    end
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
    check!(opts, @stream_options)
    opts = Keyword.update(opts, :credit, @default_credit, &Keyword.merge(@default_credit, &1))

    open = fn ->
      with {:ok, request} <- request(tool, args, opts, :item), do: ask(client, request)
    end

    Stream.resource(open, &next_items/1, &close/1)
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
  def info(client), do: ask(client, :info)

  ## In the caller's process

  defp request(tool, args, opts, watch) do
    timeout = Keyword.get(opts, :timeout, :infinity)

    options = for {key, value} <- opts, option <- wire_option(key, value), into: %{}, do: option

    with {:ok, params} <- params(args),
         {:ok, options} <- Msgpack.encode(options, "options") do
      # Small parts are put together here rather than in the client; large binaries stay uncopied.
      body = :erlang.iolist_to_iovec([Msgpack.encode!(to_string(tool)), params | options])
      {:ok, {:request, body, watch, timeout, Keyword.fetch(opts, :tag)}}
    end
  end

  defp wire_option(:timeout, timeout) when is_integer(timeout), do: [timeout_ms: timeout]
  defp wire_option(:credit, credit), do: [stream: Map.new(credit)]
  defp wire_option(key, value) when key in [:session, :metadata], do: [{key, value}]
  defp wire_option(_key, _value), do: []

  defp params(args) when is_list(args) do
    named = if by_name?(args), do: Map.new(args), else: args

    if is_map(named) and map_size(named) < length(args) do
      message = "args gives a name twice: #{inspect(Keyword.keys(args))}"
      {:error, %Error{code: :invalid_argument, message: message, started: false}}
    else
      Msgpack.encode(named, "args")
    end
  end

  defp params(args) when is_map(args) and not is_struct(args), do: Msgpack.encode(args, "args")

  defp params(args) do
    raise ArgumentError, "expected arguments in a list or a map, got: #{inspect(args)}"
  end

  # `[{:bytes, data}]` is also the keyword list `[bytes: data]`.
  defp by_name?(args) do
    Keyword.keyword?(args) and Enum.any?(args, fn {name, _value} -> name != :bytes end)
  end

  # The client sets the timeout itself, so that it knows when it stopped waiting.
  defp ask(client, question) do
    GenServer.call(client, question, :infinity)
  catch
    :exit, {:noproc, {GenServer, :call, _arguments}} ->
      message = "the client #{inspect(client)} is not running"
      {:error, %Error{code: :unavailable, message: message, started: false}}

    :exit, {reason, {GenServer, :call, _arguments}} ->
      message = "the client #{inspect(client)} has ended: #{Exception.format_exit(reason)}"
      {:error, %Error{code: :unavailable, message: message}}
  end

  # A handle names the process, not the client's name: its successor would not know the call. And
  # there is none before the tool has begun.
  defp await({pid, id}) do
    with {:error, error} <- ask(pid, {:await, id}), do: {:error, %{error | started: true}}
  end

  defp forget({pid, id}), do: GenServer.cast(pid, {:forget, id})

  defp result({:notes, handle, frames}, on_progress) do
    try do
      for frame <- frames do
        [_notification, _method, [_id, done, total, text]] = decode!(frame)
        on_progress.(done, total, text)
      end
    catch
      kind, reason ->
        forget(handle)
        :erlang.raise(kind, reason, __STACKTRACE__)
    end

    handle |> await() |> result(on_progress)
  end

  defp result({:response, frame}, _on_progress) do
    case decode(frame) do
      {:ok, [_response, _id, nil, result]} -> {:ok, result}
      {:ok, [_response, _id, error, _nil]} -> {:error, Error.from_wire(error)}
      {:error, error} -> {:error, error}
    end
  end

  defp result({:error, error}, _on_progress), do: {:error, error}

  defp next_items({:notes, handle, frames}) do
    items =
      for frame <- frames do
        [_notification, _method, [_id, item]] = decode!(frame)
        item
      end

    {items, {:more, handle}}
  end

  defp next_items({:more, handle}), do: handle |> await() |> next_items()

  defp next_items(outcome) do
    case result(outcome, nil) do
      {:ok, _return_value} -> {:halt, :ended}
      {:error, error} -> raise error
    end
  end

  defp close({:more, handle}), do: forget(handle)
  defp close({:notes, handle, _frames}), do: forget(handle)
  defp close(_ended), do: :ok

  defp decode(frame) do
    with {:error, error} <- Msgpack.decode(frame) do
      {:error, %{error | code: :internal, message: "an answer of Python is #{error.message}"}}
    end
  end

  defp decode!(frame) do
    case decode(frame) do
      {:ok, message} -> message
      {:error, error} -> raise error
    end
  end

  ## Callbacks

  @impl true
  def init(settings) do
    Process.flag(:trap_exit, true)
    port = Port.open({:spawn_executable, settings.python}, settings.port_options)
    os_pid = os_pid(port)

    case await_ready(port, now() + settings.start_timeout) do
      {:ok, ready} ->
        {:ok, %__MODULE__{port: port, os_pid: os_pid, ready: ready, grace_ms: settings.grace_ms}}

      {:error, error} ->
        if error.code == :deadline_exceeded, do: kill(os_pid)
        close_port(port)
        {:stop, error}
    end
  end

  @impl true
  def handle_call({:request, body, watch, timeout, tag}, {pid, _} = from, state) do
    {id, state} = next_id(state)

    call = %{
      from: from,
      watch: watch,
      notes: [],
      outcome: nil,
      tag: tag,
      monitor: :erlang.monitor(:process, pid, tag: {:caller_down, id}),
      timer: if(timeout != :infinity, do: Process.send_after(self(), {:timeout, id}, timeout))
    }

    {:noreply, state |> put_call(id, call) |> send_frame(id, request_frame(id, body))}
  end

  def handle_call({:await, id}, from, state) do
    case state.calls do
      %{^id => call} ->
        {:noreply, hand_over(state, id, %{call | from: from})}

      _over ->
        {:reply, {:error, %Error{code: :cancelled, message: "the call is over"}}, state}
    end
  end

  def handle_call(:info, _from, state) do
    info = %{
      os_pid: state.os_pid,
      ready: state.ready,
      calls: map_size(state.calls),
      outbox: :gb_trees.size(state.outbox),
      late_replies: state.late_replies
    }

    {:reply, {:ok, info}, state}
  end

  @impl true
  def handle_cast({:cancel, tag}, state) do
    ids = for {id, %{tag: {:ok, ^tag}, outcome: nil}} <- state.calls, do: id
    {:noreply, Enum.reduce(ids, state, &cancel_call/2)}
  end

  def handle_cast({:forget, id}, state), do: {:noreply, abandon(state, id)}

  @impl true
  def handle_info({port, {:data, frame}}, %{port: port} = state) do
    {:noreply, receive_frame(peek(frame), frame, state)}
  end

  def handle_info({port, {:exit_status, status}}, %{port: port} = state) do
    exited(status, state)
  end

  # Comes after the exit status, or instead of it: a runtime may lose the status.
  def handle_info({:EXIT, port, reason}, %{port: port} = state), do: exited(reason, state)

  # Python has said `$/bye`, but nothing of its end was seen.
  def handle_info({:overdue, reason}, state) do
    close_port(state.port)
    exited(reason, state)
  end

  def handle_info({:timeout, id}, state) do
    case state.calls do
      %{^id => %{outcome: nil}} ->
        {started, state} = withdraw(state, id)
        message = "the call took longer than its timeout"
        {:noreply, fail(state, id, :deadline_exceeded, message, started)}

      _over ->
        {:noreply, state}
    end
  end

  def handle_info({{:caller_down, id}, _monitor, :process, _pid, _reason}, state) do
    {:noreply, abandon(state, id)}
  end

  def handle_info(:flush, state), do: {:noreply, flush(%{state | retrying: false})}

  def handle_info(message, state) do
    Logger.warning("#{inspect(__MODULE__)} got an unexpected message: #{inspect(message)}")
    {:noreply, state}
  end

  @impl true
  def terminate(reason, %{port: nil} = state) do
    Logger.error("the Python process is gone: #{inspect(reason)}")
    answer_all(state)
    # what its tools started, if it had no time to end that itself
    kill(state.os_pid)
  end

  def terminate(_reason, state) do
    {id, state} = next_id(state)
    state = send_frame(state, id, Msgpack.encode!([0, id, "$/shutdown", []]))
    state |> drain(now() + state.grace_ms + @exit_ms) |> answer_all()
  end

  ## Start and end of the Python process

  defp await_ready(port, deadline) do
    receive do
      {^port, {:data, frame}} ->
        case Msgpack.decode(frame) do
          {:ok, [2, "$/ready", [%{"protocol" => @protocol} = ready]]} ->
            {:ok, ready}

          {:ok, [2, "$/ready", [ready]]} ->
            not_ready("speaks another protocol than version #{@protocol}: #{inspect(ready)}")

          {:ok, [2, "$/error", [error]]} ->
            {:error, Error.from_wire(error)}

          {:ok, [2, "$/log", [level, logger, text, fields, id]]} ->
            log(level, logger, text, fields, id)
            await_ready(port, deadline)

          _other ->
            not_ready("is no bridge: it began with #{inspect(frame, limit: 16)}")
        end

      {^port, {:exit_status, status}} ->
        not_ready("exited with status #{status} before it was ready; see its standard error")

      {:EXIT, ^port, reason} ->
        not_ready("ended before it was ready: #{inspect(reason)}")

      {:EXIT, parent, reason} when is_pid(parent) ->
        close_port(port)
        exit(reason)
    after
      max(deadline - now(), 0) ->
        message = "the Python process was not ready within the :start_timeout"
        {:error, %Error{code: :deadline_exceeded, message: message}}
    end
  end

  defp not_ready(what) do
    {:error, %Error{code: :unavailable, message: "the Python process " <> what, started: false}}
  end

  defp exited(status, state) do
    {:stop, {:shutdown, {:bridge_exited, status}}, %{state | port: nil}}
  end

  # The loop that `GenServer` has left, until Python is gone: streams and cancels go on, and it is
  # Python that turns new calls away.
  defp drain(state, deadline) do
    receive do
      {:"$gen_call", from, question} ->
        question |> handle_call(from, state) |> drain_on(from, deadline)

      {:"$gen_cast", order} ->
        order |> handle_cast(state) |> drain_on(nil, deadline)

      message when not is_tuple(message) or elem(message, 0) != :system ->
        message |> handle_info(state) |> drain_on(nil, deadline)
    after
      max(deadline - now(), 0) ->
        kill(state.os_pid)
        close_port(state.port)
        state
    end
  end

  defp drain_on({:noreply, state}, _from, deadline), do: drain(state, deadline)
  defp drain_on({:stop, _reason, state}, _from, _deadline), do: state

  defp drain_on({:reply, answer, state}, from, deadline) do
    GenServer.reply(from, answer)
    drain(state, deadline)
  end

  defp answer_all(state) do
    for {id, %{from: from, outcome: nil}} when from != nil <- state.calls do
      error = %Error{code: :unavailable, message: "the Python process is gone"}
      started = not :gb_trees.is_defined(id, state.outbox)
      GenServer.reply(from, {:error, %{error | started: started}})
    end
  end

  defp os_pid(port) do
    case Port.info(port, :os_pid) do
      {:os_pid, os_pid} -> os_pid
      nil -> nil
    end
  end

  # A child of a port leads a process group of its own, which its own children belong to.
  defp kill(os_pid) do
    if os_pid && System.find_executable("kill") do
      System.cmd("kill", ["-KILL", "--", "-#{os_pid}"], stderr_to_stdout: true)
    end
  end

  defp close_port(port) do
    Port.close(port)
  rescue
    ArgumentError -> true
  end

  ## Calls in flight

  defp next_id(state), do: {state.next_id, %{state | next_id: state.next_id + 1}}

  defp put_call(state, id, call), do: %{state | calls: Map.put(state.calls, id, call)}

  # Gives the caller what there is for it, if it waits: notes first, then the outcome.
  defp hand_over(state, id, %{from: from, notes: [_ | _] = notes} = call) when from != nil do
    GenServer.reply(from, {:notes, {self(), id}, Enum.reverse(notes)})
    state = put_call(state, id, %{call | from: nil, notes: []})
    if call.watch == :item and call.outcome == nil, do: credit(state, id, notes), else: state
  end

  defp hand_over(state, id, %{from: from, outcome: outcome})
       when from != nil and outcome != nil do
    GenServer.reply(from, outcome)
    remove(state, id)
  end

  defp hand_over(state, id, call), do: put_call(state, id, call)

  defp credit(state, id, frames) do
    bytes = frames |> Enum.map(&byte_size/1) |> Enum.sum()
    notify(state, "$/credit", [id, length(frames), bytes])
  end

  defp fail(state, id, code, message, started) do
    error = %Error{code: code, message: message, started: started}
    hand_over(state, id, %{Map.fetch!(state.calls, id) | outcome: {:error, error}})
  end

  defp cancel_call(id, state) do
    case withdraw(state, id) do
      {true, state} -> state
      {false, state} -> fail(state, id, :cancelled, "the call was cancelled", false)
    end
  end

  # Nobody wants the outcome any more.
  defp abandon(state, id) do
    case state.calls do
      %{^id => %{outcome: nil}} ->
        {_started, state} = withdraw(state, id)
        remove(state, id)

      %{^id => _ended} ->
        remove(state, id)

      _over ->
        state
    end
  end

  # Takes a request back: out of the outbox, or from Python. Tells whether Python may have begun.
  defp withdraw(state, id) do
    if :gb_trees.is_defined(id, state.outbox) do
      {false, %{state | outbox: :gb_trees.delete(id, state.outbox)}}
    else
      {true, notify(state, "$/cancelRequest", [id])}
    end
  end

  defp remove(state, id) do
    {call, calls} = Map.pop!(state.calls, id)
    Process.demonitor(call.monitor, [:flush])
    if call.timer, do: Process.cancel_timer(call.timer, async: true, info: false)
    %{state | calls: calls}
  end

  ## Frames to Python

  defp request_frame(id, body), do: [<<0x95, 0x00>>, Msgpack.encode!(id) | body]

  defp notify(state, method, params) do
    {number, state} = next_id(state)
    send_frame(state, number, Msgpack.encode!([2, method, params]))
  end

  defp send_frame(state, number, frame) do
    flush(%{state | outbox: :gb_trees.insert(number, frame, state.outbox)})
  end

  defp flush(state) do
    if :gb_trees.is_empty(state.outbox) do
      state
    else
      {_number, frame, rest} = :gb_trees.take_smallest(state.outbox)
      if write(state.port, frame), do: flush(%{state | outbox: rest}), else: retry_later(state)
    end
  end

  # Without :nosuspend a port that is busy would suspend the client, and with it every timeout.
  defp write(port, frame) do
    :erlang.port_command(port, frame, [:nosuspend])
  rescue
    # The port is closed; the message that says so is on its way.
    ArgumentError -> false
  end

  defp retry_later(%{retrying: true} = state), do: state

  defp retry_later(state) do
    Process.send_after(self(), :flush, @retry_ms)
    %{state | retrying: true}
  end

  ## Frames from Python
  #
  # The frequent messages are told by their first bytes. The frame goes on as it is to the caller,
  # who decodes it.

  for {kind, head} <- [
        response: <<0x94, 1>>,
        item: <<0x93, 2, 0xA6, "$/item", 0x92>>,
        progress: <<0x93, 2, 0xAA, "$/progress", 0x94>>
      ] do
    defp peek(<<unquote(head), 0::1, id::7, _::binary>>), do: {unquote(kind), id}
    defp peek(<<unquote(head), 0xCC, id, _::binary>>), do: {unquote(kind), id}
    defp peek(<<unquote(head), 0xCD, id::16, _::binary>>), do: {unquote(kind), id}
    defp peek(<<unquote(head), 0xCE, id::32, _::binary>>), do: {unquote(kind), id}
    defp peek(<<unquote(head), 0xCF, id::64, _::binary>>), do: {unquote(kind), id}
  end

  defp peek(frame) do
    case Msgpack.decode(frame) do
      {:ok, [1, id, _error, _result]} -> {:response, id}
      {:ok, [2, "$/item", [id, _item]]} -> {:item, id}
      {:ok, [2, "$/progress", [id, _done, _total, _text]]} -> {:progress, id}
      {:ok, message} -> {:other, message}
      {:error, error} -> {:broken, error.message}
    end
  end

  defp receive_frame({:response, id}, frame, state) do
    case state.calls do
      %{^id => %{outcome: nil} = call} ->
        hand_over(state, id, %{call | outcome: {:response, frame}})

      _over ->
        %{state | late_replies: state.late_replies + 1}
    end
  end

  defp receive_frame({kind, id}, frame, state) when kind in [:item, :progress] do
    case state.calls do
      %{^id => %{watch: ^kind, outcome: nil} = call} ->
        notes = if kind == :item, do: [frame | call.notes], else: [frame]
        hand_over(state, id, %{call | notes: notes})

      _unwanted ->
        state
    end
  end

  defp receive_frame({:other, [2, "$/log", [level, logger, text, fields, id]]}, _frame, state) do
    log(level, logger, text, fields, id)
    state
  end

  defp receive_frame({:other, [2, "$/error", [error]]}, _frame, state) do
    Logger.error("Python: " <> Exception.message(Error.from_wire(error)))
    state
  end

  defp receive_frame({:other, [2, "$/bye", [reason]]}, _frame, state) do
    Process.send_after(self(), {:overdue, reason}, @exit_ms)
    state
  end

  defp receive_frame({:other, [2, "$/" <> _unknown, _params]}, _frame, state), do: state

  defp receive_frame({:other, [0, id, method | _params]}, _frame, state) when is_integer(id) do
    message = "this client serves no requests, got #{inspect(method)}"
    error = %{code: :unimplemented, message: message}
    {number, state} = next_id(state)
    send_frame(state, number, Msgpack.encode!([1, id, error, nil]))
  end

  defp receive_frame({_kind, what}, _frame, state) do
    Logger.error("Python sent what is no message: #{inspect(what)}")
    state
  end

  defp log(level, logger, text, fields, id) do
    metadata = [python_logger: logger, python_fields: fields, call_id: id]
    Logger.log(Map.get(@level_of_text, level, :info), "#{logger}: #{text}", metadata)
  end

  ## Options

  defp settings!(opts) do
    check!(opts, @start_options)

    unless Keyword.has_key?(opts, :adapter) do
      raise ArgumentError, "the option :adapter is required, got: #{inspect(opts)}"
    end

    %{
      python: find_python!(opts[:python] || System.get_env("BRIDGE_PYTHON") || "python3"),
      port_options: port_options(opts),
      grace_ms: round(Keyword.get(opts, :grace, @default_grace_s) * 1000),
      start_timeout: Keyword.get(opts, :start_timeout, @default_start_timeout_ms)
    }
  end

  # The busy limits are what may wait in the port before it is busy; the 8 kB that are the default
  # would make every larger message wait for Python.
  defp port_options(opts) do
    [
      :binary,
      :exit_status,
      :hide,
      packet: 4,
      parallelism: true,
      busy_limits_port: {4_194_304, 8_388_608},
      busy_limits_msgq: :disabled,
      args: ["-m", "bridge" | flags(opts)] ++ Keyword.get(opts, :args, []),
      env: for({name, value} <- Keyword.get(opts, :env, []), do: variable(name, value))
    ] ++ Keyword.take(opts, [:cd])
  end

  defp flags(opts) do
    for key <- @flags, {:ok, value} <- [Keyword.fetch(opts, key)] do
      "--#{String.replace("#{key}", "_", "-")}=#{value}"
    end
  end

  defp variable(name, nil), do: {to_charlist(name), false}
  defp variable(name, value), do: {to_charlist(name), to_charlist(value)}

  defp find_python!(name) do
    path = if String.contains?(name, "/"), do: Path.expand(name), else: name

    System.find_executable(path) ||
      raise ArgumentError,
            "no Python interpreter at #{inspect(name)}; give its path or its name on the PATH " <>
              "in the option :python or in the environment variable BRIDGE_PYTHON"
  end

  defp check!(opts, known) do
    for {key, value} <- opts do
      unless key in known do
        raise ArgumentError, "unknown option #{inspect(key)}, known are: #{inspect(known)}"
      end

      {expected, valid?} = rule(key)

      unless valid?.(value) do
        raise ArgumentError, "expected #{inspect(key)} to be #{expected}, got: #{inspect(value)}"
      end
    end
  end

  # What an option must be: in words, and as a check.
  defp rule(key) when key in [:adapter, :app_dir, :python, :session] do
    {"text", &(is_binary(&1) and &1 != "")}
  end

  defp rule(key) when key in [:max_workers, :max_message_bytes] do
    {"a positive integer", &(is_integer(&1) and &1 > 0)}
  end

  defp rule(:max_queue), do: {"an integer, at least 0", &(is_integer(&1) and &1 >= 0)}
  defp rule(:grace), do: {"a number of seconds", &(is_number(&1) and &1 >= 0)}
  defp rule(:log_level), do: {"one of #{inspect(@log_levels)}", &(&1 in @log_levels)}

  defp rule(:args),
    do: {"a list of text", &(is_list(&1) and Enum.all?(&1, fn a -> is_binary(a) end))}

  defp rule(:env), do: {"a map or list of pairs of text, or nil as the value", &env?/1}
  defp rule(:cd), do: {"a directory", &(is_binary(&1) and File.dir?(&1))}
  defp rule(:start_timeout), do: {"a number of milliseconds", &(&1 in 0..@max_timeout_ms)}
  defp rule(:metadata), do: {"a map", &is_map/1}
  defp rule(:on_progress), do: {"a function of three arguments", &is_function(&1, 3)}
  defp rule(:credit), do: {"[items: n, bytes: m], both positive", &credit?/1}
  defp rule(key) when key in [:name, :tag], do: {"anything", fn _any -> true end}

  defp rule(:timeout) do
    {"a number of milliseconds or :infinity", &(&1 == :infinity or &1 in 0..@max_timeout_ms)}
  end

  defp env?(env) do
    (is_list(env) or is_map(env)) and
      Enum.all?(env, fn
        {name, value} -> is_binary(name) and (is_binary(value) or value == nil)
        _other -> false
      end)
  end

  defp credit?(credit) do
    Keyword.keyword?(credit) and
      Enum.all?(credit, fn {key, n} -> key in [:items, :bytes] and is_integer(n) and n > 0 end)
  end

  defp now, do: System.monotonic_time(:millisecond)
end
