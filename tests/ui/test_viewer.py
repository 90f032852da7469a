"""What the viewer can do, tried on saved pages: it is the same in a notebook."""

from __future__ import annotations

import json
import re
from urllib.parse import unquote

import pytest
from accessible import violations
from pages import make_grid
from playwright.sync_api import expect

from nbtool.recipes.axes import paired

SHAPE = """stage => {
  const image = stage.querySelector("img");
  const box = image.getBoundingClientRect(), room = stage.getBoundingClientRect();
  return [box.width / image.naturalWidth, getComputedStyle(image).imageRendering,
          box.left - room.left, box.width <= room.width && box.height <= room.height];
}"""

BELOW = """() => {
  const [one, other] = document.querySelectorAll(".label.heading");
  return other && one.style.left === other.style.left && one.style.top !== other.style.top;
}"""

SIDE_BY_SIDE = """() => {
  const [one, other] = [...document.querySelectorAll(".cell")].map(cell => cell.getBoundingClientRect());
  return other && one.y === other.y && one.x < other.x;
}"""


@pytest.fixture(scope="module")
def grid():
    parameters = {"color": ["red", "blue"], "seed": range(3), "guidance_scale": [1, 3, 5, 7]}
    return make_grid("a {color} star", parameters, failed=[1], missing=[6])


def _arranged(page):
    """How the axes lie, as the address keeps it."""
    kept = json.loads(unquote(page.url.split("#")[1]))
    return kept["rows"], kept["cols"], kept["blocks"], kept["hidden"]


def test_several_axes_lie_on_one_side_by_choice_by_drag_and_by_keys(opened, grid):
    page = opened(grid)
    inner, outer = page.locator(".head .label.inner"), page.locator(".head .label.outer")
    page.get_by_label("Add an axis across").select_option("color")
    expect(outer).to_have_text(["1", "3", "5", "7"])
    expect(inner).to_have_text(["red", "blue"] * 4)
    expect(page.get_by_role("group", name="Pages")).to_be_hidden()
    expect(page.locator(".cell")).to_have_count(24)
    page.get_by_role("button", name="Move color").press("ArrowUp")
    expect(outer).to_have_text(["red", "blue"])
    expect(page.get_by_role("status").filter(has_text="color")).to_have_text(
        "color: Columns, 1 of 2"
    )
    expect(page.locator(":focus")).to_have_attribute("aria-label", "Move color")
    page.get_by_role("button", name="Move color").drag_to(page.get_by_label("Add an axis down"))
    expect(page.locator(".side .label.outer")).to_have_text(["0", "1", "2"])
    expect(page.locator(".side .label.inner")).to_have_text(["red", "blue"] * 3)
    assert _arranged(page)[:3] == ([1, 0], [2], [])
    page.get_by_label("color blue · Seed 2 · Guidance 7").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(":focus")).to_have_attribute(
        "aria-label", "color red · Seed 2 · Guidance 7"
    )
    page.reload()
    expect(page.locator(".side .label.inner")).to_have_text(["red", "blue"] * 3)
    page.evaluate(
        "kept => { location.hash = encodeURIComponent(JSON.stringify(kept)); }",
        {"rows": 1, "cols": [2], "blocks": [], "hidden": [[], [], []]},  # rows are a list
    )
    page.reload()
    expect(page.locator(".side .label.inner")).to_have_text(["0", "1", "2"])


def test_values_are_hidden_said_and_brought_back(opened, grid):
    page = opened(grid)
    page.get_by_text("Values").click()
    page.get_by_role("group", name="Guidance").get_by_label("3").uncheck()
    for seed in "01":
        page.get_by_role("group", name="Seed").get_by_label(seed).uncheck()
    expect(page.get_by_role("group", name="Seed").get_by_label("2")).to_be_disabled()  # one stays
    expect(page.locator(".head .label")).to_have_text(["1", "5", "7"])
    expect(page.locator(".side .label")).to_have_text(["2"])
    page.keyboard.press("Escape")
    page.locator(".cell").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(":focus")).to_have_attribute(
        "aria-label", "color red · Seed 2 · Guidance 5"
    )
    hidden = page.get_by_role("group", name="Hidden values")
    expect(hidden).to_have_text(re.compile("^Hidden:.*Seed 0.*Seed 1.*Guidance 3"))
    page.reload()
    hidden.get_by_role("button", name="Show Guidance 3 again").click()
    expect(page.locator(".head .label")).to_have_text(["1", "3", "5", "7"])
    page.locator(".side .label").hover()
    expect(page.get_by_role("button", name="Hide Seed 2")).to_have_count(0)  # the last one stays
    page.locator(".head .label").nth(2).hover()
    page.get_by_role("button", name="Hide Guidance 5").click()
    expect(page.locator(".head .label")).to_have_text(["1", "3", "7"])
    hidden.get_by_role("button", name="Show all values again").click()
    expect(hidden).to_be_hidden()
    expect(page.locator(".cell")).to_have_count(12)


def test_a_third_axis_lies_in_blocks_side_by_side(opened, grid):
    page = opened(grid)
    page.get_by_label("Blocks", exact=True).select_option("color")
    headings = page.locator(".label.heading")
    expect(headings).to_have_text(["color red", "color blue"])
    boxes = [headings.nth(n).bounding_box() for n in range(2)]
    assert boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"]
    expect(page.locator(".head .label")).to_have_text(["1", "3", "5", "7"] * 2)
    page.get_by_label("color red · Seed 0 · Guidance 7").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(":focus")).to_have_attribute(
        "aria-label", "color blue · Seed 0 · Guidance 1"
    )
    page.set_viewport_size({"width": 420, "height": 800})
    page.wait_for_function(BELOW)
    page.reload()
    expect(headings.first).to_have_text("color red")


def test_shift_and_clicks_select_a_range(opened, grid):
    page = opened(grid)
    selected = page.locator(".cell.selected")
    page.get_by_label("color red · Seed 0 · Guidance 1").click(modifiers=["Control"])
    page.get_by_label("color red · Seed 1 · Guidance 5").click(modifiers=["Shift"])
    expect(selected).to_have_count(6)
    page.get_by_label("color red · Seed 0 · Guidance 3").click(modifiers=["Shift"])
    expect(selected).to_have_count(2)
    page.keyboard.press("Shift+ArrowDown")
    expect(selected).to_have_count(4)
    page.keyboard.press("Control+a")
    expect(selected).to_have_count(12)
    page.get_by_label("Show", exact=True).select_option("selected")
    expect(page.locator(".cell")).to_have_count(12)


def test_an_enlarged_picture_is_crisp_and_can_be_zoomed_moved_and_turned(opened, grid):
    page = opened(grid)
    page.get_by_label("color red · Seed 0 · Guidance 5").click()
    dialog = page.get_by_role("dialog", name="Enlarged image")
    stage, heading = dialog.locator(".stage"), dialog.get_by_role("heading")
    expect(stage.locator("img.pixels")).to_be_visible()
    scale, rendering, _, fits = stage.evaluate(SHAPE)
    assert (scale, rendering, fits) == (int(scale), "pixelated", True)
    page.keyboard.press("1")
    assert stage.evaluate(SHAPE)[:2] == [1, "auto"]
    stage.dblclick(position={"x": 10, "y": 10})
    page.keyboard.press("0")
    for key in "+++":
        page.keyboard.press(key)
    left = stage.evaluate(SHAPE)[2]
    assert not stage.evaluate(SHAPE)[3]
    page.keyboard.press("ArrowRight")  # moves the picture, not on to the next
    assert stage.evaluate(SHAPE)[2] == left - 80
    expect(heading).to_have_text("color red · Seed 0 · Guidance 5")
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 230, box["y"] + 200)
    page.mouse.up()
    assert stage.evaluate(SHAPE)[2] == left - 50
    before = stage.evaluate(SHAPE)[0]
    page.mouse.wheel(0, -100)
    page.wait_for_function(f"document.querySelector('.stage img').width > {64 * before}")
    page.keyboard.press("0")
    dialog.get_by_role("button", name="Next", exact=True).click()
    expect(heading).to_have_text("color red · Seed 0 · Guidance 7")
    expect(dialog.locator(".count")).to_have_text("4 of 24")
    page.keyboard.press("Escape")
    expect(page.locator(":focus")).to_have_attribute(
        "aria-label", "color red · Seed 0 · Guidance 7"
    )


def test_a_finger_swipes_to_the_next_picture_and_two_zoom(opened, grid):
    page = opened(grid, has_touch=True, is_mobile=True, device_scale_factor=2)
    page.get_by_label("color red · Seed 0 · Guidance 5").tap()
    dialog = page.get_by_role("dialog", name="Enlarged image")
    expect(dialog.locator(".stage img")).to_be_visible()
    touch = page.context.new_cdp_session(page)

    def fingers(kind, *points):
        places = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    def move(first, last):
        fingers("touchStart", *first)
        fingers("touchMove", *last)
        fingers("touchEnd")

    move([(500, 300)], [(300, 305)])
    expect(dialog.get_by_role("heading")).to_have_text("color red · Seed 0 · Guidance 7")
    move([(300, 300)], [(500, 305)])
    expect(dialog.get_by_role("heading")).to_have_text("color red · Seed 0 · Guidance 5")
    move([(300, 300), (400, 300)], [(250, 300), (450, 300)])
    before = dialog.locator(".scales").inner_text()
    move([(500, 300)], [(300, 305)])  # moves the picture now
    expect(dialog.get_by_role("heading")).to_have_text("color red · Seed 0 · Guidance 5")
    assert dialog.locator(".scales").inner_text() == before


@pytest.mark.parametrize("label", ["Seed 0 · Guidance 3", "Seed 1 · Guidance 5"])
def test_a_cell_without_an_image_shows_its_recipe_and_offers_nothing_a_page_cannot_do(
    opened, grid, label
):
    """One that failed, and one that was not made."""
    page = opened(grid)
    page.get_by_label(label).click()
    dialog = page.get_by_role("dialog", name="Enlarged image")
    expect(dialog.get_by_role("rowheader", name="Guidance")).to_have_attribute(
        "title", "guidance_scale"
    )
    expect(dialog.get_by_role("row", name="Prompt")).to_contain_text("a red star")
    expect(dialog.get_by_role("button", name="Copy as Python")).to_be_visible()
    for name in ("Try again", "Star"):
        expect(dialog.get_by_role("button", name=name)).to_have_count(0)


def test_an_axis_plays_until_it_is_paused(opened, grid):
    page = opened(grid)
    page.clock.install()
    color = page.get_by_label("color", exact=True)
    page.get_by_role("button", name="Play color").click()
    page.clock.run_for(1001)
    expect(color).to_have_value("1")
    page.get_by_label("Seconds for each").first.select_option("½ s")
    page.clock.run_for(1001)
    page.get_by_role("button", name="Pause color").click()
    here = color.input_value()
    page.clock.run_for(5000)
    expect(color).to_have_value(here)
    page.get_by_label("Seed 2 · Guidance 7").click()
    dialog = page.get_by_role("dialog", name="Enlarged image")
    dialog.get_by_role("button", name="Play pictures").click()
    dialog.get_by_label("Play along").select_option("Seed")
    page.clock.run_for(1001)
    expect(dialog.get_by_role("heading")).to_contain_text("Seed 0 · Guidance 7")
    page.keyboard.press("Escape")
    page.clock.run_for(5000)
    expect(page.locator(":focus")).to_have_attribute(
        "aria-label", re.compile("Seed 0 · Guidance 7")
    )


def test_a_paired_axis_says_what_each_number_is(opened):
    size = paired(width=[64, 128], height=[128, 64])
    page = opened(make_grid("a star", {"seed": [1, 2], "guidance_scale": 5}, size))
    expect(page.locator(".corner")).to_have_text("Width × Height ↓")
    expect(page.locator(".side .label").last).to_have_attribute("title", "Width 128 · Height 64")
    expect(page.get_by_alt_text("Width 64 · Height 128 · Seed 2")).to_be_visible()


@pytest.mark.parametrize("count", [3, 9])  # on one line, and on several
def test_one_axis_alone_is_named(opened, count):
    page = opened(make_grid("a star", {"guidance_scale": range(1, 1 + count)}))
    names = page.locator(".names")
    expect(names).to_have_text("Guidance →")
    expect(names.get_by_text("Guidance")).to_have_attribute("title", "guidance_scale")
    first = page.locator(".caption").first
    assert names.bounding_box()["y"] + 16 <= first.bounding_box()["y"]
    page.get_by_label("Show", exact=True).select_option("starred")
    expect(names).to_have_count(0)


@pytest.mark.parametrize("count", [8, 60])
def test_on_a_phone_the_images_of_one_axis_are_seen(opened, count):
    page = opened(make_grid("a star", {"seed": range(count), "guidance_scale": 3}))
    page.set_viewport_size({"width": 375, "height": 800})
    expect(page.locator(".cell").first).to_have_css("width", "128px")
    page.wait_for_function(SIDE_BY_SIDE)


def test_small_grids_use_the_width_and_gutters_are_as_wide_as_their_labels(opened):
    page = opened(make_grid("a star", {"seed": range(2), "guidance_scale": range(3)}))
    assert page.locator(".canvas").bounding_box()["width"] > 0.7 * 1232
    gutter, label = (
        page.locator(part).first.bounding_box()["width"] for part in (".side", ".corner .name")
    )
    assert gutter == label < 70


def test_on_a_phone_the_head_is_folded(opened, grid):
    page = opened(grid, is_mobile=True)
    page.set_viewport_size({"width": 375, "height": 720})
    rows = page.get_by_label("Rows")
    expect(rows).to_be_hidden()
    assert page.locator(".masthead").bounding_box()["height"] < 130
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.get_by_role("button", name="Arrange").click()
    expect(rows).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_any_state(opened, grid, scheme):
    page = opened(grid, color_scheme=scheme)

    def expect_none():
        assert violations(page, "html") == []

    expect_none()
    page.get_by_label("Blocks", exact=True).select_option("color")
    page.get_by_text("Values").click()
    page.get_by_label("3", exact=True).uncheck()
    expect_none()
    page.get_by_label("Blocks", exact=True).select_option("–")
    page.get_by_label("Add an axis down").select_option("color")
    expect_none()
    for seed in (0, 1):
        page.get_by_label(f"color red · Seed {seed} · Guidance 1").focus()
        page.keyboard.press("p")
        page.keyboard.press("Space")
    page.get_by_role("button", name="Compare 2 pinned").click()
    expect(page.locator(".pins img").first).to_be_visible()
    expect_none()
    page.keyboard.press("Escape")
    page.get_by_label("color red · Seed 0 · Guidance 1").click()
    expect(page.locator(".stage img")).to_be_visible()
    expect_none()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Show all values again").click()
    page.locator(".cell.failed").click()
    expect(page.get_by_role("button", name="Copy as Python")).to_be_visible()
    expect_none()
    page.keyboard.press("Escape")
    page.get_by_label("Show", exact=True).select_option("starred")
    expect_none()
    page.set_viewport_size({"width": 375, "height": 720})
    page.get_by_role("button", name="Arrange").click()
    expect_none()
