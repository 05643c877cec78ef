defmodule Bridge.Requests do
  @moduledoc false

  # What Python asks of a client: the functions that run for it, each in a process of its own.
  #
  # All functions but those of a runner run in the client's process, and return what is to be sent to
  # Python. A request is answered once, by whoever takes it out of `running`: its runner, a cancel, its
  # deadline, or the end of its runner. What a runner says later finds nothing there.

  alias Bridge.{Functions, Log, Runner, Runners}

  import Bridge.Runner, only: [error: 2, response: 3]

  defstruct [
    :table,
    :limit,
    :supervisor,
    :runners,
    decoders: %{},
    processes: %{},
    running: %{},
    watched: %{}
  ]

  @type id :: non_neg_integer

  @type t :: %__MODULE__{
          table: Functions.table(),
          limit: pos_integer,
          supervisor: pid | nil,
          runners: Runners.t() | nil,
          decoders: Bridge.Msgpack.Decoder.decoders(),
          processes: %{optional(String.t()) => GenServer.server()},
          running: %{optional(id) => {pid, watch}},
          watched: %{optional(watch) => id}
        }

  @typedoc "What the end of a runner is told by: its monitor, or the pid of one that is linked."
  @type watch :: reference | pid

  @typedoc "What is asked for: the function's name, and how many arguments it gets."
  @type head :: {name :: String.t(), arity}

  @typedoc "Messages for Python: iodata, each a frame."
  @type frames :: [iodata]

  @doc """
  Nothing runs. `runners` is where it is noted what runs, nil: nowhere.

  What will run is linked to the calling process, which traps exits: a supervisor between them costs as
  much as a short function. One that does not trap exits names a `Task.Supervisor`.
  """
  @spec new(Bridge.Options.settings(), Runners.t() | nil, supervisor :: pid | nil) :: t
  def new(settings, runners, supervisor \\ nil) do
    %__MODULE__{
      table: Functions.table(settings.functions),
      limit: settings.max_elixir_calls,
      supervisor: supervisor,
      runners: runners,
      decoders: settings.decoders,
      processes: settings.processes
    }
  end

  @doc "Python asks for something. The arguments are in the frame, which is not read here."
  @spec request(t, id, head, frame :: binary) :: {t, frames}
  def request(requests, id, head, frame) do
    with {:ok, function} <- find(requests, head),
         true <- map_size(requests.running) < requests.limit or :full do
      {start(requests, id, function, frame), []}
    else
      {:ok, result, :now} -> {requests, [response(id, nil, result)]}
      :full -> {requests, [response(id, full(requests.limit), nil)]}
      {:error, error} -> {requests, [response(id, error, nil)]}
    end
  end

  @doc "Python wants no answer any more: it gets one all the same."
  @spec cancel(t, term) :: {t, frames}
  def cancel(requests, id), do: finish(requests, id, :cancelled, "the tool waits no more")

  @doc "The time of a request is over."
  @spec overdue(t, id, pid) :: {t, frames}
  def overdue(requests, id, pid) do
    case requests.running do
      %{^id => {^pid, _watch}} ->
        finish(requests, id, :deadline_exceeded, "the function took longer than the tool waits")

      _over ->
        {requests, []}
    end
  end

  @doc "Python takes more items of a stream."
  @spec credit(t, term, term, term) :: :ok
  def credit(requests, id, items, bytes) do
    with %{^id => {pid, _watch}} <- requests.running, do: Runner.grant(pid, items, bytes)
    :ok
  end

  @doc "A runner has an item, or the answer."
  @spec answered(t, id, pid, :item | :answer, iodata) :: {t, frames}
  def answered(requests, id, pid, kind, frame) do
    case requests.running do
      %{^id => {^pid, _watch}} when kind == :item -> {requests, [frame]}
      %{^id => {^pid, _watch}} -> {remove(requests, id), [frame]}
      _over -> {requests, []}
    end
  end

  @doc "A runner has ended. One that has not answered was killed, or has exited elsewhere."
  @spec down(t, watch, reason :: term) :: {t, frames} | :unknown
  def down(requests, watch, reason) do
    case requests.watched do
      %{^watch => id} ->
        error = error(:internal, "it has exited: #{Exception.format_exit(reason)}")
        {remove(requests, id), [response(id, Map.put(error, :details, %{kind: :exit}), nil)]}

      _other ->
        :unknown
    end
  end

  @doc "Python is gone: nobody wants what runs for it."
  @spec reset(t) :: t
  def reset(requests) do
    for {_id, {pid, _watch}} <- requests.running, do: Runner.stop(pid)
    Enum.reduce(Map.keys(requests.running), requests, &remove(&2, &1))
  end

  @doc "Hands a message of a tool to a process that may be reached."
  @spec deliver(t, term, term) :: :ok | {:error, String.t()}
  def deliver(requests, name, message) do
    with {:ok, process} <- Map.fetch(requests.processes, name),
         found when found != nil <- GenServer.whereis(process) do
      send(found, {Bridge, name, message})
      :ok
    else
      :error ->
        {:error,
         "Python sent a message to #{Log.printable(name)}, which :processes does not name"}

      nil ->
        {:error, "Python sent a message to #{Log.printable(name)}, whose process is not there"}
    end
  end

  ## Parts

  defp find(requests, {"$/tools", _arity}) do
    offered =
      for {name, functions} <- Enum.group_by(requests.table, fn {{name, _}, _} -> name end) do
        {_key, {_function, doc}} = hd(functions)

        %{
          name: name,
          description: doc,
          arity: Enum.sort(for {{_, arity}, _} <- functions, do: arity)
        }
      end

    {:ok, Enum.sort_by(offered, & &1.name), :now}
  end

  defp find(requests, {name, arity}) do
    case requests.table do
      %{{^name, ^arity} => {function, _doc}} ->
        {:ok, function}

      table ->
        arities = for {{^name, arity}, _function} <- table, do: arity
        {:error, unknown(name, arity, arities, table)}
    end
  end

  defp unknown(name, arity, [], table) do
    names = table |> Map.keys() |> Enum.map(&elem(&1, 0)) |> Enum.uniq() |> Enum.sort()
    offered = if names == [], do: "no functions", else: Enum.join(Enum.take(names, 20), ", ")

    error(
      :not_found,
      "there is no function #{Log.printable(name)}/#{arity}; there are #{offered}"
    )
  end

  defp unknown(name, arity, arities, _table) do
    takes = arities |> Enum.sort() |> Enum.join(" or ")
    error(:invalid_argument, "#{name} takes #{takes} arguments, and not #{arity}")
  end

  defp full(limit) do
    error(:resource_exhausted, "#{limit} functions run for Python already (:max_elixir_calls)")
  end

  defp start(requests, id, function, frame) do
    pid =
      Runner.start(requests.supervisor, %{
        client: self(),
        runners: requests.runners,
        id: id,
        function: function,
        frame: frame,
        decoders: requests.decoders,
        arrived: System.monotonic_time(:millisecond)
      })

    watch = if requests.supervisor, do: Process.monitor(pid), else: pid
    Runners.add(requests.runners, pid)
    Runner.begin(pid)

    %{
      requests
      | running: Map.put(requests.running, id, {pid, watch}),
        watched: Map.put(requests.watched, watch, id)
    }
  end

  defp finish(requests, id, code, message) do
    case requests.running do
      %{^id => {pid, _watch}} ->
        Runner.stop(pid)
        {remove(requests, id), [response(id, error(code, message), nil)]}

      _over ->
        {requests, []}
    end
  end

  defp remove(requests, id) do
    {{pid, watch}, running} = Map.pop!(requests.running, id)
    # not in a client, which has no supervisor here: it would look through all its messages
    if is_reference(watch), do: Process.demonitor(watch, [:flush])
    Runners.remove(requests.runners, pid)
    %{requests | running: running, watched: Map.delete(requests.watched, watch)}
  end
end
