"""A cluster of Ray that serves a bridge, and what is lost when parts of it are killed."""
