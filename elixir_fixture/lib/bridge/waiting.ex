defmodule Bridge.Waiting do
  @moduledoc false

  # How a process waits for a client: at an alias of its own, until its deadline, whatever the client
  # does. What is sent to the alias later is dropped by the runtime.

  alias Bridge.{Answer, Claim, Error}

  # When its time is over, a caller waits so long for Python's own word on whether the tool began.
  @last_word_ms 12

  # How long to wait before a message is tried again that would have suspended the caller.
  @again_ms 5

  @typedoc "A client as `GenServer.whereis/1` finds it."
  @type process :: pid | {name :: atom, node}

  @typedoc "What the client sent, or the error that there is instead."
  @type answer :: term

  @doc """
  Sends what `message` makes of an alias, and waits there for so many milliseconds. The alias is one
  of the monitor, which the first answer ends.
  """
  @spec wait(process, (reference -> term), timeout) ::
          {answer, reference} | {:overdue, reference} | {:down, reference, reason :: term}
  # A runtime that is no node cannot even monitor what is on another one.
  def wait({_name, node}, _message, _timeout)
      when node() == :nonode@nohost and node != :nonode@nohost do
    {:down, make_ref(), :nonode}
  end

  def wait(process, message, timeout) do
    alias = :erlang.monitor(:process, process, alias: :reply_demonitor)

    case deliver(process, message.(alias), timeout) do
      :late ->
        {:overdue, alias}

      left ->
        receive do
          {^alias, answer} -> {answer, alias}
          {:DOWN, ^alias, :process, _process, reason} -> {:down, alias, reason}
        after
          left -> {:overdue, alias}
        end
    end
  end

  # Sends a message, and says how much time is left.
  defp deliver(process, message, timeout) when is_pid(process) and node(process) == node() do
    send(process, message)
    timeout
  end

  # To another node: without :nosuspend a full connection would suspend the caller.
  defp deliver(process, message, timeout) do
    case :erlang.send(process, message, [:nosuspend]) do
      :ok ->
        timeout

      :nosuspend when timeout == 0 ->
        :late

      :nosuspend ->
        pause = min(timeout, @again_ms)
        Process.sleep(pause)
        deliver(process, message, if(timeout == :infinity, do: timeout, else: timeout - pause))
    end
  end

  @doc """
  The time is over: the answer that there is, or the error.

  Whoever has taken the call back knows that it never began; otherwise Python, or a client on another
  node, has the last word, if it comes at once. `key` is the alias at which the call was asked for.
  """
  @spec expire(process, key :: reference, alias :: reference, Claim.t() | nil) :: answer
  def expire(process, key, alias, claim) do
    began = began?(claim)
    :erlang.send(process, {:bridge_timeout, self(), key}, [:nosuspend])

    if began == false do
      :erlang.demonitor(alias, [:flush])

      receive do
        {^alias, {:error, error}} -> {:error, error}
      after
        0 -> overdue(false, ", before it was sent to Python")
      end
    else
      receive do
        {^alias, {:notes, _handle, _frames}} -> give_up(alias, began)
        {^alias, answer} -> answer
        {:DOWN, ^alias, :process, _process, reason} -> down(process, reason, began)
      after
        @last_word_ms -> give_up(alias, began)
      end
    end
  end

  @doc """
  What an answer that has come so late is for who watches for this.

  Of a stream whose time is over the client drops what comes, so its good end is none.
  """
  @spec late(answer, watch :: term) :: answer
  def late({:response, _frame} = answer, watch) when watch not in [nil, :progress] do
    with {:ok, _value} <- Answer.result(answer), do: overdue(true)
  end

  def late(answer, _watch), do: answer

  @doc "Waits no more at an alias. `began` says whether the tool may have begun, as far as is known."
  @spec give_up(alias :: reference, began :: boolean | nil) :: answer
  def give_up(alias, began) do
    :erlang.demonitor(alias, [:flush])

    receive do
      {^alias, {:notes, _handle, _frames}} -> give_up(alias, began)
      {^alias, answer} -> answer
    after
      0 -> overdue(began)
    end
  end

  @doc "The error of a call whose time is over. `began` is as for `give_up/2`; `more` ends its message."
  @spec overdue(began :: boolean | nil, more :: String.t()) :: {:error, Error.t()}
  def overdue(began, more \\ "") do
    message = "the call took longer than its timeout" <> more
    {:error, %Error{code: :deadline_exceeded, message: message, started: began}}
  end

  @doc "Whether the tool may have begun: takes the call back, so that the answer stays true."
  @spec began?(Claim.t() | nil) :: boolean | nil
  def began?(nil), do: nil
  def began?(claim), do: not Claim.withdraw(claim)

  @doc "The error of a client that is not there, or has ended."
  @spec down(Bridge.client(), reason :: term, began :: boolean | nil) :: {:error, Error.t()}
  def down(client, :noproc, _began) do
    message = "the client #{inspect(client)} is not running"
    {:error, %Error{code: :unavailable, message: message, started: false}}
  end

  def down(client, :nonode, _began) do
    {:error, error} = down(client, :noconnection, nil)
    {:error, %{error | started: false}}
  end

  def down(client, :noconnection, _began) do
    message = "the node of the client #{inspect(client)} cannot be reached"
    {:error, %Error{code: :unavailable, message: message}}
  end

  def down(client, reason, began) do
    message = "the client #{inspect(client)} has ended: #{Exception.format_exit(reason)}"
    {:error, %Error{code: :unavailable, message: message, started: began}}
  end

  @doc "The instant in so many milliseconds."
  @spec deadline(timeout) :: integer | :infinity
  def deadline(:infinity), do: :infinity
  def deadline(ms), do: System.monotonic_time(:millisecond) + ms

  @doc "How many milliseconds are left until an instant."
  @spec remaining(integer | :infinity) :: timeout
  def remaining(:infinity), do: :infinity
  def remaining(until), do: max(until - System.monotonic_time(:millisecond), 0)
end
