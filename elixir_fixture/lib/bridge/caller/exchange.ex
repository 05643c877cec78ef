defmodule Bridge.Caller.Exchange do
  @moduledoc false

  # One request of a caller, and what a client answers.
  #
  # That is `{:response, frame}`, `{:error, error}`, or, when items or progress came first,
  # `{:notes, handle, frames}`. The handle is what to ask with for more.

  alias Bridge.{Admission, Answer, Body, Call, Claim, Connection, Error, Frame, Lookup, Places}
  alias Bridge.Pool.Routes
  alias Bridge.SharedMemory.Writer
  alias Bridge.Waiting

  @typedoc "The process, not the client's name: its successor would not know the call."
  @type handle :: {pid, Connection.id()}

  @type answer ::
          {:notes, handle, Answer.received([Frame.t()])}
          | {:response, Answer.received(Frame.t())}
          | {:error, Error.t()}

  # A call that goes on: `key` is the alias at which it was asked for, `until` the deadline, `pooled`
  # whether another process might have answered it, had it not begun, `where` its place in the pool,
  # `shared` how many bytes of the request were in shared memory.
  @type wait :: %{
          key: reference,
          until: integer | :infinity,
          pooled: boolean,
          where: term,
          watch: watch,
          shared: non_neg_integer
        }

  @typedoc "What the caller wants to see before the end."
  @type watch :: Call.watch() | {:item, window :: pos_integer}

  @doc """
  Makes a request of a client, by its name too, and waits for the first answer. Of a pool the answer is where
  its processes are.
  """
  @spec request(Bridge.client(), Body.t(), watch, keyword) ::
          {answer, wait | nil} | {:pool, Routes.t()}
  def request(client, body, watch, opts) do
    timeout = Keyword.fetch!(opts, :timeout)

    with {:ok, process} <- Lookup.whereis(client),
         {:ok, claim} <- enter(process, timeout) do
      run(client, process, claim, body, watch, timeout, opts, false)
    else
      {:pool, routes} -> {:pool, routes}
      error -> {error, nil}
    end
  end

  @doc """
  Makes a request of a process, and waits for the first answer. `client` is what it is called in an error, `claim`
  nil where it is on another node, `pooled` whether the place in a pool is taken.
  """
  @spec run(
          Bridge.client(),
          Waiting.process(),
          Claim.t() | nil,
          Body.t(),
          watch,
          timeout,
          keyword,
          pooled :: boolean
        ) :: {answer, wait | nil}
  def run(client, process, claim, body, watch, timeout, opts, pooled) do
    # only who asks again has to know when it began
    until = if watch, do: Waiting.deadline(timeout)
    kind = if pooled and claim != nil, do: :bridge_pooled, else: :bridge_request
    tag = Keyword.fetch(opts, :tag)
    {body, timeout} = sendable(process, claim, body, timeout)
    shared = with({:lent, {_number, _offset, size}, _lent, _inline} <- body, do: size)
    shared = if is_integer(shared), do: shared, else: 0
    message = &{kind, &1, self(), claim, body, watch, tag}

    case Waiting.wait(process, message, timeout) do
      {:overdue, key} ->
        {process |> Waiting.expire(key, key, claim) |> Waiting.late(watch), nil}

      {:down, _key, reason} ->
        {Waiting.down(client, reason, Waiting.began?(claim)), nil}

      # a pool on another node
      {{:redirect, there}, _key} ->
        run(there, there, nil, body, watch, timeout, opts, false)

      {answer, key} ->
        {answer,
         %{key: key, until: until, pooled: pooled, where: nil, watch: watch, shared: shared}}
    end
  end

  # What nearly all requests are is sent as it is. To another node there is only the pipe.
  defp sendable(process, claim, body, timeout) when is_tuple(body) do
    if claim,
      do: Writer.lend(process, body, timeout),
      else: {Body.inline(body), timeout}
  end

  defp sendable(_process, _claim, body, timeout), do: {body, timeout}

  @doc "Waits for what comes next of a call. There is a handle only when the tool has begun."
  @spec await(handle, wait) :: answer
  def await({pid, id}, wait) do
    answer =
      case Waiting.wait(pid, &{:bridge_await, &1, id}, Waiting.remaining(wait.until)) do
        {:overdue, alias} ->
          pid |> Waiting.expire(wait.key, alias, nil) |> Waiting.late(wait.watch)

        {:down, _alias, reason} ->
          Waiting.down(pid, reason, true)

        {answer, _alias} ->
          answer
      end

    with {:error, error} <- answer, do: {:error, begun(%{error | started: true}, wait)}
  end

  # Whoever has a pool may expect that another process goes on.
  defp begun(%{code: :unavailable} = error, %{pooled: true}),
    do: %{error | message: "it had begun, so no other process goes on with it: " <> error.message}

  defp begun(error, _wait), do: error

  @doc "Nobody wants more of a call."
  @spec forget(handle) :: :ok
  def forget({pid, id}) do
    send(pid, {:bridge_forget, id})
    :ok
  end

  # A place in the client. On another node the client looks for itself.
  defp enter(process, timeout) when is_pid(process) and node(process) == node() do
    case Places.of(process) do
      %Routes{} = routes -> {:pool, routes}
      # it has not begun to serve yet, or has ended
      nil -> with :ok <- Lookup.check_kind(process), do: {:ok, nil}
      places -> take_place(places, timeout)
    end
  end

  defp enter(_elsewhere, _timeout), do: {:ok, nil}

  defp take_place(places, timeout) do
    case Places.take(places, timeout) do
      {:ok, period} -> {:ok, Claim.new(period)}
      {:full, limit} -> {:error, Admission.full(limit)}
    end
  end
end
