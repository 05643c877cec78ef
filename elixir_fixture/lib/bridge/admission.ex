defmodule Bridge.Admission do
  @moduledoc false

  # Whether a request that a client takes out of its mailbox becomes a call. The mailbox may have kept
  # it for long: its caller may be dead. (Of one on another node its monitor tells.)

  alias Bridge.{Error, Places}

  @doc """
  `:gone` is that its caller has died. `refusal` is the answer to all calls, nil if there is none.

  A caller on this node has taken a place, and brings the claim. For one on another node, whose `pid`
  is not looked at, both were made just now, whether there was a place or not.
  """
  @spec admit(Places.t(), refusal :: Error.t() | nil, pid, has_place :: boolean) ::
          :ok | {:error, Error.t()} | :gone
  def admit(places, refusal, _remote, false) do
    case {refusal, Places.overdrawn?(places)} do
      {nil, false} -> :ok
      {nil, {true, limit}} -> {:error, full(limit)}
      {refusal, _any} -> {:error, refusal}
    end
  end

  def admit(_places, refusal, pid, true) do
    cond do
      not Process.alive?(pid) -> :gone
      refusal == nil -> :ok
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
