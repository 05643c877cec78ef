"""Which accesses race: a state machine fed with what threads do. It knows of nothing else."""
