"""The perceptual digest: the same while a picture looks the same, another for another."""

from __future__ import annotations

import io
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from nbtool import GeneratedImage, Provenance
from nbtool.metadata import encode
from nbtool.results.digest import BLOCKS, COLOURS, digest

PLACES = BLOCKS * BLOCKS


def mosaic(colours, tint=0):
    """A picture of 8 × 8 flat areas, their colours a little off."""
    noise = np.random.default_rng(tint).integers(-12, 13, (BLOCKS, BLOCKS, 3)) if tint else 0
    areas = np.array([COLOURS[c] for c in colours]).reshape(BLOCKS, BLOCKS, 3) + noise
    return picture_of(areas.repeat(8, axis=0).repeat(8, axis=1))


def scene(seed, size=128):
    """One to three shapes with soft edges, anywhere on a flat background."""
    draw = random.Random(seed)
    colours = draw.sample(COLOURS, 4)
    image = Image.new("RGB", (4 * size, 4 * size), colours[0])
    painter = ImageDraw.Draw(image)
    for colour in colours[1 : draw.randint(2, 4)]:
        x, y = (draw.randint(0, 3 * size) for _ in "xy")
        side = draw.randint(size, 2 * size)
        shape = draw.choice([painter.ellipse, painter.rectangle])
        shape((x, y, x + side, y + side), fill=colour)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def picture_of(levels):
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def noisy(image, seed, share=1.0):
    draw = np.random.default_rng(seed)
    levels = np.asarray(image, int)
    noise = draw.integers(-1, 2, levels.shape) * (draw.random(levels.shape) < share)
    return picture_of(levels + noise)


def shifted(image, levels):
    return picture_of(np.asarray(image, int) + levels)


def compressed(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=97, subsampling=0)
    return Image.open(buffer).convert("RGB")


COLOUR = st.integers(0, len(COLOURS) - 1)
MOSAICS = st.lists(COLOUR, min_size=PLACES, max_size=PLACES)


@given(MOSAICS, st.integers(1, 2**32))
def test_noise_a_shift_and_compression_leave_the_digest_of_flat_areas(colours, tint):
    image = mosaic(colours, tint)
    expected = digest(image)
    changed = [noisy(image, tint), shifted(image, 1), shifted(image, -1), compressed(image)]
    assert [digest(other) for other in changed] == [expected] * len(changed)
    assert digest(mosaic(colours)) == expected


@given(MOSAICS, st.integers(0, PLACES - 1), COLOUR)
def test_one_area_of_another_colour_gives_another_digest(colours, place, colour):
    other = [*colours[:place], colour, *colours[place + 1 :]]
    assert (digest(mosaic(colours)) == digest(mosaic(other))) == (colours == other)


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (lambda image, seed: noisy(image, seed, share=0.02), 1),  # as between two processors
        (noisy, 4),
        (lambda image, _: shifted(image, 1), 5),
        (lambda image, _: shifted(image, -1), 5),
        (lambda image, _: compressed(image), 5),
    ],
    ids=["a few roundings", "noise", "brighter", "darker", "compressed"],
)
def test_of_a_hundred_scenes_with_soft_edges_hardly_any_changes_its_digest(change, most):
    scenes = [scene(seed) for seed in range(100)]
    changed = [digest(change(image, seed)) != digest(image) for seed, image in enumerate(scenes)]
    assert sum(changed) <= most


def test_different_pictures_have_different_digests():
    assert len({digest(scene(seed)) for seed in range(100)}) == 100


def test_the_digest_is_eight_digits_that_do_not_change():
    image = Image.new("RGB", (64, 48), (250, 250, 250))
    ImageDraw.Draw(image).rectangle((16, 16, 47, 31), fill=(220, 40, 40))
    assert digest(image) == "8222507a"
    assert digest(image.convert("RGBA")) == digest(image)
    assert digest(image.resize((128, 96), Image.Resampling.NEAREST)) == digest(image)


@pytest.mark.parametrize("size", [(8, 8), (9, 11), (16, 24)])
def test_small_pictures_have_digests_too(size):
    image = Image.new("RGB", size, (220, 40, 40))
    assert re.fullmatch("[0-9a-f]{8}", digest(image))


def test_an_image_gives_its_own_digest(complete, picture):
    png = encode(picture, complete.to_dict(), {}, "0")
    assert GeneratedImage(complete, Provenance(), png=png).digest == digest(picture)
