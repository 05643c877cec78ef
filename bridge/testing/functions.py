"""Functions that a bridge's tools can call, in Python: what Elixir offers, for tests without it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

from ..errors import CallError, TransportClosed, class_name, text_of
from ..wire import Credit, Encoder, Notification, Request


class Functions:
    """Serves functions to the tools of one bridge, each request on a thread of its own.

    Args:
        functions: By name. They get the arguments as the tool gave them, by position, or one dict
            of those by name; one that returns an iterator is streamed if the tool asks for that.
        send: Sends a message to the bridge; any thread calls it.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], send: Callable[[bytes], object]
    ) -> None:
        self._functions = dict(functions)
        self._send = send
        self._changed = threading.Condition()
        #: Requests without an answer; streaming ones with their credit.
        self._running: dict[int, Credit | None] = {}
        self._own = threading.local()

    @property
    def within(self) -> int | None:
        """The id of the call for whose tool a function runs on this thread, if one does."""
        within: int | None = getattr(self._own, "within", None)
        return within

    def serve(self, request: Request) -> None:
        """Answer a request of the bridge, soon."""
        options = request.options
        credit = None if options is None or options.credit is None else Credit(*options.credit)
        with self._changed:
            self._running[request.msgid] = credit
        threading.Thread(target=self._run, args=(request, credit), daemon=True).start()

    def note(self, message: Notification) -> None:
        """Take a cancel or a credit of the bridge."""
        with self._changed:
            if message.method == "$/cancelRequest":
                (msgid,) = cast("list[int]", message.params)
                if msgid in self._running:
                    del self._running[msgid]
                    error = CallError("the tool does not wait any more", code="cancelled")
                    self._send(Encoder().error(msgid, error.to_wire()))
            elif message.method == "$/credit":
                msgid, items, size = cast("list[int]", message.params)
                credit = self._running.get(msgid)
                if credit is not None:
                    credit.grant(items, size)
            self._changed.notify_all()

    def _run(self, request: Request, credit: Credit | None) -> None:
        self._own.within = None if request.options is None else request.options.within
        msgid, encoder = request.msgid, Encoder()
        try:
            result = self._call(request)
            if credit is not None and isinstance(result, Iterator):
                self._stream(encoder, msgid, credit, result)
                result = None
            answer = encoder.result(msgid, result)
        except CallError as error:
            answer = encoder.error(msgid, error.to_wire())
        except Exception as error:
            wire = {
                "code": "internal",
                "message": text_of(error),
                "type": class_name(type(error)),
                "details": {"kind": "error"},
            }
            answer = encoder.error(msgid, wire)
        with self._changed:
            if self._running.pop(msgid, self) is not self:
                # the bridge has ended, or is to: nobody waits for the answer
                with suppress(TransportClosed):
                    self._send(bytes(answer))

    def _call(self, request: Request) -> Any:
        if request.method == "$/tools":
            return [
                {"name": name, "description": function.__doc__ or ""}
                for name, function in self._functions.items()
            ]
        function = self._functions.get(request.method)
        if function is None:
            raise CallError(f"there is no function {request.method}", code="not_found")
        params = request.params
        return function(params) if isinstance(params, dict) else function(*params)

    def _stream(self, encoder: Encoder, msgid: int, credit: Credit, items: Iterator[Any]) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: credit.available or msgid not in self._running)
                if msgid not in self._running:
                    close = getattr(items, "close", None)
                    if close is not None:
                        close()
                    return
            try:
                item = next(items)
            except StopIteration:
                return
            data = bytes(encoder.item(msgid, item))
            with self._changed:
                if msgid in self._running:
                    credit.spend(len(data))
                    self._send(data)
