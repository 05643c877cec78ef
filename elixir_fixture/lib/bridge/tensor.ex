defmodule Bridge.Tensor do
  @moduledoc """
  A NumPy array on its way to or from Python.

  `type` and `shape` are written as Nx writes them, `data` holds the elements: little-endian,
  row-major (the last index moves fastest). A tensor in arguments arrives in Python as
  `numpy.ndarray`; an array in a result arrives here as a tensor. The elements are not copied on
  the way in or out: `data` of a received tensor is a part of the frame that brought it.

  Nx is not needed, but fits:

      # Python to Nx
      {:ok, tensor} = Bridge.call(MyApp.Python, "embed", ["some text"])
      tensor.data |> Nx.from_binary(tensor.type) |> Nx.reshape(tensor.shape)

      # Nx to Python
      Bridge.Tensor.new!(Nx.type(x), Nx.shape(x), Nx.to_binary(x))

  Nx reads and writes elements in the machine's own byte order. On a big-endian machine the bytes
  of each element have to be reversed in between.
  """

  @enforce_keys [:type, :shape, :data]
  defstruct [:type, :shape, :data]

  @typedoc "Unsigned, signed, floating-point, brain-float or complex, and the bits of an element."
  @type type ::
          {:u, 8 | 16 | 32 | 64}
          | {:s, 8 | 16 | 32 | 64}
          | {:f, 16 | 32 | 64}
          | {:bf, 16}
          | {:c, 64 | 128}

  @typedoc "The size of each dimension; `{}` is a single number."
  @type shape :: tuple

  @type t :: %__MODULE__{type: type, shape: shape, data: binary}

  @types for {kind, sizes} <- [
               u: [8, 16, 32, 64],
               s: [8, 16, 32, 64],
               f: [16, 32, 64],
               bf: [16],
               c: [64, 128]
             ],
             bits <- sizes,
             do: {kind, bits}

  @name_of_type Map.new(@types, fn {kind, bits} = type ->
                  {type, String.pad_trailing("#{kind}#{bits}", 8, <<0>>)}
                end)
  @type_of_name Map.new(@name_of_type, fn {type, name} -> {name, type} end)

  @max_rank 32
  @max_dimension 0xFFFF_FFFF_FFFF_FFFF

  @doc """
  Makes a tensor, and raises `ArgumentError` unless the data are as long as type and shape say.

      iex> Bridge.Tensor.new!({:u, 8}, {2, 3}, <<1, 2, 3, 4, 5, 6>>)
      %Bridge.Tensor{type: {:u, 8}, shape: {2, 3}, data: <<1, 2, 3, 4, 5, 6>>}

      iex> Bridge.Tensor.new!({:f, 32}, {3}, <<0, 0, 0, 0>>)
      ** (ArgumentError) a tensor of type {:f, 32} and shape {3} has 12 bytes, got 4

  """
  @spec new!(type, shape, binary) :: t
  def new!(type, shape, data) do
    case new(type, shape, data) do
      {:ok, tensor} -> tensor
      {:error, reason} -> raise ArgumentError, reason
    end
  end

  @doc """
  Encodes a tensor as the data of MessagePack extension type 2.

  The elements become part of the result as they are. A struct that was put together by hand is
  checked as by `new!/3`.

      iex> tensor = Bridge.Tensor.new!({:u, 8}, {2}, <<7, 8>>)
      iex> {:ok, iodata} = Bridge.Tensor.encode(tensor)
      iex> IO.iodata_to_binary(iodata)
      <<"u8", 0::48, 1::little-64, 2::little-64, 7, 8>>

  """
  @spec encode(t) :: {:ok, iodata} | {:error, String.t()}
  def encode(%__MODULE__{type: type, shape: shape, data: data}) do
    with {:ok, _tensor} <- new(type, shape, data) do
      dimensions = for size <- Tuple.to_list(shape), do: <<size::little-64>>
      {:ok, [@name_of_type[type], <<tuple_size(shape)::little-64>>, dimensions | data]}
    end
  end

  @doc """
  Decodes what `encode/1` makes.

      iex> Bridge.Tensor.decode(<<"u8", 0::48, 1::little-64, 2::little-64, 7, 8>>)
      {:ok, %Bridge.Tensor{type: {:u, 8}, shape: {2}, data: <<7, 8>>}}

      iex> Bridge.Tensor.decode(<<"f32", 0::40>>)
      {:error, "the header of a tensor is cut short"}

  """
  @spec decode(binary) :: {:ok, t} | {:error, String.t()}
  def decode(
        <<name::binary-size(8), rank::little-64, dimensions::binary-size(rank)-unit(64),
          data::binary>>
      )
      when rank <= @max_rank do
    case @type_of_name do
      %{^name => type} ->
        new(type, List.to_tuple(for <<size::little-64 <- dimensions>>, do: size), data)

      _unknown ->
        {:error, "no tensor has elements of type #{inspect(name)}"}
    end
  end

  def decode(<<_name::binary-size(8), rank::little-64, _::binary>>) when rank > @max_rank do
    {:error, "a tensor has at most #{@max_rank} dimensions, got #{rank}"}
  end

  def decode(binary) when is_binary(binary) do
    {:error, "the header of a tensor is cut short"}
  end

  @doc false
  # The same where the elements stand elsewhere.
  @spec decode(head :: binary, elements :: binary) :: {:ok, t} | {:error, String.t()}
  def decode(
        <<name::binary-size(8), rank::little-64, dimensions::binary-size(rank)-unit(64)>>,
        elements
      )
      when rank <= @max_rank and is_map_key(@type_of_name, name) do
    shape = List.to_tuple(for <<size::little-64 <- dimensions>>, do: size)
    new(@type_of_name[name], shape, elements)
  end

  def decode(_head, _elements), do: {:error, "the header of a tensor is malformed"}

  defp new(type, shape, data)
       when is_map_key(@name_of_type, type) and is_tuple(shape) and is_binary(data) do
    sizes = Tuple.to_list(shape)

    cond do
      length(sizes) > @max_rank or not Enum.all?(sizes, &(&1 in 0..@max_dimension)) ->
        {:error, "no tensor has the shape #{inspect(shape)}"}

      byte_size(data) != size(type, sizes) ->
        {:error,
         "a tensor of type #{inspect(type)} and shape #{inspect(shape)} has " <>
           "#{size(type, sizes)} bytes, got #{byte_size(data)}"}

      true ->
        {:ok, %__MODULE__{type: type, shape: shape, data: data}}
    end
  end

  defp new(type, shape, data) do
    {:error,
     "a tensor has a type such as {:f, 32}, a shape such as {2, 3} and a binary of elements, " <>
       "got #{inspect({type, shape, data}, limit: 8)}"}
  end

  defp size({_kind, bits}, sizes), do: Enum.product([div(bits, 8) | sizes])
end
