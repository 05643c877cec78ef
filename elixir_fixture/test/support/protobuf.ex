defmodule Bridge.Test.Protobuf do
  @moduledoc """
  The protobuf wire format, for the messages of `protos/bridge.proto` and those that it refers to.

  An application generates modules from the `.proto` files. Here a table stands for them, and a
  message is a map:

      iex> alias Bridge.Test.Protobuf
      iex> binary = Protobuf.encode!(:call_request, %{tool: "add", params: %{json: [1, 2]}})
      iex> Protobuf.decode!(:call_request, binary)
      %{tool: "add", params: %{json: [1.0, 2.0]}}

  A field that is not on the wire is not in the map: a `oneof` is the one key that is there, and
  whoever reads another field knows its default. Only a repeated field is always there.

  The values of `google.protobuf.Value`, `Struct` and `ListValue` are plain terms; an `Any` is
  `{type, message}`, of a type that is not in the table `{type_url, binary}`.
  """

  # For each message its fields, `name: {number, type}`. A type in a list is a repeated field;
  # `{:map, type}` is a map with text as keys.
  @messages %{
    # bridge.v1
    call_request: [tool: {1, :string}, params: {2, :payload}, session: {3, :string}],
    call_response: [result: {1, :payload}],
    payload: [msgpack: {1, :bytes}, json: {2, :value}],
    stream_response: [
      item: {1, :payload},
      result: {2, :payload},
      progress: {3, :progress},
      log: {4, :log_record}
    ],
    progress: [done: {1, :double}, total: {2, :double}, text: {3, :string}],
    log_record: [
      level: {1, :string},
      logger: {2, :string},
      text: {3, :string},
      fields: {4, :struct}
    ],
    list_tools_request: [],
    list_tools_response: [tools: {1, [:tool]}],
    tool: [
      name: {1, :string},
      description: {2, :string},
      parameters: {3, [:parameter]},
      streaming: {4, :bool}
    ],
    parameter: [
      name: {1, :string},
      kind: {2, :string},
      annotation: {3, :string},
      required: {4, :bool},
      default: {5, :value}
    ],
    get_stats_request: [],
    get_stats_response: [stats: {1, :struct}],
    # grpc.health.v1
    health_check_request: [service: {1, :string}],
    health_check_response: [status: {1, :int}],
    # google.rpc
    status: [code: {1, :int}, message: {2, :string}, details: {3, [:any]}],
    error_info: [reason: {1, :string}, domain: {2, :string}, metadata: {3, {:map, :string}}],
    retry_info: [retry_delay: {1, :duration}],
    debug_info: [stack_entries: {1, [:string]}, detail: {2, :string}],
    bad_request: [field_violations: {1, [:field_violation]}],
    field_violation: [field: {1, :string}, description: {2, :string}],
    # google.protobuf
    duration: [seconds: {1, :int}, nanos: {2, :int}],
    any_message: [type_url: {1, :string}, value: {2, :bytes}],
    struct_message: [fields: {1, {:map, :value}}],
    list_value_message: [values: {1, [:value]}],
    value_message: [
      null_value: {1, :int},
      number_value: {2, :double},
      string_value: {3, :string},
      bool_value: {4, :bool},
      struct_value: {5, :struct},
      list_value: {6, :list_value}
    ]
  }

  # What may be in an Any.
  @full_names [
    error_info: "google.rpc.ErrorInfo",
    retry_info: "google.rpc.RetryInfo",
    debug_info: "google.rpc.DebugInfo",
    bad_request: "google.rpc.BadRequest",
    struct: "google.protobuf.Struct"
  ]

  @type_urls Map.new(@full_names, fn {name, full} -> {name, "type.googleapis.com/" <> full} end)
  @name_of_url Map.new(@type_urls, fn {name, url} -> {url, name} end)

  @varint 0
  @fixed64 1
  @delimited 2
  @fixed32 5

  @typedoc "The name of a message in the table."
  @type name :: atom

  @doc """
  Encodes a message. Raises `KeyError` for a field that the message does not have.
  """
  @spec encode!(name, term) :: binary
  def encode!(name, message), do: IO.iodata_to_binary(message(name, message))

  @doc """
  Decodes a message. Raises `ArgumentError` if the bytes are none. Unknown fields are skipped.
  """
  @spec decode!(name, binary) :: term
  def decode!(name, binary), do: binary |> fields([]) |> read(name)

  ## Out

  defp message(:value, term), do: message(:value_message, value(term))
  defp message(:struct, map), do: message(:struct_message, %{fields: map})
  defp message(:list_value, list), do: message(:list_value_message, %{values: list})

  defp message(:any, {url, binary}) when is_binary(url) do
    message(:any_message, %{type_url: url, value: binary})
  end

  defp message(:any, {name, message}) do
    message(:any, {Map.fetch!(@type_urls, name), encode!(name, message)})
  end

  defp message(name, message) do
    schema = Map.fetch!(@messages, name)

    for {field, content} <- message do
      {number, type} = Keyword.fetch!(schema, field)
      field(number, type, content)
    end
  end

  defp field(number, [type], list), do: for(one <- list, do: field(number, type, one))

  defp field(number, {:map, type}, map) do
    for {key, one} <- map do
      entry = [field(1, :string, to_string(key)), field(2, type, one)]
      [tag(number, @delimited), delimited(entry)]
    end
  end

  defp field(number, :int, n), do: [tag(number, @varint), varint(n)]
  defp field(number, :bool, flag), do: [tag(number, @varint), if(flag, do: 1, else: 0)]
  defp field(number, :double, n), do: [tag(number, @fixed64), <<n::float-little-64>>]

  defp field(number, type, text) when type in [:string, :bytes] do
    [tag(number, @delimited), delimited(text)]
  end

  defp field(number, name, inner), do: [tag(number, @delimited), delimited(message(name, inner))]

  defp tag(number, wire_type), do: varint(number * 8 + wire_type)

  defp delimited(content), do: [varint(IO.iodata_length(content)), content]

  # A negative number is written as 64 bits.
  defp varint(n) when n in 0..0x7F, do: [n]
  defp varint(n) when n < 0, do: varint(n + 0x1_0000_0000_0000_0000)
  defp varint(n), do: [0x80 + rem(n, 0x80) | varint(div(n, 0x80))]

  defp value(nil), do: %{null_value: 0}
  defp value(flag) when is_boolean(flag), do: %{bool_value: flag}
  defp value(number) when is_number(number), do: %{number_value: number}
  defp value(text) when is_binary(text), do: %{string_value: text}
  defp value(list) when is_list(list), do: %{list_value: list}
  defp value(map) when is_map(map), do: %{struct_value: map}

  ## In
  #
  # First the fields by number, in the order of the wire, then what they mean in the message.

  defp fields(<<>>, fields), do: Enum.reverse(fields)

  defp fields(binary, fields) do
    {tag, rest} = take_varint(binary, 0, 0)
    {content, rest} = take(rem(tag, 8), rest)
    fields(rest, [{div(tag, 8), content} | fields])
  end

  defp take(@varint, binary), do: take_varint(binary, 0, 0)
  defp take(@fixed64, <<bytes::binary-size(8), rest::binary>>), do: {bytes, rest}
  defp take(@fixed32, <<bytes::binary-size(4), rest::binary>>), do: {bytes, rest}

  defp take(@delimited, binary) do
    case take_varint(binary, 0, 0) do
      {size, rest} when size <= byte_size(rest) ->
        <<content::binary-size(size), rest::binary>> = rest
        {content, rest}

      {_size, _rest} ->
        malformed()
    end
  end

  defp take(_wire_type, _binary), do: malformed()

  defp take_varint(<<more::1, part::7, rest::binary>>, n, shift) when shift < 64 do
    n = n + Bitwise.bsl(part, shift)
    if more == 1, do: take_varint(rest, n, shift + 7), else: {n, rest}
  end

  defp take_varint(_binary, _n, _shift), do: malformed()

  defp read(fields, :struct), do: read(fields, :struct_message).fields
  defp read(fields, :list_value), do: read(fields, :list_value_message).values

  defp read(fields, :value) do
    case Map.to_list(read(fields, :value_message)) do
      [null_value: 0] -> nil
      [{_kind, term}] -> term
      _none_or_many -> malformed()
    end
  end

  defp read(fields, :any) do
    any = read(fields, :any_message)
    url = Map.get(any, :type_url, "")
    binary = Map.get(any, :value, <<>>)

    case @name_of_url do
      %{^url => name} -> {name, decode!(name, binary)}
      _unknown -> {url, binary}
    end
  end

  defp read(fields, name) do
    for {field, {number, type}} <- Map.fetch!(@messages, name),
        contents = for({^number, content} <- fields, do: content),
        contents != [] or is_list(type) or is_tuple(type),
        into: %{},
        do: {field, read_field(contents, type)}
  end

  defp read_field(contents, [type]), do: Enum.map(contents, &read_content(&1, type))

  defp read_field(contents, {:map, type}) do
    for entry <- contents, into: %{} do
      entry = fields(entry, [])
      {read_entry(entry, 1, :string, ""), read_entry(entry, 2, type, nil)}
    end
  end

  # Of a field that is not repeated the last one counts.
  defp read_field(contents, type), do: contents |> List.last() |> read_content(type)

  defp read_entry(entry, number, type, default) do
    case List.keyfind(entry, number, 0) do
      {^number, content} -> read_content(content, type)
      nil -> default
    end
  end

  defp read_content(<<n::float-little-64>>, :double), do: n
  defp read_content(n, :bool) when is_integer(n), do: n != 0
  defp read_content(text, type) when type in [:string, :bytes] and is_binary(text), do: text

  defp read_content(n, :int) when is_integer(n) do
    <<signed::signed-64>> = <<n::64>>
    signed
  end

  defp read_content(binary, name) when is_map_key(@messages, name) and is_binary(binary) do
    decode!(name, binary)
  end

  defp read_content(binary, name)
       when name in [:value, :struct, :list_value, :any] and is_binary(binary) do
    decode!(name, binary)
  end

  defp read_content(_content, _type), do: malformed()

  @spec malformed() :: no_return
  defp malformed, do: raise(ArgumentError, "not a protobuf message of this type")
end
