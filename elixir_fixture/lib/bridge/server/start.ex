defmodule Bridge.Server.Start do
  @moduledoc false

  # How a client, or a pool, is started by the process that it then belongs to.

  alias Bridge.{Options, Server}

  # All that a client keeps for some hundred calls: with less it collects garbage for every dozen.
  @heap_words 16_384

  @doc "Starts the process of a client."
  @spec client(init :: term, keyword) :: GenServer.on_start()
  def client(init, options),
    do: GenServer.start(Server, init, [{:spawn_opt, [min_heap_size: @heap_words]} | options])

  @doc "Starts the client of one process of a pool, which is told by messages how Python is."
  @spec seated(keyword, title :: String.t(), Bridge.Pool.Seat.t()) :: {:ok, pid}
  def seated(opts, title, seat) do
    settings = %{Options.start!([start: :async] ++ opts) | title: title, seat: seat}
    client({settings, self(), make_ref()}, [])
  end

  @doc "Waits until a client that this process has started is ready for the first time; or a pool."
  @spec await_first(pid, reference) :: {:ok, pid} | {:error, term}
  def await_first(client, starter) do
    monitor = Process.monitor(client)

    receive do
      {^starter, :ready} ->
        Process.demonitor(monitor, [:flush])
        {:ok, client}

      {:DOWN, ^monitor, :process, ^client, {:shutdown, {:not_started, error}}} ->
        {:error, error}

      {:DOWN, ^monitor, :process, ^client, reason} ->
        {:error, reason}
    end
  end
end
