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
  | map, keyword list | map | `dict` |
  | `DateTime` | extension -1 | aware `datetime` |
  | `Bridge.Tensor`, `Nx.Tensor` | extension 2 | `numpy.ndarray` |
  | `Bridge.Table`, `Explorer.DataFrame` | extension 3 | `pyarrow.Table` |
  | other atom | text | `str` |
  | tuple, `MapSet`, `Range`, `Explorer.Series` | array | `list` |
  | `Date`, `Time`, `NaiveDateTime`, `Decimal`, `URI`, `Version` | text | `str` |
  | other struct | what `Bridge.Encoder` makes of it | |

  The rows above the last four come back as they went, except that a keyword list comes back as a map,
  bytes as a plain binary and a `DateTime` in UTC with six digits of a second (Python's finer digits are cut off).

  ## Binaries

  An Elixir binary may be text or bytes, and only its content can tell. So the same argument could
  be `str` on one call and `bytes` on the next. Write `{:bytes, iodata}` for data: Python then
  always gets `bytes`, and megabytes are not searched for invalid UTF-8.

  Decoded binaries and tensors are parts of the decoded frame, not copies, and keep all of it in
  memory. Of a frame of 64 KiB and more, those are copied that are less than an eighth of it. When a
  part of a shorter frame is to live long, detach it with `:binary.copy/1`.

  ## Keyword lists

  A keyword list that is not empty becomes a map at any depth, with its names in their order; one that
  has a name twice is refused. `[{:bytes, data}]` is a list of bytes. For a list of pairs that begin with
  an atom write lists: `[[:ok, 1], [:error, 2]]`.

  ## Maps

  Keys are text, bytes, numbers, booleans or `nil`. Atom keys become text, all but `nil`, `true`
  and `false`, and stay text on the way back: decoding never makes atoms. Decoding takes any key,
  since a Python tuple may be one; it becomes a list.

  Some keys are different here but one to Python: `:a` and `"a"`; `1`, `1.0` and `true`; `0`, `0.0`,
  `-0.0` and `false`; `{:bytes, data}` and the same data as a binary that is not text. A map that
  holds two such keys is refused rather than losing one of them.

  ## What is refused

  Functions, pids, ports, references, bitstrings, improper lists, ranges of more than 67 million, and
  structs that are not in the table and have no `Bridge.Encoder` cannot be encoded; the error names the
  place. Nothing may be nested more than 1024
  levels deep, in either direction.
  """

  alias Bridge.Error
  alias Bridge.Msgpack.{Decoder, Encoder}

  @max_depth 1024

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
    with {:error, reason} <- Encoder.encode(term, name, @max_depth) do
      {:error, %Error{code: :invalid_argument, message: reason, started: false}}
    end
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

  `decoders` are functions by the full names of Python classes, for objects that came with the name: see
  the option `:decoders` of `Bridge.start_link/1`. What one raises is an error, `:internal`.

      iex> wire = <<0x81, 0xC7, 8, 4, "till.Eur", 0x02>>
      iex> Bridge.Msgpack.decode(wire, %{"till.Eur" => &{:eur, &1}})
      {:ok, {:eur, 2}}

  """
  @spec decode(binary, %{optional(String.t()) => (term -> term)}) ::
          {:ok, term} | {:error, Error.t()}
  def decode(binary, decoders \\ %{}) when is_binary(binary) do
    binary |> Decoder.decode(@max_depth, decoders) |> decoded()
  end

  @doc false
  # With references into data that came through shared memory.
  @spec decode_lent(binary, data :: binary, %{optional(String.t()) => (term -> term)}) ::
          {:ok, term} | {:error, Error.t()}
  def decode_lent(binary, data, decoders),
    do: binary |> Decoder.decode_lent(@max_depth, data, decoders) |> decoded()

  defp decoded(result) do
    case result do
      {:ok, value} ->
        {:ok, value}

      {:error, reason, place} ->
        message = "not MessagePack: #{reason} at byte #{place}"
        {:error, %Error{code: :invalid_argument, message: message}}

      {:raised, name, exception} ->
        {:error, raised(name, exception)}
    end
  end

  @doc false
  # A value that stands in an array. What is wrong with one that cannot be read, the whole tells.
  @spec decode_part(binary, %{optional(String.t()) => (term -> term)}) ::
          {:ok, term} | {:error, Error.t()} | :error
  def decode_part(binary, decoders) do
    case Decoder.decode(binary, @max_depth - 1, decoders) do
      {:ok, value} -> {:ok, value}
      {:error, _reason, _place} -> :error
      {:raised, name, exception} -> {:error, raised(name, exception)}
    end
  end

  defp raised(name, exception) do
    %Error{
      code: :internal,
      type: inspect(exception.__struct__),
      message: "the decoder of #{name} failed: #{Exception.message(exception)}",
      started: true
    }
  end

  @doc false
  # A term in whose iodata each large part stands by itself, if there is one: see the encoder.
  @spec encode_parts(term, String.t()) ::
          {:ok, iodata} | {:parts, Encoder.parts()} | {:error, Error.t()}
  def encode_parts(term, name) do
    with {:error, reason} <- Encoder.encode_parts(term, name, @max_depth) do
      {:error, %Error{code: :invalid_argument, message: reason, started: false}}
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
end
