"""An adapter that logs whenever it can, and one that cannot be set up."""

import asyncio
import logging
import threading

from bridge import ThreadSafeAdapter, tool

logger = logging.getLogger("shop")
logger.info("imported")
threading.Thread(target=logger.info, args=("imported, in a thread",)).start()


class Shop(ThreadSafeAdapter):
    def setup(self):
        logger.warning("set up", extra={"shelves": [1, 2]})
        logging.basicConfig(force=True, level="ERROR", filename="/dev/null")

    @tool
    def sell(self, order):
        logger.info("sold", extra={"order": order})
        return threading.current_thread().name

    @tool
    async def deliver(self, order):
        await asyncio.sleep(0)
        logger.critical("on fire", extra={"order": order})

    @tool
    def count(self, order):
        logger.debug("one", extra={"order": order})
        yield 1

    @tool
    def hand_over(self, order):
        thread = threading.Thread(target=logger.info, args=("by another",))
        thread.start()
        thread.join()


class Closed(Shop):
    def setup(self):
        logger.warning("no key fits")
        raise OSError("closed")
