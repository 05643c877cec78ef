defmodule Bridge.Admission do
  @moduledoc false

  # Whether a request that a client takes out of its mailbox becomes a call. The mailbox may have kept
  # it for long: its caller may be dead. (Of one on another node its monitor tells.)

  alias Bridge.{Claim, Error, Places}

  @doc """
  `:gone` is that its caller has died. `refusal` is the answer to all calls, nil if there is none.

  A caller on this node has taken a place, and brings the claim. For one on another node both are
  made here.
  """
  @spec admit(Places.t(), refusal :: Error.t() | nil, pid, Claim.t() | nil) ::
          {:ok, Claim.t()} | {:error, Error.t()} | :gone
  def admit(places, refusal, _remote, nil) do
    Places.take_anyway(places)

    case {refusal, Places.overdrawn?(places)} do
      {nil, false} -> {:ok, Claim.new()}
      {nil, {true, limit}} -> {:error, full(limit)}
      {refusal, _any} -> {:error, refusal}
    end
  end

  def admit(_places, refusal, pid, claim) do
    cond do
      not Process.alive?(pid) -> :gone
      refusal == nil -> {:ok, claim}
      true -> {:error, refusal}
    end
  end

  @doc "The error of a call for which there is no place."
  @spec full(limit :: non_neg_integer) :: Error.t()
  def full(limit) do
    %Error{
      code: :resource_exhausted,
      message: "#{limit} calls wait for Python already, which is the :max_queue of the client",
      started: false
    }
  end
end
