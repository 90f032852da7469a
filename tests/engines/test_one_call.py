"""Images that differ in their seed alone are made by one call of a pipeline."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline
from test_exactness import OF_EMBEDDINGS, PIPELINES, SIZES, TOLERANCE
from together import one, several, with_scheduler

import nbtool
from nbtool import schedulers
from nbtool.engines.base import Finished, Stepped
from nbtool.engines.local import LocalEngine
from nbtool.recipes.recipe import Recipe

SMALL = {"width": 64, "height": 64}
SEEDS = (3, 1, 7)
OF_NOISE = sorted(
    name
    for name in schedulers.SHORT_NAMES.keys() | schedulers.CLASS_NAMES - schedulers.NOISE_PER_CALL
    if not name.startswith("FlowMatch")
)


@pytest.fixture
def calls(monkeypatch, learned):
    """How many images each call makes; as many as may be are made by one."""
    nbtool.unload()
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    monkeypatch.setattr("nbtool.engines.local.forwards.SHARE", 1)
    prepare, found = StableDiffusionPipeline.prepare_latents, []

    def counting(self, images, *args):
        found.append(images)
        return prepare(self, images, *args)

    monkeypatch.setattr(StableDiffusionPipeline, "prepare_latents", counting)
    return found


@pytest.fixture
def gen(tmp_path, calls):
    return nbtool.Generator(store=tmp_path / "images", device="cpu", num_inference_steps=3, **SMALL)


# Not inpainting: there the first image's generator alone draws the encoding of the picture.
@pytest.mark.parametrize("name", sorted(PIPELINES.keys() - {"inpaint"}))
def test_what_one_call_makes_equals_plain_calls(name, together):
    pipeline = getattr(tiny, name)()
    pipeline.set_progress_bar_config(disable=True)
    wanted = [
        {"prompt": "a red star", "guidance_scale": guidance, "num_inference_steps": 3,
         **PIPELINES[name](size)}
        for guidance, size in zip((1, 4), SIZES, strict=True)
    ]  # fmt: skip
    made = together.images(
        [(with_scheduler(pipeline), kwargs | {"seeds": SEEDS}) for kwargs in wanted]
    )
    for images, kwargs in zip(made, wanted, strict=True):
        for image, seed in zip(images, SEEDS, strict=True):
            plain = one(with_scheduler(pipeline), kwargs | {"seed": seed})
            assert np.abs(image - plain).max() < TOLERANCE, (seed, kwargs)


@pytest.mark.parametrize("name", OF_EMBEDDINGS)
def test_what_one_call_of_newer_families_makes_equals_plain_calls(name, together):
    pipeline = getattr(tiny, name)()
    pipeline.set_progress_bar_config(disable=True)
    wanted = {"num_inference_steps": 2, **SMALL, **OF_EMBEDDINGS[name](5, 4)}
    (images,) = together.images([(with_scheduler(pipeline), wanted | {"seeds": SEEDS})])
    for image, seed in zip(images, SEEDS, strict=True):
        plain = one(with_scheduler(pipeline), wanted | {"seed": seed})
        assert np.abs(image - plain).max() < TOLERANCE


@pytest.mark.parametrize("scheduler", OF_NOISE)
def test_schedulers_treat_each_image_of_a_call_alike(scheduler):
    pipeline = with_scheduler(tiny.stable_diffusion(), scheduler)
    pipeline.set_progress_bar_config(disable=True)
    wanted = {"prompt": "a", "num_inference_steps": 4, "height": 64, "width": 64}
    for image, seed in zip(several(pipeline, wanted | {"seeds": SEEDS}), SEEDS, strict=True):
        plain = one(with_scheduler(pipeline), wanted | {"seed": seed})
        assert np.abs(image - plain).max() < TOLERANCE


def test_a_grid_takes_fewer_calls_than_images(gen, calls):
    grid = gen.grid("a red star", seed=range(8), guidance_scale=[1, 4])
    assert sum(calls) == len(grid) == 16
    assert len(calls) < 8
    calls.clear()
    exact = nbtool.Generator(store=gen.store.path.parent / "exact", exact=True, **gen.defaults)
    for a, b in zip(grid, exact.grid("a red star", **grid.axes), strict=True):
        assert a.recipe == b.recipe
        assert np.abs(np.asarray(a.image, int) - np.asarray(b.image, int)).max() <= 1
    assert calls == [1] * 16


def test_what_draws_noise_for_a_whole_call_is_called_for_each_image(gen, calls, monkeypatch):
    monkeypatch.setattr(
        schedulers, "NOISE_PER_CALL", {"ddim"}
    )  # the real one wants another package
    gen.grid("a red star", seed=range(4), scheduler="ddim")
    assert calls == [1] * 4


def test_pipelines_that_were_not_tried_are_called_for_each_image(gen, calls, monkeypatch):
    family = gen.engine.model.family
    monkeypatch.setitem(vars(family), "several", False)
    gen.grid("a red star", seed=range(4))
    assert calls == [1] * 4


def test_what_fails_together_is_tried_one_by_one(gen, calls, monkeypatch):
    step = DPMSolverMultistepScheduler.step

    def picky(self, *args, generator=None, **kwargs):
        seeds = [g.initial_seed() for g in generator] if isinstance(generator, list) else [
            generator.initial_seed()
        ]  # fmt: skip
        if 2 in seeds:
            raise ValueError("not with this seed")
        return step(self, *args, generator=generator, **kwargs)

    monkeypatch.setattr(DPMSolverMultistepScheduler, "step", picky)
    # More than are looked at ahead.
    grid = gen.grid("a red star", seed=range(140), num_inference_steps=1)
    assert max(calls) > 1
    assert len(grid) == 139
    assert set(grid.failed) == {(2,)}
    assert "ValueError: not with this seed" in str(grid.failed[2,])


def test_want_of_memory_makes_calls_smaller(gen, calls, monkeypatch):
    step = DPMSolverMultistepScheduler.step

    def crowded(self, model_output, *args, **kwargs):
        if len(model_output) > 1:
            torch.empty(2**50, dtype=torch.uint8)
        return step(self, model_output, *args, **kwargs)

    monkeypatch.setattr(DPMSolverMultistepScheduler, "step", crowded)
    assert len(gen.grid("a red star", seed=range(4))) == 4
    assert max(calls) > 1


def test_an_image_that_is_cancelled_leaves_the_others_of_its_call(calls):
    engine, events, unwanted = LocalEngine("shapes", device="cpu"), [], set()
    recipes = [
        Recipe(**engine.defaults() | SMALL | {"prompt": "a", "seed": seed, "num_inference_steps": 5})
        for seed in range(4)
    ]  # fmt: skip

    def listen(event):
        events.append(event)
        if isinstance(event, Stepped) and event.step == 2:
            unwanted.add(recipes[1].key)

    engine.run(recipes, listen, lambda recipe: recipe.key in unwanted)
    assert max(calls) > 1
    finished = {event.recipe.seed for event in events if isinstance(event, Finished)}
    assert finished == {0, 2, 3}
    assert max(e.step for e in events if isinstance(e, Stepped) and e.recipe == recipes[1]) <= 2
