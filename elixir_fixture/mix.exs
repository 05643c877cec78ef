defmodule Bridge.MixProject do
  use Mix.Project

  @version "0.2.0"

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
      package: package(),
      docs: docs()
    ]
  end

  def application, do: [mod: {Bridge.Application, []}, extra_applications: [:logger]]

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_env), do: ["lib"]

  defp package do
    [
      licenses: ["MIT"],
      # an address for `links:` and `source_url:` comes with the first public repository
      links: %{},
      files: ~w(lib priv mix.exs .formatter.exs)
    ]
  end

  # for ex_doc, which is no dependency: whoever has it as an archive runs `mix docs`
  defp docs do
    [
      main: "Bridge",
      source_ref: "v" <> @version
    ]
  end
end
