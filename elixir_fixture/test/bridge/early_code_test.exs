defmodule Bridge.EarlyCodeTest do
  use Bridge.TestCase, async: true

  # This runtime has loaded most of it for other tests, so that another one is asked.
  @program """
  before = :erlang.module_loaded(Bridge.Pool.Keeper)
  {:ok, _client} = Bridge.Client.start_link(adapter: "fixture_tools:FixtureTools", app_dir: hd(System.argv()))
  loaded? = fn -> :erlang.module_loaded(Bridge.Pool.Keeper) and :erlang.module_loaded(Bridge.Waiting) end
  Enum.find(1..500, fn _ -> loaded?.() or Process.sleep(20) == :again end)
  IO.inspect({before, loaded?.()})
  """

  test "a client that starts has all modules loaded, where a release does not do so when it boots" do
    ebin = Path.dirname(:code.which(Bridge))
    directory = Path.expand("../support", __DIR__)

    assert {"{false, true}\n", 0} =
             System.cmd("elixir", ["-pa", ebin, "-e", @program, directory],
               stderr_to_stdout: false
             )
  end
end
