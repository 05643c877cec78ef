defmodule Bridge.SharedMemory.Writer do
  @moduledoc false

  # Brings the large parts of a request to Python through shared memory, before the request itself.
  #
  # It runs in a process of its own, and not in the caller: whoever kills a caller ends it in the midst of
  # a write that goes on in the runtime, and the place would be another's already. This process is known
  # to nobody, and ends by itself: when the client has taken the place over with the request
  # (`:bridge_taken`), or the caller has given up, or has died. The client watches it, and gives the place
  # back to Python if it ends without that.

  alias Bridge.{Body, Places, SharedMemory, Waiting}
  alias Bridge.Pool.Routes

  # So long a place is waited for.
  @patience_ms 1_000

  @doc """
  The body of a request as it can be sent to a client: with its large parts in shared memory if there is
  room, else with all of it in the pipe. Waits no longer than `timeout`, and says how much of it is left.
  """
  @spec lend(pid, Body.t(), timeout) :: {Body.sendable(), timeout}
  def lend(client, {:large, _parts, _options} = body, timeout) do
    with least when least > 0 <- least(client),
         {lent, parts, size} when size > 0 <- Body.lend(body, least) do
      until = Waiting.deadline(timeout)
      caller = self()
      writer = spawn(fn -> run(client, caller, parts, size) end)
      answer = Waiting.wait(writer, &{:write, &1}, timeout)
      left = Waiting.remaining(until)

      case answer do
        {{:written, place}, _alias} ->
          {{:lent, place, Body.shorten(lent, left), body |> Body.inline() |> Body.shorten(left)},
           left}

        {:overdue, alias} ->
          :erlang.demonitor(alias, [:flush])
          receive do: ({^alias, _late} -> :ok), after: (0 -> :ok)
          send(writer, :give_up)
          {Body.inline(body), left}

        _no_room ->
          {body |> Body.inline() |> Body.shorten(left), left}
      end
    else
      _pipe -> {Body.inline(body), timeout}
    end
  end

  def lend(_client, body, timeout), do: {body, timeout}

  defp least(client) do
    case Places.of(client) do
      %Routes{} -> 0
      nil -> 0
      places -> Places.lends_from(places)
    end
  end

  ## In its own process

  defp run(client, caller, parts, size) do
    alias = receive do: ({:write, alias} -> alias)
    Process.monitor(caller)
    Process.monitor(client)
    send(client, {:bridge_reserve, self(), size})
    await_place(client, alias, parts, size, nil)
  end

  # `opened` is the file in which the place mostly is, opened while Python looks for one.
  defp await_place(client, alias, parts, size, opened) do
    receive do
      {:bridge_file, file} ->
        opened = if file, do: {file, SharedMemory.open(file)}
        await_place(client, alias, parts, size, opened)

      {:bridge_granted, {file, number, offset}} ->
        with {:ok, device} <- opened(opened, file),
             :ok <- SharedMemory.write(device, offset, parts) do
          # first this, as somebody waits for it; then no descriptor is kept for as long as Python may not read
          send(alias, {alias, {:written, {number, offset, size}}})
          SharedMemory.close(device)
          await_end()
        else
          {:error, reason} ->
            send(client, {:bridge_unwritable, file, reason})
            send(alias, {alias, :no_room})
        end

      {:bridge_granted, nil} ->
        send(alias, {alias, :no_room})

      :give_up ->
        :ok

      {:DOWN, _monitor, :process, _pid, _reason} ->
        :ok
    after
      # a Python that does not read; the request waits for it where it can be cancelled
      @patience_ms -> send(alias, {alias, :no_room})
    end
  end

  defp opened({file, opened}, file), do: opened
  defp opened(_another, file), do: SharedMemory.open(file)

  defp await_end do
    receive do
      :bridge_taken -> :ok
      :give_up -> :ok
      {:DOWN, _monitor, :process, _pid, _reason} -> :ok
    end
  end
end
