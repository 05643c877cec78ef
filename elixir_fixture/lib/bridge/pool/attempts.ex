defmodule Bridge.Pool.Attempts do
  @moduledoc false

  # A call of a pool, in the process that calls: finds a process that has a place, asks it, and asks another
  # one where that repeats no work.
  #
  # It is asked again if the answer is `:unavailable` and either the tool never began, or the tool is
  # declared idempotent. What waited or failed before shortens the time of the next attempt, for Python
  # as well.

  alias Bridge.{Error, Waiting}
  alias Bridge.Pool.{Line, Routes}

  # How often a call is tried that never began, and how often one that may have.
  @tries 10
  @repeats 2

  # Before the third attempt and each later one a pause, for a process that answers so at once.
  @pause_ms 5

  @typedoc """
  Asks a client, in which it has a place, within so many milliseconds. The error, nil if there is none or if it comes too late
  for another attempt, and what `run/4` returns if it is the last.
  """
  @type attempt(value) :: (Routes.place(), timeout -> {Error.t() | nil, value})

  @doc """
  Makes attempts until one counts. Returns its value, and the client; or the error that there was no
  place, in the same form as the value, and nil.
  """
  @spec run(Routes.t(), Bridge.tool(), keyword, attempt(value)) ::
          {value | {{:error, Error.t()}, nil}, pid | nil}
        when value: term
  def run(routes, tool, opts, attempt) do
    timeout = Keyword.fetch!(opts, :timeout)

    call = %{
      routes: routes,
      tool: tool,
      session: opts[:session],
      tag: Keyword.fetch(opts, :tag),
      within: opts[:within],
      until: Waiting.deadline(timeout)
    }

    run(call, timeout, attempt, @tries, @repeats)
  end

  defp run(call, timeout, attempt, tries, repeats) do
    case place(call, timeout) do
      {:ok, {client, _where} = place, left} ->
        case attempt.(place, left) do
          {%Error{code: :unavailable} = error, value} ->
            again(call, error, {value, client}, attempt, tries, repeats)

          {_error, value} ->
            {value, client}
        end

      {:error, error} ->
        {{{:error, error}, nil}, nil}
    end
  end

  # What is made on behalf of a call of Python goes to that process alone.
  defp again(%{within: within}, _error, last, _attempt, _tries, _repeats) when within != nil,
    do: last

  defp again(call, error, last, attempt, tries, repeats) do
    left = Waiting.remaining(call.until)

    cond do
      left == 0 ->
        last

      error.started == false and tries > 0 ->
        if tries < @tries, do: Process.sleep(min(@pause_ms * (@tries - tries), div_of(left)))
        run(call, Waiting.remaining(call.until), attempt, tries - 1, repeats)

      error.started != false and repeats > 0 and idempotent?(call) ->
        run(call, left, attempt, tries, repeats - 1)

      true ->
        last
    end
  end

  defp idempotent?(call) do
    Routes.idempotent?(call.routes, call.tool)
  rescue
    # the table has gone with the pool
    ArgumentError -> false
  end

  defp div_of(:infinity), do: @pause_ms * @tries
  defp div_of(left), do: div(left, 4)

  ## A place

  defp place(call, timeout) do
    case take(call) do
      {:ok, place} -> {:ok, place, timeout}
      :full -> stand(call, timeout)
      {:error, error} -> {:error, error}
    end
  rescue
    ArgumentError -> {:error, gone(call.routes)}
  end

  defp take(%{routes: routes, within: {client, _id}} = call) do
    case Routes.member(routes, client) do
      # whoever is waited for by a call of this process does not wait for its end
      {:ok, route} ->
        {:ok, Routes.take_anyway_in(route)}

      :none ->
        take(%{call | within: nil})
    end
  end

  # Questions are answered by Python's reader, however busy its workers are.
  defp take(%{routes: routes, tool: "$/" <> _question}), do: Routes.take_anyway(routes)

  defp take(%{routes: routes, session: session}) do
    # nobody overtakes those that wait
    if :atomics.get(routes.waiting, 1) > 0, do: :full, else: Routes.take(routes, session)
  end

  defp stand(call, timeout) do
    with {:ok, place} <- Line.stand(call.routes, call.session, call.tag, timeout) do
      case Waiting.remaining(call.until) do
        0 ->
          Routes.give_back(place)
          send(call.routes.line, :free)
          {:error, Line.late(call.routes)}

        left ->
          {:ok, place, left}
      end
    end
  end

  defp gone(routes) do
    %Error{code: :unavailable, message: "#{routes.name} has ended", started: false}
  end
end
