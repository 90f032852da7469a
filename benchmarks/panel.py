"""How soon widgets answer while a sweep runs, measured in a real browser.

    python benchmarks/panel.py

Starts JupyterLab and Chromium. Prints the table of benchmarks/README.md.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "ui"))
import browsers
from labs import Lab

if TYPE_CHECKING:
    from labs import Notebook

PRESSES = 40
RUNS = 11
# A button whose handler changes a label: to Python and back.
ANSWERING = """
import ipywidgets
button = ipywidgets.Button(description="press")
label = ipywidgets.Label("0")
button.on_click(lambda _: setattr(label, "value", str(int(label.value) + 1)))
ipywidgets.VBox([button, label]).add_class("answering")
"""
SWEEP = """
import nbtool
gen = nbtool.Generator()
job = gen.submit("a large red circle on a blue background", seed=range(2000))
"""
WAIT_FOR_IMAGES = "next(iter(job))"
STOP = "job.cancel(); job.join(); print(job)"
# Milliseconds from each press to the change that it makes in the page.
PRESS = """
async presses => {
  const button = document.querySelector(".answering button");
  const label = document.querySelector(".answering .widget-label");
  const times = [];
  for (let i = 0; i < presses; i += 1) {
    times.push(await new Promise(resolve => {
      const pressed = performance.now();
      const observer = new MutationObserver(() => {
        observer.disconnect();
        resolve(performance.now() - pressed);
      });
      observer.observe(label, { childList: true, characterData: true, subtree: true });
      button.click();
    }));
    await new Promise(resolve => setTimeout(resolve, 50 + 37 * (i % 5)));
  }
  return times;
}
"""
# Milliseconds from a click on Generate until a preview is drawn; then it waits for the image.
GENERATE = """
async () => {
  const panel = document.querySelector(".nbtool-panel");
  const button = name => [...panel.querySelectorAll("button")].find(b => b.innerText === name);
  const until = async condition => {
    while (!condition()) await new Promise(requestAnimationFrame);
    return performance.now();
  };
  const unfinished = () => panel.querySelector(".nbtool-making img[src]");
  const clicked = performance.now();
  button("Generate").click();
  const shown = await until(unfinished);
  await until(() => !unfinished() && button("Cancel").disabled);
  return shown - clicked;
}
"""


def main() -> None:
    path = browsers.find_or_install()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=path, args=list(browsers.ARGUMENTS))
        lab = Lab(browser, Path(folder))
        try:
            print("| in the browser | median | longest |")
            print("|---|---|---|")
            _presses(lab.notebook([ANSWERING, SWEEP, WAIT_FOR_IMAGES, STOP]))
            lab.close_pages()
            _preview(lab.notebook(["import nbtool\nnbtool.Panel()"]))
        finally:
            lab.close()
            browser.close()


def _preview(notebook: Notebook) -> None:
    notebook.run(0)
    panel = notebook.page.locator(".nbtool-panel")
    panel.get_by_label("Prompt", exact=True).fill("a large red circle on a blue background")
    notebook.page.keyboard.press("Tab")  # what is typed is sent when its field is left
    panel.get_by_role("button", name="Generate").wait_for()
    times = [notebook.page.evaluate(GENERATE) for _ in range(RUNS)]
    _row("from the first Generate, model to be loaded, to the first preview", times[:1])
    _row("from Generate to the first preview", times[1:])


def _presses(notebook: Notebook) -> None:
    notebook.run(0)
    notebook.output(0).locator("button").wait_for()
    _row("a press to Python and back, kernel idle", notebook.page.evaluate(PRESS, PRESSES))
    notebook.run(1)
    notebook.run(2)
    _row("a press to Python and back, a sweep running", notebook.page.evaluate(PRESS, PRESSES))
    notebook.run(3)
    assert "cancelled" in notebook.text(3)


def _row(what: str, times: list[float]) -> None:
    print(f"| {what} | {statistics.median(times):.0f} ms | {max(times):.0f} ms |", flush=True)


if __name__ == "__main__":
    main()
