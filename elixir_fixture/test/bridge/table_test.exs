defmodule Bridge.TableTest do
  use Bridge.TestCase, async: true

  alias Bridge.{Client, Error, Table}

  @moduletag :pyarrow

  setup do
    %{python: start_supervised!({Client, options(adapter: "value_tools:Tools")})}
  end

  test "a table of Python is a struct, which Python reads again", %{python: python} do
    assert {:ok, %Table{ipc: ipc} = table} = Bridge.call(python, "sales", [2])
    # as the format says: a continuation, and then the length of the schema's message
    assert <<0xFFFFFFFF::32, _length::little-32, _::binary>> = ipc

    assert Bridge.call(python, "described", [table]) ==
             {:ok,
              [
                "Table",
                %{"region" => ["north", "süd", "north", "süd"], "sold" => [0, 1, 2, 3]}
              ]}

    assert Bridge.call(python, "described", [Table.new!(ipc)]) ==
             Bridge.call(python, "described", %{table: table})
  end

  test "tables stand anywhere in values, and are items", %{python: python} do
    {:ok, table} = Bridge.call(python, "sales", [1])
    nested = %{"of" => [table, %{"deep" => table}]}
    assert Bridge.call(python, "echo", [nested]) == {:ok, nested}

    assert [%Table{} = first, %Table{} = second] =
             python |> Bridge.stream("batches", [2]) |> Enum.to_list()

    assert Bridge.call(python, "described", [second]) == {:ok, ["Table", %{"n" => [1]}]}
    assert first != second
  end

  test "a large one arrives whole, and goes back", %{python: python} do
    assert {:ok, %Table{} = table} = Bridge.call(python, "sales", [50_000])
    assert byte_size(table.ipc) > 1_000_000
    assert Bridge.call(python, "echo", [table]) == {:ok, table}
  end

  test "bytes that are no table are the error of their call", %{python: python} do
    assert {:error, %Error{code: :invalid_argument} = error} =
             Bridge.call(python, "echo", [Table.new!("these are no table")])

    assert error.message =~ "a table is a stream of Arrow IPC, which this is not"
    assert Bridge.call(python, "echo", [1]) == {:ok, 1}
  end
end
