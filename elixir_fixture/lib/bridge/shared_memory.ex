defmodule Bridge.SharedMemory do
  @moduledoc false

  # The file in memory that a Python process and this one have open: how it is found, read and written.
  #
  # Python makes it (`memfd_create`), and tells its process id, the number of its descriptor, and random
  # bytes with which the file begins. Who opens `/proc/PID/fd/N` looks for these first: the process may be
  # in another container or on another machine, or be gone, and its number be another's. A raw file is for
  # the process alone that opens it, so each one that reads or writes opens it anew: where somebody waits,
  # before there is something to be done, and closes it after that.

  @typedoc "Process id and descriptor of Python's, and what is in the beginning of the file."
  @type file :: {pid :: pos_integer, descriptor :: non_neg_integer, token :: binary}

  @typedoc "A place in the file."
  @type place :: {number :: non_neg_integer, offset :: non_neg_integer, size :: pos_integer}

  # How often a process without a free descriptor tries again, and after which pause.
  @tries 100
  @pause_ms 20

  @typedoc "The file, opened by the process that uses it."
  @opaque device :: :file.fd()

  @doc "Whether the file can be opened for reading and writing."
  @spec check(file) :: :ok | {:error, term}
  def check(file), do: with({:ok, device} <- open(file), do: close(device))

  @doc "Opens the file, if it is there and the one that is meant."
  @spec open(file) :: {:ok, device} | {:error, term}
  def open({pid, descriptor, token} = file)
      when is_integer(pid) and is_integer(descriptor) and is_binary(token) and token != "" do
    path = "/proc/#{pid}/fd/#{descriptor}"

    # another process's pipe or device is not even opened: that alone may do something
    with {:ok, found} <- :file.read_file_info(path, [:raw]),
         %File.Stat{type: :regular} <- File.Stat.from_record(found),
         {:ok, device} <- open(path, @tries) do
      case :file.pread(device, 0, byte_size(token)) do
        {:ok, ^token} ->
          {:ok, device}

        _other ->
          close(device)
          {:error, {:another_file, file}}
      end
    else
      %File.Stat{} -> {:error, {:another_file, file}}
      {:error, reason} -> {:error, if(gone?(pid), do: :enoent, else: reason)}
    end
  end

  def open(file), do: {:error, {:no_file, file}}

  @doc "Closes the file; of a process that ends it is closed as well."
  @spec close(device) :: :ok
  def close(device) do
    _closed = :file.close(device)
    :ok
  end

  @doc "All that is in a place."
  @spec read(device, place) :: {:ok, binary} | {:error, term}
  def read(device, {_number, offset, size}), do: read_all(device, offset, size, [])

  @doc "Writes parts to a place that begins at `offset`; each has its own within it."
  @spec write(device, offset :: non_neg_integer, [{non_neg_integer, iodata}]) ::
          :ok | {:error, term}
  def write(device, offset, parts) do
    Enum.reduce_while(parts, :ok, fn {at, data}, :ok ->
      case :file.pwrite(device, offset + at, data) do
        :ok -> {:cont, :ok}
        error -> {:halt, error}
      end
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

  # While a process ends, only the superuser may open its files; it has no memory any more by then.
  defp gone?(pid) do
    case File.read("/proc/#{pid}/statm") do
      {:ok, pages} -> String.starts_with?(pages, "0 ")
      {:error, _reason} -> true
    end
  end

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
