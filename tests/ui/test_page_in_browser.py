"""The page that a grid is saved as, in a real browser."""

from __future__ import annotations

import re

import pytest
from pages import HOSTILE, make_grid
from PIL import Image
from playwright.sync_api import expect


@pytest.fixture(scope="module")
def grid():
    parameters = {"color": ["red", "blue"], "seed": range(3), "guidance_scale": [1, 3, 5, 7]}
    return make_grid(f"a {{color}} star {HOSTILE}", parameters, failed=[1], missing=[6])


def _label(page):
    return page.evaluate("document.activeElement.getAttribute('aria-label')")


def _expect_focus(page, label):
    expect(page.locator(":focus")).to_have_attribute("aria-label", re.compile(re.escape(label)))


def test_cells_stand_under_their_labels(opened, grid):
    page = opened(grid)
    expect(page.locator(".head .label")).to_have_text(["1", "3", "5", "7"])
    expect(page.locator(".side .label")).to_have_text(["0", "1", "2"])
    expect(page.locator(".cell")).to_have_count(12)
    expect(page.locator(".cell.pictured")).to_have_count(10)
    expect(page.get_by_alt_text("color red · Seed 2 · Guidance 5")).to_be_visible()


def test_hostile_text_stays_text(opened, grid):
    page = opened(grid)
    expect(page.locator("h1")).to_have_text(f"a {{color}} star {HOSTILE}")
    failed = page.locator(".cell.failed")
    expect(failed).to_contain_text(HOSTILE)
    failed.click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("window.hit") is None


def test_arrows_move_and_enter_enlarges(opened, grid):
    page = opened(grid)
    page.locator(".cell").first.focus()
    page.keyboard.press("ArrowRight")
    _expect_focus(page, "color red · Seed 0 · Guidance 3, failed, out of memory")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    _expect_focus(page, "color red · Seed 2 · Guidance 3")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Enlarged image")
    heading = dialog.get_by_role("heading")
    expect(heading).to_have_text("color red · Seed 2 · Guidance 3")
    expect(dialog.locator("img")).to_be_visible()
    expect(dialog.locator("table").first).to_contain_text("a red star")
    page.keyboard.press("ArrowRight")
    expect(heading).to_have_text("color red · Seed 2 · Guidance 5")
    page.keyboard.press("PageDown")
    expect(heading).to_have_text("color blue · Seed 2 · Guidance 5")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    _expect_focus(page, "color blue · Seed 2 · Guidance 5")
    expect(page.get_by_label("color", exact=True)).to_have_value("1")


def test_the_download_is_the_file_with_its_recipe(opened, grid, tmp_path):
    page = opened(grid)
    page.locator(".cell").first.click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download PNG").click()
    assert download.value.suggested_filename == "color=red,seed=0,guidance_scale=1.png"
    download.value.save_as(tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes() == grid[0, 0, 0].png
    with page.expect_download() as download:
        page.get_by_role("button", name="Download without metadata").click()
    assert download.value.suggested_filename == "image.png"
    download.value.save_as(tmp_path / "bare.png")
    with Image.open(tmp_path / "bare.png") as bare:
        assert bare.tobytes() == grid[0, 0, 0].image.tobytes()
        assert not bare.info


def test_a_page_without_metadata_has_pictures_and_axes_alone(opened, grid):
    page = opened(grid, metadata=False)
    expect(page.get_by_role("heading", level=1)).to_have_text("Images")
    page.locator(".cell").first.click()
    dialog = page.get_by_role("dialog", name="Enlarged image")
    expect(dialog.get_by_role("link", name="Download PNG")).to_be_visible()
    expect(dialog.get_by_role("button", name="Python")).to_have_count(0)
    expect(dialog.get_by_role("button", name="without metadata")).to_have_count(0)
    expect(dialog.get_by_role("table")).to_have_count(0)


def test_stars_and_filters(opened, grid):
    page = opened(grid)
    page.locator(".cell").nth(2).focus()
    page.keyboard.press("s")
    expect(page.locator(".cell.starred")).to_have_count(1)
    show = page.get_by_label("Show", exact=True)
    show.select_option("starred")
    expect(page.locator(".cell")).to_have_count(1)
    expect(page.locator(".caption")).to_have_text(["color red\nSeed 0\nGuidance 5"])
    page.locator(".cell").focus()
    page.keyboard.press("s")
    expect(page.get_by_text("No cell is starred.")).to_be_visible()
    show.select_option("failed")
    expect(page.locator(".cell.failed")).to_have_count(1)
    show.select_option("all")
    expect(page.locator(".cell")).to_have_count(12)


def test_axes_can_be_chosen_and_dragged(opened, grid):
    page = opened(grid)
    page.get_by_label("Columns").select_option("color")
    expect(page.locator(".head .label")).to_have_text(["red", "blue"])
    zone = page.locator(".zone")
    zone.filter(has_text="Rows").locator(".handle").drag_to(
        zone.filter(has=page.get_by_label("Columns"))
    )
    expect(page.locator(".head .label")).to_have_text(["0", "1", "2"])
    expect(page.locator(".side .label")).to_have_text(["red", "blue"])
    handle = page.locator(".handle", has_text="Guidance")
    handle.drag_to(zone.filter(has=page.get_by_label("Rows")))
    expect(page.locator(".side .label")).to_have_text(["1", "3", "5", "7"])
    page.get_by_label("Rows").select_option("–")
    expect(page.locator(".caption")).to_have_text(["0", "1", "2"])


def test_pinned_images_side_by_side_and_their_difference(opened, grid):
    page = opened(grid)
    for number in (0, 2):
        page.locator(".cell").nth(number).focus()
        page.keyboard.press("p")
    page.get_by_role("button", name="Compare 2 pinned").click()
    dialog = page.get_by_role("dialog", name="Pinned images")
    expect(dialog.locator("figcaption")).to_have_text(["Guidance 1", "Guidance 5"])
    dialog.get_by_label("Compare as").select_option("difference")
    expect(dialog.locator("figcaption").last).to_contain_text("at most 14 of 255")
    colour = "c => Array.from(c.getContext('2d').getImageData(5, 5, 1, 1).data)"
    assert dialog.locator("canvas").evaluate(colour) == [8 * 14, 0, 0, 255]
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_everything_can_be_reached_with_the_keyboard(opened, grid):
    page = opened(grid)
    reached = []
    for _ in range(24):
        page.keyboard.press("Tab")
        reached.append(_label(page))
    for name in (
        "Rows",
        "Move Seed",
        "Add an axis across",
        "color",
        "Next color",
        "Play color",
        "Show",
        "Size",
    ):
        assert name in reached
    assert reached.count("color red · Seed 0 · Guidance 1") == 1  # one stop for all cells


def test_a_long_page_holds_few_nodes_and_follows_the_keyboard(opened):
    page = opened(
        make_grid("a star", {"seed": range(100), "guidance_scale": range(20)}, size=(16, 16))
    )
    count = "document.querySelectorAll('.nbtool-view *').length"
    assert page.evaluate(count) < 2000  # all cells would be more than 4000
    page.get_by_label("Size").fill("48")
    assert page.evaluate(count) < 2000
    page.locator(".sheet").evaluate("sheet => sheet.scrollTo(0, sheet.scrollHeight)")
    expect(page.get_by_label("Seed 99 · Guidance 0")).to_be_visible()
    assert page.evaluate(count) < 2000
    page.get_by_label("Seed 99 · Guidance 0").focus()
    page.keyboard.press("ArrowUp")
    _expect_focus(page, "Seed 98 · Guidance 0")


def test_keys_lead_through_many_cells_as_in_any_grid(opened):
    page = opened(make_grid("a star", {"seed": range(28), "guidance_scale": range(20)}))
    page.get_by_label("Seed 0 · Guidance 0", exact=True).focus()
    for key, label in (
        ("End", "Seed 0 · Guidance 19"),
        ("Control+End", "Seed 27 · Guidance 19"),
        ("Home", "Seed 27 · Guidance 0"),
        ("Control+Home", "Seed 0 · Guidance 0"),
    ):
        page.keyboard.press(key)
        _expect_focus(page, label)
        expect(page.locator(":focus")).to_be_in_viewport()
    page.keyboard.press("PageDown")
    below = int(re.search(r"Seed (\d+)", _label(page))[1])
    assert 1 < below < 27  # as many rows as are in sight
    expect(page.locator(":focus")).to_be_in_viewport()
    page.keyboard.press("PageDown")
    _expect_focus(page, f"Seed {min(27, 2 * below)} · Guidance 0")
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    page.keyboard.press("PageUp")
    _expect_focus(page, "Seed 0 · Guidance 0")
    page.keyboard.press("Shift+End")
    expect(page.get_by_role("button", name="Clear the selection")).to_have_text("20 selected ✕")


def test_a_phone_is_told_of_fingers_and_closes_at_the_top(opened, grid):
    page = opened(grid, has_touch=True, is_mobile=True)
    page.set_viewport_size({"width": 375, "height": 700})
    line = page.locator(".foot output")
    expect(line).to_have_text("tap a picture to enlarge it")
    assert line.evaluate("line => line.scrollWidth <= line.clientWidth")
    page.locator(".cell").first.tap()
    dialog = page.get_by_role("dialog", name="Enlarged image")
    expect(dialog.locator("img")).to_be_visible()
    expect(dialog.locator(".hint")).to_contain_text("Swipe")
    close = dialog.get_by_role("button", name="Close").bounding_box()
    stage = dialog.locator(".stage").bounding_box()
    assert close["x"] + close["width"] > 375 - 24
    assert close["y"] + close["height"] <= stage["y"]
    bar = dialog.locator(".bar-of-stage")
    assert bar.evaluate("bar => bar.scrollWidth <= bar.clientWidth")
    middles = bar.locator("button:visible").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect()).map(box => box.y + box.height / 2)"
    )
    assert len(middles) == 4  # before, after, play, how near
    assert max(middles) - min(middles) < 1
    dialog.get_by_role("button", name="Close").tap()
    expect(dialog).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 900])
def test_the_page_is_readable(opened, grid, scheme, width):
    page = opened(grid, color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    style = "name => getComputedStyle(document.querySelector('.nbtool-view'))[name]"
    ink, ground = (page.evaluate(style, name) for name in ("color", "backgroundColor"))
    light = [sum(map(int, colour[4:-1].split(", "))) for colour in (ink, ground)]
    assert (light[0] < light[1]) == (scheme == "light")
    assert abs(light[0] - light[1]) > 500


def test_labels_that_are_cut_still_tell_cells_apart(opened):
    base = "a calm harbour in the morning, boats with folded sails, wet stones and gulls over it"
    ends = ["", ", at night", ", at noon", ", at night in winter"]
    words = {"place": [base + end for end in ends], "seed": range(2), "guidance_scale": 1}
    page = opened(make_grid("{place}", words))

    def seen(where):
        """The labels, none of which has a part that its room hides."""
        spans = page.locator(where)
        hidden = "e => e.scrollHeight > e.clientHeight + 1 || e.scrollWidth > e.clientWidth + 1"
        assert not any(spans.nth(n).evaluate(hidden) for n in range(spans.count()))
        return spans.all_text_contents()

    assert len(set(seen(".side .label span"))) == len(ends)
    page.get_by_label("Rows").select_option("Seed")
    assert len(set(seen(".head .label span"))) == len(ends)
    page.get_by_label("Rows").select_option("–")
    assert len(set(seen(".caption"))) == len(ends)
