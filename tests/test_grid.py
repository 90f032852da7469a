"""Grids: lookups by label and by position, over grids of any shape."""

from __future__ import annotations

import itertools
import math
import random
import unicodedata

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbtool
from nbtool import AxisError, Cancelled, GeneratedImage, GenerationError, Grid, Provenance, Recipe
from nbtool.recipes.axes import sweep

DEFAULTS = {
    "num_inference_steps": 20,
    "guidance_scale": 5.0,
    "scheduler": "ddim",
    "width": 64,
    "height": 64,
    "model": "shapes",
    "seed": 1,
}
OPTIONS = {
    "color": ["red", "green", "blue"],
    "seed": [5, 3, 2**40],
    "guidance_scale": [1, 2.5, 7],
    "scheduler": ["euler", "ddim"],
    "size": nbtool.paired(width=[64, 64, 128], height=[64, 128, 64]),
}
MADE, FAILED, MISSING = "made", "failed", "missing"


def grid_of(*axes, prompt="a star", state=lambda _: MADE, **parameters):
    """A grid as a job would hand it over, without any pixels."""
    swept = sweep(prompt, axes, parameters, DEFAULTS)
    cells = {}
    for index, recipe in swept:
        if state(index) == MADE:
            cells[index] = GeneratedImage(recipe, Provenance(seconds=1.5), png=b"")
        elif state(index) == FAILED:
            cells[index] = GenerationError(f"failed at {index}")
    return Grid(swept.base, swept.axes, cells)


@st.composite
def grids(draw):
    names = draw(st.permutations(list(OPTIONS)))[: draw(st.integers(1, 4))]
    parameters = {name: OPTIONS[name] for name in names}
    states = draw(st.randoms(use_true_random=False))
    chosen = {}

    def state(index):
        return chosen.setdefault(index, states.choice([MADE, MADE, FAILED, MISSING]))

    prompt = "a {color} star" if "color" in names else "a star"
    return grid_of(prompt=prompt, state=state, **parameters)


def outcome(lookup):
    """What a lookup gives, comparable: an image, an error's text, or a grid's cells."""
    try:
        found = lookup()
    except Cancelled:
        return Cancelled, "names its own labels"
    except GenerationError as error:
        return type(error), str(error)
    if isinstance(found, Grid):
        return found.axes, [
            found.cell(index) and str(found.cell(index)) for index in found.indices()
        ]
    return found


def test_axes_stand_in_the_order_given():
    grid = grid_of(prompt="a {color} star", seed=range(4), color=["red", "blue"])
    assert grid.axes == {"seed": (0, 1, 2, 3), "color": ("red", "blue")}
    assert list(grid.axes) == ["seed", "color"]
    assert grid.shape == (4, 2)
    assert [(image.seed, str(image.recipe)) for image in grid][:3] == [
        (0, "a red star"),
        (0, "a blue star"),
        (1, "a red star"),
    ]


@given(grids(), st.data())
def test_a_full_index_finds_the_same_cell_by_label_and_by_position(grid, data):
    index = data.draw(st.sampled_from(list(grid.indices())))
    labels = grid.labels(index)
    positions = dict(zip(grid.axes, index, strict=True))
    negative = tuple(i - n for i, n in zip(index, grid.shape, strict=True))
    expected = outcome(lambda: grid.isel(**positions))
    assert outcome(lambda: grid.sel(**labels)) == expected
    assert outcome(lambda: grid[index]) == expected
    assert outcome(lambda: grid[negative]) == expected
    cell = grid.cell(index)
    if isinstance(cell, GeneratedImage):
        assert expected is cell
    else:
        assert expected[0] is (Cancelled if cell is None else GenerationError)


@given(grids(), st.data())
def test_fewer_labels_give_the_smaller_grid_of_the_same_cells(grid, data):
    index = data.draw(st.sampled_from(list(grid.indices())))
    kept = data.draw(st.sets(st.sampled_from(list(grid.axes)), min_size=1))
    labels = {name: label for name, label in grid.labels(index).items() if name not in kept}
    positions = {n: i for n, i in zip(grid.axes, index, strict=True) if n not in kept}
    part = grid.sel(**labels)
    assert list(part.axes) == [name for name in grid.axes if name in kept]
    assert outcome(lambda: part) == outcome(lambda: grid.isel(**positions))
    for inner in part.indices():
        whole = {**labels, **part.labels(inner)}
        assert outcome(lambda inner=inner: part[inner]) == outcome(lambda w=whole: grid.sel(**w))


@given(grids(), st.data())
def test_lists_and_slices_keep_the_axis(grid, data):
    name = data.draw(st.sampled_from(list(grid.axes)))
    labels = grid.axes[name]
    chosen = data.draw(st.lists(st.sampled_from(range(len(labels))), unique=True, min_size=1))
    by_label = grid.sel(**{name: [labels[i] for i in chosen]})
    assert by_label.axes == {**grid.axes, name: tuple(labels[i] for i in chosen)}
    assert outcome(lambda: by_label) == outcome(lambda: grid.isel(**{name: chosen}))
    for index in by_label.indices():
        labels_there = by_label.labels(index)
        assert outcome(lambda i=index: by_label[i]) == outcome(lambda w=labels_there: grid.sel(**w))
    stop = data.draw(st.integers(1, len(labels)))
    assert outcome(lambda: grid.isel(**{name: slice(stop)})) == outcome(
        lambda: grid.sel(**{name: list(labels[:stop])})
    )


@given(grids())
def test_every_cell_is_an_image_a_failure_or_missing(grid):
    assert len(grid) == len(list(grid))
    assert len(grid) + len(grid.failed) + len(grid.missing) == math.prod(grid.shape)
    everywhere = [tuple(grid.labels(index).values()) for index in grid.indices()]
    assert len(set(everywhere)) == len(everywhere)
    assert [labels for labels in everywhere if labels in grid.failed] == list(grid.failed)
    assert [labels for labels in everywhere if labels in grid.missing] == grid.missing
    records = grid.records()
    assert len(records) == len(grid)
    for record, image in zip(records, grid, strict=True):
        assert record["seed"] == image.seed
        labels = tuple(record[name] for name in grid.axes)
        assert grid.sel(**dict(zip(grid.axes, labels, strict=True))) is image


def test_an_axis_may_be_named_as_a_method_names_its_object():
    grid = grid_of(prompt="{self} {cls}", self=["a", "b"], cls="c")
    assert grid.sel(self="b") is grid.isel(self=1) is grid[1]
    assert grid.matching(self="b") == [(1,)]


def test_records_are_flat_and_hold_labels_recipe_and_provenance():
    grid = grid_of(prompt="a {color} star", color=["red"], size=OPTIONS["size"])
    record = grid.records()[1]
    assert record["color"] == "red"
    assert record["size"] == (64, 128)
    assert (record["width"], record["height"], record["prompt"]) == (64, 128, "a red star")
    assert (record["seconds"], record["path"]) == (1.5, "")
    assert set(nbtool.recipes.parameters.PARAMETERS) <= record.keys()


def test_a_record_keeps_both_where_a_word_is_called_as_something_else_is():
    words = {"path": ["road"], "seconds": [5], "image_path": ["x"]}
    grid = grid_of(prompt="a {path} {seconds} {image_path}", **words)
    (record,) = grid.records()
    assert (record["path"], record["seconds"], record["image_path"]) == ("road", "5", "x")
    assert (record["image_image_path"], record["image_seconds"]) == ("", 1.5)
    (record,) = grid_of(prompt=["a {c}"], c=["x"], guidance_scale={"low": 2}).records()
    assert (record["prompt"], record["image_prompt"]) == ("a {c}", "a x")
    assert (record["guidance_scale"], record["image_guidance_scale"]) == ("low", 2)
    assert record["seed"] == 1
    assert "image_seed" not in record


@pytest.mark.parametrize("index", [5, None, b"x", [1], 1.5, (0,), (0, 9), (0, "x"), (0, 1, 0)])
def test_what_is_no_index_is_refused(index):
    grid = grid_of(seed=[1, 2], guidance_scale=[1, 7], state=lambda _: MISSING)
    for ask in (grid.labels, grid.texts, grid.captions, grid.recipe):
        with pytest.raises(
            AxisError, match=r"a place on each axis \(seed 2, guidance_scale 2\), got"
        ):
            ask(index)
    with pytest.raises(AxisError, match="a place on each axis"):
        grid.cell([0, 1])
    for name in (5, ["seed"]):
        with pytest.raises(AxisError, match="rows and cols are names of axes, got"):
            grid.to_image(rows=name)


def test_indexing_with_fewer_positions_and_slices():
    grid = grid_of(seed=range(4), guidance_scale=[1, 3, 5])
    assert grid[1, :].axes == {"guidance_scale": (1.0, 3.0, 5.0)}
    assert grid[1:3, 0].axes == {"seed": (1, 2)}
    assert grid[::-1].axes["seed"] == (3, 2, 1, 0)
    assert grid[-1, 2].seed == 3
    assert grid[np.int64(1), np.int64(2)].recipe.guidance_scale == 5


def test_labels_are_found_whatever_number_type_they_come_in():
    grid = grid_of(seed=range(4), guidance_scale=[1, 3, 5])
    image = grid.sel(seed=2, guidance_scale=5.0)
    for seed, scale in itertools.product([2.0, np.int64(2)], [5, np.float64(5)]):
        assert grid.sel(seed=seed, guidance_scale=scale) is image


def found_as_shown(grid):
    """Whether every label is found as it is, and as it is shown; and none is shown as another."""
    for axis in grid._axes:
        assert len(set(axis.texts)) == len(axis)
        for position, (label, text) in enumerate(zip(axis.labels, axis.texts, strict=True)):
            looks = unicodedata.normalize("NFC", text)
            for asked in (label, text, looks, *([float(text)] if isinstance(label, float) else [])):
                assert axis.position(asked) == position, asked
    return True


LABELS = st.text(st.sampled_from("ae \u0301é\n\\n'("), max_size=4)


@given(st.lists(st.floats(0, 1e9), unique=True, min_size=1, max_size=9), st.sampled_from("fd"))
def test_fault_59_every_number_is_found_as_it_is_shown(numbers, width):
    scales = np.unique(np.array(numbers, dtype=width))
    assert found_as_shown(grid_of(guidance_scale=scales))


@given(st.lists(LABELS, unique=True, min_size=1, max_size=9))
def test_fault_59_every_word_is_found_as_it_is_shown(words):
    assert found_as_shown(grid_of(prompt="a {word}", word=words))


def test_fault_59_sums_and_32_bits_are_found_by_the_decimal():
    grid = grid_of(
        guidance_scale=np.arange(1, 1.5, 0.1), eta=np.array([0.1, 0.7], dtype=np.float32)
    )
    assert grid._axes[0].texts == ("1", "1.1", "1.2", "1.3", "1.4")
    image = grid.sel(guidance_scale=1.3, eta=0.7)
    assert image.recipe.guidance_scale == np.arange(1, 1.5, 0.1)[3] != 1.3
    assert image.recipe.eta == 0.7
    for scale, eta in itertools.product(
        ["1.3", np.float32(1.3)], ["0.7", np.float32(0.7), 0.1 * 7]
    ):
        assert grid.sel(guidance_scale=scale, eta=eta) is image
    for scale in (1.30001, "1.30001", True):
        with pytest.raises(AxisError, match=r"there are: 1, 1\.1, 1\.2, 1\.3, 1\.4"):
            grid.sel(guidance_scale=scale)


def test_fault_59_numbers_are_shown_with_as_many_digits_as_it_takes():
    assert grid_of(guidance_scale=[1234567, 1234568])._axes[0].texts == ("1234567", "1234568")
    close = grid_of(guidance_scale=[0.3, 0.1 + 0.2])
    assert close._axes[0].texts == ("0.3", "0.30000000000000004")
    assert close.sel(guidance_scale=0.1 + 0.2).recipe.guidance_scale != 0.3
    with pytest.raises(AxisError, match="no guidance_scale"):  # it may be either
        close.sel(guidance_scale=np.nextafter(0.3, 0))
    assert grid_of(guidance_scale=[1 / 3])._axes[0].texts == ("0.333333",)


def test_fault_59_whole_numbers_are_never_near():
    grid = grid_of(seed=[2**64 - 1, 10**16])
    for seed in (2**64 - 2, 10**16 + 1, float(2**64)):
        with pytest.raises(AxisError, match="no seed"):
            grid.sel(seed=seed)


def test_fault_59_texts_that_look_alike_are_spelled_out():
    words = ["a", "a ", "a  b", "a b", "", "(empty)", "e\u0301", "\u00e9", "\n", "\\n", "c"]
    texts = grid_of(prompt="{word}", word=words)._axes[0].texts
    assert texts[:4] == ("'a'", "'a '", r"'a \x20b'", "'a b'")
    assert texts[4:6] == ("''", "'(empty)'")
    assert texts[6:8] == (r"'e\u0301'", r"'\xe9'")
    assert texts[8:] == (r"'\n'", r"'\\n'", "c")


@pytest.mark.parametrize(
    "other",
    [
        "a\u200bb", "a\u00adb", "ab\u2060", "ab\ufeff", "ab ", "ab\u00a0", "ab\ufe0f", "a\u034fb", "ab\u3164",
        "a\u2800b", "ab\U000e0100", "\u0430b", "\uff41b", "ab\u180b",
    ],
)  # fmt: skip
def test_fault_59_labels_that_differ_in_what_nobody_sees_are_told_apart(other):
    grid = grid_of(prompt="{word}", word=["ab", other])
    assert found_as_shown(grid)
    assert all(text.isascii() for text in grid._axes[0].texts)
    (text,) = grid_of(prompt="{word}", word=["\u3164"])._axes[0].texts
    assert text == r"'\u3164'"


def test_labels_are_asked_for_as_they_were_given():
    grid = grid_of(prompt="{n} stars", n=[1, 2.5, "x"], scheduler=["Euler a", "DPM++ 2M Karras"])
    for n, scheduler in itertools.product(
        [2.5, "2.5", np.float32(2.5)], ["DPM++ 2M Karras", "dpm++2m_karras", "DPM++_2M_KARRAS"]
    ):
        assert grid.sel(n=n, scheduler=scheduler).recipe.prompt == "2.5 stars"
    assert grid.sel(n=1.0, scheduler="euler_a").recipe.prompt == "1 stars"
    assert grid.matching(n=2.5, scheduler=["Euler a"]) == [(1, 0)]  # as job.cancel asks
    sizes = grid_of(width=[64, 128], size=nbtool.paired(seed=[1, 2], eta=[0.5, 0.1 + 0.2]))
    assert sizes.sel(width="128", size=(2, 0.3)) is sizes.sel(width=128.0, seed="2", eta=0.3)
    assert sizes.sel(width=128, size="2 × 0.3") is sizes[1, 1]
    assert sizes.sel(width=(128, 64)).axes["width"] == (128, 64)
    assert sizes.sel(width=np.array([128])).axes["width"] == (128,)
    assert sizes.sel(width=(side for side in [128])).axes["width"] == (128,)


def test_letters_are_found_in_either_unicode_form():
    composed, apart = "\u00e9t\u00e9", "e\u0301te\u0301"
    grid = grid_of(prompt=f"a {{{composed}}}", **{apart: [apart, "x"]}, seed=[1])
    for name, label in itertools.product([composed, apart], repeat=2):
        assert grid.sel(**{name: label}, seed=1).recipe.prompt == f"a {apart}"
        assert grid.isel(**{name: 0}).axes == {"seed": (1,)}


@pytest.mark.parametrize(
    "mask",
    [
        [False, True, True], (False, True, True), np.array([False, True, True]),
        [np.bool_(0), np.bool_(1), True], (seed > 1 for seed in (1, 2, 3)),
    ],
    ids=lambda mask: type(mask).__name__,
)  # fmt: skip
def test_a_mask_chooses_where_it_is_true(mask):
    assert grid_of(seed=[1, 2, 3]).isel(seed=mask).axes == {"seed": (2, 3)}


def test_a_mask_and_an_array_of_positions_can_be_indices():
    grid = grid_of(seed=[1, 2, 3], eta=[0, 1])
    assert grid[[True, False, True]].axes["seed"] == (1, 3)
    assert grid[:, np.array([False, True])].axes["eta"] == (1,)
    assert grid[np.array([2, 0])].axes["seed"] == (3, 1)


@pytest.mark.parametrize(
    "positions",
    [
        [True], [True, False, True, False], [True, 1, 0], True, np.bool_(1), np.array(True), {0, 1},
        {0: True}, np.array([0.0]), np.array([[0, 1]]), [None], "01", [[0]], b"\0",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_position_and_no_mask_is_refused(positions):
    grid = grid_of(seed=[1, 2, 3])
    for lookup in (lambda: grid.isel(seed=positions), lambda: grid[positions]):
        with pytest.raises(AxisError, match="seed"):
            lookup()


def test_a_grid_is_walked_backwards_and_chosen_from():
    grid = grid_of(seed=range(4), eta=[0, 1], state=lambda i: MISSING if i == (1, 1) else MADE)
    assert list(reversed(grid)) == list(grid)[::-1]
    assert grid[0, 1] in grid
    assert all(random.Random(n).choice(grid) in list(grid) for n in range(20))
    for part in (grid, grid[1:3], grid.isel(eta=0)):
        assert set(random.sample(part, len(part))) == set(part)
        assert [part.index(image) for image in part] == list(range(len(part)))
    assert [grid[place] for place in range(-len(grid), 0)] == list(grid)
    with pytest.raises(AxisError, match="no image 7 among 7"):
        grid[7]


def test_a_grid_of_one_cell_has_no_axes():
    grid = grid_of(seed=3)
    assert (grid.axes, grid.shape, len(grid)) == ({}, (), 1)
    assert grid.isel() is grid.sel() is next(iter(grid))


def test_a_parameter_inside_a_paired_axis_can_be_named():
    grid = grid_of(size=OPTIONS["size"], seed=[1, 2])
    assert grid.sel(width=128).axes == {"seed": (1, 2)}
    assert grid.sel(width=128, seed=2).recipe.height == 64
    assert grid.sel(width=64).axes["size"] == ((64, 64), (64, 128))
    assert grid.sel(width=64, height=128, seed=1).recipe.height == 128
    assert grid.sel(height=128, width=64, seed=1).recipe.height == 128
    assert grid.sel(size=(64, 128), seed=1) is grid.sel(width=64, height=128, seed=1)


def test_a_list_for_a_parameter_inside_a_paired_axis_keeps_the_axis():
    grid = grid_of(size=OPTIONS["size"], seed=[1, 2])
    assert grid.sel(width=[128], seed=1).axes == {"size": ((128, 64),)}
    assert grid.sel(width=[64, 128]).shape == (3, 2)
    assert grid.sel(width=[64, 128], height=64, seed=1).axes == {"size": ((64, 64), (128, 64))}


@pytest.mark.parametrize(
    ("lookup", "message"),
    [
        (lambda g: g.sel(sed=1), "unknown axis 'sed'; did you mean 'seed'"),
        (lambda g: g.isel(sed=1), "unknown axis 'sed'; did you mean 'seed'"),
        (lambda g: g.sel(eta=1), "unknown axis 'eta'; there are: seed, size"),
        (lambda g: g.sel(seed=9), "no seed 9 in this grid; there are: 1, 2"),
        (lambda g: g.sel(seed=[1, 9]), "no seed 9 in this grid"),
        (lambda g: g.sel(seed="1-2"), "no seed '1-2' in this grid"),
        (lambda g: g.sel(seed={}), "no seed {} in this grid"),
        (lambda g: g.sel(width=[[64]]), r"no width \[\[64\]\] on the axis 'size'"),
        (lambda g: g.sel(size=(1, 2)), r"no size \(1, 2\) in this grid; there are: 64 × 64"),
        (lambda g: g.sel(width=8), "no width 8 on the axis 'size'"),
        (lambda g: g.sel(width=128, height=128), "no height 128 on the axis 'size'"),
        (lambda g: g.sel(seed=[]), "'seed' has no values"),
        (lambda g: g.sel(width=[]), r"no width \[\] on the axis 'size'"),
        (lambda g: g.isel(seed=2), "no position 2 on the axis 'seed' of length 2"),
        (lambda g: g.isel(seed="a"), "no position 'a'"),
        (lambda g: g.isel(seed=1.0), "no position 1.0"),
        (lambda g: g.isel(seed=[0, 0]), "twice"),
        (lambda g: g.isel(seed=slice(5, 9)), "'seed' has no values"),
        (lambda g: g[0, 0, 0], "3 positions for 2 axes"),
        (lambda g: g[-3, :], "no position -3"),
    ],
)
def test_a_lookup_that_finds_nothing_says_what_there_is(lookup, message):
    with pytest.raises(AxisError, match=message):
        lookup(grid_of(seed=[1, 2], size=OPTIONS["size"]))


def test_a_cell_that_failed_or_was_not_made_says_so():
    states = {(0,): MADE, (1,): FAILED, (2,): MISSING}
    grid = grid_of(seed=[4, 5, 6], state=states.get)
    with pytest.raises(GenerationError, match=r"failed at \(1,\)"):
        grid.sel(seed=5)
    with pytest.raises(
        Cancelled, match="the image at seed=6 was not made; run the same grid again"
    ):
        grid.sel(seed=6)
    assert list(grid.failed) == [(5,)]
    assert grid.missing == [(6,)]
    assert len(grid.sel(seed=[5, 6])) == 0
    assert repr(grid) == "<Grid 'a star': seed 3; 1 image, 1 failed, 1 not made>"


def test_fault_02_looking_at_a_failed_cell_pins_no_traceback():
    grid = grid_of(seed=[4, 5], state=lambda _: FAILED)
    for _ in range(2):
        with pytest.raises(GenerationError):
            grid.sel(seed=4)
    assert all(error.__traceback__ is None for error in grid.failed.values())


HOSTILE = "\x1b[31mred\x1b[0m\n\u202e<b>\ud800"


def test_fault_36_escapes_in_prompts_labels_and_axis_names_are_spelled_out():
    swap = nbtool.replace(HOSTILE, ["blue"])
    grid = grid_of(
        swap, prompt=f"a {HOSTILE}", seed=[1, 2], state=lambda i: MISSING if i[1] else MADE
    )
    shown = [repr(grid), repr(grid.isel(seed=0)), repr(grid[0, 0]), grid[0, 0].caption]
    for lookup in (
        lambda: grid[0, 1],
        lambda: grid.sel(**{HOSTILE: "nothing"}),
        lambda: grid.sel(nothing=1),
        lambda: grid.isel(**{HOSTILE: 9}),
    ):
        with pytest.raises((AxisError, Cancelled)) as caught:
            lookup()
        shown.append(str(caught.value))
    for text in shown:
        assert text.isprintable(), text
        assert "x1b[31m" in text


def test_fault_36_a_repr_holds_no_address():
    grid = grid_of(seed=[1])
    assert repr(grid) == "<Grid 'a star': seed 1; 1 image>"
    assert repr(grid_of(seed=1)) == "<Grid 'a star': 1 image>"
    assert repr(grid[0]) == (
        "<GeneratedImage: a star · seed 1 · guidance 5 · 20 steps · ddim · 64×64>"
    )
    assert "0x" not in repr(Recipe())
