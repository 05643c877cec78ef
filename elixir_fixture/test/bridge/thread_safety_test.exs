defmodule Bridge.ThreadSafetyTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Client, Error}

  @moduletag :capture_log

  # 16 calls that are all in the tool at the same time
  defp add_at_once(client) do
    1..16
    |> Enum.map(&Task.async(fn -> Client.call(client, "add", [&1]) end))
    |> Task.await_many(30_000)
  end

  defp start_checked(adapter, args \\ ["--thread-safety-check"]) do
    start_client(adapter: "race_tools:#{adapter}", args: args)
  end

  defp report(client) do
    {:ok, %{"thread_safety" => report}} = Client.stats(client)
    report
  end

  test "a race between 16 threads is in the report, with both lines" do
    client = start_checked("Racy")
    assert add_at_once(client) == List.duplicate({:ok, nil}, 16)

    assert %{"findings" => [finding | _], "tools" => tools} = report(client)
    assert %{"threads" => 16, "most_at_once" => 16} = tools["add"]
    assert finding["variable"] == "Racy.total"
    assert [%{"stack" => [place | _]}, %{"stack" => [_ | _]}] = finding["accesses"]
    assert place["file"] =~ "race_tools.py"
    assert finding["advice"] =~ "lock"
  end

  test "a clean adapter has nothing in it" do
    client = start_checked("Clean")
    assert add_at_once(client) == List.duplicate({:ok, nil}, 16)
    assert %{"findings" => []} = report(client)
  end

  test "strict: the call that completes the race fails" do
    client = start_checked("Racy", ["--thread-safety-strict"])
    assert Enum.any?(add_at_once(client), &match?({:error, %Error{}}, &1))
    assert [%{"variable" => "Racy.total"} | _] = report(client)["findings"]
  end

  test "without the check there is no report" do
    client = start_client()
    assert {:ok, stats} = Client.stats(client)
    refute Map.has_key?(stats, "thread_safety")
  end
end
