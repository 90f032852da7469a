"""The pictures of the README, taken in a real JupyterLab: `make screenshots`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import browsers
from labs import DARK, LIGHT, Lab, Notebook
from playwright.sync_api import expect, sync_playwright

DOCS = Path(__file__).parents[2] / "docs"
SETTINGS = "import nbtool\ngen = nbtool.Generator()"
PROMPT = "a large yellow star on a blue background"
PANEL = "gen.panel()"
VIEWER = (
    'grid = gen.grid("a large {color} star on a blue background", '
    'color=["yellow", "red", "white"],\n'
    "                seed=range(6), guidance_scale=[1, 2, 3, 5])\n"
    "grid.view(rows='guidance_scale', cols='seed')"
)
CROP = 4  # pixels around a widget


def main() -> None:
    path = browsers.find_or_install()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=list(browsers.ARGUMENTS))
        for theme, suffix in ((LIGHT, ""), (DARK, "-dark")):
            (Path(folder) / theme).mkdir()
            lab = Lab(browser, Path(folder) / theme, theme=theme)
            try:
                _panel(lab.notebook([SETTINGS, PANEL]), DOCS / f"panel{suffix}.png")
                _viewer(lab.notebook([SETTINGS, VIEWER]), DOCS / f"viewer{suffix}.png")
            finally:
                lab.close()
        browser.close()


def _panel(notebook: Notebook, path: Path) -> None:
    notebook.run_all()
    panel = notebook.page.locator(".nbtool-panel")
    panel.get_by_label("Prompt", exact=True).fill(PROMPT)
    panel.get_by_label("Images", exact=True).fill("9")
    panel.get_by_role("button", name="Generate").click()
    expect(panel.get_by_role("button", name="Cancel").first).to_be_enabled()
    expect(panel.get_by_role("button", name="Cancel").first).to_be_disabled()
    _shoot(notebook, ".nbtool-panel", path)


def _viewer(notebook: Notebook, path: Path) -> None:
    notebook.run_all()
    view = notebook.page.locator(".nbtool-view")
    expect(view.locator("img").nth(11)).to_be_visible()
    view.locator("img").nth(8).click()
    notebook.page.keyboard.press("s")
    notebook.page.keyboard.press("Escape")
    _shoot(notebook, ".nbtool-view", path)


def _shoot(notebook: Notebook, widget: str, path: Path) -> None:
    """A picture of a widget with a little of its surroundings."""
    page = notebook.page
    page.mouse.move(0, 0)
    page.set_viewport_size({"width": 1280, "height": 1400})
    page.locator(widget).first.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every(image => image.complete)")
    box = page.locator(widget).first.bounding_box()
    assert box
    clip = {
        "x": box["x"] - CROP,
        "y": box["y"] - CROP,
        "width": box["width"] + 2 * CROP,
        "height": box["height"] + 2 * CROP,
    }
    page.screenshot(path=path, clip=clip)
    print(path.name)  # noqa: T201


if __name__ == "__main__":
    main()
