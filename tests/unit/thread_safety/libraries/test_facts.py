"""What the table says of the standard library, tried out."""

import asyncio
import calendar
import contextlib
import decimal
import functools
import io
import itertools
import locale
import os
import random
import signal
import socket
import sqlite3
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.waiting import WAIT_S

ROOT = Path(__file__).parents[4]


def elsewhere(function, *arguments):
    """What a function returns, or raises, on a thread that lives for this call."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def test_a_sqlite_connection_refuses_other_threads():
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        cursor = connection.execute("select 1")
        for use in (connection.commit, cursor.fetchall):
            with pytest.raises(sqlite3.ProgrammingError, match="thread"):
                elsewhere(use)
        cursor.close()
    with contextlib.closing(sqlite3.connect(":memory:", check_same_thread=False)) as connection:
        assert elsewhere(lambda: connection.execute("select 1").fetchone()) == (1,)


def test_the_working_directory_is_one_for_all_threads(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    elsewhere(os.chdir, tmp_path)
    assert Path.cwd() == tmp_path
    with contextlib.chdir(ROOT):
        assert elsewhere(os.getcwd) == str(ROOT)


def test_the_environment_is_one_for_all_threads(monkeypatch):
    monkeypatch.delenv("BRIDGE_TEST_LIBRARIES", raising=False)
    elsewhere(os.environ.__setitem__, "BRIDGE_TEST_LIBRARIES", "set")
    assert os.environ.pop("BRIDGE_TEST_LIBRARIES") == "set"


def test_the_mask_of_new_files_is_one_for_all_threads():
    before = os.umask(0o077)
    try:
        assert elsewhere(os.umask, 0o022) == 0o077
    finally:
        assert os.umask(before) == 0o022


def test_the_locale_is_one_for_all_threads():
    before = locale.setlocale(locale.LC_CTYPE)
    other = "C" if before != "C" else "C.UTF-8"
    try:
        elsewhere(locale.setlocale, locale.LC_CTYPE, other)
        assert locale.setlocale(locale.LC_CTYPE) == other
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def test_a_calendar_with_a_locale_sets_that_of_the_process(monkeypatch):
    seen = []
    set_locale = locale.setlocale

    def noted(category, value=None):
        seen.append(value)
        return set_locale(category, value)

    monkeypatch.setattr(locale, "setlocale", noted)
    calendar.LocaleTextCalendar(locale="C").formatweekday(0, 3)
    assert "C" in seen


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="not on this system")
def test_the_time_zone_is_one_for_all_threads(monkeypatch):
    monkeypatch.setenv("TZ", "UTC-5")
    try:
        elsewhere(time.tzset)
        assert time.localtime(0).tm_hour == 5
    finally:
        monkeypatch.undo()
        time.tzset()


def test_signal_handlers_belong_to_the_main_thread():
    for use in (
        lambda: signal.signal(signal.SIGUSR1, signal.SIG_DFL),
        lambda: signal.set_wakeup_fd(-1),
    ):
        with pytest.raises(ValueError, match="main thread"):
            elsewhere(use)


def test_redirected_output_is_that_of_all_threads():
    with contextlib.redirect_stdout(io.StringIO()) as output:
        elsewhere(print, "of another thread")
    assert output.getvalue() == "of another thread\n"


@pytest.mark.skipif(
    getattr(sys.flags, "context_aware_warnings", 0), reason="warnings belong to contexts here"
)
def test_the_filters_of_warnings_are_one_for_all_threads():
    def warn():
        with pytest.raises(UserWarning, match="heard"):
            warnings.warn("heard", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        elsewhere(warn)


def test_the_seed_of_random_is_one_for_all_threads():
    state = random.getstate()
    try:
        random.seed(1)
        expected = random.random()
        elsewhere(random.seed, 1)
        assert random.random() == expected
    finally:
        random.setstate(state)


def test_the_default_timeout_of_sockets_is_one_for_all_threads():
    before = socket.getdefaulttimeout()
    try:
        elsewhere(socket.setdefaulttimeout, 12.5)
        with socket.socket() as made:
            assert made.gettimeout() == 12.5
    finally:
        socket.setdefaulttimeout(before)


def test_each_thread_has_its_own_decimal_context():
    with decimal.localcontext(prec=5):
        assert elsewhere(lambda: decimal.getcontext().prec) == decimal.DefaultContext.prec != 5


def test_an_asyncio_future_belongs_to_the_thread_of_its_loop():
    async def main():
        loop = asyncio.get_running_loop()
        wrong, right = loop.create_future(), loop.create_future()
        wrong.add_done_callback(lambda _: None)
        with pytest.raises(RuntimeError, match="thread"):
            elsewhere(wrong.set_result, "wrong")
        elsewhere(loop.call_soon_threadsafe, right.set_result, "right")
        return await right

    assert asyncio.run(main(), debug=True) == "right"


def test_a_cached_property_may_be_computed_twice():
    if sys.version_info < (3, 12):
        pytest.skip("it still has a lock")
    barrier = threading.Barrier(2, timeout=WAIT_S)

    class Lazy:
        @functools.cached_property
        def value(self):
            barrier.wait()  # passes only with two inside
            return object()

    lazy = Lazy()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: lazy.value, range(2)))


def test_a_shared_numpy_generator_keeps_its_state_whole():
    """Its lock: no number is handed out twice, whichever thread it goes to."""
    shared, alone = np.random.default_rng(1), np.random.default_rng(1)
    with ThreadPoolExecutor(4) as pool:
        drawn = list(
            pool.map(lambda _: [shared.bit_generator.random_raw() for _ in range(500)], range(4))
        )
    expected = [alone.bit_generator.random_raw() for _ in range(2000)]
    assert sorted(itertools.chain(*drawn)) == sorted(expected)
