"""The judge of the embedded model's pictures: right on painted scenes, silent where none is seen."""

from __future__ import annotations

import random
import subprocess
import sys
from dataclasses import asdict, astuple
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from nbtool.testing import judge
from nbtool.testing.scenes import CENTRES, COLOURS, RADII, SHAPES, SIZE, Scene, paint, random_scene

TRAINING = Path(__file__).parents[1] / "training" / "shapes"
STAR = Scene("large", "red", "star", "on the left", "white")


def scenes(count):
    rng = random.Random(1)
    return [random_scene(rng) for _ in range(count)]


def worsened(picture, seed):
    """A little blurred, with noise of ±4 a channel."""
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(1)), int)
    noise = np.random.default_rng(seed).integers(-4, 5, pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("place", CENTRES)
def test_each_shape_is_known_in_each_place_and_size(shape, place):
    for size in RADII:
        scene = Scene(size, "blue", shape, place, "yellow")
        assert judge(paint(scene, random.Random(2))) == asdict(scene)


@pytest.mark.parametrize("colour", COLOURS)
def test_each_colour_is_known_on_every_other(colour):
    for background in COLOURS.keys() - {colour}:
        scene = Scene("small", colour, "heart", "", background)
        assert judge(paint(scene, random.Random(3))) == asdict(scene)


def test_blur_and_noise_do_not_mislead_it():
    pictures = [worsened(paint(scene, random.Random(4)), 5) for scene in scenes(60)]
    right = sum(
        judge(picture) == asdict(scene) for picture, scene in zip(pictures, scenes(60), strict=True)
    )
    assert right >= 59


def test_an_empty_picture_shows_a_background_alone():
    assert judge(Image.new("RGB", (SIZE, SIZE), COLOURS["pink"])) == {"background": "pink"}


@pytest.mark.parametrize(
    "box",
    [(34, 50, 94, 78), (60, 60, 64, 64), (6, 6, 122, 122)],
    ids=["a bar", "a speck", "nearly everything"],
)
def test_what_is_no_shape_of_the_world_is_not_taken_for_one(box):
    picture = Image.new("RGB", (SIZE, SIZE), COLOURS["white"])
    ImageDraw.Draw(picture).rectangle(box, COLOURS["red"])
    assert judge(picture) == {"background": "white"}


def test_half_a_star_beside_half_a_heart_is_neither():
    star, heart = (
        paint(Scene("large", "red", shape, "", "white"), random.Random(6))
        for shape in ("star", "heart")
    )
    star.paste(heart.crop((64, 0, 128, 128)), (64, 0))
    assert "shape" not in judge(star)


def test_specks_beside_a_shape_are_no_part_of_it():
    picture = paint(STAR, random.Random(7))
    ImageDraw.Draw(picture).rectangle((110, 110, 120, 120), COLOURS["red"])
    assert judge(picture) == asdict(STAR)


def test_the_same_scene_and_chance_give_the_same_picture():
    one, same, other = (paint(STAR, random.Random(seed)) for seed in (8, 8, 9))
    assert one.tobytes() == same.tobytes() != other.tobytes()
    assert (one.mode, one.size) == ("RGB", (SIZE, SIZE))


def test_scenes_drawn_at_random_are_many_and_none_is_held_out():
    drawn = scenes(500)
    assert len(set(drawn)) > 400
    assert not any(scene.held_out for scene in drawn)
    for values in zip(*map(astuple, drawn), strict=True):
        assert len(set(values)) in {len(kind) for kind in (RADII, COLOURS, SHAPES, CENTRES)}


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ({}, "a large red star on the left on a white background"),
        ({"size": False, "background": False}, "a red star on the left"),
        ({"position": False}, "a large red star on a white background"),
    ],
)
def test_a_caption_leaves_out_what_it_is_told_to(left_out, words):
    assert STAR.caption(**left_out) == words


def test_the_measuring_script_judges_painted_scenes():
    script = [sys.executable, TRAINING / "evaluate.py", "--painted", "--count", "20"]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    assert "20 painted scenes" in done.stdout
    assert "20/20    100.0%" in done.stdout
