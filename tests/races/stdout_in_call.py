"""`redirect_stdout` replaces `sys.stdout` for all threads: a call collects what others print."""

import io
from contextlib import redirect_stdout

from bridge import ThreadSafeAdapter, tool

EXPECTED = "redirect_stdout"
GRADE = "documented"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[["ann", "bob"]], [["cid"]]])
    def listing(self, names):
        page = io.StringIO()
        with redirect_stdout(page):
            for name in names:
                print("-", name)
        return page.getvalue()


class Mended(ThreadSafeAdapter):
    """`print` is told where to write."""

    @tool(examples=[[["ann", "bob"]], [["cid"]]])
    def listing(self, names):
        page = io.StringIO()
        for name in names:
            print("-", name, file=page)
        return page.getvalue()
