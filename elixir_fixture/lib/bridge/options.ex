defmodule Bridge.Options do
  @moduledoc false

  # The options of `Bridge`. Of their table come the checks, the defaults, the command line of
  # Python and the lists in the documentation. Everything here raises `ArgumentError` for an option
  # that is unknown or wrong, in the process that gave it.

  alias Bridge.Options.Table
  alias Bridge.Place

  # What the runtime's timers can count.
  @max_timeout_ms 0xFFFF_FFFF

  @python "python3"

  # Python's own defaults, for what the client does with them.
  @max_queue 1_024
  @stuck_after 30

  @table Table.rows()

  @types Map.new(@table, fn {function, rows} ->
           {function, Map.new(rows, fn {name, row} -> {name, row[:is]} end)}
         end)

  @defaults Map.new(@table, fn {function, rows} ->
              defaults =
                for {name, row} <- rows,
                    Keyword.has_key?(row, :default),
                    do: {name, row[:default]}

              {function, defaults}
            end)

  @flags for {name, row} <- @table[:start], row[:flag], do: name
  @required for {name, row} <- @table[:start], row[:required], do: name

  @typedoc "How to start Python: what the options of `Bridge.start_link/1` come to."
  @type settings :: %{
          python: String.t(),
          venv: boolean,
          arguments: [String.t()],
          env: [{charlist, charlist | false}],
          cd: Path.t() | nil,
          title: String.t(),
          max_queue: non_neg_integer,
          max_answer_bytes: pos_integer | nil,
          start: :sync | :async,
          start_timeout_ms: non_neg_integer,
          on_failure: :retry | :stop,
          stderr: :standard_error | :logger,
          stuck_after_ms: pos_integer | :infinity,
          grace_ms: non_neg_integer,
          watched: Path.t() | nil,
          decoders: %{optional(String.t()) => (term -> term)},
          shared_memory: boolean,
          functions: Bridge.Functions.offered(),
          max_elixir_calls: pos_integer,
          processes: %{optional(String.t()) => GenServer.server()},
          seat: Bridge.Pool.Seat.t() | nil
        }

  @doc """
  The settings of a client. Whether there is such an interpreter, or directory, shows at the start.

      iex> Bridge.Options.start!(max_workers: 4)
      ** (ArgumentError) the option :adapter is required, got: [max_workers: 4]

  """
  @spec start!(keyword) :: settings
  def start!(opts) do
    filled = check!(opts, :start)

    for name <- @required, not Keyword.has_key?(opts, name) do
      raise ArgumentError, "the option #{inspect(name)} is required, got: #{inspect(opts)}"
    end

    %{
      python: interpreter(filled[:python] || of_environment() || @python),
      venv: match?({:venv, _place}, filled[:python]),
      # -P: a file queue.py or bridge.py where the BEAM runs is not what Python imports
      arguments: ["-P", "-m", "bridge" | flags(filled)] ++ own_flags(opts) ++ filled[:args],
      env: for({name, value} <- filled[:env], do: variable(name, value)),
      cd: filled[:cd] && Place.path(filled[:cd]),
      title: title(opts[:name], filled[:adapter]),
      max_queue: filled[:max_queue] || @max_queue,
      max_answer_bytes: filled[:max_answer_bytes],
      start: filled[:start],
      start_timeout_ms: filled[:start_timeout],
      on_failure: filled[:on_failure],
      stderr: filled[:stderr],
      stuck_after_ms: milliseconds(Keyword.get(opts, :stuck_after, @stuck_after)),
      grace_ms: milliseconds(filled[:grace]),
      watched: if(filled[:reload], do: Place.expand(filled[:app_dir] || filled[:cd] || ".")),
      decoders: filled[:decoders],
      shared_memory: filled[:shared_memory] not in [nil, false, 0],
      functions: filled[:functions] || %{},
      max_elixir_calls: filled[:max_elixir_calls],
      processes: filled[:processes],
      seat: nil
    }
  end

  @doc """
  The options of a call, with their defaults.

      iex> Bridge.Options.call!(session: "s1")
      [timeout: 5000, session: "s1"]

      iex> Bridge.Options.call!(timeout: -1)
      ** (ArgumentError) expected :timeout to be milliseconds or :infinity, got: -1

  """
  @spec call!(keyword) :: keyword
  # What most calls have, whose only default is the timeout.
  def call!([]), do: @defaults.call
  def call!([timeout: ms] = opts) when ms in 0..@max_timeout_ms, do: opts
  def call!(opts), do: check!(opts, :call)

  @doc """
  The options of a stream, with their defaults.

      iex> Bridge.Options.stream!(credit: [items: 1])
      [timeout: :infinity, credit: [bytes: 1_048_576, items: 1]]

  """
  @spec stream!(keyword) :: keyword
  def stream!(opts) do
    checked = check!(opts, :stream)
    default = @defaults.stream[:credit]
    # how many items may wait is for the client to find out, unless somebody says it
    window = if opts[:credit][:items], do: [], else: [window: default[:items]]
    Keyword.update!(checked, :credit, &Keyword.merge(default, &1)) ++ window
  end

  @doc """
  Checks a timeout that is an argument of its own.

      iex> Bridge.Options.timeout!(-1)
      ** (ArgumentError) expected the timeout to be milliseconds or :infinity, got: -1

  """
  @spec timeout!(timeout) :: :ok
  def timeout!(value) do
    unless valid?(:timeout, value) do
      raise ArgumentError,
            "expected the timeout to be #{words(:timeout)}, got: #{inspect(value)}"
    end

    :ok
  end

  @doc """
  The options of a pool with their defaults, and those that its clients get.

      iex> {pool, client} = Bridge.Options.pool!(adapter: "my_tools:Tools", processes: 3)
      iex> {pool[:processes], pool[:max_waiting], client}
      {3, 1024, [adapter: "my_tools:Tools"]}

      iex> Bridge.Options.pool!(adapter: "my_tools:Tools", processes: -1)
      ** (ArgumentError) expected :processes to be an integer, at least 0, got: -1

  """
  @spec pool!(keyword) :: {pool :: keyword, client :: keyword}
  def pool!(opts) when not is_list(opts), do: check!(opts, :pool)

  def pool!(opts) do
    {mine, client} = Keyword.split(opts, Keyword.keys(@table[:pool]))
    known = Keyword.keys(@table[:start] ++ @table[:pool]) -- [:on_failure]

    for {name, _value} <- client, name not in known do
      raise ArgumentError, "unknown option #{inspect(name)}, known are: #{inspect(known)}"
    end

    {check!(mine, :pool), client}
  end

  @doc """
  The list of a function's options, for its documentation.
  """
  @spec docs(Table.function_name()) :: String.t()
  def docs(function) do
    Enum.map_join(@table[function], "\n", fn {name, row} ->
      "  * `#{inspect(name)}` (#{words(row[:is])}; #{default(Map.new(row))}) - #{row[:doc]}"
    end)
  end

  defp default(%{required: true}), do: "required"
  defp default(%{default: value}), do: "default: `#{inspect(value)}`"
  defp default(%{without: text}), do: "default: #{text}"
  defp default(_row), do: "default: none"

  ## The command line

  defp flags(opts) do
    for name <- @flags, {:ok, value} <- [Keyword.fetch(opts, name)] do
      "--#{String.replace("#{name}", "_", "-")}=#{Place.path(value)}"
    end
  end

  # Whether it is there shows at the start, each time.
  defp interpreter({:venv, place}),
    do: place |> Place.expand() |> Path.join("bin/python")

  defp interpreter(name), do: name

  defp of_environment do
    with python when python != nil <- System.get_env("BRIDGE_PYTHON"), do: Place.native(python)
  end

  defp variable(name, nil), do: {Place.characters(name), false}
  defp variable(name, value), do: {Place.characters(name), Place.characters(value)}

  # Only if they are asked for: a bridge of version 0.1 does not know them.
  defp own_flags(opts), do: stuck_after(opts) ++ shared_memory(opts[:shared_memory])

  defp shared_memory(bytes) when is_integer(bytes), do: ["--shared-memory=#{bytes}"]
  defp shared_memory(_on_or_off), do: []

  defp stuck_after(opts) do
    case Keyword.fetch(opts, :stuck_after) do
      {:ok, :infinity} -> ["--stuck-after=off"]
      {:ok, seconds} -> ["--stuck-after=#{seconds}"]
      :error -> []
    end
  end

  defp milliseconds(:infinity), do: :infinity
  defp milliseconds(seconds), do: round(seconds * 1000)

  # What the client is called in the log.
  defp title(nil, adapter), do: "bridge #{adapter}"
  defp title(name, adapter), do: "bridge #{inspect(name)} (#{adapter})"

  ## Checks

  defp check!(opts, _function) when not is_list(opts) do
    raise ArgumentError, "expected options in a keyword list, got: #{inspect(opts)}"
  end

  defp check!(opts, function) do
    types = @types[function]

    for {name, value} <- opts do
      case types do
        %{^name => type} ->
          unless valid?(type, value) do
            raise ArgumentError,
                  "expected #{inspect(name)} to be #{words(type)}, got: #{inspect(value)}"
          end

        _unknown ->
          known = inspect(Keyword.keys(@table[function]))
          raise ArgumentError, "unknown option #{inspect(name)}, known are: #{known}"
      end
    end

    Keyword.merge(@defaults[function], opts)
  end

  # What each type is called, and which values are of it.

  defp words(:text), do: "text, not empty and without a zero byte"
  defp words({:integer, least}), do: "an integer, at least #{least}"
  defp words(:seconds), do: "seconds, an integer or a float"
  defp words({:one_of, values}), do: "one of #{Enum.map_join(values, ", ", &inspect/1)}"
  defp words(:texts), do: "a list of text"
  defp words(:env), do: "a map or list of pairs of text: names without \"=\", no zero bytes"
  defp words(:place), do: "a path, or {:app, :my_app, \"priv/python\"} in an application"
  defp words(:interpreter), do: "a path, a name on the PATH, or {:venv, place}"
  defp words(:seconds_or_infinity), do: "seconds, or :infinity"
  defp words(:milliseconds), do: "milliseconds"
  defp words(:timeout), do: "milliseconds or :infinity"
  defp words(:map), do: "a map"
  defp words({:function, arity}), do: "a function of #{arity} arguments"
  defp words(:credit), do: "[items: n, bytes: m], both positive"
  defp words(:shared_memory), do: "a number of bytes, true or false"
  defp words(:boolean), do: "true or false"
  defp words(:functions), do: "a map of functions by name, or a module that uses Bridge.Functions"
  defp words(:decoders), do: "a map of functions of one argument by the names of Python classes"
  defp words(:processes), do: "a map of processes by name"
  defp words(:any), do: "any term"
  defp words(:threads), do: "an integer, at least 1, or :all"

  defp words(:nodes), do: ":all, or a list of names of nodes"

  defp words(:recycle),
    do: "[max_age: seconds, max_calls: n, max_rss: bytes, max_abandoned: n], all positive"

  # what is given to the operating system ends at a zero byte
  defp valid?(:text, value), do: value != "" and argument?(value)
  defp valid?({:integer, least}, value), do: is_integer(value) and value >= least
  defp valid?(:seconds, value), do: is_number(value) and value >= 0
  defp valid?({:one_of, values}, value), do: value in values
  defp valid?(:texts, value), do: is_list(value) and Enum.all?(value, &argument?/1)

  defp valid?(:env, value) when is_list(value) or is_map(value),
    do: Enum.all?(value, &variable?/1)

  defp valid?(:env, _value), do: false

  defp valid?(:place, {:app, app, path}), do: application?(app) and valid?(:text, path)
  defp valid?(:place, value), do: valid?(:text, value)
  defp valid?(:interpreter, {:venv, place}), do: valid?(:place, place)
  defp valid?(:interpreter, value), do: valid?(:text, value)

  defp valid?(:seconds_or_infinity, value),
    do: value == :infinity or (is_number(value) and value > 0)

  defp valid?(:milliseconds, value), do: value in 0..@max_timeout_ms
  defp valid?(:timeout, value), do: value == :infinity or value in 0..@max_timeout_ms
  defp valid?(:map, value), do: is_map(value)
  defp valid?({:function, arity}, value), do: is_function(value, arity)
  defp valid?(:credit, value), do: Keyword.keyword?(value) and Enum.all?(value, &credit?/1)
  defp valid?(:shared_memory, value), do: is_boolean(value) or (is_integer(value) and value >= 0)
  defp valid?(:boolean, value), do: is_boolean(value)
  defp valid?(:functions, value), do: Bridge.Functions.valid?(value)

  defp valid?(:decoders, value) do
    is_map(value) and not is_struct(value) and
      Enum.all?(value, fn {name, function} ->
        is_binary(name) and name != "" and String.valid?(name) and is_function(function, 1)
      end)
  end

  defp valid?(:processes, value), do: is_map(value) and Enum.all?(Map.keys(value), &is_binary/1)
  defp valid?(:any, _value), do: true
  defp valid?(:threads, value), do: value == :all or (is_integer(value) and value > 0)

  defp valid?(:nodes, value),
    do: value == :all or (is_list(value) and Enum.all?(value, &is_atom/1))

  defp valid?(:recycle, value), do: Keyword.keyword?(value) and Enum.all?(value, &rule?/1)

  # One whose directory is known: it is on the path of the code.
  defp application?(name), do: is_atom(name) and is_list(:code.lib_dir(name))

  defp variable?({name, value}) do
    is_binary(name) and name != "" and String.valid?(name) and argument?(name) and
      not String.contains?(name, "=") and
      (value == nil or (argument?(value) and String.valid?(value)))
  end

  defp variable?(_other), do: false

  defp argument?(value), do: is_binary(value) and not String.contains?(value, <<0>>)

  defp rule?({:max_age, seconds}), do: is_number(seconds) and seconds > 0

  defp rule?({key, n}),
    do: key in [:max_calls, :max_rss, :max_abandoned] and is_integer(n) and n > 0

  defp credit?({key, n}), do: key in [:items, :bytes] and is_integer(n) and n > 0
end
