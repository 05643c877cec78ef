defmodule Bridge.Msgpack.Decoder do
  @moduledoc false

  # From MessagePack to terms. Pure functions; no atom is made of what arrives.
  #
  # `value` reads one value and hands it to `next`, which puts it into the innermost open container
  # of `stack` and reads on. Every call is a tail call: no input can exhaust the VM's stack, and the
  # binary is matched in one go. `room` is how many more levels there may be.
  #
  # A part of a binary keeps all of it in memory. So parts of at most `small` bytes are copied: what is
  # kept of a large frame holds no more than a few times its own size. With data that came through shared
  # memory it is `{data}` instead, and all parts of the frame are copied.
  #
  # The outermost of `stack` has the decoders, which are looked for when a named object is there. What
  # such a function makes stands in the place of the map that brought it.

  alias Bridge.Msgpack.Extension

  # Parts of shorter frames are not copied, nor those that are more than this share of their frame.
  @large_bytes 65_536
  @share 8

  @typedoc "Functions by the name of the Python class of whose objects they make a term."
  @type decoders :: %{optional(String.t()) => (term -> term)}

  # The extension type of such a name.
  @name 4

  @doc """
  Decodes a binary that holds exactly one value of at most `max_depth` levels, or says why it does
  not and at which byte. What a decoder raises is told with its name.
  """
  @spec decode(binary, pos_integer, decoders) ::
          {:ok, term}
          | {:error, reason :: String.t(), place :: non_neg_integer}
          | {:raised, name :: String.t(), Exception.t()}
  def decode(binary, max_depth, decoders) do
    size = byte_size(binary)
    small = if size >= @large_bytes, do: div(size, @share), else: -1
    decode(binary, size, max_depth, small, decoders)
  end

  @doc "The same with references into data that came through shared memory."
  @spec decode_lent(binary, pos_integer, data :: binary, decoders) ::
          {:ok, term}
          | {:error, reason :: String.t(), place :: non_neg_integer}
          | {:raised, name :: String.t(), Exception.t()}
  def decode_lent(binary, max_depth, data, decoders),
    do: decode(binary, byte_size(binary), max_depth, {data}, decoders)

  defp decode(binary, size, max_depth, small, decoders) do
    with {:error, reason, rest} <- value(binary, {:end, decoders}, max_depth, small) do
      {:error, text(reason, max_depth), size - byte_size(rest)}
    end
  end

  defp text(:too_deep, max_depth), do: "more than #{max_depth} levels deep"
  defp text(reason, _max_depth), do: reason

  defp value(<<0::1, n::7, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, n)

  defp value(<<0b101::3, n::5, s::binary-size(n), rest::bits>>, stack, room, small) do
    next(rest, stack, room, small, part(s, small))
  end

  defp value(<<0b1001::4, n::4, rest::bits>>, stack, room, small),
    do: array(rest, n, stack, room, small)

  defp value(<<0b1000::4, n::4, rest::bits>>, stack, room, small),
    do: map(rest, n, stack, room, small)

  defp value(<<0b111::3, n::5, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, n - 32)

  defp value(<<0xC0, rest::bits>>, stack, room, small), do: next(rest, stack, room, small, nil)
  defp value(<<0xC2, rest::bits>>, stack, room, small), do: next(rest, stack, room, small, false)
  defp value(<<0xC3, rest::bits>>, stack, room, small), do: next(rest, stack, room, small, true)

  defp value(<<0xCB, f::float-64, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, f)

  # NaN and the infinities do not match a float.
  defp value(<<0xCB, sign::1, 0x7FF::11, fraction::52, rest::bits>>, stack, room, small) do
    next(rest, stack, room, small, not_finite(sign, fraction))
  end

  defp value(<<0xCC, n, rest::bits>>, stack, room, small), do: next(rest, stack, room, small, n)

  defp value(<<0xCD, n::16, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, n)

  defp value(<<0xCE, n::32, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, n)

  defp value(<<0xCF, n::64, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, n)

  defp value(<<0xD0, n::signed, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, n)

  defp value(<<0xD1, n::signed-16, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, n)

  defp value(<<0xD2, n::signed-32, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, n)

  defp value(<<0xD3, n::signed-64, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, n)

  defp value(<<0xD9, n, s::binary-size(n), rest::bits>>, stack, room, small) do
    next(rest, stack, room, small, part(s, small))
  end

  defp value(<<0xDA, n::16, s::binary-size(n), rest::bits>>, stack, room, small) do
    next(rest, stack, room, small, part(s, small))
  end

  defp value(<<0xDB, n::32, s::binary-size(n), rest::bits>>, stack, room, small) do
    next(rest, stack, room, small, part(s, small))
  end

  defp value(<<0xC4, n, s::binary-size(n), rest::bits>>, stack, room, small) do
    next(rest, stack, room, small, part(s, small))
  end

  defp value(<<0xC5, n::16, s::binary-size(n), rest::bits>>, stack, room, small) do
    next(rest, stack, room, small, part(s, small))
  end

  defp value(<<0xC6, n::32, s::binary-size(n), rest::bits>>, stack, room, small) do
    next(rest, stack, room, small, part(s, small))
  end

  defp value(<<0xDC, n::16, rest::bits>>, stack, room, small),
    do: array(rest, n, stack, room, small)

  defp value(<<0xDD, n::32, rest::bits>>, stack, room, small),
    do: array(rest, n, stack, room, small)

  defp value(<<0xDE, n::16, rest::bits>>, stack, room, small),
    do: map(rest, n, stack, room, small)

  defp value(<<0xDF, n::32, rest::bits>>, stack, room, small),
    do: map(rest, n, stack, room, small)

  defp value(<<0xCA, f::float-32, rest::bits>>, stack, room, small),
    do: next(rest, stack, room, small, f)

  defp value(<<0xCA, sign::1, 0xFF, fraction::23, rest::bits>>, stack, room, small) do
    next(rest, stack, room, small, not_finite(sign, fraction))
  end

  defp value(<<0xD4, type::signed, data::binary-size(1), rest::bits>>, stack, room, small) do
    extension(rest, stack, room, small, type, data)
  end

  defp value(<<0xD5, type::signed, data::binary-size(2), rest::bits>>, stack, room, small) do
    extension(rest, stack, room, small, type, data)
  end

  defp value(<<0xD6, type::signed, data::binary-size(4), rest::bits>>, stack, room, small) do
    extension(rest, stack, room, small, type, data)
  end

  defp value(<<0xD7, type::signed, data::binary-size(8), rest::bits>>, stack, room, small) do
    extension(rest, stack, room, small, type, data)
  end

  defp value(<<0xD8, type::signed, data::binary-size(16), rest::bits>>, stack, room, small) do
    extension(rest, stack, room, small, type, data)
  end

  defp value(<<0xC7, n, type::signed, data::binary-size(n), rest::bits>>, stack, room, small) do
    extension(rest, stack, room, small, type, data)
  end

  defp value(<<0xC8, n::16, type::signed, data::binary-size(n), rest::bits>>, stack, room, small) do
    extension(rest, stack, room, small, type, data)
  end

  defp value(<<0xC9, n::32, type::signed, data::binary-size(n), rest::bits>>, stack, room, small) do
    extension(rest, stack, room, small, type, data)
  end

  defp value(<<0xC1, _::bits>> = rest, _stack, _room, _small) do
    {:error, "0xC1 means nothing", rest}
  end

  defp value(rest, _stack, _room, _small), do: {:error, "cut short", rest}

  defp next(<<rest::bits>>, {:array, 1, values, stack}, room, small, value) do
    next(rest, stack, room + 1, small, :lists.reverse(values, [value]))
  end

  defp next(<<rest::bits>>, {:array, left, values, stack}, room, small, value) do
    value(rest, {:array, left - 1, [value | values], stack}, room, small)
  end

  defp next(<<rest::bits>>, {:key, left, pairs, stack}, room, small, key) do
    value(rest, {:value, key, left, pairs, stack}, room, small)
  end

  defp next(<<rest::bits>>, {:value, key, 1, pairs, stack}, room, small, value) do
    map = :maps.from_list(:lists.reverse(pairs, [{key, value}]))

    # Python has keys that are one here: a text and the bytes of it, or two times within a microsecond
    if map_size(map) == length(pairs) + 1 do
      next(rest, stack, room + 1, small, map)
    else
      {:error, "a map with a key that comes twice", rest}
    end
  end

  defp next(<<rest::bits>>, {:value, key, left, pairs, stack}, room, small, value) do
    value(rest, {:key, left - 1, [{key, value} | pairs], stack}, room, small)
  end

  defp next(<<rest::bits>>, {:named, name, function, stack}, room, small, value) do
    case make(function, value) do
      {:ok, made} -> next(rest, stack, room + 1, small, made)
      {:error, exception} -> {:raised, name, exception}
    end
  end

  defp next(<<>>, {:end, _decoders}, _room, _small, value), do: {:ok, value}

  defp next(<<rest::bits>>, {:end, _decoders}, _room, _small, _value),
    do: {:error, "more than one value", rest}

  defp array(<<rest::bits>>, _n, _stack, 0, _small), do: {:error, :too_deep, rest}
  defp array(<<rest::bits>>, 0, stack, room, small), do: next(rest, stack, room, small, [])

  defp array(<<rest::bits>>, n, stack, room, small) do
    value(rest, {:array, n, [], stack}, room - 1, small)
  end

  defp map(<<rest::bits>>, _n, _stack, 0, _small), do: {:error, :too_deep, rest}
  defp map(<<rest::bits>>, 0, stack, room, small), do: next(rest, stack, room, small, %{})

  defp map(<<rest::bits>>, n, stack, room, small) do
    value(rest, {:key, n, [], stack}, room - 1, small)
  end

  defp extension(<<rest::bits>>, stack, room, {shared} = small, 5, reference) do
    case Extension.resolve(reference, shared, div(byte_size(shared), @share)) do
      {:ok, value} -> next(rest, stack, room, small, value)
      {:error, reason} -> {:error, reason, rest}
    end
  end

  # The one key of a map that stands for an object.
  defp extension(<<rest::bits>>, {:key, 1, [], stack}, room, small, @name, name) do
    case decoders(stack) do
      %{^name => function} ->
        value(rest, {:named, name, function, stack}, room, small)

      _others ->
        {:error, "an object of #{inspect(name)}, for which there is no decoder", rest}
    end
  end

  defp extension(<<rest::bits>>, stack, room, small, type, data) do
    case Extension.decode(type, part(data, small)) do
      {:ok, value} -> next(rest, stack, room, small, value)
      {:error, reason} -> {:error, reason, rest}
    end
  end

  defp decoders({:end, decoders}), do: decoders
  defp decoders(inner), do: inner |> elem(tuple_size(inner) - 1) |> decoders()

  defp make(function, value) do
    {:ok, function.(value)}
  rescue
    exception -> {:error, exception}
  end

  defp part(data, small) when byte_size(data) > small, do: data
  defp part(data, _small), do: :binary.copy(data)

  defp not_finite(0, 0), do: :infinity
  defp not_finite(1, 0), do: :neg_infinity
  defp not_finite(_sign, _fraction), do: :nan
end
