"""The corpus of races, again and again: each broken one is found always, each mended one never."""
