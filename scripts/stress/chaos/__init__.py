"""Real programs of both languages under load, and harm done to them: ``scripts/chaos``."""
