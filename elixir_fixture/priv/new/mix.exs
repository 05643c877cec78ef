defmodule MyApp.MixProject do
  use Mix.Project

  def project do
    [
      app: :my_app,
      version: "0.1.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      deps: deps()
    ]
  end

  def application do
    [extra_applications: [:logger], mod: {MyApp.Application, []}]
  end

  defp deps do
    # both halves of the bridge; an image has them elsewhere than this machine
    bridge = System.get_env("BRIDGE_PATH", "/path/to/bridge")
    [{:beam_bridge, path: Path.join(bridge, "elixir_fixture")}]
  end
end
