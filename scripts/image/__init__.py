"""What ``scripts/test-dockerfile`` runs: the steps of a Dockerfile, without Docker."""
