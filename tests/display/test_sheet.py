from __future__ import annotations

import itertools

import pytest
from PIL import Image, ImageChops

from nbtool.display import fonts, sheet
from nbtool.display.composing import compose
from nbtool.display.layout import arrange
from nbtool.display.lettering import fitted, told_apart, width, wrapped
from nbtool.errors import AxisError
from nbtool.grid import Grid
from nbtool.recipes.axes import paired
from nbtool.text import ellipsized

AXES = {"color": ("red", "blue"), "seed": (0, 1, 2), "eta": (0.0, 0.5)}


def test_the_last_axis_goes_across_and_the_one_before_it_down():
    layout = arrange(AXES)
    assert (layout.rows, layout.cols, layout.sections) == ("seed", "eta", ("color",))
    assert [block.heading for block in layout.blocks()] == ["color red", "color blue"]


@pytest.mark.parametrize(
    ("rows", "cols", "expected"),
    [
        ("eta", None, ("eta", "seed", ("color",))),
        (None, "color", ("eta", "color", ("seed",))),
        ("color", "seed", ("color", "seed", ("eta",))),
    ],
)
def test_named_axes_take_their_place_and_the_others_fill_in(rows, cols, expected):
    layout = arrange(AXES, rows, cols)
    assert (layout.rows, layout.cols, layout.sections) == expected


def test_every_cell_is_in_exactly_one_place():
    for layout in (arrange(AXES), arrange(AXES, "color", "eta"), arrange({"seed": range(23)})):
        found = [
            layout.index(block, row, col)
            for block in layout.blocks()
            for row in block.rows
            for col in block.cols
        ]
        assert len(found) == len(set(found)) == (23 if "eta" not in layout.axes else 12)


def test_a_long_axis_is_wrapped_into_even_lines():
    lines = [list(block.cols) for block in arrange({"seed": range(12)}).blocks()]
    assert lines == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]


def _composed(grid):
    """Where each text of a sheet is: left edge and baseline."""
    layout = arrange(grid.axes, swept=grid.swept)
    found = {}
    for text in compose(grid, layout, (64, 64), 1, sheet.LIMITS).texts:
        found.setdefault(text.text, []).append((text.x, text.y))
    return found


def test_blocks_lie_as_fits_a_screen_each_with_its_axes_named(make_grid):
    color = ["red", "blue", "white"]
    square = _composed(make_grid("a {color} star", color=color, seed=[1, 2], guidance_scale=[1, 3]))
    [[red], [blue], [white]] = (square[f"color {name}"] for name in color)
    assert red[0] < blue[0] < white[0]
    assert red[1] == blue[1] == white[1]
    assert len(square["Guidance"]) == len(square["Seed"]) == 3
    wide = _composed(make_grid("a {color} star", color=color, seed=[1], guidance_scale=range(12)))
    [[red], [blue], [white]] = (wide[f"color {name}"] for name in color)
    assert red[0] == blue[0] == white[0]
    assert red[1] < blue[1] < white[1]
    assert len(wide["Guidance"]) == 3
    four = make_grid(
        "a {color} star", color=color, seed=[1, 2], guidance_scale=[1, 3], eta=[0, 1]
    )  # fmt: skip
    places = _composed(four)
    assert len({places[f"color {name} · Seed 1"][0][0] for name in color}) == 1  # a line for each


def test_what_stands_above_blocks_goes_on_after_the_same_axis_everywhere(make_grid):
    axes = {"color": ["red", "transparent"], "eta": [0, 1], "seed": range(8, 12)}
    grid = make_grid("a {color} star", **axes, clip_skip=[0, 1], guidance_scale=[1, 3])
    places = _composed(grid)
    for color, eta in itertools.product(axes["color"], axes["eta"]):
        assert len(places[f"color {color} · Eta {eta}"]) == 4
    for seed in axes["seed"]:
        assert len(places[f"Seed {seed}"]) == 4


def test_a_paired_axis_says_which_number_is_what(make_grid):
    size = paired(width=[128, 64], height=[64, 128])
    places = _composed(make_grid("a star", size, seed=[1], guidance_scale=[1, 3]))
    assert {"Width 128 · Height 64", "Width 64 · Height 128"} <= places.keys()
    assert "Width × Height" in _composed(make_grid("a star", size, seed=[1, 2]))


def test_an_unknown_axis_is_refused_with_the_near_one(make_grid):
    grid = make_grid("a star", seed=[1, 2], guidance_scale=[1, 3])
    with pytest.raises(AxisError, match="did you mean 'seed'"):
        grid.to_image(rows="seeds")
    with pytest.raises(AxisError, match="two different axes"):
        grid.to_image(rows="seed", cols="seed")
    with pytest.raises(AxisError, match="no axes"):
        make_grid("a star").to_image(rows="seed")


def test_text_is_wrapped_and_shortened_to_fit():
    lines = wrapped("one two three " * 40, 14, 200, 3)
    assert len(lines) == 3
    assert lines[-1].endswith("…")
    assert all(width(line, 14) <= 200 for line in lines)
    assert fitted("short", 14, 200) == "short"
    assert len(wrapped("x" * 5000, 14, 100, 4)) == 4


LONG = "boats with folded sails, wet stones, gulls over the pier, thin fog, a lighthouse far away"


@pytest.mark.parametrize(
    "texts",
    [
        [LONG, f"{LONG}, at night"],
        [f"{LONG}, at night", f"{LONG}, at noon", LONG],
        [f"{n} {LONG} {m}" for n in range(3) for m in range(3)],
        [f"{LONG} {LONG} {word} {LONG}" for word in ("red", "blue")],
        [f"{LONG} {n:05}" for n in range(300)],
        [LONG[:-1] + end for end in ("e\u0301", "e\u0300")],
        ["x" * n for n in range(40, 50)],
        [f"{LONG}\n{n}" for n in "ab"],
        [*(f"a{LONG}{n}" for n in "ab"), *(f"b{LONG}{n}" for n in "ab")],
    ],
    ids=lambda texts: f"{len(texts)}-{len(texts[0])}",
)
@pytest.mark.parametrize("length", [8, 24])
def test_cut_texts_are_told_apart(texts, length):
    short = told_apart(texts, lambda text: ellipsized(text, length))
    assert list(short) == texts
    assert len(set(short.values())) == len(texts)
    assert all(len(text) <= length for text in short.values())


def test_what_is_cut_out_is_what_texts_have_in_common():
    short = told_apart([LONG, f"{LONG}, at night", "a star"], lambda text: ellipsized(text, 24))
    assert list(short.values()) == ["boats with…away", "boats with…away, at nig…", "a star"]
    far_apart = [
        f"a fine {one} star in {LONG}, {other}" for one in ("red", "blue") for other in "xy"
    ]
    short = told_apart(far_apart, lambda text: ellipsized(text, 12))
    assert list(short.values()) == ["… red … x", "… red … y", "… blue … x", "… blue … y"]


@pytest.mark.parametrize("rows", [None, "prompt", "seed"])
def test_fault_59_labels_that_are_cut_differ_on_the_sheet(make_grid, rows):
    prompts = [f"{LONG}, {LONG}{end}" for end in ("", " at night")]
    one, other = (
        make_grid(given, seed=[1], missing=[0, 1]).to_image(rows=rows)
        for given in (prompts, prompts[::-1])
    )
    assert one.tobytes() != other.tobytes()


def test_letters_are_drawn_with_a_font_that_has_them(make_grid, install):
    install("Wedge Sans", "赤星")
    install("Other Wedges", "别กข")
    words = ["赤 star 星", "别", "กข赤", "красный"]
    grid = make_grid("a {word}", word=words, seed=[1])
    used = [[(face.family, piece) for face, piece in fonts.pieces(word)] for word in words]
    usual = "DejaVu Sans"
    assert used == [
        [("Wedge Sans", "赤"), (usual, " star "), ("Wedge Sans", "星")],
        [("Other Wedges", "别")],
        [("Other Wedges", "กข"), ("Wedge Sans", "赤")],
        [(usual, "красный")],
    ]
    assert width("赤星", 20) == 40
    turned = make_grid("a {word}", word=["星 star 赤", *words[1:]], seed=[1])
    assert grid.to_image().tobytes() != turned.to_image().tobytes()


def test_letters_that_no_font_has_are_spelled_out_and_it_is_said_once(make_grid, bare):
    assert fitted("赤い x", 12, 500) == r"\u8d64\u3044 x"
    assert fitted("🌟", 12, 500) == r"\U0001f31f"
    plain = make_grid("a {word}", word=["a", "b"], seed=[1]).to_image()
    one, other = (
        make_grid("a {word}", word=words, seed=[1]).to_image()
        for words in (["赤", "星"], ["星", "赤"])
    )
    assert one.tobytes() != other.tobytes()
    assert one.height > plain.height


def test_pictures_stand_unchanged_on_the_sheet(make_grid):
    grid = make_grid("a star", seed=[1, 2], width=128, height=128)
    image = grid.to_image()
    for cell in grid:
        assert _holds(image, cell.image)


def test_small_pictures_are_enlarged_by_a_whole_number(make_grid):
    grid = make_grid("a star", seed=[1], width=32, height=32)
    enlarged = next(iter(grid)).image.resize((96, 96), Image.Resampling.NEAREST)
    assert _holds(grid.to_image(), enlarged)


def test_pictures_of_different_sizes_keep_them(make_grid):
    size = paired(width=[128, 64], height=[64, 128])
    grid = make_grid("a star", size, seed=[1])
    image = grid.to_image(rows="width_height")
    for cell in grid:
        assert _holds(image, cell.image)


@pytest.mark.parametrize(
    "parameters",
    [
        {"seed": range(20_000)},
        {"seed": range(300), "guidance_scale": range(300)},
        {"seed": range(30_000), "guidance_scale": [1, 2]},
        {"seed": range(1000), "eta": [0, 1], "num_inference_steps": range(1, 20)},
    ],
)
def test_a_sheet_stays_within_its_bounds(make_grid, parameters):
    full = make_grid("a star", seed=[1])
    grid = make_grid("a star", missing=range(100_000), **parameters)
    some = Grid(grid.base, grid._axes, {(0,) * len(grid.shape): next(iter(full))})
    image = some.to_image()
    assert max(image.size) <= sheet.MAX_SIDE
    assert image.width * image.height <= sheet.MAX_AREA


def test_failed_missing_and_unreadable_cells_leave_a_sheet(make_grid, tmp_path):
    grid = make_grid("a star", seed=range(4), failed=[1], missing=[2])
    next(iter(grid))._png = b"not a picture"
    gone = list(grid)[-1]
    gone._png, gone.path = None, tmp_path / "gone.png"
    assert grid.to_image().size[0] > 4 * 64
    nothing = make_grid("a star", seed=range(4), missing=range(4))
    assert nothing.to_image().size[0] > 4 * 64
    assert make_grid("a star").to_image().size[0] > 64


def test_fault_36_hostile_text_is_drawn_as_text(hostile):
    for rows in hostile.axes:
        assert hostile.to_image(rows=rows).mode == "RGB"


def _holds(sheet, picture):
    """True when the picture is somewhere on the sheet, pixel for pixel."""
    for x in range(sheet.width - picture.width + 1):
        for y in range(sheet.height - picture.height + 1):
            if sheet.getpixel((x, y)) != (250, 250, 250):
                continue
            crop = sheet.crop((x, y, x + picture.width, y + picture.height))
            if ImageChops.difference(crop, picture).getbbox() is None:
                return True
    return False
