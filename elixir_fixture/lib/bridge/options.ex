defmodule Bridge.Options do
  @moduledoc false

  # The options of `Bridge`: one table. Of it come the checks, the defaults, the command line of
  # Python and the lists in the documentation. Everything here raises `ArgumentError` for an option
  # that is unknown or wrong, in the process that gave it.

  # What the runtime's timers can count.
  @max_timeout_ms 0xFFFF_FFFF

  @python "python3"

  # Options that several functions take.
  @of_calls [
    session: [is: :text, doc: "names what this call belongs to, for tools that ask"],
    metadata: [is: :map, doc: "text by text for the tool, such as `traceparent`"],
    tag: [is: :any, doc: "the term to give to `Bridge.cancel/2`"]
  ]

  # Each option of a function: what its value must be (`is`), and what it is for. A `default` is
  # filled in; where there is none, `without` says what happens. A `flag` goes to `python -m bridge`,
  # under the same name.
  @table [
    start: [
      adapter: [is: :text, required: true, flag: true, doc: "what to serve: `module:Class`"],
      app_dir: [
        is: :place,
        without: "Python's working directory",
        flag: true,
        doc: "the directory in which Python finds the adapter's module"
      ],
      python: [
        is: :interpreter,
        without: "`$BRIDGE_PYTHON`, else `#{@python}`",
        doc: "the interpreter; `{:venv, place}` is that of the virtual environment there"
      ],
      max_workers: [
        is: {:integer, 1},
        without: "Python's choice",
        flag: true,
        doc: "how many calls run at the same time; the others wait in a queue"
      ],
      max_queue: [
        is: {:integer, 0},
        without: "Python's choice",
        flag: true,
        doc: "how many calls may wait; one more is answered `:resource_exhausted`"
      ],
      max_message_bytes: [
        is: {:integer, 1},
        without: "Python's choice",
        flag: true,
        doc: "a longer request is answered `:resource_exhausted`"
      ],
      grace: [
        is: :seconds,
        default: 5,
        flag: true,
        doc: "how long running calls may take to end when the client stops"
      ],
      log_level: [
        is: {:one_of, [:debug, :info, :warning, :error]},
        without: "Python's choice",
        flag: true,
        doc: "how much Python logs"
      ],
      args: [is: :texts, default: [], doc: "further arguments for `python -m bridge`"],
      env: [
        is: :env,
        default: [],
        doc: "environment variables of Python; the value `nil` removes one"
      ],
      cd: [is: :directory, without: "the BEAM's", doc: "the working directory of Python"],
      start_timeout: [
        is: :milliseconds,
        default: 30_000,
        doc: "until when Python must be ready; after that it is killed"
      ],
      name: [is: :any, doc: "a name as `GenServer.start_link/3` takes it"]
    ],
    call:
      [
        timeout: [
          is: :timeout,
          default: 5_000,
          doc:
            "when the call is cancelled, and `:deadline_exceeded` is the answer; " <>
              "Python knows it, too"
        ]
      ] ++
        @of_calls ++
        [
          on_progress: [
            is: {:function, 3},
            doc:
              "gets `done`, `total` and `text` of the tool's reports, in the calling process. " <>
                "While it runs, only the newest report is kept for it. If it raises, the call " <>
                "is cancelled"
          ]
        ],
    stream:
      [timeout: [is: :timeout, default: :infinity, doc: "the time for the stream as a whole"]] ++
        @of_calls ++
        [
          credit: [
            is: :credit,
            default: [items: 16, bytes: 1_048_576],
            doc:
              "how much may wait in the client. It is given back when the consumer takes what " <>
                "waits, so Python can work on while the consumer does"
          ]
        ]
  ]

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

  @typedoc "A function that takes options."
  @type function_name :: :start | :call | :stream

  @typedoc "How to start Python: what the options of `Bridge.start_link/1` come to."
  @type settings :: %{
          python: Path.t(),
          arguments: [String.t()],
          env: [{charlist, charlist | false}],
          cd: Path.t() | nil,
          grace_ms: non_neg_integer,
          start_timeout_ms: non_neg_integer
        }

  @doc """
  The settings of a client. Raises also if there is no such interpreter.

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
      python: find_python!(filled[:python] || System.get_env("BRIDGE_PYTHON") || @python),
      # -P: a file queue.py or bridge.py where the BEAM runs is not what Python imports
      arguments: ["-P", "-m", "bridge" | flags(filled)] ++ filled[:args],
      env: for({name, value} <- filled[:env], do: variable(name, value)),
      cd: filled[:cd] && path(filled[:cd]),
      grace_ms: round(filled[:grace] * 1000),
      start_timeout_ms: filled[:start_timeout]
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
  def call!(opts), do: check!(opts, :call)

  @doc """
  The options of a stream, with their defaults.

      iex> Bridge.Options.stream!(credit: [items: 1])
      [timeout: :infinity, credit: [bytes: 1_048_576, items: 1]]

  """
  @spec stream!(keyword) :: keyword
  def stream!(opts) do
    opts
    |> check!(:stream)
    |> Keyword.update!(:credit, &Keyword.merge(@defaults.stream[:credit], &1))
  end

  @doc """
  The list of a function's options, for its documentation.
  """
  @spec docs(function_name) :: String.t()
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
      "--#{String.replace("#{name}", "_", "-")}=#{path(value)}"
    end
  end

  # Where a place is; what is none stays as it is.
  defp path({:app, application, path}), do: Application.app_dir(application, path)
  defp path(path), do: path

  defp variable(name, nil), do: {to_charlist(name), false}
  defp variable(name, value), do: {to_charlist(name), to_charlist(value)}

  defp find_python!({:venv, place}) do
    python = place |> path() |> Path.expand() |> Path.join("bin/python")

    System.find_executable(python) ||
      raise ArgumentError,
            "no virtual environment at #{inspect(place)}: there is no #{python}. " <>
              "mix bridge.setup makes one"
  end

  defp find_python!(name) do
    path = if String.contains?(name, "/"), do: Path.expand(name), else: name

    System.find_executable(path) ||
      raise ArgumentError,
            "no Python interpreter at #{inspect(name)}; give its path or its name on the PATH " <>
              "in the option :python or in the environment variable BRIDGE_PYTHON"
  end

  ## Checks

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

  defp words(:text), do: "text"
  defp words({:integer, least}), do: "an integer, at least #{least}"
  defp words(:seconds), do: "seconds, an integer or a float"
  defp words({:one_of, values}), do: "one of #{Enum.map_join(values, ", ", &inspect/1)}"
  defp words(:texts), do: "a list of text"
  defp words(:env), do: "a map or list of pairs of text"
  defp words(:place), do: "a path, or {:app, :my_app, \"priv/python\"} in an application"

  defp words(:directory),
    do: "a directory, named as a path or as {:app, :my_app, \"priv/python\"}"

  defp words(:interpreter), do: "a path, a name on the PATH, or {:venv, place}"
  defp words(:milliseconds), do: "milliseconds"
  defp words(:timeout), do: "milliseconds or :infinity"
  defp words(:map), do: "a map"
  defp words({:function, arity}), do: "a function of #{arity} arguments"
  defp words(:credit), do: "[items: n, bytes: m], both positive"
  defp words(:any), do: "any term"

  defp valid?(:text, value), do: is_binary(value) and value != ""
  defp valid?({:integer, least}, value), do: is_integer(value) and value >= least
  defp valid?(:seconds, value), do: is_number(value) and value >= 0
  defp valid?({:one_of, values}, value), do: value in values
  defp valid?(:texts, value), do: is_list(value) and Enum.all?(value, &is_binary/1)

  defp valid?(:env, value) when is_list(value) or is_map(value),
    do: Enum.all?(value, &variable?/1)

  defp valid?(:env, _value), do: false
  defp valid?(:place, {:app, app, path}), do: application?(app) and valid?(:text, path)
  defp valid?(:place, value), do: valid?(:text, value)
  defp valid?(:directory, value), do: valid?(:place, value) and File.dir?(path(value))
  defp valid?(:interpreter, {:venv, place}), do: valid?(:place, place)
  defp valid?(:interpreter, value), do: valid?(:text, value)
  defp valid?(:milliseconds, value), do: value in 0..@max_timeout_ms
  defp valid?(:timeout, value), do: value == :infinity or value in 0..@max_timeout_ms
  defp valid?(:map, value), do: is_map(value)
  defp valid?({:function, arity}, value), do: is_function(value, arity)
  defp valid?(:credit, value), do: Keyword.keyword?(value) and Enum.all?(value, &credit?/1)
  defp valid?(:any, _value), do: true

  # One whose directory is known: it is on the path of the code.
  defp application?(name), do: is_atom(name) and is_list(:code.lib_dir(name))

  defp variable?({name, value}), do: is_binary(name) and (is_binary(value) or value == nil)
  defp variable?(_other), do: false

  defp credit?({key, n}), do: key in [:items, :bytes] and is_integer(n) and n > 0
end
