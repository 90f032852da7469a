"""Pictures that an axis sets stand at its labels in the viewer, wherever the axis lies."""

from __future__ import annotations

import pytest
from accessible import violations
from pages import make_grid
from PIL import Image
from playwright.sync_api import expect

from nbtool.live.view import GridView
from nbtool.recipes.picture import Picture

COLOURS = ["ruby", "teal", "gold"]
SHOWN = (
    "images => images.map(image => image.complete && image.naturalWidth > 0 && image.clientHeight)"
)


@pytest.fixture(scope="module")
def grid():
    sizes = zip(COLOURS, [(64, 64), (64, 16), (16, 64)], strict=True)
    pictures = [Picture(Image.new("RGB", size, "teal"), name=name) for name, size in sizes]
    varied = {"image": pictures, "strength": [0.3, 0.6], "seed": [1, 2]}
    return make_grid("a fox", varied | {"guidance_scale": 5})


def heads(where):
    """How high the pictures at labels are, once they are there."""
    expect(where.locator("img").first).to_be_visible()
    return where.locator("img").evaluate_all(SHOWN)


def apart(labels):
    """Whether no picture lies over the words of its label."""
    boxes = [[label.locator(p).bounding_box() for p in ("span", "img")] for label in labels.all()]
    return not any(
        overlap(*pair, "x", "width") > 0 and overlap(*pair, "y", "height") > 0 for pair in boxes
    )


def overlap(one, other, start, length):
    ends = (box[start] + box[length] for box in (one, other))
    return min(ends) - max(one[start], other[start])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pictures_stand_at_the_labels_of_every_side(opened, grid, scheme):
    page = opened(grid, inputs=True, color_scheme=scheme)
    for where, side in (("down", ".side"), ("across", ".head")):
        page.get_by_label(f"Add an axis {where}").select_option("Picture")
        labels = page.locator(f"{side} .label").filter(has=page.locator("img"))
        expect(labels.first).to_be_visible()
        assert set(heads(labels)) == {40}
        assert apart(labels)
        assert violations(page, "html") == []
    page.get_by_label("Blocks", exact=True).select_option("Picture")
    headings = page.locator(".label.heading")
    expect(headings).to_have_text([f"Picture {name}" for name in COLOURS])
    assert heads(headings) == [24] * 3
    assert apart(headings)


def test_a_page_that_is_turned_has_the_picture_of_its_value(opened, grid):
    page = opened(grid, inputs=True)
    page.get_by_label("Rows", exact=True).select_option("–")
    pager = page.get_by_label("Pages").locator(".zone").filter(has=page.locator("img"))
    expect(pager).to_have_count(1)
    first = pager.locator("img").get_attribute("src")
    assert heads(pager) == [28]
    pager.get_by_label("Next Picture").click()
    expect(pager.get_by_label("Picture", exact=True)).to_have_value("1")
    expect(pager.locator("img")).not_to_have_attribute("src", first)
    assert violations(page, "html") == []


def test_a_single_axis_has_them_beside_its_captions(opened, grid):
    page = opened(grid.sel(seed=1, strength=0.3), inputs=True)
    captions = page.locator(".caption")
    expect(captions).to_have_text(COLOURS)
    assert heads(captions) == [40] * 3
    assert violations(page, "html") == []


def test_a_page_for_others_has_none(opened, grid):
    page = opened(grid.sel(seed=1), inputs=False)
    expect(page.locator(".side .label")).to_have_text(COLOURS)
    expect(page.locator(":is(.label, .caption) img")).to_have_count(0)


def test_a_notebook_has_them(grid):
    told = {axis["name"]: axis.get("pictures") for axis in GridView(grid).info["axes"]}
    assert [picture[:22] for picture in told["image"]] == ["data:image/webp;base64"] * 3
    assert told["seed"] is None
