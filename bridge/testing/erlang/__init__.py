"""Terms of Erlang, and the Python side of ErlPort, for tests that compare with it."""
