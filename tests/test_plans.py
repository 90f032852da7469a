"""Which machines run which models, and how. Pure: nothing of this machine is asked."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace

import diffusers
import pytest
from huggingface_hub import constants
from machines import MACHINES, gpu, machine

import nbtool
from nbtool.catalogue import families
from nbtool.catalogue.known import KNOWN
from nbtool.fitting.plans import best_plan, memory_plans
from nbtool.fitting.roster import choose_model, models
from nbtool.schedulers import canonical


def plan(model, name, **options):
    return best_plan(memory_plans(KNOWN[model][1], MACHINES[name], **options))


# Model, machine, and what is expected of the plan: device, dtype, offload, or a reason against it.
EXPECTED = [
    ("sd-v1-5", "8 GB laptop", ("cpu", "bfloat16", "none")),
    ("sdxl", "8 GB laptop", "can be used"),
    ("sd-v1-5", "GTX 1650", ("cuda", "float32", "group")),
    ("sdxl", "GTX 1650", ("cpu", "bfloat16", "none")),
    ("sd-v1-5", "RTX 2060", ("cuda", "float16", "none")),
    ("sdxl", "RTX 2060", ("cuda", "float16", "group")),
    ("sd-v1-5", "T4", ("cuda", "float16", "none")),
    ("sdxl", "T4", ("cuda", "float16", "none")),
    ("flux1-dev", "T4", "of the computer's memory"),
    ("sdxl", "RTX 3060", ("cuda", "bfloat16", "none")),
    ("sd3.5-medium", "RTX 3060", ("cuda", "bfloat16", "model")),
    ("flux1-schnell", "RTX 3060", ("cuda", "bfloat16", "group")),
    ("flux2-klein", "RTX 4090", ("cuda", "bfloat16", "none")),
    ("z-image-turbo", "RTX 4090", ("cuda", "bfloat16", "model")),
    ("flux1-dev", "RTX 4090", ("cuda", "bfloat16", "group")),
    ("flux1-dev", "A100", ("cuda", "bfloat16", "none")),
    ("qwen-image", "A100", ("cuda", "bfloat16", "none")),
    ("qwen-image", "H200", ("cuda", "bfloat16", "none")),
    ("sd-v1-5", "M2", ("mps", "float32", "none")),
    ("sdxl", "M2", ("mps", "float16", "none")),
    ("sdxl", "RX 7900 XTX", ("cuda", "bfloat16", "none")),
    ("sdxl", "RX 6800", ("cuda", "float16", "none")),
    ("sdxl", "Arc A770", ("xpu", "bfloat16", "none")),
    ("sdxl", "A100, nearly full", ("cuda", "bfloat16", "group")),
]


@pytest.mark.parametrize(("model", "name", "expected"), EXPECTED)
def test_models_are_placed_as_the_machine_allows(model, name, expected):
    found = plan(model, name)
    if isinstance(expected, str):
        assert not found.fits
        assert expected in found.reasons[-1]
        assert found.summary.startswith("no: ")
    else:
        assert (found.device, found.dtype, found.offload) == expected
        assert found.fits
        assert found.peak_gib < found.free_gib
        assert found.summary.startswith("yes")
    assert json.dumps(found.to_dict())


def test_more_pixels_and_wider_numbers_need_more_and_offloading_needs_less():
    def least(width=1024, **wanted):
        plans = memory_plans(KNOWN["sdxl"][1], MACHINES["A100"], width=width, **wanted)
        return {(p.device, p.offload, p.tiling): p.least_gib for p in plans}

    usual = least()
    place = "cuda", "none", False
    assert least(width=2048)[place] > usual[place]
    assert least(dtype="float32")[place] > usual[place]
    assert least(quantization="4bit")[place] < least(quantization="8bit")[place] < usual[place]
    assert usual["cuda", "none", True] <= usual[place]
    by_offload = [usual["cuda", way, True] for way in ("none", "model", "group", "sequential")]
    assert by_offload == sorted(by_offload, reverse=True)


def test_what_is_asked_for_is_what_is_planned():
    chosen = plan("sdxl", "RTX 4090", device="cuda", dtype="float16")
    assert (chosen.dtype, chosen.vae_dtype) == ("float16", "float32")
    assert any("The VAE is in float32" in reason for reason in chosen.reasons)
    assert plan("sdxl", "RTX 4090", device="cpu").device == "cpu"
    assert plan("sdxl", "M2").attention == "sliced"
    assert plan("sdxl", "RTX 4090").attention == "sdpa"
    assert "need an NVIDIA card" in plan("sdxl", "8 GB laptop", quantization="4bit").summary
    assert not memory_plans(KNOWN["sdxl"][1], MACHINES["8 GB laptop"], device="cuda")


def test_the_freest_card_is_taken():
    full = gpu("cuda", "NVIDIA A100", 80, "8.0", free_gib=2.0)
    other = gpu("cuda", "NVIDIA GeForce RTX 3060", 12, "8.6", device="cuda:1", free_gib=11.0)
    plans = memory_plans(KNOWN["sd-v1-5"][1], machine(full, other))
    assert best_plan(plans).device == "cuda:1"
    assert "78.0 GiB are taken by other programs" in str(
        best_plan(memory_plans(KNOWN["sd-v1-5"][1], machine(full)))
    )


def test_the_table_of_models_says_how_or_why_not(no_downloads):
    table = models(MACHINES["RTX 3060"])
    assert [entry.name for entry in table] == list(KNOWN)
    assert "sdxl" in str(table)
    page = table._repr_html_()
    assert "Stable Diffusion XL 1.0: solid all-rounder" in page
    records = {record["name"]: record for record in table.records()}
    assert json.dumps(table.records())
    assert records["sd-v1-5"]["runs"]
    assert records["shapes"]["here"]
    assert not records["sdxl"]["here"]
    assert records["qwen-image"]["runs"]
    assert not records["qwen-image"]["runs_now"]
    assert "no: its weights take" in str(models(MACHINES["T4"]))


SLOWLY = "yes, very slowly, on cpu in float32"
BUSY_CARD = gpu("cuda", "NVIDIA GeForce RTX 4090", 24.0, "8.9", free_gib=0.4)
BUSY_OF_TWO = (
    gpu("cuda", "NVIDIA A100", 79.2, "8.0", free_gib=1.0),
    gpu("cuda", "NVIDIA GeForce RTX 3060", 12.0, "8.6", device="cuda:1", free_gib=11.5),
)


# A machine at a moment, whether sdxl runs on it, whether it does so now, and the words.
@pytest.mark.parametrize(
    ("here", "expected"),
    [
        (machine(memory_gib=24, free=0.95), (True, True, SLOWLY)),
        (machine(memory_gib=24, free=0.5),
         (True, True, f"{SLOWLY}; at the moment very slowly, on cpu in bfloat16")),
        (machine(memory_gib=24, free=0.2),
         (True, False, "yes, once memory is free: 2.9 GiB more needed now")),
        (machine(memory_gib=4, free=0.7),
         (False, False, "no: it needs 6.8 GiB on cpu, and 2.9 can be used")),
        (machine(BUSY_CARD, memory_gib=64),
         (True, True, f"yes, on cuda in bfloat16; at the moment {SLOWLY.removeprefix('yes, ')}")),
        (machine(BUSY_CARD, memory_gib=64, free=0.05),
         (True, False, "yes, once memory is free: 4.0 GiB more needed now")),
        (machine(*BUSY_OF_TWO, memory_gib=64),
         (True, True, "yes, on cuda in bfloat16; at the moment on cuda:1 in bfloat16")),
    ],
)  # fmt: skip
def test_what_a_machine_can_do_is_told_from_what_it_can_do_now(here, expected, no_downloads):
    entry = next(entry for entry in models(here) if entry.name == "sdxl")
    assert (entry.runs, entry.runs_now, entry.summary) == expected
    assert entry.summary in str(models(here))


@pytest.mark.parametrize("free", [0.0, 0.3])
@pytest.mark.parametrize("name", MACHINES)
def test_whether_a_model_runs_on_a_machine_does_not_depend_on_the_moment(name, free, no_downloads):
    idle = MACHINES[name]
    gpus = tuple(replace(gpu, free_gib=free * gpu.memory_gib) for gpu in idle.gpus)
    busy = replace(idle, gpus=gpus, free_memory_gib=free * idle.memory_gib)
    for entry, then in zip(models(idle), models(busy), strict=True):
        assert (entry.runs, entry.cells()[5:]) == (then.runs, then.cells()[5:])


def test_a_plan_is_about_what_is_free_now_and_says_what_is_missing():
    sdxl = KNOWN["sdxl"][1]
    busy = machine(memory_gib=24, free=0.2)
    found = best_plan(memory_plans(sdxl, busy))
    assert not found.fits
    assert found.short_gib == 2.9
    assert found.rows()["Runs now"] == found.summary
    assert found.reasons[-1].endswith("can be used now")
    enough = replace(busy, free_memory_gib=busy.free_memory_gib + found.short_gib)
    assert best_plan(memory_plans(sdxl, enough)).fits
    assert best_plan(memory_plans(sdxl, machine(memory_gib=4))).short_gib == 0


def test_auto_takes_what_runs_now(no_downloads):
    at_night, by_day = (machine(memory_gib=24, cores=64, free=free) for free in (0.9, 0.2))
    assert choose_model(at_night)[0] != choose_model(by_day)[0]
    chosen = next(entry for entry in models(by_day) if entry.name == choose_model(by_day)[0])
    assert chosen.runs_now


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("8 GB laptop", "sd-turbo"),
        ("T4", "sdxl-lightning"),
        ("RTX 4090", "z-image-turbo"),
        ("H200", "qwen-image"),
    ],
)
def test_auto_takes_the_best_that_runs_well_and_says_why(name, chosen, no_downloads):
    model, reason = choose_model(MACHINES[name])
    assert model == chosen
    assert "takes" in reason


def test_auto_downloads_nothing_where_it_cannot(no_downloads, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert choose_model(MACHINES["RTX 4090"])[0] == "shapes"


@pytest.fixture
def no_downloads(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))


def test_what_is_known_of_pipelines_is_what_diffusers_says():
    for name, known in families.FAMILIES.items():
        call = inspect.signature(getattr(diffusers, name).__call__).parameters
        unused = {"negative_prompt"} if name in ("FluxPipeline", "FluxKontextPipeline") else set()
        takes = known.takes | unused
        assert {each for each in families.TABLED if each in call} == takes, name
        assert known.guidance in call
    for _, facts in KNOWN.values():
        assert facts.pipeline in families.FAMILIES
        assert facts.side % families.family(facts.pipeline).multiple == 0
        assert canonical(facts.scheduler) == facts.scheduler


def test_a_pipeline_that_is_not_known_is_asked():
    found = families.family("PixArtSigmaPipeline")
    assert found.num_inference_steps == 20
    assert "negative_prompt" in found.takes
    with pytest.raises(nbtool.ModelError, match="has no NoSuchPipeline; a newer one may"):
        families.family("NoSuchPipeline")
