"""Quick tools run on the thread that reads, under watch."""
