"""Bytes to messages and back, without a thread, a lock, a descriptor or a clock."""
