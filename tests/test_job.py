"""Jobs side by side: who goes ahead, and who is cancelled."""

from __future__ import annotations

import threading
import weakref

import pytest

import nbtool
from nbtool.engines.local.worker import worker
from nbtool.job import Job
from nbtool.results.store import Store
from nbtool.testing import FakeEngine

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
    with job._changed:
        job._changed.wait_for(lambda: condition(job.progress))


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
    engine.release()
    assert job.wait(60).missing == [(seed, 2) for seed in range(4)]


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
    jobs = [gen.submit(PROMPT, seed=range(200), guidance_scale=scale) for scale in (2, 3)]
    next(iter(jobs[0]))
    nbtool.cancel()
    held.set()
    for job in jobs:
        job.join()
        assert job.done
        assert job.cancelled
    assert 0 < len(gen.store) < 400
    assert len(gen.store) == sum(len(job.grid) for job in jobs)


def test_what_is_in_the_making_can_be_looked_at(gen, monkeypatch):
    advance, looked_at = Job._advance, threading.Event()

    def advance_and_wait(job, event):
        advance(job, event)
        if event.preview:
            looked_at.wait()

    monkeypatch.setattr(Job, "_advance", advance_and_wait)
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
    advance, seen = Job._advance, []

    def advance_and_look(job, event):
        advance(job, event)
        seen.append(job.progress)

    monkeypatch.setattr(Job, "_advance", advance_and_look)
    job = gen.submit(PROMPT, seed=range(20), num_inference_steps=10)
    job.wait()
    seen.append(job.progress)
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert any(progress.fraction > 0 for progress in seen if progress.done == 0)
    assert job.progress.seconds > 0
