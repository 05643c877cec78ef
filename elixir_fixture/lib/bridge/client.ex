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
      forgotten. A late answer is dropped and counted (see `Bridge.info/1`); since callers wait inside
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

  Applications call the functions of `Bridge`, which lead here.
  """

  # Where things are: `Options` checks the options. `Caller` is the caller's side: it encodes, waits
  # and decodes. `Connection` is the client's state, and what each event does to it; `Call` is one
  # call in flight, `Frame` what a frame is, `Outbox` the frames that wait. `Python` starts the Python
  # process and makes it go.

  use GenServer

  require Logger

  alias Bridge.{Caller, Connection, Error, Options, Python}

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
    GenServer.start_link(__MODULE__, Options.start!(opts), Keyword.take(opts, [:name]))
  end

  @doc "See `Bridge.child_spec/1`."
  @spec child_spec(keyword) :: Supervisor.child_spec()
  def child_spec(opts) do
    %{
      id: Keyword.get(opts, :name, __MODULE__),
      start: {__MODULE__, :start_link, [opts]},
      shutdown: Options.start!(opts).grace_ms + 2 * Python.exit_ms()
    }
  end

  @doc "See `Bridge.stop/3`."
  @spec stop(client, reason :: term, timeout) :: :ok
  def stop(client, reason \\ :normal, timeout \\ :infinity) do
    GenServer.stop(client, reason, timeout)
  end

  ## Calls

  @doc "See `Bridge.call/4`."
  @spec call(client, tool, args, keyword) :: {:ok, term} | {:error, Error.t()}
  def call(client, tool, args \\ [], opts \\ []) do
    Caller.call(client, tool, args, Options.call!(opts))
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
    open = fn -> Caller.open(client, tool, args, opts) end
    Stream.resource(open, &Caller.next_items/1, &Caller.close/1)
  end

  @doc "See `Bridge.cancel/2`."
  @spec cancel(client, tag :: term) :: :ok
  def cancel(client, tag), do: GenServer.cast(client, {:cancel, tag})

  ## Questions

  @doc "See `Bridge.tools/1`."
  @spec tools(client) :: {:ok, [map]} | {:error, Error.t()}
  def tools(client), do: call(client, "$/tools")

  @doc "See `Bridge.stats/1`."
  @spec stats(client) :: {:ok, map} | {:error, Error.t()}
  def stats(client), do: call(client, "$/stats")

  @doc "See `Bridge.health/1`."
  @spec health(client) :: {:ok, map} | {:error, Error.t()}
  def health(client), do: call(client, "$/health")

  @doc "See `Bridge.ping/2`."
  @spec ping(client, value) :: {:ok, value} | {:error, Error.t()} when value: term
  def ping(client, value \\ nil), do: call(client, "$/ping", [value])

  @doc "See `Bridge.info/1`."
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
