"""Functions that run below ErlPort and below the bridge alike, and some that only ErlPort calls."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from bridge import tool

__thread_safe__ = True

released = threading.Event()
received: list[Any] = []


@tool
def echo(value):
    return value


@tool
def seen(value):
    """What the value is here: its type, and how Python shows it."""
    return f"{type(value).__name__} {value!r}"


@tool
def add(a, b):
    return a + b


@tool
def divide(a, b):
    return a / b


@tool
def evaluate(source):
    """A value of Python that no term stands for."""
    return eval(as_str(source))


@tool
def size(data):
    return len(data)


@tool
def wait_for_release(seconds):
    """Was ``release`` called meanwhile?"""
    return released.wait(seconds)


@tool
def release():
    released.set()
    return True


@tool
def prints(text):
    print(as_str(text))
    return True


@tool
def prints_to_fd_1():
    """As a C library does."""
    os.write(1, b"hello from C\n")
    return True


@tool
def reads_stdin():
    return input()


@tool
def exits():
    sys.exit(3)


def not_marked():
    return True


# -- for ErlPort only: they import it -------------------------------------------------------


def calls_erlang(value):
    from erlport import Atom, erlang

    return erlang.call(Atom(b"lists"), Atom(b"reverse"), [value])


def sees_error_of_erlang():
    from erlport import Atom, erlang

    try:
        erlang.call(Atom(b"erlang"), Atom(b"error"), [])
    except erlang.CallError as error:
        return str(error.value).encode()


def sends(pid, message):
    from erlport import erlang

    erlang.cast(pid, message)


def keeps_messages():
    from erlport import erlang

    def keep(message):
        received.append(message)

    erlang.set_message_handler(keep)


def messages():
    return list(received)


def fails_on_messages():
    from erlport import erlang

    def fail(message):
        raise ValueError(message)

    erlang.set_message_handler(fail)


def uppercases_text():
    """Install a decoder and an encoder: binaries are text in tools, and go back in capitals."""
    from erlport import erlang

    erlang.set_decoder(lambda value: value.decode() if type(value) is bytes else value)
    erlang.set_encoder(lambda value: value.upper().encode() if type(value) is str else value)


def as_str(value):
    return value.decode() if isinstance(value, bytes) else value
