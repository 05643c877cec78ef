"""One page is rewound and written for every call: a call reads what another is writing."""

import io

from bridge import ThreadSafeAdapter, tool

EXPECTED = "page"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.page = io.StringIO()

    @tool(examples=[["Races", "They happen."], ["Locks", "They help."]])
    def render(self, title, text):
        self.page.seek(0)
        self.page.truncate()
        self.page.write(f"<h1>{title}</h1>")
        self.page.write(f"<p>{text}</p>")
        return self.page.getvalue()


class Mended(ThreadSafeAdapter):
    """Each call writes a page of its own."""

    @tool(examples=[["Races", "They happen."], ["Locks", "They help."]])
    def render(self, title, text):
        page = io.StringIO()
        page.write(f"<h1>{title}</h1>")
        page.write(f"<p>{text}</p>")
        return page.getvalue()
