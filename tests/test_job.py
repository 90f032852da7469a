"""Jobs side by side: who goes ahead, and who is cancelled."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import time
import weakref

import pytest

import nbtool
from nbtool.display.progress import status
from nbtool.engines.local.worker import worker
from nbtool.errors import logger
from nbtool.job import AHEAD
from nbtool.job.account import Account
from nbtool.results.store import Store
from nbtool.testing import FakeEngine
from nbtool.watch import watch

SECONDS = 60
PROMPT = "a large red circle on a blue background"


@pytest.fixture
def gen(tmp_path, monkeypatch, learned):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    return nbtool.Generator(
        store=tmp_path / "images", device="cpu", num_inference_steps=4, width=64, height=64
    )


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def quick(tmp_path, engine):
    """A generator that needs no model."""
    return nbtool.Generator(engine=engine, store=tmp_path / "quick")


def until(job, condition):
    """Waits for a job to come so far."""
    with job._account.changed:
        job._account.changed.wait_for(lambda: condition(job.progress))


@pytest.fixture
def kept(monkeypatch):
    """The recipes of the images in the order in which they are kept."""
    put, recipes = Store.put, []

    def put_and_note(store, picture, recipe, *more):
        recipes.append(recipe)
        return put(store, picture, recipe, *more)

    monkeypatch.setattr(Store, "put", put_and_note)
    return recipes


@pytest.fixture
def ask(held):
    """Asks for one image while a sweep is held, which goes on when it has been asked for."""

    def ask_beside(gen, **parameters):
        made = []
        thread = threading.Thread(target=lambda: made.append(gen(PROMPT, **parameters)))
        thread.start()
        with worker._changed:
            worker._changed.wait_for(lambda: len(worker._runs) == 2)
        held.set()
        thread.join()
        return made[0]

    return ask_beside


def test_who_waits_goes_ahead_of_a_running_sweep(gen, ask, kept):
    sweep = gen.submit(PROMPT, seed=range(400), guidance_scale=2)
    until(sweep, lambda progress: progress.made)
    image = ask(gen, seed=1000)
    sweep.cancel()
    sweep.join()
    assert image.path.exists()
    assert kept.index(image.recipe) < 200
    # The same size and model: it was batched with the sweep.
    assert image.provenance.batch_width > 2


def test_another_model_and_size_run_beside_a_sweep(gen, ask, kept, tmp_path):
    import shutil

    shutil.copytree(gen.engine.model.folder, tmp_path / "other")
    other = nbtool.Generator(
        str(tmp_path / "other"), store=gen.store, device="cpu", num_inference_steps=4
    )
    sweep = gen.submit(PROMPT, seed=range(400), width=96)
    until(sweep, lambda progress: progress.made)
    image = ask(other, seed=1, width=64, height=64)
    sweep.cancel()
    sweep.join()
    assert image.recipe.model == "other"
    assert kept.index(image.recipe) < 400


def test_sizes_run_side_by_side(gen):
    """Neither of two sizes waits until the other is done."""
    job = gen.submit(PROMPT, width=[64, 96], seed=range(60))
    widths = [image.recipe.width for image in job]
    assert len(widths) == 120
    assert set(widths[:40]) == {64, 96}


def test_some_cells_can_be_cancelled_by_their_labels(gen, held):
    job = gen.submit(PROMPT, seed=range(40), guidance_scale=[1, 2, 3])
    until(job, lambda progress: progress.made)
    job.cancel(guidance_scale=[2, 3], seed=list(range(20, 40)))
    with pytest.raises(nbtool.AxisError, match="no guidance_scale 7"):
        job.cancel(guidance_scale=7)
    held.set()
    grid = job.wait()
    assert {guidance for _, guidance in grid.missing} == {2, 3}
    assert {seed for seed, _ in grid.missing} <= set(range(20, 40))
    assert len(grid) + len(grid.missing) == 120
    assert not grid.failed


def test_what_is_cancelled_by_its_label_before_it_is_done_is_not_made(quick, engine):
    engine.hold(1)
    job = quick.submit(PROMPT, seed=range(4), guidance_scale=[1, 2])
    assert engine.wait_for_hold(60)
    job.cancel(guidance_scale=2)
    assert (job.progress.cancelled, job.progress.left) == (4, 4)
    assert "0 of 8 images · 4 cancelled" in status(job.progress)
    engine.release()
    assert job.wait(60).missing == [(seed, 2) for seed in range(4)]
    assert (job.progress.fraction, job.progress.left) == (1, 0)


def test_a_bar_reaches_its_end_when_all_is_cancelled(quick, engine):
    engine.hold(2, lambda recipe: recipe.seed == 1)
    job = quick.submit(PROMPT, seed=range(4))
    assert engine.wait_for_hold(SECONDS)
    job.cancel()
    job.join(SECONDS)
    progress = job.progress
    assert (progress.made, progress.cancelled, progress.left, progress.fraction) == (1, 3, 0, 1)
    engine.release()


def test_one_that_fails_is_named_and_the_others_are_kept(tmp_path):
    engine = FakeEngine(fails=lambda recipe: "not this one" if recipe.seed == 2 else "")
    gen = nbtool.Generator(engine=engine, store=tmp_path / "images")
    grid = gen.submit(PROMPT, seed=range(4)).wait(60)
    assert {labels: str(error) for labels, error in grid.failed.items()} == {(2,): "not this one"}
    assert len(grid) == len(gen.store) == 3


def test_what_stops_a_run_stops_no_other(tmp_path):
    broken = FakeEngine(error=RuntimeError("odd"))
    job = nbtool.Generator(engine=broken, store=tmp_path / "images").submit(PROMPT, seed=1)
    with pytest.raises(nbtool.GenerationError, match="RuntimeError: odd"):
        job.wait(60)
    assert job.done
    other = nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images")
    assert len(other.submit(PROMPT, seed=1).wait(60)) == 1


class MuteError(Exception):
    """What some libraries raise: it cannot be asked what it says."""

    def __str__(self):
        raise RuntimeError("not that either")


class OddError(MuteError):
    __str__ = 5


def listen_badly(_):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("error", [MuteError(), OddError(), RuntimeError("odd")])
def test_a_run_ends_whatever_becomes_of_the_words_and_the_log_of_its_error(
    tmp_path, error, monkeypatch, in_a_loop
):
    handler = logging.Handler()
    handler.emit = listen_badly
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "level", logging.DEBUG)

    def fail(_):
        raise error

    for broken in (FakeEngine(error=error), FakeEngine(fails=fail)):
        job = nbtool.Generator(engine=broken, store=tmp_path / "images").submit(PROMPT, seed=1)

        async def waits(job=job):
            with pytest.raises(nbtool.GenerationError, match=type(error).__name__):
                await job

        in_a_loop(waits())
        assert job.done
    other = nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images")
    assert len(other.submit(PROMPT, seed=1).wait(60)) == 1


def test_progress_says_where_an_image_is(quick, engine):
    engine.hold(3)
    job = quick.submit(PROMPT, seed=range(2))
    assert engine.wait_for_hold(60)
    progress = job.progress
    assert (progress.total, progress.done, progress.step, progress.steps) == (2, 0, 2, 4)
    assert progress.fraction == 0.25
    assert [preview().size for preview in job.previews.values()] == [(8, 8)]
    engine.release()
    job.join(60)
    assert job.progress.fraction == 1


def test_a_recipe_that_another_cell_wants_is_not_cancelled(gen):
    recipe = nbtool.Recipe(prompt=PROMPT, seed=1)
    job = gen.submit([recipe, recipe, recipe.replace(seed=2)])
    job.cancel(recipe=[0, 2])
    assert job.wait().isel(recipe=[0, 1]).missing == []


def test_everything_can_be_cancelled(gen, held):
    first = gen.submit(PROMPT, seed=range(200), guidance_scale=2)
    next(iter(first))  # before another is there that might be begun first
    jobs = [first, gen.submit(PROMPT, seed=range(200), guidance_scale=3)]
    nbtool.cancel()
    held.set()
    for job in jobs:
        job.join()
        assert job.done
        assert job.cancelled
    assert 0 < len(gen.store) < 400
    assert len(gen.store) == sum(len(job.grid) for job in jobs)


def test_what_is_in_the_making_can_be_looked_at(gen, monkeypatch):
    advance, looked_at = Account.advance, threading.Event()

    def advance_and_wait(account, key, step, steps, preview):
        advance(account, key, step, steps, preview)
        if preview:
            looked_at.wait()

    monkeypatch.setattr(Account, "advance", advance_and_wait)
    job = gen.submit(PROMPT, seed=range(6), num_inference_steps=12)
    seen, came, pictures = 0, [], {}
    while not job.done:
        job.join(0.02)
        previews = job.previews
        pictures |= {index: preview() for index, preview in previews.items() if preview}
        if pictures:
            looked_at.set()
        fresh, seen = job.changes(seen)
        came += fresh
        assert not {index for index, _ in came} & (job.previews.keys() - previews.keys())
    fresh, seen = job.changes(seen)
    came += fresh
    assert sorted(index for index, _ in came) == [(i,) for i in range(6)]
    assert seen == 6
    assert job.changes(seen) == ([], 6)
    assert job.previews == {}
    assert pictures
    assert all(picture.size == (8, 8) for picture in pictures.values())


def test_a_sweep_holds_no_pictures(gen, monkeypatch):
    put, pictures, alive = Store.put, [], []

    def counted(store, picture, *arguments):
        pictures.append(weakref.ref(picture))
        alive.append(sum(picture() is not None for picture in pictures))
        return put(store, picture, *arguments)

    monkeypatch.setattr(Store, "put", counted)
    grid = gen.grid(PROMPT, seed=range(400), num_inference_steps=1)
    assert len(grid) == len(alive) == 400
    assert max(alive) < 100


def test_progress_counts_the_steps_of_all_images_in_the_making(gen, monkeypatch):
    advance, seen = Account.advance, []

    def advance_and_look(account, *step):
        advance(account, *step)
        seen.append(account.progress)

    monkeypatch.setattr(Account, "advance", advance_and_look)
    job = gen.submit(PROMPT, seed=range(20), num_inference_steps=10)
    job.wait()
    seen.append(job.progress)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any(progress.fraction > 0 for progress in seen if progress.done == 0)
    assert job.progress.seconds > 0


def test_an_image_that_two_jobs_want_is_made_once(quick, engine, kept):
    """By whoever is first; also by another generator with the same store."""
    engine.hold(2)
    first = quick.submit(PROMPT, seed=range(2))
    assert engine.wait_for_hold(SECONDS)
    again = nbtool.Generator(engine=FakeEngine(), store=quick.store.path)
    others = [quick.submit(PROMPT, seed=range(2)), again.submit(PROMPT, seed=[1, 0])]
    engine.release()
    for job in (first, *others):
        assert len(job.wait(SECONDS)) == 2
        assert job.done
    assert sorted(recipe.seed for recipe in kept) == [0, 1]
    assert sum(job.progress.stored for job in (first, *others)) == 4


@pytest.mark.parametrize("end", ["cancelled", "label cancelled", "failed", "stopped"])
def test_an_image_that_came_to_nothing_is_made_by_the_next_who_wants_it(tmp_path, end):
    fails = {"failed": lambda _: "not this time"}.get(end, lambda _: "")
    ours, theirs = FakeEngine(fails=fails), FakeEngine()
    first = nbtool.Generator(engine=ours, store=tmp_path / "images")
    second = nbtool.Generator(engine=theirs, store=tmp_path / "images")
    ours.hold(1)
    theirs.hold(1, lambda recipe: recipe.seed == 2)
    job = first.submit(PROMPT, seed=[1])
    assert ours.wait_for_hold(SECONDS)
    waiting = second.submit(PROMPT, seed=[1, 2])
    assert theirs.wait_for_hold(SECONDS)  # so the first one has been left to the other job
    theirs.release()
    if end == "cancelled":
        job.cancel()
    elif end == "label cancelled":
        job.cancel(seed=1)
    elif end == "stopped":
        ours._fails = lambda _: 1 / 0
    ours.release()
    assert len(waiting.wait(SECONDS)) == 2
    assert waiting.progress.made == 2
    job.join(SECONDS)
    assert len(job.grid) == 0
    assert (job.error is not None) == (end == "stopped")


def test_who_waits_for_what_another_makes_may_leave(quick, engine):
    engine.hold(1)
    first = quick.submit(PROMPT, seed=1)
    assert engine.wait_for_hold(SECONDS)
    second = quick.submit(PROMPT, seed=1)
    second.cancel()
    second.join(SECONDS)
    assert second.done
    engine.release()
    assert len(first.wait(SECONDS)) == 1


def test_who_wants_an_image_that_a_sweep_has_not_begun_does_not_wait_for_the_sweep(
    quick, engine, kept
):
    engine.hold(1, lambda recipe: recipe.seed == 0)
    sweep = quick.submit(PROMPT, seed=range(4))
    assert engine.wait_for_hold(SECONDS)
    assert quick(PROMPT, seed=3).path.exists()
    assert not sweep.done
    engine.release()
    assert len(sweep.wait(SECONDS)) == 4
    assert [recipe.seed for recipe in kept] == [3, 0, 1, 2]


def test_what_a_call_waits_for_goes_ahead_with_it(gen, held, kept):
    """Though it is made by a sweep that other calls go ahead of."""
    sweep = gen.submit(PROMPT, seed=1, num_inference_steps=[4, 8])
    until(sweep, lambda progress: progress.made)
    assert sweep.previews.keys() == {(1,)}
    awaited, made = sweep.sweep.recipe((1,)), []
    calls = [
        threading.Thread(target=lambda: gen.grid(PROMPT, width=96, seed=range(60))),
        threading.Thread(target=lambda: made.append(gen(awaited))),
    ]
    for number, call in enumerate(calls, 2):
        call.start()
        with worker._changed:
            worker._changed.wait_for(lambda number=number: len(worker._runs) == number, SECONDS)
    held.set()
    for call in calls:
        call.join()
    assert made[0].recipe == awaited
    assert kept.count(awaited) == 1
    assert len(kept) == 62
    assert kept.index(awaited) < 60


@pytest.mark.parametrize("made", [True, False])
def test_who_wants_exact_images_is_told_of_others(tmp_path, made):
    """Whether the store has them, or another job is making them."""
    engine = FakeEngine()
    plain = nbtool.Generator(engine=engine, store=tmp_path / "images")
    if not made:
        engine.hold(1)
    first = plain.submit(PROMPT, seed=1)
    if made:
        first.join(SECONDS)
    else:
        assert engine.wait_for_hold(SECONDS)
    exact = nbtool.Generator(engine=FakeEngine(exact=True), store=tmp_path / "images")
    jobs = [exact.submit(PROMPT, seed=seeds) for seeds in ([1, 2], [3])]
    jobs[1].join(SECONDS)
    engine.release()
    grid = jobs[0].wait(SECONDS)
    assert [image.provenance.exact for image in grid] == [False, True]
    assert ["exact ones need a store of their own" in note for note in jobs[0].notes] == [True]
    assert jobs[1].notes == []


def test_each_store_gets_its_own(quick, engine, kept, tmp_path):
    engine.hold(1)
    other = nbtool.Generator(engine=engine, store=tmp_path / "other")
    jobs = [gen.submit(PROMPT, seed=1) for gen in (quick, other)]
    assert engine.wait_for_hold(SECONDS, images=2)
    engine.release()
    assert [len(job.wait(SECONDS)) for job in jobs] == [1, 1]
    assert len(kept) == 2


def test_the_real_engine_makes_an_image_once_too(gen, held, kept):
    sweep = gen.submit(PROMPT, seed=range(40), guidance_scale=2)
    until(sweep, lambda progress: progress.made)
    same = gen.submit(PROMPT, seed=range(20, 60), guidance_scale=2)
    held.set()
    assert len(sweep.wait()) == len(same.wait()) == 40
    assert len(kept) == 60


def test_what_is_cancelled_before_anything_is_begun_is_over_at_once(tmp_path):
    """However long the engine takes to notice, which reads a large model maybe."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(FakeEngine):
        def run(self, *args, **options):
            begun.set()
            go_on.wait(SECONDS)
            super().run(*args, **options)

    gen = nbtool.Generator(engine=Slow(), store=tmp_path / "images")
    job = gen.submit(PROMPT, seed=1)
    assert begun.wait(SECONDS)
    job.cancel()
    assert job.done
    assert job.wait().missing == [()]
    go_on.set()
    assert len(gen.submit(PROMPT, seed=2).wait(SECONDS)) == 1
    assert len(gen.store) == 1


def test_seconds_count_from_the_first_image_on_and_never_back(quick, engine, monkeypatch):
    seen, monotonic = [], time.monotonic

    def look():
        seen.extend(job.progress.seconds for job in tuple(jobs))
        return monotonic()

    jobs = []
    monkeypatch.setattr("nbtool.job.account.time.monotonic", look)
    engine.hold(1)
    jobs.append(quick.submit(PROMPT, seed=range(3)))
    assert engine.wait_for_hold(SECONDS)
    engine.release()
    jobs[0].join(SECONDS)
    assert min(seen) == 0
    assert seen[-1] >= 0


def test_a_wait_with_a_time_out_ends_in_time_and_the_job_goes_on(quick, engine, in_a_loop):
    engine.hold(1)
    job = quick.submit(PROMPT, seed=range(2))

    async def wait():
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(job, 0.01)

    async def patient(job):
        return await asyncio.wait_for(job, SECONDS)

    in_a_loop(wait())
    assert not job.done
    assert not job._account.ending._listeners
    engine.release()
    assert len(in_a_loop(patient(job))) == 2
    assert len(in_a_loop(patient(job))) == 2  # again, when it is long over


def test_many_may_await_and_no_thread_does(quick, engine, monkeypatch):
    """In several event loops, and what stops a job reaches them all."""
    engine.hold(1)
    good = quick.submit(PROMPT, seed=1)
    broken = FakeEngine(error=OSError("odd"))
    bad = nbtool.Generator(engine=broken, store=quick.store.path).submit(PROMPT, seed=2)
    monkeypatch.setattr(asyncio, "to_thread", None)

    async def wait(job):
        return await job

    async def many():
        tasks = [asyncio.ensure_future(wait(job)) for job in [good, bad] * 50]
        await asyncio.sleep(0)
        engine.release()
        return await asyncio.gather(*tasks, return_exceptions=True)

    came = []
    threads = [threading.Thread(target=lambda: came.extend(asyncio.run(many()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert [str(each) for each in came if isinstance(each, Exception)] == [
        "generation stopped: OSError: odd"
    ] * 150
    assert sum(isinstance(each, nbtool.Grid) for each in came) == 150


def test_the_end_of_a_job_does_not_mind_an_event_loop_that_is_gone(
    quick, engine, caplog, in_a_loop
):
    caplog.set_level("DEBUG", "nbtool")
    engine.hold(1)
    job = quick.submit(PROMPT, seed=1)

    async def leave():
        waiting.append(job.__await__())
        next(waiting[0])

    waiting = []
    in_a_loop(leave())
    assert job._account.ending._listeners
    engine.release()
    assert len(job.wait(SECONDS)) == 1
    assert caplog.records == []


def test_a_drawn_seed_is_told_so_that_the_grid_can_go_on(quick, engine, monkeypatch, capsys):
    monkeypatch.setenv("NBTOOL_PROGRESS", "plain")
    engine.hold(1, lambda recipe: recipe.guidance_scale == 2)
    job = quick.submit(PROMPT, guidance_scale=[1, 2])
    assert engine.wait_for_hold(SECONDS)
    job.cancel()
    job.join(SECONDS)
    engine.release()
    seed = job.sweep.base.seed
    assert f", seed={seed} was drawn>" in repr(job)
    watch(job)
    said = f"1 image · 1 not made · seed={seed} was drawn · give it to go on with this grid\n"
    assert capsys.readouterr().out == said
    assert len(quick.grid(PROMPT, guidance_scale=[1, 2], seed=seed)) == 2
    assert capsys.readouterr().out == "2 images · 1 already in the store\n"
    assert quick.submit(PROMPT, guidance_scale=[1, 2]).sweep.base.seed != seed


@pytest.mark.parametrize(
    ("prompt", "parameters", "drawn"),
    [
        ("a", {}, True),
        ("a", {"seed": -1}, True),
        ("a", {"seed": 0}, False),
        ("a", {"seed": [1, 2]}, False),
        ("a", {"seeds": nbtool.paired(seed=[1, 2], eta=[0, 1])}, False),
        (nbtool.Recipe(prompt="a", seed=3), {}, False),
        (nbtool.Recipe(prompt="a", seed=3), {"seed": -1}, True),
        ([nbtool.Recipe(prompt="a"), nbtool.Recipe(prompt="b")], {}, True),
        ([nbtool.Recipe(prompt="a", seed=3), nbtool.Recipe(prompt="b", seed=4)], {}, False),
    ],
)
def test_a_seed_is_said_to_be_drawn_only_where_it_was(quick, prompt, parameters, drawn):
    sweep = quick._sweep(prompt, (), parameters)
    assert (sweep.drawn is not None) == drawn
    if drawn:
        assert {sweep.drawn} == {recipe.seed for _, recipe in sweep}
    assert not sweep.drawn_apart


@pytest.mark.parametrize(
    ("prompt", "parameters"),
    [
        ([nbtool.Recipe(prompt="a", seed=3), nbtool.Recipe(prompt="b")], {}),
        ("a", {"seed": [-1, 3]}),
        ("a", {"seed": [None, None]}),
        ("a", {"seeds": nbtool.paired(seed=[-1, 1], eta=[0, 1])}),
    ],
)
def test_seeds_that_were_drawn_for_some_cells_are_told_of(quick, capsys, prompt, parameters):
    sweep = quick._sweep(prompt, (), parameters)
    assert (sweep.drawn, sweep.drawn_apart) == (None, True)
    quick.grid(prompt, **parameters)
    assert "2 images · seeds were drawn; each image has its own" in capsys.readouterr().out


def test_a_cell_that_is_cancelled_in_the_making_is_in_the_making_no_more(tmp_path):
    engine = FakeEngine(num_inference_steps=4)
    engine.hold(2)
    gen = nbtool.Generator(engine=engine, store=tmp_path / "images")
    job = gen.submit(PROMPT, seed=[1, 2])
    assert engine.wait_for_hold(SECONDS)
    job.cancel(seed=1)
    assert (0,) not in job.previews
    assert job.progress.begun <= 0.5
    job.cancel()
    engine.release()
    job.join(SECONDS)
    assert job.progress.begun == 0


def test_two_ways_to_one_store_make_an_image_once(tmp_path):
    engine = FakeEngine()
    engine.hold(1)
    jobs = [
        nbtool.Generator(engine=engine, store=folder).submit(PROMPT, seed=1)
        for folder in (tmp_path / "images", tmp_path / "images" / ".." / "images")
    ]
    engine.release()
    assert [len(job.wait(SECONDS)) for job in jobs] == [1, 1]
    assert sorted(job.progress.made for job in jobs) == [0, 1]


# The queue


def test_the_queue_is_in_the_order_in_which_it_is_worked_on(quick, engine):
    engine.hold(2)
    first = quick.submit("a <b>star</b>", seed=[0, 1])
    assert engine.wait_for_hold(SECONDS)
    others = [quick.submit("a star", seed=[s, s + 1]) for s in (2, 4, 6)]
    assert engine.wait_for_hold(SECONDS, images=4)
    assert list(nbtool.jobs()) == [first, *others]
    assert [job.state for job in nbtool.jobs()] == ["running"] * 4
    others[1].move_up()
    others[2].move_up()
    others[2].move_up()  # it is there already
    queue = nbtool.jobs()
    assert list(queue) == [others[2], others[1], first, others[0]]
    assert queue[1:3] == [others[1], first]
    others[0].cancel()
    text = repr(queue)
    assert "a <b>star</b>" in text
    assert "2 seeds" in text
    assert "0 of 2 images" in text
    assert "&lt;b&gt;" in queue._repr_mimebundle_()["text/html"]
    engine.release()
    for job in (first, *others):
        job.join(SECONDS)
    assert (len(queue), repr(queue), list(queue)) == (0, "no job runs or waits", [])
    assert [len(job.wait()) for job in (first, *others[1:])] == [2, 2, 2]
    assert {job.state for job in (first, *others[1:])} == {"done"}
    assert others[0].state == "cancelled"


def test_what_is_moved_up_last_is_made_first(quick, engine, kept):
    engine.hold(1, lambda recipe: recipe.seed == 0)
    call = threading.Thread(target=quick, args=["a star"], kwargs={"seed": 0})
    call.start()
    assert engine.wait_for_hold(SECONDS)
    jobs = [quick.submit("a ring", seed=[s, s + 1]) for s in (10, 20, 30)]
    jobs[2].move_up()
    jobs[1].move_up()
    assert [job.state for job in nbtool.jobs()] == ["running", *["waiting"] * 3]
    end = time.monotonic() + SECONDS
    while sorted(engine._priorities) != [0, 1, 2, AHEAD]:
        assert time.monotonic() < end
    engine.release()
    call.join()
    for job in jobs:
        job.join(SECONDS)
    assert [recipe.seed for recipe in kept] == [0, 20, 21, 30, 31, 10, 11]


def test_a_call_goes_ahead_of_a_job_that_was_moved_up(quick, engine):
    engine.hold(1, lambda recipe: recipe.seed == 0)
    jobs = [quick.submit("a star", seed=[0, 1]), quick.submit("a star", seed=[2, 3])]
    assert engine.wait_for_hold(SECONDS)
    jobs[1].move_up()
    assert quick("a star", seed=9).seed == 9
    jobs[0].move_up()
    engine.release()
    assert [len(job.wait(SECONDS)) for job in jobs] == [2, 2]


def test_the_queue_holds_no_job_that_is_over(quick):
    queue = nbtool.jobs()
    job = quick.submit("a star", seed=[1, 2])
    job.join(SECONDS)
    gone = weakref.ref(job)
    del job
    gc.collect()
    assert gone() is None
    assert list(queue) == []
    quick.engine = FakeEngine(error=RuntimeError("no"))
    failed = quick.submit("a star", seed=[3])
    failed.join(SECONDS)
    assert failed.state == "failed"
    assert len(nbtool.jobs()) == 0


def test_a_sweep_on_this_machine_is_moved_up(gen, held, kept):
    first = gen.submit(PROMPT, seed=range(40))
    until(first, lambda progress: progress.done)
    second = gen.submit(PROMPT, seed=range(100, 104))
    second.move_up()
    assert list(nbtool.jobs()) == [second, first]
    held.set()
    second.join(SECONDS)
    assert not first.done
    assert (second.state, len(second.grid)) == ("done", 4)
    first.cancel()
    first.join(SECONDS)


def test_that_libraries_are_imported_is_said_before_they_are(gen, monkeypatch):
    nbtool.unload()
    monkeypatch.delitem(sys.modules, "diffusers")
    monkeypatch.setattr(worker, "run", lambda _: said.append("runs"))
    said = []
    gen.engine.run([], lambda event: said.append(event.what), lambda _: False)
    assert said == ["starting (importing torch and diffusers)", "runs"]
