defmodule Bridge.SharedMemory do
  @moduledoc false

  # The file in memory that a Python process and this one have open: how it is found, read and written.
  #
  # Python makes it (`memfd_create`), and tells its process id, the number of its descriptor, and random
  # bytes with which the file begins. Who opens `/proc/PID/fd/N` looks for these first: the process may be
  # in another container or on another machine, or be gone, and its number be another's. A raw file is for
  # the process alone that opens it, so each one that reads or writes opens it anew.

  @typedoc "Process id and descriptor of Python's, and what is in the beginning of the file."
  @type file :: {pid :: pos_integer, descriptor :: non_neg_integer, token :: binary}

  @typedoc "A place in the file."
  @type place :: {number :: non_neg_integer, offset :: non_neg_integer, size :: pos_integer}

  # How often a process without a free descriptor tries again, and after which pause.
  @tries 100
  @pause_ms 20

  @doc "Whether the file can be opened for reading and writing."
  @spec check(file) :: :ok | {:error, term}
  def check(file), do: with_open(file, fn _device -> :ok end)

  @doc "All that is in a place."
  @spec read(file, place) :: {:ok, binary} | {:error, term}
  def read(file, {_number, offset, size}) do
    with_open(file, fn device -> read_all(device, offset, size, []) end)
  end

  @doc "Writes parts to a place that begins at `offset`; each has its own within it."
  @spec write(file, offset :: non_neg_integer, [{non_neg_integer, iodata}]) ::
          :ok | {:error, term}
  def write(file, offset, parts) do
    with_open(file, fn device ->
      Enum.reduce_while(parts, :ok, fn {at, data}, :ok ->
        case :file.pwrite(device, offset + at, data) do
          :ok -> {:cont, :ok}
          error -> {:halt, error}
        end
      end)
    end)
  end

  # The kernel reads 2 GiB at a time.
  defp read_all(device, offset, size, read) do
    case :file.pread(device, offset, size) do
      {:ok, data} when byte_size(data) == size ->
        {:ok, if(read == [], do: data, else: IO.iodata_to_binary([read, data]))}

      {:ok, data} ->
        read_all(device, offset + byte_size(data), size - byte_size(data), [read, data])

      :eof ->
        {:error, :eof}

      error ->
        error
    end
  end

  defp with_open({pid, descriptor, token} = file, work)
       when is_integer(pid) and is_integer(descriptor) and is_binary(token) and token != "" do
    case open("/proc/#{pid}/fd/#{descriptor}", @tries) do
      {:ok, device} ->
        try do
          case :file.pread(device, 0, byte_size(token)) do
            {:ok, ^token} -> work.(device)
            _other -> {:error, {:another_file, file}}
          end
        after
          :file.close(device)
        end

      error ->
        error
    end
  end

  defp with_open(file, _work), do: {:error, {:no_file, file}}

  defp open(path, tries) do
    case :file.open(path, [:raw, :read, :write, :binary]) do
      {:error, reason} when reason in [:emfile, :enfile] and tries > 0 ->
        Process.sleep(@pause_ms)
        open(path, tries - 1)

      opened ->
        opened
    end
  end
end
