"""Images made from pictures with the embedded model: what stays, what is the same again, what is refused."""

from __future__ import annotations

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

import nbtool
from nbtool import RecipeError
from nbtool.engines.local.worker import worker
from nbtool.recipes.recipe import Recipe

SMALL = {"width": 64, "height": 64, "num_inference_steps": 4}
PROMPT = "a large blue heart on a white background"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, learned):
    """Makes a generator with a store of its own."""
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    folders = iter(range(100))

    def make(**options):
        options = {"device": "cpu", **SMALL, **options}
        return nbtool.Generator(store=tmp_path / f"images{next(folders)}", **options)

    return make


@pytest.fixture
def gen(elsewhere):
    return elsewhere()


def scene(width=64, height=64):
    colours = np.random.default_rng(0).integers(90, 160, (height, width, 3), np.uint8)
    image = Image.fromarray(colours)
    ImageDraw.Draw(image).ellipse((width // 4, height // 4, width // 2, height // 2), fill="red")
    return image


def mask(size, box, gray=255):
    found = Image.new("L", size)
    found.paste(gray, box)
    return found


def bytes_where(image, where):
    return np.asarray(image)[where].tobytes()


MASKED = [
    {"mask_image": mask((64, 64), (13, 11, 50, 39))},
    {"mask_image": mask((64, 64), (13, 11, 50, 39)), "mask_blur": 6, "strength": 0.7},
    {"mask_image": mask((64, 64), (13, 11, 50, 39), gray=120)},
    {"mask_image": mask((64, 64), (0, 30, 64, 31)), "mask_blur": 3},
    {"mask_image": mask((150, 90), (50, 20, 77, 61)), "mask_padding": 9, "mask_blur": 4},
    {"mask_image": mask((150, 90), (0, 0, 9, 90)), "mask_padding": 0},
]


@pytest.mark.parametrize("asked", MASKED)
def test_what_the_mask_protects_is_the_input_to_the_byte(gen, asked):
    old = scene(*asked["mask_image"].size)
    made = gen.grid(PROMPT, image=old, seed=range(3), guidance_scale=4, **asked)
    protected = np.asarray(asked["mask_image"]) == 0
    for image in made:
        assert image.image.size == old.size
        assert bytes_where(image.image, protected) == bytes_where(old, protected)
        assert bytes_where(image.image, ~protected) != bytes_where(old, ~protected)
    assert made[0].image.tobytes() != made[1].image.tobytes()


def test_a_mask_of_another_size_is_stretched_and_that_is_said(gen):
    with pytest.warns(UserWarning, match=r"32 × 32 pixels, the picture 64 × 64"):
        image = gen(PROMPT, image=scene(), mask_image=mask((32, 32), (8, 8, 24, 24)), seed=1)
    protected = np.asarray(mask((64, 64), (14, 14, 50, 50))) == 0
    assert bytes_where(image.image, protected) == bytes_where(scene(), protected)


def test_a_mask_that_is_white_all_over_is_said(gen):
    with pytest.warns(UserWarning, match="white all over"):
        gen(PROMPT, image=scene(), mask_image=Image.new("L", (64, 64), 255), seed=1)


DOT = mask((900, 900), (450, 450, 452, 452))
TOO_SMALL = [
    ((900, 900), DOT, {}, "nothing is left of mask_image at 64 × 64.* mask_padding=32 works"),
    ((900, 900), DOT, {"mask_padding": 500}, "at 64 × 64.*; give a smaller mask_padding"),
    ((90, 30), mask((90, 30), (0, 0, 9, 30)), {}, "in what is cut off; mask_padding=32"),
    ((64, 64), DOT, {"mask_padding": 8}, "to the size of the picture; give one that is 64 × 64"),
]


@pytest.mark.parametrize(("size", "free", "asked", "reason"), TOO_SMALL)
def test_a_mask_of_which_nothing_is_left_is_refused(gen, size, free, asked, reason):
    old = Image.new("RGB", size, "red")
    with pytest.raises(RecipeError, match=reason):
        gen(PROMPT, image=old, mask_image=free, seed=1, **asked)
    with pytest.raises(RecipeError, match=reason):
        gen.plan(PROMPT, image=[old], mask_image=[free], seed=1, **asked)
    if "mask_padding=32" in reason:
        assert gen(PROMPT, image=old, mask_image=free, seed=1, mask_padding=32).image.size == size


def test_whether_a_model_takes_a_mask_at_all_is_asked_without_a_picture(gen):
    free = mask((64, 64), (8, 8, 24, 24))
    gen.engine.check(Recipe(**gen.engine.defaults()).replace(mask_image=free))


def test_where_a_picture_is_transparent_it_is_filled(gen):
    hole = scene().convert("RGBA")
    hole.putalpha(Image.eval(mask((64, 64), (16, 16, 48, 48)), lambda gray: 255 - gray))
    image = gen(PROMPT, image=hole, mask_image=hole, seed=1)
    protected = np.asarray(hole.getchannel("A")) == 255
    assert bytes_where(image.image, protected) == bytes_where(scene(), protected)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_image_is_what_diffusers_makes(gen, embedded, seed):
    """To the rounding of its pixels, for image to image and inpainting."""
    old, free = scene(), mask((64, 64), (16, 16, 48, 48))
    asked = {"num_inference_steps": 4, "guidance_scale": 4.0}
    made = {
        "Img2Img": gen(PROMPT, image=old, strength=0.6, seed=seed, **asked),
        "Inpaint": gen(PROMPT, image=old, mask_image=free, strength=0.9, seed=seed, **asked),
    }
    for name, image in made.items():
        kind = getattr(diffusers, f"StableDiffusion{name}Pipeline")
        pipeline = kind(**embedded.components, requires_safety_checker=False)
        pipeline.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
            pipeline.scheduler.config
        )
        pipeline.set_progress_bar_config(disable=True)
        own = {"mask_image": free, "width": 64, "height": 64} if name == "Inpaint" else {}
        plain = pipeline(
            PROMPT, image=old, strength=image.recipe.strength, **asked, **own,
            generator=torch.Generator().manual_seed(seed),
        ).images[0]  # fmt: skip
        if own:
            plain = Image.composite(plain, old, free)
        assert image.provenance.pipeline == kind.__name__
        assert np.abs(np.asarray(image.image, int) - np.asarray(plain, int)).max() <= 1


def test_latents_are_enlarged_as_people_do_it_by_hand(gen, embedded):
    first = gen(PROMPT, seed=3)
    image = first.refine(scale=1.5, strength=0.6, upscale="latent")
    kind = diffusers.StableDiffusionImg2ImgPipeline
    pipeline = kind(**embedded.components, requires_safety_checker=False)
    pipeline.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
        pipeline.scheduler.config
    )
    pipeline.set_progress_bar_config(disable=True)
    pixels = pipeline.image_processor.preprocess(first.image)
    with torch.no_grad():
        latents = (
            pipeline.vae.encode(pixels).latent_dist.mode() * pipeline.vae.config.scaling_factor
        )
    side = 96 // pipeline.vae_scale_factor
    large = torch.nn.functional.interpolate(latents, (side, side), mode="bilinear")
    plain = pipeline(
        PROMPT, image=large, strength=0.6, num_inference_steps=4, guidance_scale=3.0,
        generator=torch.Generator().manual_seed(3),
    ).images[0]  # fmt: skip
    assert image.image.size == plain.size == (96, 96)
    assert np.abs(np.asarray(image.image, int) - np.asarray(plain, int)).max() <= 1


def test_each_image_of_a_mixture_is_the_same_again_alone(gen, elsewhere):
    """Of words, from pictures, with masks and of second passes, in shared forwards."""
    old, free = scene(), mask((64, 64), (16, 16, 48, 48))
    seeds = {"seed": range(2), "guidance_scale": [1, 4]}
    jobs = [
        gen.submit(PROMPT, **seeds),
        elsewhere().submit(PROMPT, image=[old, old.rotate(90)], strength=[0.5, 0.9], **seeds),
        elsewhere().submit(PROMPT, image=old, mask_image=free, strength=[0.5, 1.0], **seeds),
        elsewhere().submit(PROMPT, refine=nbtool.refine(scale=1.5, strength=0.6), **seeds),
    ]
    made = [image for job in jobs for image in job.wait()]
    assert max(image.provenance.batch_width for image in made) > 4
    for image in made[::3]:
        file = image.save(gen.store.path / "again.png")
        again = elsewhere()(Recipe.from_file(file))
        assert again.image.tobytes() == image.image.tobytes(), image.recipe
        assert again.provenance.widths == image.provenance.widths


def test_in_exact_mode_images_are_the_same_however_they_are_asked_for(elsewhere):
    asked = {"image": scene(), "strength": 0.6, "guidance_scale": 4}
    alone = elsewhere(exact=True)(PROMPT, seed=3, **asked)
    grid = elsewhere(exact=True).grid(PROMPT, **asked | {"strength": [0.6, 0.9]}, seed=range(5))
    assert grid.sel(seed=3, strength=0.6).image.tobytes() == alone.image.tobytes()


def test_a_picture_is_encoded_once_and_no_row_is_asked_twice(gen, elsewhere):
    rows = worker.forwards.rows
    rows.clear()
    upside_down = scene().rotate(180)  # of which nothing is known from other tests
    jobs = [
        gen.submit(PROMPT, seed=range(40, 44), guidance_scale=1),
        elsewhere().submit(
            PROMPT, seed=range(40, 44), guidance_scale=1, image=upside_down, strength=[0.5, 1.0]
        ),
    ]
    for job in jobs:
        job.wait()
    assert rows["UNet2DConditionModel.forward"] == 4 * 4 + 4 * (2 + 4)
    assert rows["AutoencoderKL.encode"] == 1


REFUSED = [
    ({"strength": 0}, "strength 0 changes nothing.*at least 0.25"),
    ({"strength": 0.2}, "strength 0.2 leaves none of the 4 steps; give at least 5"),
    ({"strength": 1.2}, "strength must be .* 0 to 1, got 1.2"),
    ({"mask_image": Image.new("L", (64, 64))}, "mask_image is black all over"),
    (
        {"mask_image": np.eye(64, dtype=np.uint8)},
        r"no value above 1, which is black; give mask \* 255, or an array of bool",
    ),
    ({"guidance_rescale": 0.5}, "has no guidance_rescale .*StableDiffusionImg2ImgPipeline"),
]


@pytest.mark.parametrize(("asked", "reason"), REFUSED)
def test_what_cannot_be_made_is_refused_before_anything_is_loaded(gen, asked, reason, monkeypatch):
    nbtool.unload()
    with pytest.raises(RecipeError, match=reason):
        gen.grid(PROMPT, image=scene(), seed=[1, 2], **asked)
    assert not gen.engine.placement.is_loaded


def test_several_pictures_for_one_image_are_refused_where_nothing_is_edited(gen):
    both = nbtool.pictures(scene(), scene().rotate(180))
    with pytest.raises(RecipeError, match=r"shapes takes one picture at a time, got 2.*a list"):
        gen.plan(PROMPT, image=[both, scene()], seed=1)


def test_a_picture_that_is_gone_is_not_made_from_what_memory_has_of_it(gen, tmp_path):
    """Else images would lie in the store without what they were made from."""
    scene().save(tmp_path / "scene.png")
    first = gen(PROMPT, image=tmp_path / "scene.png", strength=0.5, seed=1)
    (tmp_path / "scene.png").unlink()
    (kept,) = (gen.store.path / "inputs").iterdir()
    kept.unlink()
    recipe = nbtool.Store(gen.store.path)[first.recipe.key].recipe
    with pytest.raises(nbtool.GenerationError, match=r"is gone from the store.*; give the file"):
        gen(recipe.replace(seed=2))
    scene().save(tmp_path / "again.png")
    assert gen(recipe.replace(seed=2, image=tmp_path / "again.png")).recipe == recipe.replace(
        seed=2
    )
    assert kept.exists()


def test_a_picture_of_one_pixel_is_enough(gen):
    dot = Image.new("RGB", (1, 1), "green")
    made = gen.grid(PROMPT, image=[dot, scene()], strength=0.25, width=64, height=64, seed=1)
    red, green, blue = np.asarray(made[0].image, float).mean(axis=(0, 1))
    assert green > red + blue


def test_a_strength_axis_says_how_many_results_it_has(gen):
    with pytest.warns(UserWarning, match="3 strengths give 2 different results: of 4 steps"):
        gen.grid(PROMPT, image=scene(), strength=[0.5, 0.6, 0.8], seed=1)
    free = mask((64, 64), (16, 16, 48, 48))
    with pytest.warns(UserWarning, match="a strength of 1 begins with noise alone"):
        gen.grid(PROMPT, image=scene(), mask_image=free, strength=[0.5, 1], seed=1)


def test_the_nearer_to_1_the_strength_the_farther_from_the_input(gen):
    old = scene()
    grid = gen.grid(
        PROMPT, image=old, strength=[0.25, 0.5, 0.75, 1.0], seed=range(3), num_inference_steps=8
    )
    distances = [
        np.mean([
            np.abs(np.asarray(image.image, float) - np.asarray(old, float)).mean()
            for image in grid.sel(strength=strength)
        ])
        for strength in grid.axes["strength"]
    ]  # fmt: skip
    assert distances == sorted(distances)
    assert distances[-1] > 2 * distances[0]


def test_a_picture_decides_the_size_where_none_is_said(gen, tmp_path):
    free = nbtool.Generator(store=tmp_path / "free", device="cpu", num_inference_steps=4)
    with pytest.warns(UserWarning, match="150 × 90 pixels, and is made with 152 × 88"):
        assert free(PROMPT, image=scene(150, 90), strength=0.5, seed=1).image.size == (152, 88)
    assert gen(PROMPT, image=scene(90, 90), strength=0.5, seed=1).image.size == (64, 64)
