"""What makes a model faster is tried, used and remembered, and moves no pixel that can be seen."""

from __future__ import annotations

import threading

import adapting
import numpy as np
import pytest

import nbtool
from nbtool.engines.local import tuning
from nbtool.engines.local.worker import worker

PROMPT = "a large red circle on a blue background"
SMALL = {"width": 64, "height": 64, "num_inference_steps": 2}


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    nbtool.unload()
    yield
    nbtool.unload()


@pytest.fixture
def generator(tmp_path):
    def make(folder):
        return nbtool.Generator(store=tmp_path / folder, device="cpu", **SMALL)

    return make


def difference(a, b):
    return max(
        np.abs(np.asarray(x.image, int) - np.asarray(y.image, int)).max()
        for x, y in zip(a, b, strict=True)
    )


def test_ways_are_tried_and_the_fastest_is_chosen(generator):
    gen = generator("images")
    found = gen.tune(compiling=False)
    assert [trial.name for trial in found.trials] == ["as it is", "fused"]
    assert found.trials[0].gain == 1
    gains = {trial.name: trial.gain for trial in found.trials}
    assert found.chosen == ("fused" if gains["fused"] >= tuning.GAIN else "as it is")
    assert "remembered for this machine" in str(found)
    made = gen(PROMPT, seed=1).provenance.placement
    assert made == ("" if found.chosen == "as it is" else tuning.WORDS["fused"])


def test_what_is_remembered_is_used_and_moves_no_pixel_that_can_be_seen(generator):
    before = generator("before")
    plain = before.grid(PROMPT, seed=range(3))
    placement = before.engine.placement
    tuning.remember(placement._tuning_key(placement.plan), "fused")
    nbtool.unload()
    after = generator("after")
    grid = after.grid(PROMPT, seed=range(3))
    assert difference(plain, grid) <= 1
    assert grid[0].provenance.placement == tuning.WORDS["fused"]
    pipeline = after.engine.placement.load(str).pipeline
    assert any(getattr(part, "fused_projections", False) for part in pipeline.unet.modules())


def test_loras_go_with_no_tuning_and_leave_the_model_tuned(generator, embedded, tmp_path):
    parts = {"unet": adapting.matrices(embedded.unet, adapting.ATTENTION, scale=0.3)}
    ink = adapting.save(tmp_path / "ink.safetensors", parts)
    before = generator("before")
    plain = before.grid(PROMPT, seed=range(2), loras={ink: 0.8})
    placement = before.engine.placement
    tuning.remember(placement._tuning_key(placement.plan), "fused")
    nbtool.unload()
    after = generator("after")
    assert after(PROMPT, seed=5).provenance.placement == tuning.WORDS["fused"]
    made = after.grid(PROMPT, seed=range(2), loras={ink: 0.8})
    assert difference(plain, made) <= 1
    assert made[0].provenance.placement == ""
    assert after(PROMPT, seed=6).provenance.placement == tuning.WORDS["fused"]


def test_what_does_not_work_here_is_said_and_leaves_the_network_as_it_was(generator, embedded):
    def refuse(*_, **__):
        raise RuntimeError("no compiler\nat all")

    type(embedded.unet).compile, whole = refuse, type(embedded.unet).compile
    try:
        trials, failed = tuning.try_switches(
            embedded, embedded.unet, ["compiled"], 2, {"width": 64, "height": 64}
        )
    finally:
        type(embedded.unet).compile = whole
    assert [trial.name for trial in trials] == ["as it is"]
    assert failed == {"compiled": "no compiler"}


def test_a_compiled_network_is_asked_at_one_width(generator, embedded):
    plain = generator("plain").grid(PROMPT, seed=range(5), guidance_scale=[1, 4])
    embedded.unet.compile(backend="eager")
    worker.forget(embedded)  # the width that was best before
    widths = set()
    handle = embedded.unet.register_forward_pre_hook(
        lambda module, args, kwargs: widths.add(len(args[0])), with_kwargs=True
    )
    try:
        grid = generator("compiled").grid(PROMPT, seed=range(5), guidance_scale=[1, 4])
    finally:
        handle.remove()
        tuning.unswitch(embedded.unet, "compiled")
    assert widths == {16}
    assert difference(plain, grid) <= 1


def test_a_damaged_memory_is_as_good_as_none(tmp_path):
    file = tmp_path / "cache" / "nbtool" / "tuning.json"
    file.parent.mkdir(parents=True)
    for content in ("{", "[1]", '{"key": "gone"}'):
        file.write_text(content)
        assert tuning.remembered("key") == "as it is"
    tuning.remember("key", "fused")
    assert tuning.remembered("key") == "fused"


def test_images_in_the_making_are_finished_before_the_denoiser_is_switched(
    generator, held, monkeypatch
):
    """Those that wait are made the new way, and say so."""
    switch, seen = tuning.switch, []

    def look(denoiser, name):
        seen.append(len(worker.forwards.makings))
        switch(denoiser, name)

    monkeypatch.setattr(tuning, "switch", look)
    gen = generator("images")
    monkeypatch.setattr(tuning, "GAIN", 0)  # the fastest is chosen, whichever it is
    job = gen.submit(PROMPT, seed=range(1, 200), num_inference_steps=5)
    next(iter(job))
    seen.clear()
    tuned = []
    thread = threading.Thread(target=lambda: tuned.append(gen.tune(compiling=False)))
    thread.start()
    with worker._changed:
        worker._changed.wait_for(lambda: worker._calls)
    held.set()
    thread.join()
    assert len(job.wait()) == 199
    assert set(seen) == {0}
    made = {image.provenance.placement for image in job.grid}
    assert made <= {"", tuning.WORDS[tuned[0].chosen]}
