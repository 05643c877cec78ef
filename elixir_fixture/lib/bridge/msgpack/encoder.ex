defmodule Bridge.Msgpack do
  @moduledoc ~S"""
  MessagePack, and the extension types of the bridge. Pure functions, no process.

  | Elixir | on the wire | Python |
  | --- | --- | --- |
  | `nil`, `true`, `false` | nil, boolean | `None`, `True`, `False` |
  | integer of 64 bits | integer | `int` |
  | longer integer | extension 1 | `int` |
  | float | float 64 | `float` |
  | `:nan`, `:infinity`, `:neg_infinity` | float 64 | `nan`, `inf`, `-inf` |
  | binary that is valid UTF-8 | text (`str`) | `str` |
  | other binary, `{:bytes, iodata}` | bytes (`bin`) | `bytes` |
  | list | array | `list` |
  | map | map | `dict` |
  | `DateTime` | extension -1 | aware `datetime` |
  | `Bridge.Tensor` | extension 2 | `numpy.ndarray` |
  | other atom | text | `str` |
  | tuple, `MapSet`, `Range` | array | `list` |
  | `Date`, `Time`, `NaiveDateTime`, `Decimal` | text | `str` |

  The rows above the last three come back as they went, except that bytes come back as a plain
  binary and a `DateTime` in UTC with six digits of a second (Python's finer digits are cut off).

  ## Binaries

  An Elixir binary may be text or bytes, and only its content can tell. So the same argument could
  be `str` on one call and `bytes` on the next. Write `{:bytes, iodata}` for data: Python then
  always gets `bytes`, and megabytes are not searched for invalid UTF-8.

  Decoded binaries and tensors are parts of the decoded frame, not copies, and keep all of it in
  memory. When a small one is to live long, detach it with `:binary.copy/1`.

  ## Maps

  Keys are text, bytes, numbers, booleans or `nil`. Atom keys become text, all but `nil`, `true`
  and `false`, and stay text on the way back: decoding never makes atoms. Decoding takes any key,
  since a Python tuple may be one; it becomes a list.

  Some keys are different here but one to Python: `:a` and `"a"`; `1`, `1.0` and `true`; `0`, `0.0`,
  `-0.0` and `false`; `{:bytes, data}` and the same data as a binary that is not text. A map that
  holds two such keys is refused rather than losing one of them.

  ## What is refused

  Functions, pids, ports, references, bitstrings, improper lists and structs that are not in the
  table cannot be encoded; the error names the place. Nothing may be nested more than 1024
  levels deep, in either direction.
  """

  alias Bridge.{Error, Tensor}

  @max_depth 1024

  # Larger integers than the runtime allows must not get as far as the conversion.
  @max_integer_bytes 0x7_FFFF

  @nan 0x7FF8_0000_0000_0000
  @infinity 0x7FF0_0000_0000_0000
  @neg_infinity 0xFFF0_0000_0000_0000

  @ext_timestamp -1
  @ext_integer 1
  @ext_tensor 2

  @epoch ~U[1970-01-01 00:00:00Z]

  @doc """
  Encodes a term.

  `name` is what the term is called in an error.

      iex> {:ok, iodata} = Bridge.Msgpack.encode(%{"x" => [1, nil]})
      iex> IO.iodata_to_binary(iodata)
      <<0x81, 0xA1, "x", 0x92, 0x01, 0xC0>>

      iex> {:error, error} = Bridge.Msgpack.encode(%{scores: [1, make_ref()]}, "args")
      iex> {error.code, error.message =~ "args.scores[1] is a reference"}
      {:invalid_argument, true}

      iex> {:error, error} = Bridge.Msgpack.encode(%{weights: %{1 => 0.5, 1.0 => 0.7}}, "args")
      iex> error.message
      "args.weights has the keys 1.0 and 1, which are one key in Python"

  """
  @spec encode(term, String.t()) :: {:ok, iodata} | {:error, Error.t()}
  def encode(term, name \\ "value") do
    {:ok, pack(term, name, [])}
  catch
    {:cannot_encode, path, reason} ->
      message = "#{path |> Enum.reverse() |> place()} #{reason}"
      {:error, %Error{code: :invalid_argument, message: message, started: false}}
  end

  @doc """
  Encodes a term, or raises `Bridge.Error`.

      iex> IO.iodata_to_binary(Bridge.Msgpack.encode!([:ok, {:bytes, "raw"}]))
      <<0x92, 0xA2, "ok", 0xC4, 3, "raw">>

  """
  @spec encode!(term, String.t()) :: iodata
  def encode!(term, name \\ "value") do
    case encode(term, name) do
      {:ok, iodata} -> iodata
      {:error, error} -> raise error
    end
  end

  @doc """
  Decodes a binary that holds exactly one value.

      iex> Bridge.Msgpack.decode(<<0x81, 0xA1, "x", 0xCB, 0x7FF8000000000000::64>>)
      {:ok, %{"x" => :nan}}

      iex> {:error, error} = Bridge.Msgpack.decode(<<0x92, 1>>)
      iex> error.message
      "not MessagePack: cut short at byte 2"

  """
  @spec decode(binary) :: {:ok, term} | {:error, Error.t()}
  def decode(binary) when is_binary(binary) do
    case value(binary, :end, @max_depth) do
      {:ok, value} ->
        {:ok, value}

      {:error, reason, rest} ->
        message = "not MessagePack: #{reason} at byte #{byte_size(binary) - byte_size(rest)}"
        {:error, %Error{code: :invalid_argument, message: message}}
    end
  end

  @doc """
  Decodes a binary that holds exactly one value, or raises `Bridge.Error`.

      iex> Bridge.Msgpack.decode!(<<0x93, 0x01, 0xFF, 0xC3>>)
      [1, -1, true]

  """
  @spec decode!(binary) :: term
  def decode!(binary) do
    case decode(binary) do
      {:ok, value} -> value
      {:error, error} -> raise error
    end
  end

  ## Encoding
  #
  # `path` is the list of keys that lead to the value's container, innermost first; its length is
  # the depth. A scalar costs no path: its own `key` is put in front only when it is refused.

  defp pack(value, _key, _path) when is_integer(value), do: integer(value)

  defp pack(value, key, path) when is_binary(value) do
    if String.valid?(value), do: text(value, key, path), else: bytes(value, key, path)
  end

  defp pack(nil, _key, _path), do: <<0xC0>>
  defp pack(false, _key, _path), do: <<0xC2>>
  defp pack(true, _key, _path), do: <<0xC3>>
  defp pack(:nan, _key, _path), do: <<0xCB, @nan::64>>
  defp pack(:infinity, _key, _path), do: <<0xCB, @infinity::64>>
  defp pack(:neg_infinity, _key, _path), do: <<0xCB, @neg_infinity::64>>

  defp pack(value, key, path) when is_atom(value), do: text(Atom.to_string(value), key, path)
  defp pack(value, _key, _path) when is_float(value), do: <<0xCB, value::float-64>>

  defp pack(value, key, path) when is_list(value) do
    path = enter(key, path)
    [array_header(value, path) | elements(value, 0, path)]
  end

  defp pack(%DateTime{} = value, _key, _path), do: timestamp(value)

  defp pack(%module{} = value, key, path) when module in [Date, Time, NaiveDateTime] do
    text(module.to_iso8601(value), key, path)
  end

  defp pack(%Tensor{} = value, key, path) do
    case Tensor.encode(value) do
      {:ok, payload} -> extension(@ext_tensor, payload, key, path)
      {:error, reason} -> refuse(key, path, "is not a tensor: #{reason}")
    end
  end

  defp pack(%module{} = value, key, path) when module in [MapSet, Range] do
    pack(Enum.to_list(value), key, path)
  end

  defp pack(%{__struct__: Decimal} = value, key, path), do: text(to_string(value), key, path)

  defp pack(%module{}, key, path) do
    refuse(key, path, "is a %#{inspect(module)}{}; make it a map first, with Map.from_struct/1")
  end

  defp pack(value, key, path) when is_map(value) do
    path = enter(key, path)
    [map_header(value, path) | pairs(:maps.to_list(value), value, path)]
  end

  defp pack({:bytes, iodata}, key, path), do: bytes(iodata, key, path)

  defp pack(value, key, path) when is_tuple(value), do: pack(Tuple.to_list(value), key, path)

  defp pack(value, key, path) do
    refuse(key, path, "is a #{kind(value)}, which cannot be encoded: #{inspect(value)}")
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
  defp map_key(key, _map, path) when is_binary(key) or is_integer(key), do: pack(key, key, path)
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
    packed = pack(key, key, path)
    refuse_any(equal_bytes(IO.iodata_to_binary(iodata)), key, map, path)
    packed
  end

  defp map_key(key, _map, path) do
    stop(path, "has the key #{inspect(key)}; keys are text, bytes, numbers, booleans or nil")
  end

  defp refuse_any(equal_keys, key, map, path) do
    # before OTP 27, 0.0 and -0.0 are one key here too
    for other <- equal_keys, other !== key, is_map_key(map, other) do
      refuse_pair(key, other, path)
    end
  end

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

  defp integer(n) when n in 0..0x7F, do: <<n>>
  defp integer(n) when n in 0..0xFF, do: <<0xCC, n>>
  defp integer(n) when n in 0..0xFFFF, do: <<0xCD, n::16>>
  defp integer(n) when n in 0..0xFFFF_FFFF, do: <<0xCE, n::32>>
  defp integer(n) when n in 0..0xFFFF_FFFF_FFFF_FFFF, do: <<0xCF, n::64>>
  defp integer(n) when n in -0x20..-1, do: <<n>>
  defp integer(n) when n in -0x80..-1, do: <<0xD0, n>>
  defp integer(n) when n in -0x8000..-1, do: <<0xD1, n::16>>
  defp integer(n) when n in -0x8000_0000..-1, do: <<0xD2, n::32>>
  defp integer(n) when n in -0x8000_0000_0000_0000..-1, do: <<0xD3, n::64>>

  defp integer(n) do
    sign = if n < 0, do: 1, else: 0
    magnitude = :binary.encode_unsigned(abs(n))
    [extension_header(@ext_integer, byte_size(magnitude) + 1), sign | magnitude]
  end

  defp text(text, _key, _path) when byte_size(text) < 0x20 do
    <<0b101::3, byte_size(text)::5, text::binary>>
  end

  defp text(text, key, path) do
    case byte_size(text) do
      size when size <= 0xFF -> [<<0xD9, size>> | text]
      size when size <= 0xFFFF -> [<<0xDA, size::16>> | text]
      size when size <= 0xFFFF_FFFF -> [<<0xDB, size::32>> | text]
      size -> refuse(key, path, "has #{size} bytes, too many")
    end
  end

  defp bytes(iodata, key, path) do
    case iodata_length(iodata) do
      size when size <= 0xFF -> [<<0xC4, size>> | iodata]
      size when size <= 0xFFFF -> [<<0xC5, size::16>> | iodata]
      size when size <= 0xFFFF_FFFF -> [<<0xC6, size::32>> | iodata]
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
  defp array_header(list, _path) when length(list) <= 0xF, do: <<0b1001::4, length(list)::4>>
  defp array_header(list, _path) when length(list) <= 0xFFFF, do: <<0xDC, length(list)::16>>
  defp array_header(list, _path) when length(list) <= 0xFFFF_FFFF, do: <<0xDD, length(list)::32>>
  defp array_header(_list, path), do: stop(path, "is an improper list")

  defp map_header(map, _path) when map_size(map) <= 0xF, do: <<0b1000::4, map_size(map)::4>>
  defp map_header(map, _path) when map_size(map) <= 0xFFFF, do: <<0xDE, map_size(map)::16>>
  defp map_header(map, _path), do: <<0xDF, map_size(map)::32>>

  # Whole seconds of the next 80 years take 4 bytes, other times until the year 2514 take 8.
  defp timestamp(time) do
    microseconds = DateTime.diff(time, @epoch, :microsecond)
    seconds = Integer.floor_div(microseconds, 1_000_000)
    nanoseconds = Integer.mod(microseconds, 1_000_000) * 1000

    payload =
      cond do
        nanoseconds == 0 and seconds in 0..0xFFFF_FFFF -> <<seconds::32>>
        seconds in 0..0x3_FFFF_FFFF -> <<nanoseconds::30, seconds::34>>
        true -> <<nanoseconds::32, seconds::signed-64>>
      end

    [extension_header(@ext_timestamp, byte_size(payload)) | payload]
  end

  defp extension(type, payload, key, path) do
    case IO.iodata_length(payload) do
      size when size <= 0xFFFF_FFFF -> [extension_header(type, size) | payload]
      size -> refuse(key, path, "has #{size} bytes, too many")
    end
  end

  defp extension_header(type, 1), do: <<0xD4, type>>
  defp extension_header(type, 2), do: <<0xD5, type>>
  defp extension_header(type, 4), do: <<0xD6, type>>
  defp extension_header(type, 8), do: <<0xD7, type>>
  defp extension_header(type, 16), do: <<0xD8, type>>
  defp extension_header(type, size) when size <= 0xFF, do: <<0xC7, size, type>>
  defp extension_header(type, size) when size <= 0xFFFF, do: <<0xC8, size::16, type>>
  defp extension_header(type, size), do: <<0xC9, size::32, type>>

  defp enter(key, path) when length(path) < @max_depth, do: [key | path]

  defp enter(key, path) do
    stop([List.last([key | path])], "is nested more than #{@max_depth} levels deep")
  end

  @spec refuse(term, [term], String.t()) :: no_return
  defp refuse(key, path, reason), do: stop([key | path], reason)

  @spec stop([term], String.t()) :: no_return
  defp stop(path, reason), do: throw({:cannot_encode, path, reason})

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

  ## Decoding
  #
  # `value` reads one value and hands it to `next`, which puts it into the innermost open
  # container of `stack` and reads on. Every call is a tail call: no input can exhaust the VM's
  # stack, and the binary is matched in one go.

  defp value(<<0::1, n::7, rest::bits>>, stack, room), do: next(rest, stack, room, n)

  defp value(<<0b101::3, n::5, s::binary-size(n), rest::bits>>, stack, room) do
    next(rest, stack, room, s)
  end

  defp value(<<0b1001::4, n::4, rest::bits>>, stack, room), do: array(rest, n, stack, room)
  defp value(<<0b1000::4, n::4, rest::bits>>, stack, room), do: map(rest, n, stack, room)
  defp value(<<0b111::3, n::5, rest::bits>>, stack, room), do: next(rest, stack, room, n - 32)
  defp value(<<0xC0, rest::bits>>, stack, room), do: next(rest, stack, room, nil)
  defp value(<<0xC2, rest::bits>>, stack, room), do: next(rest, stack, room, false)
  defp value(<<0xC3, rest::bits>>, stack, room), do: next(rest, stack, room, true)
  defp value(<<0xCB, f::float-64, rest::bits>>, stack, room), do: next(rest, stack, room, f)

  # NaN and the infinities do not match a float.
  defp value(<<0xCB, sign::1, 0x7FF::11, fraction::52, rest::bits>>, stack, room) do
    next(rest, stack, room, not_finite(sign, fraction))
  end

  defp value(<<0xCC, n, rest::bits>>, stack, room), do: next(rest, stack, room, n)
  defp value(<<0xCD, n::16, rest::bits>>, stack, room), do: next(rest, stack, room, n)
  defp value(<<0xCE, n::32, rest::bits>>, stack, room), do: next(rest, stack, room, n)
  defp value(<<0xCF, n::64, rest::bits>>, stack, room), do: next(rest, stack, room, n)
  defp value(<<0xD0, n::signed, rest::bits>>, stack, room), do: next(rest, stack, room, n)
  defp value(<<0xD1, n::signed-16, rest::bits>>, stack, room), do: next(rest, stack, room, n)
  defp value(<<0xD2, n::signed-32, rest::bits>>, stack, room), do: next(rest, stack, room, n)
  defp value(<<0xD3, n::signed-64, rest::bits>>, stack, room), do: next(rest, stack, room, n)

  defp value(<<0xD9, n, s::binary-size(n), rest::bits>>, stack, room) do
    next(rest, stack, room, s)
  end

  defp value(<<0xDA, n::16, s::binary-size(n), rest::bits>>, stack, room) do
    next(rest, stack, room, s)
  end

  defp value(<<0xDB, n::32, s::binary-size(n), rest::bits>>, stack, room) do
    next(rest, stack, room, s)
  end

  defp value(<<0xC4, n, s::binary-size(n), rest::bits>>, stack, room) do
    next(rest, stack, room, s)
  end

  defp value(<<0xC5, n::16, s::binary-size(n), rest::bits>>, stack, room) do
    next(rest, stack, room, s)
  end

  defp value(<<0xC6, n::32, s::binary-size(n), rest::bits>>, stack, room) do
    next(rest, stack, room, s)
  end

  defp value(<<0xDC, n::16, rest::bits>>, stack, room), do: array(rest, n, stack, room)
  defp value(<<0xDD, n::32, rest::bits>>, stack, room), do: array(rest, n, stack, room)
  defp value(<<0xDE, n::16, rest::bits>>, stack, room), do: map(rest, n, stack, room)
  defp value(<<0xDF, n::32, rest::bits>>, stack, room), do: map(rest, n, stack, room)

  defp value(<<0xCA, f::float-32, rest::bits>>, stack, room), do: next(rest, stack, room, f)

  defp value(<<0xCA, sign::1, 0xFF, fraction::23, rest::bits>>, stack, room) do
    next(rest, stack, room, not_finite(sign, fraction))
  end

  defp value(<<0xD4, type::signed, data::binary-size(1), rest::bits>>, stack, room) do
    extension(rest, stack, room, type, data)
  end

  defp value(<<0xD5, type::signed, data::binary-size(2), rest::bits>>, stack, room) do
    extension(rest, stack, room, type, data)
  end

  defp value(<<0xD6, type::signed, data::binary-size(4), rest::bits>>, stack, room) do
    extension(rest, stack, room, type, data)
  end

  defp value(<<0xD7, type::signed, data::binary-size(8), rest::bits>>, stack, room) do
    extension(rest, stack, room, type, data)
  end

  defp value(<<0xD8, type::signed, data::binary-size(16), rest::bits>>, stack, room) do
    extension(rest, stack, room, type, data)
  end

  defp value(<<0xC7, n, type::signed, data::binary-size(n), rest::bits>>, stack, room) do
    extension(rest, stack, room, type, data)
  end

  defp value(<<0xC8, n::16, type::signed, data::binary-size(n), rest::bits>>, stack, room) do
    extension(rest, stack, room, type, data)
  end

  defp value(<<0xC9, n::32, type::signed, data::binary-size(n), rest::bits>>, stack, room) do
    extension(rest, stack, room, type, data)
  end

  defp value(<<0xC1, _::bits>> = rest, _stack, _room), do: {:error, "0xC1 means nothing", rest}
  defp value(rest, _stack, _room), do: {:error, "cut short", rest}

  defp next(<<rest::bits>>, {:array, 1, values, stack}, room, value) do
    next(rest, stack, room + 1, :lists.reverse(values, [value]))
  end

  defp next(<<rest::bits>>, {:array, left, values, stack}, room, value) do
    value(rest, {:array, left - 1, [value | values], stack}, room)
  end

  defp next(<<rest::bits>>, {:key, left, pairs, stack}, room, key) do
    value(rest, {:value, key, left, pairs, stack}, room)
  end

  defp next(<<rest::bits>>, {:value, key, 1, pairs, stack}, room, value) do
    next(rest, stack, room + 1, :maps.from_list(:lists.reverse(pairs, [{key, value}])))
  end

  defp next(<<rest::bits>>, {:value, key, left, pairs, stack}, room, value) do
    value(rest, {:key, left - 1, [{key, value} | pairs], stack}, room)
  end

  defp next(<<>>, :end, _room, value), do: {:ok, value}
  defp next(<<rest::bits>>, :end, _room, _value), do: {:error, "more than one value", rest}

  defp array(<<rest::bits>>, _n, _stack, 0), do: {:error, too_deep(), rest}
  defp array(<<rest::bits>>, 0, stack, room), do: next(rest, stack, room, [])
  defp array(<<rest::bits>>, n, stack, room), do: value(rest, {:array, n, [], stack}, room - 1)

  defp map(<<rest::bits>>, _n, _stack, 0), do: {:error, too_deep(), rest}
  defp map(<<rest::bits>>, 0, stack, room), do: next(rest, stack, room, %{})
  defp map(<<rest::bits>>, n, stack, room), do: value(rest, {:key, n, [], stack}, room - 1)

  defp too_deep, do: "more than #{@max_depth} levels deep"

  defp extension(<<rest::bits>>, stack, room, type, data) do
    case extension(type, data) do
      {:ok, value} -> next(rest, stack, room, value)
      {:error, reason} -> {:error, reason, rest}
    end
  end

  defp extension(@ext_timestamp, <<s::32>>), do: time(s, 0)
  defp extension(@ext_timestamp, <<ns::30, s::34>>), do: time(s, ns)
  defp extension(@ext_timestamp, <<ns::32, s::signed-64>>), do: time(s, ns)

  defp extension(@ext_integer, <<sign, first, _::binary>> = data)
       when sign in [0, 1] and first != 0 and byte_size(data) <= @max_integer_bytes do
    <<_sign, magnitude::binary>> = data
    n = :binary.decode_unsigned(magnitude)
    {:ok, if(sign == 0, do: n, else: -n)}
  end

  defp extension(@ext_tensor, data), do: Tensor.decode(data)

  defp extension(type, data) do
    {:error, "extension type #{type} with #{byte_size(data)} bytes, unknown or malformed"}
  end

  defp time(seconds, nanoseconds) when nanoseconds < 1_000_000_000 do
    case DateTime.from_unix(seconds * 1_000_000 + div(nanoseconds, 1000), :microsecond) do
      {:ok, time} -> {:ok, time}
      {:error, _reason} -> {:error, "a time #{seconds} seconds after 1970, which is out of range"}
    end
  end

  defp time(_seconds, nanoseconds), do: {:error, "#{nanoseconds} nanoseconds, over a second"}

  defp not_finite(0, 0), do: :infinity
  defp not_finite(1, 0), do: :neg_infinity
  defp not_finite(_sign, _fraction), do: :nan
end
