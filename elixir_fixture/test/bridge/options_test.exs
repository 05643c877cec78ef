defmodule Bridge.OptionsTest do
  use ExUnit.Case, async: true

  alias Bridge.Options

  doctest Options

  describe "start!/1" do
    test "makes a command line, with :args behind the flags" do
      settings =
        Options.start!(
          adapter: "tools:Tools",
          max_workers: 2,
          log_level: :info,
          python: System.find_executable("sh"),
          args: ["--log-format", "json"]
        )

      assert settings.arguments ==
               ~w(-P -m bridge --adapter=tools:Tools --max-workers=2 --grace=5) ++
                 ~w(--log-level=info --log-format json)
    end

    test "gives times in milliseconds" do
      sh = System.find_executable("sh")
      assert %{grace_ms: 5_000} = Options.start!(adapter: "a", python: sh)
      assert %{grace_ms: 500} = Options.start!(adapter: "a", python: sh, grace: 0.5)
    end

    test "takes the environment as a map or as pairs; nil removes a variable" do
      sh = System.find_executable("sh")
      pairs = [{"SET", "1"}, {"UNSET", nil}]

      for env <- [pairs, Map.new(pairs)] do
        assert %{env: [{~c(SET), ~c(1)}, {~c(UNSET), false}]} =
                 Options.start!(adapter: "a", python: sh, env: env)
      end
    end
  end
end
