"""The guards of the numbered interleavings: where each stands, and what is there without it."""

from __future__ import annotations

from .grpc_guards import GRPC
from .guard import Guard

POOL = "bridge/calls/pool.py"
RPC = "bridge/transports/grpc/rpc.py"
POOL_TESTS = "tests/unit/calls/test_pool_interleavings.py::test_"
LOOP = "bridge/calls/event_loop.py"
ASYNC = "bridge/calls/async_calls.py"
ASYNC_TESTS = "tests/unit/calls/test_async_calls.py::test_"
LOOP_TESTS = "tests/unit/calls/test_event_loop.py::test_"
CALL = "bridge/calls/call.py"
PROGRESS_TESTS = "tests/unit/calls/test_call_progress.py::test_"
WATCHDOG = "bridge/calls/inline/watchdog.py"
WATCHDOG_TESTS = "tests/unit/calls/inline/test_watchdog.py::test_"
RUNNER = "bridge/calls/inline/runner.py"
WRITER = "bridge/transports/stdio/writer.py"
WRITER_TESTS = "tests/unit/transports/test_stdio_writer.py::test_"
READER = "bridge/transports/stdio/reader.py"
DRAIN_TESTS = "tests/unit/transports/test_stdio_drain.py::test_"
REGION = "bridge/calls/region.py"
REGION_TESTS = "tests/unit/calls/test_region.py::test_"
STREAM = "bridge/transports/stdio/stream.py"
STREAM_TESTS = "tests/unit/transports/test_stdio_stream.py::test_"
NESTING = "bridge/calls/nesting.py"
NESTING_TESTS = "tests/unit/calls/test_nesting.py::test_"
MAIN_QUEUE = "bridge/process/main_queue.py"
MAIN_QUEUE_TESTS = "tests/unit/process/test_main_queue.py::test_"
ELIXIR = "bridge/transports/stdio/elixir.py"
ELIXIR_TESTS = "tests/unit/transports/test_stdio_elixir.py::test_"

EXECUTION = "bridge/calls/execution.py"
#: There is one way to run a tool: without it nothing works, on no thread.
ONE_WAY = [
    Guard(
        EXECUTION, 0, f"the one way to run a tool: {where}",
        "result = variables.run(tool.function, *args, **kwargs)",
        "raise RuntimeError",
        test,
    )
    for where, test in [
        ("on a worker", "tests/unit/calls/test_dispatcher.py"),
        ("inline", "tests/unit/calls/inline/test_runner.py"),
        ("in the race check", "tests/unit/thread_safety/test_exercise.py"),
    ]
]  # fmt: skip

GUARDS = [
    *ONE_WAY,
    *GRPC,
    Guard(
        ASYNC, 1, "look for an answer before the tool begins",
        "        if call.answered:  # (1), (2)",
        "        if False:",
        ASYNC_TESTS + "a_call_that_is_answered_on_its_way_to_the_loop_does_not_begin",
    ),
    Guard(
        ASYNC, 2, "give back the turns of a call that was answered",
        "        if call.answered:  # (1), (2)\n            self._leave(call)\n            return",
        "        if call.answered:  # (1), (2)\n            return",
        ASYNC_TESTS + "a_call_that_is_taken_back_between_two_queues_gives_its_turns_back",
    ),
    Guard(
        ASYNC, 3, "cancel a task, and not whatever runs",
        "        call.on_interrupt(lambda: loop.call_soon_threadsafe(task.cancel))  # (3)",
        "        call.on_interrupt(\n"
        "            lambda: loop.call_soon_threadsafe(\n"
        "                lambda: task.cancel() or self._ended(call, task, now)\n"
        "            )\n"
        "        )",
        ASYNC_TESTS + "a_task_that_is_cancelled_when_it_has_ended_changes_nothing",
    ),
    Guard(
        ASYNC, 4, "look when it is watched",
        "                if sink.is_ready():  # (4)\n                    return\n",
        "",
        ASYNC_TESTS + "a_stream_waits_for_its_peer_without_a_thread_where_it_is_told",
    ),
    Guard(
        LOOP, 1, "stop a loop that does not run yet",
        "        if loop is not None:\n            loop.call_soon_threadsafe(loop.stop)",
        "        if loop is not None and loop.is_running():\n"
        "            loop.call_soon_threadsafe(loop.stop)",
        LOOP_TESTS + "what_comes_as_the_loop_begins_to_run_is_not_missed",
    ),
    Guard(
        LOOP, 2, "first the item, then the look for a loop",
        "        self._items.put(item)  # (1), (2) first this, then the look for a loop\n"
        "        loop = self._events.loop\n",
        "        loop = self._events.loop\n        self._items.put(item)\n",
        LOOP_TESTS + "what_comes_while_the_loop_is_made_is_not_missed",
    ),
    Guard(
        POOL, 1, "look once more before sleeping",
        "                    resting = True  # (1)",
        "                    resting = True\n                    self._tokens.get()  # (1)",
        POOL_TESTS + "a_job_that_comes_while_the_worker_falls_asleep_is_run",
    ),
    Guard(
        POOL, 1, "first the job, then the look",
        "        self._jobs.append(job)  # (1) first the job, then the look for a sleeper\n"
        "        if self._idle and not self._waking:\n"
        "            self._waking = True\n"
        "            self._tokens.put(True)\n",
        "        if self._idle and not self._waking:\n"
        "            self._waking = True\n"
        "            self._tokens.put(True)\n"
        "        self._jobs.append(job)\n",
        POOL_TESTS + "a_job_is_there_before_its_submitter_looks_for_a_sleeper",
    ),
    Guard(
        POOL, 2, "wake the next for another job",
        "(jobs or output.waits())",
        "output.waits()",
        POOL_TESTS + "of_two_jobs_that_come_at_once_neither_waits_for_the_other",
    ),
    Guard(
        POOL, 3, "start a thread for a job that came late",
        "                    self._grow()  # (3)",
        "                    pass",
        "tests/unit/calls/test_pool.py::"
        "test_a_job_that_comes_while_the_only_worker_takes_another_does_not_wait_for_it",
    ),
    Guard(
        POOL, 4, "look out for what is to be written",
        "(jobs or output.waits())",
        "jobs",
        "tests/unit/calls/test_pool.py::"
        "test_the_output_is_told_whether_the_worker_has_more_to_do",
    ),
    Guard(
        POOL, 4, "whoever has woken up looks as well",
        "(jobs or output.waits())",
        "(jobs or (not resting and output.waits()))",
        POOL_TESTS + "a_lookout_that_finds_a_job_leaves_no_output_behind",
    ),
    Guard(
        POOL, 5, "end when the place was given away",
        "                return  # (5) it was relieved, or replaced\n", "                pass\n",
        "tests/unit/calls/test_pool_relieve.py::"
        "test_the_end_of_a_relieved_job_does_not_touch_what_its_worker_runs_now",
    ),
    Guard(
        POOL, 6, "a vain token counts as taken",
        "                    self._waking = False  # (6)\n",
        "                    if jobs:\n                        self._waking = False\n",
        POOL_TESTS + "a_token_that_wakes_in_vain_stops_no_later_one",
    ),
    Guard(
        POOL, 7, "rely on a token only while somebody may take it",
        "not (self._waking and idle):  # (7)",
        "not self._waking:",
        POOL_TESTS + "a_token_that_nobody_will_take_is_not_relied_on",
    ),
    Guard(
        CALL, 1, "wait for a report that is being sent",
        "            with reporting:  # (1)\n                pass\n", "            pass\n",
        PROGRESS_TESTS + "progress_that_is_being_sent_comes_before_the_answer",
    ),
    Guard(
        CALL, 2, "first the lock, then the look at the claim",
        "            if self._claim:  # later", "            if True:  # later",
        PROGRESS_TESTS + "a_first_report_during_the_claim_is_dropped",
    ),
    Guard(
        POOL, 8, "a worker without a thread does not count",
        "            self._idle.remove(worker)  # (8)\n            self.workers.remove(worker)\n", "",
        "tests/unit/calls/test_pool_threads.py::"
        "test_where_no_thread_can_be_started_the_workers_that_there_are_run_all",
    ),
    Guard(
        POOL, 8, "refuse what nobody will run",
        "if not self._serves and not self._grow() and self.discard(job):  # (8)", "if False:",
        "tests/unit/calls/test_pool_threads.py::"
        "test_with_no_thread_at_all_a_job_is_refused_and_the_next_one_may_find_one",
    ),
    Guard(
        "bridge/calls/replacements.py", 1, "the old thread ends with its job",
        "            worker.thread = None  # (1)\n", "",
        "tests/unit/calls/test_pool_replace.py::"
        "test_the_end_of_a_replaced_job_is_counted_and_touches_no_other",
    ),
    Guard(
        RPC, 9, "a worker that leaves is not there to be replaced",
        "self._worker = self._running = None", "self._worker = None",
        "tests/unit/transports/test_grpc_executor.py::"
        "test_a_worker_that_has_left_the_request_is_not_replaced",
    ),
    Guard(
        WATCHDOG, 1, "is it the same piece",
        "if self._since == since:  # (1)", "if True:",
        WATCHDOG_TESTS + "a_piece_that_ends_while_it_is_found_too_old_costs_nothing",
    ),
    Guard(
        WATCHDOG, 2, "release: is it the same term",
        "            if self.term != term:  # (2)\n                return False\n"
        "            self._since = 0.0",
        "            self._since = 0.0",
        WATCHDOG_TESTS + "a_piece_of_work_that_lasts_too_long_costs_the_role",
    ),
    Guard(
        WATCHDOG, 2, "watch: is it the same term",
        "            if self.term != term:  # (2)\n                return False\n"
        "            self._since = now",
        "            self._since = now",
        WATCHDOG_TESTS + "a_piece_of_work_that_lasts_too_long_costs_the_role",
    ),
    Guard(
        WATCHDOG, 3, "has a piece begun",
        "if pieces != self._pieces or self._ended:  # (3)", "if self._ended:",
        WATCHDOG_TESTS + "a_piece_that_begins_while_the_other_falls_asleep_is_watched",
    ),
    Guard(
        WATCHDOG, 4, "nobody watches the new leader",
        "                        self.watched = False  # (4)\n", "",
        WATCHDOG_TESTS + "while_one_is_late_the_leader_is_not_watched",
    ),
    Guard(
        RUNNER, 1, "whoever takes it out decides",
        "request, tool = self._unshared.pop()  # (1)", "request, tool = self._unshared[-1]",
        "tests/unit/calls/inline/test_runner.py::"
        "test_once_it_is_cancelled_its_id_may_be_used_again",
    ),
    Guard(
        RUNNER, 2, "wait until there is a call",
        "            with self._sharing:  # (2)\n"
        "                call, self._call = self._call, None\n",
        "            call, self._call = self._call, None\n",
        "tests/unit/calls/inline/test_runner.py::"
        "test_a_tool_that_returns_while_it_is_shared_is_answered_once",
    ),
    Guard(
        RUNNER, 3, "share what others looked for too early",
        "                self.share()  # (3)", "                pass",
        "tests/unit/calls/inline/test_runner_machine.py::"
        "test_a_call_that_begins_while_the_role_is_lost_can_be_cancelled",
    ),
    Guard(
        RUNNER, 4, "the batch may be gone",
        "running = batch.popleft()\n            except IndexError:\n                break  # (4)",
        "running = batch.popleft()\n            except IndexError:\n                raise",
        "tests/unit/calls/inline/test_runner.py::test_a_batch_that_is_taken_away_ends_the_run",
    ),
    Guard(
        RUNNER, 5, "there may be no call, in a child",
        "            if call is None:  # (5)\n                return False\n",
        "",
        "tests/unit/calls/inline/test_runner.py::"
        "test_a_tool_that_forks_while_it_is_shared_leaves_the_child",
    ),
    Guard(
        WRITER, 1, "look again when the lock is free",
        "while self._queue and self._writing.acquire(blocking=False):  # (1)",
        "if self._queue and self._writing.acquire(blocking=False):",
        WRITER_TESTS + "a_message_that_comes_at_the_end_of_a_flush_is_written",
    ),
    Guard(
        WRITER, 2, "wait though nothing is queued",
        "        while True:\n            self._writing.acquire()  # (2)",
        "        while self._queue:\n            self._writing.acquire()",
        WRITER_TESTS + "to_wait_for_the_flush_is_to_wait_for_what_another_thread_writes",
    ),
    Guard(
        WRITER, 3, "a nudge is taken before the flush",
        "            self._nudged = False  # (3)\n            self.flush()\n",
        "            self.flush()\n            self._nudged = False\n",
        WRITER_TESTS + "a_nudge_at_the_end_of_a_flush_is_not_lost",
    ),
    Guard(
        WRITER, 4, "only the first says so",
        "first, self._broken = not self._broken, True  # (4)", "first = True",
        WRITER_TESTS + "a_peer_that_is_gone_is_told_once",
    ),
    Guard(
        WRITER, 5, "what comes after the last message is dropped",
        "            self._broken = True  # (5)\n", "",
        WRITER_TESTS + "nothing_follows_the_last_message",
    ),
    Guard(
        READER, 1, "what was decoded is handed on",
        "                self._handing_on = True\n", "",
        DRAIN_TESTS + "what_is_decoded_while_the_reading_is_stopped_is_handed_on",
    ),
    Guard(
        "bridge/wire/connection.py", 1, "nothing is decoded any more",
        "        if self.state == CLOSED:\n            return events\n", "",
        DRAIN_TESTS + "what_arrives_after_the_reading_was_stopped_is_not_decoded",
    ),
    Guard(
        READER, 2, "it is handed on when it was taken over",
        "        self._handing_on = False  # (2)\n", "",
        DRAIN_TESTS + "what_a_late_thread_had_read_is_handed_on_by_the_other",
    ),
    Guard(
        STREAM, 1, "it can be found before the look",
        "        self._paused[call.key] = self  # (1)\n"
        "        while not credit.available and call.interruption is None:\n"
        "            self._look.wait()\n",
        "        while not credit.available and call.interruption is None:\n"
        "            self._paused[call.key] = self\n"
        "            self._look.wait()\n",
        STREAM_TESTS + "credit_that_comes_while_the_worker_begins_to_wait_is_noticed",
    ),
    Guard(
        STREAM, 1, "the event is cleared after the waiting",
        "            self._look.wait()\n            self._look.clear()  # (1)\n",
        "            self._look.clear()\n            self._look.wait()\n",
        STREAM_TESTS + "credit_that_comes_while_the_worker_begins_to_wait_is_noticed",
    ),
    Guard(
        "bridge/transports/stdio/peer.py", 2, "whoever answers wakes it",
        "        self.wake_stream(key)  # (2) of stream.py\n", "",
        STREAM_TESTS + "an_answer_wakes_the_worker_that_waits_for_credit",
    ),
    Guard(
        STREAM, 3, "is it still the call's credit",
        "            if connection.credit(key) is not credit:  # (3)\n"
        "                return  # nobody waits for the item\n",
        "",
        "tests/unit/transports/test_stdio.py::"
        "test_an_answer_that_overtakes_an_item_is_the_last_word",
    ),
    Guard(
        STREAM, 4, "only itself",
        "if self._paused.get(self._call.key) is self:  # (4)", "if True:",
        STREAM_TESTS + "a_stream_whose_id_was_used_before_is_found",
    ),
    Guard(
        REGION, 1, "whoever leaves takes the claim",
        "        if self.take():  # (1)\n            return False\n",
        "        if self:\n            return False\n",
        REGION_TESTS + "a_region_that_was_left_is_not_interrupted",
    ),
    Guard(
        REGION, 2, "wait for what is about to be set",
        "        while not self.raised:  # (2)\n            time.sleep(0)\n",
        "",
        REGION_TESTS + "a_thread_waits_for_the_exception_that_is_about_to_be_set",
    ),
    Guard(
        REGION, 3, "leave only when an exception has come",
        "        return _absorb()\n", "        return False\n",
        REGION_TESTS + "a_thread_leaves_only_after_an_exception_has_come",
    ),
    Guard(
        REGION, 4, "leave whatever has happened",
        "            region.leave()  # (4)\n", "            pass\n",
        REGION_TESTS + "wherever_the_exception_comes_it_comes_once_and_not_later",
    ),
    Guard(
        REGION, 5, "first the region, then the look",
        "    running.region = region  # (5) first this, then the look\n"
        "    if running.interrupt_due and region.take():\n",
        "    due = running.interrupt_due\n"
        "    running.region = region\n"
        "    if due and region.take():\n",
        REGION_TESTS + "a_call_that_is_interrupted_as_it_goes_in_is_so",
    ),
    Guard(
        "bridge/calls/interrupter.py", 5, "first note it, then look",
        "        call.interrupt_due = True  # (5) of region.py: first this, then the look\n", "",
        "tests/unit/calls/test_interrupts.py::"
        "test_what_is_noted_is_there_before_a_region_is_looked_for",
    ),
    Guard(
        NESTING, 1, "refuse what comes after the wait",
        "            if not self._open:  # (1)\n                return False\n",
        "",
        NESTING_TESTS + "a_call_that_comes_after_the_wait_is_refused",
    ),
    Guard(
        NESTING, 2, "hand on what is left",
        "            self._submit(call)\n        return True\n",
        "            pass\n        return True\n",
        NESTING_TESTS + "what_was_not_begun_when_the_wait_ends_goes_to_the_pool",
    ),
    Guard(
        NESTING, 3, "take back what found no worker",
        "            self._handed_on.append(call)  # (3)\n",
        "",
        NESTING_TESTS + "a_call_that_found_no_worker_after_all_is_taken_back",
    ),
    Guard(
        NESTING, 5, "one for all waits of a thread",
        "if nested is not None and worker is nested.worker and nested.begin_again():  # (5)", "if not self:",
        "tests/integration/test_elixir_calls.py::"
        "test_nested_calls_run_while_a_stream_from_elixir_is_being_read",
    ),
    Guard(
        ELIXIR, 1, "look for the answer before the wait",
        "while asked.outcome is None and call.interruption is None:  # (1), (2)",
        "while call.interruption is None:",
        ELIXIR_TESTS + "an_answer_that_comes_before_the_wait_is_not_missed",
    ),
    Guard(
        ELIXIR, 2, "look for the interruption after asking",
        "while asked.outcome is None and call.interruption is None:  # (1), (2)",
        "while asked.outcome is None:",
        ELIXIR_TESTS + "a_call_that_is_interrupted_while_it_asks_does_not_wait",
    ),
    Guard(
        ELIXIR, 3, "drop what nobody waits for",
        "            return  # (3) nobody waits for it\n",
        "            raise KeyError(event.msgid)\n",
        ELIXIR_TESTS + "an_answer_after_the_interruption_is_dropped",
    ),
    Guard(
        MAIN_QUEUE, 1, "look for a reason when something begins to run",
        "        self._busy = True\n        self._look()  # (1)\n",
        "        self._busy = True\n",
        MAIN_QUEUE_TESTS + "an_end_that_comes_as_something_begins_to_run_is_hurried",
    ),
    Guard(
        MAIN_QUEUE, 2, "wake a main thread that waits",
        "        self._queue.put(None)  # (2)\n",
        "",
        MAIN_QUEUE_TESTS + "a_main_thread_that_waits_is_woken_so_that_the_handler_runs",
    ),
    Guard(
        MAIN_QUEUE, 3, "start no thread in a handler",
        "        self._wanted = True\n        self._queue.put(reason)\n",
        "        self._wanted = True\n        self._queue.put(reason)\n        self._look()\n",
        MAIN_QUEUE_TESTS + "a_handler_leaves_the_hurry_to_another_thread",
    ),
]  # fmt: skip
