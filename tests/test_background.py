"""Loops in the background: they start when there is work, end without, and outlive errors."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
import warnings

import pytest

from nbtool.background import Loop

SECONDS = 20


class Work:
    """Turns that do what is in a queue, and notes of what went on."""

    def __init__(self, **options):
        self.todo = queue.SimpleQueue()
        self.threads = []
        self.errors = []
        self.loop = Loop("nbtool test", self._turn, fail=self.errors.append, **options)

    def _turn(self):
        try:
            work = self.todo.get_nowait()
        except queue.Empty:
            return None
        self.threads.append(threading.get_ident())
        return work() or 0

    def do(self, work):
        self.todo.put(work)
        self.loop.wake()


def test_a_thread_is_there_only_while_there_is_work():
    work, begun, go_on = Work(), threading.Event(), threading.Event()
    assert not work.loop.running
    work.do(lambda: begun.set() or (go_on.wait(SECONDS) and None))
    assert begun.wait(SECONDS)
    assert work.loop.running
    assert not work.loop.join(0)
    go_on.set()
    assert work.loop.join(SECONDS)
    assert not work.loop.running


def test_what_is_asked_for_later_is_done_too():
    work, done = Work(), []
    for number in range(1000):
        work.do(lambda n=number: done.append(n))
    assert work.loop.join(SECONDS)
    assert done == list(range(1000))
    assert work.loop.join(0)


def test_a_wake_during_the_last_turn_is_not_lost():
    turns = []

    def turn():
        turns.append(1)
        if len(turns) == 1:
            loop.wake()

    loop = Loop("nbtool test", turn)
    loop.wake()
    assert loop.join(SECONDS)
    assert len(turns) == 2


def test_an_error_is_logged_and_told_and_the_next_wake_works(caplog):
    work, done = Work(), []
    with caplog.at_level(logging.DEBUG, "nbtool"):
        work.do(lambda: 1 / 0)
        assert work.loop.join(SECONDS)
    assert [type(error) for error in work.errors] == [ZeroDivisionError]
    (record,) = caplog.records
    assert record.levelno == logging.DEBUG
    assert "1 / 0" in record.exc_text
    work.do(lambda: done.append(1))
    assert work.loop.join(SECONDS)
    assert done == [1]


def test_not_even_an_error_in_telling_of_an_error_ends_it_for_good():
    def fail(error):
        raise error

    turns = []
    loop = Loop("nbtool test", lambda: turns.append(1) or 1 / 0, fail=fail)
    for _ in range(2):
        loop.wake()
        assert loop.join(SECONDS)
    assert len(turns) == 2


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_whatever_is_raised_is_told_and_ends_nothing_for_good(error):
    work, done = Work(), []

    def leave():
        raise error

    work.do(leave)
    assert work.loop.join(SECONDS)
    assert [type(told) for told in work.errors] == [error]
    work.do(lambda: done.append(1))
    assert work.loop.join(SECONDS)
    assert done == [1]


@pytest.mark.parametrize("error", [ImportError, SystemExit])
def test_what_it_is_inside_of_may_fail_and_is_tried_again_at_each_wake(error):
    """Also for a wake that comes while it fails: whoever called it must hear of it."""
    tries, done = [], []

    @contextlib.contextmanager
    def around():
        tries.append(1)
        if len(tries) == 1:
            work.loop.wake()
        if len(tries) < 3:
            raise error
        yield

    work = Work(around=around)
    work.do(lambda: done.append(1))
    assert work.loop.join(SECONDS)
    assert len(tries) == len(work.errors) == 2
    work.loop.wake()
    assert work.loop.join(SECONDS)
    assert done == [1]


def test_where_no_thread_can_be_started_it_says_so_and_may_start_later(monkeypatch):
    work, done = Work(), []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda _: refuse())
        with pytest.raises(RuntimeError, match="can't start new thread"):
            work.do(lambda: done.append(1))
    assert not work.loop.running
    work.loop.wake()
    assert work.loop.join(SECONDS)
    assert done == [1]


def refuse():
    raise RuntimeError("can't start new thread")  # as the system's limits make Python say


def test_what_it_does_is_broken_off_at_the_end_of_the_process():
    work, begun = Work(), threading.Event()

    def forever():
        begun.set()
        while True:
            with contextlib.suppress(Exception):  # as many a library does
                threading.Event().wait(0.001)

    work.do(forever)
    assert begun.wait(SECONDS)
    work.loop.leave(SECONDS)
    assert work.loop.join(0)
    assert [type(told) for told in work.errors] == [SystemExit]


def test_fault_60_a_warning_is_no_error_there():
    """Whatever filters say, also such as come while a thread is at work; elsewhere they hold."""
    work, begun, go_on = Work(), threading.Event(), threading.Event()

    def warn():
        warnings.warn("of a library", stacklevel=1)

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("error")
        work.do(warn)
        work.do(lambda: begun.set() or (go_on.wait(SECONDS) and None))
        assert begun.wait(SECONDS)
        warnings.simplefilter("error", UserWarning)
        work.do(warn)
        go_on.set()
        assert work.loop.join(SECONDS)
        with pytest.raises(UserWarning):
            warnings.warn("of somebody else", stacklevel=1)
        assert [each[2] for each in warnings.filters[:2]] == [UserWarning, Warning]  # as they were
    assert work.errors == []
    assert [str(each.message) for each in shown] == ["of a library"] * 2


def test_a_turn_that_failed_may_be_tried_again():
    turns = []

    def turn():
        turns.append(1)
        if len(turns) < 3:
            raise OSError

    loop = Loop("nbtool test", turn, retry=0)
    loop.wake()
    assert loop.join(SECONDS)
    assert len(turns) == 3


def test_a_wake_cuts_a_pause_short():
    rested, turns = threading.Event(), []

    def turn():
        turns.append(1)
        rested.set()
        return 1000 if len(turns) == 1 else None

    loop = Loop("nbtool test", turn)
    loop.wake()
    assert rested.wait(SECONDS)
    loop.wake()
    assert loop.join(SECONDS)
    assert len(turns) == 2


def test_a_few_threads_take_turns_side_by_side_and_no_more():
    work, done = Work(threads=3), []
    meeting = threading.Barrier(3)
    for number in range(12):
        work.do(lambda n=number: (meeting.wait(SECONDS) and None) or done.append(n))
    assert work.loop.join(SECONDS)
    assert sorted(done) == list(range(12))
    assert work.errors == []


def test_a_thread_is_inside_of_what_it_is_given_from_first_to_last():
    told = []

    @contextlib.contextmanager
    def around():
        told.append("in")
        yield
        told.append("out")

    work = Work(around=around)
    work.todo.put(lambda: told.append("a"))
    work.do(lambda: told.append("b"))
    assert work.loop.join(SECONDS)
    assert told == ["in", "a", "b", "out"]


def test_it_knows_its_own_threads():
    work, said = Work(), []
    work.do(lambda: said.append(work.loop.is_current))
    assert work.loop.join(SECONDS)
    assert said == [True]
    assert not work.loop.is_current


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_after_a_fork_it_starts_anew():
    """In the child no thread of its parent goes on, whatever it was doing, and none is waited for."""
    work, begun, go_on = Work(), threading.Event(), threading.Event()
    work.do(lambda: begun.set() or (go_on.wait(SECONDS) and None))
    assert begun.wait(SECONDS)
    child = os.fork()
    if not child:
        done = threading.Event()
        work.do(done.set)
        os._exit(0 if done.wait(SECONDS) else 1)
    go_on.set()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert work.loop.join(SECONDS)
