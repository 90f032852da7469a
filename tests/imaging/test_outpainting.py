from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nbtool import RecipeError, outpaint
from nbtool.imaging.outpainting import Sides


def noise(mode, size=(16, 24)):
    channels = len(Image.new(mode, (1, 1)).getbands())
    shape = (size[1], size[0], channels)[: 3 if channels > 1 else 2]
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    return Image.fromarray(pixels, mode)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@given(
    sides=st.builds(Sides, *[st.integers(0, 5).map(lambda n: 8 * n)] * 4).filter(any),
    feather=st.integers(0, 60),
)
def test_the_picture_stays_byte_for_byte_and_is_protected(mode, sides, feather):
    picture = noise(mode)
    larger, mask = outpaint(picture, **sides._asdict(), feather=feather)
    assert larger.size == mask.size == sides.around(picture.size)
    assert (larger.mode, mask.mode) == (mode, "L")
    old = (sides.left, sides.top, sides.left + 16, sides.top + 24)
    assert larger.crop(old).tobytes() == picture.tobytes()
    assert mask.crop(old).getextrema() == (0, 0)
    new = np.asarray(mask).copy()
    new[old[1] : old[3], old[0] : old[2]] = 255
    assert new.min() > 0  # all of the new part is free


def test_the_new_part_has_the_colours_of_the_edge_and_is_white():
    picture = noise("RGB")
    larger, mask = outpaint(picture, right=40, top=16, feather=0)
    pixels, edge = np.asarray(larger), np.asarray(picture)
    assert (pixels[16:, 16:] == edge[:, -1:]).all()
    assert (pixels[:16, :16] == edge[:1]).all()
    assert (pixels[:16, 16:] == edge[0, -1]).all()
    assert set(np.unique(mask)) == {0, 255}


def test_the_mask_rises_from_the_seam_on():
    _, mask = outpaint(noise("L"), left=24, right=24, feather=4)
    row = [51, 102, 153, 204]
    assert list(np.asarray(mask)[5]) == [255] * 20 + row[::-1] + [0] * 16 + row + [255] * 20


def test_a_corner_is_as_free_as_the_freer_of_its_sides():
    _, mask = outpaint(noise("L"), left=8, bottom=8, feather=3)
    assert np.asarray(mask)[24:, :8].tolist()[0] == [255] * 5 + [191, 128, 64]
    assert np.asarray(mask)[31, :8].min() == 255


def test_whatever_holds_a_picture_is_taken(tmp_path):
    picture = noise("RGB")
    picture.save(tmp_path / "cat.png")
    larger, _ = outpaint(tmp_path / "cat.png", left=8)
    assert larger == outpaint(np.asarray(picture), left=8)[0]
    with pytest.raises(RecipeError, match="no picture"):
        outpaint(tmp_path / "dog.png", left=8)


def test_what_is_added_reaches_white_however_wide_the_feather():
    _, mask = outpaint(noise("L"), right=8, feather=500)
    assert np.asarray(mask)[0, -4:].tolist() == [255] * 4


@pytest.mark.parametrize(
    ("sides", "words"),
    [
        ({}, "give left, right, top or bottom"),
        ({"left": -8}, "left must be a whole number of pixels from 0 to 8192, got -8"),
        ({"left": 1.5}, "got 1.5"),
        ({"top": "8"}, "got '8'"),
        ({"top": True}, "got True"),
        ({"right": 8, "feather": -1}, "feather must be"),
        ({"right": 8192}, "8208 × 24 pixels with right=8192; at most 8192 × 8192"),
        ({"left": 5}, "21 × 24 pixels with left=5, and .* 8; left=8 gives 24 × 24"),
        ({"left": 8, "bottom": 1}, "left=8, bottom=8 gives 24 × 32"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(sides, words):
    with pytest.raises(RecipeError, match=words):
        outpaint(noise("RGB"), **sides)


@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    sides=st.builds(Sides, *[st.integers(0, 40)] * 4).filter(any),
)
def test_the_size_that_is_offered_is_taken(size, sides):
    picture = Image.new("RGB", size)
    try:
        outpaint(picture, **sides._asdict())
    except RecipeError as error:
        offered = re.findall(r"(\w+)=(\d+)", str(error).rpartition(";")[2])
        larger, _ = outpaint(picture, **{side: int(length) for side, length in offered})
        assert larger.width - size[0] - sides.left - sides.right < 8
        assert larger.height - size[1] - sides.top - sides.bottom < 8
