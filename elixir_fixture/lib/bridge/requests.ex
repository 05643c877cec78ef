defmodule Bridge.Requests do
  @moduledoc false

  # What Python asks of a client: the functions that run for it, each in a process of its own.
  #
  # All functions but those of a runner run in the client's process, and return what is to be sent to
  # Python. A request is answered once, by whoever takes it out of `running`: its runner, a cancel, its
  # deadline, or the end of its runner. What a runner says later finds nothing there.

  alias Bridge.{Error, Functions, Log, Msgpack}

  @key :"$bridge_within"

  defstruct [:table, :limit, :supervisor, processes: %{}, running: %{}, monitors: %{}]

  @type id :: non_neg_integer

  @type t :: %__MODULE__{
          table: Functions.table(),
          limit: pos_integer,
          supervisor: pid | nil,
          processes: %{optional(String.t()) => GenServer.server()},
          running: %{optional(id) => {pid, reference, reference | nil}},
          monitors: %{optional(reference) => id}
        }

  @typedoc "Messages for Python: iodata, each a frame."
  @type frames :: [iodata]

  @doc "Nothing runs. The calling process gets the supervisor of what will, if anything is offered."
  @spec new(Bridge.Options.settings()) :: t
  def new(settings) do
    table = Functions.table(settings.functions)

    supervisor =
      if table != %{} do
        {:ok, supervisor} = Task.Supervisor.start_link()
        supervisor
      end

    %__MODULE__{
      table: table,
      limit: settings.max_elixir_calls,
      supervisor: supervisor,
      processes: settings.processes
    }
  end

  @doc "The call of Python, of which client, for which this process works; nil: for none."
  @spec within() :: {client :: pid, id} | nil
  def within, do: Process.get(@key)

  @doc "Python asks for something."
  @spec request(t, [term]) :: {t, frames}
  def request(requests, [id, method, params | options]) do
    options = with [map] when is_map(map) <- options, do: map, else: (_none -> %{})

    with true <- is_binary(method) and (is_list(params) or is_map(params)),
         {:ok, function} <- find(requests, method, params),
         true <- map_size(requests.running) < requests.limit or :full do
      {start(requests, id, function, params, options), []}
    else
      {:ok, result, :now} -> {requests, [response(id, nil, result)]}
      :full -> {requests, [response(id, full(requests.limit), nil)]}
      {:error, error} -> {requests, [response(id, error, nil)]}
      false -> {requests, [response(id, error(:invalid_argument, "no request"), nil)]}
    end
  end

  @doc "Python wants no answer any more: it gets one all the same."
  @spec cancel(t, term) :: {t, frames}
  def cancel(requests, id), do: finish(requests, id, :cancelled, "the tool waits no more")

  @doc "The time of a request is over."
  @spec overdue(t, id, reference) :: {t, frames}
  def overdue(requests, id, monitor) do
    case requests.running do
      %{^id => {_pid, ^monitor, _timer}} ->
        finish(requests, id, :deadline_exceeded, "the function took longer than the tool waits")

      _over ->
        {requests, []}
    end
  end

  @doc "Python takes more items of a stream."
  @spec credit(t, term, term, term) :: :ok
  def credit(requests, id, items, bytes) do
    with %{^id => {pid, _monitor, _timer}} <- requests.running,
         do: send(pid, {@key, items, bytes})

    :ok
  end

  @doc "A runner has an item, or the answer."
  @spec answered(t, id, pid, :item | :answer, iodata) :: {t, frames}
  def answered(requests, id, pid, kind, frame) do
    case requests.running do
      %{^id => {^pid, _monitor, _timer}} when kind == :item -> {requests, [frame]}
      %{^id => {^pid, _monitor, _timer}} -> {remove(requests, id), [frame]}
      _over -> {requests, []}
    end
  end

  @doc "A runner has ended. One that has not answered was killed, or has exited elsewhere."
  @spec down(t, reference, reason :: term) :: {t, frames} | :unknown
  def down(requests, monitor, reason) do
    case requests.monitors do
      %{^monitor => id} ->
        error = error(:internal, "it has exited: #{Exception.format_exit(reason)}")
        {remove(requests, id), [response(id, Map.put(error, :details, %{kind: :exit}), nil)]}

      _other ->
        :unknown
    end
  end

  @doc "Python is gone: nobody wants what runs for it."
  @spec reset(t) :: t
  def reset(requests) do
    for {_id, {pid, _monitor, _timer}} <- requests.running, do: Process.exit(pid, :shutdown)
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

  defp find(requests, "$/tools", _params) do
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

  defp find(requests, name, params) do
    arity = if is_list(params), do: length(params), else: 1

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

  defp error(code, message), do: %{code: code, message: message}

  defp response(id, error, result), do: Msgpack.encode!([1, id, error, result])

  defp start(requests, id, function, params, options) do
    client = self()
    within = with %{"within" => outer} <- options, do: {client, outer}, else: (_none -> nil)

    credit =
      with %{"stream" => %{"items" => n, "bytes" => m}} <- options, do: {n, m}, else: (_ -> nil)

    {:ok, pid} =
      Task.Supervisor.start_child(requests.supervisor, fn ->
        # not before its end would be noticed
        receive do: ({@key, :begin} -> :ok)
        Process.put(@key, within)
        say = &send(client, {:bridge_function, id, self(), &1, &2})
        say.(:answer, run(id, function, params, credit, say))
      end)

    monitor = Process.monitor(pid)
    send(pid, {@key, :begin})

    timer =
      with %{"timeout_ms" => ms} when is_number(ms) and ms < 0xFFFF_FFFF <- options do
        Process.send_after(client, {:bridge_function_overdue, id, monitor}, ceil(ms))
      else
        _for_ever -> nil
      end

    %{
      requests
      | running: Map.put(requests.running, id, {pid, monitor, timer}),
        monitors: Map.put(requests.monitors, monitor, id)
    }
  end

  defp finish(requests, id, code, message) do
    case requests.running do
      %{^id => {pid, _monitor, _timer}} ->
        Process.exit(pid, :shutdown)
        {remove(requests, id), [response(id, error(code, message), nil)]}

      _over ->
        {requests, []}
    end
  end

  defp remove(requests, id) do
    {{_pid, monitor, timer}, running} = Map.pop!(requests.running, id)
    Process.demonitor(monitor, [:flush])
    if timer, do: Process.cancel_timer(timer)
    %{requests | running: running, monitors: Map.delete(requests.monitors, monitor)}
  end

  ## In the runner's process

  defp run(id, function, params, credit, say) do
    result = apply(function, if(is_list(params), do: params, else: [params]))

    if credit do
      stream(result, id, credit, say)
      response(id, nil, nil)
    else
      encode([1, id, nil, result], "the result")
    end
  catch
    kind, reason -> response(id, failure(kind, reason, __STACKTRACE__), nil)
  end

  # A map could be enumerated as well, but is one value; so is whatever is no enumerable at all.
  defp stream(items, id, credit, say)
       when is_list(items) or is_function(items, 2) or is_struct(items) do
    if Enumerable.impl_for(items),
      do: each(items, id, credit, say),
      else: each([items], id, credit, say)
  end

  defp stream(item, id, credit, say), do: each([item], id, credit, say)

  defp each(items, id, credit, say) do
    Enum.reduce(items, credit, fn item, credit ->
      {n, m} = await_credit(credit)
      frame = encode([2, "$/item", [id, item]], "an item")
      say.(:item, frame)
      {n - 1, m - :erlang.iolist_size(frame)}
    end)
  end

  defp await_credit({n, m}) when n > 0 and m > 0, do: {n, m}

  defp await_credit({n, m}) do
    receive do
      {@key, items, bytes} -> await_credit({n + items, m + bytes})
    end
  end

  defp encode(message, what) do
    case Msgpack.encode(message, what) do
      {:ok, frame} -> frame
      {:error, error} -> throw({@key, error})
    end
  end

  defp failure(:throw, {@key, %Error{} = error}, _stack), do: error(:internal, error.message)

  defp failure(kind, reason, stack) do
    reason = if kind == :error, do: Exception.normalize(:error, reason, stack), else: reason

    %{
      code: :internal,
      message: Log.printable(banner(kind, reason)),
      type: if(kind == :error, do: inspect(reason.__struct__)),
      traceback: stack |> Exception.format_stacktrace() |> String.split("\n", trim: true),
      details: %{kind: kind}
    }
  end

  defp banner(:error, exception), do: Exception.message(exception)
  defp banner(:exit, reason), do: Exception.format_exit(reason)
  defp banner(:throw, value), do: "threw #{inspect(value, limit: 50)}"
end
