"""A `Context` that the adapter keeps is shared: a call divides with the precision of another."""

import decimal
from decimal import Decimal

from bridge import ThreadSafeAdapter, tool

EXPECTED = "arithmetic"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.arithmetic = decimal.Context()

    @tool(examples=[[1, 3, 5], [2, 7, 9]])
    def divide(self, a, b, digits):
        self.arithmetic.prec = digits
        return str(self.arithmetic.divide(Decimal(a), Decimal(b)))


class Mended(ThreadSafeAdapter):
    """`decimal.localcontext` changes the context of its own thread only."""

    @tool(examples=[[1, 3, 5], [2, 7, 9]])
    def divide(self, a, b, digits):
        with decimal.localcontext(prec=digits):
            return str(Decimal(a) / Decimal(b))
