"""How the panel uses its room in a real JupyterLab: nothing is cut off, no line is left empty."""

from __future__ import annotations

import re

from playwright.sync_api import expect

FILL = """
import nbtool
from nbtool.testing import FakeEngine
gen = nbtool.Generator(engine=FakeEngine(num_inference_steps=1))
gen.grid("a star", seed=range(40))
gen.panel()
"""
WIDTHS = (720, 1280, 1920)
# Of the elements that are seen: how many lines they stand on.
LINES = """all => {
  const boxes = all.filter(one => one.checkVisibility({ visibilityProperty: true })).map(one => one.getBoundingClientRect());
  let [lines, end] = [0, -Infinity];
  for (const box of boxes.sort((one, other) => one.top - other.top)) {
    if (box.top >= end) [lines, end] = [lines + 1, box.bottom];
  }
  return lines;
}"""
# Whether what an element says, or a field hints at, is longer than its room.
CUT = """element => {
  const { placeholder, value } = element;
  if (placeholder === undefined) return element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight;
  const pen = document.createElement("canvas").getContext("2d");
  const style = getComputedStyle(element);
  pen.font = style.font;
  const room = element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  return pen.measureText(value || placeholder).width > room;
}"""
# From the last field of the search that is seen to the beginning of the tiles, in pixels.
ABOVE_TILES = """gallery => {
  const fields = [...gallery.querySelectorAll(".nbtool-search-fields > *")];
  const seen = fields.filter(one => one.checkVisibility({ visibilityProperty: true }));
  const end = Math.max(...seen.map(one => one.getBoundingClientRect().bottom));
  return gallery.querySelector(".nbtool-tiles").getBoundingClientRect().top - end;
}"""
# Whether what can be done with the picture is on one screen with it.
ON_ONE_SCREEN = """panel => {
  panel.scrollIntoView();
  const screen = panel.closest(".jp-WindowedPanel-outer").getBoundingClientRect();
  const [picture, tools] = [".nbtool-stage", ".nbtool-tools > .nbtool-row"].map(
    part => panel.querySelector(part).getBoundingClientRect());
  return picture.top >= screen.top && tools.bottom <= screen.bottom;
}"""
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def test_nothing_is_cut_off_and_no_line_is_left_empty(lab):
    notebook = lab.notebook([FILL])
    notebook.run_all()
    page, panel = notebook.page, notebook.page.locator(".nbtool-panel")
    expect(panel.locator(".nbtool-tile img[src]").nth(5)).to_be_visible()
    head = panel.locator(".nbtool-fold-head button")
    steps = head.filter(has_text=re.compile("^Steps"))
    steps.click()
    head.filter(has_text="Advanced").click()
    summary = steps.locator(".nbtool-fold-summary")
    expect(summary).to_have_text(re.compile("guidance .* steps? .* euler"))
    tile, library = panel.locator(".nbtool-tile").nth(1), panel.locator(".nbtool-library")
    tile.click()
    tools = library.locator(".nbtool-chosen > .button")
    expect(tools.first).to_be_visible()
    tools_of_image = panel.locator(".nbtool-tools > .nbtool-row")
    tools_of_image.get_by_role("button", name="Start from this").click()
    painting = panel.locator(".nbtool-painter").get_by_role("group", name="Tool", exact=True)
    expect(painting).to_be_visible()
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate(SETTLED)
        page.evaluate(SETTLED)
        for part in (
            summary,
            head.filter(has_text="This image").locator(".nbtool-fold-summary"),
            library.get_by_label("Search the images"),
            tools_of_image.get_by_label("Note"),
            *panel.locator(".nbtool-advanced .widget-label").all(),
        ):
            assert not part.evaluate(CUT), (width, part.evaluate("part => part.outerHTML"))
        assert tools_of_image.locator("button").evaluate_all(LINES) == 1, width
        assert tools.evaluate_all(LINES) == 1, width
        assert painting.locator("button").evaluate_all(LINES) == 1, width
        assert library.evaluate(ABOVE_TILES) < 64, width
        assert width == 720 or panel.evaluate(ON_ONE_SCREEN), width
        fields = library.locator(".nbtool-search-fields > *").evaluate_all(LINES)
        assert fields == (2 if width == 1920 else 1)  # there in a column of its own
    assert notebook.errors == []
