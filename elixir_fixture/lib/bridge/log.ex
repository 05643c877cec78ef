defmodule Bridge.Log do
  @moduledoc false

  # What Python says on its own account, handed to the `Logger`: log records, faults, and what is no
  # message at all. Whatever arrives, nothing here raises, and what is handed on can be printed: a
  # handler that fails is taken out by Erlang's logger, and with it the logs of the whole application.

  require Logger

  alias Bridge.Error

  @levels Map.new([:debug, :info, :warning, :error, :critical], &{Atom.to_string(&1), &1})

  # As Python's logging counts: more is critical, and what lies between info and warning a notice.
  @critical 50
  @notice 25..29

  @max_text_bytes 65_536
  @max_depth 16
  @max_items 1_000

  # What stands in the fields of a record beside what was given as `extra`.
  @own_fields ~w(pathname lineno funcName levelno levelname bridge_tool)

  @doc """
  Logs a record, the parameters of `$/log`.

  The level is Python's; the place is that in Python's code: `file` and `line` among the metadata, with
  `python_function`. Further metadata are `python_logger`, `python_level` (as Python calls it),
  `python_fields` (what was given as `extra`), `python_tool` and `call_id`.
  """
  @spec record(term) :: :ok
  def record([level, logger, text, fields, id]) do
    {own, extra} = split(fields)
    logger = printable(logger)

    metadata =
      [
        python_logger: logger,
        python_fields: extra,
        python_level: name(own["levelname"], level),
        python_tool: tool(own["bridge_tool"], logger),
        python_function: if(is_binary(own["funcName"]), do: printable(own["funcName"])),
        call_id: if(is_integer(id), do: id)
      ] ++ place(own)

    Logger.bare_log(level(level, own["levelno"]), "#{logger}: #{printable(text)}", metadata)
  end

  def record(other) do
    Logger.warning("Python sent a log record of another shape: #{printable(other)}")
  end

  @doc "Logs a fault that belongs to no call, the parameter of `$/error`."
  @spec fault(term) :: :ok
  def fault(error) do
    Logger.error("Python: " <> printable(Exception.message(Error.from_wire(error))))
  end

  @doc "Logs a line that Python has printed."
  @spec printed(binary) :: :ok
  def printed(line), do: Logger.bare_log(:info, printable(line), python_stderr: true)

  @doc "Logs what is no message, or one that means nothing here."
  @spec nonsense(term) :: :ok
  def nonsense(what), do: Logger.error("Python sent what is no message: #{printable(what)}")

  @doc "Any term as text that can be printed, and is not too long."
  @spec printable(term) :: String.t()
  def printable(text) when is_binary(text) do
    cond do
      byte_size(text) > @max_text_bytes ->
        more = byte_size(text) - @max_text_bytes
        printable(whole(binary_part(text, 0, @max_text_bytes))) <> "… (#{more} more bytes)"

      String.valid?(text) ->
        text

      true ->
        inspect(text, printable_limit: 4_096, limit: 100)
    end
  end

  def printable(other), do: inspect(other, printable_limit: 4_096, limit: 100)

  # Without the half of a character at the end.
  defp whole(text) do
    case :unicode.characters_to_binary(text) do
      {:incomplete, whole, _half} -> whole
      _other -> text
    end
  end

  defp level(_level, number) when is_integer(number) and number >= @critical, do: :critical
  defp level(_level, number) when number in @notice, do: :notice
  defp level(level, _number), do: Map.get(@levels, level, :info)

  defp name(name, _level) when is_binary(name), do: printable(name)
  defp name(_none, level) when is_binary(level), do: level |> printable() |> String.upcase()
  defp name(_none, _odd), do: nil

  defp tool(tool, _logger) when is_binary(tool), do: printable(tool)
  # of `ctx.log`
  defp tool(_none, "bridge.tool." <> tool), do: tool
  defp tool(_none, _logger), do: nil

  defp place(%{"pathname" => path, "lineno" => line}) when is_binary(path) and is_integer(line) do
    [file: path |> printable() |> String.to_charlist(), line: line]
  end

  defp place(_nowhere), do: []

  defp split(fields) when is_map(fields) do
    {own, extra} = Map.split(fields, @own_fields)
    {own, plain(extra, @max_depth)}
  end

  defp split(odd), do: {%{}, %{"fields" => plain(odd, @max_depth)}}

  # What any formatter can print: maps with text as keys, lists, text, numbers, booleans and nil.
  defp plain(value, _depth) when is_number(value) or is_atom(value), do: value
  defp plain(value, _depth) when is_binary(value), do: printable(value)
  defp plain(value, 0), do: printable(value)
  defp plain(%_module{} = value, _depth), do: printable(value)

  defp plain(value, depth) when is_map(value) do
    for {key, item} <- Enum.take(value, @max_items), into: %{} do
      {printable(key), plain(item, depth - 1)}
    end
  end

  defp plain(value, depth) when is_list(value) do
    value |> Enum.take(@max_items) |> Enum.map(&plain(&1, depth - 1))
  end
end
