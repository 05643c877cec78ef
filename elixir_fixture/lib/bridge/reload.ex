defmodule Bridge.Reload do
  @moduledoc false

  # Has Python start again when a file of the adapter has changed: the option `:reload`, for development.
  #
  # It looks a few times a second, as nothing that comes with Elixir tells of changes. An editor writes
  # several files, or one in parts; so it waits until two looks find the same.

  use GenServer

  require Logger

  @pause_ms 300

  @doc "Watches the Python files below `dir` for the client that calls this."
  @spec start_link(Path.t(), title :: String.t()) :: GenServer.on_start()
  def start_link(dir, title), do: GenServer.start(__MODULE__, {self(), dir, title})

  @impl true
  def init({client, dir, title}) do
    # to end with the client, however that ends: a normal end is no signal to who traps none
    Process.flag(:trap_exit, true)
    Process.link(client)
    files = files(dir)
    look_later()
    {:ok, %{client: client, dir: dir, title: title, served: files, seen: files}}
  end

  @impl true
  def handle_info(:look, %{served: served, seen: seen} = state) do
    files = files(state.dir)
    look_later()

    if files == seen and files != served do
      Logger.info("#{state.title}: #{changed(served, files)} has changed, so Python starts again")
      send(state.client, :bridge_restart)
      {:noreply, %{state | served: files}}
    else
      {:noreply, %{state | seen: files}}
    end
  end

  def handle_info({:EXIT, client, _reason}, %{client: client} = state),
    do: {:stop, :normal, state}

  def handle_info(_other, state), do: {:noreply, state}

  defp look_later, do: Process.send_after(self(), :look, @pause_ms)

  # Not in folders like .venv, whose names begin with a dot.
  defp files(dir) do
    for path <- Path.wildcard(Path.join(dir, "**/*.py")), into: %{} do
      case File.stat(path, time: :posix) do
        {:ok, stat} -> {path, {stat.mtime, stat.size, stat.inode}}
        {:error, reason} -> {path, reason}
      end
    end
  end

  defp changed(before, now) do
    [path | rest] =
      for {path, _} <- Map.to_list(before) ++ Map.to_list(now),
          before[path] != now[path],
          uniq: true,
          do: path

    if rest == [], do: path, else: "#{path} and #{length(rest)} more"
  end
end
