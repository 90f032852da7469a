"""Masks: what they free, how they fade, and that what they protect is the input to the byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from nbtool.imaging import masks


def gray(array):
    return Image.fromarray(np.asarray(array, np.uint8))


def square(side, box, gray_value=255):
    mask = Image.new("L", (side, side))
    mask.paste(gray_value, box)
    return mask


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))
MASKS = SIZES.flatmap(
    lambda size: arrays(np.uint8, size, elements=st.sampled_from([0, 0, 0, 90, 255]))
)


@given(MASKS, st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_what_a_mask_protects_is_the_input_to_the_byte(mask, blur, seed):
    luck = np.random.default_rng(seed)
    old, new = luck.integers(0, 256, (2, *mask.shape, 3), np.uint8)
    weights = masks.softened(gray(mask), blur)
    result = np.asarray(masks.pasted(gray(old), gray(new), weights))
    protected = mask == 0
    assert (result[protected] == old[protected]).all()
    replaced = np.asarray(weights) == 255
    assert (result[replaced] == new[replaced]).all()


@given(MASKS, st.integers(1, 30))
def test_edges_fade_inwards_and_nothing_free_is_lost(mask, blur):
    soft = np.asarray(masks.softened(gray(mask), blur))
    assert (soft <= mask).all()
    assert ((soft > 0) == (mask > 0)).all()
    if mask.any():  # somewhere the new is there in full
        assert (soft == mask)[mask > 0].any()


def test_a_thin_line_keeps_its_full_strength():
    line = square(40, (5, 20, 35, 21))
    assert np.asarray(masks.softened(line, 12)).max() == 255


def test_a_wide_edge_rises_evenly():
    soft = np.asarray(masks.softened(square(60, (10, 10, 50, 50)), 8))
    across = soft[30, 10:30].astype(int)
    assert (np.diff(across) >= 0).all()
    assert across[0] < 20
    assert across[8:].min() == 255


def test_a_mask_that_frees_all_has_no_edge():
    assert masks.softened(square(20, (0, 0, 20, 20)), 5).getextrema() == (255, 255)


@given(MASKS, st.integers(1, 16))
def test_cells_are_freed_as_a_whole(mask, cell):
    free = np.asarray(masks.freed(gray(mask), cell))
    assert set(np.unique(free)) <= {0, 255}
    assert (free[mask > 0] == 255).all()
    for top in range(0, mask.shape[0], cell):
        for left in range(0, mask.shape[1], cell):
            part = slice(top, top + cell), slice(left, left + cell)
            assert (free[part] == (255 if mask[part].any() else 0)).all()


@given(MASKS, st.integers(0, 50), SIZES)
def test_a_region_lies_in_the_picture_around_what_is_free(mask, padding, size):
    picture = gray(mask)
    if masks.is_empty(picture):
        return
    left, top, right, bottom = masks.region(picture, padding, *size)
    assert 0 <= left < right <= picture.width
    assert 0 <= top < bottom <= picture.height
    assert not np.delete(mask, range(top, bottom), axis=0).any()
    assert not np.delete(mask, range(left, right), axis=1).any()


@pytest.mark.parametrize(("width", "height"), [(64, 64), (128, 64), (64, 96)])
def test_a_region_has_the_proportions_that_are_worked_at(width, height):
    left, top, right, bottom = masks.region(square(400, (180, 200, 220, 210)), 16, width, height)
    assert abs((right - left) * height - (bottom - top) * width) <= max(width, height)
    assert (right - left) >= 40 + 2 * 16
    assert (bottom - top) >= 10 + 2 * 16


def test_a_region_at_the_border_is_moved_into_the_picture():
    assert masks.region(square(100, (0, 0, 10, 10)), 5, 64, 64) == (0, 0, 20, 20)
    assert masks.region(square(100, (90, 95, 100, 100)), 0, 64, 64) == (90, 90, 100, 100)


def test_an_alpha_that_says_something_is_the_mask():
    picture = Image.new("RGBA", (4, 1), (9, 9, 9, 255))
    picture.putpixel((0, 0), (9, 9, 9, 0))
    picture.putpixel((1, 0), (9, 9, 9, 100))
    assert list(np.asarray(masks.as_mask(picture))[0]) == [255, 155, 0, 0]


def test_without_one_its_gray_is():
    opaque = Image.new("RGBA", (2, 1), "white")
    opaque.putpixel((0, 0), (0, 0, 0, 255))
    for mode in ("RGBA", "RGB", "L", "1", "P"):
        assert list(np.asarray(masks.as_mask(opaque.convert(mode)))[0]) == [0, 255], mode


def test_what_a_jpeg_leaves_of_black_and_white_is_none():
    noisy = gray([[0, 9, 15, 16, 128, 239, 240, 255]])
    assert list(np.asarray(masks.as_mask(noisy))[0]) == [0, 0, 0, 16, 128, 239, 255, 255]


def test_a_gray_mixes_old_and_new():
    old, new = Image.new("RGB", (1, 1), (0, 100, 200)), Image.new("RGB", (1, 1), (255, 0, 200))
    assert masks.pasted(old, new, gray([[51]])).getpixel((0, 0)) == (51, 80, 200)


def test_all_black_and_all_white_are_told():
    assert masks.is_empty(square(4, (0, 0, 0, 0)))
    assert not masks.is_empty(square(4, (0, 0, 1, 1)))
    assert masks.is_full(square(4, (0, 0, 4, 4)))
    assert not masks.is_full(square(4, (0, 0, 4, 3)))
