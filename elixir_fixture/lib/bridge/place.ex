defmodule Bridge.Place do
  @moduledoc false

  # Paths as the system has them: the bytes of a file's name.
  #
  # Where the locale is not UTF-8 (`LC_ALL=C`, as services often have it), the runtime takes each byte of
  # a name for a character, and tells "Löwe" as eight bytes of text. Whatever comes from the runtime is
  # turned back here: Python takes bytes for what they are.

  @typedoc "A path, or that of something in an application's directory."
  @type t :: Path.t() | {:app, application :: atom, Path.t()}

  @doc """
  Where a place is.

      iex> Bridge.Place.path("priv/python")
      "priv/python"

  """
  @spec path(t) :: Path.t()
  def path({:app, application, path}),
    do: application |> Application.app_dir() |> native() |> Path.join(path)

  def path(path), do: path

  @doc "The same, from the root."
  @spec expand(t) :: Path.t()
  def expand(place), do: place |> path() |> Path.expand(native(File.cwd!()))

  @doc "The interpreter at a path, or of a name on the PATH; nil if there is none that may be run."
  @spec executable(String.t()) :: Path.t() | nil
  def executable(name) do
    if String.contains?(name, "/"),
      do: if(runs?(expand(name)), do: expand(name)),
      else: with(found when found != nil <- System.find_executable(name), do: native(found))
  end

  @doc """
  Text of the runtime's, such as the value of a variable or the name of a file, in bytes of the system's.

  `encoding` is how the runtime takes them; default: as it says.

      iex> Bridge.Place.native("L\u00C3\u00B6we", :latin1)
      "Löwe"
      iex> Bridge.Place.native("Löwe", :utf8)
      "Löwe"

  """
  @spec native(String.t(), :latin1 | :utf8) :: binary
  def native(text, encoding \\ :file.native_name_encoding())

  def native(text, :latin1) do
    with {_not_latin1, _done, _rest} <- :unicode.characters_to_binary(text, :utf8, :latin1),
         do: text
  end

  def native(text, _utf8), do: text

  @doc "Bytes as the runtime wants them where it takes a list of characters only."
  @spec characters(binary, :latin1 | :utf8) :: charlist
  def characters(text, encoding \\ :file.native_name_encoding())
  def characters(text, :latin1), do: :binary.bin_to_list(text)
  def characters(text, _utf8), do: String.to_charlist(text)

  defp runs?(path) do
    case File.stat(path) do
      {:ok, %{type: :regular, mode: mode}} -> Bitwise.band(mode, 0o111) != 0
      _other -> false
    end
  end
end
