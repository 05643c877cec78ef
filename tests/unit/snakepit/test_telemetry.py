"""Events: what is told, to whom, and what Elixir says about it."""

import sys
import threading
import types
from queue import SimpleQueue

import pytest

pytest.importorskip("grpc")

from bridge._generated import snakepit_bridge_pb2 as pb
from bridge.errors import ToolFailed
from bridge.snakepit.telemetry import CallEvents, Telemetry
from tests.waiting import in_thread, join, passed


class Context:
    """gRPC's of one stream."""

    def __init__(self):
        self.headers_sent = threading.Event()
        self.over = False
        self.end = None

    def add_callback(self, callback):
        self.end = callback
        return not self.over

    def send_initial_metadata(self, metadata):
        self.headers_sent.set()


class Stream:
    """A client of ``StreamTelemetry``, whose events are read on a thread."""

    def __init__(self, telemetry):
        self.controls, self.events, self.context = SimpleQueue(), SimpleQueue(), Context()
        self.thread = in_thread(self._read, telemetry)
        passed(self.context.headers_sent)

    def _read(self, telemetry):
        for event in telemetry.stream(iter(self.controls.get, None), self.context):
            self.events.put(event)
        self.events.put("over")

    def next(self):
        return self.events.get(timeout=20)

    def close(self):
        self.context.end()
        self.controls.put(None)
        join(self.thread)


@pytest.fixture
def telemetry():
    telemetry = Telemetry()
    yield telemetry
    telemetry.close()


@pytest.fixture
def stream(telemetry):
    stream = Stream(telemetry)
    # it takes events from now on
    telemetry.emit("first", {})
    assert stream.next().event_parts == ["first"]
    yield stream
    stream.close()


def toggle(enabled):
    return pb.TelemetryControl(toggle=pb.TelemetryToggle(enabled=enabled))


def sampling(rate, *patterns):
    update = pb.TelemetrySamplingUpdate(sampling_rate=rate, event_patterns=patterns)
    return pb.TelemetryControl(sampling=update)


def events_filter(**lists):
    return pb.TelemetryControl(filter=pb.TelemetryEventFilter(**lists))


def names(telemetry, stream, *told):
    """Which of these events arrive."""
    for name in told:
        telemetry.emit(name, {})
    # a control that lets everything through, and an event behind them
    for message in (toggle(True), sampling(1.0), events_filter()):
        telemetry.control(message)
    telemetry.emit("end", {})
    found = []
    while (event := stream.next()).event_parts != ["end"]:
        found.append(".".join(event.event_parts))
    return found


def test_an_event_has_its_parts_measurements_metadata_and_correlation(telemetry, stream):
    """0.13.0, TelemetryEvent: ``priv/python/snakepit_bridge/telemetry/stream.py``, ``emit``."""
    telemetry.emit(
        "tool.execution.stop",
        {"duration": 12, "share": 0.5, "kind": "text", "flag": True},
        {"tool": "predict", 1: None},
        "c0rrelation",
    )
    event = stream.next()
    assert event.event_parts == ["tool", "execution", "stop"]
    found = {key: value.WhichOneof("value") for key, value in event.measurements.items()}
    assert found == {
        "duration": "int_value", "share": "float_value", "kind": "string_value", "flag": "int_value",
    }  # fmt: skip
    assert event.measurements["duration"].int_value == 12
    assert dict(event.metadata) == {"tool": "predict", "1": "None"}
    assert event.correlation_id == "c0rrelation"
    assert event.timestamp_ns > 0


def test_what_is_told_before_anybody_asks_is_sent_once(telemetry):
    for number in range(1030):
        telemetry.emit("early", {"count": number})
    stream = Stream(telemetry)
    counts = [stream.next().measurements["count"].int_value for _ in range(1024)]
    assert counts == list(range(1024))
    assert telemetry.dropped == 6
    stream.close()
    assert stream.next() == "over"


def test_a_client_that_does_not_read_loses_events_and_no_time(telemetry):
    context = Context()
    stream = telemetry.stream(iter(()), context)
    telemetry.emit("early", {})
    next(stream)
    for number in range(2000):
        telemetry.emit("event", {"count": number})
    assert telemetry.dropped == 2000 - 1024
    context.end()
    assert len(list(stream)) == 1024


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (toggle(False), []),
        (toggle(True), ["a.b", "a.c", "d"]),
        (sampling(0.0), []),
        (sampling(-1.0), []),
        (sampling(2.0), ["a.b", "a.c", "d"]),
        (sampling(0.0, "a.*"), ["d"]),
        (events_filter(allow=["a.*"]), ["a.b", "a.c"]),
        (events_filter(deny=["a.b", "d"]), ["a.c"]),
        (events_filter(allow=["a.*"], deny=["*.c"]), ["a.b"]),
        (pb.TelemetryControl(), ["a.b", "a.c", "d"]),
    ],
)
def test_elixir_says_which_it_wants(telemetry, stream, message, expected):
    """0.6.7 to 0.13.0, TelemetryControl: ``lib/snakepit/telemetry/control.ex``."""
    telemetry.control(message)
    assert names(telemetry, stream, "a.b", "a.c", "d") == expected


def test_controls_come_with_the_stream(telemetry, stream):
    applied = threading.Event()
    telemetry.control = lambda message: (Telemetry.control(telemetry, message), applied.set())
    stream.controls.put(events_filter(allow=["wanted"]))
    passed(applied)
    telemetry.control = types.MethodType(Telemetry.control, telemetry)
    assert names(telemetry, stream, "unwanted", "wanted") == ["wanted"]


@pytest.mark.parametrize("value", [2**70, type("Bad", (), {"__str__": lambda self: 1 / 0})()])
def test_what_can_be_no_event_fails_no_tool(telemetry, value):
    telemetry.emit("event", {"count": value})
    assert telemetry.dropped == 1


def test_its_end_ends_the_streams(telemetry, stream):
    telemetry.close()
    assert stream.next() == "over"
    telemetry.emit("late", {})
    late = telemetry.stream(iter(()), Context())
    assert list(late) == []


def test_a_stream_that_is_over_before_it_began_is_none(telemetry):
    context = Context()
    context.over = True
    assert list(telemetry.stream(iter(()), context)) == []
    assert not telemetry.asked_for


# -- calls ----------------------------------------------------------------------------------------


def test_a_call_is_told_of_as_elixir_has_it_in_its_catalogue(telemetry, stream):
    """0.13.0: ``lib/snakepit/telemetry/naming.ex``, ``python_event_catalog``."""
    with CallEvents(telemetry, "add", "c0rrelation"):
        pass
    with pytest.raises(ToolFailed), CallEvents(telemetry, "fail", None):
        raise ToolFailed("it is bad", type="builtins.ValueError")
    events = [stream.next() for _ in range(4)]
    assert [".".join(event.event_parts) for event in events] == [
        "python.call.start", "python.call.stop", "python.call.start", "python.call.exception",
    ]  # fmt: skip
    assert [event.correlation_id for event in events] == ["c0rrelation", "c0rrelation", "", ""]
    assert [sorted(event.measurements) for event in events] == [
        ["count", "system_time"], ["count", "duration"],
        ["count", "system_time"], ["count", "duration"],
    ]  # fmt: skip
    assert dict(events[1].metadata) == {"tool": "add"}
    failed = {"tool": "fail", "error_type": "ValueError", "error_message": "it is bad"}
    assert dict(events[3].metadata) == failed


def test_while_nobody_asks_calls_are_not_told_of(telemetry):
    with CallEvents(telemetry, "add", None):
        pass
    stream = Stream(telemetry)
    assert names(telemetry, stream) == []
    stream.close()


# -- what adapters tell ---------------------------------------------------------------------------


@pytest.fixture
def module(monkeypatch):
    """As ``snakepit_bridge.telemetry``: what of it is used here."""
    module = types.ModuleType("snakepit_bridge.telemetry")
    module.backends, module.ids = [], []
    module.set_backend = module.backends.append
    module.set_correlation_id = module.ids.append
    monkeypatch.setitem(sys.modules, "snakepit_bridge.telemetry", module)
    return module


def test_it_is_the_backend_of_snakepits_own_module(telemetry, module):
    assert telemetry.attach() is module
    telemetry.attach()
    assert module.backends == [telemetry]


def test_a_call_has_its_correlation_id_there(telemetry, module):
    telemetry.correlate("c0rrelation")
    telemetry.correlate(None)
    assert module.ids == ["c0rrelation"]


def test_nothing_is_imported_for_it(telemetry, monkeypatch):
    monkeypatch.delitem(sys.modules, "snakepit_bridge.telemetry", raising=False)
    telemetry.correlate("c0rrelation")
    assert telemetry.attach() is None
    # half of it is there
    monkeypatch.setitem(sys.modules, "snakepit_bridge.telemetry", types.ModuleType("partial"))
    telemetry.correlate("c0rrelation")
    assert telemetry.attach() is None
