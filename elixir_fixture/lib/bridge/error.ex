defmodule Bridge.Error do
  @moduledoc """
  What went wrong, in Python, on the way, or in the client itself.

  Every function of `Bridge` that can fail answers `{:error, %Bridge.Error{}}`, and its
  twin with an exclamation mark raises the same value.

  | field | meaning |
  | --- | --- |
  | `code` | one of `t:code/0`: what to match on |
  | `message` | text for people: what was wrong, where, and what to do |
  | `type` | the Python class of the exception behind it, such as `"builtins.ValueError"`, or `nil` |
  | `traceback` | the lines of Python's traceback, innermost last; `[]` without one |
  | `started` | whether the tool may have begun. `false`: a retry repeats no work; `nil`: not known |
  | `details` | further facts, a map with text keys |

  The codes are the names of the gRPC statuses in lower case. The ones a caller meets most:

  | code | when |
  | --- | --- |
  | `:invalid_argument` | wrong arguments, or a value that cannot be encoded |
  | `:not_found` | no such tool |
  | `:internal` | the tool raised, or its result cannot be encoded or decoded |
  | `:deadline_exceeded` | the call's `:timeout` ran out |
  | `:cancelled` | `Bridge.cancel/2` |
  | `:resource_exhausted` | the queue in Python is full, or a message is too large |
  | `:unavailable` | the Python process is gone, going, or was never there |
  """

  @codes ~w(aborted already_exists cancelled data_loss deadline_exceeded failed_precondition
            internal invalid_argument not_found out_of_range permission_denied
            resource_exhausted unauthenticated unavailable unimplemented unknown)a

  @code_of_text Map.new(@codes, &{Atom.to_string(&1), &1})

  defexception [:code, :message, :type, :started, traceback: [], details: %{}]

  @typedoc "A gRPC status name."
  @type code ::
          unquote(Enum.reduce(Enum.reverse(@codes), fn code, rest -> {:|, [], [code, rest]} end))

  @type t :: %__MODULE__{
          code: code,
          message: String.t(),
          type: String.t() | nil,
          traceback: [String.t()],
          started: boolean | nil,
          details: %{optional(String.t()) => term}
        }

  @doc """
  The text of an error: code, message, and Python's traceback where there is one.

      iex> Exception.message(%Bridge.Error{code: :not_found, message: "no tool is called \\"ech\\""})
      "not_found: no tool is called \\"ech\\""

  """
  @impl true
  @spec message(t) :: String.t()
  def message(%__MODULE__{code: code, message: message, traceback: []}), do: "#{code}: #{message}"

  def message(%__MODULE__{traceback: traceback} = error) do
    lines = Enum.map(traceback, &["\n", String.trim_trailing(&1)])
    IO.iodata_to_binary([message(%{error | traceback: []}), "\n" | lines])
  end

  @doc """
  Makes an error of the map that the bridge sends.

  A code that is not in the list becomes `:unknown`: no atom is ever made of what arrives.

      iex> Bridge.Error.from_wire(%{"code" => "internal", "message" => "boom", "started" => true})
      %Bridge.Error{code: :internal, message: "boom", started: true}

      iex> Bridge.Error.from_wire(%{"code" => "teapot", "message" => "short and stout"}).code
      :unknown

  """
  @spec from_wire(term) :: t
  def from_wire(%{"message" => message} = wire) when is_binary(message) do
    %__MODULE__{
      code: Map.get(@code_of_text, wire["code"], :unknown),
      message: text(message),
      type: if(is_binary(wire["type"]), do: text(wire["type"])),
      traceback: lines(wire["traceback"]),
      started: if(is_boolean(wire["started"]), do: wire["started"]),
      details: if(is_map(wire["details"]), do: wire["details"], else: %{})
    }
  end

  def from_wire(other) do
    %__MODULE__{code: :unknown, message: "the bridge sent no error map: #{inspect(other)}"}
  end

  # Each field is what its type says, whatever arrives: who reads an error relies on it.
  defp lines(lines) when is_list(lines) do
    for line <- lines, do: if(is_binary(line), do: text(line), else: inspect(line))
  end

  defp lines(_none), do: []

  defp text(text), do: if(String.valid?(text), do: text, else: inspect(text))
end
