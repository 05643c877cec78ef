"""The rules about libraries, each seen to hold against the library that is installed."""
