defmodule Bridge.Table do
  @moduledoc """
  A data frame or a table of Arrow on its way to or from Python.

  `ipc` holds the bytes of an Arrow IPC *stream*. A table in arguments arrives in Python as
  `pyarrow.Table`, or as what the parameter is annotated with: `pandas.DataFrame`, `polars.DataFrame`,
  `pyarrow.RecordBatch`. A frame of pandas or polars, or a table of Arrow, in a result arrives here as a
  table. Python needs the package `pyarrow` for it, which is the extra `arrow`.

  Explorer is not needed, but fits:

      # Python to Explorer
      {:ok, table} = Bridge.call(MyApp.Python, "sales", [2026])
      frame = Explorer.DataFrame.load_ipc_stream!(table.ipc)

      # Explorer to Python: a frame is taken as it is
      {:ok, total} = Bridge.call(MyApp.Python, "total", [frame])

      # or, with the bytes at hand
      Bridge.Table.new!(Explorer.DataFrame.dump_ipc_stream!(frame))

  The bytes of a table that was received are a part of the frame that brought it, not a copy.
  """

  @enforce_keys [:ipc]
  defstruct [:ipc]

  @type t :: %__MODULE__{ipc: binary}

  @doc """
  Makes a table of the bytes of an Arrow IPC stream.

  Raises `ArgumentError` for what is none at first sight; Python looks at the rest.

      iex> Bridge.Table.new!(<<255, 255, 255, 255, 0, 0, 0, 0>>)
      %Bridge.Table{ipc: <<255, 255, 255, 255, 0, 0, 0, 0>>}

      iex> Bridge.Table.new!("ARROW1")
      ** (ArgumentError) this is a file of Arrow IPC (Feather), and a table is a stream of it: write it with Explorer.DataFrame.dump_ipc_stream!/1

  """
  @spec new!(binary) :: t
  def new!(ipc) do
    case check(ipc) do
      :ok -> %__MODULE__{ipc: ipc}
      {:error, reason} -> raise ArgumentError, reason
    end
  end

  @doc false
  @spec check(term) :: :ok | {:error, String.t()}
  def check("ARROW1" <> _) do
    {:error,
     "this is a file of Arrow IPC (Feather), and a table is a stream of it: " <>
       "write it with Explorer.DataFrame.dump_ipc_stream!/1"}
  end

  def check(ipc) when is_binary(ipc) and byte_size(ipc) >= 8, do: :ok

  def check(other) do
    {:error, "a table holds the bytes of an Arrow IPC stream, got #{inspect(other, limit: 8)}"}
  end
end
