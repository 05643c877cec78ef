defmodule BridgeTest do
  use Bridge.TestCase, async: true

  test "stands for the client" do
    start_supervised!({Bridge, options(name: __MODULE__)})
    assert Bridge.call(__MODULE__, "echo", [1]) == {:ok, 1}
    assert Bridge.call!(__MODULE__, "echo", value: 2) == 2
    assert __MODULE__ |> Bridge.stream("counts", [3]) |> Enum.to_list() == [0, 1, 2]
    assert Bridge.cancel(__MODULE__, :nothing) == :ok
    assert {:ok, [%{"name" => _} | _]} = Bridge.tools(__MODULE__)
    assert {:ok, %{"calls" => 3}} = Bridge.stats(__MODULE__)
    assert Bridge.stop(__MODULE__) == :ok
  end
end
