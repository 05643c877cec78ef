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

    test "finds places in an application, and a virtual environment's interpreter" do
      place = {:app, :beam_bridge, "priv/new"}
      path = Application.app_dir(:beam_bridge, "priv/new")
      settings = Options.start!(adapter: "a", python: "sh", app_dir: place, cd: place)
      assert settings.cd == path
      assert "--app-dir=#{path}" in settings.arguments

      assert %{python: python} = Options.start!(adapter: "a", python: {:venv, place})
      assert python == Path.join(path, "bin/python")

      for option <- [:app_dir, :cd],
          place <- [{:app, :no_such_app, "priv"}, {:app, :beam_bridge}] do
        assert_raise ArgumentError, ~r/expected #{inspect(option)} to be a/, fn ->
          Options.start!([{:adapter, "a"}, {:python, "sh"}, {option, place}])
        end
      end
    end

    @tag :tmp_dir
    test "takes the interpreter of an environment at a path", %{tmp_dir: tmp_dir} do
      python = Bridge.TestCase.interpreter!(Path.join(tmp_dir, "bin"), "exit 0")
      assert Options.start!(adapter: "a", python: {:venv, tmp_dir}).python == python
      relative = Path.relative_to_cwd(tmp_dir)
      assert Options.start!(adapter: "a", python: {:venv, relative}).python == python
    end

    test "refuses what the operating system would cut, or Python not get" do
      for option <- [
            [adapter: "a\0b"],
            [python: "py\0"],
            [app_dir: "\0"],
            [cd: "a\0"],
            [args: ["--grace", "1\0"]],
            [env: %{"A" => "b\0"}],
            [env: %{"A=B" => "c"}],
            [env: %{"" => "c"}],
            [env: %{"A" => <<255>>}],
            [env: %{<<255>> => "a"}],
            [env: [A: "a"]]
          ] do
        [{name, _value}] = option

        assert_raise ArgumentError, ~r/expected #{inspect(name)} to be /, fn ->
          Options.start!(Keyword.merge([adapter: "a"], option))
        end
      end
    end

    test "refuses what is no list of options" do
      for check <- [&Options.start!/1, &Options.call!/1, &Options.stream!/1],
          opts <- [nil, %{timeout: 5}, :timeout, "x", [1]] do
        assert_raise ArgumentError, fn -> check.(opts) end
      end
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
