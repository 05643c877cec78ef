defmodule Bridge do
  @moduledoc ~S'''
  Calls Python from Elixir: functions marked `@tool` run in one Python process, many at a time.

  In Python:

      # my_app/tools.py
      from bridge import Context, ThreadSafeAdapter, tool

      class Tools(ThreadSafeAdapter):
          @tool
          def add(self, a, b):
              return a + b

          @tool
          def primes(self, below):
              for n in range(2, below):
                  if all(n % d for d in range(2, n)):
                      yield n

  In the application's supervisor:

      children = [
        {Bridge, adapter: "my_app.tools:Tools", app_dir: "python", name: MyApp.Python}
      ]

  The child is started when Python is ready to serve, and is started anew when Python dies. All
  options are listed at `Bridge.Client.start_link/1`.

  ## Calls

      {:ok, 3} = Bridge.call(MyApp.Python, "add", [1, 2])
      {:ok, 3} = Bridge.call(MyApp.Python, "add", a: 1, b: 2)
      3 = Bridge.call!(MyApp.Python, "add", [1, 2], timeout: 500)

  Any number of processes may call at the same time; `:max_workers` of the calls run, the others
  wait in Python's queue. Which Elixir value becomes which Python value, and back, is listed at
  `Bridge.Msgpack`. In short: strings are text, `{:bytes, data}` is bytes, atoms become text and
  stay text.

  ## Streams

  A tool that yields is called with `stream/4`, which is lazy at both ends: nothing is sent until
  the stream is enumerated, and Python makes no more items than the consumer keeps up with.

      MyApp.Python |> Bridge.stream("primes", [1_000_000]) |> Enum.take(3)
      #=> [2, 3, 5]

  ## Cancelling

  A call that runs out of time is cancelled in Python, and so is that of a process that dies. To
  cancel from elsewhere, give the call a tag:

      Bridge.call(MyApp.Python, "train", [data], timeout: :infinity, tag: {:training, 7})

      # in another process
      Bridge.cancel(MyApp.Python, {:training, 7})

  The call then returns `{:error, %Bridge.Error{code: :cancelled}}`. In Python cancelling is a
  request: the tool goes on until it looks at its `Context`, or yields.

  ## Tensors

  NumPy arrays arrive as `Bridge.Tensor`, in the layout of Nx, and the other way round:

      {:ok, tensor} = Bridge.call(MyApp.Python, "embed", ["some text"])
      tensor.data |> Nx.from_binary(tensor.type) |> Nx.reshape(tensor.shape)

  ## Errors

  Whatever goes wrong is a `Bridge.Error`, with a `code` to match on and, for an exception in a
  tool, Python's traceback:

      case Bridge.call(MyApp.Python, "add", [1, nil]) do
        {:ok, sum} -> sum
        {:error, %Bridge.Error{code: :unavailable, started: false}} -> :try_again
        {:error, error} -> Logger.error(Exception.message(error))
      end
  '''

  alias Bridge.{Client, Error}

  @doc "The specification for a supervisor: `{Bridge, opts}`. See `Bridge.Client.child_spec/1`."
  @spec child_spec(keyword) :: Supervisor.child_spec()
  defdelegate child_spec(opts), to: Client

  @doc "Starts Python outside of a supervisor. See `Bridge.Client.start_link/1`."
  @spec start_link(keyword) :: GenServer.on_start()
  defdelegate start_link(opts), to: Client

  @doc "Calls a tool and waits for its result. See `Bridge.Client.call/4`."
  @spec call(Client.client(), Client.tool(), Client.args(), keyword) ::
          {:ok, term} | {:error, Error.t()}
  defdelegate call(client, tool, args \\ [], opts \\ []), to: Client

  @doc "Calls a tool, and returns the bare result or raises. See `Bridge.Client.call!/4`."
  @spec call!(Client.client(), Client.tool(), Client.args(), keyword) :: term
  defdelegate call!(client, tool, args \\ [], opts \\ []), to: Client

  @doc "The items of a streaming tool, lazily. See `Bridge.Client.stream/4`."
  @spec stream(Client.client(), Client.tool(), Client.args(), keyword) :: Enumerable.t()
  defdelegate stream(client, tool, args \\ [], opts \\ []), to: Client

  @doc "Cancels all calls and streams with a tag. See `Bridge.Client.cancel/2`."
  @spec cancel(Client.client(), term) :: :ok
  defdelegate cancel(client, tag), to: Client

  @doc "The tools that Python serves. See `Bridge.Client.tools/1`."
  @spec tools(Client.client()) :: {:ok, [map]} | {:error, Error.t()}
  defdelegate tools(client), to: Client

  @doc "Python's counters and histograms. See `Bridge.Client.stats/1`."
  @spec stats(Client.client()) :: {:ok, map} | {:error, Error.t()}
  defdelegate stats(client), to: Client

  @doc "Stops Python and its client. See `Bridge.Client.stop/3`."
  @spec stop(Client.client(), term, timeout) :: :ok
  defdelegate stop(client, reason \\ :normal, timeout \\ :infinity), to: Client
end
