"""All streams are fed by one generator of `setup()`: each gets some of the pages, none gets all."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "pages"


def read_pages(book):
    yield from (f"{book}, page {number}" for number in range(1, 4))


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.pages = read_pages("Moby Dick")

    @tool(examples=[[]])
    def read(self):
        for page in self.pages:
            yield page.upper()


class Mended(ThreadSafeAdapter):
    """Every stream has a generator of its own."""

    def setup(self):
        self.book = "Moby Dick"

    @tool(examples=[[]])
    def read(self):
        for page in read_pages(self.book):
            yield page.upper()
