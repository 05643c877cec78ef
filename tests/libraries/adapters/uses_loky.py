"""Work is done by the processes of loky; what they return is added up, or only returned."""

from loky import get_reusable_executor

from bridge import ThreadSafeAdapter, tool

FOUND = "total"


class Wrong(ThreadSafeAdapter):
    def setup(self):
        self.total = 0

    @tool(examples=[[[1, -2, 3]]])
    def add(self, numbers: list[int]) -> None:
        self.total += sum(get_reusable_executor(2).map(abs, numbers))


class Right(ThreadSafeAdapter):
    @tool(examples=[[[1, -2, 3]]])
    def add(self, numbers: list[int]) -> int:
        return sum(get_reusable_executor(2).map(abs, numbers))
