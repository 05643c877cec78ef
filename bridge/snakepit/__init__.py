"""What the Python half of Snakepit does: ``bridge-snakepit``, ``python -m bridge.snakepit``."""
