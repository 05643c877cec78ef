defmodule Bridge.ProcessGroup do
  @moduledoc false

  # The processes of a port: its program, whatever that has started, and so on. A child of a port leads
  # a session and a group of its own, which carries its process id.
  #
  # Signals are sent by a shell, which has `kill` built in: the program of that name is missing from
  # images such as Debian's slim ones. `--` stands there in case it is the program after all, which
  # in procps 4 takes -1234 for the process -1, and that is every process there is. BusyBox complains
  # of it and does what it should; so its complaints and its status count for nothing.

  @kill ~S(kill -s "$1" -- "-$0" 2>/dev/null)

  # The second form is BusyBox's: sent to the wrong ones, a signal 0 does no harm.
  @finish """
  there() { kill -s 0 -- "-$0" 2>/dev/null || kill -s 0 "-$0" 2>/dev/null; }
  there || exit 0
  kill -s TERM -- "-$0" 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    sleep 0.02
    there || exit 0
  done
  kill -s KILL -- "-$0" 2>/dev/null
  """

  @doc "Sends a signal to all that belong to the port program with this id. Without one, to nobody."
  @spec kill(non_neg_integer | nil, signal :: String.t()) :: :ok
  def kill(os_pid, signal \\ "KILL")
  def kill(nil, _signal), do: :ok
  def kill(os_pid, signal), do: run(@kill, [Integer.to_string(os_pid), signal])

  @doc """
  Ends what is left of a port program that has ended in order.

  It is told by SIGTERM, and killed when it is still there a fifth of a second later. Returns when
  nothing is left; that is at once, as a rule, because Python has seen to it.
  """
  @spec finish(non_neg_integer | nil) :: :ok
  def finish(nil), do: :ok
  def finish(os_pid), do: run(@finish, [Integer.to_string(os_pid)])

  # In a machine without a shell the watcher beside Python is all there is.
  defp run(script, arguments) do
    sh = System.find_executable("sh") || "/bin/sh"
    System.cmd(sh, ["-c", script | arguments], stderr_to_stdout: true)
    :ok
  rescue
    ErlangError -> :ok
  end
end
