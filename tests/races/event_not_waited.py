"""`setup()` starts a thread that loads the catalogue, and the tool does not wait until it has."""

import threading

from bridge import ThreadSafeAdapter, tool

EXPECTED = "catalogue"


class Broken(ThreadSafeAdapter):
    def setup(self):
        self.catalogue = {}
        self.loader = threading.Thread(target=self._load)
        self.loader.start()

    def _load(self):
        self.catalogue = {"apple": 3, "pear": 4}

    @tool(examples=[["apple"], ["pear"]])
    def price(self, article):
        return self.catalogue.get(article)

    def close(self):
        self.loader.join()


class Mended(ThreadSafeAdapter):
    """The loader sets an event when it is done, and every call waits for that."""

    def setup(self):
        self.catalogue = {}
        self.loaded = threading.Event()
        self.loader = threading.Thread(target=self._load)
        self.loader.start()

    def _load(self):
        self.catalogue = {"apple": 3, "pear": 4}
        self.loaded.set()

    @tool(examples=[["apple"], ["pear"]])
    def price(self, article):
        self.loaded.wait()
        return self.catalogue.get(article)

    def close(self):
        self.loader.join()
