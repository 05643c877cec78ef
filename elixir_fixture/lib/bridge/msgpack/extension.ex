defmodule Bridge.Msgpack.Extension do
  @moduledoc false

  # The extension types of the bridge, in both directions. Pure functions.

  alias Bridge.{Table, Tensor}

  @timestamp -1
  @integer 1
  @tensor 2
  @table 3

  # Larger integers than the runtime allows must not get as far as the conversion.
  @max_integer_bytes 0x7_FFFF

  @epoch ~U[1970-01-01 00:00:00Z]

  @doc "The type of a value and its payload, or what is wrong with the value."
  @spec encode(integer | DateTime.t() | Tensor.t() | Table.t()) ::
          {integer, iodata} | {:error, String.t()}
  def encode(n) when is_integer(n) do
    sign = if n < 0, do: 1, else: 0
    {@integer, [sign, :binary.encode_unsigned(abs(n))]}
  end

  # Whole seconds of the next 80 years take 4 bytes, other times until the year 2514 take 8.
  def encode(%DateTime{} = time) do
    microseconds = DateTime.diff(time, @epoch, :microsecond)
    seconds = Integer.floor_div(microseconds, 1_000_000)
    nanoseconds = Integer.mod(microseconds, 1_000_000) * 1000

    cond do
      nanoseconds == 0 and seconds in 0..0xFFFF_FFFF -> {@timestamp, <<seconds::32>>}
      seconds in 0..0x3_FFFF_FFFF -> {@timestamp, <<nanoseconds::30, seconds::34>>}
      true -> {@timestamp, <<nanoseconds::32, seconds::signed-64>>}
    end
  end

  def encode(%Tensor{} = tensor) do
    case Tensor.encode(tensor) do
      {:ok, payload} -> {@tensor, payload}
      {:error, reason} -> {:error, "is not a tensor: #{reason}"}
    end
  end

  def encode(%Table{ipc: ipc}) do
    case Table.check(ipc) do
      :ok -> {@table, ipc}
      {:error, reason} -> {:error, "is not a table: #{reason}"}
    end
  end

  @doc "The value of a type and its payload, or what is wrong with them."
  @spec decode(integer, binary) :: {:ok, term} | {:error, String.t()}
  def decode(@timestamp, <<s::32>>), do: time(s, 0)
  def decode(@timestamp, <<ns::30, s::34>>), do: time(s, ns)
  def decode(@timestamp, <<ns::32, s::signed-64>>), do: time(s, ns)

  def decode(@integer, <<sign, first, _::binary>> = data)
      when sign in [0, 1] and first != 0 and byte_size(data) <= @max_integer_bytes do
    <<_sign, magnitude::binary>> = data
    n = :binary.decode_unsigned(magnitude)
    {:ok, if(sign == 0, do: n, else: -n)}
  end

  def decode(@tensor, data), do: Tensor.decode(data)
  def decode(@table, data), do: {:ok, %Table{ipc: data}}

  def decode(type, data) do
    {:error, "extension type #{type} with #{byte_size(data)} bytes, unknown or malformed"}
  end

  @doc """
  The value that a reference stands for. Of the data it refers to, a part of at most `small` bytes is
  copied.
  """
  @spec resolve(reference :: binary, data :: binary, small :: integer) ::
          {:ok, term} | {:error, String.t()}
  def resolve(<<kind, offset::64, length::64, head::binary>>, data, small)
      when offset + length <= byte_size(data) do
    part = binary_part(data, offset, length)
    refer(kind, head, if(length > small, do: part, else: :binary.copy(part)))
  end

  def resolve(_reference, data, _small) do
    {:error, "a reference that is malformed, or leads out of #{byte_size(data)} bytes"}
  end

  defp refer(kind, _head, part) when kind in [0, 1], do: {:ok, part}
  defp refer(2, head, part), do: Tensor.decode(head, part)
  defp refer(3, _head, part), do: {:ok, %Table{ipc: part}}
  defp refer(kind, _head, _part), do: {:error, "a reference of the unknown kind #{kind}"}

  defp time(seconds, nanoseconds) when nanoseconds < 1_000_000_000 do
    case DateTime.from_unix(seconds * 1_000_000 + div(nanoseconds, 1000), :microsecond) do
      {:ok, time} -> {:ok, time}
      {:error, _reason} -> {:error, "a time #{seconds} seconds after 1970, which is out of range"}
    end
  end

  defp time(_seconds, nanoseconds), do: {:error, "#{nanoseconds} nanoseconds, over a second"}
end
