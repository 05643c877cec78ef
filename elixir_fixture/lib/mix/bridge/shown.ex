defmodule Mix.Bridge.Shown do
  @moduledoc false

  # Output of a program that is shown as it comes, and kept.

  defstruct text: ""

  @type t :: %__MODULE__{text: String.t()}

  defimpl Collectable do
    def into(shown) do
      collect = fn
        shown, {:cont, part} ->
          IO.write(part)
          %{shown | text: shown.text <> part}

        shown, :done ->
          shown

        _shown, :halt ->
          :ok
      end

      {shown, collect}
    end
  end
end
