defmodule Bridge.Claim do
  @moduledoc false

  # Who has a call: its caller still, or Python already. One atomic integer for each call.
  #
  # The client claims a call for Python right before it writes the request; the caller takes it back
  # when its time is over. One of them wins, whatever the other is doing, so a caller knows for sure
  # that a request which it took back is never written, also when the client is suspended.
  #
  # It also keeps in which periods the places of the call were taken, see `Bridge.Occupancy`: one in the
  # client (`Bridge.Places`), and one in the pool (`Bridge.Pool.Seat`) if that is one of a pool.
  #
  # An atomic is known on its own node only. For a caller on another node the client makes the claim,
  # and the caller asks the client to take the call back.

  alias Bridge.Occupancy

  @unsent 0
  @sent 1
  @withdrawn 2

  @place 2
  @seat 3

  @type t :: :atomics.atomics_ref()

  @doc "A call that nobody has claimed, with the periods of its places."
  @spec new(place :: Occupancy.period(), seat :: Occupancy.period()) :: t
  def new(place \\ 0, seat \\ 0) do
    claim = :atomics.new(3, signed: false)
    if place == 1, do: :atomics.put(claim, @place, 1)
    if seat == 1, do: :atomics.put(claim, @seat, 1)
    claim
  end

  @doc "The place of the call in the pool was taken in this period."
  @spec put_seat(t, Occupancy.period()) :: :ok
  def put_seat(claim, period), do: :atomics.put(claim, @seat, period)

  @doc "The period of the place in the client."
  @spec place(t) :: Occupancy.period()
  def place(claim), do: :atomics.get(claim, @place)

  @doc "The period of the place in the pool."
  @spec seat(t) :: Occupancy.period()
  def seat(claim), do: :atomics.get(claim, @seat)

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
