defmodule Bridge.MixProject do
  use Mix.Project

  def project do
    [
      app: :bridge,
      version: "0.1.0",
      elixir: "~> 1.14",
      elixirc_paths: elixirc_paths(Mix.env()),
      start_permanent: Mix.env() == :prod,
      deps: []
    ]
  end

  def application, do: [extra_applications: extra_applications(Mix.env())]

  # the tests speak gRPC over TLS; newer versions of Mix hide what is not named here
  defp extra_applications(:test), do: [:logger, :ssl, :public_key]
  defp extra_applications(_env), do: [:logger]

  defp elixirc_paths(:test), do: ["lib", "test/support"]
  defp elixirc_paths(_env), do: ["lib"]
end
