"""The list was not empty when it was tested; another thread took the last one: `IndexError`."""

from bridge import ThreadSafeAdapter, tool

EXPECTED = "coupons"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.coupons = [f"COUPON{number}" for number in range(10)]

    @tool(examples=[[]])
    def redeem(self):
        if self.coupons:
            return self.coupons.pop()
        return None


class Mended(ThreadSafeAdapter):
    """`list.pop` is atomic and says itself when nothing is left."""

    def setup(self):
        self.coupons = [f"COUPON{number}" for number in range(10)]

    @tool(examples=[[]])
    def redeem(self):
        try:
            return self.coupons.pop()
        except IndexError:
            return None
