"""Every loop that nbtool runs in the background, struck by an error: its job hears of it, the next works.

The loops are found in the sources, so that a new one cannot escape.
"""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

import nbtool
from nbtool.background import Loop
from nbtool.catalogue import hub
from nbtool.engines.local.worker import worker
from nbtool.live.view import GridView
from nbtool.panel.background import Follower, InTurn, Latest
from nbtool.panel.collection.queue import Queue
from nbtool.panel.collection.tiles import Tiles
from nbtool.testing import FakeEngine

PACKAGE = Path(nbtool.__file__).parent
SECONDS = 60
STARTERS = {"Thread", "Timer", "start_new_thread", "to_thread", "run_in_executor"}
ERRORS = [ZeroDivisionError, MemoryError, SystemExit, KeyboardInterrupt]


def calls():
    """Every call in the package: its module, the name of what is called, and the first argument."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                yield (
                    path.relative_to(PACKAGE).as_posix(),
                    name,
                    node.args[0] if node.args else None,
                )


def made_by(engine, tmp_path):
    generator = nbtool.Generator(engine=engine, store=tmp_path / "images")
    return lambda seed: generator.submit("a star", seed=seed)


def job(tmp_path):
    submit = made_by(FakeEngine(), tmp_path)
    jobs = [submit(1), submit(2)]
    for each in jobs:
        each.join(SECONDS)
    struck, other = sorted(jobs, key=lambda each: each.error is None)
    return struck.done and str(struck.error), len(other.grid)


def local(tmp_path):
    """The engine on this machine, on which one job comes after the other."""
    generator = nbtool.Generator(
        "shapes",
        store=tmp_path / "images",
        device="cpu",
        num_inference_steps=1,
        width=64,
        height=64,
    )
    jobs = []
    for seed in range(2):
        jobs.append(generator.submit("a star", seed=seed))
        jobs[-1].join(SECONDS)
    return jobs[0].done and str(jobs[0].error), len(jobs[1].grid)


def writer(tmp_path):
    """What is finished waits for a writer that does not fail."""
    said, made = local(tmp_path)
    return said == "None", made


def view(tmp_path):
    job = made_by(FakeEngine(), tmp_path)([1, 2])
    view = GridView(job.grid, job=job)
    assert view.join(SECONDS)
    return True, view.states == "dd" and not view.progress["running"]


def latest(tmp_path):
    told, done = [], []
    latest = Latest(told.append)
    for number in range(2):
        latest(lambda number=number: done.append(number))
        latest.join(SECONDS)
    return told, done == [1]


def desk(tmp_path):
    told, done = [], []
    in_turn = InTurn(told.append)
    in_turn(lambda: done.append(1))
    in_turn.join(SECONDS)
    return told, done == [1]


def tiles(tmp_path):
    sent = []
    tiles = Tiles(SimpleNamespace(send=lambda content, *_: sent.append(content)), lambda _: None)
    tiles.ask("no such key")
    tiles.join(SECONDS)
    return True, [content["cell"] for content in sent] == ["no such key"]


def queue(tmp_path):
    told, shown = [], []
    queue = Queue(shown.append, lambda: False, told.append)
    queue.look()
    queue.join(SECONDS)
    return told, shown == [[]]


def follower(tmp_path):
    told, over = [], []
    follower = Follower(lambda jobs, done: over.append(done), told.append)
    follower.follow(made_by(FakeEngine(), tmp_path)(1))
    follower.join(SECONDS)
    return told, over[-1]


def download(tmp_path):
    """Whoever waits for the files hears of it; the next get theirs."""
    told, got = [], []
    for name in ("a", "b"):
        try:
            hub._side_by_side(got.append, [name], hub._Tally("m", 0, lambda _: None))
        except BaseException as error:
            told.append(error)
    return told, got == ["b"]


LOOPS = {
    "nbtool": local,
    "nbtool download": download,
    "nbtool job": job,
    "nbtool writer": writer,
    "nbtool view": view,
    "nbtool panel": latest,
    "nbtool desk": desk,
    "nbtool tiles": tiles,
    "nbtool queue": queue,
    "nbtool follower": follower,
}


def test_threads_are_started_by_loops_alone():
    assert {module for module, name, _ in calls() if name in STARTERS} == {"background.py"}


def test_every_loop_is_tried_here():
    names = [argument.value for _, name, argument in calls() if name == "Loop"]
    assert sorted(names) == sorted(LOOPS)


@pytest.fixture
def strike(monkeypatch):
    """Makes the next turn of a loop raise an error in place of what it does."""
    take_turn, errors = Loop._take_turn, {}

    def struck(loop):
        error = errors.pop(loop._name, None)
        if error is None:
            return take_turn(loop)
        own, loop._turn = loop._turn, lambda: throw(error)
        try:
            return take_turn(loop)
        finally:
            loop._turn = own

    monkeypatch.setattr(Loop, "_take_turn", struck)
    return errors.__setitem__


def throw(error):
    raise error("struck")


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", LOOPS)
def test_fault_52_an_error_in_a_loop_is_told_and_the_next_job_works(name, error, strike, tmp_path):
    assert worker._working.join(SECONDS)  # it still compares widths for the test before
    strike(name, error)
    told, next_works = LOOPS[name](tmp_path)
    assert told
    assert next_works
    if isinstance(told, str):
        assert told == f"generation stopped: {error.__name__}: struck"


def test_a_last_look_that_fails_is_taken_once_more(tmp_path):
    """Else what the panel shows would stay as if the job went on."""
    told, looks = [], []

    def look(jobs, over):
        looks.append(over)
        if over:
            throw(ValueError)

    follower = Follower(look, told.append)
    follower.follow(made_by(FakeEngine(), tmp_path)(1))
    follower.join(SECONDS)
    assert looks.count(True) == len(told) == 2


def test_a_job_that_comes_during_the_last_look_is_looked_at_alone(tmp_path):
    """Else what was shown of the others would be shown as new once more."""
    make, looks = made_by(FakeEngine(), tmp_path), []
    second = make(2)

    def look(jobs, over):
        if over and not any(ended for _, ended in looks):
            follower.follow(second)
        looks.append((jobs, over))

    follower = Follower(look, throw)
    first = make(1)
    follower.follow(first)
    follower.join(SECONDS)
    assert [jobs for jobs, over in looks if over] == [(first,), (second,)]


def test_a_view_that_once_could_not_be_told_of_the_end_is_told_again(tmp_path, monkeypatch):
    job = made_by(FakeEngine(), tmp_path)([1, 2])
    job.join(SECONDS)
    hold_sync, failures = GridView.hold_sync, [1]

    def fail_once(view):
        if failures:
            failures.pop()
            throw(OSError)
        return hold_sync(view)

    monkeypatch.setattr(GridView, "hold_sync", fail_once)
    view = GridView(job.grid, job=job)
    assert view.join(SECONDS)
    assert not failures
    assert view.progress["running"] is False
    assert view.states == "dd"
