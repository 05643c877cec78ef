"""Written by scripts/gen-protos. Do not edit."""
