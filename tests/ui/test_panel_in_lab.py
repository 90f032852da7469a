"""The panel in a real JupyterLab: clicks, keys, two views, restarts, and no kernel at all."""

from __future__ import annotations

import json
import re

import nbconvert
import nbformat
import pytest
from accessible import violations
from labs import DARK, LIGHT, NEWER_KERNEL, OLDER_KERNEL
from playwright.sync_api import expect

import nbtool

PANEL = "import nbtool\npanel = nbtool.Panel()\npanel"
# A preview gives way to the image while one looks: then it is the new picture that is waited for.
DECODED = """images => Promise.all(
  images.map(image => image.decode().catch(() => image.decode()))).then(() => true)"""
# Two frames: what follows a change of size is done.
SETTLED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
ON_ONE_SCREEN = """panel => {
  panel.scrollIntoView();
  const screen = panel.closest(".jp-WindowedPanel-outer").getBoundingClientRect();
  return ["textarea", ".mod-primary", ".nbtool-stage img"].every(part => {
    const box = panel.querySelector(part).getBoundingClientRect();
    return box.top >= screen.top && box.bottom <= screen.bottom;
  });
}"""
# How bright the text and the ground of an element are, 0 to 255.
COLOURS = """element => ["color", "backgroundColor"].map(name => {
  const [red, green, blue] = getComputedStyle(element)[name].match(/\\d+/g).map(Number);
  return (red + green + blue) / 3;
})"""
HOSTILE = '<img src=x onerror="window.hacked=1"><b>bold</b>'


class Shown:
    """A panel below a cell, and what a user finds in it."""

    def __init__(self, notebook, cell=0, *, unfolded=True):
        self.page = notebook.page
        cells = self.page.locator(".jp-Notebook .jp-CodeCell")
        self.root = cells.nth(cell).locator(".nbtool-panel")
        expect(self.button("Generate")).to_be_visible()
        if unfolded:
            self.unfold()
        self.tiles = self.root.locator(".nbtool-tile:not(.nbtool-making)")
        self.stage = self.root.locator(".nbtool-stage img")
        self.outlook = self.root.locator(".nbtool-ask .nbtool-outlook")
        self.news = self.root.locator(".nbtool-news:visible")

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=isinstance(name, str))

    def field(self, name):
        return self.root.get_by_label(name, exact=True)

    def fill(self, **values):
        """Types into fields, named with underscores for spaces, and leaves the last one."""
        for name, value in values.items():
            field = self.field(name.replace("_", " "))
            (field.select_option if name == "Scheduler" else field.fill)(str(value))
        self.page.keyboard.press("Tab")

    def retype(self, name):
        """Types a letter into a field and takes it back, which a browser calls no change."""
        self.field(name).focus()
        for key in ("End", "0", "Backspace", "Tab"):
            self.page.keyboard.press(key)

    def unfold(self):
        closed = self.root.locator("[aria-expanded=false]:visible")
        while closed.count():
            closed.first.click()

    def head(self, name):
        """The button that folds a part away."""
        return self.root.locator("[aria-expanded]").filter(has_text=name)

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
    panel.fill(Prompt="a star", Images=50, Steps=8)
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


def test_what_is_wrong_is_said_at_its_field_and_nothing_typed_is_swallowed(panel):
    page, invalid = panel.page, panel.root.locator("[aria-invalid=true]")
    expect(invalid).to_have_count(0)
    panel.button("Generate").click()
    expect(panel.field("Prompt")).to_be_focused()
    expect(panel.field("Prompt")).to_have_accessible_description(re.compile("^Write what to draw"))
    panel.fill(Prompt="a star", Width=100, Steps="few", Guidance="3,5", Images="two", Seed="abc")
    expect(invalid).to_have_count(5)
    for name, typed, said in (
        ("Width", "100", "try 96 or 104"),
        ("Steps", "few", "got 'few'"),
        ("Guidance", "3,5", "got '3,5'"),
        ("Images", "two", "got 'two'"),
        ("Seed", "abc", "write 7, 1-5"),
    ):
        expect(panel.field(name)).to_have_value(typed)
        expect(panel.field(name)).to_have_accessible_description(re.compile(re.escape(said)))
    expect(panel.outlook).to_contain_text("To be put right first: Steps")
    panel.head("Size").click()
    expect(panel.head("Size")).to_contain_text("not right: Width")
    panel.fill(Steps=2, Guidance=3.5, Images=1, Seed="1-2")
    expect(invalid).to_have_count(1)
    panel.button("Generate").click()  # leads to the field, also where it is folded away
    expect(panel.field("Width")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(panel.field("Width")).to_have_value("104")
    panel.fill(Width=64, Model="shapez")
    expect(panel.field("Model")).to_have_accessible_description(re.compile("no model 'shapez'"))
    panel.button("Generate").click()
    expect(panel.field("Model")).to_be_focused()
    expect(panel.field("Model")).to_have_value("shapez")
    expect(panel.tiles).to_have_count(0)
    panel.button("Use shapes").click()
    expect(invalid).to_have_count(0)
    panel.button("Generate").click()
    panel.wait_for_images(2)
    expect(panel.news.get_by_role("alert")).to_have_count(0)
    die = panel.button("⚄ New each time")
    expect(die).to_have_attribute("aria-pressed", "false")
    die.click()
    expect(die).to_have_attribute("aria-pressed", "true")
    panel.button("Generate").click()
    panel.wait_for_images(3)
    expect(panel.field("Seed")).not_to_have_value("1-2")
    last = panel.field("Seed").input_value()
    panel.retype("Seed")  # which locks it, though it is the same
    expect(die).to_have_attribute("aria-pressed", "false")
    die.click()
    expect(die).to_have_attribute("aria-pressed", "true")
    die.click()
    expect(die).to_have_attribute("aria-pressed", "false")
    expect(panel.field("Seed")).to_have_value(last)


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
    panel.fill(Prompt="a star")
    panel.button("Generate").click()
    expect(panel.news.get_by_role("alert")).to_contain_text("KeyError: 'lost'")
    expect(panel.button("Generate")).to_be_enabled()


@on_both_kernels
def test_a_sweep_fills_a_grid_and_is_resumed(notebook, panel):
    panel.fill(Prompt="a star", Width=64, Height=64, Steps=8)
    panel.tab("Sweep")
    values = panel.field("Values")
    values.nth(0).fill("1-6")
    panel.button("Add an axis").click()
    panel.field("Vary").nth(1).select_option(label="Steps")
    values.nth(1).fill("2, x")
    expect(panel.root.locator(".nbtool-axis .nbtool-alarm")).to_contain_text("'x'")
    values.nth(1).fill("2, 3, 4")
    expect(panel.root.locator(".nbtool-sweep .nbtool-outlook")).to_contain_text(
        "6 × 3 = 18 cells: 18 images"
    )
    results = panel.root.locator(".nbtool-sweep .nbtool-results")
    with notebook.held():
        panel.button("Run").click()
        expect(results.locator("img").first).to_be_visible()
        expect(results).to_contain_text(re.compile(r"[1-9]\d* of 18 images"))
        panel.root.locator(".nbtool-sweep").get_by_role("button", name="Cancel").click()
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
    expect(second.tiles.nth(1)).to_have_attribute("aria-current", "true")


def test_the_gallery_is_reached_by_keyboard(panel):
    panel.fill(Prompt="a star", Images=3, Steps=2)
    panel.button("Generate").click()
    panel.wait_for_images(3)
    panel.tiles.first.focus()
    panel.page.keyboard.press("ArrowRight")
    expect(panel.tiles.nth(1)).to_be_focused()
    panel.page.keyboard.press("Enter")
    expect(panel.tiles.nth(1)).to_have_attribute("aria-current", "true")
    expect(panel.stage).to_have_attribute("alt", panel.tiles.nth(1).get_attribute("title"))
    panel.page.keyboard.press("d")
    panel.page.keyboard.press("d")
    expect(panel.page.locator(".jp-Notebook .jp-CodeCell")).to_have_count(2)


def test_an_image_leads_to_the_next_question(panel):
    panel.fill(Prompt="a green star", Steps=4)
    panel.button("Generate").click()
    panel.wait_for_images(1)
    panel.button("☆ Star").click()
    expect(panel.tiles.first).to_have_attribute("aria-label", re.compile("^Starred"))
    panel.fill(Prompt="else")
    panel.retype("Prompt")
    panel.button("Use these settings").click()
    expect(panel.field("Prompt")).to_have_value("a green star")
    expect(panel.button("⚄ New each time")).to_have_attribute("aria-pressed", "false")
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
    panel.fill(Prompt="a star", Steps=4)
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
    panel.unfold()
    panel.button("Copy as Python code").click()
    expect(panel.news).to_contain_text("clipboard")
    panel.page.wait_for_function(
        "async () => (await navigator.clipboard.readText()).includes('nbtool.Recipe')"
    )


@pytest.mark.parametrize("kernel", [NEWER_KERNEL, OLDER_KERNEL])
def test_presses_and_what_is_set_before_them_come_in_order_however_long_the_kernel_is_busy(
    lab, kernel
):
    wait = "import os, time\nwhile not os.path.exists('over'): time.sleep(0.05)"
    notebook = lab.notebook([PANEL, wait], kernel=kernel)
    notebook.run(0)
    panel = Shown(notebook)
    panel.fill(Prompt="a star", Images=1, Steps=2)
    notebook.run(1, wait=False)
    panel.fill(Prompt="a red star")
    panel.field("Scheduler").select_option("heun")
    panel.button("Generate").click()
    panel.fill(Prompt="a blue heart")
    panel.field("Scheduler").select_option("ddim")
    panel.button("Generate").click()
    panel.fill(Prompt="a green moon")
    panel.field("Scheduler").select_option("euler")
    if kernel == NEWER_KERNEL:  # it hears what is done in a panel while a cell runs
        panel.wait_for_images(2)
    notebook.path.with_name("over").touch()
    panel.wait_for_images(2)
    notebook.execute()
    recipes = [image.recipe for image in nbtool.Store(notebook.store)]
    made = sorted((recipe.prompt, recipe.scheduler) for recipe in recipes)
    assert made == [("a blue heart", "ddim"), ("a red star", "heun")]
    expect(panel.field("Prompt")).to_have_value("a green moon")
    assert notebook.errors == []


def test_a_sweep_has_the_values_that_were_typed_however_long_the_kernel_is_busy(lab):
    wait = "import os, time\nwhile not os.path.exists('over'): time.sleep(0.05)"
    notebook = lab.notebook([PANEL, wait], kernel=OLDER_KERNEL)
    notebook.run(0)
    panel = Shown(notebook)
    panel.fill(Prompt="a star", Steps=2)
    panel.tab("Sweep")
    notebook.run(1, wait=False)
    panel.field("Values").fill("")
    panel.field("Values").press_sequentially("1, 2, 3")
    panel.button("Run").click()
    notebook.path.with_name("over").touch()
    notebook.execute("panel.join()")
    scales = sorted(image.recipe.guidance_scale for image in nbtool.Store(notebook.store))
    assert scales == [1, 2, 3]
    expect(panel.field("Values")).to_have_value("1, 2, 3")
    assert notebook.errors == []


def test_a_hostile_prompt_stays_text(panel):
    panel.fill(Prompt=HOSTILE, Steps=2, Model=HOSTILE)
    panel.button("Generate").click()
    expect(panel.field("Model")).to_have_accessible_description(re.compile("<img src=x"))
    panel.fill(Model="shapes")
    panel.button("Generate").click()
    panel.wait_for_images(1)
    expect(panel.root.locator(".nbtool-recipe")).to_contain_text("<b>bold</b>")
    panel.tab("Sweep")
    expect(panel.root.locator(".nbtool-sweep")).to_contain_text("<b>bold</b>")
    assert panel.page.evaluate("window.hacked") is None
    assert panel.root.locator("b").count() == 0


@on_both_kernels
def test_without_its_kernel_the_panel_says_what_to_do_and_after_a_restart_all_is_back(
    notebook, panel
):
    panel.fill(Prompt="a star", Images=2, Steps=2)
    panel.button("Generate").click()
    panel.wait_for_images(2)
    gone = panel.root.get_by_text("run its cell again")
    expect(gone).to_have_count(0)
    notebook.restart_kernel()
    expect(gone).to_be_visible()
    panel.button("Generate").click()
    expect(panel.field("Prompt")).to_have_value("a star")
    # Nor does anything that is not a button ask a kernel which is not there.
    panel.field("Prompt").press("End")
    panel.field("Prompt").type(" seen")
    panel.tiles.first.focus()
    panel.page.keyboard.press("Delete")
    expect(panel.tiles).to_have_count(2)
    notebook.run_all()
    panel = Shown(notebook)
    panel.wait_for_images(2)
    expect(gone).to_have_count(0)
    session = "jupyterapp.shell.currentWidget.sessionContext"
    code = "__import__('os')._exit(1)"  # as when memory runs out
    panel.page.evaluate(f"code => {{ {session}.session.kernel.requestExecute({{ code }}) }}", code)
    expect(gone).to_be_visible()


def test_the_picture_comes_first_at_every_width_and_is_enlarged(panel):
    page, root = panel.page, panel.root.locator(".nbtool-workplace")
    panel.fill(Prompt="a star", Steps=2, Images=3)
    panel.button("Generate").click()
    panel.wait_for_images(3)
    pixels = panel.stage.evaluate("image => getComputedStyle(image).imageRendering")
    assert pixels == "pixelated"
    for width, height in ((1280, 900), (1920, 1080), (720, 900), (375, 800)):
        page.set_viewport_size({"width": width, "height": height})
        panel.stage.evaluate(SETTLED)
        picture = panel.stage.bounding_box()
        side = min(picture["width"], picture["height"])
        if width == 1280:
            assert side >= root.bounding_box()["width"] / 2
        if width == 720:
            assert panel.root.evaluate(ON_ONE_SCREEN)
        wide, room = root.evaluate("root => [root.scrollWidth, root.clientWidth]")
        assert wide <= room
    page.set_viewport_size({"width": 1280, "height": 900})
    panel.tiles.nth(1).click()
    expect(panel.stage).to_have_attribute("alt", panel.tiles.nth(1).get_attribute("title"))
    enlarge = panel.root.get_by_role("button", name=re.compile("^Enlarge: a star"))
    enlarge.focus()
    page.keyboard.press("Enter")
    enlarged = panel.root.get_by_role("dialog")
    expect(enlarged.get_by_text("2 of 3")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(enlarged.get_by_text("3 of 3")).to_be_visible()
    expect(panel.tiles.nth(2)).to_have_attribute("aria-current", "true")
    page.keyboard.press("1")
    expect(enlarged.get_by_text("100 %", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(enlarged).to_be_hidden()
    expect(enlarge).to_be_focused()


def test_what_is_folded_away_says_what_is_set_and_stays_as_it_was_left(notebook, panel):
    panel.fill(Prompt="a star", Steps=7, Scheduler="ddim")
    steps, advanced = panel.head("Steps, guidance, scheduler"), panel.head("Advanced")
    steps.press("Enter")
    expect(steps).to_have_text(re.compile("guidance 3 · 7 steps · ddim"))
    expect(panel.field("Steps")).to_be_hidden()
    notebook.run_all()
    panel = Shown(notebook, unfolded=False)
    expect(steps).to_have_attribute("aria-expanded", "false")
    expect(advanced).to_have_attribute("aria-expanded", "true")


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_axe_finds_nothing_in_any_state(lab, theme):
    lab.theme(theme)
    notebook = lab.notebook([PANEL])
    lab.theme(LIGHT)
    notebook.run_all()
    panel = Shown(notebook)
    found = lambda: violations(panel.page, ".nbtool-panel")  # noqa: E731
    assert found() == [], "empty"
    panel.fill(Steps=0, Model="shapez")
    panel.button("Generate").click()
    expect(panel.field("Model")).to_have_accessible_description(re.compile("no model 'shapez'"))
    assert found() == [], "failed"
    panel.fill(Steps=8, Model="shapes", Prompt="a star", Images=20)
    with notebook.held():
        panel.button("Generate").click()
        expect(panel.tiles.first).to_be_visible()
        assert found() == [], "running"
        panel.button("Cancel").click()
        notebook.execute()
    expect(panel.button("Cancel")).to_be_disabled()
    panel.button(re.compile("^Enlarge")).click()
    expect(panel.root.get_by_role("dialog")).to_be_visible()
    assert found() == [], "enlarged"


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
