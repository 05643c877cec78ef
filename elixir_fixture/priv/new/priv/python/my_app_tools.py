from bridge import ThreadSafeAdapter, tool


class Tools(ThreadSafeAdapter):
    @tool
    def mean(self, numbers: list) -> float:
        """The mean of numbers."""
        return sum(numbers) / len(numbers)
