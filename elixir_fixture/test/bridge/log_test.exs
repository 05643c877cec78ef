defmodule Bridge.LogTest do
  use ExUnit.Case, async: true

  alias Bridge.{Log, RandomTerms}

  defmodule Collect do
    @moduledoc "Sends what is logged by this test's process to it."
    def log(%{level: level, msg: msg, meta: meta}, %{config: %{to: to}}) do
      if meta[:pid] == to, do: send(to, {:logged, level, text(msg), meta})
    end

    defp text({:string, text}), do: IO.chardata_to_string(text)
    defp text(other), do: inspect(other)
  end

  setup context do
    handler = :"#{context.module}.#{System.unique_integer([:positive])}"
    :ok = :logger.add_handler(handler, Collect, %{level: :all, config: %{to: self()}})
    on_exit(fn -> :logger.remove_handler(handler) end)
  end

  # Nobody shall read thousands of odd records in the output of the tests.
  @moduletag :capture_log

  defp logged(params) do
    assert Log.record(params) == :ok
    assert_received {:logged, level, text, meta}
    {level, text, meta}
  end

  test "a record has Python's level, place, call, tool and fields" do
    fields = %{
      "order" => 17,
      "pathname" => "/srv/shop.py",
      "lineno" => 20,
      "funcName" => "sell",
      "bridge_tool" => "sale"
    }

    {level, text, meta} = logged(["warning", "shop", "sold", fields, 7])
    assert {level, text} == {:warning, "shop: sold"}

    assert %{
             file: ~c"/srv/shop.py",
             line: 20,
             python_function: "sell",
             python_logger: "shop",
             python_level: "WARNING",
             python_fields: %{"order" => 17},
             python_tool: "sale",
             call_id: 7
           } = meta

    assert map_size(meta.python_fields) == 1
    refute is_map_key(meta, :mfa)
  end

  test "levels are those of Python's numbers" do
    for {name, number, level} <- [
          {"debug", nil, :debug},
          {"info", nil, :info},
          {"warning", nil, :warning},
          {"error", nil, :error},
          {"critical", nil, :critical},
          {"error", 50, :critical},
          {"error", 45, :error},
          {"info", 25, :notice},
          {"debug", 5, :debug},
          {"loud", nil, :info},
          {7, "50", :info}
        ] do
      fields = if number, do: %{"levelno" => number, "levelname" => "OWN"}, else: %{}
      assert {^level, _text, meta} = logged([name, "shop", "x", fields, nil])
      if number, do: assert(meta.python_level == "OWN")
    end
  end

  test "a line of ctx.log tells its tool" do
    assert {:info, _text, meta} = logged(["info", "bridge.tool.sale", "x", %{"n" => 1}, 3])
    assert {meta.python_tool, meta.python_fields, meta.call_id} == {"sale", %{"n" => 1}, 3}
  end

  test "what is too long is cut, and says by how much" do
    {_level, text, _meta} = logged(["info", "shop", String.duplicate("ü", 50_000), %{}, nil])
    assert byte_size(text) < 66_000
    assert text =~ "ü… (34464 more bytes)"
  end

  test "whatever comes can be printed, and nothing raises" do
    :rand.seed(:exsss, {1, 2, 3})

    for _ <- 1..300 do
      params =
        case :rand.uniform(4) do
          1 -> RandomTerms.term()
          2 -> RandomTerms.list(5, 2)
          3 -> ["error", "shop", RandomTerms.term(), RandomTerms.term(), RandomTerms.term()]
          4 -> ["info", "shop", "x", %{"lineno" => RandomTerms.term(1), "pathname" => "ü"}, 1]
        end

      {_level, text, meta} = logged(params)
      assert String.valid?(text)
      assert byte_size(text) < 200_000

      for {_key, value} <- meta, do: assert(printable?(value))
    end

    for _ <- 1..50 do
      assert Log.fault(RandomTerms.term()) == :ok
      assert Log.nonsense(RandomTerms.term()) == :ok
      for _ <- 1..2, do: assert_received({:logged, :error, "Python" <> _, _meta})
    end
  end

  defp printable?(value) when is_binary(value), do: String.valid?(value)
  defp printable?(%_module{}), do: false

  defp printable?(value) when is_map(value) do
    Enum.all?(value, fn {key, item} -> printable?(key) and printable?(item) end)
  end

  defp printable?(value) when is_list(value), do: Enum.all?(value, &printable?/1)
  defp printable?(_number_atom_or_pid), do: true
end
