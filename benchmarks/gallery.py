"""What a search in a store of 10,000 small images costs, and how soon and how smoothly they are seen.

    python benchmarks/gallery.py
    python benchmarks/gallery.py --images 1000

Fills a store with images that differ, starts JupyterLab and Chromium, opens a panel on it and
scrolls through all of it. Prints the table of benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import os
import statistics
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

from nbtool import Provenance, Recipe, Store
from nbtool.results import records
from nbtool.results.folder import Folder
from nbtool.results.image import encoded

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "ui"))
import browsers
from labs import Lab, Notebook

RUNS = 7
SIZE = 96  # pixels
SETTINGS = {
    "model": "shapes",
    "scheduler": "euler",
    "num_inference_steps": 8,
    "guidance_scale": 3.0,
    "width": SIZE,
    "height": SIZE,
}
SHAPES = ("circle", "square", "triangle", "star")
COLOURS = ("red", "green", "blue", "orange", "purple", "teal", "gold", "black")
OPENED = "import nbtool\nnbtool.Panel()"
IMPORTED = "import nbtool, nbtool.panel.panel; gen = nbtool.Generator()"
MEMORY = "import os; print(open(f'/proc/{os.getpid()}/statm').read().split()[1])"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
# Milliseconds from what somebody does until things are seen, looked at in every frame.
WATCH = """
async ([act, about]) => {
  const tilesInSight = list => [...list.querySelectorAll(".nbtool-tile")].filter(tile => {
    const [box, frame] = [tile, list].map(one => one.getBoundingClientRect());
    return box.bottom > frame.top && box.top < frame.bottom;
  });
  const list = () => document.querySelector(".nbtool-library .nbtool-tiles");
  const known = list() && tilesInSight(list()).map(tile => tile.dataset.key).join();
  const press = name => [...document.querySelectorAll(".nbtool-library button")]
    .find(button => button.textContent.startsWith(name)).click();
  const whole = () => {
    // Where things lie is asked for late: each time, the browser has to lay out all of the page.
    if (!document.querySelector(".nbtool-library .nbtool-tile img[src]")) return false;
    if (!list()?.offsetParent) return false;
    const tiles = tilesInSight(list());
    if (act === "search" && tiles.map(tile => tile.dataset.key).join() === known) return false;
    return tiles.length > 8 && tiles.every(tile => {
      const image = tile.querySelector("img");
      return image?.complete && image.naturalWidth;
    });
  };
  if (act === "turn") press("Queue");
  await new Promise(requestAnimationFrame);
  const begun = performance.now();
  if (act === "turn") press("Images");
  else if (act === "search") {
    const words = document.querySelector('.nbtool-library [type="search"]');
    words.value = about;
    words.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter" }));
  } else {
    jupyterapp.shell.currentWidget.content.activeCellIndex = about;
    jupyterapp.commands.execute("notebook:run-cell");
  }
  let framed = null;
  while (!whole()) {
    await new Promise(requestAnimationFrame);
    if (framed === null && document.querySelector(".nbtool-panel textarea")?.offsetParent)
      framed = performance.now() - begun;
  }
  return [framed, performance.now() - begun];
}
"""
# Whether all images are listed again.
ALL = "count => document.querySelector('.nbtool-count').textContent.endsWith(` of ${count}`)"
# Scrolls through all of it; of the frames, how many showed a tile without a picture, or a gap.
SCROLL = """
async step => {
  const list = document.querySelector(".nbtool-library .nbtool-tiles");
  let [frames, waiting, gaps, longest, last] = [0, 0, 0, 0, performance.now()];
  while (list.scrollTop + list.clientHeight < list.scrollHeight - 1) {
    list.scrollTop += step;
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    frames += 1;
    const frame = list.getBoundingClientRect();
    const tiles = [...list.querySelectorAll(".nbtool-tile")].filter(tile => {
      const box = tile.getBoundingClientRect();
      return box.bottom > frame.top && box.top < frame.bottom;
    });
    const boxes = tiles.map(tile => tile.getBoundingClientRect());
    const top = Math.min(...boxes.map(box => box.top));
    const bottom = Math.max(...boxes.map(box => box.bottom));
    if (!tiles.length || top > frame.top + 12 || bottom < frame.bottom - 12) gaps += 1;
    if (!tiles.every(tile => tile.querySelector("img")?.naturalWidth)) waiting += 1;
  }
  return [frames, gaps, waiting, longest, document.querySelectorAll(".nbtool-tile").length];
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=10_000)
    images = parser.parse_args().images
    path = browsers.find_or_install()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "images"
        fill(store, images)
        browser = playwright.chromium.launch(executable_path=path, args=list(browsers.ARGUMENTS))
        lab = Lab(browser, Path(folder))
        try:
            print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            print(f"\n| {images:,} images in the browser | median | longest |\n|---|---|---|")
            settings = f"%env NBTOOL_STORE={store}"
            _measure(lab.notebook([settings, IMPORTED, *[OPENED] * (1 + RUNS), MEMORY]), images)
        finally:
            lab.close()
            browser.close()


def _measure(notebook: Notebook, images: int) -> None:
    _begin(notebook)
    _, unlisted = _opened(notebook, 2)
    _row("run of a cell, a store that was never listed: the last thumbnail in sight", [unlisted])
    notebook.restart_kernel()
    _begin(notebook)
    first, *panels = [_opened(notebook, cell) for cell in range(2, 3 + RUNS)]
    _row("run of a cell, the first panel of a kernel: the panel", [first[0]])
    _row("the same: the last thumbnail in sight", [first[1]])
    _row("run of a cell: the panel", [framed for framed, _ in panels])
    _row("the same: the last thumbnail in sight", [whole for _, whole in panels])
    turns = [notebook.page.evaluate(WATCH, ["turn", None])[1] for _ in range(RUNS)]
    _row("in an open panel, a press on Images: the last thumbnail in sight", turns)
    searches = [
        notebook.page.evaluate(WATCH, ["search", f"{colour} star"])[1] for colour in COLOURS[:RUNS]
    ]
    _row("words and Enter, images not seen before: the last thumbnail in sight", searches)
    notebook.page.get_by_label("Search the images").fill("")
    notebook.page.wait_for_function(ALL, arg=f"{images:,}")
    before = _memory(notebook)
    frames, gaps, waiting, longest, tiles = notebook.page.evaluate(SCROLL, 120)
    print(f"\n| scrolling through all | |\n|---|---|\n| looks on the way | {frames:,} |")
    print(f"| that found a place without a tile | {gaps:,} |")
    print(f"| that found a tile without its picture yet | {waiting:,} |")
    print(f"| the longest between two looks | {longest:.0f} ms |")
    print(f"| tiles in the page at the end | {tiles:,} |")
    print(f"| memory of Python before and after | {before:.0f} MB, {_memory(notebook):.0f} MB |")


def _begin(notebook: Notebook) -> None:
    notebook.run(0)
    notebook.run(1)


def _opened(notebook: Notebook, cell: int) -> tuple[float, float]:
    """Opens a panel in place of the one before; milliseconds to its frame and to its pictures."""
    notebook.page.evaluate("jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    notebook.page.wait_for_selector(".nbtool-panel", state="detached")
    framed, whole = notebook.page.evaluate(WATCH, ["run", cell])
    notebook.execute()  # what the cell has still to do is not the next one's
    return framed, whole


def _memory(notebook: Notebook) -> float:
    last = 3 + RUNS
    notebook.run(last)
    return int(notebook.text(last)) * PAGE_BYTES / 1e6


def fill(path: Path, images: int) -> None:
    """What `store.put` would write, without waiting for the disk each time."""
    Store(path).prepare()
    folder = Folder(path)
    first = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    for number in range(images):
        colour, shape = COLOURS[number % 8], SHAPES[number // 8 % 4]
        picture = _picture(number, colour, shape)
        recipe = Recipe(prompt=f"a {colour} {shape}", seed=number, **SETTINGS)
        created = (first + dt.timedelta(minutes=number)).isoformat(timespec="microseconds")
        made = Provenance(engine="local", seconds=1.0, created=created)
        png = encoded(picture, recipe, made)
        digest = hashlib.sha256(png).hexdigest()
        folder.picture(recipe.key, digest).write_bytes(png)
        record = {
            "schema": records.SCHEMA,
            "key": recipe.key,
            "recipe": recipe.to_dict(),
            "provenance": made.to_dict(),
            "png_sha256": digest,
        }
        folder.record(recipe.key).write_bytes(records.text(record))


def _picture(number: int, colour: str, shape: str) -> Image.Image:
    picture = Image.new("RGB", (SIZE, SIZE), (235, 235 - number % 40, 220))
    draw = ImageDraw.Draw(picture)
    low, high = 12 + number % 7, 84 - number % 5
    if shape == "circle":
        draw.ellipse((low, low, high, high), colour)
    elif shape == "square":
        draw.rectangle((low, low, high, high), colour)
    else:
        draw.regular_polygon((48, 48, 34), 3 if shape == "triangle" else 6, fill=colour)
    return picture


def _row(what: str, times: list[float]) -> None:
    print(f"| {what} | {statistics.median(times):.0f} ms | {max(times):.0f} ms |", flush=True)


if __name__ == "__main__":
    main()
