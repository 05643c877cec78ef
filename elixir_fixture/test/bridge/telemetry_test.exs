defmodule Bridge.TelemetryTest do
  # of a stand-in for the library, and under its one name
  use Bridge.TestCase, async: false

  alias Bridge.{Error, Telemetry}

  setup do
    # as a release does, which loads everything
    Code.ensure_loaded!(:telemetry)
    Process.register(self(), :telemetry_listener)
    assert Telemetry.loaded?()
    client = start_client(name: :listened_to)
    %{client: client}
  end

  defp calls(client) do
    assert_receive {[:bridge, :call, event], measurements, %{client: ^client} = meta, pid},
                   patience()

    assert pid == self()
    {event, measurements, meta}
  end

  test "a call tells when it starts and stops, and how much it took", %{client: client} do
    assert {:ok, 3} = Bridge.call(client, "echo", [3])
    assert {:start, %{monotonic_time: _, system_time: _}, started} = calls(client)
    assert %{tool: "echo", kind: :call, node: node} = started
    assert node == node()
    assert {:stop, measurements, %{code: :ok, error: nil} = stopped} = calls(client)
    assert stopped.telemetry_span_context == started.telemetry_span_context
    assert measurements.duration > 0
    assert measurements.bytes_out > 3
    assert measurements.bytes_in > 3
    refute_received {[:bridge, :call, _event], _, %{client: ^client}, _}
  end

  test "errors have their code, and what is raised here is an exception", %{client: client} do
    assert {:error, %Error{}} = Bridge.call(client, "no_such_tool")
    assert {:start, _, _} = calls(client)
    assert {:stop, _, %{code: :not_found, error: %Error{}}} = calls(client)

    assert_raise ArgumentError, fn -> Bridge.call(client, "echo", :odd) end
    assert {:start, _, _} = calls(client)
    assert {:exception, %{duration: _}, %{reason: {:error, %ArgumentError{}}}} = calls(client)
  end

  test "a stream tells of itself once, however it ends", %{client: client} do
    assert client |> Bridge.stream("counts", [5]) |> Enum.to_list() == [0, 1, 2, 3, 4]
    assert {:start, _, %{kind: :stream}} = calls(client)
    assert {:stop, %{items: 5, bytes_in: nil}, %{code: :ok}} = calls(client)

    assert client |> Bridge.stream("counts", [500]) |> Enum.take(1) == [0]
    assert {:start, _, _} = calls(client)
    assert {:stop, %{items: items}, %{code: :ok}} = calls(client)
    assert items in 1..16

    assert_raise Error, fn -> client |> Bridge.stream("no_such_tool") |> Enum.to_list() end
    assert {:start, _, _} = calls(client)
    assert {:stop, %{items: 0}, %{code: :not_found}} = calls(client)
    refute_received {[:bridge, :call, _event], _, %{client: ^client}, _}
  end

  @tag :capture_log
  test "a client tells when Python comes and goes", %{client: client} do
    python = fn event ->
      assert_receive {[:bridge, :python, ^event], measurements, %{client: ^client} = meta, _},
                     patience()

      assert meta.name =~ "listened_to"
      {measurements, meta}
    end

    {%{system_time: _}, %{os_pid: os_pid}} = python.(:start)
    {%{duration: duration}, %{os_pid: ^os_pid}} = python.(:ready)
    assert duration > 0

    os_kill("KILL", os_pid)
    {%{pause_ms: _}, %{os_pid: ^os_pid, error: %Error{code: :unavailable}}} = python.(:down)
    {_, %{os_pid: second}} = python.(:start)
    assert second != os_pid
    python.(:ready)

    Bridge.restart(client)
    {_, %{os_pid: ^second}} = python.(:restart)
    python.(:ready)
  end
end
