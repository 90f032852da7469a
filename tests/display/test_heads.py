"""Pictures that an axis sets are seen at its labels, wherever the grid is shown."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.image import AxesImage
from PIL import Image

import nbtool
from nbtool.display import heads
from nbtool.display.bundle import grid_html
from nbtool.display.heads import EDGE, MANY, Heads
from nbtool.display.sheet import contact_sheet
from nbtool.recipes.picture import Picture
from nbtool.testing import FakeEngine

COLOURS = {"ruby": (224, 17, 95), "teal": (0, 128, 129), "gold": (212, 175, 55)}
SOURCE = re.compile(r'<img src="data:image/\w+;base64,([\w+/=]+)" width="\d+" height="\d+" alt="">')


@pytest.fixture
def pictures(tmp_path):
    """Files of one colour each, wide ones and tall ones."""
    for number, (name, colour) in enumerate(COLOURS.items()):
        size = (64, 32) if number % 2 else (32, 64)
        Image.new("RGB", size, colour).save(tmp_path / f"{name}.png")
    return [tmp_path / f"{name}.png" for name in COLOURS]


def colour_of(image):
    return tuple(int(part) for part in np.asarray(image.convert("RGB"))[image.height // 2, 0])


def places_of(colour, image):
    """Top and left of the first pixel of a colour; None if it is not there."""
    found = np.argwhere((np.asarray(image.convert("RGB")) == colour).all(axis=-1))
    return tuple(found[0]) if len(found) else None


def shown_in(html):
    found = [Image.open(io.BytesIO(base64.b64decode(data))) for data in SOURCE.findall(html)]
    return [min(COLOURS, key=lambda name: distance(name, image)) for image in found]


def distance(name, image):
    return np.abs(np.subtract(COLOURS[name], colour_of(image))).sum()


@pytest.mark.parametrize(
    "axes",
    [
        {"strength": [0.3, 0.6], "image": None},
        {"image": None, "strength": [0.3, 0.6]},
        {"image": None, "strength": [0.3, 0.6], "seed": [1, 2]},
        {"image": None},
    ],
    ids=["across", "down", "sections", "alone"],
)
def test_each_label_of_pictures_has_its_picture(make_grid, pictures, axes):
    grid = make_grid("a fox", **(axes | {"image": pictures}))
    assert shown_in(grid_html(grid)) == list(COLOURS)
    sheet = contact_sheet(grid)
    plain = contact_sheet(grid, inputs=False)
    for colour in COLOURS.values():
        assert places_of(colour, sheet)
        assert not places_of(colour, plain)
    assert len(grid.figure().axes[0].findobj(AxesImage)) == len(grid) + len(COLOURS)


def test_pictures_stand_above_and_beside_their_labels(make_grid, pictures):
    across = contact_sheet(make_grid("a fox", strength=[0.3, 0.6], image=pictures))
    lefts = [places_of(colour, across)[1] for colour in COLOURS.values()]
    assert lefts == sorted(lefts)
    down = contact_sheet(make_grid("a fox", image=pictures, strength=[0.3, 0.6]))
    tops = [places_of(colour, down)[0] for colour in COLOURS.values()]
    assert tops == sorted(tops)
    assert max(places_of(colour, down)[1] for colour in COLOURS.values()) < down.width / 2


def test_a_picture_and_its_mask_stand_side_by_side(make_grid, pictures):
    masks = [Image.new("L", (64, 64), gray) for gray in (0, 255)]
    grid = make_grid("a fox", nbtool.paired(image=pictures[:2], mask_image=masks), seed=[1, 2])
    pairs = [Heads(grid).at("image_mask_image", position) for position in (0, 1)]
    assert [colour_of(pair) for pair in pairs] == list(COLOURS.values())[:2]
    assert [pair.getpixel((pair.width - 1, 32))[0] for pair in pairs] == [0, 255]


def test_a_label_is_there_though_its_picture_is_gone(make_grid, pictures, monkeypatch):
    monkeypatch.setattr("nbtool.display.heads._kept", {})  # by other tests
    grid = make_grid("a fox", image=pictures, strength=[0.3, 0.6])
    pictures[1].unlink()
    html = grid_html(grid)
    assert shown_in(html) == ["ruby", "gold"]
    assert "teal" in html
    assert not places_of(COLOURS["teal"], contact_sheet(grid))


def test_a_picture_that_is_made_first_is_seen_once_it_is_made(tmp_path):
    gen = nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images")
    first = [nbtool.Recipe(prompt="a fox", seed=seed) for seed in (1, 2)]
    grid = gen.grid("a bear", image=first, strength=0.5, seed=1)
    seen = [Heads(grid).at("image", position) for position in (0, 1)]
    assert [image.tobytes() for image in seen] == [gen(recipe).image.tobytes() for recipe in first]


def test_small_pictures_are_small_and_not_too_many(make_grid):
    clear = Image.new("RGBA", (600, 300), (255, 0, 0, 0))
    several = [
        Picture(clear, name="clear"),
        *(Picture(np.full((8, 8), i, "u1")) for i in range(110)),
    ]
    found = Heads(make_grid("a fox", image=several, seed=1))
    assert found.at("image", 0).size == (EDGE, EDGE // 2)
    assert colour_of(found.at("image", 0)) == (255, 255, 255)
    assert found.at("image", MANY - 1)
    assert found.at("image", MANY) is None
    assert found.at("seed", 0) is None


def test_a_large_picture_is_read_once_for_all_views(make_grid, tmp_path, monkeypatch):
    monkeypatch.setattr("nbtool.display.heads._kept", {})
    read = []
    monkeypatch.setattr(
        Picture, "image", property(lambda one: read.append(one) or Image.new("L", one.size))
    )
    grid = make_grid("a fox", image=[np.full((8, 8), i, "u1") for i in range(3)], seed=1)
    for _ in range(2):
        grid_html(grid)
        contact_sheet(grid)
    assert len(read) == 3
    monkeypatch.setattr("nbtool.display.heads.KEPT", 2)
    others = make_grid("a fox", image=[np.full((8, 8), i, "u1") for i in range(9)], seed=1)
    assert grid_html(others).count('alt=""') == 9
    assert len(heads._kept) == 2


@pytest.mark.parametrize("name", ["sheet.png", "sheet.svg"])
def test_a_sheet_has_them_unless_they_are_to_be_left_out(make_grid, pictures, tmp_path, name):
    grid = make_grid("a fox", image=pictures, strength=[0.3, 0.6])
    both = [grid.save(tmp_path / name, inputs=inputs).read_bytes() for inputs in (None, False)]
    assert both[0] != both[1]
    assert grid.save(tmp_path / name, inputs=True).read_bytes() == both[0]
    if name.endswith("png"):
        plain = Image.open(io.BytesIO(both[1]))
        assert not any(places_of(colour, plain) for colour in COLOURS.values())
    else:
        assert [data.count(b"<image ") for data in both] == [6 + 3, 6]
