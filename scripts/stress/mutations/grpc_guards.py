"""The guards of the gRPC transport."""

from __future__ import annotations

from .guard import Guard

RPC = "bridge/transports/grpc/rpc.py"
EXECUTOR = "bridge/transports/grpc/executor.py"
EXCHANGE = "bridge/transports/grpc/exchange.py"
EXECUTOR_TESTS = "tests/unit/transports/test_grpc_executor.py::test_"
SENDER = "bridge/transports/grpc/sender.py"
SENDER_TESTS = "tests/unit/transports/test_grpc_sender.py::test_"

GRPC = [
    Guard(
        EXECUTOR, 1, "first note that the message has come",
        "        rpc.has_come = True  # 1: first this\n"
        "        if not self._calls.take(rpc):  # 1: and then the look\n",
        "        waits = self._calls.take(rpc)\n"
        "        rpc.has_come = waits\n"
        "        if not waits:\n",
        EXECUTOR_TESTS + "a_message_that_comes_as_its_worker_gives_up_is_handled_once",
    ),
    Guard(
        EXECUTOR, 1, "look once more for the message before giving up",
        "        return rpc.has_come and self._calls.take(rpc)  # 1: and then the look",
        "        return False",
        EXECUTOR_TESTS + "a_message_that_comes_as_its_worker_gives_up_is_handled_once",
    ),
    Guard(
        EXECUTOR, 1, "go on only with what was taken out",
        "        return rpc.has_come and self._calls.take(rpc)  # 1: and then the look",
        "        return rpc.has_come",
        EXECUTOR_TESTS + "a_message_that_comes_as_its_worker_gives_up_is_handled_once",
    ),
    Guard(
        EXECUTOR, 2, "queue only what was taken out",
        "        if not self._calls.take(rpc):  # 1: and then the look\n",
        "        self._calls.take(rpc)\n        if False:\n",
        EXECUTOR_TESTS + "a_message_that_comes_as_its_request_is_refused_is_not_handled_too",
    ),
    Guard(
        RPC, 3, "first handled, then the look for the callback",
        "        self._handled = True  # 3: first this, then whoever looks for it\n"
        "        self._done(self)\n",
        "        self._done(self)\n        self._handled = True\n",
        EXECUTOR_TESTS + "gRPC_is_told_if_it_says_so_as_the_request_is_being_settled",
    ),
    Guard(
        RPC, 3, "look whether it was handled, after the callback is there",
        "        if self._handled:  # 3: after the callback is there for others to find",
        "        if False:",
        EXECUTOR_TESTS + "gRPC_is_told_once_whoever_is_first",
    ),
    Guard(
        EXECUTOR, 4, "look once more for a drain when it is queued",
        "            if self._dispatcher.draining:  # 4\n",
        "            if False:\n",
        EXECUTOR_TESTS + "a_request_that_is_queued_while_a_drain_begins_is_refused",
    ),
    Guard(
        EXECUTOR, 5, "refuse only what was taken out of the queue",
        "        if self._pool.discard(rpc):  # 5: whoever takes it out of the queue handles it",
        "        if self._pool.discard(rpc) or True:",
        EXECUTOR_TESTS + "a_request_that_was_queued_all_the_same_is_handled_once",
    ),
    Guard(
        EXCHANGE, 6, "end a call whose request was over before",
        "                self._end()  # 6",
        "                pass",
        EXECUTOR_TESTS + "a_client_that_left_before_its_call_began_is_noticed",
    ),
    Guard(
        EXCHANGE, 7, "wait for the answer, not for the tool",
        "        self._unanswered.acquire()  # 7",
        "        self._unanswered.acquire(blocking=False)",
        EXECUTOR_TESTS + "a_thread_waits_for_the_answer_that_another_has_claimed",
    ),
    Guard(
        EXCHANGE, 8, "look for the end once the call is in flight",
        "            if self._executor.stopped:  # 8\n",
        "            if False:\n",
        EXECUTOR_TESTS + "a_request_between_queue_and_call_never_begins_once_it_is_over",
    ),
    Guard(
        RPC, 10, "let go of a worker whose place is given away",
        "            running, self._running = self._running, None\n            if running",
        "            running = self._running\n            if running",
        EXECUTOR_TESTS
        + "a_worker_whose_place_was_given_away_is_not_replaced_with_its_request",
    ),
    Guard(
        EXECUTOR, 11, "look for the end once the call waits for its message",
        "        elif self.stopped and self._calls.take(rpc):  # 11\n",
        "        elif False:\n",
        EXECUTOR_TESTS + "at_the_end_a_call_whose_message_is_on_its_way_is_refused_once",
    ),
    Guard(
        SENDER, 1, "look once more for notes when the lock is given up",
        "            if not self._notes or not self._noting.acquire(blocking=False):\n"
        "                return\n",
        "            return\n",
        SENDER_TESTS + "a_note_that_comes_as_the_last_one_was_sent_is_not_forgotten",
    ),
    Guard(
        SENDER, 2, "send no note once the stream has ended",
        "            if self._ended:  # 2\n",
        "            if False:\n",
        SENDER_TESTS + "nothing_follows_the_last_message",
    ),
]  # fmt: skip
