defmodule Bridge.Test.HTTP2.Frame do
  @moduledoc """
  The frames of HTTP/2 (RFC 9113, sections 4 and 6). Pure functions, no process.

  A frame is a tuple that begins with its type, then the stream it is about:

    * `{:data, stream, flags, data, padding}` - `padding` counts what came besides `data`, the byte
      that tells its length included; flow control counts it like data
    * `{:headers, stream, flags, fragment}` and `{:continuation, stream, flags, fragment}`
    * `{:rst_stream, stream, error}`
    * `{:settings, :ack}` and `{:settings, [{setting, value}]}`
    * `{:push_promise, stream}` - a client that refuses pushes need not know more
    * `{:ping, :ack | :request, opaque}`
    * `{:goaway, last_stream, error, debug_data}`
    * `{:window_update, stream, increment}` - stream 0 is the connection
    * `{:ignored, type}` - a type that this client has no use for; so is every unknown one

  Flags are a list of `:end_stream` and `:end_headers`. Padding and priority are taken off on the
  way in; on the way out there is no priority. Errors and settings are atoms, unless they are
  unknown: then their numbers.
  """

  @type stream :: non_neg_integer
  @type flag :: :end_stream | :end_headers
  @type error :: atom | non_neg_integer
  @type setting :: atom | non_neg_integer

  @type t ::
          {:data, stream, [flag], iodata, padding :: 0..256}
          | {:headers | :continuation, stream, [flag], iodata}
          | {:rst_stream, stream, error}
          | {:settings, :ack | [{setting, non_neg_integer}]}
          | {:push_promise, stream}
          | {:ping, :ack | :request, <<_::64>>}
          | {:goaway, stream, error, iodata}
          | {:window_update, stream, non_neg_integer}
          | {:ignored, type :: byte}

  @data 0x0
  @headers 0x1
  @rst_stream 0x3
  @settings 0x4
  @push_promise 0x5
  @ping 0x6
  @goaway 0x7
  @window_update 0x8
  @continuation 0x9

  @ack 0x1
  @end_stream 0x1
  @end_headers 0x4
  @padded 0x8
  @priority 0x20

  # Section 7: the number of an error is its place in this list.
  @errors ~w(no_error protocol_error internal_error flow_control_error settings_timeout
             stream_closed frame_size_error refused_stream cancel compression_error connect_error
             enhance_your_calm inadequate_security http_1_1_required)a
          |> Enum.with_index()

  # Section 6.5.2: likewise, from 1 on.
  @setting_names ~w(header_table_size enable_push max_concurrent_streams initial_window_size
                    max_frame_size max_header_list_size)a
                 |> Enum.with_index(1)

  @error_of_number Map.new(@errors, fn {name, number} -> {number, name} end)
  @setting_of_number Map.new(@setting_names, fn {name, number} -> {number, name} end)

  @doc """
  Encodes a frame.

      iex> IO.iodata_to_binary(Bridge.Test.HTTP2.Frame.encode({:window_update, 1, 1000}))
      <<0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 3, 232>>

  """
  @spec encode(t) :: iodata
  def encode({:data, stream, flags, data, 0}), do: frame(@data, bits(flags), stream, data)

  def encode({:data, stream, flags, data, padding}) do
    flags = bits(flags) + @padded
    frame(@data, flags, stream, [padding - 1, data, <<0::size(padding - 1)-unit(8)>>])
  end

  def encode({:headers, stream, flags, part}), do: frame(@headers, bits(flags), stream, part)

  def encode({:continuation, stream, flags, part}) do
    frame(@continuation, bits(flags), stream, part)
  end

  def encode({:rst_stream, stream, error}) do
    frame(@rst_stream, 0, stream, <<number(@errors, error)::32>>)
  end

  def encode({:settings, :ack}), do: frame(@settings, @ack, 0, [])

  def encode({:settings, settings}) do
    pairs = for {name, value} <- settings, do: <<number(@setting_names, name)::16, value::32>>
    frame(@settings, 0, 0, pairs)
  end

  def encode({:ping, :ack, opaque}), do: frame(@ping, @ack, 0, opaque)
  def encode({:ping, :request, opaque}), do: frame(@ping, 0, 0, opaque)

  def encode({:goaway, last, error, debug_data}) do
    frame(@goaway, 0, 0, [<<last::32, number(@errors, error)::32>>, debug_data])
  end

  def encode({:window_update, stream, increment}) do
    frame(@window_update, 0, stream, <<increment::32>>)
  end

  @doc """
  Takes the first frame off a buffer. `max_size` is the longest payload that we have allowed.

      iex> Bridge.Test.HTTP2.Frame.decode(<<0, 0, 0, 4, 1, 0, 0, 0, 0, "more">>, 16_384)
      {:ok, {:settings, :ack}, "more"}

      iex> Bridge.Test.HTTP2.Frame.decode(<<0, 0, 8, 6, 0, 0, 0>>, 16_384)
      :incomplete

  """
  @spec decode(binary, pos_integer) ::
          {:ok, t, rest :: binary} | :incomplete | {:error, error, text :: String.t()}
  def decode(<<size::24, _::bits>>, max_size) when size > max_size do
    {:error, :frame_size_error, "a frame of #{size} bytes, where #{max_size} are allowed"}
  end

  def decode(<<size::24, type, flags, _::1, stream::31, rest::binary>>, _max_size)
      when byte_size(rest) >= size do
    <<payload::binary-size(size), rest::binary>> = rest

    case parse(type, <<flags>>, stream, payload) do
      {:error, error} -> {:error, error, "a malformed frame of type #{type} on stream #{stream}"}
      frame -> {:ok, frame, rest}
    end
  end

  def decode(_buffer, _max_size), do: :incomplete

  ## Out

  defp frame(type, flags, stream, payload) do
    [<<IO.iodata_length(payload)::24, type, flags, stream::32>> | payload]
  end

  defp bits(flags), do: flags |> Enum.map(&bit/1) |> Enum.sum()

  defp bit(:end_stream), do: @end_stream
  defp bit(:end_headers), do: @end_headers

  defp number(names, name) when is_atom(name), do: Keyword.fetch!(names, name)
  defp number(_names, number), do: number

  ## In
  #
  # The flags come as one byte: `<<_::7, ack::1>>` and so on, in the order of the RFC's figures.

  defp parse(@data, flags, stream, payload) when stream > 0 do
    with data when is_binary(data) <- strip_padding(flags, payload) do
      {:data, stream, flag_names(flags), data, byte_size(payload) - byte_size(data)}
    end
  end

  defp parse(@headers, flags, stream, payload) when stream > 0 do
    with fragment when is_binary(fragment) <- strip_padding(flags, payload),
         fragment when is_binary(fragment) <- strip_priority(flags, fragment) do
      {:headers, stream, flag_names(flags), fragment}
    end
  end

  defp parse(@continuation, flags, stream, fragment) when stream > 0 do
    {:continuation, stream, flag_names(flags) -- [:end_stream], fragment}
  end

  defp parse(@rst_stream, _flags, stream, <<error::32>>) when stream > 0 do
    {:rst_stream, stream, name(@error_of_number, error)}
  end

  defp parse(@settings, <<_::7, 1::1>>, 0, <<>>), do: {:settings, :ack}

  defp parse(@settings, <<_::7, 0::1>>, 0, payload) when rem(byte_size(payload), 6) == 0 do
    pairs = for <<id::16, value::32 <- payload>>, do: {name(@setting_of_number, id), value}
    {:settings, pairs}
  end

  defp parse(@push_promise, _flags, stream, _payload), do: {:push_promise, stream}
  defp parse(@ping, <<_::7, 1::1>>, 0, <<opaque::binary-size(8)>>), do: {:ping, :ack, opaque}
  defp parse(@ping, <<_::7, 0::1>>, 0, <<opaque::binary-size(8)>>), do: {:ping, :request, opaque}

  defp parse(@goaway, _flags, 0, <<_::1, last::31, error::32, debug_data::binary>>) do
    {:goaway, last, name(@error_of_number, error), debug_data}
  end

  defp parse(@window_update, _flags, stream, <<_::1, increment::31>>) do
    {:window_update, stream, increment}
  end

  defp parse(type, _flags, _stream, _payload)
       when type in [@settings, @ping, @goaway, @rst_stream, @window_update] do
    {:error, :frame_size_error}
  end

  defp parse(type, _flags, 0, _payload) when type in [@data, @headers, @continuation] do
    {:error, :protocol_error}
  end

  defp parse(type, _flags, _stream, _payload), do: {:ignored, type}

  defp strip_padding(<<_::4, 1::1, _::3>>, <<n, rest::binary>>) when n <= byte_size(rest) do
    binary_part(rest, 0, byte_size(rest) - n)
  end

  defp strip_padding(<<_::4, 1::1, _::3>>, _payload), do: {:error, :protocol_error}
  defp strip_padding(_flags, payload), do: payload

  defp strip_priority(<<flags>>, fragment) when Bitwise.band(flags, @priority) == 0, do: fragment
  defp strip_priority(_flags, <<_dependency::32, _weight, fragment::binary>>), do: fragment
  defp strip_priority(_flags, _fragment), do: {:error, :frame_size_error}

  defp flag_names(<<flags>>) do
    for {name, bit} <- [end_stream: @end_stream, end_headers: @end_headers],
        Bitwise.band(flags, bit) != 0,
        do: name
  end

  defp name(names, number), do: Map.get(names, number, number)
end
