"""Adapters that come with the bridge, to try it with and to copy."""
