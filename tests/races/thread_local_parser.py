"""A parser that remembers where it stands is shared by all workers: each moves the others on."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "offset"


class Parser:
    def numbers(self, text):
        self.offset, found = 0, []
        while self.offset < len(text):
            end = text.find(",", self.offset)
            end = len(text) if end < 0 else end
            found.append(int(text[self.offset : end] or 0))
            self.offset = end + 1
        return found


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.parser = Parser()

    @tool(examples=[["1,2,3"], ["40,50"]])
    def parse(self, text):
        return self.parser.numbers(text)


class Mended(ThreadSafeAdapter):
    """Every worker makes a parser on its first call and keeps it in thread-local storage."""

    @tool(examples=[["1,2,3"], ["40,50"]])
    def parse(self, text):
        parser = self.get_thread_local("parser")
        if parser is None:
            parser = Parser()
            self.set_thread_local("parser", parser)
        return parser.numbers(text)
