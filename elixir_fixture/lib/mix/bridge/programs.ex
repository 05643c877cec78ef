defmodule Mix.Bridge.Programs do
  @moduledoc false

  # The programs that the tasks run: an interpreter, uv, git.

  @doc "Runs a program, and returns what it said and its status. Raises `ErlangError` if it does not start."
  @spec run(Path.t(), [String.t()]) :: {String.t(), non_neg_integer}
  def run(program, arguments) do
    System.cmd(program, arguments, stderr_to_stdout: true, env: clean())
  end

  @doc """
  Shows what a program says while it runs. Where it fails, raises `Mix.Error` with the `advice` that is
  found in what it said.
  """
  @spec run!(Path.t(), [String.t()], Path.t(), (String.t() -> String.t())) :: nil
  def run!(program, arguments, directory, advice) do
    Mix.shell().info([:faint, Enum.join(["$", program | arguments], " ")])

    {said, status} =
      System.cmd(program, arguments,
        stderr_to_stdout: true,
        env: clean(),
        cd: directory,
        into: %Mix.Bridge.Shown{}
      )

    if status != 0 do
      Mix.raise("#{Path.basename(program)} failed with status #{status}. #{advice.(said.text)}.")
    end
  rescue
    error in ErlangError -> Mix.raise("#{program} does not start: #{reason(error)}")
  end

  # Of whoever calls: another environment must not have a say in this one.
  defp clean, do: for(name <- ~w(PYTHONHOME PYTHONPATH VIRTUAL_ENV), do: {name, nil})

  @doc "Why a program did not start."
  @spec reason(Exception.t()) :: String.t()
  def reason(%ErlangError{original: :enoent}), do: "there is no such program"
  def reason(%ErlangError{original: :eacces}), do: "it may not be run"
  def reason(error), do: Exception.message(error)
end
