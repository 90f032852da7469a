"""The picture of a panel in a real JupyterLab: pictures of all sizes in windows of all sizes."""

from __future__ import annotations

import re

import pytest
from PIL import Image
from playwright.sync_api import Error, expect

SIZES = ((128, 128), (512, 512), (768, 512), (512, 768), (1024, 1024), (1344, 768))
FILL = f"""
import nbtool
from nbtool.testing import FakeEngine
gen = nbtool.Generator(engine=FakeEngine(num_inference_steps=1))
for width, height in {SIZES}:
    gen(f"of {{width}} by {{height}}", width=width, height=height, seed=1)
gen.panel()
"""
WINDOWS = ((1280, 900), (1280, 1080), (1920, 1080), (720, 900))
# Three frames: the picture is there, has a place, and the rest is arranged around it.
SETTLED = """async image => {
  await image.decode().catch(() => image.decode());
  for (let i = 0; i < 3; i += 1) await new Promise(requestAnimationFrame);
}"""
# Of the panel, scrolled to its top: the sides of the picture and the room that there is.
MEASURED = """panel => {
  panel.scrollIntoView();
  const box = part => panel.querySelector(part).getBoundingClientRect();
  const screen = panel.closest(".jp-WindowedPanel-outer").getBoundingClientRect();
  const image = panel.querySelector(".nbtool-stage img");
  const parts = ["textarea", ".mod-primary", ".nbtool-stage img"].map(box);
  const [picture, stage] = [parts[2], box(".nbtool-stage")];
  return {
    width: picture.width, height: picture.height, panel: box(".nbtool-workplace").width,
    inside: picture.left >= stage.left - 1 && picture.right <= stage.right + 1,
    seen: parts.every(part => part.top >= screen.top && part.bottom <= screen.bottom),
    rendering: getComputedStyle(image).imageRendering,
  };
}"""

# How many pixels there are between the end of what is in a part and the part below it.
GAPS = """panel => {
  const part = name => panel.querySelector(`.nbtool-${name}`);
  const shown = one => [...one.children].map(child => child.getBoundingClientRect()).filter(box => box.height);
  const end = one => Math.max(...shown(one).map(box => box.bottom));
  return [["ask", "set"], ["detail", "images"]].map(
    ([one, other]) => part(other).getBoundingClientRect().top - end(part(one))
  );
}"""


@pytest.fixture
def panel(lab):
    notebook = lab.notebook([FILL])
    notebook.run_all()
    panel = notebook.page.locator(".nbtool-panel")
    expect(panel.locator(".nbtool-tile")).to_have_count(len(SIZES))
    yield panel
    assert notebook.errors == []


def test_a_picture_of_any_size_has_the_room_there_is_and_is_crisp(panel):
    image = panel.locator(".nbtool-stage img")
    for window in WINDOWS:
        panel.page.set_viewport_size(dict(zip(("width", "height"), window, strict=True)))
        for width, height in SIZES:
            panel.locator(f'.nbtool-tile[title*="of {width} by {height} "]').click()
            expect(image).to_have_attribute("alt", re.compile(f"of {width} by {height} "))
            image.evaluate(SETTLED)
            found = panel.evaluate(MEASURED)
            case = f"{width} × {height} in {window}: {found}"
            shorter = min(found["width"], found["height"])
            scale = found["width"] / width
            assert found["inside"], case
            assert found["seen"], case
            assert abs(found["height"] / height - scale) < 0.01, case
            if window[0] == 1280 and (width >= height or window[1] > 1000):
                assert shorter >= found["panel"] / 2, case
            assert (found["rendering"] == "pixelated") == (scale >= 1.5), case
            if scale >= 1.5:
                assert 2 * scale == pytest.approx(round(2 * scale), abs=0.01), case
            else:
                assert scale < 1.2, case


def test_no_hole_is_left_by_what_is_folded_open(panel):
    panel.locator('.nbtool-tile[title*="of 512 by 512 "]').click()
    panel.locator(".nbtool-stage img").evaluate(SETTLED)
    panel.get_by_role("button", name="Start from this").click()
    expect(panel.get_by_role("application").locator("img")).to_be_visible()
    heads = panel.locator(".nbtool-set .nbtool-fold-head button")
    for state in ("false", "true"):
        for head in heads.all():
            if head.get_attribute("aria-expanded") != state:
                head.click()
        # What was opened is laid out with the next frames, and the notebook may draw it anew.
        shown = f"({GAPS})(document.querySelector('.nbtool-panel'))"
        try:
            panel.page.wait_for_function(f"{shown}.every(gap => Math.abs(gap - 12) < 0.1)")
        except Error:
            assert panel.evaluate(GAPS) == [12, 12], state
            raise


def test_an_enlarged_picture_is_starred_used_and_deleted_by_keys(panel):
    keyboard = panel.page.keyboard
    panel.locator('.nbtool-tile[title*="of 768 by 512 "]').click()
    opener = panel.get_by_role("button", name=re.compile("^Enlarge: of 768 by 512"))
    opener.focus()
    keyboard.press("Enter")
    dialog = panel.get_by_role("dialog")
    close = dialog.get_by_role("button", name="Close")
    expect(close).to_be_focused()
    assert close.evaluate("button => button.matches(':focus-visible')")
    keyboard.press("s")
    expect(dialog.get_by_role("button", name="Star", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    dialog.get_by_role("button", name="Use these settings").press("Enter")
    expect(panel.get_by_label("Prompt", exact=True)).to_have_value("of 768 by 512")
    keyboard.press("Delete")
    expect(panel.locator(".nbtool-tile")).to_have_count(len(SIZES) - 1)
    expect(dialog.locator(".count")).to_have_text(f"4 of {len(SIZES) - 1}")
    keyboard.press("Escape")
    expect(panel.get_by_role("button", name=re.compile("^Enlarge: of 512 by 512"))).to_be_focused()


@pytest.mark.parametrize("opened", ["stage", "gallery"])
def test_an_enlarged_picture_is_downloaded_without_metadata(panel, opened, tmp_path):
    if opened == "stage":
        panel.get_by_role("button", name=re.compile("^Enlarge: of")).click()
    else:
        panel.locator(".nbtool-tile").first.focus()
        panel.page.keyboard.press("Enter")
    dialog = panel.get_by_role("dialog")
    with panel.page.expect_download() as download:
        dialog.get_by_role("button", name="Download without metadata").click()
    assert download.value.suggested_filename == "image.png"
    download.value.save_as(tmp_path / "bare.png")
    with Image.open(tmp_path / "bare.png") as bare:
        assert bare.size in SIZES
        assert not bare.info
