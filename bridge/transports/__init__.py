"""How a peer reaches the dispatcher; one file for each way."""
