"""The instances of an adapter's class: one, or as many as there are calls at once.

Snakepit's worker makes an instance for every request, so a class that was written for it need not
be thread-safe. Here there is one instance. While a call has it that another must not meet, because
the class does not say that it is thread-safe, the other gets a further one: a call that nobody
waits for any more can then go on beside the next.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..running_call import running_call
from .items import AsyncItems, Items


class Instances:
    """Lends instances to calls. Any thread may use it.

    Args:
        first: the instance that there is.
        make: makes a further one, ready for use, on the thread of the call; None: the first serves
            all calls at once.
    """

    def __init__(self, first: object, make: Callable[[], object] | None) -> None:
        self._first = first
        self._make = make
        self._free = [first]

    def call(self, work: Callable[[Any], Any]) -> Any:
        """Do ``work`` with an instance, which no other call has until its result has ended.

        Args:
            work: is given the instance; what it returns may be a coroutine or an iterator.
        """
        if self._make is None:
            return work(self._first)
        instance = self._take(self._make)
        try:
            result = work(instance)
        except BaseException:
            self._free.append(instance)
            raise
        return self._hold(instance, result)

    def _take(self, make: Callable[[], object]) -> object:
        try:
            return self._free.pop()
        except IndexError:
            return make()

    def _hold(self, instance: object, result: Any) -> Any:
        """Give the instance back once the result has ended, which is now if it is a plain value."""
        if hasattr(result, "__await__"):
            return self._hold_awaited(instance, result)
        if hasattr(result, "__aiter__"):
            return AsyncItems(result, lambda: self._free.append(instance))
        if hasattr(result, "__next__"):
            return Items(result, lambda: self._free.append(instance))
        self._free.append(instance)
        return result

    async def _hold_awaited(self, instance: object, result: Any) -> Any:
        try:
            ended = await result
        except BaseException:
            self._free.append(instance)
            raise
        return self._hold(instance, ended)


class MainThread:
    """Runs parts of calls on the main thread, one after the other.

    Args:
        post: has a function run there, soon; what the function raises ends the process.
    """

    def __init__(self, post: Callable[[Callable[[], object]], object]) -> None:
        self._post = post

    def run(self, function: Callable[[], Any]) -> Any:
        """Run ``function`` there, in the context of the calling thread, and wait for its outcome.

        Nothing is run for a call that nobody waits for any more.
        """
        from contextvars import copy_context

        variables, call = copy_context(), running_call.get(None)
        ended = threading.Event()
        outcome: list[Any] = []
        failure: list[BaseException] = []

        def there() -> None:
            try:
                if call is not None and call.interruption is not None:
                    raise call.interruption.again()
                outcome.append(variables.run(function))
            except BaseException as error:
                failure.append(error)
            finally:
                ended.set()

        self._post(there)
        ended.wait()
        if failure:
            try:
                raise failure.pop()
            finally:
                del function
        return outcome.pop()
