"""The perceptual digest: the same while a picture looks the same, another for another."""

from __future__ import annotations

import io
import random
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from nbtool import GeneratedImage, Provenance
from nbtool.digest import COLOURS, digest
from nbtool.metadata import encode

SEEDS = range(40)


def scene(seed, size=128):
    """A flat scene: one to three shapes of basic colours, with soft edges as a model draws them."""
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


def noisy(image, seed, level=1):
    noise = np.random.default_rng(seed).integers(-level, level + 1, (*image.size[::-1], 3))
    return Image.fromarray(np.clip(np.asarray(image, int) + noise, 0, 255).astype(np.uint8))


def shifted(image, levels):
    return Image.fromarray(np.clip(np.asarray(image, int) + levels, 0, 255).astype(np.uint8))


def compressed(image):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=97, subsampling=0)
    return Image.open(buffer).convert("RGB")


@pytest.mark.parametrize("seed", SEEDS)
def test_rounding_noise_and_a_shift_of_one_level_leave_the_digest(seed):
    image = scene(seed)
    expected = digest(image)
    changed = [
        noisy(image, seed),
        noisy(image, seed + 1000),
        shifted(image, 1),
        shifted(image, -1),
        compressed(image),
        noisy(image.filter(ImageFilter.GaussianBlur(0.3)), seed),
    ]
    assert [digest(other) for other in changed] == [expected] * len(changed)


def test_different_pictures_have_different_digests():
    digests = [digest(scene(seed)) for seed in SEEDS]
    assert len(set(digests)) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_moved_or_mirrored_or_recoloured_picture_has_another_digest(seed):
    pixels = np.asarray(scene(seed))
    others = [np.roll(pixels, 32, axis=1), np.roll(pixels, -32, axis=0), pixels[..., ::-1]]
    mine = digest(Image.fromarray(pixels))
    assert all(digest(Image.fromarray(other.copy())) != mine for other in others)


def test_the_digest_is_eight_digits_that_do_not_change():
    image = Image.new("RGB", (64, 48), (250, 250, 250))
    ImageDraw.Draw(image).rectangle((16, 16, 47, 31), fill=(220, 40, 40))
    assert digest(image) == "GOLDEN"
    assert re.fullmatch("[0-9a-f]{8}", digest(image))
    assert digest(image.convert("RGBA")) == digest(image)
    assert digest(image.resize((128, 96), Image.Resampling.NEAREST)) == digest(image)
    assert len(digest(image.resize((3, 5)))) == 8


def test_an_image_gives_its_own_digest(complete, picture):
    png = encode(picture, complete.to_dict(), {}, "0")
    assert GeneratedImage(complete, Provenance(), png=png).digest == digest(picture)
