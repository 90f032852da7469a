"""The mask painter in a real JupyterLab."""

from __future__ import annotations

from accessible import violations
from labs import DARK, LIGHT
from playwright.sync_api import expect

CELLS = [
    """
from PIL import Image
import nbtool

painter = nbtool.paint(Image.effect_noise((64, 48), 60).convert("RGB"))
painter
""",
    "print(painter.mask.getbbox(), painter.picture.size, len(heard))",
    'heard = []\npainter.observe(heard.append, "mask")',
]


def test_a_mask_is_painted_in_a_notebook_and_kept_as_a_picture(lab):
    notebook = lab.notebook(CELLS)
    notebook.run(0)
    notebook.run(2)
    page = notebook.page
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    painter = notebook.output(0).locator(".nbtool-painter")
    stage = painter.get_by_role("application")
    expect(stage.locator("img")).to_be_visible()
    painter.get_by_role("button", name="Rectangle").click()
    stage.scroll_into_view_if_needed()
    box = stage.locator("canvas").bounding_box()
    scale = box["width"] / 64

    def to(x, y):
        page.mouse.move(box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale)

    to(10, 12)
    page.mouse.down()
    to(20, 31)
    page.mouse.up()
    notebook.run_until(1, "(10, 12, 21, 32) (64, 48) 1")
    stage.focus()
    for key in ("b", "d", "d", "x", "i"):  # some are JupyterLab's own
        page.keyboard.press(key)
    notebook.run_until(1, "(0, 0, 64, 48) (64, 48) 2")
    stage.focus()
    page.keyboard.press("Control+z")
    notebook.run_until(1, "(10, 12, 21, 32) (64, 48) 3")
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells
    painter.get_by_label("Right").fill("16")
    page.keyboard.press("Tab")
    notebook.run_until(1, "(10, 0, 80, 48) (80, 48) 4")
    still = page.locator(".nbtool-still")
    expect(still).to_be_hidden()
    for theme in (DARK, LIGHT):
        page.evaluate(
            "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme
        )
        page.wait_for_selector(f"[data-jp-theme-name='{theme}']", state="attached")
        assert violations(page, ".nbtool-painter") == []
    assert notebook.errors == []
    notebook.save()
    page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    lab.close_pages()
    again = lab.open(notebook.path)
    kept = again.page.locator(".nbtool-still img")
    expect(kept).to_be_visible()
    assert kept.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [80, 48]
