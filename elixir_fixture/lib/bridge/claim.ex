defmodule Bridge.Claim do
  @moduledoc false

  # Who has a call: its caller still, or Python already. One atomic integer for each call.
  #
  # The client claims a call for Python right before it writes the request; the caller takes it back
  # when its time is over. One of them wins, whatever the other is doing, so a caller knows for sure
  # that a request which it took back is never written, also when the client is suspended.
  #
  # An atomic is known on its own node only. For a caller on another node the client makes the claim,
  # and the caller asks the client to take the call back.

  @unsent 0
  @sent 1
  @withdrawn 2

  @type t :: :atomics.atomics_ref()

  @doc "A call that nobody has claimed."
  @spec new() :: t
  def new, do: :atomics.new(1, signed: false)

  @doc "Claims the call for Python. False if it was withdrawn: the request must not be written."
  @spec claim(t) :: boolean
  def claim(claim), do: :atomics.compare_exchange(claim, 1, @unsent, @sent) == :ok

  @doc "Gives the claim back: the request could not be written now."
  @spec release(t) :: :ok
  def release(claim), do: :atomics.put(claim, 1, @unsent)

  @doc """
  Takes the call back. False if the request was written, or is being written.

      iex> claim = Bridge.Claim.new()
      iex> Bridge.Claim.withdraw(claim)
      true
      iex> Bridge.Claim.claim(claim)
      false

  """
  @spec withdraw(t) :: boolean
  def withdraw(claim) do
    :atomics.compare_exchange(claim, 1, @unsent, @withdrawn) in [:ok, @withdrawn]
  end

  @doc "Whether the request was written."
  @spec sent?(t) :: boolean
  def sent?(claim), do: :atomics.get(claim, 1) == @sent
end
