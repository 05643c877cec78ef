"""Tools that ask the program which called them."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from bridge import Context, ElixirError, ThreadSafeAdapter, current_context, tool
from bridge.errors import InvalidParams


class Asks(ThreadSafeAdapter):
    def setup(self):
        self.threads = set()

    @tool
    def ask(self, name: str, args: list, ctx: Context):
        return ctx.call_elixir(name, *args)

    @tool
    def ask_named(self, name: str, args: dict, ctx: Context):
        return ctx.call_elixir(name, **args)

    @tool
    def ask_in_time(self, name: str, seconds: float, ctx: Context):
        return ctx.call_elixir(name, timeout_s=seconds)

    @tool
    async def ask_async(self, name: str, args: list, ctx: Context):
        return await ctx.acall_elixir(name, *args)

    @tool
    async def ask_in_the_way(self, ctx: Context):
        return ctx.call_elixir("add", 1, 2)

    @tool
    def ask_without_context(self, name: str, args: list):
        return current_context().call_elixir(name, *args)

    @tool(serial=True)
    def ask_in_turn(self, name: str, args: list, ctx: Context):
        return ctx.call_elixir(name, *args)

    @tool
    def ask_from_a_thread(self, name: str, args: list, ctx: Context):
        with ThreadPoolExecutor(1) as pool:
            return [pool.submit(ctx.call_elixir, name, *args).result()]

    @tool
    def total(self, name: str, args: list, ctx: Context):
        return sum(ctx.stream_elixir(name, *args))

    @tool
    def ask_for_each(self, items: str, name: str, args: list, ctx: Context):
        return [ctx.call_elixir(name, *args) for _ in ctx.stream_elixir(items, 3)]

    @tool
    def ask_after_a_refusal(self, how: str, name: str, args: list, ctx: Context):
        try:
            if how == "call":
                ctx.call_elixir(name, object())
            else:
                next(ctx.stream_elixir(name, object()))
        except InvalidParams:
            return ctx.call_elixir(name, *args)

    @tool
    def first(self, name: str, count: int, ctx: Context):
        items = ctx.stream_elixir(name)
        return [next(items) for _ in range(count)]

    @tool
    def caught(self, name: str, ctx: Context):
        try:
            return ctx.call_elixir(name)
        except ElixirError as error:
            return [error.code, error.kind, error.type, error.message]

    @tool
    def offered(self, ctx: Context):
        return ctx.elixir_tools()

    @tool
    def send(self, name: str, message, ctx: Context):
        ctx.send_elixir(name, message)

    @tool
    def fathom(self, depth: int, ctx: Context):
        """How deep it goes: each level asks Elixir, which asks the next."""
        self.threads.add(threading.get_ident())
        return depth if depth == 0 else 1 + ctx.call_elixir("descend", depth - 1)

    @tool
    async def fathom_async(self, depth: int, ctx: Context):
        await asyncio.sleep(0)
        return depth if depth == 0 else 1 + await ctx.acall_elixir("descend_async", depth - 1)

    @tool
    def echo(self, value):
        return value
