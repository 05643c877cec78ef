defmodule Bridge.PlaceTest do
  use ExUnit.Case, async: true

  alias Bridge.Place

  doctest Bridge.Place

  @moduletag :tmp_dir

  test "text that is no text of bytes stays" do
    assert Place.native("→", :latin1) == "→"
    assert Place.characters("ö→", :latin1) == :binary.bin_to_list("ö→")
    assert Place.characters("ö→", :utf8) == [?ö, ?→]
  end

  test "an executable is a file that may be run", %{tmp_dir: tmp_dir} do
    file = Path.join(tmp_dir, "pythön")
    assert Place.executable(file) == nil
    File.write!(file, "")
    assert Place.executable(file) == nil
    File.chmod!(file, 0o755)
    assert Place.executable(file) == Path.expand(file)
    assert Place.executable(tmp_dir) == nil
    assert Place.executable("sh") =~ ~r{/sh$}
    assert Place.executable("no such program") == nil
  end
end
