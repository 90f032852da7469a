"""What goes wrong while images are made, and what is left of them."""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np
import pytest
import tiny
import torch
from together import Together, one, with_scheduler

import nbtool
from nbtool.engines.base import Failed, Finished, Loading, Started, Stepped
from nbtool.engines.local import LocalEngine, forwards
from nbtool.engines.local.worker import worker
from nbtool.recipes.recipe import Recipe

PROMPT = "a large red circle on a blue background"
SMALL = {"width": 64, "height": 64}


@pytest.fixture
def gen(tmp_path, monkeypatch, learned):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    nbtool.unload()  # what other tests found out about widths
    return nbtool.Generator(store=tmp_path / "images", device="cpu", num_inference_steps=2, **SMALL)


@pytest.fixture(autouse=True)
def quick_collection():
    """What is there before a test need not be looked through at each want of memory."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@contextmanager
def hooked(module, before=None, after=None):
    """A network with a hook on its real forward."""
    handles = []
    if before:
        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
    if after:
        handles.append(module.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run_out_of_memory():
    torch.empty(2**50, dtype=torch.uint8)  # a petabyte: torch's own error


def refusing(refused, samples=None):
    """A hook that runs out of memory for the samples of which `refused` is true.

    It adds references to them to the list `samples`.
    """

    def hook(module, args, kwargs):
        if refused(args[0]):
            if samples is not None:
                samples.append(weakref.ref(args[0]))
            run_out_of_memory()

    return hook


def test_fault_01_out_of_memory_narrows_the_batch_and_loses_nothing(gen, embedded):
    whole = gen.grid(PROMPT, seed=range(6), guidance_scale=[1, 4])
    elsewhere = nbtool.Generator(store=gen.store.path.parent / "narrow", **gen.defaults)
    with hooked(embedded.unet, refusing(lambda sample: len(sample) > 3)):
        narrow = elsewhere.grid(PROMPT, seed=range(6), guidance_scale=[1, 4])
    assert not narrow.failed
    assert max(image.provenance.batch_width for image in whole) > 3
    assert max(image.provenance.batch_width for image in narrow) <= 3
    for a, b in zip(whole, narrow, strict=True):
        difference = np.asarray(a.image, int) - np.asarray(b.image, int)
        assert np.abs(difference).max() <= 1


@pytest.mark.parametrize("network", ["unet", "decoder"])
def test_fault_01_02_what_does_not_fit_alone_fails_alone(gen, embedded, network):
    module = embedded.unet if network == "unet" else embedded.vae.decoder
    sizes = nbtool.paired(width=[64, 128], height=[64, 128])
    refused = []
    with hooked(module, refusing(lambda sample: sample.shape[-1] > 8, refused)):
        grid = gen.grid(PROMPT, sizes, seed=range(4))
    assert len(grid) == 4
    assert set(grid.failed) == {((128, 128), seed) for seed in range(4)}
    assert "not enough memory" in str(grid.failed[(128, 128), 0])
    del grid
    gc.collect()
    assert refused  # a traceback that was kept would hold the tensors of its frames
    assert [sample for sample in refused if sample() is not None] == []
    assert len(gen.grid(PROMPT, seed=range(4), width=128, height=128)) == 4


def test_a_grid_leaves_no_tensors_behind_whether_it_fails_or_not(gen, embedded):
    sizes, left = nbtool.paired(width=[64, 128], height=[64, 128]), []
    for seed in range(4):
        refuse = refusing(lambda sample, odd=seed % 2: odd and sample.shape[-1] > 8)
        with hooked(embedded.vae.decoder, refuse):
            grid = gen.grid(PROMPT, sizes, seed=[seed, seed + 10])
        assert len(grid) == (2 if seed % 2 else 4)
        del grid
        left.append(tensors())
    assert left[1:] == left[:1] * 3


def tensors():
    """How many there are at rest, without the answers that are remembered up to a limit."""

    def counted():
        worker.forwards._answers.clear()
        gc.collect()
        return sum(isinstance(one, torch.Tensor) for one in gc.get_objects())

    return worker.call(counted, alone=True)


def test_fault_01_out_of_memory_outside_the_networks_makes_room(gen, monkeypatch):
    from diffusers import DPMSolverMultistepScheduler

    step, crowd = DPMSolverMultistepScheduler.step, []

    def crowded(self, *args, **kwargs):
        crowd.append(len(worker.forwards.makings))
        if crowd[-1] > 2:
            run_out_of_memory()
        return step(self, *args, **kwargs)

    monkeypatch.setattr(DPMSolverMultistepScheduler, "step", crowded)
    grid = gen.grid(PROMPT, seed=1, guidance_scale=[2, 3, 4, 5, 6, 7], num_inference_steps=6)
    assert len(grid) == 6
    assert max(crowd) > 2


def test_fault_03_a_broken_device_stops_the_run_without_another_try(gen, embedded):
    tries = []

    def broken(module, args, kwargs):
        tries.append(1)
        raise RuntimeError("CUDA error: device-side assert triggered\nCompile with TORCH_USE…")

    with hooked(embedded.unet, broken), pytest.raises(nbtool.GenerationError, match="restart the"):
        gen.grid(PROMPT, seed=range(4))
    assert len(tries) == 1


def test_fault_04_nan_and_black_are_failures_with_a_cause(gen, embedded):
    grid = gen.grid(PROMPT, seed=range(2), guidance_scale=[3, 1e38])
    assert set(grid.failed) == {(0, 1e38), (1, 1e38)}
    assert "NaN" in str(grid.failed[0, 1e38])
    assert len(gen.store) == 2
    with hooked(embedded.vae.decoder, after=lambda module, args, out: torch.full_like(out, -3)):
        black = gen.submit(PROMPT, seed=9).wait()
    assert "entirely black" in str(black.failed[()])
    assert len(gen.store) == 2


def test_fault_05_what_the_safety_checker_blanks_is_labelled(gen, tmp_path):
    tiny.with_safety_checker(tmp_path / "model", unsafe=True)
    strict = nbtool.Generator(str(tmp_path / "model"), store=gen.store, device="cpu", **SMALL)
    grid = strict.submit("a", seed=range(2), num_inference_steps=2).wait()
    assert not len(grid)
    assert str(grid.failed[0,]).startswith("filtered: ")
    tiny.with_safety_checker(tmp_path / "lenient", unsafe=False)
    lenient = nbtool.Generator(str(tmp_path / "lenient"), store=gen.store, device="cpu", **SMALL)
    assert len(lenient.submit("a", seed=range(2), num_inference_steps=2).wait()) == 2


def test_an_error_in_a_shared_forward_falls_on_its_own_cell(gen, embedded):
    def picky(module, args, kwargs):
        if args[0].abs().max() > 100:
            raise ValueError("these latents are too large")

    with hooked(embedded.unet, picky):
        grid = gen.grid(PROMPT, seed=range(3), guidance_scale=[2, 1e4, 4])
    assert set(grid.failed) == {(seed, 1e4) for seed in range(3)}
    assert "ValueError: these latents are too large" in str(grid.failed[0, 1e4])


@pytest.mark.skipif(find_spec("torchsde") is not None, reason="it could")
class Boom(BaseException):
    pass


@pytest.mark.parametrize("error", [RuntimeError, Boom])
@pytest.mark.parametrize("place", ["start", "_resume", "_Thread"])
def test_an_image_that_cannot_be_begun_ends_its_run_alone(gen, monkeypatch, place, error):
    home = forwards if place == "_Thread" else forwards.Forwards

    def fail(*_, **__):
        monkeypatch.undo()
        raise error("at the beginning")

    monkeypatch.setattr(home, place, fail)
    with pytest.raises(nbtool.GenerationError, match="at the beginning"):
        gen.submit(PROMPT, seed=[1, 2]).wait()
    assert len(gen.submit(PROMPT, seed=[1, 2]).wait()) == 2


def test_a_scheduler_that_cannot_fails_its_own_cells_with_its_own_words(gen):
    grid = gen.grid(PROMPT, seed=range(2), scheduler=["ddim", "DPMSolverSDEScheduler"])
    assert {scheduler for _, scheduler in grid.failed} == {"DPMSolverSDEScheduler"}
    assert len(grid.failed) == len(grid) == 2
    assert "needs a package more" in str(grid.failed[0, "DPMSolverSDEScheduler"])


@pytest.mark.parametrize("tick", [1, 2, 3, 4])
def test_fault_06_an_interrupt_at_any_tick_leaves_the_pipeline_usable(embedded, tick):
    calls = [
        (with_scheduler(embedded, "unipc"),
         {"prompt": PROMPT, "num_inference_steps": 4, "seed": seed, **SMALL})
        for seed in range(3)
    ]  # fmt: skip
    before = [dict(thing.__dict__) for thing in (embedded, embedded.unet, embedded.vae)]
    ticks = []

    def interrupt(forwards):
        ticks.append(1)
        if len(ticks) == tick:
            raise KeyboardInterrupt

    interrupted = Together()
    with pytest.raises(KeyboardInterrupt):
        interrupted.outcomes(calls, each_tick=interrupt)
    del interrupted
    assert [thing.__dict__ for thing in (embedded, embedded.unet, embedded.vae)] == before
    assert torch.is_grad_enabled()
    image = one(with_scheduler(embedded, "unipc"), calls[0][1])
    assert np.abs(Together().images(calls[:1])[0] - image).max() < 1e-4


class Listener:
    """Collects an engine's events; `gate` holds up the writing of finished images."""

    def __init__(self):
        self.events = []
        self.gate = threading.Event()
        self.changed = threading.Condition()

    def __call__(self, event):
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()
        if isinstance(event, Finished):
            self.gate.wait()

    def wait_for(self, condition):
        with self.changed:
            self.changed.wait_for(lambda: condition(self.events))


def recipes(engine, count, **parameters):
    given = {**engine.defaults(), "prompt": PROMPT, "num_inference_steps": 8, **SMALL}
    return [Recipe(**{**given, **parameters, "seed": seed}) for seed in range(count)]


def run(engine, listener, recipes):
    thread = threading.Thread(target=engine.run, args=(recipes, listener, lambda recipe: False))
    thread.start()
    return thread


def test_forwards_are_full_to_the_end(tmp_path, embedded, monkeypatch, learned):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    monkeypatch.setattr("nbtool.engines.local.forwards.BRISK", float("inf"))  # whatever the machine
    forwards = []
    gen = nbtool.Generator(store=tmp_path / "images", device="cpu", exact=True, **SMALL)
    with hooked(embedded.unet, before=lambda *_: forwards.append(1)):
        gen.grid(PROMPT, seed=range(6), guidance_scale=3, num_inference_steps=6)
    # 6 steps of 12 rows, at 8 in a forward; the first begins before it is known that it is short.
    assert len(forwards) <= 1 + 6 * 12 / 8


def test_steps_go_on_while_images_are_being_written():
    from nbtool.engines.local.worker import WRITERS

    engine, listener = LocalEngine("shapes", device="cpu"), Listener()
    thread = run(engine, listener, recipes(engine, 12, num_inference_steps=1) + recipes(engine, 2))
    listener.wait_for(
        lambda events: (
            any(isinstance(e, Stepped) and e.step == 8 for e in events)
            and not any(isinstance(e, Failed) for e in events)
        )
    )
    assert sum(isinstance(event, Finished) for event in listener.events) <= WRITERS
    listener.gate.set()
    thread.join()
    assert sum(isinstance(event, Finished) for event in listener.events) == 14


def test_images_waiting_to_be_written_are_few():
    from nbtool.engines.local.worker import BACKLOG, WRITERS, worker

    engine, listener = LocalEngine("shapes", device="cpu"), Listener()
    thread = run(engine, listener, recipes(engine, 200, num_inference_steps=1))
    listener.wait_for(lambda events: sum(isinstance(e, Finished) for e in events) == WRITERS)
    full = threading.Event()
    while not full.wait(0.01) and worker._unwritten.qsize() < BACKLOG:
        pass
    begun = sum(isinstance(event, Started) for event in listener.events)
    assert begun < 200
    listener.gate.set()
    thread.join()
    assert sum(isinstance(event, Finished) for event in listener.events) == 200


def test_previews_look_like_what_becomes_of_them():
    engine, listener = LocalEngine("shapes", device="cpu"), Listener()
    listener.gate.set()
    engine.run(recipes(engine, 3, num_inference_steps=9, width=128, height=128),
               listener, lambda recipe: False)  # fmt: skip
    finished = {e.recipe.key: e.image for e in listener.events if isinstance(e, Finished)}
    previews = [e for e in listener.events if isinstance(e, Stepped) and e.preview]
    assert [sum(e.recipe.key == key for e in previews) for key in finished] == [2, 2, 2]
    assert {e.step for e in previews} == {2, 6}
    for event in previews:
        preview = event.preview()
        assert preview.size == (16, 16)
        small = finished[event.recipe.key].resize((16, 16))
        alike = np.corrcoef(np.asarray(small).ravel(), np.asarray(preview).ravel())
        assert alike[0, 1] > 0.6
    # In order, and none after the image.
    for key in finished:
        mine = [e for e in listener.events if not isinstance(e, Loading) and e.recipe.key == key]
        assert isinstance(mine[0], Started)
        assert [e.step for e in mine[1:-1]] == list(range(1, 10))
        assert isinstance(mine[-1], Finished)
