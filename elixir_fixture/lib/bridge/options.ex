defmodule Bridge.Options do
  @moduledoc """
  Checks the options of `Bridge.Client` and fills in their defaults.

  The options and what they do are described at the functions that take them. Everything here
  raises `ArgumentError` for an option that is unknown or wrong, in the process that gave it.
  """

  @default_grace_s 5
  @default_start_timeout_ms 30_000
  @default_timeout_ms 5_000
  @default_credit [items: 16, bytes: 1_048_576]

  # What the runtime's timers can count.
  @max_timeout_ms 0xFFFF_FFFF

  # The flags of `python -m bridge`.
  @flags [:adapter, :app_dir, :max_workers, :max_queue, :max_message_bytes, :grace, :log_level]
  @start_options @flags ++ [:args, :cd, :env, :name, :python, :start_timeout]
  @call_options [:timeout, :session, :metadata, :tag, :on_progress]
  @stream_options [:timeout, :session, :metadata, :tag, :credit]

  @log_levels [:debug, :info, :warning, :error]

  @typedoc "How to start Python: what the options of `Bridge.Client.start_link/1` come to."
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
    check!(opts, @start_options)

    unless Keyword.has_key?(opts, :adapter) do
      raise ArgumentError, "the option :adapter is required, got: #{inspect(opts)}"
    end

    %{
      python: find_python!(opts[:python] || System.get_env("BRIDGE_PYTHON") || "python3"),
      # -P: a file queue.py or bridge.py where the BEAM runs is not what Python imports
      arguments: ["-P", "-m", "bridge" | flags(opts)] ++ Keyword.get(opts, :args, []),
      env: for({name, value} <- Keyword.get(opts, :env, []), do: variable(name, value)),
      cd: opts[:cd],
      grace_ms: round(Keyword.get(opts, :grace, @default_grace_s) * 1000),
      start_timeout_ms: Keyword.get(opts, :start_timeout, @default_start_timeout_ms)
    }
  end

  @doc """
  The options of a call.

      iex> Bridge.Options.call!(session: "s1")
      [timeout: 5000, session: "s1"]

      iex> Bridge.Options.call!(timeout: -1)
      ** (ArgumentError) expected :timeout to be a number of milliseconds or :infinity, got: -1

  """
  @spec call!(keyword) :: keyword
  def call!(opts) do
    check!(opts, @call_options)
    Keyword.put_new(opts, :timeout, @default_timeout_ms)
  end

  @doc """
  The options of a stream.

      iex> Bridge.Options.stream!(credit: [items: 1])
      [credit: [bytes: 1_048_576, items: 1]]

  """
  @spec stream!(keyword) :: keyword
  def stream!(opts) do
    check!(opts, @stream_options)
    Keyword.update(opts, :credit, @default_credit, &Keyword.merge(@default_credit, &1))
  end

  ## The command line

  defp flags(opts) do
    for key <- @flags, {:ok, value} <- [Keyword.fetch(opts, key)] do
      "--#{String.replace("#{key}", "_", "-")}=#{value}"
    end
  end

  defp variable(name, nil), do: {to_charlist(name), false}
  defp variable(name, value), do: {to_charlist(name), to_charlist(value)}

  defp find_python!(name) do
    path = if String.contains?(name, "/"), do: Path.expand(name), else: name

    System.find_executable(path) ||
      raise ArgumentError,
            "no Python interpreter at #{inspect(name)}; give its path or its name on the PATH " <>
              "in the option :python or in the environment variable BRIDGE_PYTHON"
  end

  ## Checks

  defp check!(opts, known) do
    for {key, value} <- opts do
      unless key in known do
        raise ArgumentError, "unknown option #{inspect(key)}, known are: #{inspect(known)}"
      end

      {expected, valid?} = rule(key)

      unless valid?.(value) do
        raise ArgumentError, "expected #{inspect(key)} to be #{expected}, got: #{inspect(value)}"
      end
    end
  end

  # What an option must be: in words, and as a check.
  defp rule(key) when key in [:adapter, :app_dir, :python, :session] do
    {"text", &(is_binary(&1) and &1 != "")}
  end

  defp rule(key) when key in [:max_workers, :max_message_bytes] do
    {"a positive integer", &(is_integer(&1) and &1 > 0)}
  end

  defp rule(:max_queue), do: {"an integer, at least 0", &(is_integer(&1) and &1 >= 0)}
  defp rule(:grace), do: {"a number of seconds", &(is_number(&1) and &1 >= 0)}
  defp rule(:log_level), do: {"one of #{inspect(@log_levels)}", &(&1 in @log_levels)}
  defp rule(:args), do: {"a list of text", &texts?/1}
  defp rule(:env), do: {"a map or list of pairs of text, or nil as the value", &env?/1}
  defp rule(:cd), do: {"a directory", &(is_binary(&1) and File.dir?(&1))}
  defp rule(:start_timeout), do: {"a number of milliseconds", &(&1 in 0..@max_timeout_ms)}
  defp rule(:metadata), do: {"a map", &is_map/1}
  defp rule(:on_progress), do: {"a function of three arguments", &is_function(&1, 3)}
  defp rule(:credit), do: {"[items: n, bytes: m], both positive", &credit?/1}
  defp rule(key) when key in [:name, :tag], do: {"anything", fn _any -> true end}

  defp rule(:timeout) do
    {"a number of milliseconds or :infinity", &(&1 == :infinity or &1 in 0..@max_timeout_ms)}
  end

  defp texts?(args), do: is_list(args) and Enum.all?(args, &is_binary/1)

  defp env?(env) do
    (is_list(env) or is_map(env)) and
      Enum.all?(env, fn
        {name, value} -> is_binary(name) and (is_binary(value) or value == nil)
        _other -> false
      end)
  end

  defp credit?(credit) do
    Keyword.keyword?(credit) and
      Enum.all?(credit, fn {key, n} -> key in [:items, :bytes] and is_integer(n) and n > 0 end)
  end
end
