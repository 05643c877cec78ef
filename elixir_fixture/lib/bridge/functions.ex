defmodule Bridge.Functions do
  @moduledoc ~S'''
  Functions of an application that its Python tools can call.

  A client offers what its option `:functions` names, and nothing else: a map of functions by name, or
  a module like this, whose documented functions are offered under their names:

      defmodule MyApp.ForPython do
        use Bridge.Functions

        @doc "A product by its number."
        def product(number), do: %{name: "hat", number: number}

        @doc "Numbers from one on, made as Python takes them."
        def numbers(), do: Stream.iterate(1, &(&1 + 1))
      end

      children = [{Bridge, adapter: "my_tools:Tools", functions: MyApp.ForPython, name: MyApp.Python}]

  In Python:

      @tool
      def describe(self, number, ctx: Context):
          return ctx.call_elixir("product", number)["name"]

  Each request runs in a process of its own, at most `:max_elixir_calls` of them at once. It ends when the
  tool waits no more: by its deadline, or because its own call was cancelled. What the function
  raises, throws or exits with arrives as `bridge.ElixirError`.

  A function takes its arguments by position; those that Python gives by name arrive as one map. With
  `ctx.stream_elixir` a list, a `Stream`, a range or a function as `Stream` makes them is enumerated
  as Python takes the items.

  A function may call tools of the same client. Such a call runs on the thread that waits for the
  function, so that it needs no free worker. The same holds in a `Task` that the function starts, and in
  tasks of such tasks, as long as the function runs. In a process that is started in another way, give the call the option
  `within: Bridge.Functions.within()` of the function's own process for that. With `within: nil` a call is one
  like all others: for work that the function leaves behind, and does not wait for.
  '''

  @typedoc "What the option `:functions` takes."
  @type offered :: module | %{optional(String.t()) => function}

  @typedoc "A function and its description, by name and number of arguments."
  @type table :: %{optional({String.t(), arity}) => {function, String.t()}}

  @doc """
  The call of Python for which this process works: the value of the option `:within` of a call.

  nil in a process that runs no function for Python.

      iex> Bridge.Functions.within()
      nil

  """
  @spec within() :: term
  def within, do: Bridge.Runner.within()

  @doc false
  defmacro __using__(_opts) do
    quote do
      @on_definition Bridge.Functions
      @before_compile Bridge.Functions
      Module.register_attribute(__MODULE__, :bridge_functions, accumulate: true)
    end
  end

  # At compile time, because a release has no documentation in its modules.
  @doc false
  def __on_definition__(env, :def, name, args, _guards, _body) do
    with {_line, doc} when is_binary(doc) <- Module.get_attribute(env.module, :doc) do
      optional = Enum.count(args, &match?({:\\, _meta, _args}, &1))

      for arity <- (length(args) - optional)..length(args) do
        Module.put_attribute(env.module, :bridge_functions, {name, arity, doc})
      end
    end
  end

  def __on_definition__(_env, _kind, _name, _args, _guards, _body), do: :ok

  @doc false
  defmacro __before_compile__(env) do
    functions = env.module |> Module.get_attribute(:bridge_functions) |> Enum.uniq()

    quote do
      @doc false
      def __bridge_functions__, do: unquote(Macro.escape(functions))
    end
  end

  @doc false
  @spec table(offered) :: table
  def table(module) when is_atom(module) do
    for {name, arity, doc} <- module.__bridge_functions__(), into: %{} do
      {{Atom.to_string(name), arity}, {Function.capture(module, name, arity), doc}}
    end
  end

  def table(functions) do
    for {name, function} <- functions, into: %{} do
      {:arity, arity} = Function.info(function, :arity)
      {{name, arity}, {function, ""}}
    end
  end

  @doc false
  @spec valid?(term) :: boolean
  def valid?(module) when is_atom(module) and module not in [nil, true, false] do
    Code.ensure_loaded?(module) and function_exported?(module, :__bridge_functions__, 0)
  end

  def valid?(functions) when is_map(functions) and not is_struct(functions) do
    Enum.all?(functions, fn {name, function} ->
      is_binary(name) and name != "" and not String.starts_with?(name, "$/") and
        is_function(function)
    end)
  end

  def valid?(_other), do: false
end
