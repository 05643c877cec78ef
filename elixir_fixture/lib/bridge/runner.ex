defmodule Bridge.Runner do
  @moduledoc false

  # The process in which a function runs for Python. It decodes the arguments and encodes the result, as
  # callers do for theirs: however large they are, the client only moves frames.
  #
  # What it has to say it sends to the client, as `{:bridge_function, id, pid, kind, frame}`: items of a
  # stream, and one answer. The time of a request is told with its options, behind the arguments, so it is
  # the runner that asks for the message which ends it: `{:bridge_function_overdue, id, pid}`.

  alias Bridge.{Error, Log, Msgpack, Runners}

  @key :"$bridge_within"

  # How long a function that traps exits may take to end.
  @stop_ms 1_000

  @typedoc "What to run: `arrived` is when the request came, in the runtime's milliseconds."
  @type work :: %{
          client: pid,
          runners: Runners.t() | nil,
          id: non_neg_integer,
          function: function,
          frame: binary,
          decoders: Msgpack.Decoder.decoders(),
          arrived: integer
        }

  @doc """
  Starts a process that runs a function, once `begin/1` says so. Without a supervisor it is linked to the
  calling process.
  """
  @spec start(supervisor :: pid | nil, work) :: pid
  def start(nil, work), do: :proc_lib.spawn_link(__MODULE__, :run, [work])

  def start(supervisor, work) do
    {:ok, pid} = Task.Supervisor.start_child(supervisor, __MODULE__, :run, [work])
    pid
  end

  @doc "Its end would be noticed now."
  @spec begin(pid) :: term
  def begin(pid), do: send(pid, {@key, :begin})

  @doc "Nobody waits for it: it ends at once, or a second later if it traps exits."
  @spec stop(pid) :: true | pid
  def stop(pid) do
    Process.exit(pid, :shutdown)
    # none of the client's, which may be about to end
    spawn(fn ->
      monitor = Process.monitor(pid)

      receive do
        {:DOWN, ^monitor, :process, _pid, _reason} -> true
      after
        @stop_ms -> Process.exit(pid, :kill)
      end
    end)
  end

  @doc "Python takes so many more items, and bytes of them."
  @spec grant(pid, items :: term, bytes :: term) :: term
  def grant(pid, items, bytes), do: send(pid, {@key, items, bytes})

  @doc "The call for which the calling process works: a runner, or the task of one; nil: for none."
  @spec within(client :: GenServer.server() | nil) :: Runners.within() | nil
  def within(client \\ nil) do
    with nil <- Process.get(@key),
         do:
           if(client && Process.get(:"$callers"),
             do: client |> GenServer.whereis() |> Runners.within()
           )
  end

  @doc false
  @spec run(work) :: term
  def run(work) do
    receive do: ({@key, :begin} -> :ok)
    # as in a task
    Process.get(:"$callers") || Process.put(:"$callers", [work.client])
    say = &send(work.client, {:bridge_function, work.id, self(), &1, &2})

    case Msgpack.decode(work.frame, work.decoders) do
      {:ok, [_request, _id, _method, params | options]} ->
        options = with [map] when is_map(map) <- options, do: map, else: (_none -> %{})
        timer = limit(options, work)
        note_within(options, work)
        say.(:answer, answer(work, params, credit(options), say))
        timer && Process.cancel_timer(timer, async: true, info: false)

      {:ok, _other} ->
        say.(:answer, response(work.id, error(:invalid_argument, "no request"), nil))

      # of a decoder
      {:error, %{code: :internal} = error} ->
        say.(:answer, response(work.id, error(:invalid_argument, error.message), nil))

      {:error, error} ->
        text = "the request is #{error.message}"
        say.(:answer, response(work.id, error(:invalid_argument, text), nil))
    end
  end

  ## Options

  defp limit(%{"timeout_ms" => ms}, work) when is_number(ms) and ms < 0xFFFF_FFFF do
    gone = System.monotonic_time(:millisecond) - work.arrived
    overdue = {:bridge_function_overdue, work.id, self()}
    Process.send_after(work.client, overdue, max(0, ceil(ms) - gone))
  end

  defp limit(_for_ever, _work), do: nil

  defp note_within(%{"within" => outer}, work) do
    within = {work.client, outer}
    Process.put(@key, within)
    Runners.note(work.runners, within)
  end

  defp note_within(_none, _work), do: nil

  defp credit(%{"stream" => %{"items" => items, "bytes" => bytes}}), do: {items, bytes}
  defp credit(_none), do: nil

  ## The function

  defp answer(%{id: id} = work, params, credit, say) do
    result = apply(work.function, if(is_list(params), do: params, else: [params]))

    if credit do
      stream(result, id, credit, say)
      response(id, nil, nil)
    else
      [<<0x94, 1>>, Msgpack.encode!(id), 0xC0, encode(result, "the result")]
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
      frame = [<<0x93, 2, 0xA6, "$/item", 0x92>>, Msgpack.encode!(id), encode(item, "an item")]
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

  ## What it says

  @doc "An answer, as a frame."
  @spec response(id :: non_neg_integer, error :: map | nil, result :: term) :: iodata
  def response(id, error, result), do: Msgpack.encode!([1, id, error, result])

  @doc "An error, as it is written."
  @spec error(code :: atom, String.t()) :: map
  def error(code, message), do: %{code: code, message: message}

  defp encode(value, what) do
    case Msgpack.encode(value, what) do
      {:ok, iodata} -> iodata
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
