"""How models are put into memory, share it, and leave it. Only the probe's answer is replaced."""

from __future__ import annotations

import dataclasses
import gc
import re
import shutil
import threading
import weakref
from importlib.util import find_spec

import adapting
import numpy as np
import pytest
import tiny
import torch
from together import one

import nbtool
from nbtool.catalogue import loras
from nbtool.engines.local import LocalEngine, loading, placing
from nbtool.engines.local.cache import Loaded, size
from nbtool.engines.local.rack import Rack
from nbtool.fitting.plans import OFFLOADS
from nbtool.job.work import Work
from nbtool.machine import probe
from nbtool.machine.hardware import GIB
from nbtool.recipes.loras import Lora

PROMPT = "a large red circle on a blue background"
SMALL = {"width": 64, "height": 64, "num_inference_steps": 2}


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    nbtool.unload()
    yield
    nbtool.unload()


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Three tiny models of equal size that have no weights in common."""
    folder = tmp_path_factory.mktemp("models")
    for number, name in enumerate("abc"):
        pipeline = tiny.stable_diffusion()
        for part in loading.networks(pipeline).values():
            for weight in part.parameters():
                weight.data.add_(1e-3 * number)
        pipeline.save_pretrained(folder / name)
    return {name: str(folder / name) for name in "abc"}


@pytest.fixture
def room(monkeypatch):
    """Sets how many GiB this machine has free, less what nbtool's models take of them."""

    def set_room(gib):
        real = probe.hardware()

        def hardware():
            free = gib - placing.cache.bytes("cpu") / GIB
            return dataclasses.replace(real, free_memory_gib=free, gpus=())

        monkeypatch.setattr(placing, "hardware", hardware)

    return set_room


def placed(model, **options):
    return LocalEngine(model, device="cpu", **options).placement


def test_the_model_that_was_not_used_for_longest_makes_room(folders, room, monkeypatch):
    monkeypatch.setattr("nbtool.fitting.plans.HOST_SPARE", 1)
    a, b, c = (placed(folders[name]) for name in "abc")
    weights = sum(map(size, loading.networks(a.load(str).pipeline).values()))
    room(a.plan.least_gib + 1.5 * weights / GIB)
    b.load(str)
    a.load(str)  # used again
    c.load(str)
    assert (a.is_loaded, b.is_loaded, c.is_loaded) == (True, False, True)
    nbtool.unload()
    assert not a.is_loaded
    assert placing.cache.bytes("cpu") == 0


def test_a_model_that_does_not_fit_is_refused_with_the_figures(folders, room):
    room(0.001)
    with pytest.raises(
        nbtool.ModelError, match=r"does not run now: it needs .* can be used"
    ) as caught:
        placed(folders["a"]).load(str)
    assert caught.value.in_shell.endswith("; nbtool models shows what does")


def test_a_device_that_is_not_there_is_refused(folders):
    for device in ("cuda:7", "xpu"):
        with pytest.raises(nbtool.RecipeError, match=f"no device '{device}' here, only .*cpu"):
            LocalEngine(folders["a"], device=device).plans()


def test_quantization_needs_a_known_name_and_its_package(folders):
    with pytest.raises(nbtool.RecipeError, match="quantization must be one of 8bit, 4bit"):
        LocalEngine(folders["a"], quantization="2bit")
    if find_spec("bitsandbytes") is None:
        with pytest.raises(nbtool.RecipeError, match="pip install bitsandbytes"):
            LocalEngine(folders["a"], quantization="4bit")


def test_a_component_of_another_variant_is_quantised_too(tmp_path, monkeypatch):
    pipeline = tiny.stable_diffusion()
    for part, variant in (("unet", "bf16"), ("vae", "fp16"), ("text_encoder", "bf16")):
        getattr(pipeline, part).save_pretrained(tmp_path / part, variant=variant)
    pipeline.tokenizer.save_pretrained(tmp_path / "tokenizer")
    pipeline.scheduler.save_pretrained(tmp_path / "scheduler")
    pipeline.save_config(tmp_path)
    asked = {}
    for kind in (type(pipeline.unet), type(pipeline.text_encoder)):
        whole = kind.from_pretrained

        def read(*args, quantization_config, whole=whole, kind=kind, **options):
            asked[kind] = quantization_config.load_in_8bit
            return whole(*args, **options)  # without that library

        monkeypatch.setattr(kind, "from_pretrained", read)
    placement = placed(tmp_path)
    loading.load(placement.model, dataclasses.replace(placement.plan, quantization="8bit"))
    assert asked == {type(pipeline.unet): True, type(pipeline.text_encoder): True}


def test_loading_says_which_component_and_which_of_its_files_is_read(tmp_path):
    tiny.stable_diffusion().save_pretrained(tmp_path, max_shard_size="100KB")
    said = []
    placed(tmp_path).load(said.append)
    start = said[0]
    assert re.fullmatch(r"loading .*, \d.* of weights", start)
    assert all(text.startswith(start) for text in said)
    assert next(text for text in said if ": unet, " in text).endswith(" of 5")
    assert any(re.search(r": unet, \d of 5: file 2 of \d+$", text) for text in said)


def test_out_of_memory_while_loading_takes_the_next_way_and_says_so(folders, monkeypatch):
    placement = placed(folders["a"])
    whole, said = loading.load, []

    def load(model, plan, *more):
        if plan.dtype == "float32":
            raise MemoryError
        return whole(model, plan, *more)

    monkeypatch.setattr("nbtool.engines.local.cache.load", load)
    assert placement.load(said.append).pipeline.unet.dtype == torch.bfloat16
    assert "did not fit (yes, on cpu in float32); trying with less memory" in said[1]


def test_out_of_memory_at_a_large_picture_decodes_in_tiles_and_says_so(
    tmp_path, embedded, monkeypatch
):
    gen = nbtool.Generator(store=tmp_path / "images", device="cpu", num_inference_steps=1)
    gen.engine.placement.load(str)

    def refuse(module, args, kwargs=None):
        if args[0].shape[-1] > 64:
            torch.empty(2**50, dtype=torch.uint8)

    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, args: refuse(module, args) if type(module).__name__ == "Decoder" else None
    )
    handle_event, said = Work._handle, []

    def handle_and_note(work, event):
        said.append(getattr(event, "what", ""))
        handle_event(work, event)

    monkeypatch.setattr(Work, "_handle", handle_and_note)
    try:
        job = gen.submit(PROMPT, seed=1, width=640, height=640)
        job.join()
    finally:
        handle.remove()
    assert not job.grid.failed
    assert gen.engine.placement.plan.tiling
    assert any("ran out of memory; trying again" in text for text in said)


@pytest.mark.parametrize("offload", OFFLOADS)
def test_offloaded_models_make_the_same_pictures(offload, together):
    pipeline, plain = tiny.stable_diffusion(), tiny.stable_diffusion()
    plan = placed("shapes").plan
    loading.place(pipeline, dataclasses.replace(plan, offload=offload))
    kwargs = [{"prompt": text, **SMALL, "seed": seed} for seed, text in enumerate(["a", "b", "c"])]
    images = together.images([(pipeline, each) for each in kwargs])
    for image, each in zip(images, kwargs, strict=True):
        with torch.no_grad():
            assert np.abs(image - one(plain, each)).max() < 1e-4


@pytest.mark.parametrize("offload", [kind for kind in OFFLOADS if kind != "sequential"])
def test_offloaded_models_take_loras_and_are_as_they_were(offload, together, tmp_path):
    pipeline, plain = tiny.stable_diffusion(), tiny.stable_diffusion()
    parts = {"unet": adapting.matrices(plain.unet, adapting.ATTENTION)}
    path = adapting.save(tmp_path / "ink.safetensors", parts)
    loading.place(pipeline, dataclasses.replace(placed("shapes").plan, offload=offload))
    kwargs = [{"prompt": text, **SMALL, "seed": seed} for seed, text in enumerate(["a", "b", "c"])]
    before = together.images([(pipeline, kwargs[0])])[0]
    rack, lora = Rack(pipeline, "tiny", lambda: None), loras.resolve(path, str)
    rack.take([lora], str)
    weights = {rack.adapter(lora): 0.8}
    images = together.images([(pipeline, {**k, "adapters": (weights, weights)}) for k in kwargs])
    plain.load_lora_weights(str(path), adapter_name="ink")
    plain.set_adapters(["ink"], [0.8])
    for image, each in zip(images, kwargs, strict=True):
        with torch.no_grad():
            assert np.abs(image - one(plain, each)).max() < 1e-4
    rack.give_back([lora])
    rack.clear()
    together.forwards.forget(pipeline)
    after = together.images([(pipeline, kwargs[0])])[0]
    assert np.array_equal(before, after)


def test_a_model_that_is_moved_layer_by_layer_takes_no_loras(tmp_path):
    plan = dataclasses.replace(placed("shapes").plan, offload="sequential")
    rack = Loaded(tiny.stable_diffusion(), plan, "").rack("tiny", lambda: None)
    with pytest.raises(nbtool.GenerationError, match=r"layer by layer.*free memory"):
        rack.take([Lora("ink", "0" * 12)], str)


def test_networks_that_take_turns_are_never_on_the_device_together():
    class Part(torch.nn.Linear):
        where = ""

        def to(self, device):
            self.where = str(device)
            return self

    parts = [Part(2, 2) for _ in range(3)]
    loading.take_turns(parts, torch.device("cpu:0"))
    for called in (0, 2, 1):
        parts[called](torch.ones(1, 2))
        assert [part.where == "cpu:0" for part in parts] == [i == called for i in range(3)]


def test_an_unloaded_model_leaves_nothing_behind(folders, tmp_path):
    gen = nbtool.Generator(folders["a"], store=tmp_path / "images", device="cpu")
    gen.grid("a", seed=range(3), **SMALL)
    pipeline = gen.engine.placement.load(str).pipeline
    kept = [weakref.ref(part) for part in loading.networks(pipeline).values()]
    del pipeline
    nbtool.unload()
    gc.collect()
    assert [ref() for ref in kept] == [None] * len(kept)


def test_a_model_in_use_is_not_taken_from_its_run(folders, room, tmp_path, monkeypatch):
    monkeypatch.setattr("nbtool.fitting.plans.HOST_SPARE", 1)
    loads, whole = [], loading.load
    monkeypatch.setattr(
        "nbtool.engines.local.cache.load", lambda *args: loads.append(1) or whole(*args)
    )
    gens = [
        nbtool.Generator(folders[name], store=tmp_path / name, device="cpu", **SMALL)
        for name in "ab"
    ]
    weights = sum(map(size, loading.networks(tiny.stable_diffusion()).values()))
    room(gens[0].memory_plan().least_gib + 0.5 * weights / GIB)
    jobs = [gen.submit("a", seed=range(20)) for gen in gens]
    assert [len(job.wait()) for job in jobs] == [20, 20]
    assert len(loads) == 2


@pytest.fixture
def loads(monkeypatch):
    """The plans by which models were loaded."""
    found, whole = [], loading.load

    def load(model, plan, *more):
        found.append(plan)
        return whole(model, plan, *more)

    monkeypatch.setattr("nbtool.engines.local.cache.load", load)
    return found


def test_a_model_that_is_unloaded_in_a_run_stays_until_the_run_is_over(
    folders, tmp_path, held, loads
):
    gen = nbtool.Generator(folders["a"], store=tmp_path / "images", device="cpu", **SMALL)
    job = gen.submit("a", seed=range(30))
    next(iter(job))
    nbtool.unload()
    more = gen.submit("b", seed=range(3))
    held.set()
    assert (len(job.wait()), len(more.wait())) == (30, 3)
    assert len(loads) == 1
    assert not gen.engine.placement.is_loaded
    assert len(gen.submit("c").wait()) == 1
    assert len(loads) == 2


@pytest.mark.parametrize("freed", ["unloaded", "more free", "a little more free"])
def test_what_did_not_suffice_once_is_tried_again(folders, room, monkeypatch, freed):
    """After `unload`, or when there is clearly more memory than when it failed."""
    placement, whole, refused = placed(folders["a"]), loading.load, [1]

    def load(model, plan, *more):
        if plan.dtype == "float32" and refused:
            raise MemoryError
        return whole(model, plan, *more)

    monkeypatch.setattr("nbtool.engines.local.cache.load", load)
    room(10)
    assert placement.load(str).pipeline.unet.dtype == torch.bfloat16
    refused.clear()
    if freed == "unloaded":
        nbtool.unload()
    else:
        room(20 if freed == "more free" else 11)
        placing.cache.drop_oldest()  # as for a model that needs the room
    again = placement.load(str).pipeline.unet.dtype
    assert again == (torch.bfloat16 if freed == "a little more free" else torch.float32)


def test_a_size_that_did_not_fit_says_nothing_of_others_later(folders, monkeypatch):
    placement = placed(folders["a"])
    loaded = placement.load(str)
    recipe = nbtool.Recipe(width=640, height=640)
    assert placement.take_less_memory(loaded.plan, recipe, str)
    assert placement.load(str).plan.tiling
    nbtool.unload()
    assert not placement.load(str).plan.tiling


def test_reading_a_model_that_nobody_waits_for_is_left(folders, tmp_path, monkeypatch, loads):
    """At the next part of it; what others wait for goes on."""
    reading, go_on, said = threading.Event(), threading.Event(), []

    def handle(work, event):
        handle_event(work, event)
        if (other is None or work is not other._work) and ": " in getattr(event, "what", ""):
            said.append(event.what)
            reading.set()
            go_on.wait()

    handle_event, other = Work._handle, None
    monkeypatch.setattr(Work, "_handle", handle)
    gen = nbtool.Generator(folders["a"], store=tmp_path / "images", device="cpu", **SMALL)
    job = gen.submit("a", seed=range(300))
    assert reading.wait(60)
    job.cancel()
    assert job.done
    other = nbtool.Generator(folders["b"], store=gen.store, device="cpu", **SMALL).submit(
        "b", seed=1
    )
    go_on.set()
    assert len(other.wait()) == 1
    assert len(said) == 1
    assert not gen.engine.placement.is_loaded
    assert len(gen.submit("a", seed=1).wait()) == 1
    assert len(loads) == 3


def test_a_model_without_a_tokenizer_is_refused_in_a_sentence(tmp_path):
    folder = tmp_path / "model"
    tiny.stable_diffusion().save_pretrained(folder)
    shutil.rmtree(folder / "tokenizer")
    with pytest.raises(nbtool.ModelError, match="no files for its tokenizer; get it again"):
        placed(folder).load(str)
