defmodule Bridge.Test.HTTP2.HPACK do
  @moduledoc """
  HPACK, the compression of header fields in HTTP/2 (RFC 7541). Pure functions, no process.

  The decoder is complete, since the peer chooses what it sends. Its state, the dynamic table,
  belongs to a connection and goes from one header block to the next. The encoder writes every
  field out (section 6.2.2, literal without indexing) and therefore has no state: a test client
  saves no bytes.
  """

  import Bitwise

  alias Bridge.Test.HTTP2.Huffman

  # The size that both sides assume until a setting says otherwise.
  @default_size 4096

  # Each entry costs this much besides its text (section 4.1).
  @entry_overhead 32

  # Four bytes of an integer are 28 bits. No length or index in a frame needs more.
  @max_shift 21

  # Newest first, so the list's order is the index's.
  defstruct entries: [], size: 0, max_size: @default_size, limit: @default_size

  @type field :: {name :: String.t(), value :: String.t()}

  @type t :: %__MODULE__{
          entries: [field],
          size: non_neg_integer,
          max_size: non_neg_integer,
          limit: non_neg_integer
        }

  # Appendix A: name, then the values it is listed with.
  @static_table [
                  ":authority",
                  {":method", ["GET", "POST"]},
                  {":path", ["/", "/index.html"]},
                  {":scheme", ["http", "https"]},
                  {":status", ["200", "204", "206", "304", "400", "404", "500"]},
                  "accept-charset",
                  {"accept-encoding", ["gzip, deflate"]},
                  ~w(accept-language accept-ranges accept access-control-allow-origin age allow
                     authorization cache-control content-disposition content-encoding
                     content-language content-length content-location content-range content-type
                     cookie date etag expect expires from host if-match if-modified-since
                     if-none-match if-range if-unmodified-since last-modified link location
                     max-forwards proxy-authenticate proxy-authorization range referer refresh
                     retry-after server set-cookie strict-transport-security transfer-encoding
                     user-agent vary via www-authenticate)
                ]
                |> List.flatten()
                |> Enum.flat_map(fn
                  {name, values} -> Enum.map(values, &{name, &1})
                  name -> [{name, ""}]
                end)
                |> List.to_tuple()

  @doc """
  An empty dynamic table. `limit` is what we have told the peer in SETTINGS_HEADER_TABLE_SIZE.
  """
  @spec new(non_neg_integer) :: t
  def new(limit \\ @default_size), do: %__MODULE__{max_size: limit, limit: limit}

  @doc """
  Encodes header fields.

      iex> IO.iodata_to_binary(Bridge.Test.HTTP2.HPACK.encode([{":path", "/sample/path"}]))
      <<0, 5, ":path", 12, "/sample/path">>

  """
  @spec encode([field]) :: iodata
  def encode(fields) do
    for {name, value} <- fields, do: [0b0000_0000, string(name), string(value)]
  end

  @doc """
  Decodes one complete header block.

  After an error the connection is lost (section 2.2), since the tables of both sides differ.

      iex> alias Bridge.Test.HTTP2.HPACK
      iex> {:ok, fields, _table} = HPACK.decode(<<0x82, 0x84>>, HPACK.new())
      iex> fields
      [{":method", "GET"}, {":path", "/"}]

  """
  @spec decode(binary, t) :: {:ok, [field], t} | {:error, String.t()}
  def decode(block, table) do
    {block, table} = size_updates(block, table)
    fields(block, table, [])
  catch
    {:malformed, reason} -> {:error, reason}
  end

  ## Representations (section 6)

  # Only the beginning of a block may change the table's size (section 4.2).
  defp size_updates(<<0b001::3, rest::bits>>, table) do
    case integer(rest, 5) do
      {size, rest} when size <= table.limit ->
        size_updates(rest, evict(%{table | max_size: size}))

      {size, _rest} ->
        malformed("a table of #{size} bytes, where #{table.limit} are allowed")
    end
  end

  defp size_updates(block, table), do: {block, table}

  defp fields(<<>>, table, fields), do: {:ok, Enum.reverse(fields), table}

  # indexed
  defp fields(<<1::1, rest::bits>>, table, fields) do
    {index, rest} = integer(rest, 7)
    fields(rest, table, [fetch(table, index) | fields])
  end

  # literal, to be added to the table
  defp fields(<<0b01::2, rest::bits>>, table, fields) do
    {field, rest} = literal(rest, 6, table)
    fields(rest, insert(table, field), [field | fields])
  end

  # literal, not to be added now, or never
  defp fields(<<0b000::3, _never::1, rest::bits>>, table, fields) do
    {field, rest} = literal(rest, 4, table)
    fields(rest, table, [field | fields])
  end

  defp fields(_block, _table, _fields), do: malformed("a size update behind a field")

  # A name is given by its index, or written out behind index 0.
  defp literal(bits, prefix, table) do
    {name, rest} =
      case integer(bits, prefix) do
        {0, rest} -> string_at(rest)
        {index, rest} -> {table |> fetch(index) |> elem(0), rest}
      end

    {value, rest} = string_at(rest)
    {{name, value}, rest}
  end

  ## Tables (sections 2.3 and 4)

  defp fetch(_table, index) when index in 1..tuple_size(@static_table)//1 do
    elem(@static_table, index - 1)
  end

  defp fetch(table, index) do
    place = index - tuple_size(@static_table) - 1
    entry = if place >= 0, do: Enum.at(table.entries, place)
    entry || malformed("no table has an entry #{index}")
  end

  # An entry larger than the whole table empties it, and is not an error.
  defp insert(table, field) do
    evict(%{table | entries: [field | table.entries], size: table.size + entry_size(field)})
  end

  defp evict(%{size: size, max_size: max_size} = table) when size <= max_size, do: table

  defp evict(table) do
    {oldest, entries} = List.pop_at(table.entries, -1)
    evict(%{table | entries: entries, size: table.size - entry_size(oldest)})
  end

  defp entry_size({name, value}), do: byte_size(name) + byte_size(value) + @entry_overhead

  ## Primitives (section 5)

  defp integer(bits, prefix) do
    full = (1 <<< prefix) - 1

    case bits do
      <<^full::size(prefix), rest::binary>> -> continued(rest, full, 0)
      <<value::size(prefix), rest::binary>> -> {value, rest}
    end
  end

  defp continued(<<more::1, part::7, rest::binary>>, value, shift) when shift <= @max_shift do
    value = value + (part <<< shift)
    if more == 1, do: continued(rest, value, shift + 7), else: {value, rest}
  end

  defp continued(<<>>, _value, _shift), do: malformed("cut short in an integer")
  defp continued(_rest, _value, _shift), do: malformed("an integer beyond every frame")

  defp string_at(<<huffman::1, rest::bits>>) do
    {size, rest} = integer(rest, 7)
    if size > byte_size(rest), do: malformed("cut short in a string of #{size} bytes")
    <<text::binary-size(size), rest::binary>> = rest
    {if(huffman == 1, do: expand(text), else: text), rest}
  end

  defp string_at(<<>>), do: malformed("cut short before a string")

  defp expand(code) do
    case Huffman.decode(code) do
      {:ok, text} -> text
      :error -> malformed("what is no Huffman code")
    end
  end

  defp string(text) when byte_size(text) < 0x7F, do: [byte_size(text), text]
  defp string(text), do: [0x7F, continuation(byte_size(text) - 0x7F), text]

  defp continuation(n) when n < 0x80, do: [n]
  defp continuation(n), do: [0x80 ||| (n &&& 0x7F) | continuation(n >>> 7)]

  @spec malformed(String.t()) :: no_return
  defp malformed(reason), do: throw({:malformed, "HPACK: " <> reason})
end
