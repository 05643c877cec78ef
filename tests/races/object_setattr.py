"""`object.__setattr__` gets past `frozen=True`, and the object that looks immutable is not."""

from dataclasses import dataclass

from bridge import ThreadSafeAdapter, tool

EXPECTED = "uses"


@dataclass(frozen=True)
class Key:
    name: str
    uses: int = 0


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.key = Key("front door")

    @tool(examples=[[]])
    def use(self):
        object.__setattr__(self.key, "uses", self.key.uses + 1)
        return self.key.uses


class Mended(ThreadSafeAdapter):
    """The write that gets past it happens under a lock."""

    def setup(self):
        self.key = Key("front door")

    @tool(examples=[[]])
    def use(self):
        with self.acquire_lock():
            object.__setattr__(self.key, "uses", self.key.uses + 1)
            return self.key.uses
