"""One builder is cleared and reused for every call, so calls at once build one mixed document."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "lines"


class Letter:
    def __init__(self):
        self.lines = []

    def add(self, line):
        self.lines.append(line)
        return self

    def text(self):
        return "\n".join(self.lines)


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.letter = Letter()

    @tool(examples=[["Ann"], ["Bob"]])
    def write(self, name):
        self.letter.lines.clear()
        return self.letter.add(f"Dear {name}").add("Yours").text()


class Mended(ThreadSafeAdapter):
    """Every call makes its own builder; nobody else can see it."""

    @tool(examples=[["Ann"], ["Bob"]])
    def write(self, name):
        return Letter().add(f"Dear {name}").add("Yours").text()
