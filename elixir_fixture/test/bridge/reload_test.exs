defmodule Bridge.ReloadTest do
  use Bridge.TestCase, async: true

  import ExUnit.CaptureLog

  @moduletag :tmp_dir

  defp write!(dir, body) do
    File.write!(Path.join(dir, "reloaded_tools.py"), """
    import time
    from bridge import tool

    __thread_safe__ = True

    @tool
    def answer():
        #{body}

    @tool
    def slow():
        time.sleep(1)
        return "done"
    """)
  end

  test "an edited adapter is taken, and what runs ends first", %{tmp_dir: tmp_dir} do
    write!(tmp_dir, "return 'first of all'")

    capture_log(fn ->
      python = start_client(adapter: "reloaded_tools", app_dir: tmp_dir, reload: true, grace: 20)
      assert Bridge.call(python, "answer") == {:ok, "first of all"}
      slow = Task.async(fn -> Bridge.call(python, "slow", [], timeout: 60_000) end)
      eventually(fn -> match?({:ok, %{"in_flight" => 1}}, Bridge.health(python)) end)

      write!(tmp_dir, "return 'second'")
      eventually(fn -> Bridge.call(python, "answer") == {:ok, "second"} end)
      assert Task.await(slow, patience()) == {:ok, "done"}

      # what cannot be loaded is tried again when it has changed
      write!(tmp_dir, "return (")
      eventually(fn -> match?({:ok, %{state: :waiting}}, Bridge.status(python)) end)
      write!(tmp_dir, "return 'third, and mended'")
      eventually(fn -> Bridge.call(python, "answer") == {:ok, "third, and mended"} end)
    end)
  end
end
