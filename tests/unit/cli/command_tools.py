"""Adapters for the tests of the commands; misbehaving ones have honest names."""

from bridge import Adapter, CallError, Context, ThreadSafeAdapter, tool


class Tools(ThreadSafeAdapter):
    log = []

    def setup(self):
        self.log.append("setup")

    def close(self):
        print("closed")

    @tool
    def add(self, a: int, b: int = 1) -> int:
        """Add two numbers.

        Not shown in the list.
        """
        return a + b

    @tool
    def give(self, value):
        return value

    @tool
    def reports_oddly(self, ctx: Context):
        """Whatever it reports, the tool goes on."""

        class Leaving:
            def __repr__(self):
                raise SystemExit(3)

        leaving = Leaving()
        for done, total in (("a", "b"), (leaving, leaving), (1e999, -1), (10**400, 10**401)):
            ctx.progress(done, total, leaving)
        ctx.log("loud", leaving, value=leaving)
        return "done"

    @tool
    def deep(self):
        value = 1
        for _ in range(900):
            value = [value]
        return value

    @tool
    def shy(self):
        """A model that can be made plain, and not be shown."""

        class Shy:
            def model_dump(self):
                return {"a": 1}

            def __repr__(self):
                raise SystemExit(3)

        return Shy()

    @tool
    def nothing(self):
        pass

    @tool
    def weird(self):
        return {
            1,
        }

    @tool
    def unencodable(self):
        return object()

    @tool
    def fails(self):
        raise ValueError("as expected")

    @tool
    def refuses(self):
        raise CallError("not yours", code="permission_denied")

    @tool(serial=True)
    def count(self, to: int):
        """Count."""
        for n in range(to):
            yield {"n": n}

    @tool
    def breaks(self):
        yield 1
        raise ValueError("as expected")

    @tool
    async def later(self):
        """Async."""
        return "later"

    @tool
    def reports(self, ctx: Context):
        ctx.progress(1, 2, "half")
        ctx.progress(3)
        ctx.log("info", "a line", n=1)
        return "done"

    @tool
    def waits(self, ctx: Context):
        ctx.wait()
        ctx.check()


class Careful(Adapter):
    @tool
    def f(self):
        pass


class Empty(Adapter):
    pass


class Broken(Adapter):
    def setup(self):
        raise ValueError("no model")

    @tool
    def f(self):
        pass
