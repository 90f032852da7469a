"""What the hub makes together is what each pipeline makes alone."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest
import tiny
import torch
from together import one, with_scheduler

TOLERANCE = 1e-4  # of images from 0 to 1
GUIDANCE = (0, 1, 4, 9)
SCHEDULERS = (
    "ddim", "deis", "dpm++2m", "dpm++2m_sde", "dpm++2s", "dpm2_a", "euler", "euler_a", "heun", "lms", "pndm",
    "unipc",
)  # fmt: skip
SIZES = ({"height": 64, "width": 64}, {"height": 32, "width": 64})
PROMPTS = ("a red star", "blue")


def _text_to_image(size):
    return size


def _image_to_image(size):
    height, width = size.values()
    return {"image": tiny.picture().resize((width, height)), "strength": 0.8}


def _inpainting(size):
    height, width = size.values()
    half = tiny.picture("black")
    half.paste("white", (0, 0, 32, 64))
    pictures = {"image": tiny.picture(), "mask_image": half}
    return size | {name: picture.resize((width, height)) for name, picture in pictures.items()}


def _controlled(size):
    height, width = size.values()
    return {"image": tiny.picture().resize((width, height)), "controlnet_conditioning_scale": 0.7}


PIPELINES = {
    "stable_diffusion": _text_to_image,
    "img2img": _image_to_image,
    "inpaint": _inpainting,
    "controlnet": _controlled,
    "stable_diffusion_xl": _text_to_image,
    "stable_diffusion_3": _text_to_image,
    "flux": _text_to_image,
}


def _z_image(tokens, guidance):
    return {
        "prompt_embeds": [tiny.embeddings(tokens, 1)[0]],
        "negative_prompt_embeds": [tiny.embeddings(4, 2)[0]],
        "guidance_scale": guidance,
    }


def _qwen_image(tokens, guidance):
    return {
        "prompt_embeds": tiny.embeddings(tokens, 1),
        "prompt_embeds_mask": torch.ones(1, tokens, dtype=torch.long),
        "negative_prompt_embeds": tiny.embeddings(4, 2),
        "negative_prompt_embeds_mask": torch.ones(1, 4, dtype=torch.long),
        "true_cfg_scale": guidance,
    }


def _sana(tokens, guidance):
    masks = dict.fromkeys(
        ("prompt_attention_mask", "negative_prompt_attention_mask"),
        torch.ones(1, tokens, dtype=torch.long),
    )
    return masks | {
        "prompt_embeds": tiny.embeddings(tokens, 1),
        "negative_prompt": None,
        "negative_prompt_embeds": tiny.embeddings(tokens, 2),
        "guidance_scale": guidance,
        "use_resolution_binning": False,
    }


def _flux2_klein(tokens, guidance):
    return {
        "prompt_embeds": tiny.embeddings(tokens, 1),
        "negative_prompt_embeds": tiny.embeddings(4, 2),
        "guidance_scale": guidance,
    }


def _flux2(tokens, guidance):
    return {"prompt_embeds": tiny.embeddings(tokens, 1), "guidance_scale": guidance}


OF_EMBEDDINGS = {
    "z_image": _z_image,
    "qwen_image": _qwen_image,
    "sana": _sana,
    "flux2_klein": _flux2_klein,
    "flux2": _flux2,
}


@pytest.mark.parametrize("name", PIPELINES)
def test_a_mixed_grid_equals_plain_calls(name, together):
    pipeline = getattr(tiny, name)()
    pipeline.set_progress_bar_config(disable=True)
    flow = name in ("stable_diffusion_3", "flux")
    names = itertools.cycle([None] if flow else SCHEDULERS)
    cells = itertools.product(GUIDANCE, SIZES, PROMPTS, (3, 5))
    calls = []
    for seed, (guidance, size, prompt, steps) in enumerate(cells):
        scheduler = next(names)
        kwargs = {
            "prompt": prompt, "guidance_scale": guidance, "num_inference_steps": steps,
            "seed": seed % 2, **PIPELINES[name](size),
        }  # fmt: skip
        calls.append((scheduler, kwargs))
    images = together.images([(with_scheduler(pipeline, s), kwargs) for s, kwargs in calls])
    assert len(images) == 32
    for image, (scheduler, kwargs) in zip(images, calls, strict=True):
        plain = one(with_scheduler(pipeline, scheduler), kwargs)
        assert np.abs(image - plain).max() < TOLERANCE, (scheduler, kwargs)


@pytest.mark.parametrize("name", OF_EMBEDDINGS)
def test_newer_families_equal_plain_calls(name, together):
    pipeline = getattr(tiny, name)()
    pipeline.set_progress_bar_config(disable=True)
    cells = itertools.product((1, 2), (5, 65), (0, 4), SIZES)
    wanted = [
        {"seed": seed, "num_inference_steps": 2, **size, **OF_EMBEDDINGS[name](tokens, guidance)}
        for seed, tokens, guidance, size in cells
    ]
    forwards = []
    pipeline.transformer.register_forward_pre_hook(lambda *_: forwards.append(1))
    together.learn([(with_scheduler(pipeline), kwargs | {"seed": 7}) for kwargs in wanted])
    forwards.clear()
    images = together.images([(with_scheduler(pipeline), kwargs) for kwargs in wanted])
    shared = len(forwards)
    for image, kwargs in zip(images, wanted, strict=True):
        plain = one(with_scheduler(pipeline), kwargs)
        assert np.abs(image - plain).max() < TOLERANCE
    assert shared < len(forwards) - shared


def in_place(scheduler):
    """A scheduler that scales what the network answered, in place."""
    step = scheduler.step

    @functools.wraps(step)
    def scaled(model_output, *args, **kwargs):
        return step(model_output.mul_(0.5), *args, **kwargs)

    scheduler.step = scaled
    return scheduler


@pytest.mark.parametrize("name", [*PIPELINES, *OF_EMBEDDINGS])
def test_what_a_pipeline_changes_in_place_is_its_own(name, together):
    """Of images that ask the same, one after the other and at once, each gets an answer of its own."""
    pipeline = getattr(tiny, name)()
    pipeline.set_progress_bar_config(disable=True)
    if name in PIPELINES:
        asked = {"prompt": "a red star", "guidance_scale": 1, **PIPELINES[name](SIZES[0])}
    else:
        asked = {**OF_EMBEDDINGS[name](5, 1), **SIZES[0]}
    kwargs = {"num_inference_steps": 3, **asked}

    def copied(**seeds):
        copy = with_scheduler(pipeline)
        in_place(copy.scheduler)
        return copy, kwargs | seeds

    plain = one(*copied(seed=1))
    together.learn([copied(seed=7)])  # else each is asked by itself
    made = together.images([copied(seed=1)])
    made += together.images([copied(seed=1) for _ in range(3)])
    if name != "inpaint":  # as in test_one_call
        for images in together.images([copied(seeds=(1, 1)) for _ in range(2)]):
            made += list(images)
    for image in made:
        assert np.abs(image - plain).max() < TOLERANCE


@pytest.mark.parametrize("images", [1, 2])
def test_an_encoded_prompt_that_is_changed_in_place_is_encoded_no_differently(images, together):
    pipeline = together.forwards.adopt(tiny.stable_diffusion())
    asked = ("a red star", pipeline.device, images, True)
    with torch.no_grad():
        first = [encoding.clone() for encoding in pipeline.encode_prompt(*asked)]
        for _ in range(3):
            for encoding, kept in zip(pipeline.encode_prompt(*asked), first, strict=True):
                assert torch.equal(encoding, kept)
                for row in encoding:
                    row.mul_(5)
                assert torch.equal(encoding, 5 * kept)


def test_the_embedded_model_equals_plain_calls_with_every_scheduler(together, embedded):
    cells = itertools.product(SCHEDULERS, GUIDANCE)
    calls = [
        (scheduler, {
            "prompt": f"a large {colour} star on a white background", "guidance_scale": guidance,
            "num_inference_steps": steps, "seed": number % 3, **size,
        })
        for number, ((scheduler, guidance), colour, steps, size) in enumerate(zip(
            cells, itertools.cycle(("red", "blue")), itertools.cycle((2, 3, 4)),
            itertools.cycle(({"height": 64, "width": 64}, {"height": 64, "width": 96})),
            strict=False,
        ))
    ]  # fmt: skip
    images = together.images([(with_scheduler(embedded, s), kwargs) for s, kwargs in calls])
    for image, (scheduler, kwargs) in zip(images, calls, strict=True):
        plain = one(with_scheduler(embedded, scheduler), kwargs)
        assert np.abs(image - plain).max() < TOLERANCE, (scheduler, kwargs)


def test_in_exact_mode_no_bit_depends_on_the_company(together, embedded):
    wanted = {
        "prompt": "a small green circle on a black background", "guidance_scale": 4,
        "num_inference_steps": 4, "seed": 5, "height": 64, "width": 64,
    }  # fmt: skip
    alone = together.images([(with_scheduler(embedded, "euler_a"), wanted)], exact=True)[0]
    others = [
        wanted | {"seed": seed, "guidance_scale": guidance, "num_inference_steps": steps}
        for seed, guidance, steps in itertools.product((5, 6, 7), (1, 4.5), (3, 4))
    ]
    for position in (0, 3, 11):
        crowd = [*others[:position], wanted, *others[position:]]
        calls = [(with_scheduler(embedded, "euler_a"), kwargs) for kwargs in crowd]
        images = together.images(calls, exact=True)
        assert np.array_equal(images[position], alone)


def test_networks_are_asked_once_where_the_question_is_the_same(together):
    pipeline = tiny.stable_diffusion()
    pipeline.set_progress_bar_config(disable=True)
    size = {"height": 64, "width": 64, "num_inference_steps": 3}
    calls = [
        (with_scheduler(pipeline, "ddim"), {"prompt": "a", "guidance_scale": g, "seed": s, **size})
        for s, g in itertools.product((1, 2), (1, 4, 9))
    ]
    together.learn([(calls[0][0], {"prompt": "other", "seed": 7, **size})])
    pipeline.text_encoder.register_forward_pre_hook(lambda *_: encoded.append(1))
    encoded, rows = [], together.forwards.rows
    rows.clear()
    together.images(calls)
    assert len(encoded) == 3  # the prompt, with guidance and without, and the empty one
    # At the first step a seed's cells ask about the same latents, with and without the prompt:
    # 2 rows for each seed. Then one row where there is no guidance, and two where there is.
    assert rows["UNet2DConditionModel.forward"] == 2 * 2 + 2 * 2 * (1 + 2 + 2)
    assert rows["AutoencoderKL.decode"] == 6
    together.images(calls)
    assert len(encoded) == 3  # kept across runs
    # Cells that differ in nothing the networks see stay together to the end.
    unguided = [{"prompt": "b", "guidance_scale": g, "seed": 1, **size} for g in (0, 0.5, 1)]
    before = together.forwards.rows["UNet2DConditionModel.forward"]
    together.images([(with_scheduler(pipeline, "ddim"), kwargs) for kwargs in unguided])
    assert together.forwards.rows["UNet2DConditionModel.forward"] - before == 3


def test_an_input_image_is_encoded_once(together):
    pipeline = tiny.img2img()
    pipeline.set_progress_bar_config(disable=True)
    calls = [
        (with_scheduler(pipeline, "ddim"),
         {"prompt": "a", "image": tiny.picture(), "num_inference_steps": 2, "seed": seed})
        for seed in range(3)
    ]  # fmt: skip
    images = together.images(calls)
    assert together.forwards.rows["AutoencoderKL.encode"] == 1
    assert not np.array_equal(images[0], images[1])  # each draws its own sample of the encoding


def test_the_shared_pipeline_is_left_as_it_was(together, embedded):
    unet, vae = embedded.unet, embedded.vae
    before = dict(unet.__dict__), dict(vae.__dict__), dict(embedded.__dict__)
    together.images([(with_scheduler(embedded, "lms"), {"prompt": "a", "num_inference_steps": 2})])
    assert (unet.__dict__, vae.__dict__, embedded.__dict__) == before
    assert torch.is_grad_enabled()
