defmodule Bridge.SharedMemory.Lending do
  @moduledoc false

  # What a client knows of shared memory: the places that Python has granted, and the messages of Python's
  # that are being read out of theirs.
  #
  # Each function takes a connection and what happened, and returns the connection as it is then. All of it
  # runs in the client's process, which itself neither reads nor writes: for that there are processes of
  # their own (`Bridge.SharedMemory.Writer`, and readers that are started here).
  #
  # A place that Python has granted is its writer's (`granted`) until a request that names it is taken over;
  # then it is the request's, and Python's as soon as that is written. One whose writer has been killed is
  # never given back: the runtime may still be writing.
  #
  # While a frame is read, what comes later for the same call waits (`reading`), so that nothing changes
  # its order. What a frame had in shared memory is given back as soon as it is read, whoever waits for it.
  #
  # Monitors are ended without `:flush`, which looks through all messages of the client for each process that
  # has died already, as a reader has: what comes of it finds nobody here.

  alias Bridge.{Connection, Error, SharedMemory}
  alias Bridge.Connection.Sending

  # So many writers may have the file open while they wait for a place: all others of this runtime need
  # descriptors as well, and a Python that does not read gives no places.
  @early 16

  # `opened`: the file was opened once. When it cannot be any more, Python has ended.
  defstruct file: nil,
            opened: false,
            asked: %{},
            granted: %{},
            writers: %{},
            readers: %{},
            reading: %{}

  @type t :: %__MODULE__{
          file: SharedMemory.file() | nil,
          opened: boolean,
          asked: %{optional(Connection.id()) => {pid | nil, monitor :: reference}},
          granted: %{optional(non_neg_integer) => {pid, monitor :: reference}},
          writers: %{optional(monitor :: reference) => waits_for},
          readers: %{optional(pid) => reader},
          reading: %{optional(Connection.id()) => :queue.queue()}
        }

  # For Python's answer, or for its request to come.
  @typep waits_for :: {:asked, Connection.id()} | {:granted, number :: non_neg_integer}

  @typep reader ::
           {reference, Connection.id(), :response | :item, binary, number :: non_neg_integer}

  ## To Python

  @doc "A writer wants a place of so many bytes. It gets the place, or nil, in a message."
  @spec reserve(Connection.t(), pid, pos_integer) :: Connection.t()
  def reserve(%{port: nil} = connection, writer, _size), do: refuse(connection, writer)

  def reserve(%{outbox: %{open: true}} = connection, writer, size) do
    id = connection.next_id
    monitor = :erlang.monitor(:process, writer, tag: :bridge_memory_down)

    # it opens the file while Python looks for a place
    if map_size(connection.lending.asked) < @early,
      do: send(writer, {:bridge_file, connection.lending.file})

    connection = Sending.send_request(connection, "$/reserve", [size])

    update(connection, fn lending ->
      writers = Map.put(lending.writers, monitor, {:asked, id})
      %{lending | asked: Map.put(lending.asked, id, {writer, monitor}), writers: writers}
    end)
  end

  def reserve(connection, writer, _size), do: refuse(connection, writer)

  defp refuse(connection, writer) do
    send(writer, {:bridge_granted, nil})
    connection
  end

  @doc "Python has answered a request of the client's own; `:unknown` if it was for no place."
  @spec answered(Connection.t(), Connection.id(), frame :: binary) :: Connection.t() | :unknown
  def answered(%{lending: %{asked: asked}} = connection, id, frame)
      when is_map_key(asked, id) do
    {{writer, monitor}, asked} = Map.pop!(asked, id)
    connection = update(connection, &%{&1 | asked: asked})

    case Bridge.Msgpack.decode(frame) do
      # its writer has given up, or has died, and has never had it
      {:ok, [1, ^id, nil, [number | _place] | _queued]} when writer == nil ->
        release(connection, number)

      {:ok, [1, ^id, nil, [number, offset, pid, descriptor, token] | _queued]} ->
        send(writer, {:bridge_granted, {{pid, descriptor, token}, number, offset}})

        update(connection, fn lending ->
          writers = Map.put(lending.writers, monitor, {:granted, number})
          granted = Map.put(lending.granted, number, {writer, monitor})
          %{lending | granted: granted, writers: writers}
        end)

      _none when writer == nil ->
        connection

      _none ->
        connection |> update(&forget_writer(&1, monitor)) |> refuse(writer)
    end
  end

  def answered(_connection, _id, _frame), do: :unknown

  @doc """
  A request comes whose parts are in a place: what is to be sent of it, and the number of the place.

  Of one whose place is not this Python's, or that has to wait for the next one, it is all of it.
  """
  @spec take(Connection.t(), Bridge.Body.sendable()) ::
          {Bridge.Frame.body() | {:lent, SharedMemory.place(), iodata}, non_neg_integer | nil,
           Connection.t()}
  def take(connection, {:lent, {number, _offset, _size} = place, lent, inline}) do
    case pop_granted(connection, number) do
      {nil, connection} ->
        {inline, nil, connection}

      {writer, %{port: port, outbox: %{open: true}} = connection} when port != nil ->
        send(writer, :bridge_taken)
        {{:lent, place, lent}, number, connection}

      {writer, connection} ->
        send(writer, :bridge_taken)
        {inline, nil, release(connection, number)}
    end
  end

  def take(connection, body), do: {body, nil, connection}

  defp pop_granted(connection, number) do
    case Map.pop(connection.lending.granted, number) do
      {nil, _granted} ->
        {nil, connection}

      {{writer, monitor}, granted} ->
        {writer, update(connection, &forget_writer(%{&1 | granted: granted}, monitor))}
    end
  end

  defp forget_writer(lending, monitor) do
    Process.demonitor(monitor)
    %{lending | writers: Map.delete(lending.writers, monitor)}
  end

  @doc "Gives a place back to Python."
  @spec release(Connection.t(), non_neg_integer | nil) :: Connection.t()
  def release(connection, nil), do: connection
  def release(%{port: nil} = connection, _number), do: connection

  def release(connection, number),
    do: Sending.send_message(connection, [2, "$/release", [number]])

  ## From Python

  @doc "A message has come whose parts are in a place: it is read, unless nobody waits for it."
  @spec receive_frame(Connection.t(), :response | :item, term, binary, SharedMemory.place()) ::
          Connection.t()
  def receive_frame(%{lending: %{reading: reading}} = connection, kind, id, frame, place) do
    cond do
      is_map_key(reading, id) ->
        later(connection, id, {kind, frame, place})

      not wanted?(connection, kind, id) ->
        connection |> discard(kind, id, frame) |> release(number(place))

      true ->
        read(connection, kind, id, frame, place)
    end
  end

  @doc "Whether what comes for a call has to wait until something else is read."
  defguard is_reading(connection, id)
           when is_map_key(:erlang.map_get(:reading, :erlang.map_get(:lending, connection)), id)

  @doc "Keeps what has come for a call until what came before is read."
  @spec later(Connection.t(), Connection.id(), term) :: Connection.t()
  def later(connection, id, entry) do
    update(connection, fn lending ->
      %{lending | reading: Map.update!(lending.reading, id, &:queue.in(entry, &1))}
    end)
  end

  @doc "A reader has read, or has failed, or was killed."
  @spec read(Connection.t(), pid, {:ok, binary} | {:error, term}) :: Connection.t()
  def read(connection, reader, result) do
    case Map.pop(connection.lending.readers, reader) do
      {nil, _readers} ->
        connection

      {{monitor, id, kind, frame, number}, readers} ->
        Process.demonitor(monitor)
        {queue, reading} = Map.pop!(connection.lending.reading, id)
        connection = update(connection, &%{&1 | readers: readers, reading: reading})
        connection = release(connection, number)

        connection =
          case result do
            {:ok, data} -> Connection.receive_frame(connection, kind, id, {:lent, frame, data})
            {:error, reason} -> fail_reading(connection, kind, id, reason)
          end

        go_on(connection, id, queue)
    end
  end

  defp fail_reading(connection, kind, id, reason) do
    connection = Connection.fail_reading(connection, kind, id, unread(reason))

    # what comes next is not to be lost as well
    if lasts?(reason) and connection.lending.file != nil,
      do: checked(connection, connection.lending.file, false),
      else: connection
  end

  defp go_on(connection, id, queue) do
    case :queue.out(queue) do
      {:empty, _queue} ->
        connection

      {{:value, {kind, frame, place}}, rest} ->
        connection = receive_frame(connection, kind, id, frame, place)

        if is_reading(connection, id),
          do: update(connection, &%{&1 | reading: Map.put(&1.reading, id, rest)}),
          else: go_on(connection, id, rest)

      {{:value, {kind, frame}}, rest} ->
        connection |> Connection.receive_frame(kind, id, frame) |> go_on(id, rest)
    end
  end

  defp read(connection, kind, id, frame, {number, _offset, _size} = place) do
    {client, file} = {self(), connection.lending.file}

    reader = spawn(fn -> read_for(client, file, place) end)
    monitor = :erlang.monitor(:process, reader, tag: :bridge_memory_down)

    update(connection, fn lending ->
      %{
        lending
        | readers: Map.put(lending.readers, reader, {monitor, id, kind, frame, number}),
          reading: Map.put(lending.reading, id, :queue.new())
      }
    end)
  end

  # The file is closed by the end of the process, when the answer is under way.
  defp read_for(client, file, place) do
    result = with {:ok, device} <- SharedMemory.open(file), do: SharedMemory.read(device, place)
    send(client, {:bridge_read, self(), result})
  end

  # Whoever waits beyond its time takes a result that comes just now.
  defp wanted?(connection, kind, id) do
    case connection.calls do
      %{^id => %{outcome: nil, overdue: false}} -> true
      %{^id => %{outcome: nil, from: from}} when from != nil -> kind == :response
      _over -> false
    end
  end

  # Nobody decodes it, so that it need not be read.
  defp discard(connection, :response, id, frame),
    do: Connection.receive_frame(connection, :response, id, frame)

  defp discard(connection, :item, _id, _frame), do: connection

  defp number({number, _offset, _size}), do: number

  # A Python that was killed has taken its memory with it. One that ends by itself waits for its readers.
  defp unread(reason) when reason == :enoent or elem(reason, 0) == :another_file do
    message = "the Python process ended before its answer was read, which was in shared memory"
    %Error{code: :unavailable, message: message, started: true}
  end

  defp unread(reason) do
    message = "an answer of Python is in shared memory, which cannot be read: #{inspect(reason)}"
    %Error{code: :internal, message: message, started: true}
  end

  ## The file, and the ends of others

  @doc "Python has made a file: it is looked at whether it can be opened."
  @spec announced(Connection.t(), term) :: Connection.t()
  def announced(connection, [pid, descriptor, token])
      when is_integer(pid) and is_integer(descriptor) and is_binary(token) do
    {client, file} = {self(), {pid, descriptor, token}}
    spawn(fn -> send(client, {:bridge_memory, file, SharedMemory.check(file) == :ok}) end)
    update(connection, &%{&1 | file: file, opened: false})
  end

  def announced(connection, _other), do: connection

  @doc "Whether a writer that cannot write says that no other can: not if it is too late, or too early."
  @spec unwritable?(Connection.t(), SharedMemory.file(), reason :: term) :: boolean
  def unwritable?(%{lending: %{file: file, opened: opened}}, file, reason),
    do: not opened or lasts?(reason)

  def unwritable?(_connection, _old, _reason), do: false

  # The file of a Python that has ended is not there, and descriptors come back. But Python may become
  # another user's, or close itself to others.
  defp lasts?({:another_file, _file}), do: false
  defp lasts?(reason), do: reason not in [:enoent, :emfile, :enfile]

  @doc "Whether it can be opened is known."
  @spec checked(Connection.t(), SharedMemory.file(), boolean) :: Connection.t()
  def checked(%{lending: %{file: file}, port: port} = connection, file, opened)
      when port != nil do
    connection = update(connection, &%{&1 | opened: opened})
    Sending.send_message(connection, [2, "$/memory", [{:bytes, elem(file, 2)}, opened]])
  end

  def checked(connection, _old, _opened), do: connection

  @doc "A writer or a reader has ended."
  @spec down(Connection.t(), monitor :: reference, pid, reason :: term) :: Connection.t()
  def down(connection, monitor, pid, reason) do
    case connection.lending.writers do
      %{^monitor => {:asked, id}} ->
        update(connection, fn lending ->
          forget_writer(%{lending | asked: Map.put(lending.asked, id, {nil, monitor})}, monitor)
        end)

      %{^monitor => {:granted, number}} ->
        connection =
          update(connection, fn lending ->
            forget_writer(%{lending | granted: Map.delete(lending.granted, number)}, monitor)
          end)

        if reason == :normal, do: release(connection, number), else: connection

      _reader ->
        read(connection, pid, {:error, reason})
    end
  end

  @doc "Python is gone, and its memory with it."
  @spec reset(Connection.t()) :: Connection.t()
  def reset(%{lending: lending} = connection) do
    for {_id, {writer, monitor}} <- lending.asked, writer != nil do
      Process.demonitor(monitor)
      send(writer, {:bridge_granted, nil})
    end

    for {_number, {writer, monitor}} <- lending.granted do
      Process.demonitor(monitor)
      send(writer, :bridge_taken)
    end

    for {_reader, {monitor, _, _, _, _}} <- lending.readers, do: Process.demonitor(monitor)
    %{connection | lending: %__MODULE__{}}
  end

  defp update(connection, function), do: %{connection | lending: function.(connection.lending)}
end
