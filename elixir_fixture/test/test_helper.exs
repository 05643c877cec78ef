if not Bridge.Test.GRPC.available?() do
  IO.puts(
    "left out: tests over gRPC, for which curl with HTTP/2 is missing (apt-get install curl)"
  )

  ExUnit.configure(exclude: [:grpc])
end

if not Bridge.Test.Nodes.available?() do
  IO.puts("left out: tests with another node, for which epmd is missing")
  ExUnit.configure(exclude: [:distributed | ExUnit.configuration()[:exclude]])
end

ExUnit.start(assert_receive_timeout: Bridge.TestCase.patience())
