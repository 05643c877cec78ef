defmodule Bridge.MixProject do
  use Mix.Project

  @version "0.2.0"
  @source_url "https://github.com/beam-bridge/beam-bridge"

  def project do
    [
      # not `:bridge`: an application of that name can depend on this one
      app: :beam_bridge,
      version: @version,
      elixir: "~> 1.14",
      elixirc_paths: elixirc_paths(Mix.env()),
      start_permanent: Mix.env() == :prod,
      deps: [],
      name: "beam_bridge",
      description:
        "Elixir calls Python: ordinary functions, many at a time, in one Python process",
      source_url: @source_url,
      package: package(),
      docs: docs()
    ]
  end

  def application, do: [extra_applications: [:logger]]

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_env), do: ["lib"]

  defp package do
    [
      licenses: ["MIT"],
      links: %{
        "Source" => @source_url,
        "Changelog" => @source_url <> "/blob/main/CHANGELOG.md"
      },
      files: ~w(lib mix.exs .formatter.exs)
    ]
  end

  # for ex_doc, which is no dependency: whoever has it as an archive runs `mix docs`
  defp docs do
    [
      main: "Bridge",
      source_ref: "v" <> @version,
      source_url_pattern: @source_url <> "/blob/v#{@version}/elixir_fixture/%{path}#L%{line}"
    ]
  end
end
