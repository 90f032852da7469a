"""The generator, its jobs and the engine under them, on the embedded model."""

from __future__ import annotations

import copy
import errno
import os
import shutil
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import nbtool
from nbtool.engines.local import loading, pipelines
from nbtool.engines.local.worker import WRITERS
from nbtool.job import Job
from nbtool.results.store import Store

PROMPT = "a large red circle on a blue background"
FAST = {"num_inference_steps": 2}


@pytest.fixture
def gen(tmp_path, monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    return nbtool.Generator("shapes", store=tmp_path / "images", device="cpu", **FAST)


@pytest.fixture
def no_loading(monkeypatch):
    def refuse(*_):
        raise AssertionError("the model was loaded")

    monkeypatch.setattr(loading, "load", refuse)


def pixels(image):
    return np.asarray(image.image)


def test_images_are_made_again_from_their_files(gen, tmp_path):
    varied = [
        gen(PROMPT, seed=1),
        gen("a star", seed=2**64 - 1, guidance_scale=1, scheduler="euler_a", width=96),
        gen(PROMPT, seed=3, negative_prompt="green", eta=0.5, scheduler="ddim", clip_skip=1),
    ]
    again = nbtool.Generator("shapes", store=tmp_path / "elsewhere", device="cpu")
    for image in varied:
        recipe = nbtool.Recipe.from_file(image.path)
        assert recipe == image.recipe
        assert np.array_equal(pixels(again(recipe)), pixels(image))


@pytest.mark.parametrize("scheduler", ["dpm++2m", "euler_a", "ddim", "EulerDiscreteScheduler"])
def test_pixels_are_those_of_the_plain_pipeline(gen, scheduler):
    import torch

    image = gen(PROMPT, seed=5, guidance_scale=4, scheduler=scheduler, guidance_rescale=0.3)
    shared = gen.engine.placement.load(str).pipeline
    pipeline = copy.copy(shared)
    pipeline.scheduler = pipelines.scheduler(scheduler, shared.scheduler.config)
    plain = pipeline(
        PROMPT, num_inference_steps=2, guidance_scale=4, guidance_rescale=0.3,
        generator=torch.Generator("cpu").manual_seed(5),
    ).images[0]  # fmt: skip
    assert np.array_equal(np.asarray(plain), pixels(image))


def test_every_scheduler_name_makes_an_image(gen):
    from nbtool.schedulers import SHORT_NAMES

    grid = gen.grid(PROMPT, seed=1, scheduler=list(SHORT_NAMES), num_inference_steps=3)
    assert not grid.failed
    assert len(grid) == len(SHORT_NAMES)


def test_grid_is_labelled_and_every_cell_is_its_recipe(gen):
    grid = gen.grid("a {size} star", size=["small", "large"], seed="1-2", guidance_scale=[1, 3.5])
    assert grid.axes == {"size": ("small", "large"), "seed": (1, 2), "guidance_scale": (1.0, 3.5)}
    image = grid.sel(size="large", seed=2, guidance_scale=3.5)
    asked = {"prompt": "a large star", "seed": 2, "guidance_scale": 3.5}
    assert image.recipe == nbtool.Recipe(**gen.engine.defaults() | FAST | asked)
    assert image.path.is_file()
    assert image.provenance.device == "cpu"


def test_a_rerun_comes_from_the_store(gen, no_loading_later):
    first = gen.grid(PROMPT, seed=range(3))
    no_loading_later()
    again = gen.grid(PROMPT, seed=range(3))
    assert [image.png for image in again] == [image.png for image in first]


@pytest.fixture
def no_loading_later(monkeypatch):
    def arm():
        def refuse(*_):
            raise AssertionError("the engine was asked")

        monkeypatch.setattr(nbtool.engines.local.LocalEngine, "run", refuse)

    return arm


def test_fault_10_a_seed_gives_the_same_image_alone_and_in_a_grid(gen, tmp_path):
    grid = gen.grid(PROMPT, seed=range(3), guidance_scale=[2, 5])
    alone = nbtool.Generator("shapes", store=tmp_path / "other", device="cpu", **FAST)
    image = alone(PROMPT, seed=2, guidance_scale=5)
    assert image.recipe == grid.sel(seed=2, guidance_scale=5).recipe
    assert np.abs(pixels(image).astype(int) - pixels(grid[2, 1])).max() <= 1


def test_vary_changes_only_what_is_named(gen):
    image = gen(PROMPT, seed=1)
    varied = image.vary(seed=9)
    assert varied.recipe == image.recipe.replace(seed=9)
    assert gen.store.get(image.recipe.key).path == image.path


def test_an_open_seed_is_drawn_once_for_the_grid(gen):
    grid = gen.grid(PROMPT, guidance_scale=[1, 4])
    assert grid[0].seed == grid[1].seed
    assert gen(PROMPT).seed != gen(PROMPT).seed


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"width": 513}, "multiple of 8"),
        ({"height": 0}, "from 16 to 8192"),
        ({"width": 10**6}, "from 16 to 8192"),
        ({"seed": "abc"}, "seed"),
        ({"seed": True}, "whole number"),
        ({"seed": 2**64}, "whole number"),
        ({"guidance_scale": float("nan")}, "guidance_scale must be a number ≥ 0, got nan"),
        ({"guidance_scale": -1}, "guidance_scale must be a number ≥ 0, got -1"),
        ({"num_inference_steps": 0}, "from 1 to 1000"),
        ({"scheduler": "eulr"}, "did you mean 'euler'"),
        ({"guidance": 3}, "did you mean 'guidance_scale'"),
        ({"clip_skip": 3}, "clip_skip must be at most 2"),
        ({"seed": [1, 2]}, "use gen.grid"),
        ({"model": "sd-v1-5"}, "belongs to the generator"),
    ],
)
def test_fault_07_08_09_bad_values_are_refused_before_loading(gen, no_loading, parameters, message):
    with pytest.raises(nbtool.RecipeError, match=message):
        gen(PROMPT, **parameters)
    assert not gen.store.path.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stor": "x"}, "unknown option 'stor'; did you mean 'store'"),
        ({"devise": "cpu"}, "unknown option 'devise'; did you mean 'device'"),
        ({"guidance": 5}, "unknown option 'guidance'; did you mean 'guidance_scale'"),
        ({"steps": 5}, "unknown option 'steps'; did you mean 'num_inference_steps'"),
    ],
)
def test_a_misspelt_option_is_refused_with_the_near_one(options, message):
    with pytest.raises(nbtool.RecipeError, match=message):
        nbtool.Generator(**options)


@pytest.mark.parametrize("name", ["store", "stores", "device", "devices"])
def test_an_option_of_the_generator_is_refused_in_a_call_with_its_place(gen, name):
    with pytest.raises(nbtool.RecipeError, match=rf"nbtool\.Generator\({name.rstrip('s')}=…\)"):
        gen(PROMPT, **{name: "cpu"})
    assert gen.plan(f"a {{{name}}}", **{name: ["red", "blue"]}).cells == 2


def test_a_recipe_of_another_model_or_revision_is_refused(gen, no_loading):
    for change in ({"model": "sd-v1-5"}, {"revision": "0" * 12}):
        recipe = nbtool.Recipe(prompt=PROMPT).replace(**change)
        with pytest.raises(nbtool.RecipeError, match="this generator has"):
            gen(recipe)


def test_an_unknown_model_names_what_there_is():
    with pytest.raises(nbtool.ModelError, match="shapes, sd-v1-5"):
        nbtool.Generator("no-such-model")


def test_where_a_prompt_is_cut_is_known_before_anything_is_loaded(gen):
    found = gen.engine.reading("a red star " * 12 + "Heart")
    assert (found.tokens, found.most) == (37, 30)
    assert found.beyond.endswith("a red star Heart")
    assert gen.engine.reading("a star").beyond == ""


def test_fault_11_a_prompt_cut_short_is_said_and_recorded(gen):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image = gen("a red star " * 12 + "heart", seed=1)
    assert any("heart" in str(warning.message) for warning in caught)
    assert "left out" in image.provenance.notes[0]
    assert nbtool.Store(gen.store.path).get(image.recipe.key).provenance.notes


def test_fault_29_an_impossible_store_is_refused_before_loading(tmp_path, no_loading):
    (tmp_path / "file").write_text("in the way")
    for store in (tmp_path / "missing" / "images", tmp_path / "file"):
        gen = nbtool.Generator(store=store)
        with pytest.raises(nbtool.StoreError, match="cannot"):
            gen(PROMPT)


def test_submit_does_not_block_and_cancel_keeps_finished_images(gen, held):
    job = gen.submit(PROMPT, seed=range(200))
    assert not job.done
    first = next(iter(job))
    job.cancel()
    held.set()
    grid = job.wait()
    assert first.path in {image.path for image in grid}
    assert 1 <= len(grid) < 200
    assert len(grid) + len(grid.missing) == 200
    assert len(gen.store) == len(grid)
    with pytest.raises(nbtool.Cancelled, match="run the same grid again"):
        grid.sel(seed=199)


def test_a_job_can_be_awaited_and_iterated(gen, in_a_loop):
    async def wait():
        return await gen.submit(PROMPT, seed=range(2))

    assert len(in_a_loop(wait())) == 2
    assert {image.seed for image in gen.submit(PROMPT, seed=range(3))} == {0, 1, 2}


def test_a_cell_that_fails_leaves_the_others(gen):
    grid = gen.grid(PROMPT, seed=1, scheduler=["euler", "DPMSolverSDEScheduler", "ddim"])
    assert list(grid.failed) == [("DPMSolverSDEScheduler",)]
    assert len(grid) == 2
    assert len(gen.store) == 2
    with pytest.raises(nbtool.GenerationError):
        grid.sel(scheduler="DPMSolverSDEScheduler")


def test_fault_06_an_interrupt_keeps_what_is_done_and_the_next_call_works(gen, monkeypatch):
    import _thread

    put, made = Store.put, []
    cancel, cancelled = Job.cancel, threading.Event()

    def put_and_interrupt(*arguments):
        if len(made) >= 2:
            cancelled.wait()
        made.append(put(*arguments))
        if len(made) == 2:
            _thread.interrupt_main()
        return made[-1]

    def cancel_and_say(job):
        cancel(job)
        cancelled.set()

    monkeypatch.setattr(Store, "put", put_and_interrupt)
    monkeypatch.setattr(Job, "cancel", cancel_and_say)
    with pytest.raises(KeyboardInterrupt):
        gen.grid(PROMPT, seed=range(200))
    assert len(gen.store) == len(made) < 200
    assert not gen.store.check()
    monkeypatch.setattr(Store, "put", put)
    assert len(gen.grid(PROMPT, seed=range(3))) == 3


def test_fault_25_a_full_disk_stops_the_sweep_and_loses_nothing(gen, monkeypatch):
    fsync, calls = os.fsync, []

    def full_disk(descriptor):
        calls.append(descriptor)
        if len(gen.store) >= 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(nbtool.StoreError, match="No space left on device") as caught:
        gen.grid(PROMPT, seed=range(6))
    # What was being written at that moment is in memory, whether or not it came to the disk.
    assert len(caught.value.grid) >= len(gen.store) >= 2
    assert caught.value.unsaved.path is None
    assert all(image.image.size == (128, 128) for image in caught.value.grid)
    assert not list(gen.store.path.glob("*.partial"))


# With a number, all of it hangs in the middle of writing an image, once so many were begun.
SWEEP = """
import nbtool, os, sys, threading
from nbtool.results.store import Store

def put_or_hang(*arguments):
    begun.append(1)
    if len(begun) > int(sys.argv[2]):
        os.fsync = lambda _: threading.Event().wait()
    return put(*arguments)

begun, put = [], Store.put
if len(sys.argv) > 2:
    Store.put = put_or_hang
gen = nbtool.Generator("shapes", store=sys.argv[1], device="cpu", num_inference_steps=2)
for image in gen.submit("a large red star", seed=range(40)):
    print(image.provenance.created, flush=True)
"""


def test_fault_26_43_a_killed_sweep_goes_on_where_it_was(tmp_path):
    store = nbtool.Store(tmp_path / "images")
    command = [sys.executable, "-c", SWEEP, str(store.path)]
    hanging = [*command, str(5 + WRITERS)]
    with subprocess.Popen(hanging, stdout=subprocess.PIPE, text=True) as child:
        for _ in range(5):
            child.stdout.readline()
        child.kill()
    kept = {image.path: image.png for image in store}
    assert 5 <= len(kept) < 40

    subprocess.run(command, check=True, stdout=subprocess.PIPE)
    assert len(store) == 40
    assert not store.check()
    assert all(path.read_bytes() == png for path, png in kept.items())


def test_a_folder_in_diffusers_layout_is_a_model(gen, tmp_path, monkeypatch):
    shutil.copytree(gen.engine.model.folder, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    image = nbtool.Generator("mine", device="cpu", **FAST)(PROMPT, seed=1)
    assert image.recipe.model == "mine"
    ours = gen(PROMPT, seed=1, guidance_scale=7.5)
    assert np.abs(pixels(image).astype(int) - pixels(ours)).max() <= 1


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(nbtool.ModelError, match=r"no model_index\.json"):
        nbtool.Generator(str(tmp_path))


def test_a_store_may_be_given_named_or_left_to_the_environment(tmp_path, monkeypatch):
    empty = nbtool.Store(tmp_path / "mine")
    assert nbtool.Generator(store=empty).store is empty
    monkeypatch.setenv("NBTOOL_STORE", str(tmp_path / "theirs"))
    assert nbtool.Generator().store.path == tmp_path / "theirs"
    assert nbtool.Generator(store="here").store.path.name == "here"


def test_fault_28_leftovers_of_a_killed_writer_do_no_harm(gen):
    gen(PROMPT, seed=1)
    leftover = gen.store.path / f".{'a' * 32}.json.{'b' * 32}.partial"
    leftover.write_text("{")
    os.utime(leftover, (0, 0))
    assert len(gen.grid(PROMPT, seed=range(2))) == 2
    assert not leftover.exists()


def test_plan_counts_without_making_anything(gen, no_loading_later):
    assert gen.plan(PROMPT, seed=range(4)).seconds is None
    gen.grid(PROMPT, seed=range(2), guidance_scale=5)
    no_loading_later()
    plan = gen.plan(PROMPT, seed=range(4), guidance_scale=[5, 6])
    assert (plan.cells, plan.images, plan.stored, plan.to_make) == (8, 8, 2, 6)
    assert plan.seconds > 0
    assert "6 images to make, 2 in the store" in str(plan)


def test_requests_from_several_threads_are_all_served(gen):
    grids = {}
    threads = [
        threading.Thread(target=lambda i=i: grids.update({i: gen.grid(PROMPT, seed=[i, i + 1])}))
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(grids[i]) for i in range(4)] == [2] * 4
    assert len(gen.store) == 5


def test_other_sizes_and_the_unloaded_model_work(gen):
    nbtool.unload()
    grid = gen.grid(PROMPT, nbtool.paired(width=[64, 192], height=[128, 64]), seed=1)
    assert [image.image.size for image in grid] == [(64, 128), (192, 64)]


def test_the_card_says_what_there_is_without_loading(gen, no_loading):
    card = gen._repr_mimebundle_()
    assert "shapes" in card["text/plain"]
    assert "num_inference_steps=2" in card["text/html"]
    assert repr(gen) == "<Generator shapes, images in images>"


def test_progress_is_one_stable_line_when_plain(gen, monkeypatch, capsys):
    monkeypatch.setenv("NBTOOL_PROGRESS", "plain")
    gen.grid(PROMPT, seed=range(2))
    gen.grid(PROMPT, seed=range(3))
    image = gen(PROMPT, seed=1)
    assert capsys.readouterr().out.splitlines() == [
        "2 images",
        "3 images · 2 already in the store",
        f"{image.caption} · already in the store",
    ]


def test_paths_may_be_bytes_and_what_is_no_path_is_refused(gen, tmp_path):
    folder = shutil.copytree(gen.engine.model.folder, tmp_path / "mine")
    mine = nbtool.Generator(os.fsencode(folder), store=os.fsencode(tmp_path / "s"))
    assert mine.engine.name == "mine"
    assert mine.store.path == tmp_path / "s"
    image = gen("a", seed=1)
    assert image.save(os.fsencode(tmp_path / "a.png")) == tmp_path / "a.png"
    assert nbtool.Recipe.from_file(os.fsencode(tmp_path / "a.png")) == image.recipe
    with pytest.raises(nbtool.ModelError, match="3 is no name, folder"):
        nbtool.Generator(3)
    for wrong in (lambda: nbtool.Generator(store=3), lambda: image.save(3)):
        with pytest.raises(nbtool.StoreError, match="a path must be a text"):
            wrong()


def test_a_library_that_ends_python_while_a_model_is_read_fails_that_model_alone(gen, monkeypatch):
    import diffusers

    def end(*_, **__):
        sys.exit(3)

    nbtool.unload()
    with monkeypatch.context() as broken:
        broken.setattr(diffusers.DiffusionPipeline, "from_pretrained", end)
        with pytest.raises(nbtool.ModelError, match=r"ends Python \(SystemExit\(3\)\); mend"):
            gen("a", seed=1)
    assert gen("a", seed=1)
