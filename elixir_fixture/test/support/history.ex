defmodule Bridge.Test.History do
  @moduledoc """
  Files of version 0.1, from the repository's history. A copy without it has none.
  """

  @repository Path.expand("../../..", __DIR__)
  # the last commit before the halves said what they take
  @commit "466d1ff26288fd42e4a40167d385c99ace79bd98"

  @doc "Whether they are there."
  def available? do
    match?({_output, 0}, git(["cat-file", "-e", @commit <> "^{commit}"]))
  rescue
    # no git
    ErlangError -> false
  end

  @doc "Writes all that is below a path of the repository below a directory."
  def extract!(path, directory) do
    archive = Path.join(directory, "#{System.unique_integer([:positive])}.tar")
    {_output, 0} = git(["archive", "--output", archive, @commit, path])
    :ok = :erl_tar.extract(archive, cwd: directory)
  end

  defp git(arguments) do
    System.cmd("git", ["-C", @repository | arguments], stderr_to_stdout: true)
  end
end
