"""The locale is one for the process: a call that sets its own changes how all others format."""

import locale

from bridge import ThreadSafeAdapter, tool

EXPECTED = "setlocale"
GRADE = "documented"


class Broken(ThreadSafeAdapter):
    @tool(examples=[[1234567.5]])
    def amount(self, number):
        before = locale.setlocale(locale.LC_NUMERIC)
        locale.setlocale(locale.LC_NUMERIC, "C")
        try:
            return locale.format_string("%.2f", number)
        finally:
            locale.setlocale(locale.LC_NUMERIC, before)


class Mended(ThreadSafeAdapter):
    """`format` does not ask the locale."""

    @tool(examples=[[1234567.5]])
    def amount(self, number):
        return format(number, ".2f")
