defmodule Bridge.Lifecycle do
  @moduledoc false

  # Which Python a client has, in which state it is, and when the next one is started.
  #
  # | state | meaning | calls |
  # | --- | --- | --- |
  # | `:starting` | Python loads the adapter | wait; after a failed start they are refused |
  # | `:ready` | it serves | go to Python |
  # | `:waiting` | it has failed, and is tried again later | are refused, with the reason |
  # | `:draining` | it ends what runs, before the client stops or starts another one | Python refuses them, or they wait for the next one |
  #
  # A Python that has served is followed by the next one at once. One that fails before it is ready,
  # or again and again, is followed after a pause, which doubles; a while without fault makes that
  # forgotten.
  #
  # Pure functions, but for the clock and the dice.

  alias Bridge.{Error, Options, Python, Waiters}

  @first_pause_ms 200
  @longest_pause_ms 30_000

  # So many that had served are followed at once, and after so long without fault all is forgotten.
  @at_once 3
  @stable_ms 10_000

  @enforce_keys [:settings, :name]
  defstruct [
    :settings,
    :name,
    :python,
    :ready,
    :failure,
    :then,
    :timer,
    :next_try,
    :ready_at,
    :started_at,
    state: :starting,
    failures: 0,
    starts: 0,
    waiters: Waiters.new()
  ]

  @type state :: :starting | :ready | :waiting | :draining

  @typedoc """
  `python` is nil where there is none, `ready` what it told of itself when it began to serve.
  `failure` is why the last one ended, nil once another one serves. `then` says what follows when it
  has drained, `timer` the next try that is to come. `waiters` wait until Python is ready.
  """
  @type t :: %__MODULE__{
          settings: Options.settings(),
          name: String.t(),
          python: Python.t() | nil,
          ready: map | nil,
          failure: Error.t() | nil,
          then: {:stop, reason :: term} | :start | nil,
          timer: reference | nil,
          next_try: integer | nil,
          ready_at: integer | nil,
          started_at: integer | nil,
          state: state,
          failures: non_neg_integer,
          starts: non_neg_integer,
          waiters: Waiters.t()
        }

  @doc "A client that has not started Python yet."
  @spec new(Options.settings()) :: t
  def new(settings), do: %__MODULE__{settings: settings, name: settings.title}

  @doc "Python was started."
  @spec started(t, Python.t()) :: t
  def started(life, python) do
    life = %{life | state: :starting, python: python, ready: nil, next_try: nil, timer: nil}
    %{life | starts: life.starts + 1, started_at: System.monotonic_time()}
  end

  @doc "Python is ready to serve."
  @spec ready(t, ready :: map) :: t
  def ready(life, ready) do
    %{life | state: :ready, ready: ready, failure: nil, ready_at: now(), waiters: Waiters.new()}
  end

  @doc "Python begins to drain."
  @spec draining(t, {:stop, term} | :start) :: t
  def draining(life, then), do: %{life | state: :draining, then: then}

  @doc "Whether calls wait for the start that is under way. After one that failed they do not."
  @spec held?(t) :: boolean
  def held?(life), do: life.state == :starting and life.failure == nil

  @doc """
  Python has failed. The next one comes after so many milliseconds, 0 for at once.
  """
  @spec failed(t, Error.t()) :: {t, pause_ms :: non_neg_integer}
  def failed(life, error) do
    served = life.state == :ready
    failures = if served and now() - life.ready_at >= @stable_ms, do: 1, else: life.failures + 1
    pause = if served and failures <= @at_once, do: 0, else: pause(failures)

    life = %{
      life
      | state: if(pause == 0, do: :starting, else: :waiting),
        python: nil,
        ready: nil,
        # those who call while the next one starts at once wait for it
        failure: if(pause == 0, do: nil, else: error),
        failures: failures,
        next_try: now() + pause,
        timer: nil
    }

    {life, pause}
  end

  @doc "Python has gone as it was told to: nothing has failed."
  @spec left(t) :: t
  def left(life) do
    %{life | state: :starting, python: nil, ready: nil, failure: nil, failures: 0, then: nil}
  end

  @doc "What `Bridge.status/1` tells."
  @spec status(t) :: map
  def status(life) do
    %{
      state: life.state,
      os_pid: life.python && life.python.os_pid,
      starts: life.starts,
      failures: life.failures,
      reason: life.failure,
      next_try_in_ms: life.state == :waiting && max(life.next_try - now(), 0)
    }
    |> Map.update!(:next_try_in_ms, &(&1 || nil))
  end

  # From a half of it to all of it, so that many clients that lost the same thing do not come at once.
  defp pause(failures) do
    longest = min(@first_pause_ms * 2 ** min(failures - 1, 16), @longest_pause_ms)
    div(longest, 2) + :rand.uniform(div(longest, 2))
  end

  defp now, do: System.monotonic_time(:millisecond)
end
