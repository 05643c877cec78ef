defmodule Bridge.Client do
  @moduledoc """
  A Python process and the calls that are in flight in it.

  The client is a `GenServer` that owns the port to `python -m bridge`. It takes the calls of any
  number of processes at once, and each is answered when Python does, in whatever order that is. It
  needs Erlang/OTP 24 or newer.

  ## Who does what

  The caller's own process encodes the arguments and decodes the result, so neither errors nor
  megabytes in them concern anybody else. It keeps its own time, too: it waits at an alias, and the
  runtime drops what comes later. So a `:timeout` holds whatever the client is doing, and nothing
  can turn up in a mailbox late. The client only moves frames:

    * A request has its deadline for Python as well, which says whether the tool began. One that
      ran out of time before it was written is never written: `started: false`.
    * When a caller dies, Python is told to cancel, and the call is forgotten.
    * When the Python process dies, every call in flight ends with `:unavailable`, what its tools
      had started is killed, and Python is started again: at once if it has served, otherwise after
      a pause that doubles up to 30 seconds. Calls wait for a start within their own timeouts, but
      not after one that failed: until another one succeeds they get `:unavailable` at once, with
      the reason. The client itself goes on, see the option `:on_failure`.
    * When the supervisor stops the client, Python gets `:grace` seconds to finish what runs. If
      it is still there a second later, it is killed together with its child processes.

  Every error is a `Bridge.Error`, also the one of a client that is not running. Its `started`
  field tells whether the tool may have begun. A process of another kind, a supervisor for example, is
  `:invalid_argument`. What cannot be right whatever runs raises `ArgumentError`: neither pid nor name where a
  client is asked for, neither text nor atom where a tool is, an option that is unknown or wrong.

  ## When Python does not read

  The client never waits for a full pipe. What cannot be written at once stays in an outbox, and
  calls in there time out and are cancelled like others, with `started: false`. No more than
  `:max_queue` wait in the client, for whatever reason.

  Applications call the functions of `Bridge`, which lead here.
  """

  # Where things are: `Options` checks the options, `Lookup` who is asked. `Caller` is the caller's side: it encodes, waits
  # and decodes. `Server` is the process: `Lifecycle` which Python there is, and when the next one
  # comes; `Python` starts it and makes it go, `Stderr` has its last words. `Connection` is the calls,
  # and what each event does to them; `Call` is one in flight, `Claim` whether it is Python's, `Places`
  # how many wait, `Frame` what a frame is, `Outbox` the frames that wait.

  alias Bridge.{Caller, Error, Lookup, Options, Python, Server, Telemetry}

  @typedoc "See `t:Bridge.client/0`."
  @type client :: Bridge.client()

  @typedoc "See `t:Bridge.tool/0`."
  @type tool :: Bridge.tool()

  @typedoc "See `t:Bridge.args/0`."
  @type args :: Bridge.args()

  ## Life

  @doc "See `Bridge.start_link/1`."
  @spec start_link(keyword) :: GenServer.on_start()
  def start_link(opts) do
    settings = Options.start!(opts)
    starter = make_ref()

    # Not GenServer.start_link: the client links itself, so that the exit of its parent is a message
    # like others, and it can drain as the server that it is.
    init = {settings, self(), starter}

    with {:ok, client} <- Server.Start.client(init, Keyword.take(opts, [:name])) do
      if settings.start == :sync,
        do: Server.Start.await_first(client, starter),
        else: {:ok, client}
    end
  end

  @doc "See `Bridge.child_spec/1`."
  @spec child_spec(keyword) :: Supervisor.child_spec()
  def child_spec(opts) do
    settings = Options.start!(opts)

    %{
      id: Keyword.get(opts, :name, __MODULE__),
      start: {__MODULE__, :start_link, [opts]},
      shutdown: settings.grace_ms + 2 * Python.exit_ms()
    }
  end

  @doc "See `Bridge.stop/3`."
  @spec stop(client, reason :: term, timeout) :: :ok
  def stop(client, reason \\ :normal, timeout \\ :infinity) do
    Options.timeout!(timeout)

    process =
      case Lookup.find(client) do
        {:ok, process} ->
          process

        {:error, %{code: :unavailable}} ->
          exit({:noproc, {__MODULE__, :stop, [client, reason, timeout]}})

        {:error, error} ->
          raise ArgumentError, error.message
      end

    monitor = Process.monitor(process)
    send(process, {:bridge_stop, reason})

    receive do
      {:DOWN, ^monitor, :process, _process, ^reason} ->
        :ok

      {:DOWN, ^monitor, :process, _process, other} ->
        exit({other, {__MODULE__, :stop, [client, reason, timeout]}})
    after
      timeout ->
        Process.demonitor(monitor, [:flush])
        exit({:timeout, {__MODULE__, :stop, [client, reason, timeout]}})
    end
  end

  @doc "See `Bridge.await_ready/2`."
  @spec await_ready(client, timeout) :: :ok | {:error, Error.t()}
  def await_ready(client, timeout \\ :infinity) do
    Options.timeout!(timeout)

    ask = &{:bridge_await_ready, &1, self()}

    case Caller.ask(client, ask, timeout, &{:bridge_await_over, &1}) do
      {:error, %Error{code: :deadline_exceeded} = error} ->
        {:error, %{error | message: "Python was not ready within #{timeout} ms"}}

      answer ->
        answer
    end
  end

  @doc "See `Bridge.status/1`."
  @spec status(client) :: {:ok, map} | {:error, Error.t()}
  def status(client), do: Caller.ask(client, &{:bridge_status, &1}, 5_000)

  @doc "See `Bridge.restart/1`."
  @spec restart(client) :: :ok
  def restart(client), do: Lookup.order(client, &send(&1, :bridge_restart))

  ## Calls

  @doc "See `Bridge.call/4`."
  @spec call(client, tool, args, keyword) :: {:ok, term} | {:error, Error.t()}
  def call(client, tool, args \\ [], opts \\ []) do
    opts = Options.call!(opts)
    Lookup.check!(client)
    Options.tool!(tool)

    if Telemetry.loaded?() do
      Telemetry.call(client, tool, fn -> Caller.measured_call(client, tool, args, opts) end)
    else
      Caller.call(client, tool, args, opts)
    end
  end

  @doc "See `Bridge.call!/4`."
  @spec call!(client, tool, args, keyword) :: term
  def call!(client, tool, args \\ [], opts \\ []) do
    case call(client, tool, args, opts) do
      {:ok, result} -> result
      {:error, error} -> raise error
    end
  end

  @doc "See `Bridge.stream/4`."
  @spec stream(client, tool, args, keyword) :: Enumerable.t()
  def stream(client, tool, args \\ [], opts \\ []) do
    opts = Options.stream!(opts)
    Lookup.check!(client)
    Options.tool!(tool)

    if Telemetry.loaded?() do
      open = fn -> Caller.measured_open(client, tool, args, opts) end
      Telemetry.stream(client, tool, open, &Caller.next_items/1, &Caller.close/1)
    else
      open = fn -> Caller.open(client, tool, args, opts) end
      Stream.resource(open, &Caller.next_items/1, &Caller.close/1)
    end
  end

  @doc "See `Bridge.cancel/2`."
  @spec cancel(client, tag :: term) :: :ok
  def cancel(client, tag), do: Lookup.order(client, &GenServer.cast(&1, {:cancel, tag}))

  ## Questions

  @doc "See `Bridge.tools/1`."
  @spec tools(client) :: {:ok, [map]} | {:error, Error.t()}
  def tools(client), do: call(client, "$/tools")

  @doc "See `Bridge.stats/1`."
  @spec stats(client) :: {:ok, map} | {:error, Error.t()}
  def stats(client), do: call(client, "$/stats")

  @doc "See `Bridge.stacks/1`."
  @spec stacks(client) :: {:ok, map} | {:error, Error.t()}
  def stacks(client), do: call(client, "$/stacks")

  @doc "See `Bridge.health/1`."
  @spec health(client) :: {:ok, map} | {:error, Error.t()}
  def health(client), do: call(client, "$/health")

  @doc "See `Bridge.ping/2`."
  @spec ping(client, value) :: {:ok, value} | {:error, Error.t()} when value: term
  def ping(client, value \\ nil), do: call(client, "$/ping", [value])

  @doc "See `Bridge.info/1`."
  @spec info(client) :: {:ok, map} | {:error, Error.t()}
  def info(client), do: Caller.ask(client, &{:bridge_info, &1}, 5_000)
end
