defmodule Bridge.Options.Types do
  @moduledoc false

  # What the types of options are called, and which values are of them.

  # What the runtime's timers can count.
  @max_timeout_ms 0xFFFF_FFFF

  @doc "The words for a type, as they go on with: expected :option to be …"
  @spec words(type :: atom | tuple) :: String.t()
  def words(:text), do: "text, not empty and without a zero byte"
  def words({:integer, least}), do: "an integer, at least #{least}"
  def words(:seconds), do: "seconds, an integer or a float"
  def words({:one_of, values}), do: "one of #{Enum.map_join(values, ", ", &inspect/1)}"
  def words(:texts), do: "a list of text"
  def words(:env), do: "a map or list of pairs of text: names without \"=\", no zero bytes"
  def words(:place), do: "a path, or {:app, :my_app, \"priv/python\"} in an application"
  def words(:interpreter), do: "a path, a name on the PATH, or {:venv, place}"
  def words(:seconds_or_infinity), do: "seconds, or :infinity"
  def words(:milliseconds), do: "milliseconds, at most #{@max_timeout_ms}"
  def words(:timeout), do: "milliseconds, at most #{@max_timeout_ms}, or :infinity"
  def words(:map), do: "a map"
  def words({:function, arity}), do: "a function of #{arity} arguments"
  def words(:credit), do: "[items: n, bytes: m], both positive"
  def words(:shared_memory), do: "a number of bytes, true or false"
  def words(:boolean), do: "true or false"
  def words(:functions), do: "a map of functions by name, or a module that uses Bridge.Functions"
  def words(:decoders), do: "a map of functions of one argument by the names of Python classes"
  def words(:processes), do: "a map of processes by name"
  def words(:any), do: "any term"
  def words(:name), do: "an atom, {:global, term} or {:via, module, term}"
  def words(:within), do: "what Bridge.Functions.within/0 returns, or nil"
  def words(:threads), do: "an integer, at least 1, or :all"

  def words(:nodes), do: ":all, or a list of names of nodes"

  def words(:recycle),
    do: "[max_age: seconds, max_calls: n, max_rss: bytes, max_abandoned: n], all positive"

  @doc "Whether a value is of a type."
  @spec valid?(type :: atom | tuple, term) :: boolean
  # what is given to the operating system ends at a zero byte
  def valid?(:text, value), do: value != "" and argument?(value)
  def valid?({:integer, least}, value), do: is_integer(value) and value >= least
  def valid?(:seconds, value), do: is_number(value) and value >= 0
  def valid?({:one_of, values}, value), do: value in values
  def valid?(:texts, value), do: is_list(value) and Enum.all?(value, &argument?/1)

  def valid?(:env, value) when is_list(value) or is_map(value),
    do: Enum.all?(value, &variable?/1)

  def valid?(:env, _value), do: false

  def valid?(:place, {:app, app, path}), do: application?(app) and valid?(:text, path)
  def valid?(:place, value), do: valid?(:text, value)
  def valid?(:interpreter, {:venv, place}), do: valid?(:place, place)
  def valid?(:interpreter, value), do: valid?(:text, value)

  def valid?(:seconds_or_infinity, value),
    do: value == :infinity or (is_number(value) and value > 0)

  def valid?(:milliseconds, value), do: value in 0..@max_timeout_ms
  def valid?(:timeout, value), do: value == :infinity or value in 0..@max_timeout_ms
  def valid?(:map, value), do: is_map(value)
  def valid?({:function, arity}, value), do: is_function(value, arity)
  def valid?(:credit, value), do: Keyword.keyword?(value) and Enum.all?(value, &credit?/1)
  def valid?(:shared_memory, value), do: is_boolean(value) or (is_integer(value) and value >= 0)
  def valid?(:boolean, value), do: is_boolean(value)
  def valid?(:functions, value), do: Bridge.Functions.valid?(value)

  def valid?(:decoders, value) do
    is_map(value) and not is_struct(value) and
      Enum.all?(value, fn {name, function} ->
        is_binary(name) and name != "" and String.valid?(name) and is_function(function, 1)
      end)
  end

  def valid?(:processes, value), do: is_map(value) and Enum.all?(Map.keys(value), &is_binary/1)
  def valid?(:any, _value), do: true
  def valid?(:name, {:global, _name}), do: true
  def valid?(:name, {:via, registry, _name}), do: is_atom(registry)
  def valid?(:name, value), do: is_atom(value)
  def valid?(:within, {process, _id}), do: is_pid(process)
  def valid?(:within, value), do: value == nil
  def valid?(:threads, value), do: value == :all or (is_integer(value) and value > 0)

  def valid?(:nodes, value),
    do: value == :all or (is_list(value) and Enum.all?(value, &is_atom/1))

  def valid?(:recycle, value), do: Keyword.keyword?(value) and Enum.all?(value, &rule?/1)

  # One whose directory is known: it is on the path of the code.
  defp application?(name), do: is_atom(name) and is_list(:code.lib_dir(name))

  defp variable?({name, value}) do
    is_binary(name) and name != "" and String.valid?(name) and argument?(name) and
      not String.contains?(name, "=") and
      (value == nil or (argument?(value) and String.valid?(value)))
  end

  defp variable?(_other), do: false

  defp argument?(value), do: is_binary(value) and not String.contains?(value, <<0>>)

  defp rule?({:max_age, seconds}), do: is_number(seconds) and seconds > 0

  defp rule?({key, n}),
    do: key in [:max_calls, :max_rss, :max_abandoned] and is_integer(n) and n > 0

  defp credit?({key, n}), do: key in [:items, :bytes] and is_integer(n) and n > 0
end
