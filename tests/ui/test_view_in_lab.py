"""The grid viewer in a real JupyterLab."""

from __future__ import annotations

import re

import pytest
from accessible import violations
from labs import DARK, LIGHT
from playwright.sync_api import expect

HOSTILE = "<img src=x onerror=window.hit=1>"
GRID = f"""
from PIL import Image
from nbtool import Store
from nbtool.recipes import axes
from nbtool.errors import GenerationError
from nbtool.grid import Grid
from nbtool.recipes.provenance import Provenance

store = Store("images")
store.prepare()
sweep = axes.sweep(
    "a {{color}} star {HOSTILE}", (),
    dict(color=["red", "blue"], seed=range(3), guidance_scale=[1, 2, 3, 4]),
    dict(num_inference_steps=4, scheduler="ddim", width=64, height=64, model="shapes"),
)
cells = {{}}
for n, (index, recipe) in enumerate(sweep):
    picture = Image.new("RGB", (64, 64), (10 * n, 90, 200 - 40 * index[2]))
    cells[index] = store.put(picture, recipe, Provenance())
cells[0, 0, 2] = GenerationError("out of memory {HOSTILE}")
del cells[0, 1, 1]
grid = Grid(sweep.base, sweep.axes, cells)
"""
SHOW = "view = grid.view(); view"
ASK = (
    "print('selected', [(i.seed, i.recipe.guidance_scale) for i in view.selected],"
    " 'starred', [i.seed for i in grid.starred], len(view.starred), len(store.starred))"
)
MANY = """
import io
from PIL import Image
from nbtool.recipes import axes
from nbtool.grid import Grid
from nbtool.results.image import GeneratedImage
from nbtool.recipes.provenance import Provenance

sweep = axes.sweep(
    "a star", (), dict(seed=range(200), guidance_scale=range(50)),
    dict(num_inference_steps=4, scheduler="ddim", width=512, height=512, model="shapes"),
)
cells = {}
files = []
for n in range(50):
    buffer = io.BytesIO()
    Image.effect_noise((512, 512), 5 * n).convert("RGB").save(buffer, "PNG")
    files.append(buffer.getvalue())
for n, (index, recipe) in enumerate(sweep):
    cells[index] = GeneratedImage(recipe, Provenance(), png=files[n % 50])
many = Grid(sweep.base, sweep.axes, cells)

from nbtool.live.thumbnails import Thumbnails

class Counted(Thumbnails):
    asked = 0

    def get(self, *args):
        self.asked += 1
        return super().get(*args)
"""
SHOW_MANY = "view = many.view(); view._feed._thumbnails = Counted(); view"
LIVE = """
import nbtool

gen = nbtool.Generator()
job = gen.submit("a red star", seed=range(4), num_inference_steps=[2, 30])
live = job.view()
live
"""
RETRY = """
import nbtool
from nbtool.testing import FakeEngine

broken = {1}
engine = FakeEngine(
    fails=lambda recipe: "no memory" if recipe.seed in broken and recipe.guidance_scale == 2 else ""
)
engine.hold(3, lambda recipe: recipe.guidance_scale == 3)
job = nbtool.Generator(engine=engine).submit("a star", guidance_scale=[2, 3], seed=range(2))
engine.wait_for_hold(60)
"""
NODES = "document.querySelectorAll('*').length"


def _viewer(notebook, cell):
    return notebook.output(cell).locator(".nbtool-view")


@pytest.fixture
def shown(lab):
    """A notebook in which a grid is viewed."""
    notebook = lab.notebook([GRID, SHOW, ASK])
    notebook.run(0)
    notebook.run(1)
    expect(_viewer(notebook, 1).locator(".cell.pictured")).to_have_count(10)
    yield notebook
    assert notebook.errors == []


def test_keys_select_and_star_and_reach_python(shown):
    page, view = shown.page, _viewer(shown, 1)
    cells = page.locator(".jp-Notebook .jp-Cell").count()
    view.get_by_label("color red · Seed 0 · Guidance 1").focus()
    for key in (
        "Space",
        "s",
        "ArrowRight",
        "Space",
        "ArrowDown",
        "ArrowDown",
        "s",
        "x",
        "b",
        "d",
        "d",
    ):
        page.keyboard.press(key)
    expect(view.locator(".cell.starred")).to_have_count(2)
    expect(view.get_by_role("button", name="Clear the selection")).to_have_text("2 selected ✕")
    expect(view.get_by_role("dialog")).to_have_count(0)
    shown.run_until(2, "selected [(0, 1.0), (0, 2.0)] starred [0, 2] 2 2")
    # JupyterLab's own shortcuts on these keys have done nothing.
    assert page.locator(".jp-Notebook .jp-Cell").count() == cells


def test_without_its_kernel_a_viewer_says_so_and_keeps_no_star_that_python_does_not(shown):
    page, view = shown.page, _viewer(shown, 1)
    gone = view.get_by_role("alert").filter(has_text="run the cell again")
    expect(gone).to_have_count(0)
    shown.restart_kernel()
    expect(gone).to_be_visible()
    view.get_by_label("color red · Seed 0 · Guidance 1").focus()
    for key in ("s", "Space", "Enter"):
        page.keyboard.press(key)
    expect(view.get_by_role("dialog")).to_be_visible()
    expect(view.locator(".cell.starred")).to_have_count(0)


def test_clicks_select_with_ctrl_and_a_block_with_shift(shown):
    view = _viewer(shown, 1)
    view.get_by_label("color red · Seed 0 · Guidance 3").click(modifiers=["Control"])
    view.get_by_label("color red · Seed 2 · Guidance 4").click(modifiers=["Shift"])
    expect(view.locator(".cell.selected")).to_have_count(6)
    selected = "(0, 4.0), (1, 3.0), (1, 4.0), (2, 3.0), (2, 4.0)"  # the failed one has no image
    shown.run_until(2, f"selected [{selected}]")
    view.get_by_role("button", name="Clear the selection").click()
    expect(view.locator(".cell.selected")).to_have_count(0)


def test_enlarged_images_show_their_recipe_and_can_be_starred(shown):
    page, view = shown.page, _viewer(shown, 1)
    view.get_by_label("color red · Seed 0 · Guidance 1").click()
    dialog = view.get_by_role("dialog", name="Enlarged image")
    expect(dialog.locator("table").first).to_contain_text("a red star")
    expect(dialog.locator(".stage img")).to_be_visible()
    page.keyboard.press("PageDown")
    page.keyboard.press("ArrowDown")
    expect(dialog.get_by_role("heading")).to_have_text("color blue · Seed 1 · Guidance 1")
    expect(dialog.locator("table").first).to_contain_text("a blue star")
    dialog.get_by_role("button", name="Star").click()
    expect(dialog.get_by_role("button", name="Star")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    shown.run_until(2, "starred [1] 1 1")


def test_python_marks_what_the_viewer_shows(shown):
    shown.page.evaluate(
        "code => jupyterapp.shell.currentWidget.content.widgets[2].model.sharedModel.setSource(code)",
        "view.stars = [0, 4]; view.selection = [1]",
    )
    shown.run(2)
    view = _viewer(shown, 1)
    expect(view.locator(".cell.starred")).to_have_count(2)
    expect(view.locator(".cell.selected")).to_have_count(1)
    view.get_by_label("Show", exact=True).select_option("starred")
    expect(view.locator(".cell")).to_have_count(2)


def test_failed_cells_show_why_and_hostile_text_stays_text(shown):
    view = _viewer(shown, 1)
    expect(view.locator(".cell.failed")).to_have_text(f"failed\nout of memory {HOSTILE}")
    expect(view.locator("h1")).to_have_text(f"a {{color}} star {HOSTILE}")
    view.get_by_label("Show", exact=True).select_option("failed")
    expect(view.locator(".cell")).to_have_count(1)
    view.locator(".cell").click()
    expect(view.get_by_role("dialog")).to_contain_text(HOSTILE)
    assert shown.page.evaluate("window.hit") is None
    assert shown.page.locator("img[src=x]").count() == 0


def test_a_reopened_notebook_shows_the_pictures(shown, lab):
    still = shown.page.locator(".nbtool-still")
    expect(still).to_be_hidden()
    shown.save()
    shown.page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    lab.close_pages()
    again = lab.open(shown.path)
    expect(again.page.locator(".nbtool-still img")).to_have_count(22)
    expect(again.page.locator(".nbtool-still")).to_be_visible()


def test_cells_fill_while_a_job_runs(lab):
    notebook = lab.notebook([LIVE, "print(job.wait(), live.states)"])
    view = _viewer(notebook, 0)
    with notebook.held():
        notebook.run(0)
        expect(view.locator(".job")).to_be_visible()
        expect(view.locator(".cell.running").first).to_be_visible()
        expect(view.locator(".cell.made.pictured").first).to_be_visible()
    expect(view.locator(".job")).to_be_hidden()
    expect(view.locator(".cell.made.pictured")).to_have_count(8)
    expect(view.locator(".summary")).to_contain_text("8 images")
    notebook.run(1)
    expect(notebook.output(1)).to_contain_text("dddddddd")
    assert notebook.errors == []


def test_a_failed_cell_is_tried_again_and_axe_finds_nothing_in_a_notebook(lab):
    notebook = lab.notebook(
        [RETRY, "live = job.view(); live", "print(live.states, live.grid.failed)"]
    )
    notebook.run(0)
    notebook.run(1)
    page, view = notebook.page, _viewer(notebook, 1)
    expect(view.locator(".cell.running.pictured")).to_have_count(1)
    assert violations(page, ".nbtool-view") == []
    notebook.execute("engine.release()")
    expect(view.locator(".job")).to_be_hidden()
    for theme in (DARK, LIGHT):
        page.evaluate(
            "theme => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme
        )
        page.wait_for_selector(f"[data-jp-theme-name='{theme}']", state="attached")
        view.locator(".cell.failed").click()
        dialog = view.get_by_role("dialog", name="Enlarged image")
        expect(dialog.get_by_role("row", name="Prompt")).to_contain_text("a star")
        assert violations(page, ".nbtool-view") == []
        page.keyboard.press("Escape")
        view.get_by_label("Add an axis down").select_option("Seed")
        assert violations(page, ".nbtool-view") == []
        view.get_by_label("Axis 2 down").select_option("–")
    notebook.execute("broken.clear()")
    view.locator(".cell.failed").click()
    dialog.get_by_role("button", name="Try again").click()
    expect(dialog.get_by_role("link", name="Download PNG")).to_be_visible()
    page.keyboard.press("Escape")
    notebook.run(2)
    expect(notebook.output(2)).to_have_text("dddd {}")
    assert notebook.errors == []


def test_ten_thousand_cells_open_with_few_nodes_and_few_thumbnails(lab):
    notebook = lab.notebook([MANY, SHOW_MANY, "view._feed._thumbnails.asked"])
    page = notebook.page
    notebook.run(0)
    before = page.evaluate(NODES)
    notebook.run(1)
    view = _viewer(notebook, 1)
    expect(view.locator(".cell.pictured").first).to_be_visible()
    notebook.run(2)
    expect(notebook.output(2)).to_have_text(re.compile(r"^[1-9]\d{0,2}$"))
    assert page.evaluate(NODES) - before < 3000
    view.locator(".sheet").evaluate("sheet => sheet.scrollTo(1e6, 1e6)")
    last = view.get_by_label("Seed 199 · Guidance 49")
    expect(last.locator("img")).to_be_visible()
    view.get_by_label("Size").fill("48")
    expect(view.locator(".cell.pictured").first).to_be_visible()
    assert view.locator("*").count() < 1500
    assert notebook.errors == []


def test_fault_36_a_notebook_makes_no_formulas_and_shows_a_figure(lab):
    made = (
        "import nbtool\n"
        "from IPython.display import HTML, display\n"
        "from nbtool.text import card\n"
        "gen = nbtool.Generator()\n"
        "grid = gen.grid('a $x$ {c}', c=['$y$', 'b'], seed=[1], num_inference_steps=1)\n"
        "display(card({'Prompt': '$w$'}), raw=True)\n"
        "HTML('<p>$z$</p>')"
    )
    notebook = lab.notebook([made, "grid", "grid.figure()"])
    for cell in range(3):
        notebook.run(cell)
    expect(notebook.output(0).locator("mjx-container").first).to_be_visible()  # of $z$ alone
    expect(notebook.output(1).get_by_role("rowheader", name="$y$")).to_be_visible()
    expect(notebook.output(2).locator("img")).to_be_visible()
    for cell, count in ((0, 1), (1, 0)):
        expect(notebook.output(cell).locator("mjx-container")).to_have_count(count)
