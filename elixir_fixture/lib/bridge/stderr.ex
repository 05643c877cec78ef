defmodule Bridge.Stderr do
  @moduledoc false

  # What Python writes to its standard error: passed on to the one of the BEAM or to the Logger, and
  # the last lines kept, to be told when Python ends.
  #
  # A port cannot read it beside the protocol, so a second one does, from a named pipe which Python
  # is started with. Its shell holds both ends open: neither side ever waits for the other to open
  # it, nor does the end of one Python end it for the next. When the port is closed, the shell sees
  # the end of its input and removes the pipe. The reader ends with the last writer: a Python whose client
  # has lost this process, or the shell, would wait for ever once the pipe is full.
  #
  # A signal for all processes of a service, as systemd sends it, ends neither: there is a Python whose last
  # words count, and a pipe to be removed. They end with the BEAM.
  #
  # What Python wrote before it ended is all in the pipe by then. `tail/2` has the shell write a mark
  # behind it, so that what comes before the mark is complete.

  use GenServer

  alias Bridge.Log

  # How many of the last lines are kept, how long one may be, and how far the process may be behind.
  @lines 100
  @line_bytes 500
  @behind 1_000

  @open_ms 10_000

  @script ~S"""
  umask 077
  trap '' TERM INT HUP
  mkfifo "$0" || exit 1
  exec 3<>"$0"
  { echo; cat; while [ $? -gt 128 ]; do cat; done; cat >/dev/null; } 0<"$0" 3<&- 2>/dev/null &
  while read -r mark; do printf '%s\n' "$mark" >"$0"; done
  rm -f "$0"
  """

  @doc "Starts it, linked to the calling process. An error is that the machine lacks what it takes."
  @spec start_link(:standard_error | :logger) :: {:ok, pid} | {:error, term}
  def start_link(to), do: GenServer.start(__MODULE__, {self(), to})

  @doc "The named pipe to which a Python writes."
  @spec path(pid) :: Path.t()
  def path(stderr), do: GenServer.call(stderr, :path)

  @doc "Forgets the lines: another Python is started."
  @spec clear(pid) :: :ok
  def clear(stderr), do: GenServer.cast(stderr, :clear)

  @doc """
  Has the last lines sent to the calling process, as `{:bridge_stderr, reference, lines}`, as soon
  as all has been read that was written until now.
  """
  @spec tail(pid, reference) :: :ok
  def tail(stderr, reference), do: GenServer.cast(stderr, {:tail, self(), reference})

  ## Callbacks

  @impl true
  def init({client, to}) do
    # to end with the client, however that ends: a normal end is no signal to who traps none
    Process.flag(:trap_exit, true)
    Process.link(client)
    path = Path.join(System.tmp_dir!(), "bridge-#{System.pid()}-#{random()}")

    with sh when is_binary(sh) <- System.find_executable("sh"),
         {:ok, port} <- open(sh, path) do
      {:ok, %{client: client, port: port, path: path, to: to, lines: [], rest: "", marks: %{}}}
    else
      _missing -> :ignore
    end
  end

  @impl true
  def handle_call(:path, _from, state), do: {:reply, state.path, state}

  @impl true
  def handle_cast(:clear, state), do: {:noreply, %{state | lines: [], rest: ""}}

  def handle_cast({:tail, pid, reference}, state) do
    mark = "bridge-mark-#{random()}"
    # not Port.command: the port may have closed just now
    send(state.port, {self(), {:command, [mark, ?\n]}})
    {:noreply, put_in(state.marks[mark], {pid, reference})}
  end

  @impl true
  def handle_info({port, {:data, data}}, %{port: port} = state) do
    [rest | complete] = (state.rest <> data) |> String.split("\n") |> Enum.reverse()
    {:noreply, complete |> Enum.reverse() |> Enum.reduce(%{state | rest: cut(rest)}, &line/2)}
  end

  def handle_info({port, {:exit_status, _status}}, %{port: port} = state) do
    {:stop, :normal, state}
  end

  # comes instead, if something was written to a shell that was killed
  def handle_info({:EXIT, port, _reason}, %{port: port} = state), do: {:stop, :normal, state}

  def handle_info({:EXIT, client, _reason}, %{client: client} = state),
    do: {:stop, :normal, state}

  def handle_info(_other, state), do: {:noreply, state}

  # a shell that was killed has not removed it
  @impl true
  def terminate(_reason, state), do: File.rm(state.path)

  defp line(line, state) do
    # a mark may stand behind a line that was not ended
    mark = Enum.find(Map.keys(state.marks), &String.ends_with?(line, &1))
    text = if mark, do: binary_part(line, 0, byte_size(line) - byte_size(mark)), else: line
    state = if mark && text == "", do: state, else: keep(state, text)

    if mark do
      {{pid, reference}, state} = pop_in(state.marks[mark])
      send(pid, {:bridge_stderr, reference, Enum.reverse(state.lines)})
      state
    else
      state
    end
  end

  defp keep(state, text) do
    # whoever writes faster than it is passed on loses what it wrote, rather than our memory
    if elem(Process.info(self(), :message_queue_len), 1) < @behind do
      pass_on(state.to, text)
    end

    %{state | lines: [printable(text) | Enum.take(state.lines, @lines - 1)]}
  end

  defp pass_on(:standard_error, text), do: IO.binwrite(:standard_error, [text, ?\n])
  defp pass_on(:logger, text), do: Log.printed(text)

  defp cut(rest) when byte_size(rest) > 65_536, do: binary_part(rest, 0, @line_bytes)
  defp cut(rest), do: rest

  defp printable(text) do
    text = if String.valid?(text), do: text, else: inspect(text)
    String.slice(text, 0, @line_bytes)
  end

  defp open(sh, path) do
    port =
      Port.open({:spawn_executable, sh}, [
        :binary,
        :exit_status,
        :hide,
        args: ["-c", @script, path]
      ])

    # the first line says that the pipe is there, and is read
    receive do
      {^port, {:data, "\n"}} -> {:ok, port}
      {^port, {:exit_status, _status}} -> :error
    after
      @open_ms -> :error
    end
  end

  defp random, do: Base.encode16(:rand.bytes(6), case: :lower)
end
