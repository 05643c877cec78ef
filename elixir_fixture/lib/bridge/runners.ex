defmodule Bridge.Runners do
  @moduledoc false

  # Which processes run a function for Python, and for which of its calls: one table for each client
  # that offers functions, which every process of the node can read.
  #
  # A function that works in tasks calls tools from there. What such a task is within stands in the table
  # under the process that started it, which Elixir notes in the task as `$callers`.

  alias Bridge.Pool.Routes

  @type t :: :ets.table()

  @typedoc "A call of Python, and the client in which it is."
  @type within :: {client :: pid, id :: non_neg_integer}

  @doc "The table of the calling process, a client. It is known by its pid."
  @spec open() :: t
  def open do
    forget_the_dead()
    runners = :ets.new(__MODULE__, [:public, read_concurrency: true])
    :persistent_term.put({__MODULE__, self()}, runners)
    runners
  end

  @doc "The calling process is a pool, whose clients have tables."
  @spec open_pool(Routes.t()) :: :ok
  def open_pool(routes), do: :persistent_term.put({__MODULE__, self()}, routes)

  @doc "Forgets the table of the calling process, if it has one."
  @spec close() :: boolean
  def close, do: :persistent_term.erase({__MODULE__, self()})

  @doc "There is such a process; for which call it works is not known yet. Without a table, nothing is noted."
  @spec add(t | nil, pid) :: term
  def add(runners, pid), do: runners && :ets.insert(runners, {pid, nil})

  @doc "The calling process, if it is in the table still, works for this call."
  @spec note(t | nil, within | nil) :: term
  def note(runners, within), do: runners && :ets.update_element(runners, self(), {2, within})

  @doc "That process runs nothing any more."
  @spec remove(t | nil, pid) :: term
  def remove(runners, pid), do: runners && :ets.delete(runners, pid)

  @doc """
  The call of Python for which the calling process works as a task, or the task of a task; nil if there is none
  in that client.
  """
  @spec within(client :: pid | term) :: within | nil
  def within(client) do
    with callers when callers != nil <- Process.get(:"$callers"),
         runners when runners != nil <- :persistent_term.get({__MODULE__, client}, nil),
         do: within(callers, runners)
  end

  defp within(_callers, %Routes{} = routes),
    do: Enum.find_value(Routes.members(routes), &within/1)

  defp within(callers, runners), do: Enum.find_value(callers, &look_up(runners, &1))

  defp look_up(runners, pid) do
    with [{_pid, within}] <- :ets.lookup(runners, pid), do: within, else: (_none -> nil)
  rescue
    # the client has ended, and its table with it
    ArgumentError -> nil
  end

  # A client that was killed has forgotten nothing.
  defp forget_the_dead do
    for {{__MODULE__, client} = key, _runners} <- :persistent_term.get(),
        not Process.alive?(client),
        do: :persistent_term.erase(key)
  end
end
