# What this machine lacks, and what is left out for that.
lacks =
  for {tag, there?, what} <- [
        {:grpc, Bridge.Test.GRPC.available?(),
         "tests over gRPC, for which curl with HTTP/2 is missing (apt-get install curl)"},
        {:distributed, Bridge.Test.Nodes.available?(),
         "tests with another node, for which epmd is missing"},
        {:pyarrow, Bridge.TestCase.imports?("pyarrow"),
         "tests of tables, for which Python lacks pyarrow (the extra arrow)"},
        {:history, Bridge.Test.History.available?(),
         "tests with version 0.1, which is not in the history of this copy"}
      ],
      not there? do
    IO.puts("left out: #{what}")
    tag
  end

ExUnit.configure(exclude: lacks)
ExUnit.start(assert_receive_timeout: Bridge.TestCase.patience())
