"""A span of OpenTelemetry for each call, in the trace that the caller has named in its metadata.

The functions of the tools are wrapped, so that the way of a call is the same without spans.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from importlib.metadata import entry_points
from typing import Any

from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ..errors import CallError, UsageError
from ..running_call import RunningCall, running_call
from ..signature import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from ..tool import Tool

#: Where OpenTelemetry's own variables of the environment say what becomes of spans.
_EXPORTERS = "opentelemetry_traces_exporter"
_DEFAULT = "otlp"


def trace_tools(tools: Mapping[str, Tool]) -> dict[str, Tool]:
    """The same tools, with functions of which every call is a span."""
    tracer = trace.get_tracer("bridge")  # finds its provider when there is one
    return {
        name: tool.calling(_wrap(tool.function, functools.partial(_begin, tracer, name)))
        for name, tool in tools.items()
    }


def provide() -> None:
    """Have spans exported as ``OTEL_TRACES_EXPORTER`` says, unless the adapter has seen to that.

    Raises:
        UsageError: there is no such exporter here.
    """
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    names = os.environ.get("OTEL_TRACES_EXPORTER", _DEFAULT).split(",")
    provider = TracerProvider()  # its name and attributes: OTEL_SERVICE_NAME and others
    for name in filter(None, map(str.strip, names)):
        if name != "none":
            provider.add_span_processor(BatchSpanProcessor(_exporter(name)))
    trace.set_tracer_provider(provider)


def _exporter(name: str) -> Any:
    found = list(entry_points(group=_EXPORTERS, name=name))
    if not found:
        here = sorted({point.name for point in entry_points(group=_EXPORTERS)} | {"none"})
        raise UsageError(
            f"--tracing: there is no exporter {name!r} of spans; here are {', '.join(here)}. Set "
            "OTEL_TRACES_EXPORTER to one of them, install opentelemetry-exporter-otlp-proto-http "
            "for otlp, or set a provider in setup() of the adapter"
        )
    try:
        return found[0].load()()
    except Exception as error:
        raise UsageError(f"--tracing: exporter {name!r} cannot be used: {error!r}") from None


def _begin(tracer: trace.Tracer, name: str) -> _Span:
    running = running_call.get(None)
    if running is None:  # of a batch: it has many callers
        return _Span(tracer.start_span(name, kind=trace.SpanKind.INTERNAL), None)
    call = running.needs_worker()  # which knows the metadata
    with call.outside():
        parent = propagate.extract(dict(call.metadata or {}))
        attributes = {"rpc.system": "bridge", "rpc.method": name}
        return _Span(tracer.start_span(name, parent, trace.SpanKind.SERVER, attributes), call)


class _Span:
    """The span of a call. It is the current one within ``with``, as often as that may be.

    Calls that nobody awaits may be interrupted, but not in the middle of what is done here.
    """

    def __init__(self, span: trace.Span, call: RunningCall | None) -> None:
        self._span = span
        self._call = call

    def __enter__(self) -> None:
        with self._outside():
            self._current = trace.use_span(self._span, record_exception=False)
            self._current.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        with self._outside():
            self._current.__exit__(None, None, None)
            if not isinstance(error, Exception) or isinstance(error, StopAsyncIteration):
                return
            self._span.record_exception(error)
            self._span.set_status(trace.StatusCode.ERROR, f"{type(error).__name__}: {error}")
            if isinstance(error, CallError):
                self._span.set_attribute("bridge.code", error.code)

    def _outside(self) -> Any:
        return nullcontext() if self._call is None else self._call.outside()

    def end(self) -> None:
        """Note whether somebody awaited the end, and end it."""
        with self._outside():
            interruption = None if self._call is None else self._call.interruption
            if interruption is not None:
                self._span.set_attribute("bridge.code", interruption.code)
                self._span.set_status(trace.StatusCode.ERROR, interruption.message)
            self._span.end()


def _wrap(function: Callable[..., Any], begin: Callable[[], _Span]) -> Callable[..., Any]:
    """A function of the same kind, whose every call is a span until it, or what it makes, ends."""
    inner = getattr(function, "__func__", function)
    flags = getattr(getattr(inner, "__code__", None), "co_flags", 0)
    if flags & CO_ASYNC_GENERATOR:

        @functools.wraps(function)
        async def async_stream(*args: Any, **kwargs: Any) -> Any:
            span, items = begin(), function(*args, **kwargs)
            try:
                while True:
                    with span:
                        try:
                            item = await anext(items)
                        except StopAsyncIteration:
                            return
                    yield item
            finally:
                with span:
                    await items.aclose()
                span.end()

        return async_stream
    if flags & CO_COROUTINE:

        @functools.wraps(function)
        async def task(*args: Any, **kwargs: Any) -> Any:
            span = begin()
            try:
                with span:
                    return await function(*args, **kwargs)
            finally:
                span.end()

        return task
    if flags & CO_GENERATOR:

        @functools.wraps(function)
        def stream(*args: Any, **kwargs: Any) -> Any:
            span, items = begin(), function(*args, **kwargs)
            try:
                while True:
                    with span:
                        try:
                            item = next(items)
                        except StopIteration as stop:
                            return stop.value
                    yield item
            finally:
                with span:
                    items.close()
                span.end()

        return stream

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        span = begin()
        try:
            with span:
                return function(*args, **kwargs)
        finally:
            span.end()

    return wrapped
