defmodule Bridge.Lookup do
  @moduledoc false

  # Which process a caller means: by its pid, or by a name.
  #
  # What can be no client whatever runs is a mistake of the program, and raises. What might be one is looked
  # up: it may not run, or be another process, which is not bothered with messages that it does not know.

  alias Bridge.{Error, Places, Waiting}

  @names "an atom, {:global, term}, {:via, module, term} or {name, node}"

  # Where processes of `Bridge` begin, whose places are not open yet.
  @ours [{Bridge.Server, :init, 1}, {Bridge.Pool.Keeper, :init, 1}]

  @doc """
  Raises `ArgumentError` for what can be neither pid nor name.

      iex> Bridge.Lookup.check!(MyApp.Python)
      :ok

      iex> Bridge.Lookup.check!("MyApp.Python")
      ** (ArgumentError) expected a client or a pool: its pid, or its name (an atom, {:global, term}, {:via, module, term} or {name, node}), got: "MyApp.Python"

  """
  @spec check!(term) :: :ok
  def check!(client) when is_pid(client), do: :ok

  def check!(name) when is_atom(name) and name not in [nil, true, false, :undefined], do: :ok
  def check!({:global, _name}), do: :ok
  def check!({:via, registry, _name}) when is_atom(registry), do: :ok

  def check!({name, node}) when is_atom(name) and is_atom(node) and nil not in [name, node],
    do: :ok

  def check!(other) do
    raise ArgumentError,
          "expected a client or a pool: its pid, or its name (#{@names}), got: #{inspect(other)}"
  end

  @doc """
  The process of a client, or of a pool. An error is that it does not run, or is another process of this node.
  """
  @spec find(Bridge.client()) :: {:ok, Waiting.process()} | {:error, Error.t()}
  def find(client) do
    with {:ok, process} <- whereis(client),
         :ok <- check_kind(process),
         do: {:ok, process}
  end

  @doc "The same, whatever that process is."
  @spec whereis(Bridge.client()) :: {:ok, Waiting.process()} | {:error, Error.t()}
  def whereis(client) when is_pid(client), do: {:ok, client}

  def whereis(client) do
    check!(client)

    case GenServer.whereis(client) do
      nil -> Waiting.down(client, :noproc, false)
      process -> {:ok, process}
    end
  end

  @doc "An error if a process of this node is no client and no pool. Of those elsewhere nobody knows."
  @spec check_kind(Waiting.process()) :: :ok | {:error, Error.t()}
  def check_kind(process) when is_pid(process) and node(process) == node() do
    if Places.of(process) == nil and another?(Process.info(process, :dictionary)) do
      message = "#{inspect(process)} is a process, but no client and no pool of Bridge"
      {:error, %Error{code: :invalid_argument, message: message, started: false}}
    else
      :ok
    end
  end

  def check_kind(_elsewhere), do: :ok

  defp another?({:dictionary, dictionary}), do: dictionary[:"$initial_call"] not in @ours
  # it has ended
  defp another?(nil), do: false

  @doc """
  Sends a client, or a pool, what nobody waits for; nothing if it does not run.

  Raises `ArgumentError` if it is neither.
  """
  @spec order(Bridge.client(), send :: (Waiting.process() -> term)) :: :ok
  def order(client, send) do
    case find(client) do
      {:ok, process} ->
        send.(process)
        :ok

      {:error, %{code: :unavailable}} ->
        :ok

      {:error, error} ->
        raise ArgumentError, error.message
    end
  end
end
