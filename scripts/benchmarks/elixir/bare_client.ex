defmodule Bench.BareClient do
  @moduledoc """
  The least that a client for many callers can be: one process between them and the port.

  Callers encode and decode, as those of `Bridge.Client` do, and the requests that come together are written
  together. It promises nothing: no place in a queue, no death of a caller or of Python, no error, no
  cancel, no stream. What it costs is what messages, processes and two more copies cost.
  """

  alias Bridge.{Answer, Body, Frame, Msgpack}

  @timeout_ms 60_000
  # as `Bridge.Outbox`
  @least_frames 16
  @most_frames 64

  @doc "Starts the program of a job, and returns when it serves."
  def start(job) do
    parent = self()
    client = spawn_link(fn -> open(job, parent) end)
    receive do: ({:serves, ^client} -> client)
  end

  @doc "Calls a tool."
  def call(client, tool, args) do
    {:ok, body} = Body.encode(tool, args, timeout: @timeout_ms)
    alias = :erlang.alias([:reply])
    send(client, {:call, alias, body})

    receive do
      {^alias, frame} ->
        {:ok, result} = Answer.result({:response, frame})
        result
    after
      @timeout_ms -> raise "no answer"
    end
  end

  @doc "Ends the program."
  def stop(client) do
    send(client, {:stop, self()})
    receive do: ({:stopped, ^client} -> :ok)
  end

  defp open(job, parent) do
    peer = Bench.Peer.open(%{job | "dialect" => "msgpack"})
    port = peer.port
    receive do: ({^port, {:data, _ready}} -> :ok)
    Port.command(port, Msgpack.encode!([2, "$/hello", [%{batches: true, extensions: [3]}]]))
    send(parent, {:serves, self()})
    loop(%{peer: peer, port: port, next_id: 1, calls: %{}, frames: [], count: 0})
  end

  defp loop(%{port: port} = state) do
    receive do
      {:call, from, body} ->
        state |> add(from, body) |> loop()

      {^port, {:data, <<0xC1, batch::binary>>}} ->
        loop(%{state | calls: answer_all(batch, state.calls)})

      {^port, {:data, frame}} ->
        loop(%{state | calls: answer(frame, state.calls)})

      {:stop, from} ->
        Bench.Peer.close(state.peer)
        send(from, {:stopped, self()})
    after
      if(state.count == 0, do: :infinity, else: 0) -> state |> write() |> loop()
    end
  end

  defp add(state, from, body) do
    frame = Frame.request(state.next_id, body)
    in_flight = map_size(state.calls)
    calls = Map.put(state.calls, state.next_id, from)
    state = %{state | next_id: state.next_id + 1, calls: calls}
    state = %{state | frames: [frame | state.frames], count: state.count + 1}

    if in_flight == 0 or state.count == @most_frames or
         (state.count >= @least_frames and 2 * state.count > in_flight),
       do: write(state),
       else: state
  end

  defp write(%{frames: [frame]} = state), do: written(state, frame)
  defp write(state), do: written(state, Frame.batch(Enum.reverse(state.frames)))

  defp written(state, data) do
    Port.command(state.port, data)
    %{state | frames: [], count: 0}
  end

  defp answer_all(batch, calls) do
    case Frame.next(batch) do
      {frame, rest} -> answer_all(rest, answer(frame, calls))
      :end -> calls
    end
  end

  defp answer(frame, calls) do
    {:response, id} = Frame.peek(frame)
    {from, calls} = Map.pop!(calls, id)
    send(from, {from, frame})
    calls
  end
end
