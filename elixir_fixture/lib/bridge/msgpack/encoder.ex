defmodule Bridge.Msgpack.Encoder do
  @moduledoc false

  # From terms to MessagePack. Pure functions.
  #
  # `path` is how many more levels there may be, and the keys that lead to the value's container,
  # innermost first. A scalar costs no path: its own `key` is put in front only when it is refused.

  alias Bridge.Msgpack.{Extension, Structs}
  alias Bridge.{Table, Tensor}

  @nan 0x7FF8_0000_0000_0000
  @infinity 0x7FF0_0000_0000_0000
  @neg_infinity 0xFFF0_0000_0000_0000

  # Each takes a byte at least, and no message has more bytes by default.
  @max_range 64 * 1024 * 1024

  # What is smaller never goes through shared memory, so that nobody has to find it.
  @large_bytes 65_536

  # Under which a process that encodes notes whether large parts are to stand by themselves.
  @parts :"$bridge_parts"

  @typedoc """
  iodata in which a large part stands by itself: `kind` is 0 for bytes, 1 for text, 2 for a tensor, 3 for
  a table; `header` what is in front of `head` and `data` in MessagePack.
  """
  @type parts ::
          binary
          | {:large, kind :: 0..3, header :: binary, head :: iodata, data :: iodata}
          | maybe_improper_list

  @typep path :: {non_neg_integer, [term]}

  @doc """
  Encodes a term of at most `max_depth` levels, or says where it cannot be and why not.

  `name` is what the term is called there.
  """
  @spec encode(term, String.t(), pos_integer) :: {:ok, iodata} | {:error, String.t()}
  def encode(term, name, max_depth) do
    case pack(term, name, {max_depth, []}) do
      # by itself it is no iodata
      byte when is_integer(byte) -> {:ok, [byte]}
      iodata -> {:ok, iodata}
    end
  catch
    {:cannot_encode, keys, reason} -> {:error, "#{keys |> Enum.reverse() |> place()} #{reason}"}
  end

  @doc "The same; `:parts` if there are large parts, which stand by themselves."
  @spec encode_parts(term, String.t(), pos_integer) ::
          {:ok, iodata} | {:parts, parts} | {:error, String.t()}
  def encode_parts(term, name, max_depth) do
    Process.put(@parts, :wanted)

    with {:ok, iodata} <- encode(term, name, max_depth) do
      if Process.get(@parts) == :found, do: {:parts, iodata}, else: {:ok, iodata}
    end
  after
    Process.delete(@parts)
  end

  # A part that goes through shared memory if there is room.
  defp part(kind, size, header, head, data) when size >= @large_bytes do
    if Process.get(@parts) do
      Process.put(@parts, :found)
      {:large, kind, header, head, data}
    else
      part(kind, 0, header, head, data)
    end
  end

  defp part(_kind, _size, header, [], data), do: [header, data]
  defp part(_kind, _size, header, head, data), do: [header, head | data]

  @doc """
  Whether a list is a keyword list that gives things by name.

  `[{:bytes, data}]` is also the keyword list `[bytes: data]`, and taken for a list of bytes.
  """
  @spec by_name?(term) :: boolean
  def by_name?(list) do
    Keyword.keyword?(list) and Enum.any?(list, fn {name, _value} -> name != :bytes end)
  end

  defp pack(value, key, path) when is_integer(value), do: integer(value, key, path)

  defp pack(value, key, path) when is_binary(value) do
    if String.valid?(value), do: text(value, key, path), else: bytes(value, key, path)
  end

  defp pack(nil, _key, _path), do: 0xC0
  defp pack(false, _key, _path), do: 0xC2
  defp pack(true, _key, _path), do: 0xC3
  defp pack(:nan, _key, _path), do: <<0xCB, @nan::64>>
  defp pack(:infinity, _key, _path), do: <<0xCB, @infinity::64>>
  defp pack(:neg_infinity, _key, _path), do: <<0xCB, @neg_infinity::64>>

  defp pack(value, key, path) when is_atom(value), do: text(Atom.to_string(value), key, path)
  defp pack(value, _key, _path) when is_float(value), do: <<0xCB, value::float-64>>

  defp pack([{name, _} | _] = value, key, path) when is_atom(name) do
    if by_name?(value), do: named(value, key, path), else: array(value, key, path)
  end

  defp pack(value, key, path) when is_list(value), do: array(value, key, path)

  defp pack(%DateTime{} = value, key, path) do
    value |> convert(&Extension.encode/1, key, path) |> extension(key, path)
  end

  defp pack(%module{} = value, key, path) when module in [Date, Time, NaiveDateTime] do
    value |> convert(&module.to_iso8601/1, key, path) |> text(key, path)
  end

  defp pack(%Tensor{} = value, key, path) do
    value |> convert(&Extension.encode/1, key, path) |> extension(key, path)
  end

  # That of millions of numbers would take the memory of all, and longer than any timeout.
  defp pack(%Range{} = value, key, path) do
    size = convert(value, &Range.size/1, key, path)
    if size > @max_range, do: refuse(key, path, "is a range of #{size} numbers, too many")
    pack(Enum.to_list(value), key, path)
  end

  defp pack(%MapSet{} = value, key, path) do
    value |> convert(&Enum.to_list/1, key, path) |> pack(key, path)
  end

  defp pack(%Table{} = value, key, path) do
    value |> convert(&Extension.encode/1, key, path) |> extension(key, path)
  end

  defp pack(%module{} = value, key, path) do
    # applied, as a compiler that sees no implementation yet takes this for nil
    case apply(Bridge.Encoder, :impl_for, [value]) do
      nil -> package(Structs.form(module), value, key, path)
      impl -> own(&impl.encode/1, value, key, path)
    end
  end

  defp pack(value, key, path) when is_map(value) do
    path = enter(key, path)
    [map_header(value, path) | pairs(:maps.to_list(value), value, path)]
  end

  defp pack({:bytes, iodata}, key, path), do: bytes(iodata, key, path)

  defp pack(value, key, path) when is_tuple(value), do: array(Tuple.to_list(value), key, path)

  defp pack(value, key, path) do
    refuse(key, path, "is a #{kind(value)}, which cannot be encoded: #{inspect(value)}")
  end

  # A struct may have been made, or changed, without its module.
  defp convert(%module{} = value, function, key, path) do
    function.(value)
  rescue
    error -> refuse(key, path, "is no #{inspect(module)}: #{Exception.message(error)}")
  end

  defp package(nil, %module{}, key, path) do
    refuse(key, path, "is a %#{inspect(module)}{}; #{Structs.remedy(module)}")
  end

  # `Decimal` and others that are text
  defp package(:text, value, key, path) do
    value |> convert(&to_string/1, key, path) |> text(key, path)
  end

  defp package(form, value, key, path), do: own(form, value, key, path)

  # What stands in a struct's place is one level deeper, so that one that stands in its own has an end.
  defp own(_encode, _value, key, {0, keys}) do
    name = List.last([key | keys])
    stop({0, [name]}, "has structs that Bridge.Encoder makes structs of without end")
  end

  defp own(encode, %module{} = value, key, {room, keys} = path) do
    case attempt(encode, value) do
      {:ok, term} ->
        pack(term, key, {room - 1, keys})

      {:error, reason} ->
        refuse(key, path, "is a %#{inspect(module)}{} that cannot be encoded: #{reason}")
    end
  end

  # What is encoded meanwhile is another's.
  defp attempt(encode, value) do
    parts = Process.delete(@parts)
    result = {:ok, encode.(value)}
    if parts, do: Process.put(@parts, parts)
    result
  rescue
    error -> {:error, Exception.message(error)}
  catch
    kind, reason -> {:error, "#{kind} #{inspect(reason)}"}
  end

  defp array(value, key, path) do
    path = enter(key, path)
    [array_header(value, path) | elements(value, 0, path)]
  end

  # A keyword list is a map, in the order of its names.
  defp named(value, key, path) do
    map = Map.new(value)

    if map_size(map) < length(value) do
      twice = hd(Keyword.keys(value) -- Map.keys(map))
      refuse(key, path, "is a keyword list that has the name #{inspect(twice)} twice")
    end

    path = enter(key, path)
    [map_header(map, path) | pairs(value, map, path)]
  end

  defp elements([], _index, _path), do: []

  defp elements([value | rest], index, path) do
    [pack(value, index, path) | elements(rest, index + 1, path)]
  end

  defp pairs([], _map, _path), do: []

  defp pairs([{key, value} | rest], map, path) do
    [map_key(key, map, path), pack(value, key, path) | pairs(rest, map, path)]
  end

  # Of two keys that are one to Python, at least one is neither a binary nor an integer. So these
  # cost nothing; each of the others looks for the keys that it may equal.
  defp map_key(key, _map, path) when is_integer(key), do: pack(key, key, path)

  defp map_key(key, _map, path) when is_binary(key) and byte_size(key) < @large_bytes,
    do: pack(key, key, path)

  defp map_key(key, _map, path) when is_binary(key), do: whole(key, path)
  defp map_key(nil, _map, path), do: pack(nil, nil, path)

  defp map_key(key, map, path) when is_float(key) or is_boolean(key) do
    refuse_any(equal_numbers(key), key, map, path)
    pack(key, key, path)
  end

  defp map_key(key, map, path) when is_atom(key) do
    name = Atom.to_string(key)
    if is_map_key(map, name), do: refuse_pair(key, name, path)
    text(name, key, path)
  end

  defp map_key({:bytes, iodata} = key, map, path) do
    packed = whole(key, path)
    refuse_any(equal_bytes(IO.iodata_to_binary(iodata)), key, map, path)
    packed
  end

  defp map_key(key, _map, path) do
    stop(path, "has the key #{inspect(key)}; keys are text, bytes, numbers, booleans or nil")
  end

  # A key never stands by itself.
  defp whole(key, path) do
    parts = Process.delete(@parts)
    packed = pack(key, key, path)
    if parts, do: Process.put(@parts, parts)
    packed
  end

  defp refuse_any(equal_keys, key, map, path) do
    # before OTP 27, 0.0 and -0.0 are one key here too
    for other <- equal_keys, other !== key, is_map_key(map, other) do
      refuse_pair(key, other, path)
    end
  end

  @spec refuse_pair(term, term, path) :: no_return
  defp refuse_pair(key, other, path) do
    stop(path, "has the keys #{inspect(key)} and #{inspect(other)}, which are one key in Python")
  end

  defp equal_numbers(key) when key == 0 or key == false, do: [0, 0.0, -0.0, false]
  defp equal_numbers(key) when key == 1 or key == true, do: [1, 1.0, true]
  defp equal_numbers(key) when key == trunc(key), do: [trunc(key)]
  defp equal_numbers(_fraction), do: []

  defp equal_bytes(data) do
    if String.valid?(data), do: [{:bytes, data}], else: [{:bytes, data}, data]
  end

  # A byte is cheaper than a binary of one, of which most messages have many.
  defp integer(n, _key, _path) when n in 0..0x7F, do: n
  defp integer(n, _key, _path) when n in 0..0xFF, do: <<0xCC, n>>
  defp integer(n, _key, _path) when n in 0..0xFFFF, do: <<0xCD, n::16>>
  defp integer(n, _key, _path) when n in 0..0xFFFF_FFFF, do: <<0xCE, n::32>>
  defp integer(n, _key, _path) when n in 0..0xFFFF_FFFF_FFFF_FFFF, do: <<0xCF, n::64>>
  defp integer(n, _key, _path) when n in -0x20..-1, do: 0x100 + n
  defp integer(n, _key, _path) when n in -0x80..-1, do: <<0xD0, n>>
  defp integer(n, _key, _path) when n in -0x8000..-1, do: <<0xD1, n::16>>
  defp integer(n, _key, _path) when n in -0x8000_0000..-1, do: <<0xD2, n::32>>
  defp integer(n, _key, _path) when n in -0x8000_0000_0000_0000..-1, do: <<0xD3, n::64>>

  defp integer(n, key, path), do: extension(Extension.encode(n), key, path)

  defp text(text, _key, _path) when byte_size(text) < 0x20, do: [0xA0 + byte_size(text), text]

  defp text(text, key, path) do
    case byte_size(text) do
      size when size <= 0xFF -> [<<0xD9, size>>, text]
      size when size <= 0xFFFF -> [<<0xDA, size::16>>, text]
      size when size <= 0xFFFF_FFFF -> part(1, size, <<0xDB, size::32>>, [], text)
      size -> refuse(key, path, "has #{size} bytes, too many")
    end
  end

  defp bytes(iodata, key, path) do
    case iodata_length(iodata) do
      size when size <= 0xFF -> [<<0xC4, size>>, iodata]
      size when size <= 0xFFFF -> [<<0xC5, size::16>>, iodata]
      size when size <= 0xFFFF_FFFF -> part(0, size, <<0xC6, size::32>>, [], iodata)
      :error -> refuse(key, path, "is {:bytes, ...} around what is no iodata")
      size -> refuse(key, path, "has #{size} bytes, too many")
    end
  end

  defp iodata_length(iodata) do
    IO.iodata_length(iodata)
  rescue
    ArgumentError -> :error
  end

  # A guard that asks an improper list for its length fails; so such a list meets the last clause.
  defp array_header(list, _path) when length(list) <= 0xF, do: 0x90 + length(list)
  defp array_header(list, _path) when length(list) <= 0xFFFF, do: <<0xDC, length(list)::16>>
  defp array_header(list, _path) when length(list) <= 0xFFFF_FFFF, do: <<0xDD, length(list)::32>>
  defp array_header(_list, path), do: stop(path, "is an improper list")

  defp map_header(map, _path) when map_size(map) <= 0xF, do: 0x80 + map_size(map)
  defp map_header(map, _path) when map_size(map) <= 0xFFFF, do: <<0xDE, map_size(map)::16>>
  defp map_header(map, _path), do: <<0xDF, map_size(map)::32>>

  defp extension({:error, reason}, key, path), do: refuse(key, path, reason)

  defp extension({type, payload}, key, path) do
    case IO.iodata_length(payload) do
      size when size <= 0xFFFF_FFFF -> extension_part(type, size, payload)
      size -> refuse(key, path, "has #{size} bytes, too many")
    end
  end

  # Of a tensor, name, rank and shape come before the elements.
  defp extension_part(2, size, [name, rank, dimensions | data]) when size >= @large_bytes,
    do: part(2, size, extension_header(2, size), [name, rank | dimensions], data)

  defp extension_part(3, size, payload),
    do: part(3, size, extension_header(3, size), [], payload)

  defp extension_part(type, size, payload), do: [extension_header(type, size), payload]

  defp extension_header(type, 1), do: <<0xD4, type>>
  defp extension_header(type, 2), do: <<0xD5, type>>
  defp extension_header(type, 4), do: <<0xD6, type>>
  defp extension_header(type, 8), do: <<0xD7, type>>
  defp extension_header(type, 16), do: <<0xD8, type>>
  defp extension_header(type, size) when size <= 0xFF, do: <<0xC7, size, type>>
  defp extension_header(type, size) when size <= 0xFFFF, do: <<0xC8, size::16, type>>
  defp extension_header(type, size), do: <<0xC9, size::32, type>>

  defp enter(key, {room, keys}) when room > 0, do: {room - 1, [key | keys]}

  defp enter(key, {0, keys}) do
    name = List.last([key | keys])
    stop({0, [name]}, "is nested more than #{length(keys)} levels deep")
  end

  @spec refuse(term, path, String.t()) :: no_return
  defp refuse(key, {room, keys}, reason), do: stop({room, [key | keys]}, reason)

  @spec stop(path, String.t()) :: no_return
  defp stop({_room, keys}, reason), do: throw({:cannot_encode, keys, reason})

  defp place([name | path]), do: IO.iodata_to_binary([name | Enum.map(path, &step/1)])

  defp step(key) when is_atom(key), do: ".#{key}"

  defp step(key) do
    # a regular expression raises on what is no text
    word? = is_binary(key) and String.valid?(key) and key =~ ~r/^\w+$/u
    if word?, do: ".#{key}", else: "[#{inspect(key)}]"
  end

  defp kind(value) when is_function(value), do: "function"
  defp kind(value) when is_pid(value), do: "pid"
  defp kind(value) when is_port(value), do: "port"
  defp kind(value) when is_reference(value), do: "reference"
  defp kind(value) when is_bitstring(value), do: "bitstring"
end
