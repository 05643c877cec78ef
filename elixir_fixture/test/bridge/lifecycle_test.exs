defmodule Bridge.LifecycleTest do
  use ExUnit.Case, async: true

  alias Bridge.{Error, Lifecycle, Options}

  doctest Bridge.Claim
  doctest Bridge.Python

  @error %Error{code: :unavailable, message: "the file is missing"}

  defp life, do: Lifecycle.new(Options.start!(adapter: "tools"))
  defp started(life), do: Lifecycle.started(life, %{port: nil, os_pid: 1})
  defp failed(life), do: life |> started() |> Lifecycle.failed(@error)

  defp pauses(fail, count) do
    {_life, pauses} =
      Enum.reduce(1..count, {life(), []}, fn _n, {life, pauses} ->
        {life, pause} = fail.(life)
        {life, [pause | pauses]}
      end)

    Enum.reverse(pauses)
  end

  describe "failed/2" do
    test "has starts that fail follow each other after pauses that grow up to a limit" do
      pauses = pauses(&failed/1, 12)
      for {pause, n} <- Enum.with_index(pauses), do: assert(pause in pause_range(n))
      assert List.last(pauses) in 15_000..30_000
    end

    test "has a Python that served followed at once, but not for ever" do
      fail = fn life -> life |> started() |> Lifecycle.ready(%{}) |> Lifecycle.failed(@error) end
      assert [0, 0, 0, pause | _] = pauses(fail, 8)
      assert pause > 0
    end

    test "keeps the reason while there is a pause" do
      {life, _pause} = failed(life())
      assert %{state: :waiting, reason: @error} = Lifecycle.status(life)
      refute life |> started() |> Lifecycle.held?()
      ready = life |> started() |> Lifecycle.ready(%{})
      assert %{state: :ready, reason: nil} = Lifecycle.status(ready)
    end
  end

  defp pause_range(n) do
    longest = min(200 * 2 ** n, 30_000)
    div(longest, 2)..longest
  end
end
