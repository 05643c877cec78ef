"""Hostile results, names and moments against a real bridge: ``scripts/fuzz --target hostile``.

Each kind starts a bridge, does one thing to it, and raises ``Finding`` if a call is not answered, is
answered twice or wrongly, if something follows an answer or ``$/bye``, or if others suffer. Each was
seen to find its fault in the code before that was mended (``--package`` takes another one).
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from msgpack import packb

from bridge.errors import CallError, RemoteProtocolError, TransportClosed
from bridge.testing import PortPeer
from bridge.wire import Encoder, Message, Notification, Response, encode_header

from . import hostile_tools as tools
from .live_bridge import Finding

_ROOT = str(Path(__file__).parents[3])
#: Whatever is asked must be answered within this, in seconds: long, because machines are busy.
PATIENCE_S = 15.0
_STREAM = {"items": 9, "bytes": 99_999}
_NO_CREDIT = {"items": 0, "bytes": 99_999}
_encoder = Encoder()


class WatchfulPeer(PortPeer):
    """Notes at once what comes in the wrong order."""

    def __init__(self, *arguments: str, package: str) -> None:
        self.watch()
        serving = ["--adapter", "scripts.stress.fuzz.hostile_tools:Tools", "--app-dir", _ROOT]
        super().__init__(*serving, "--grace", "8", *arguments, env={"PYTHONPATH": package}, cwd="/")

    def watch(self) -> None:
        """Begin to note."""
        self.wrong: list[str] = []
        self.answers: Counter[int] = Counter()
        self._over: set[int] = set()
        self._bye = False

    def use(self, msgid: int) -> None:
        """The id is for a new call from now on. Only once the one before it has its answer."""
        self._over.discard(msgid)
        self.answers[msgid] = 0
        self.responses.pop(msgid, None)
        self.items.pop(msgid, None)

    def ask(self, tool: str, *arguments: Any, **options: Any) -> Any:
        """The result of a call, or the error that it ended with."""
        try:
            return self.result(self.request(tool, list(arguments), **options), PATIENCE_S)
        except CallError as error:
            return error
        except (TimeoutError, TransportClosed, RemoteProtocolError) as error:
            told = str(error).splitlines()[0]
            raise Finding(f"{tool}{arguments!r:.80}: {type(error).__name__}: {told}") from error

    def check(self) -> None:
        """Raise what was noted; a call must be answered as ever."""
        if self.ask("echo", 42) != 42:
            raise Finding("a good call has a wrong answer")
        if self.wrong:
            raise Finding(self.wrong[0])

    def _receive(self, message: Message, size: int) -> None:
        if self._bye:
            self.wrong.append(f"{message!r:.80} after $/bye")
        if isinstance(message, Response):
            self.answers[message.msgid] += 1
            if self.answers[message.msgid] > 1:
                self.wrong.append(f"a second answer to request {message.msgid}")
            self._over.add(message.msgid)
        elif isinstance(message, Notification):
            if message.method in ("$/progress", "$/item") and message.params[0] in self._over:
                self.wrong.append(f"{message.method} after the answer of its call")
            self._bye |= message.method == "$/bye"
        super()._receive(message, size)


@contextmanager
def _bridge(package: str, *arguments: str) -> Iterator[WatchfulPeer]:
    try:
        with WatchfulPeer(*arguments, package=package) as peer:
            yield peer
    except TransportClosed as error:
        raise Finding(f"the bridge has ended: {str(error).splitlines()[0]}") from error


# -- the kinds --------------------------------------------------------------------------------


def results(package: str, random: Random, rounds: int) -> None:
    """Values, items, errors, details and log records that break when they are looked at."""
    with _bridge(package) as peer:
        for _ in range(rounds):
            kind = random.choice(list(tools.VALUES))
            for tool in ("returns", "tells"):
                got = peer.ask(tool, kind)
                if tool == "tells" and getattr(got, "code", None) != "aborted":
                    raise Finding(f"details with a {kind} have replaced the error: {got!r:.80}")
            peer.ask("yields", kind, stream=_STREAM)
            peer.ask("raises", random.choice(list(tools.EXCEPTIONS)))
            if peer.ask("logs", kind) != "logged":
                raise Finding(f"a log record with a {kind} fails its tool")
            peer.check()
            _find_log(peer, kind)
        for kind in tools.EXCEPTIONS:
            for _ in range(10):
                peer.ask("turns", None)  # until the reader runs it
            if not isinstance(peer.ask("turns", kind), CallError):
                raise Finding(f"a quick tool that raises {kind} has a result")
        peer.check()


def _find_log(peer: WatchfulPeer, kind: str) -> None:
    for text, fields in ((f"line about {kind}", {"good": 1}), (f"plain line about {kind}", {})):
        try:
            peer.notification(
                "$/log",
                lambda params, text=text, fields=fields: (  # type: ignore[misc]
                    params[0] == "error"
                    and params[2] == text
                    and fields.items() <= params[3].items()
                ),
                PATIENCE_S,
            )
        except TimeoutError:
            raise Finding(f"a log record is lost or replaced: {text}") from None


def keys(package: str, random: Random, rounds: int) -> None:
    """Dicts whose keys become the same."""
    with _bridge(package) as peer:
        for _ in range(rounds):
            kind = random.choice(list(tools.COLLIDING))
            got = peer.ask("returns_colliding", kind)
            if not isinstance(got, CallError) and len(got) < len(tools.COLLIDING[kind]()):
                raise Finding(f"an entry is lost: {got!r:.80}")
            peer.check()


def names(package: str, random: Random, rounds: int) -> None:
    """Names of arguments and options that cannot be printed, or are no names."""
    huge = _encoder.value(1 << 20_000 | random.getrandbits(40))
    others = [
        huge,
        b"\xc0",
        b"\xc3",
        b"\xcb" + bytes(8),
        b"\xa1\xff",
        b"\xc4\x01\xff",
        packb("no name"),
    ]
    with _bridge(package) as peer:
        for number in range(rounds):
            some = random.sample(others, 2) if number else [huge, b"\xc0"]
            params = b"\x82" + some[0] + b"\x01" + some[1] + random.choice(others)
            for tail in (params, b"\x91\x01" + params):
                msgid = 2**40 + peer.answers.total() + number * 10 + len(tail) % 7
                head = (b"\x95" if tail != params else b"\x94") + b"\x00" + packb(msgid)
                peer.use(msgid)
                with suppress(TransportClosed):
                    peer.send_frame(head + packb("echo") + tail)
                try:
                    peer.result(msgid, PATIENCE_S)
                    raise Finding("names that are none are taken")
                except CallError:
                    pass
                except (TimeoutError, TransportClosed) as error:
                    raise Finding(f"odd names: {str(error).splitlines()[0]}") from error
            peer.check()


def drain(package: str, random: Random, rounds: int) -> None:
    """The end amidst of requests: what came before it is answered, ``$/bye`` is the last message."""
    count = 2500
    shutdown = _encoder.request(9_999, "$/shutdown", [])
    for _ in range(max(1, rounds // 4)):
        first = 10_000
        requests = [_encoder.request(first + n, "echo", [n]) for n in range(count)]
        requests.insert(count - random.randrange(3), shutdown)
        data = b"".join(encode_header(len(frame)) + frame for frame in requests)
        with _bridge(package, "--max-workers", "4") as peer:
            for _ in range(40):
                peer.ask("echo", 1)  # it is quick
            writing = threading.Thread(target=_send, args=(peer, data))
            writing.start()
            try:
                peer.wait(2 * PATIENCE_S)
                peer.notification("$/bye", timeout_s=PATIENCE_S)
            except (TimeoutError, TransportClosed) as error:
                raise Finding(f"the end: {str(error).splitlines()[0]}") from error
            writing.join()
            before = requests.index(shutdown)
            lost = [n for n in range(before) if not peer.answers[first + n]]
            if lost:
                raise Finding(f"{len(lost)} of {before} calls before $/shutdown have no answer")
            if peer.wrong:
                raise Finding(peer.wrong[0])


def _send(peer: WatchfulPeer, data: bytes) -> None:
    with suppress(TransportClosed):
        peer.send_bytes(data)


def threads(package: str, random: Random, rounds: int) -> None:
    """No further thread can be started: it serves, and ends, with those that there are."""
    with _bridge(package, "--max-workers", "8", "--no-inline") as peer:
        peer.ask("has_no_more_threads")
        for _ in range(max(1, rounds // 4)):
            asked = [peer.request("sleeps", [0.02]) for _ in range(random.randrange(2, 9))]
            for msgid in asked:
                try:
                    peer.result(msgid, PATIENCE_S)
                except (TimeoutError, TransportClosed) as error:
                    raise Finding(f"without threads: {str(error).splitlines()[0]}") from error
            peer.check()
        running = peer.request("sleeps", [0.05])
        peer.ask("$/shutdown")
        try:
            peer.result(running, PATIENCE_S)
            peer.notification("$/bye", timeout_s=PATIENCE_S)
        except (CallError, TimeoutError, TransportClosed) as error:
            raise Finding(f"without threads, at the end: {str(error).splitlines()[0]}") from error


def ids(package: str, random: Random, rounds: int) -> None:
    """The id of a stream that was cancelled, used for another one at once."""
    with _bridge(package, "--max-workers", "4") as peer:
        peer.ask("switches_after", 0.002)
        for number in range(20 * rounds):
            msgid = 1_000_000 + number % 3
            peer.use(msgid)
            peer.send_frame(_encoder.request(msgid, "counts", [5], {"stream": _NO_CREDIT}))
            time.sleep(random.choice([0, 0.0005, 0.001, 0.002]))
            peer.cancel(msgid)
            with suppress(CallError):
                peer.result(msgid, PATIENCE_S)
            peer.use(msgid)
            peer.send_frame(_encoder.request(msgid, "counts", [5], {"stream": _NO_CREDIT}))
            time.sleep(random.choice([0, 0.0005, 0.002]))
            peer.credit(msgid, 10, 99_999)
            try:
                peer.result(msgid, PATIENCE_S)
            except (CallError, TimeoutError) as error:
                told = str(error).splitlines()[0]
                raise Finding(f"a stream under an id used before: {told}") from error
            if peer.items.get(msgid) != list(range(5)):
                raise Finding(f"items of a stream under an id used before: {peer.items.get(msgid)}")
        peer.check()


def progress(package: str, random: Random, rounds: int) -> None:
    """Threads of tools that report while the answer is given."""
    with _bridge(package, "--max-workers", "8") as peer:
        peer.ask("switches_after", 1e-6)
        for _ in range(8 * rounds):
            asked = [peer.request("reports_from_a_thread") for _ in range(8)]
            for msgid in asked:
                peer.result(msgid, PATIENCE_S)
            if peer.wrong:
                break
        peer.ask("switches_after", 0.005)
        peer.check()


Kind = Callable[[str, Random, int], None]
KINDS: dict[str, Kind] = {
    function.__name__: function
    for function in (results, keys, names, drain, threads, ids, progress)
}


def run(
    seed: int,
    *,
    seconds: float,
    kinds: list[str] | None = None,
    package: str = _ROOT,
    rounds: int = 12,
    progress: Callable[[object], object] = lambda done: None,
) -> Counter[str]:
    """One kind after the other, each once at least. Raises ``Finding``, which names the kind.

    Returns:
        How often each was tried.
    """
    random = Random(seed)
    done: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while not done or time.monotonic() < end:
        for name in kinds or KINDS:
            try:
                KINDS[name](package, random, rounds)
            except Finding as finding:
                raise Finding(f"{name}: {finding}") from finding
            done[name] += 1
            progress(dict(done))
    return done
