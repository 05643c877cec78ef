"""Two bridges behind a balancer in the client: one drained, one killed, under load, with a ledger."""
