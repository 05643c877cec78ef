defmodule Bridge.Body do
  @moduledoc false

  # All of a request but its id: the tool, its arguments, and the options that Python gets.

  alias Bridge.{Error, Msgpack}

  # What is copied rather than sent in parts.
  @small_bytes 4_096

  @type t :: binary | [binary]

  @doc """
  The body of a call of a tool. Small parts are put together here rather than in the client; large
  binaries stay uncopied.
  """
  @spec encode(Bridge.tool(), Bridge.args(), keyword) :: {:ok, t} | {:error, Error.t()}
  def encode(tool, args, opts) do
    with {:ok, params} <- params(args),
         {:ok, options} <- options(opts) do
      call = [Msgpack.encode!(to_string(tool)) | params]

      if :erlang.iolist_size(call) <= @small_bytes,
        do: {:ok, :erlang.iolist_to_binary([call | options])},
        # the options are the last part, whole
        else: {:ok, :erlang.iolist_to_iovec(call) ++ [options]}
    end
  end

  # The most frequent ones need no look at a table.
  defp options(timeout: :infinity), do: {:ok, <<0x80>>}
  defp options(timeout: ms), do: {:ok, <<0x81, 0xAA, "timeout_ms", 0xCE, in_python(ms)::32>>}

  defp options(opts) do
    options = for {key, value} <- opts, option <- wire_option(key, value), into: %{}, do: option

    with {:ok, encoded} <- Msgpack.encode(options, "options"),
         do: {:ok, with_timeout(IO.iodata_to_binary(encoded), Keyword.fetch!(opts, :timeout))}
  end

  # The time is always the end of the body: see `shorten/2`. There are fewer options than 15.
  defp with_timeout(encoded, :infinity), do: encoded

  defp with_timeout(<<map, options::binary>>, ms),
    do: <<map + 1, options::binary, 0xAA, "timeout_ms", 0xCE, in_python(ms)::32>>

  @doc "The same call with less time: its last four bytes are the milliseconds."
  @spec shorten(t, timeout) :: t
  def shorten(body, :infinity), do: body
  def shorten(body, ms) when is_list(body), do: List.update_at(body, -1, &shorten(&1, ms))

  def shorten(body, ms) do
    size = byte_size(body) - 4
    <<before::binary-size(size), _ms::32>> = body
    <<before::binary, in_python(ms)::32>>
  end

  defp wire_option(:credit, credit), do: [stream: Map.new(credit)]
  defp wire_option(key, value) when key in [:session, :metadata], do: [{key, value}]
  defp wire_option(:within, {_client, id}), do: [within: id]
  defp wire_option(_key, _value), do: []

  # Python's deadline is a little earlier (a fiftieth, 5 ms at most), so that its word on whether the
  # tool began is there when the caller's time is over.
  defp in_python(ms), do: ms - min(div(ms, 50), 5)

  defp params(args) when is_list(args) do
    named = if by_name?(args), do: Map.new(args), else: args

    if is_map(named) and map_size(named) < length(args) do
      message = "args gives a name twice: #{inspect(Keyword.keys(args))}"
      {:error, %Error{code: :invalid_argument, message: message, started: false}}
    else
      Msgpack.encode(named, "args")
    end
  end

  defp params(args) when is_map(args) and not is_struct(args), do: Msgpack.encode(args, "args")

  defp params(args) do
    raise ArgumentError, "expected arguments in a list or a map, got: #{inspect(args)}"
  end

  # `[{:bytes, data}]` is also the keyword list `[bytes: data]`.
  defp by_name?(args) do
    Keyword.keyword?(args) and Enum.any?(args, fn {name, _value} -> name != :bytes end)
  end
end
