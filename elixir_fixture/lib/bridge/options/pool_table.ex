defmodule Bridge.Options.PoolTable do
  @moduledoc false

  # The options of `Bridge.Pool` that a single client has not, in the form of `Bridge.Options.Table`.

  @rows [
    profile: [
      is: {:one_of, [:thread, :process]},
      default: :thread,
      doc:
        "what the defaults of the other options are for: `:thread` for few processes with many " <>
          "workers each, `:process` for many processes with one worker"
    ],
    processes: [
      is: {:integer, 0},
      without: "2, or with `profile: :process` one for each core",
      doc:
        "how many Python processes there are; 0 with `:nodes`, for a node that only calls others"
    ],
    nodes: [
      is: :nodes,
      without: "this node alone",
      doc:
        "the nodes whose pools of the same `:name` take calls from this one when its own processes are " <>
          "full or away: `:all` that are connected, or a list. See `docs/scale.md`"
    ],
    backlog: [
      is: {:integer, 0},
      without: "64, or with `profile: :process` 4",
      doc:
        "how many calls a process may have beyond its `:max_workers`. Those wait in Python, where the " <>
          "next one begins at once; beyond that a call waits for whichever process has room first. " <>
          "Calls of `async def` tools, which need no worker, count as well"
    ],
    max_waiting: [
      is: {:integer, 0},
      default: 1_024,
      doc:
        "how many calls may wait for room in a process; one more is answered `:resource_exhausted`"
    ],
    affinity: [
      is: {:one_of, [:preferred, :strict, :none]},
      default: :preferred,
      doc:
        "where a call with a `:session` goes. `:preferred`: to the process of its session, or to another " <>
          "one if that is full or away. `:strict`: to the process of its session only, for which it " <>
          "waits. `:none`: anywhere"
    ],
    recycle: [
      is: :recycle,
      default: [],
      doc:
        "when a process is replaced: `max_age:` in seconds, `max_calls:`, `max_rss:` in bytes of Python's " <>
          "own memory, `max_abandoned:` tools that go on although nobody awaits them"
    ],
    drain: [
      is: :seconds,
      default: 30,
      doc:
        "how long calls and streams may take to end in a process that has been replaced, before they are " <>
          "ended"
    ],
    threads_per_process: [
      is: :threads,
      without: "each worker's share of the cores",
      doc:
        "how many threads NumPy, BLAS, OpenMP and the like start for a call: `OMP_NUM_THREADS` and " <>
          "its relatives, unless `:env` has them. `:all` leaves that to them"
    ],
    check_every: [
      is: :seconds,
      default: 1,
      doc: "how often to look whether a process is to be replaced"
    ]
  ]

  @doc "What each option must be, and what it is for."
  @spec rows() :: [{name :: atom, row :: keyword}]
  def rows, do: @rows
end
