"""Any number of peers on a network, or on a Unix socket."""
