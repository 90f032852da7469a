from __future__ import annotations

import pytest
from PIL import Image, ImageChops

from nbtool.display import sheet
from nbtool.display.layout import arrange
from nbtool.display.lettering import fitted, width, wrapped
from nbtool.errors import AxisError
from nbtool.grid import Grid
from nbtool.recipes.axes import paired

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
