"""What the embedded model makes of masked stars, judged by the pixels of its pictures."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import nbtool
from nbtool.testing import judge
from nbtool.testing.judging import border_colour, object_mask
from nbtool.testing.scenes import paint, random_scene

TRIES = 60
TARGET = 0.85
FREE = 8  # pixels around a star
STEPS = 6


@pytest.fixture
def gen(tmp_path, monkeypatch, learned):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    return nbtool.Generator(store=tmp_path / "images", device="cpu", num_inference_steps=STEPS)


def hearts(count):
    """Scenes with a heart, of any size, place and colours."""
    rng = random.Random(0)
    scenes = (random_scene(rng) for _ in range(20 * count))
    return [scene for scene in scenes if scene.shape == "heart"][:count]


def box_around(star):
    """A mask that frees a star and a little around it."""
    pixels = np.asarray(star, float)
    ys, xs = np.nonzero(object_mask(pixels, border_colour(pixels)))
    mask = Image.new("L", star.size)
    corner = int(xs.min()) - FREE, int(ys.min()) - FREE
    mask.paste(255, (*corner, int(xs.max()) + 1 + FREE, int(ys.max()) + 1 + FREE))
    return mask


def masked_stars(scenes):
    """An axis of painted stars, each with its mask, the words for a heart there, and a seed."""
    rng = random.Random(1)
    stars = [paint(replace(scene, shape="star"), rng) for scene in scenes]
    return nbtool.paired(
        prompt=[scene.caption() for scene in scenes],
        image=stars,
        mask_image=list(map(box_around, stars)),
        seed=range(len(scenes)),
    )


def test_a_masked_star_becomes_a_heart(gen):
    scenes = hearts(TRIES)
    assert len(scenes) == TRIES
    stars = masked_stars(scenes)
    assert {judge(edit.parameters["image"].image)["shape"] for edit in stars.edits} == {"star"}

    grid = gen.grid("", stars, strength=1.0)

    seen = Counter(judge(image.image).get("shape") for image in grid)
    assert len(grid) == TRIES
    assert seen["heart"] >= TARGET * TRIES, seen


def test_the_stronger_the_farther_from_the_star(gen):
    strengths = [0.2, 0.4, 0.6, 0.8, 1.0]
    with pytest.warns(UserWarning, match="begins with noise alone"):
        grid = gen.grid("", masked_stars(hearts(8)), strength=strengths, num_inference_steps=5)
    distances = [
        np.mean([
            np.abs(np.subtract(image.image, image.recipe.image.image, dtype=float)).mean()
            for image in grid.sel(strength=strength)
        ])
        for strength in strengths
    ]  # fmt: skip
    assert distances == sorted(distances)
    assert distances[-1] > 2 * distances[0]
