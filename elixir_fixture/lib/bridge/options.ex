defmodule Bridge.Options do
  @moduledoc false

  # The options of `Bridge`. Of their table come the checks, the defaults, the command line of
  # Python and the lists in the documentation. Everything here raises `ArgumentError` for an option
  # that is unknown or wrong, in the process that gave it.

  alias Bridge.Options.{Table, Types}
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
      shared_memory: filled[:shared_memory] not in [false, 0],
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
      ** (ArgumentError) expected :timeout to be milliseconds, at most 4294967295, or :infinity, got: -1

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
      ** (ArgumentError) expected the timeout to be milliseconds, at most 4294967295, or :infinity, got: -1

  """
  @spec timeout!(timeout) :: :ok
  def timeout!(value) do
    unless Types.valid?(:timeout, value) do
      raise ArgumentError,
            "expected the timeout to be #{Types.words(:timeout)}, got: #{inspect(value)}"
    end

    :ok
  end

  @doc """
  Checks the name of a tool. Whether there is one of that name is Python's to say, whatever the text is.

      iex> Bridge.Options.tool!(:add)
      :ok

      iex> Bridge.Options.tool!(nil)
      ** (ArgumentError) expected the name of a tool, text or an atom, got: nil

  """
  @spec tool!(Bridge.tool()) :: :ok
  def tool!(tool) when is_binary(tool), do: :ok
  def tool!(tool) when is_atom(tool) and tool != nil, do: :ok

  def tool!(tool) do
    raise ArgumentError, "expected the name of a tool, text or an atom, got: #{inspect(tool)}"
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
  def pool!(opts) do
    keyword!(opts)
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
      "  * `#{inspect(name)}` (#{Types.words(row[:is])}; #{default(Map.new(row))}) - #{row[:doc]}"
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

  defp check!(opts, function) do
    keyword!(opts)
    types = @types[function]

    for {name, value} <- opts do
      case types do
        %{^name => type} ->
          unless Types.valid?(type, value) do
            raise ArgumentError,
                  "expected #{inspect(name)} to be #{Types.words(type)}, got: #{inspect(value)}"
          end

        _unknown ->
          known = inspect(Keyword.keys(@table[function]))
          raise ArgumentError, "unknown option #{inspect(name)}, known are: #{known}"
      end
    end

    Keyword.merge(@defaults[function], opts)
  end

  defp keyword!(opts) do
    unless Keyword.keyword?(opts) do
      raise ArgumentError, "expected options in a keyword list, got: #{inspect(opts)}"
    end
  end
end
