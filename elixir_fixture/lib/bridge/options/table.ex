defmodule Bridge.Options.Table do
  @moduledoc false

  # The options of `Bridge`, by the function that takes them.

  @python "python3"

  # Options that several functions take.
  @of_calls [
    session: [is: :text, doc: "names what this call belongs to, for tools that ask"],
    metadata: [is: :map, doc: "text by text for the tool, such as `traceparent`"],
    tag: [is: :any, doc: "the term to give to `Bridge.cancel/2`"],
    within: [
      is: :within,
      without: "`Bridge.Functions.within/0`",
      doc:
        "the call of Python on whose behalf this one is made, nil: none; see `Bridge.Functions`"
    ]
  ]

  # Each option of a function: what its value must be (`is`), and what it is for. A `default` is
  # filled in; where there is none, `without` says what happens. A `flag` goes to `python -m bridge`,
  # under the same name.
  @rows [
    start: [
      adapter: [is: :text, required: true, flag: true, doc: "what to serve: `module:Class`"],
      app_dir: [
        is: :place,
        without: "Python's working directory",
        flag: true,
        doc: "the directory in which Python finds the adapter's module"
      ],
      allow: [
        is: :text,
        without: "nothing",
        flag: true,
        doc:
          "the modules whose functions `bridge.adapters.functions:Functions` serves: `\"numpy.linalg,math\"`"
      ],
      python: [
        is: :interpreter,
        without: "`$BRIDGE_PYTHON`, else `#{@python}`",
        doc: "the interpreter; `{:venv, place}` is that of the virtual environment there"
      ],
      max_workers: [
        is: {:integer, 1},
        without: "Python's choice",
        flag: true,
        doc: "how many calls run at the same time; the others wait in a queue"
      ],
      max_async: [
        is: {:integer, 1},
        without: "Python's choice",
        flag: true,
        doc: "how many calls of `async def` tools run at the same time; they need no worker"
      ],
      max_queue: [
        is: {:integer, 0},
        without: "Python's choice",
        flag: true,
        doc:
          "how many calls may wait in Python, and as many in the client while Python starts or " <>
            "does not read; one more is answered `:resource_exhausted`"
      ],
      max_message_bytes: [
        is: {:integer, 1},
        without: "Python's choice",
        flag: true,
        doc: "a longer request is answered `:resource_exhausted`"
      ],
      max_message_items: [
        is: {:integer, 1},
        without: "Python's choice",
        flag: true,
        doc: "a request with more lists and maps is answered `:invalid_argument`"
      ],
      max_answer_bytes: [
        is: {:integer, 1024},
        without: "2046 MiB, what a port takes",
        doc: "a longer result or item is answered `:resource_exhausted`"
      ],
      grace: [
        is: :seconds,
        default: 5,
        flag: true,
        doc: "how long running calls may take to end when the client stops"
      ],
      log_level: [
        is: {:one_of, [:debug, :info, :warning, :error]},
        without: "Python's choice",
        flag: true,
        doc: "how much Python logs"
      ],
      args: [is: :texts, default: [], doc: "further arguments for `python -m bridge`"],
      env: [
        is: :env,
        default: [],
        doc: "environment variables of Python; the value `nil` removes one"
      ],
      cd: [is: :place, without: "the BEAM's", doc: "the working directory of Python"],
      start: [
        is: {:one_of, [:sync, :async]},
        default: :sync,
        doc:
          "`:sync`: the first start must succeed, or `start_link/1` returns its error. `:async`: " <>
            "it returns at once, and the first start is tried again like all others"
      ],
      start_timeout: [
        is: :milliseconds,
        default: 30_000,
        doc:
          "until when Python must be ready; after that it is killed, and the error says where it was"
      ],
      on_failure: [
        is: {:one_of, [:retry, :stop]},
        default: :retry,
        doc:
          "`:retry`: when Python ends, the client starts it again. `:stop`: the client ends with " <>
            "`{:shutdown, {:bridge_exited, status}}`, and its supervisor decides"
      ],
      stuck_after: [
        is: :seconds_or_infinity,
        without: "Python's choice, 30",
        doc:
          "when all workers were held so long by calls that nobody awaits any more, Python is " <>
            "ended, and started again; `:infinity` is never"
      ],
      stderr: [
        is: {:one_of, [:standard_error, :logger]},
        default: :standard_error,
        doc:
          "where Python's standard error goes, with all that it prints: to the BEAM's, or line by " <>
            "line to the `Logger`, with the level `:info` and `python_stderr: true` among the metadata"
      ],
      reload: [
        is: :boolean,
        default: false,
        doc:
          "for development: Python starts again, once running calls have ended, when a Python file " <>
            "below `:app_dir` has changed"
      ],
      decoders: [
        is: :decoders,
        default: %{},
        doc:
          "what becomes of objects of Python's classes, by full name: " <>
            "`%{\"shop.Order\" => &MyApp.Order.new/1}`. The function gets what the object is without a " <>
            "decoder, and runs in the process that calls; what it raises is the call's error. Holds for " <>
            "classes derived from that one, too"
      ],
      shared_memory: [
        is: :shared_memory,
        default: true,
        doc:
          "whether large data goes through memory that this machine's Python has as well, beside the pipe, and " <>
            "how many bytes of both directions may be there (`true`: up to 1 GiB); `false` or 0: all goes " <>
            "through the pipe, as it does where there is no such memory"
      ],
      functions: [
        is: :functions,
        without: "none",
        doc: "what Python's tools may call here: see `Bridge.Functions`"
      ],
      max_elixir_calls: [
        is: {:integer, 1},
        default: 256,
        doc: "how many of these functions run at the same time; one more is refused"
      ],
      processes: [
        is: :processes,
        default: %{},
        doc:
          "processes by the names under which `ctx.send_elixir` reaches them; they get " <>
            "`{Bridge, name, message}`"
      ],
      name: [is: :name, without: "none", doc: "a name as `GenServer.start_link/3` takes it"]
    ],
    call:
      [
        timeout: [
          is: :timeout,
          default: 5_000,
          doc:
            "when the call is cancelled, and `:deadline_exceeded` is the answer; " <>
              "Python knows it, too"
        ]
      ] ++
        @of_calls ++
        [
          on_progress: [
            is: {:function, 3},
            doc:
              "gets `done`, `total` and `text` of the tool's reports, in the calling process. " <>
                "While it runs, only the newest report is kept for it. If it raises, the call " <>
                "is cancelled"
          ]
        ],
    stream:
      [timeout: [is: :timeout, default: :infinity, doc: "the time for the stream as a whole"]] ++
        @of_calls ++
        [
          credit: [
            is: :credit,
            default: [items: 16, bytes: 1_048_576],
            doc:
              "how much may wait in the client. It is given back when the consumer takes what " <>
                "waits, so Python can work on while the consumer does. Without `items` given, these " <>
                "grow up to 1024 while Python and the consumer would only wait for each other"
          ]
        ],
    pool: Bridge.Options.PoolTable.rows()
  ]

  @typedoc "A function that takes options."
  @type function_name :: :start | :call | :stream | :pool

  @doc "What each option of a function must be, and what it is for."
  @spec rows() :: [{function_name, [{name :: atom, row :: keyword}]}]
  def rows, do: @rows
end
