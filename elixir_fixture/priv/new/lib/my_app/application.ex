defmodule MyApp.Application do
  @moduledoc false

  use Application

  @impl true
  def start(_type, _args) do
    children = [
      {Bridge,
       name: MyApp.Python,
       adapter: "my_app_tools:Tools",
       app_dir: {:app, :my_app, "priv/python"},
       python: {:venv, {:app, :my_app, "priv/python/.venv"}}}
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: MyApp.Supervisor)
  end
end
