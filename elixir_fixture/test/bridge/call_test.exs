defmodule Bridge.CallTest do
  use ExUnit.Case, async: true

  alias Bridge.Call

  doctest Call

  defp call(fields) do
    struct!(
      Call,
      [from: :caller, key: nil, caller: nil, claim: nil, watch: nil, tag: :error]
      |> Keyword.merge(fields)
    )
  end

  describe "note/3" do
    test "keeps all items, and the newest progress" do
      items = [watch: :item] |> call() |> Call.note(:item, "1") |> Call.note(:item, "2")
      assert items.notes == ["2", "1"]

      progress =
        [watch: :progress] |> call() |> Call.note(:progress, "1") |> Call.note(:progress, "2")

      assert progress.notes == ["2"]
    end

    test "keeps nothing that the caller does not watch for, and nothing after the end" do
      for {watch, kind} <- [
            {nil, :item},
            {nil, :progress},
            {:item, :progress},
            {:progress, :item}
          ] do
        assert [watch: watch] |> call() |> Call.note(kind, "1") == call(watch: watch)
      end

      ended = [watch: :item] |> call() |> Call.finish({:response, "end"})
      assert Call.note(ended, :item, "late") == ended
    end
  end

  describe "take/1" do
    test "gives nothing to a caller that does not wait" do
      waiting = call(watch: :item, from: nil, notes: ["1"], outcome: {:response, "end"})
      assert Call.take(waiting) == :nothing
      assert {:notes, ["1"], nil, taken} = waiting |> Call.await(:caller) |> Call.take()
      assert Call.take(taken) == :nothing
      assert taken |> Call.await(:caller) |> Call.take() == {:outcome, {:response, "end"}}
    end

    test "gives no credit for progress" do
      assert {:notes, ["1"], nil, _call} =
               [watch: :progress] |> call() |> Call.note(:progress, "1") |> Call.take()
    end
  end
end
