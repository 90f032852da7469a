"""LoRAs in shared forwards are what diffusers makes of each by itself with `set_adapters`."""

from __future__ import annotations

import itertools

import adapting
import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file
from test_exactness import OF_EMBEDDINGS, PIPELINES, SIZES
from together import one, with_scheduler

from nbtool.catalogue import loras
from nbtool.engines.local import adapters
from nbtool.engines.local.rack import Rack
from nbtool.silence import quiet_peft

TOLERANCE = 1e-5
COARSE = {"img2img": 3e-5}  # with no LoRA too, where the picture's encoding is shared
STACKS = [{}, {0: 1.0}, {0: 0.5}, {1: -0.7}, {0: 0.3, 1: 1.2}, {1: 1.0}]
KINDS = [kind for kind in PIPELINES if kind != "controlnet"] + [*OF_EMBEDDINGS]


def pipeline_of(kind):
    pipeline = getattr(tiny, kind)()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def denoiser(pipeline):
    return "unet" if hasattr(pipeline, "unet") else "transformer"


def asked(kind, number):
    steps = {"num_inference_steps": 3, "seed": number % 3}
    if kind in OF_EMBEDDINGS:
        return steps | SIZES[0] | OF_EMBEDDINGS[kind](5, 4)
    return steps | PIPELINES[kind](SIZES[0]) | {"prompt": "a red star", "guidance_scale": 4}


def plain(pipeline, kwargs, stack):
    """One call as diffusers' documentation shows it; the stack in the order of the digests."""
    loaded = sorted(stack, key=lambda pair: pair[0].digest)
    for lora, _ in loaded:
        path = loras.parts_of(lora)[""]
        pipeline.load_lora_weights(str(path), adapter_name=lora.digest)
    if loaded:
        pipeline.set_adapters([lora.digest for lora, _ in loaded], [w for _, w in loaded])
    image = one(pipeline, kwargs)
    pipeline.unload_lora_weights()
    return image


def mixed(kind, pipeline, files, together):
    """The images of all stacks made together, and each by diffusers alone.

    And one in exact mode, made with the others and by itself.
    """
    found = [loras.resolve(path, str) for path in files]
    calls = [
        (asked(kind, number), [(found[which], weight) for which, weight in stack.items()])
        for number, stack in enumerate(itertools.chain(STACKS, STACKS))
    ]
    expected = [plain(with_scheduler(pipeline), kwargs, stack) for kwargs, stack in calls]
    rack = Rack(pipeline, "tiny", lambda: None)
    rack.take(found, str)
    wanted = []
    for kwargs, stack in calls:
        weights = {rack.adapter(lora): weight for lora, weight in stack}
        wanted.append((with_scheduler(pipeline), {**kwargs, "adapters": (weights, weights)}))
    together.learn(wanted[:6])
    images = together.images(wanted)
    again = [together.images(some, exact=True) for some in (wanted, wanted[4:5])]
    rack.give_back(found)
    rack.clear()
    return images, expected, (again[0][4], again[1][0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_mixture_of_loras_equals_plain_calls(kind, together, tmp_path):
    pipeline = pipeline_of(kind)
    own = denoiser(pipeline)
    network = getattr(pipeline, own)
    before = [type(part) for part in network.modules()]
    files = []
    for seed, rank in ((1, 2), (2, 2)):
        parts = {own: adapting.matrices(network, adapting.EVERYWHERE, rank=rank, seed=seed)}
        files.append(adapting.save(tmp_path / f"{seed}.safetensors", parts))
    with quiet_peft():
        images, expected, again = mixed(kind, pipeline, files, together)
    for image, other in zip(images, expected, strict=True):
        assert np.abs(image - other).max() < COARSE.get(kind, TOLERANCE)
    assert np.abs(images[0] - images[1]).max() > 1e-3
    assert np.array_equal(*again)
    assert [type(part) for part in network.modules()] == before
    assert adapters.of(network) is None


@pytest.mark.parametrize("form", ["diffusers", "kohya", "peft"])
@pytest.mark.parametrize("kind", ["stable_diffusion", "stable_diffusion_xl"])
def test_each_form_of_file_is_scaled_as_it_says(form, kind, together, tmp_path):
    """Kohya and PEFT divide by the rank and multiply by an alpha of their own."""
    pipeline = pipeline_of(kind)
    layers = adapting.matrices(pipeline.unet, adapting.ATTENTION, rank=4)
    alpha = None if form == "diffusers" else 2
    path = adapting.save(tmp_path / f"{form}.safetensors", {"unet": layers}, form=form, alpha=alpha)
    lora = loras.resolve(path, str)
    rack = Rack(pipeline, "tiny", lambda: None)
    with quiet_peft():
        rack.take([lora], str)
    weights = {rack.adapter(lora): 0.7}
    call = asked(kind, 1)
    made = together.images([(with_scheduler(pipeline), {**call, "adapters": (weights, weights)})])[
        0
    ]
    rack.give_back([lora])
    rack.clear()
    strength = 0.7 * (0.5 if alpha else 1)
    by_hand = merged(pipeline, layers, strength)
    assert np.abs(made - one(with_scheduler(by_hand), call)).max() < TOLERANCE
    assert np.abs(made - one(with_scheduler(pipeline), call)).max() > 1e-3


def with_scales(path):
    """Makes a LoRA a DoRA."""
    tensors = load_file(path)
    for name, tensor in [*tensors.items()]:
        if name.endswith("lora_B.weight"):
            place = name.removesuffix("lora_B.weight")
            tensors[f"{place}lora_magnitude_vector"] = torch.linspace(0.5, 1.5, len(tensor))
    save_file(tensors, path)


def refusing(output, factors):
    raise adapters.NotByRowError


@pytest.mark.parametrize("kind", ["DoRA", "a layer without rows"])
def test_what_has_no_weight_for_each_row_is_made_in_groups_of_equal_weights(
    kind, together, tmp_path, monkeypatch
):
    pipeline = pipeline_of("stable_diffusion")
    files = []
    for seed in (1, 2):
        parts = {"unet": adapting.matrices(pipeline.unet, adapting.ATTENTION, seed=seed)}
        files.append(adapting.save(tmp_path / f"{seed}.safetensors", parts))
        if kind == "DoRA":
            with_scales(files[-1])
    if kind == "a layer without rows":
        monkeypatch.setattr(adapters._ByRow, "__rmul__", lambda own, output: refusing(output, own))
    with quiet_peft():
        images, expected, again = mixed("stable_diffusion", pipeline, files, together)
    for image, other in zip(images, expected, strict=True):
        assert np.abs(image - other).max() < TOLERANCE
    assert np.abs(images[0] - images[1]).max() > 1e-3
    assert np.array_equal(*again)


def merged(pipeline, layers, strength):
    """A pipeline of the same kind whose weights have the LoRA in them."""
    other = pipeline_of({"StableDiffusionPipeline": "stable_diffusion"}.get(
        type(pipeline).__name__, "stable_diffusion_xl"
    ))  # fmt: skip
    with torch.no_grad():
        for name, (down, up) in layers.items():
            other.unet.get_submodule(name).weight += strength * (up @ down)
    return other
