defmodule Bridge.Body do
  @moduledoc false

  # All of a request but its id: the tool, its arguments, and the options that Python gets.

  alias Bridge.{Error, Msgpack, SharedMemory}

  # What is copied rather than sent in parts.
  @small_bytes 4_096

  # Parts of a place begin at multiples of this, so that elements of any size are aligned.
  @aligned 64

  @typedoc "`:large`: with parts that may go through shared memory, and the options."
  @type t :: inline | {:large, [part], options :: binary}

  @type inline :: binary | [binary]

  @typedoc "What is sent to a client; `:lent` has parts in a place, and is there without as well."
  @type sendable :: inline | {:lent, SharedMemory.place(), lent :: [binary], inline}

  @typep part :: binary | {:large, 0..3, header :: binary, head :: iodata, data :: iodata}

  @doc """
  The body of a call of a tool. Small parts are put together here rather than in the client; large
  binaries stay uncopied.
  """
  @spec encode(Bridge.tool(), Bridge.args(), keyword) :: {:ok, t} | {:error, Error.t()}
  def encode(tool, args, opts) do
    name = to_string(tool)

    case params(args) do
      {:ok, params} ->
        with {:ok, options} <- options(opts), do: {:ok, join(name, params, options)}

      {:parts, parts} ->
        with {:ok, options} <- options(opts) do
          body = {:large, flatten([Msgpack.encode!(name), parts]), options}
          # what the client's process is asked itself
          {:ok, if(String.starts_with?(name, "$/"), do: inline(body), else: body)}
        end

      {:error, error} ->
        {:error, error}
    end
  end

  defp join(name, params, options) do
    call = [Msgpack.encode!(name) | params]

    if :erlang.iolist_size(call) <= @small_bytes,
      do: :erlang.iolist_to_binary([call, options]),
      # the options are the last part, whole
      else: :erlang.iolist_to_iovec(call) ++ [options]
  end

  # Binaries, and large parts by themselves.
  defp flatten(parts) do
    parts
    |> flatten([])
    |> Enum.chunk_by(&is_tuple/1)
    |> Enum.flat_map(fn
      [large | _] = chunk when is_tuple(large) -> chunk
      # reversed so far, like all of them
      chunk -> [chunk |> Enum.reverse() |> IO.iodata_to_binary()]
    end)
    |> Enum.reverse()
  end

  defp flatten([], acc), do: acc
  defp flatten([head | tail], acc), do: flatten(tail, flatten(head, acc))
  defp flatten(part, acc), do: [part | acc]

  @doc "The body with everything in it."
  @spec inline(t) :: inline
  def inline({:large, parts, options}) do
    inline = for part <- parts, do: inline_part(part)
    :erlang.iolist_to_iovec(inline) ++ [options]
  end

  def inline(body), do: body

  defp inline_part({:large, _kind, header, head, data}), do: [header, head | data]
  defp inline_part(binary), do: binary

  @doc """
  The body with references in the place of parts of at least so many bytes; these parts, each with its
  offset; and how many bytes the place must have, 0 if there is no such part.
  """
  @spec lend({:large, [part], binary}, least :: pos_integer) ::
          {[binary], [{non_neg_integer, iodata}], non_neg_integer}
  def lend({:large, parts, options}, least) do
    {lent, {placed, size}} =
      Enum.map_reduce(parts, {[], 0}, fn
        {:large, kind, _header, head, data} = part, {placed, size} ->
          length = :erlang.iolist_size(data)

          if length >= least do
            offset = div(size + @aligned - 1, @aligned) * @aligned
            head = IO.iodata_to_binary(head)
            reference = <<kind, offset::64, length::64, head::binary>>
            header = <<0xC8, byte_size(reference)::16, 5>>
            {[header, reference], {[{offset, data} | placed], offset + length}}
          else
            {inline_part(part), {placed, size}}
          end

        binary, acc ->
          {binary, acc}
      end)

    {:erlang.iolist_to_iovec(lent) ++ [options], placed, size}
  end

  @doc "How many bytes a body has with everything in it."
  @spec size(t) :: non_neg_integer
  def size(body), do: body |> inline() |> :erlang.iolist_size()

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

  def shorten({:large, parts, options}, ms), do: {:large, parts, shorten(options, ms)}
  def shorten(body, ms) when is_list(body), do: List.update_at(body, -1, &shorten(&1, ms))

  def shorten(body, ms) do
    before = binary_part(body, 0, byte_size(body) - 4)
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
      Msgpack.encode_parts(named, "args")
    end
  end

  defp params(args) when is_map(args) and not is_struct(args),
    do: Msgpack.encode_parts(args, "args")

  defp params(args) do
    raise ArgumentError, "expected arguments in a list or a map, got: #{inspect(args)}"
  end

  # `[{:bytes, data}]` is also the keyword list `[bytes: data]`.
  defp by_name?(args) do
    Keyword.keyword?(args) and Enum.any?(args, fn {name, _value} -> name != :bytes end)
  end
end
