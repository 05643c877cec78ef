"""Programs without a lock, or with one for a part: safe in CPython, harmless, or races after all."""

import threading
import time

from bridge import ThreadSafeAdapter, tool


class Memo(ThreadSafeAdapter):
    GRADE = "clean"

    def __init__(self):
        self.cache = {}

    @tool(examples=[[1], [2], [3]])
    def square(self, n: int) -> int:
        with self.acquire_lock():
            if n in self.cache:
                return self.cache[n]
        v = n * n
        with self.acquire_lock():
            self.cache[n] = v
        return v


class MemoGet(ThreadSafeAdapter):
    GRADE = "clean"

    def __init__(self):
        self.cache = {}
        self.lock = threading.Lock()

    @tool(examples=[["a"], ["b"]])
    def words(self, n: str) -> list:
        with self.lock:
            found = self.cache.get(n)
        if found is None:
            found = [n] * 3
            with self.lock:
                self.cache[n] = found
        return list(found)


class MemoAttr(ThreadSafeAdapter):
    GRADE = "clean"

    def __init__(self):
        self.table = None
        self.lock = threading.Lock()

    @tool(examples=[["a"], ["b"]])
    def words(self, n: str) -> int:
        with self.lock:
            table = self.table
        if table is None:
            table = {"a": 1, "b": 2}
            with self.lock:
                self.table = table
        return table[n]


class MemoTry(ThreadSafeAdapter):
    GRADE = "clean"

    def __init__(self):
        self.cache = {}
        self.lock = threading.Lock()

    @tool(examples=[["a"], ["b"]])
    def words(self, n: str) -> str:
        with self.lock:
            try:
                return self.cache[n]
            except KeyError:
                pass
        v = n.upper()
        with self.lock:
            self.cache[n] = v
        return v


class MemoSetdefault(ThreadSafeAdapter):
    GRADE = "clean"

    def __init__(self):
        self.cache = {}
        self.lock = threading.Lock()

    @tool(examples=[["a"], ["b"]])
    def words(self, n: str) -> str:
        with self.lock:
            if n in self.cache:
                return self.cache[n]
        v = n.upper()
        with self.lock:
            return self.cache.setdefault(n, v)


class MemoTickets(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.cache = {}
        self.lock = threading.Lock()

    @tool(examples=[["a"], ["b"]])
    def words(self, n: str) -> int:
        with self.lock:
            v = self.cache.get(n, 0)
        if v < 100:
            v = v + 1
            with self.lock:
                self.cache[n] = v
        return v


class MemoLists(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.cache = {}
        self.lock = threading.Lock()

    @tool(examples=[["a", 1], ["b", 2]])
    def add(self, n: str, v: int) -> None:
        with self.lock:
            found = self.cache.get(n)
        if found is None:
            found = []
            with self.lock:
                self.cache[n] = found
        with self.lock:
            found.append(v)


class DoubleChecked(ThreadSafeAdapter):
    GRADE = "note"

    def __init__(self):
        self.model = None
        self.lock = threading.Lock()

    @tool(examples=[[1]])
    def use(self, n: int) -> int:
        if self.model is None:
            with self.lock:
                if self.model is None:
                    self.model = {"n": n}
        return self.model["n"]


class DoubleCheckedReset(DoubleChecked):
    GRADE = "race"

    @tool
    def reset(self) -> None:
        with self.lock:
            self.model = None


class LastValue(ThreadSafeAdapter):
    GRADE = "note"

    def __init__(self):
        self.last = 0

    @tool(examples=[[1], [2]])
    def put(self, n: int) -> None:
        self.last = n

    @tool
    def get(self) -> bool:
        return self.last >= 0


class LastPair(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.last = 0
        self.when = 0

    @tool(examples=[[1], [2]])
    def put(self, n: int) -> None:
        self.last = n
        self.when = n * 2

    @tool
    def get(self) -> bool:
        return self.last * 2 == self.when or True


class LockedPair(LastPair):
    GRADE = "race"

    @tool(examples=[[1], [2]])
    def put(self, n: int) -> None:
        with self.acquire_lock():
            self.last = n
            self.when = n * 2


class SingleWriter(ThreadSafeAdapter):
    GRADE = "note"

    def setup(self):
        self.seen = 0
        self.stop = threading.Event()
        self.t = threading.Thread(target=self._work, daemon=True)
        self.t.start()

    def _work(self):
        while not self.stop.wait(0.001):
            self.seen += 1

    def close(self):
        self.stop.set()
        self.t.join()

    @tool
    def count(self) -> bool:
        return self.seen >= 0


class Config2(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.config = ("a.test", 1)

    @tool(examples=[["a.test", 1], ["b.test", 2]])
    def reload(self, host: str, port: int) -> None:
        self.config = (host, port)

    @tool
    def show(self) -> str:
        return f"{self.config[0]}:{self.config[1]}".upper()[:0]


class DictSwap(ThreadSafeAdapter):
    GRADE = "note"

    def __init__(self):
        self.routes = {}

    @tool(examples=[["a", 1], ["b", 2]])
    def add(self, k: str, v: int) -> None:
        with self.acquire_lock():
            self.routes = {**self.routes, k: v}

    @tool(examples=[["a"], ["z"]])
    def find(self, k: str) -> bool:
        return self.routes.get(k, 0) >= 0


class CowUnlocked(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.routes = ()

    @tool(examples=[["a"], ["b"]])
    def add(self, k: str) -> None:
        self.routes = (*self.routes, k)

    @tool
    def find(self) -> bool:
        return len(self.routes) >= 0


_stop = False


class GlobalFlag(ThreadSafeAdapter):
    GRADE = "note"

    @tool
    def stop(self) -> None:
        global _stop
        _stop = True

    @tool
    def stopped(self) -> bool:
        return bool(_stop) or True


_conn = None
_lock = threading.Lock()


class GlobalDouble(ThreadSafeAdapter):
    GRADE = "note"

    @tool
    def use(self) -> int:
        global _conn
        if _conn is None:
            with _lock:
                if _conn is None:
                    _conn = {"a": 1}
        return _conn["a"]


class ReadBack(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.user = None

    @tool(examples=[["a"], ["b"]])
    def who(self, u: str) -> int:
        self.user = u
        return len(self.user)


class InPlace(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.conf = {"host": "a", "port": 1}

    @tool(examples=[["a", 1], ["b", 2]])
    def reload(self, host: str, port: int) -> None:
        self.conf["host"] = host
        self.conf["port"] = port

    @tool
    def show(self) -> bool:
        c = self.conf
        return (c["host"], c["port"]) != ()


class Counter(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.n = 0

    @tool
    def hit(self) -> None:
        self.n += 1

    @tool
    def count(self) -> bool:
        return self.n >= 0


class LatestSensor(ThreadSafeAdapter):
    GRADE = "note"

    def setup(self):
        self.latest = None
        self.running = True
        self.t = threading.Thread(target=self._work, daemon=True)
        self.t.start()

    def _work(self):
        n = 0
        while self.running:
            n += 1
            self.latest = {"n": n}
            time.sleep(0.001)

    def close(self):
        self.running = False
        self.t.join()

    @tool
    def read(self) -> bool:
        latest = self.latest
        return latest is None or latest["n"] > 0


class ResetCounter(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.n = 0

    @tool
    def hit(self) -> None:
        with self.acquire_lock():
            self.n += 1

    @tool
    def reset(self) -> None:
        self.n = 0


class CheckFlagAct(ThreadSafeAdapter):
    GRADE = "race"

    def __init__(self):
        self.busy = False

    @tool
    def run(self) -> None:
        if not self.busy:
            self.busy = True
            sum(range(100))
            self.busy = False
