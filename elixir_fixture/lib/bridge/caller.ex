defmodule Bridge.Caller do
  @moduledoc false

  # The caller's side of a call: encodes the arguments, waits, and decodes the answer.
  #
  # All of it runs in the caller's own process, which keeps its own time: it waits at an alias of
  # itself until its deadline, whatever the client is doing. What is sent to the alias later is
  # dropped by the runtime. One request and its answers are in `Bridge.Caller.Exchange`; here is what is
  # made of them, and who is asked in a pool.

  alias Bridge.{Answer, Body, Claim, Error, Lookup, Places, Telemetry, Waiting, Within}
  alias Bridge.Caller.Exchange
  alias Bridge.Pool.{Attempts, Away, Questions}

  @typedoc "Where a stream is: what the client answered last, or that its items were all taken."
  @type stream ::
          {Exchange.answer(), Exchange.wait()}
          | {:more, Exchange.handle(), Exchange.wait()}
          | :ended

  @doc "Calls a tool with checked options, and waits for its result."
  @spec call(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) ::
          {:ok, term} | {:error, Error.t()}
  def call(client, tool, args, opts) do
    on_progress = opts[:on_progress]
    opts = Within.option(client, opts)

    with {:ok, body} <- Body.encode(tool, args, opts) do
      case Exchange.request(client, body, if(on_progress, do: :progress), opts) do
        {:pool, routes} ->
          {{result, _measured}, _process} = call_pool(routes, tool, body, opts)
          result

        outcome ->
          outcome |> last(on_progress) |> elem(0) |> Answer.result()
      end
    end
  end

  @doc """
  The same, with the bytes of the arguments and of the result, the microseconds in Python's queue, and
  the client of a pool that answered; nil where there were none, or nobody has told.
  """
  @spec measured_call(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) ::
          {{:ok, term} | {:error, Error.t()}, Telemetry.measured(), pid | nil}
  def measured_call(client, tool, args, opts) do
    on_progress = opts[:on_progress]
    opts = Within.option(client, opts)

    case Body.encode(tool, args, opts) do
      {:ok, body} ->
        bytes_out = Body.size(body)

        case Exchange.request(client, body, if(on_progress, do: :progress), opts) do
          {:pool, routes} ->
            {{result, received}, process} = call_pool(routes, tool, body, opts)
            {result, Telemetry.measured(bytes_out, received), process}

          outcome ->
            {result, received} = outcome |> last(on_progress) |> measured()
            {result, Telemetry.measured(bytes_out, received), nil}
        end

      error ->
        {error, Telemetry.measured(nil, nil), nil}
    end
  end

  # With how many bytes of the request were in shared memory.
  defp measured({answer, wait}) do
    case Answer.measured(answer) do
      {result, nil} ->
        {result, nil}

      {result, {bytes_in, queued_us, shared_in}} ->
        {result, {bytes_in, queued_us, shared_in, if(wait, do: wait.shared, else: 0)}}
    end
  end

  ## Pools

  defp call_pool(routes, tool, body, opts) do
    if Questions.for_all?(tool) do
      answer =
        Questions.ask(routes, tool, fn member ->
          member |> Exchange.request(body, nil, opts) |> elem(0) |> Answer.result()
        end)

      {{answer, nil}, nil}
    else
      on_progress = opts[:on_progress]
      watch = if on_progress, do: :progress

      Attempts.run(routes, tool, opts, fn place, left ->
        answer =
          holding(place, fn ->
            place
            |> ask_member(within_time(body, left, opts), watch, opts, left)
            |> last(on_progress)
          end)

        case measured(answer) do
          {{:error, error}, _measured} = measured -> {error, measured}
          measured -> {nil, measured}
        end
      end)
    end
  end

  # The client gives its place back. That of a process on another node is known on this one only.
  defp holding({_client, {:away, _, _, _} = where}, ask) do
    ask.()
  after
    Away.give_back(where)
  end

  defp holding(_place, ask), do: ask.()

  # What has begun is not opened again, so the error is that of the first answer, if that is one.
  defp open_pool(routes, tool, body, opts) do
    Attempts.run(routes, tool, opts, fn {_client, where} = place, left ->
      case ask_member(place, within_time(body, left, opts), items(opts), opts, left) do
        {{:notes, handle, frames}, wait} ->
          {nil, {{:notes, handle, frames}, %{wait | where: where}}}

        ended ->
          give_back(where)

          case Answer.result(elem(ended, 0)) do
            {:error, error} -> {error, {{:error, error}, nil}}
            {:ok, _value} -> {nil, ended}
          end
      end
    end)
  end

  defp within_time(body, left, opts) do
    if left == Keyword.fetch!(opts, :timeout), do: body, else: Body.shorten(body, left)
  end

  # The place in the pool is taken, which is less than there is in the client.
  defp ask_member({client, {:away, _, _, _}}, body, watch, opts, timeout),
    do: Exchange.run(client, client, nil, body, watch, timeout, opts, true)

  defp ask_member({client, {_counters, seat}}, body, watch, opts, timeout) do
    case Places.of(client) do
      nil ->
        {Waiting.down(client, :noproc, false), nil}

      places ->
        claim = Claim.new(Places.take_anyway(places), seat)
        Exchange.run(client, client, claim, body, watch, timeout, opts, true)
    end
  end

  @doc "Opens a stream with checked options. Waits for the first items, or for its end."
  @spec open(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) :: stream
  def open(client, tool, args, opts) do
    client |> measured_open(tool, args, opts) |> elem(0)
  end

  @doc "The same, and the client of a pool that serves it, else nil."
  @spec measured_open(Bridge.client(), Bridge.tool(), Bridge.args(), keyword) ::
          {stream, pid | nil}
  def measured_open(client, tool, args, opts) do
    opts = Within.option(client, opts)

    with {:ok, body} <- Body.encode(tool, args, opts) do
      case Exchange.request(client, body, items(opts), opts) do
        {:pool, routes} -> open_pool(routes, tool, body, opts)
        stream -> {stream, nil}
      end
    else
      error -> {{error, nil}, nil}
    end
  end

  # Without a window the credit is all there is.
  defp items(opts), do: if(opts[:window], do: {:item, opts[:window]}, else: :item)

  @doc """
  The next items of a stream, as `Stream.resource/3` wants them. Waits for one at least.

  Raises the error that ends the stream.
  """
  @spec next_items(stream) :: {[term], stream} | {:halt, stream}
  def next_items({{:notes, handle, frames}, wait}) do
    items = for message <- Answer.decode!(frames), do: item(message)
    {items, {:more, handle, wait}}
  end

  def next_items({:more, handle, wait}), do: {Exchange.await(handle, wait), wait} |> next_items()

  def next_items(outcome) do
    give_back(outcome)

    case Answer.result(elem(outcome, 0)) do
      {:ok, _return_value} -> {:halt, :ended}
      {:error, error} -> raise error
    end
  end

  defp item([_notification, _method, [_id, item]]), do: item

  @doc "Ends a stream, wherever it is."
  @spec close(stream) :: :ok
  def close({:more, handle, wait}), do: forget(handle, wait)
  def close({{:notes, handle, _frames}, wait}), do: forget(handle, wait)
  def close(_ended), do: :ok

  defp forget(handle, wait) do
    give_back({nil, wait})
    Exchange.forget(handle)
  end

  # A stream keeps its place on another node until its end.
  defp give_back({_answer, %{where: where}}), do: give_back(where)
  defp give_back({:away, _table, _key, _routes} = where), do: Away.give_back(where)
  defp give_back(_none), do: :ok

  @doc """
  Asks the client itself, and waits for its answer: `message` makes the message of an alias.

  A client that is not there, or does not answer in time, is an error too. `over` makes what it is told
  of a question that it would keep.
  """
  @spec ask(Bridge.client(), (reference -> term), timeout, (reference -> term) | nil) ::
          term | {:error, Error.t()}
  def ask(client, message, timeout, over \\ nil) do
    with {:ok, process} <- Lookup.find(client) do
      case Waiting.wait(process, message, timeout) do
        {:down, _alias, reason} ->
          Waiting.down(client, reason, nil)

        {:overdue, alias} ->
          if over, do: :erlang.send(process, over.(alias), [:nosuspend])
          Waiting.give_up(alias, nil)

        {answer, _alias} ->
          answer
      end
    end
  end

  ## The answer

  # Reports what comes before the end of a call.
  defp last({{:notes, handle, frames}, wait}, on_progress) do
    report(handle, frames, on_progress)
    last({Exchange.await(handle, wait), wait}, on_progress)
  end

  defp last(answer, _on_progress), do: answer

  defp report(handle, frames, on_progress) do
    for message <- Answer.decode!(frames) do
      [_notification, _method, [_id, done, total, text]] = message
      on_progress.(done, total, text)
    end
  catch
    kind, reason ->
      Exchange.forget(handle)
      :erlang.raise(kind, reason, __STACKTRACE__)
  end
end
