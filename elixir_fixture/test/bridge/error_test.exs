defmodule Bridge.ErrorTest do
  use ExUnit.Case, async: true

  alias Bridge.Error

  doctest Error

  describe "message/1" do
    test "puts Python's traceback below" do
      error = %Error{
        code: :internal,
        message: "boom",
        traceback: ["Traceback (most recent call last):\n", "ValueError: boom\n"]
      }

      assert Exception.message(error) == """
             internal: boom

             Traceback (most recent call last):
             ValueError: boom\
             """
    end
  end

  describe "from_wire/1" do
    test "takes every field" do
      wire = %{
        "code" => "out_of_range",
        "message" => "too far",
        "type" => "builtins.IndexError",
        "traceback" => ["a", "b"],
        "started" => true,
        "details" => %{"limit" => 3}
      }

      assert Error.from_wire(wire) == %Error{
               code: :out_of_range,
               message: "too far",
               type: "builtins.IndexError",
               traceback: ["a", "b"],
               started: true,
               details: %{"limit" => 3}
             }
    end

    test "knows the names of all gRPC statuses" do
      for code <- ~w(cancelled unknown invalid_argument deadline_exceeded not_found already_exists
                     permission_denied resource_exhausted failed_precondition aborted out_of_range
                     unimplemented internal unavailable data_loss unauthenticated) do
        assert %{"code" => code, "message" => ""}
               |> Error.from_wire()
               |> Map.get(:code)
               |> to_string() ==
                 code
      end
    end

    test "has fields of the right types, whatever arrives" do
      odd = [nil, 1, 1.5, "x", <<0xFF>>, [1, <<0xFF>>, %{}], %{"x" => 1}, true]

      for field <- ~w(code message type traceback started details), value <- odd do
        error = Error.from_wire(%{"message" => "boom"} |> Map.put(field, value))
        assert String.valid?(Exception.message(error))
        assert is_nil(error.type) or String.valid?(error.type)
        assert Enum.all?(error.traceback, &String.valid?/1)
        assert error.started in [true, false, nil]
        assert is_map(error.details)
      end
    end

    test "survives what is no error" do
      assert %Error{code: :unknown, message: message} = Error.from_wire([1, 2])
      assert message =~ "[1, 2]"
    end
  end
end
