defmodule Mix.Bridge.Template do
  @moduledoc false

  # The files of a new application, as `mix bridge.new` writes them: those of `priv/new`, with other
  # names. They are read when this is compiled, so that the task works as an archive too.

  @folder Path.expand("../../../priv/new", __DIR__)
  @paths @folder |> Path.join("**") |> Path.wildcard() |> Enum.filter(&File.regular?/1)

  for path <- @paths, do: @external_resource(path)

  @files for path <- @paths, do: {Path.relative_to(path, @folder), File.read!(path)}

  @doc """
  Each file's path and text.

  `names` are the application, its main module, and the folder with both halves of the bridge.
  """
  @spec files(%{app: String.t(), module: String.t(), bridge: Path.t()}) :: [
          {Path.t(), String.t()}
        ]
  def files(names) do
    for {path, text} <- @files do
      {path |> rename(names) |> undot(), text |> rename(names) |> format(Path.extname(path))}
    end
  end

  defp rename(text, names) do
    text
    |> String.replace("my_app", names.app)
    |> String.replace("MyApp", names.module)
    |> String.replace("/path/to/bridge", names.bridge)
  end

  # Other names are of other lengths.
  defp format(text, extension) when extension in [".ex", ".exs"],
    do: IO.iodata_to_binary([Code.format_string!(text), "\n"])

  defp format(text, _extension), do: text

  # Files whose names begin with a dot would have their meaning for this repository as well.
  defp undot("dot." <> name), do: "." <> name
  defp undot(path), do: path
end
