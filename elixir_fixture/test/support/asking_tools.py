"""Tools that call functions of the Elixir application which called them."""

from bridge import Context, ElixirError, ThreadSafeAdapter, tool


class AskingTools(ThreadSafeAdapter):
    @tool
    def ask(self, name: str, args: list, ctx: Context):
        return ctx.call_elixir(name, *args)

    @tool
    def ask_named(self, name: str, args: dict, ctx: Context):
        return ctx.call_elixir(name, **args)

    @tool
    async def ask_async(self, name: str, args: list, ctx: Context):
        return await ctx.acall_elixir(name, *args)

    @tool(serial=True)
    def ask_in_turn(self, name: str, args: list, ctx: Context):
        return ctx.call_elixir(name, *args)

    @tool
    def caught(self, name: str, args: list, ctx: Context):
        try:
            return ctx.call_elixir(name, *args)
        except ElixirError as error:
            return {
                "code": error.code,
                "kind": error.kind,
                "type": error.type,
                "message": error.message,
                "stack": len(error.traceback or ()),
            }

    @tool
    def total(self, name: str, args: list, ctx: Context):
        return sum(ctx.stream_elixir(name, *args))

    @tool
    def first(self, name: str, count: int, ctx: Context):
        items = ctx.stream_elixir(name)
        return [next(items) for _ in range(count)]

    @tool
    def ask_size(self, count: int, ctx: Context):
        return ctx.call_elixir("size", list(range(count)))

    @tool
    def offered(self, ctx: Context):
        return ctx.elixir_tools()

    @tool
    def send(self, name: str, message, ctx: Context):
        ctx.send_elixir(name, message)

    @tool
    def fathom(self, depth: int, ctx: Context):
        """How deep it goes: each level asks Elixir, which asks the next."""
        return depth if depth == 0 else 1 + ctx.call_elixir("descend", depth - 1)

    @tool
    def echo(self, value):
        return value
