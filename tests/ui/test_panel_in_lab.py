"""The panel in a real JupyterLab: clicks, keys, two views, restarts, and no kernel at all."""

from __future__ import annotations

import json
import re

import nbconvert
import nbformat
import pytest
from labs import DARK, LIGHT, NEWER_KERNEL, OLDER_KERNEL
from playwright.sync_api import expect

import nbtool

PANEL = "import nbtool\npanel = nbtool.Panel()\npanel"
DECODED = "images => Promise.all(images.map(image => image.decode())).then(() => true)"
# How bright the text and the ground of an element are, 0 to 255.
COLOURS = """element => ["color", "backgroundColor"].map(name => {
  const [red, green, blue] = getComputedStyle(element)[name].match(/\\d+/g).map(Number);
  return (red + green + blue) / 3;
})"""
HOSTILE = '<img src=x onerror="window.hacked=1"><b>bold</b>'


class Shown:
    """A panel below a cell, and what a user finds in it."""

    def __init__(self, notebook, cell=0):
        self.page = notebook.page
        cells = self.page.locator(".jp-Notebook .jp-CodeCell")
        self.root = cells.nth(cell).locator(".nbtool-panel")
        expect(self.button("Generate")).to_be_visible()
        self.tiles = self.root.locator(".nbtool-tile:not(.nbtool-making)")
        self.stage = self.root.locator(".nbtool-stage img")
        self.outlook = self.root.locator(".nbtool-left .nbtool-outlook")
        self.news = self.root.locator(".nbtool-news:visible")

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def field(self, name):
        return self.root.get_by_label(name, exact=True)

    def fill(self, **values):
        """Types into fields, named with underscores for spaces, and leaves the last one."""
        for name, value in values.items():
            self.field(name.replace("_", " ")).fill(str(value))
        self.page.keyboard.press("Tab")

    def tab(self, name):
        self.root.get_by_role("tab", name=name).click()

    def wait_for_images(self, count):
        expect(self.tiles).to_have_count(count)
        expect(self.tiles.locator("img[src]")).to_have_count(count)
        assert self.tiles.locator("img").evaluate_all(DECODED)


# Kernels differ in how they take messages while something runs, in what threads display, and in
# what is left of comms. What the browser and the panel do with a message needs no second kernel.
on_both_kernels = pytest.mark.parametrize("notebook", [NEWER_KERNEL, OLDER_KERNEL], indirect=True)


@pytest.fixture
def notebook(lab, request):
    kernel = getattr(request, "param", NEWER_KERNEL)
    notebook = lab.notebook([PANEL, "1 + 1"], kernel=kernel)
    notebook.run_all()
    yield notebook
    assert notebook.errors == []


@pytest.fixture
def panel(notebook):
    return Shown(notebook)


def test_the_older_kernel_is_older(lab):
    notebook = lab.notebook(["import ipykernel; ipykernel.__version__"], kernel=OLDER_KERNEL)
    notebook.run_all()
    expect(notebook.output(0)).to_have_text(re.compile(r"^'6\."))


def test_it_is_dark_in_a_dark_theme(lab):
    lab.theme(DARK)
    notebook = lab.notebook([PANEL])
    lab.theme(LIGHT)
    notebook.run_all()
    panel = Shown(notebook)
    for name in ("Prompt", "Scheduler", "Seed"):
        text, ground = panel.field(name).evaluate(COLOURS)
        assert text > 180
        assert ground < 80
    assert panel.page.screenshot()


@on_both_kernels
def test_a_click_makes_an_image_of_what_the_form_says(notebook, panel):
    panel.fill(Prompt="a red circle", Width=96, Height=64, Steps=4, Guidance=2)
    panel.button("Generate").click()
    panel.wait_for_images(1)
    expect(panel.stage).to_have_attribute("alt", re.compile("a red circle · seed .* · 96×64"))
    recipe = panel.root.locator(".nbtool-recipe")
    expect(recipe).to_contain_text("96 × 64")
    store = nbtool.Store(notebook.store)
    (image,) = store
    assert (image.recipe.guidance_scale, image.recipe.num_inference_steps) == (2, 4)


def test_ctrl_enter_generates_with_what_is_being_typed_and_runs_no_cell(notebook, panel):
    panel.fill(Steps=3)
    panel.field("Prompt").fill("a blue star")
    panel.page.keyboard.press("Control+Enter")
    panel.wait_for_images(1)
    (image,) = nbtool.Store(notebook.store)
    assert image.recipe.prompt == "a blue star"
    expect(panel.page.locator(".jp-InputPrompt").first).to_have_text("[1]:")


@on_both_kernels
def test_cancel_stops_a_long_job_and_keeps_what_is_done(notebook, panel):
    panel.fill(Images=50, Steps=8)
    with notebook.held():
        panel.button("Generate").click()
        expect(panel.tiles.first).to_be_visible()
        panel.fill(Prompt="typed meanwhile")
        notebook.run(1)
        expect(notebook.output(1)).to_contain_text("2")
        panel.button("Cancel").click()
        notebook.execute()  # the click was heard
    expect(panel.button("Cancel")).to_be_disabled()
    expect(panel.root.get_by_text(re.compile(r"\d+ images? not made"))).to_be_visible()
    made = len(nbtool.Store(notebook.store))
    assert 1 <= made < 50
    panel.wait_for_images(made)
    expect(panel.field("Prompt")).to_have_value("typed meanwhile")


def test_a_bad_value_is_named_and_the_panel_goes_on(panel):
    panel.fill(Width=100, Steps=2)
    expect(panel.outlook).to_contain_text("width must be a multiple of 8")
    panel.button("Generate").click()
    expect(panel.news.get_by_role("alert")).to_contain_text("try 96 or 104")
    panel.fill(Width=64)
    panel.button("Generate").click()
    panel.wait_for_images(1)
    expect(panel.news.get_by_role("alert")).to_have_count(0)


def test_an_error_in_a_handler_is_seen(lab):
    notebook = lab.notebook(
        [
            PANEL,
            "def broken(*_, **__):\n    raise KeyError('lost')\npanel.generator.submit = broken",
        ]
    )
    notebook.run_all()
    panel = Shown(notebook)
    notebook.run(1)
    panel.button("Generate").click()
    expect(panel.news.get_by_role("alert")).to_contain_text("KeyError: 'lost'")
    expect(panel.button("Generate")).to_be_enabled()


@on_both_kernels
def test_a_sweep_fills_a_grid_and_is_resumed(notebook, panel):
    panel.fill(Width=64, Height=64, Steps=8)
    panel.tab("Sweep")
    values = panel.field("Values")
    values.nth(0).fill("1-6")
    values.nth(1).fill("2, x")
    expect(panel.root.locator(".nbtool-axis .nbtool-alarm")).to_contain_text("'x'")
    values.nth(1).fill("2, 3, 4")
    expect(panel.root.locator(".nbtool-sweep .nbtool-outlook")).to_contain_text(
        "6 × 3 = 18 cells: 18 images"
    )
    results = panel.root.locator(".nbtool-results")
    with notebook.held():
        panel.button("Run").click()
        expect(results.locator("img").first).to_be_visible()
        expect(results).to_contain_text(re.compile(r"[1-9]\d* of 18 images"))
        panel.root.locator(".nbtool-sweep").get_by_role("button", name="Cancel").first.click()
        notebook.execute()  # the click was heard
    expect(panel.button("Resume")).to_be_enabled()
    panel.button("Resume").click()
    expect(panel.root.get_by_text(re.compile(r"18 images · \d+ already stored"))).to_be_visible()


def test_two_views_of_a_panel_agree(lab):
    notebook = lab.notebook([PANEL, "panel"])
    notebook.run_all()
    first, second = Shown(notebook, 0), Shown(notebook, 1)
    first.fill(Prompt="a red square", Steps=2, Images=2)
    expect(second.field("Prompt")).to_have_value("a red square")
    second.button("Generate").click()
    first.wait_for_images(2)
    second.wait_for_images(2)
    first.tiles.nth(1).click()
    expect(second.tiles.nth(1)).to_have_attribute("aria-pressed", "true")


def test_the_gallery_is_reached_by_keyboard(panel):
    panel.fill(Images=3, Steps=2)
    panel.button("Generate").click()
    panel.wait_for_images(3)
    panel.tiles.first.focus()
    panel.page.keyboard.press("ArrowRight")
    expect(panel.tiles.nth(1)).to_be_focused()
    panel.page.keyboard.press("Enter")
    expect(panel.tiles.nth(1)).to_have_attribute("aria-pressed", "true")
    expect(panel.stage).to_have_attribute("alt", panel.tiles.nth(1).get_attribute("title"))
    panel.page.keyboard.press("d")
    panel.page.keyboard.press("d")
    expect(panel.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(2)


def test_an_image_leads_to_the_next_question(panel):
    panel.fill(Prompt="a green star", Steps=4)
    panel.button("Generate").click()
    panel.wait_for_images(1)
    panel.button("☆ Star").click()
    expect(panel.tiles.first.locator("img")).to_have_attribute("alt", re.compile("^Starred"))
    panel.fill(Prompt="else")
    panel.button("Use these settings").click()
    expect(panel.field("Prompt")).to_have_value("a green star")
    expect(panel.field("Seed is")).to_have_value(re.compile("Locked"))
    panel.button("Vary the seed").click()
    panel.wait_for_images(5)
    panel.button("Sweep around this").click()
    expect(panel.field("Values").nth(0)).to_have_value("1-5 (+1)")
    expect(panel.root.locator(".nbtool-sweep .nbtool-outlook")).to_contain_text("5 × 3 = 15 cells")


def test_a_note_typed_while_images_come_is_of_the_image_that_was_looked_at(notebook, panel):
    panel.fill(Prompt="a star", Steps=4, Images=8)
    panel.button("Generate").click()
    expect(panel.tiles.first).to_be_visible()
    panel.field("Note").fill("the clean edge")
    panel.wait_for_images(8)
    panel.page.keyboard.press("Tab")
    expect(panel.field("Note")).to_have_value("the clean edge")
    panel.button("☆ Star").click()
    expect(panel.button("★ Starred")).to_be_visible()
    (noted,) = [image for image in nbtool.Store(notebook.store) if image.note or image.starred]
    assert (noted.note, noted.starred) == ("the clean edge", True)
    expect(panel.stage).to_have_attribute("alt", re.compile(f"seed {noted.seed} "))


def test_a_note_that_could_not_be_kept_is_kept_when_the_field_is_left_again(lab):
    refuse = "def refuse(*_):\n    raise OSError(30, 'read-only')\nos.replace = refuse"
    cells = [PANEL, f"import os\nreplace = os.replace\n{refuse}", "os.replace = replace"]
    notebook = lab.notebook(cells)
    notebook.run_all()
    panel = Shown(notebook)
    panel.fill(Steps=4)
    panel.button("Generate").click()
    panel.wait_for_images(1)
    notebook.run(1)
    panel.field("Note").fill("the clean edge")
    panel.page.keyboard.press("Tab")
    expect(panel.news.get_by_role("alert")).to_contain_text("note='the clean edge' is not kept")
    notebook.run(2)
    panel.field("Note").focus()
    panel.page.keyboard.press("Tab")
    expect(panel.news.get_by_role("alert")).to_have_count(0)
    assert [image.note for image in nbtool.Store(notebook.store)] == ["the clean edge"]


def test_code_is_copied(lab):
    notebook = lab.notebook([PANEL])
    notebook.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    notebook.run_all()
    panel = Shown(notebook)
    panel.fill(Prompt="a star", Steps=2)
    panel.button("Generate").click()
    panel.wait_for_images(1)
    panel.button("Copy as Python code").click()
    expect(panel.news).to_contain_text("clipboard")
    panel.page.wait_for_function(
        "async () => (await navigator.clipboard.readText()).includes('nbtool.Recipe')"
    )


def test_a_hostile_prompt_stays_text(panel):
    panel.fill(Prompt=HOSTILE, Steps=2, Model=HOSTILE)
    expect(panel.news.get_by_role("alert")).to_contain_text("<img src=x")
    panel.button("Generate").click()
    panel.wait_for_images(1)
    expect(panel.root.locator(".nbtool-recipe")).to_contain_text("<b>bold</b>")
    panel.tab("Sweep")
    expect(panel.root.locator(".nbtool-sweep")).to_contain_text("<b>bold</b>")
    assert panel.page.evaluate("window.hacked") is None
    assert panel.root.locator("b").count() == 0


@on_both_kernels
def test_after_a_restart_the_gallery_is_back(notebook, panel):
    panel.fill(Images=2, Steps=2)
    panel.button("Generate").click()
    panel.wait_for_images(2)
    notebook.restart_kernel()
    notebook.run_all()
    Shown(notebook).wait_for_images(2)


@on_both_kernels
def test_a_reopened_notebook_has_the_pictures_without_a_kernel(lab, notebook, panel):
    panel.fill(Images=2, Steps=2, Prompt=HOSTILE)
    panel.button("Generate").click()
    panel.wait_for_images(2)
    expect(panel.button("Cancel")).to_be_disabled()
    still = notebook.output(0).locator(".nbtool-still")
    expect(still.locator("img")).to_have_count(2)
    expect(still).to_be_hidden()
    notebook.save()
    notebook.page.wait_for_function("!jupyterapp.shell.currentWidget.context.model.dirty")
    saved = json.dumps(nbformat.read(notebook.path, 4).cells)
    assert "<b>bold" not in saved
    assert "<img src=x" not in saved
    page, _ = nbconvert.HTMLExporter().from_filename(str(notebook.path))
    assert len(re.findall(r'<img[^>]*src="data:image/webp;', page)) == 2
    lab.close_pages()
    reopened = lab.open(notebook.path)
    pictures = reopened.output(0).locator(".nbtool-still img")
    expect(pictures).to_have_count(2)
    expect(pictures.first).to_be_visible()
    assert pictures.evaluate_all(DECODED)
    expect(reopened.page.get_by_text("Error displaying widget")).to_be_hidden()
