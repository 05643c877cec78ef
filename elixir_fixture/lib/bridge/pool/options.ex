defmodule Bridge.Pool.Options do
  @moduledoc false

  # What the options of a pool come to. Raises `ArgumentError` as `Bridge.Options` does, in the process
  # that gave them.

  alias Bridge.{Options, Python}

  # What decides how many threads a library starts, if it is not told otherwise. Arrow and SciPy look at
  # the first.
  @variables ~w(OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS BLIS_NUM_THREADS
                VECLIB_MAXIMUM_THREADS NUMEXPR_NUM_THREADS NUMEXPR_MAX_THREADS NUMBA_NUM_THREADS
                POLARS_MAX_THREADS RAYON_NUM_THREADS)

  # Python's own default is this or more.
  @workers 16

  @type settings :: %{
          name: term,
          title: String.t(),
          processes: pos_integer,
          backlog: non_neg_integer,
          max_waiting: non_neg_integer,
          affinity: Bridge.Pool.Routes.affinity(),
          recycle: keyword,
          drain_ms: non_neg_integer,
          check_ms: pos_integer,
          start: :sync | :async,
          stop_ms: non_neg_integer,
          client: keyword,
          nodes: :all | [node] | nil
        }

  @doc "The settings of a pool; `client` are the options of each of its clients."
  @spec settings!(keyword) :: settings
  def settings!(opts) do
    {pool, client} = Options.pool!(opts)
    {mine, client} = Keyword.split(client, [:name, :start])
    processes = pool[:processes] || if(pool[:profile] == :process, do: cores(), else: 2)

    client =
      if pool[:profile] == :process, do: Keyword.put_new(client, :max_workers, 1), else: client

    check_nodes!(pool[:nodes], mine[:name], processes)
    client = Keyword.put(client, :env, env(client, pool[:threads_per_process], processes))
    # checked before a process exists; each client does it again when it starts
    checked = Options.start!(client ++ mine)

    %{
      name: mine[:name],
      title: "the pool #{inspect(mine[:name] || client[:adapter])}",
      processes: processes,
      backlog: pool[:backlog] || if(pool[:profile] == :process, do: 4, else: 64),
      max_waiting: pool[:max_waiting],
      affinity: pool[:affinity],
      recycle: pool[:recycle],
      drain_ms: round(pool[:drain] * 1000),
      check_ms: max(round(pool[:check_every] * 1000), 10),
      start: checked.start,
      stop_ms: checked.grace_ms + 2 * Python.exit_ms(),
      client: client,
      nodes: pool[:nodes]
    }
  end

  # What pools of several nodes have in common is their name.
  defp check_nodes!(nil, _name, 0) do
    raise ArgumentError,
          "expected :processes to be an integer, at least 1, without :nodes, got: 0"
  end

  defp check_nodes!(nodes, name, _processes)
       when nodes != nil and (name == nil or (is_tuple(name) and elem(name, 0) == :global)) do
    raise ArgumentError,
          "the option :nodes asks for a :name that the pools of all nodes have, got: #{inspect(name)}"
  end

  defp check_nodes!(_nodes, _name, _processes), do: :ok

  # The environment, with what says how many threads libraries start.
  defp env(client, threads, processes) do
    given = Enum.to_list(client[:env] || [])
    named = for {name, _value} <- given, do: name

    # what the environment of the BEAM says already is a wish as well, unless the option is one
    names =
      for name <- @variables,
          name not in named,
          threads != nil or System.get_env(name) == nil,
          do: name

    case threads || share(client, processes) do
      :all -> given
      threads -> given ++ for name <- names, do: {name, Integer.to_string(threads)}
    end
  end

  # Every worker may be in such a library at the same time. More threads than cores hinder each other:
  # 16 workers of one process with two threads each on two cores did a tenth of the matrix products.
  defp share(client, processes) do
    workers =
      if is_integer(client[:max_workers]), do: max(client[:max_workers], 1), else: @workers

    max(div(cores(), max(processes, 1) * workers), 1)
  end

  defp cores, do: System.schedulers_online()
end
