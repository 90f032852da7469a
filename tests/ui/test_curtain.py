"""The before-and-after divider, by itself and over an enlarged picture."""

from __future__ import annotations

import base64
import io

import pytest
from accessible import violations
from bridges import Bridge
from pages import make_grid
from PIL import Image
from playwright.sync_api import expect

import nbtool
from nbtool.display import viewer
from nbtool.panel.stage import Stage
from nbtool.testing import FakeEngine

PAGE = f"""<!doctype html><html lang="en"><title>Before and after</title><style>{viewer.curtain_style()}
body {{ margin: 0; }} main {{ width: 400px; }}</style><main><h1>Before and after</h1></main>
<script type="module">{viewer.curtain_module()}
window.show = (before, after) => document.querySelector("main").append(beforeAfter(before, after));
</script></html>"""
RED, BLUE = (255, 0, 0), (0, 0, 255)


def address(color, size=(40, 20)):
    buffer = io.BytesIO()
    Image.new("RGB", size, color).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def colors(page, element, *parts):
    """The colours a quarter down an element, at parts of its width."""
    box = element.bounding_box()
    seen = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    return [
        seen.getpixel((box["x"] + part * box["width"], box["y"] + box["height"] / 4))
        for part in parts
    ]


@pytest.fixture
def shown(chromium):
    """A page on which blue comes after red."""
    page = chromium.new_page(viewport={"width": 500, "height": 400})
    page.set_content(PAGE)
    page.wait_for_function("Boolean(window.show)")
    pictures = [
        {"url": address(color), "alt": alt} for color, alt in ((RED, "red"), (BLUE, "blue"))
    ]
    page.evaluate("([before, after]) => show(before, after)", pictures)
    page.wait_for_function(
        "[...document.images].every((image) => image.complete && image.naturalWidth)"
    )
    yield page
    page.close()


def test_what_was_before_is_on_the_left_of_the_divider(shown):
    both, divider = (
        shown.locator(".nbtool-curtain"),
        shown.get_by_role("slider", name="Before and after"),
    )
    assert colors(shown, both, 0.1, 0.4, 0.6, 0.9) == [RED, RED, BLUE, BLUE]
    box = both.bounding_box()
    grip = divider.bounding_box()
    shown.mouse.move(grip["x"] + 22, grip["y"] + 20)
    shown.mouse.down()
    shown.mouse.move(box["x"] + 0.8 * box["width"], grip["y"] + 20, steps=3)
    shown.mouse.up()
    expect(divider).to_have_attribute("aria-valuenow", "80")
    assert colors(shown, both, 0.7, 0.9) == [RED, BLUE]
    shown.mouse.move(box["x"] + 5, grip["y"] + 20)  # let go: it stays
    expect(divider).to_have_attribute("aria-valuetext", "80 % before, 20 % after")


def test_keys_move_the_divider(shown):
    divider = shown.get_by_role("slider")
    divider.focus()
    for key, at in (
        ("ArrowLeft", 49),
        ("Shift+ArrowRight", 59),
        ("PageUp", 69),
        ("End", 100),
        ("ArrowRight", 100),
        ("Home", 0),
    ):
        shown.keyboard.press(key)
        expect(divider).to_have_attribute("aria-valuenow", str(at))
    both = shown.locator(".nbtool-curtain")
    shown.keyboard.press("ArrowUp")
    assert colors(shown, both, 0.2, 0.9) == [BLUE, BLUE]
    assert violations(shown, "html") == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_enlarged_image_is_compared_with_what_it_was_made_from(opened, tmp_path, scheme):
    gen = nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images")
    red = Image.new("RGB", (64, 64), RED)
    page = opened(
        gen.grid("a star", image=[red], strength=[0.5, 0.9]), inputs=True, color_scheme=scheme
    )
    page.locator(".cell").first.click()
    dialog = page.get_by_role("dialog", name="Enlarged image")
    button = dialog.get_by_role("button", name="Before and after")
    divider = dialog.get_by_role("slider", name="Before and after")
    expect(button).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("b")
    expect(divider).to_be_focused()
    seen = dialog.locator(".stage > img")
    left, right = colors(page, seen, 0.2, 0.8)
    assert max(abs(one - other) for one, other in zip(left, RED, strict=True)) < 8  # it is a WebP
    assert right != left
    page.keyboard.press("ArrowLeft")
    expect(divider).to_have_attribute("aria-valuenow", "49")
    assert violations(page, "html") == []
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_role("heading")).to_contain_text("0.9")
    expect(divider).to_be_visible()  # until it is not wanted any more
    button.click()
    expect(divider).to_have_count(0)


def test_so_it_is_in_a_panel(chromium, tmp_path):
    gen = nbtool.Generator(engine=FakeEngine(), store=tmp_path)
    image = gen("a star", image=Image.new("RGB", (64, 64), RED), width=64, height=64)
    stage = Stage(key=image.recipe.key)
    stage.show(image)
    page = chromium.new_page(viewport={"width": 900, "height": 700})
    Bridge(stage, page)
    page.get_by_role("button", name="Enlarge").click()
    dialog = page.get_by_role("dialog", name="Enlarged image")
    dialog.get_by_role("button", name="Before and after").click()
    expect(dialog.get_by_role("slider", name="Before and after")).to_be_focused()
    left = colors(page, dialog.locator(".stage > img"), 0.2)[0]
    assert max(abs(one - other) for one, other in zip(left, RED, strict=True)) < 8
    page.close()


def test_an_image_of_words_alone_has_nothing_before(opened):
    page = opened(make_grid("a star", {"seed": [1, 2], "guidance_scale": 5}), inputs=True)
    page.locator(".cell").first.click()
    dialog = page.get_by_role("dialog", name="Enlarged image")
    expect(dialog.get_by_role("link", name="Download PNG")).to_be_visible()
    expect(dialog.get_by_role("button", name="Before and after")).to_have_count(0)
