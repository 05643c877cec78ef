defmodule Bridge.Pool do
  @moduledoc ~S'''
  Several Python processes behind one name, for when one is not enough.

      children = [
        {Bridge.Pool, adapter: "my_app.tools:Tools", app_dir: "python", name: MyApp.Python, processes: 4}
      ]

  Every function of `Bridge` takes a pool where it takes a client, so no call changes:

      {:ok, 3} = Bridge.call(MyApp.Python, "add", [1, 2])
      MyApp.Python |> Bridge.stream("primes", [1_000]) |> Enum.take(3)

  When one process is enough, `Bridge` is simpler. A pool is for tools whose Python code computes (one
  interpreter runs on one core at a time), for tools that crash or leak, and for restarts that nobody notices.
  `docs/pool.md` has figures for which `:profile` when.

  ## Where a call goes

  The calling process itself chooses the process with the fewest calls, and reserves a place there. When
  all are full, that is when each has `:max_workers` and `:backlog` calls, it stands in line: first come,
  first served, within the call's own `:timeout`. Python's deadline is what is left of that. When
  `:max_waiting` calls stand there, one more is answered `:resource_exhausted` at once.

  A call with a `:session` goes to the process of that session, see `:affinity`. Sessions are spread by
  rendezvous hashing over the numbers of the processes: while a process is away, or after `resize/2`, only its own
  sessions move. A process that takes the place of another has its number, and its sessions.

  ## Replacing processes

  A process is replaced when `:recycle` says so, when all its workers are held by calls that nobody awaits any more,
  by `recycle/2`, by `rolling_restart/1`, and by `Bridge.restart/1`, which does the same and returns at once. The new process is ready before the old
  one gets no more calls; the old one ends the calls and streams that it has, for at most `:drain` seconds. A new
  one that does not start is an error in the log; the old one stays.

  A Python that dies is started again by its client, as without a pool, while the other processes serve.

  ## What is tried again

  A call whose process is lost is tried in another one if that repeats no work: if the tool never began
  (`started: false`), or if it is declared `@tool(idempotent=True)`; such a tool is tried three times at most.
  Every other call, and a stream whose first item has come, ends with `:unavailable` and `started: true`.

  ## Questions

  `Bridge.stats/1`, `Bridge.health/1` and `Bridge.stacks/1` ask all processes: numbers are added up, and
  `"processes"` has the answer of each, with its `"slot"`. `Bridge.tools/1` and `Bridge.ping/2` ask one.
  `Bridge.cancel/2` reaches all, and the line. `Bridge.status/1` is `:ready` and `Bridge.await_ready/2` returns as soon as one
  process serves.
  '''

  alias Bridge.{Caller, Error, Options}
  alias Bridge.Pool.Keeper

  @typedoc "A running pool: its pid or name."
  @type pool :: GenServer.server()

  @doc """
  The specification of a pool under a supervisor: `{Bridge.Pool, opts}`. See `Bridge.child_spec/1`.

      iex> spec = Bridge.Pool.child_spec(adapter: "my_app.tools:Tools", name: MyApp.Python, grace: 3)
      iex> {spec.id, spec.shutdown}
      {MyApp.Python, 6000}

  """
  @spec child_spec(keyword) :: Supervisor.child_spec()
  def child_spec(opts) do
    settings = Bridge.Pool.Options.settings!(opts)

    %{
      id: Keyword.get(opts, :name, __MODULE__),
      start: {__MODULE__, :start_link, [opts]},
      # the clients have theirs, and the pool waits for them
      shutdown: settings.stop_ms + 1_000
    }
  end

  @doc """
  Starts a pool, and returns when all its processes are ready.

  ## Options

  #{Options.docs(:pool)}

  All options of `Bridge.start_link/1` are for each of the processes, but for `:name`, which is the pool's, `:start`, which
  is for the pool as a whole, and `:on_failure`, which a pool does not take.

  ## Returns

  `{:ok, pid}`, or with `start: :sync` `{:error, %Bridge.Error{}}` if a process does not start; nothing of the pool is left
  then. Raises `ArgumentError` for an option that is unknown, missing or wrong, before any process exists.

  ## Examples

      {:ok, pool} = Bridge.Pool.start_link(adapter: "my_app.tools:Tools", app_dir: "python", processes: 2)

      iex> Bridge.Pool.start_link(adapter: "my_app.tools:Tools", recycle: [max_age: :day])
      ** (ArgumentError) expected :recycle to be [max_age: seconds, max_calls: n, max_rss: bytes, max_abandoned: n], all positive, got: [max_age: :day]

  """
  @spec start_link(keyword) :: GenServer.on_start()
  def start_link(opts) do
    settings = Bridge.Pool.Options.settings!(opts)
    starter = make_ref()

    # as a client does, so that the exit of its parent is a message like others
    with {:ok, pool} <-
           GenServer.start(Keeper, {settings, self(), starter}, Keyword.take(opts, [:name])) do
      if settings.start == :sync,
        do: Bridge.Server.Start.await_first(pool, starter),
        else: {:ok, pool}
    end
  end

  @doc """
  What the pool knows of its processes, without asking them: a map with these keys.

    * `:size` - how many processes there are to be
    * `:processes` - a map for each that there is: its `:slot`, which is its number, `:client`, `:state` (`:starting`,
      `:ready`, `:blocked`, `:waiting` for the next try, `:draining`), `:os_pid`, `:calls` in flight, `:served` calls, `:age_ms`,
      `:rss_bytes` and `:abandoned` tools as of the last look, and `:reason`, the last failure
    * `:waiting` - how many calls stand in line
    * `:recycled` and `:died` - how many processes were replaced, and how many were lost

  An error is that the pool is not running.

      iex> {:ok, info} = Bridge.Pool.info(MyApp.Pool)
      iex> for process <- info.processes, do: {process.slot, process.state}
      [{0, :ready}, {1, :ready}]

  """
  @spec info(pool) :: {:ok, map} | {:error, Error.t()}
  def info(pool), do: order(pool, :info, 5_000)

  @doc """
  Replaces the process with this number, and returns when the new one serves; the old one may still end its
  calls. An error is that the new one does not start, and the old one stays.

      iex> Bridge.Pool.recycle(MyApp.Pool, 0)
      :ok

      iex> {:error, error} = Bridge.Pool.recycle(MyApp.Pool, 2)
      iex> error.code
      :not_found

  """
  @spec recycle(pool, slot :: non_neg_integer) :: :ok | {:error, Error.t()}
  def recycle(pool, slot), do: order(pool, {:recycle, slot}, :infinity)

  @doc """
  Replaces all processes, one after the other, and returns when the last old one has ended. At the first new one that does not
  start it returns the error; this one and the following stay as they are.
  """
  @spec rolling_restart(pool) :: :ok | {:error, Error.t()}
  def rolling_restart(pool), do: order(pool, :rolling_restart, :infinity)

  @doc """
  Changes how many processes there are, and returns when it is so: when the new ones serve, or those that are too
  many have ended. An error is that a new one does not start; the pool is as large as before then.

  New processes have as many threads for BLAS and the like as the others, see `:threads_per_process`.
  """
  @spec resize(pool, processes :: pos_integer) :: :ok | {:error, Error.t()}
  def resize(pool, processes) when is_integer(processes) and processes > 0,
    do: order(pool, {:resize, processes}, :infinity)

  def resize(_pool, processes) do
    raise ArgumentError,
          "expected an integer, at least 1, for processes, got: #{inspect(processes)}"
  end

  defp order(pool, order, timeout), do: Caller.ask(pool, &{:bridge_pool, &1, order}, timeout)
end
