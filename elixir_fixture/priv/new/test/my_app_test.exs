defmodule MyAppTest do
  use ExUnit.Case, async: true

  test "Python finds a mean" do
    assert MyApp.mean([1, 2, 6]) == {:ok, 3.0}
  end

  test "what Python raises comes as an error" do
    assert {:error, %Bridge.Error{type: "builtins.ZeroDivisionError"}} = MyApp.mean([])
  end
end
