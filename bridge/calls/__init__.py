"""One call, from its request to its answer, for any transport."""
