defprotocol Bridge.Encoder do
  @moduledoc """
  What a struct becomes on its way to Python.

  Structs of your own are refused unless they say what they are there. The simplest way is to send
  their fields:

      defmodule MyApp.Order do
        @derive {Bridge.Encoder, only: [:number, :lines]}
        defstruct [:number, :lines, :customer]
      end

  `@derive Bridge.Encoder` sends all fields, `except: […]` all but some. An Ecto schema has
  `:__meta__` and associations that are not loaded, so choose its fields with `only:`. For anything else
  implement the protocol:

      defimpl Bridge.Encoder, for: MyApp.Money do
        def encode(money), do: %{cents: money.cents, currency: money.currency}
      end

  What `encode/1` returns is encoded in its place: any term that can be, with structs in it, too.
  In Python a tool gets a map, or with `decoders = {Money: function}` in the adapter what that function
  makes of it (`docs/values.md`). The other way, what becomes of Python's objects here, is the option
  `:decoders` of `Bridge.start_link/1`.

  Without an implementation these are known: `Decimal`, `URI`, `Version` (text), `Nx.Tensor` (an
  array), `Explorer.DataFrame` (a table), `Explorer.Series` (a list), and those of `Bridge.Msgpack`'s
  table. An implementation of your own for the ones named here goes first.
  """

  @doc "The term that stands for a struct. What it raises refuses the call, with the place."
  @spec encode(t) :: term
  def encode(value)
end

# Not a fallback: it is here for `@derive` alone.
defimpl Bridge.Encoder, for: Any do
  defmacro __deriving__(module, struct, options) do
    fields = Map.keys(struct) -- [:__struct__]
    only = Keyword.get(options, :only, fields) -- Keyword.get(options, :except, [])

    case {Keyword.keys(options) -- [:only, :except], only -- fields} do
      {[], []} ->
        :ok

      {[option | _], _} ->
        raise ArgumentError, "@derive Bridge.Encoder takes only: and except:, not #{option}:"

      {[], [field | _]} ->
        raise ArgumentError, "@derive Bridge.Encoder: #{inspect(module)} has no field #{field}"
    end

    quote do
      defimpl Bridge.Encoder, for: unquote(module) do
        def encode(value), do: Map.take(value, unquote(only))
      end
    end
  end

  def encode(value), do: raise(Protocol.UndefinedError, protocol: @protocol, value: value)
end
