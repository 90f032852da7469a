"""Pictures are brought to a size, and models told the size that suits a picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nbtool.imaging.fitting import LEAST, MAX_SIDE, MIN_SIDE, MOST, fitted, size_for

WIDE = Image.fromarray(np.repeat(np.arange(0, 240, 10, dtype=np.uint8)[None], 8, 0))  # 24 × 8


@pytest.mark.parametrize("mode", ["crop", "pad", "stretch"])
def test_a_picture_of_that_size_is_the_same_to_the_byte(mode):
    assert fitted(WIDE, WIDE.size, mode).tobytes() == WIDE.tobytes()


@pytest.mark.parametrize("mode", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("colours", ["L", "RGB", "RGBA"])
def test_every_mode_gives_the_size_and_keeps_the_colours(mode, colours):
    found = fitted(WIDE.convert(colours), (16, 16), mode)
    assert (found.size, found.mode) == ((16, 16), colours)


def test_crop_shows_the_middle():
    row = np.asarray(fitted(WIDE, (8, 8), "crop"))[4]
    assert row.tolist() == np.asarray(WIDE)[4, 8:16].tolist()


def test_stretch_shows_all_of_it():
    row = np.asarray(fitted(WIDE, (8, 8), "stretch"))[4].astype(int)
    assert row[0] < 20
    assert row[-1] > 210


def test_pad_goes_on_with_the_edges():
    tall = fitted(WIDE, (24, 24), "pad")
    rows = np.asarray(tall)
    assert np.array_equal(rows[8:16], np.asarray(WIDE))
    assert np.array_equal(rows[0], rows[8])
    assert np.array_equal(rows[-1], rows[15])


def test_a_size_that_the_model_makes_stays():
    assert size_for((512, 512), (512, 512), 8) == (512, 512)
    assert size_for((512, 640), (512, 512), 64) == (512, 640)


def test_a_photo_is_made_as_large_as_the_model_can_in_its_own_shape():
    width, height = size_for((4000, 3000), (512, 512), 8)
    assert width % 8 == height % 8 == 0
    assert abs(width / height - 4 / 3) < 0.02
    assert abs(width * height / (512 * 512) - MOST) < 0.05


def test_a_tiny_picture_is_made_larger():
    assert size_for((1, 1), (64, 64), 8) == (48, 48)


@given(
    st.tuples(st.integers(1, 60_000), st.integers(1, 60_000)),
    st.sampled_from([(64, 64), (512, 512), (1024, 768)]),
    st.sampled_from([8, 16, 32]),
)
def test_every_size_is_one_that_the_model_makes(own, usual, multiple):
    for side in size_for(own, usual, multiple):
        assert side % multiple == 0
        assert MIN_SIDE <= side <= MAX_SIDE


def test_the_limits_are_what_the_docstring_says():
    assert (LEAST, MOST) == (0.5, 1.5)
