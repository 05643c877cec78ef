"""The command line: ``bridge``, ``python -m bridge`` and their subcommands."""
