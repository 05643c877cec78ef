"""One peer on a pair of pipes."""
