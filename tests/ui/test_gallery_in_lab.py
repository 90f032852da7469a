"""The gallery in a real JupyterLab: a store of many images, as people go through it."""

from __future__ import annotations

import re

import pytest
from accessible import violations
from labs import DARK, LIGHT
from playwright.sync_api import expect

import nbtool

IMAGES = 600
FEW_IMAGES = 40
FILL = f"""
import nbtool
from nbtool.testing import FakeEngine
engine = FakeEngine(num_inference_steps=1, width=32, height=32)
gen = nbtool.Generator(engine=engine)
gen.grid("a picture", seed=range({IMAGES}))
gen.grid(["a red fox", "a blue hat"], seed=[1, 2]).name = "<b>foxes</b>"
panel = gen.panel()
panel
"""
FEW = f"""
import nbtool
from nbtool.testing import FakeEngine
gen = nbtool.Generator(engine=FakeEngine(num_inference_steps=1, width=32, height=32))
texts = ["a picture", "a picture of many things " * 6]
for n in range({FEW_IMAGES}):
    gen(texts[n % 2], seed=n // 2, width=[32, 96][n // 2 % 2])
gen.panel()
"""
WAITING = "engine.hold(1); jobs = [gen.submit(f'job {n}', seed=range(5)) for n in range(3)]"
PLACES = """tiles => tiles.map(tile => tile.getBoundingClientRect())
  .map(({ x, y, width }) => [x, y, width])"""
# A page is scrolled by whole pixels.
SAME = f"""before => ({PLACES})([...document.querySelectorAll(".nbtool-tile")])
  .every((tile, at) => tile.every((number, side) => Math.abs(number - before[at][side]) <= 1))"""
IN_SIGHT = """list => [...list.querySelectorAll(".nbtool-tile")].filter(tile => {
  const [box, frame] = [tile, list].map(one => one.getBoundingClientRect());
  return box.bottom > frame.top && box.top < frame.bottom;
}).every(tile => tile.querySelector("img").naturalWidth > 0)"""


class Shown:
    """The gallery of a panel, and what a user finds in it."""

    def __init__(self, notebook):
        self.page = notebook.page
        self.panel = self.page.locator(".nbtool-panel")
        self.root = self.page.locator(".nbtool-library")
        self.tiles = self.root.get_by_role("gridcell")
        self.chosen = self.root.locator('[role="gridcell"][aria-selected="true"]')
        self.count = self.root.locator(".nbtool-count")
        self.done = self.root.locator(".nbtool-done:visible [role=status]")

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def choose(self, *places, key=None):
        for place in places:
            self.tiles.nth(place).click(modifiers=[key] if key else [])

    def is_accessible(self):
        assert violations(self.page, ".nbtool-library") == []
        return True


@pytest.fixture(params=[LIGHT, DARK])
def gallery(lab, request):
    lab.theme(request.param)
    notebook = lab.notebook([FILL, WAITING])
    lab.theme(LIGHT)
    notebook.run(0)
    shown = Shown(notebook)
    shown.notebook = notebook
    expect(shown.count).to_have_text(re.compile(rf"^1–\d+ of {IMAGES + 4}$"))
    yield shown
    assert notebook.errors == []


@pytest.mark.parametrize("width", [720, 1280, 1920])
def test_a_double_click_enlarges_its_tile_and_moves_none(lab, width):
    notebook = lab.notebook([FEW, "gen.panel()"], width=width)
    notebook.run(0)
    gallery, page = Shown(notebook), notebook.page
    expect(gallery.count).to_have_text(re.compile(f"of {FEW_IMAGES}$"))
    dialog = page.locator("dialog.nbtool-enlarged[open]")
    columns = int(gallery.root.get_by_role("grid").get_attribute("aria-colcount"))
    gallery.tiles.nth(columns + 1).scroll_into_view_if_needed()
    for place in (0, 1, columns, columns + 1):
        before = gallery.tiles.evaluate_all(PLACES)
        box = gallery.tiles.nth(place).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        for count in (1, 2):
            page.mouse.down(click_count=count)
            page.mouse.up(click_count=count)
            expect(gallery.count).to_contain_text(" 1 chosen")
            page.wait_for_function(SAME, arg=before)
        expect(dialog.get_by_text(f"{place + 1} of {FEW_IMAGES}")).to_be_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        expect(gallery.chosen).to_have_count(0)
        page.wait_for_function(SAME, arg=before)
    expect(gallery.done).to_have_text("")
    assert len(nbtool.Store(notebook.store)) == FEW_IMAGES
    notebook.run(1)
    expect(page.locator(".nbtool-library")).to_have_count(2)
    assert violations(page, ".nbtool-panel") == []
    assert notebook.errors == []


@pytest.mark.parametrize("gallery", [LIGHT], indirect=True)
def test_images_are_chosen_marked_deleted_and_brought_back(gallery):
    page, store = gallery.page, nbtool.Store(gallery.notebook.store)
    gallery.choose(1)
    gallery.choose(4, key="Shift")
    gallery.choose(2, key="ControlOrMeta")
    expect(gallery.chosen).to_have_count(3)
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ControlOrMeta+a")  # JupyterLab would choose its cells
    expect(gallery.count).to_contain_text(f"{IMAGES + 4} chosen")
    page.keyboard.press("Escape")
    expect(gallery.chosen).to_have_count(0)
    gallery.tiles.nth(3).hover()
    gallery.tiles.nth(3).get_by_role("button", name="Star").click()
    expect(gallery.tiles.nth(3)).to_have_attribute("aria-label", re.compile("^Starred"))
    gallery.choose(0)
    gallery.choose(2, key="Shift")
    gallery.button("Add a note").click()
    page.keyboard.type("the clean ones")
    gallery.choose(5)  # what is written stays about those before
    gallery.button("Keep the note").click()
    expect(gallery.tiles.nth(2)).to_have_attribute("aria-label", re.compile("Note: the clean ones"))
    assert store[gallery.tiles.nth(5).get_attribute("data-key")].note == ""
    gallery.choose(0)
    gallery.choose(2, key="Shift")
    gone = [gallery.tiles.nth(n).get_attribute("data-key") for n in range(3)]
    page.keyboard.press("Delete")
    expect(gallery.done).to_contain_text("3 images deleted")
    expect(gallery.count).to_contain_text(f"of {IMAGES + 1}")
    expect(gallery.root.locator(".nbtool-trash")).to_contain_text("3 deleted images")
    assert gallery.is_accessible()
    assert not any(store.has(key) for key in gone)
    gallery.button("Undo").click()
    expect(gallery.count).to_contain_text(f"of {IMAGES + 4}")
    assert [store[key].note for key in gone] == ["the clean ones"] * 3
    _looks_through_what_was_deleted(gallery, store)
    link = gallery.root.get_by_role("link", name="Show in files")
    gallery.choose(0)
    link.click()
    page.get_by_role("button", name="Run Once").click()  # asked where the notebook is not trusted
    expect(page.locator(".jp-FileBrowser-crumbs")).to_contain_text("nbtool-images")


def _looks_through_what_was_deleted(gallery, store):
    """Deletes four, puts one back by mouse and one by keys, and removes the rest for good."""
    page = gallery.page
    gallery.choose(0)
    gallery.choose(3, key="Shift")
    gone = [gallery.tiles.nth(n).get_attribute("data-key") for n in range(4)]
    page.keyboard.press("Delete")
    gallery.button("Look through deleted images").click()
    expect(gallery.root.get_by_role("grid", name="Deleted images")).to_be_visible()
    gallery.button("Back to all images").click()
    expect(gallery.root.get_by_label("Search the images")).to_be_focused()
    expect(gallery.count).to_contain_text(f"of {IMAGES}")
    gallery.button("Look through deleted images").click()
    expect(gallery.count).to_have_text("1–4 of 4 deleted")
    expect(gallery.tiles).to_have_count(4)
    expect(gallery.tiles.first.locator("img")).to_be_visible()
    expect(gallery.button("what was deleted")).to_have_attribute("aria-pressed", "true")
    gallery.choose(0)
    page.keyboard.press("Delete")  # means nothing here
    page.keyboard.press("s")
    expect(gallery.button("Put back")).to_be_visible()
    expect(gallery.button("Delete")).to_be_hidden()
    assert gallery.is_accessible()
    gallery.button("Put back").click()
    expect(gallery.tiles).to_have_count(3)
    expect(gallery.tiles.first).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.nbtool-enlarged[open]")
    dialog.get_by_role("button", name="Put back").click()
    expect(dialog.get_by_text("1 of 2")).to_be_visible()
    page.keyboard.press("Escape")
    expect(gallery.tiles).to_have_count(2)
    assert [store.has(key) for key in gone] == [True, True, False, False]
    gallery.button("Remove deleted images for good").click()
    expect(gallery.button("Keep")).to_be_focused()
    assert gallery.is_accessible()
    page.keyboard.press("Escape")
    expect(gallery.button("Remove deleted images for good")).to_be_focused()
    page.keyboard.press("Enter")
    gallery.button("Remove for good").click()
    expect(gallery.done).to_contain_text("2 images removed for good")
    expect(gallery.button("what was deleted")).to_be_hidden()
    expect(gallery.count).to_contain_text(f"of {IMAGES + 2}")
    assert len(store.deleted) == 0


def test_all_images_are_there_as_one_scrolls_and_are_searched(gallery):
    page, tiles = gallery.page, gallery.root.locator(".nbtool-tiles")
    page.set_viewport_size({"width": 1280, "height": 1800})  # what is dragged, and where to
    tiles.evaluate("list => { list.scrollTop = list.scrollHeight; }")
    expect(gallery.count).to_have_text(re.compile(rf"–{IMAGES + 4} of {IMAGES + 4}$"))
    page.wait_for_function(
        IN_SIGHT.replace(
            "list =>", "() => { const list = document.querySelector('.nbtool-tiles'); return", 1
        )
        + "}"
    )
    assert gallery.tiles.count() < 200
    expect(gallery.root.get_by_role("grid")).to_have_attribute("aria-rowcount", re.compile(r"\d+"))
    expect(gallery.panel.get_by_label("Model", exact=True)).to_have_count(1)
    expect(gallery.root.get_by_label("Made with")).to_have_count(1)
    search = gallery.root.get_by_label("Search the images")
    search.fill("no such words")
    expect(gallery.root.get_by_text("No image matches.")).to_be_visible()
    assert gallery.is_accessible()
    gallery.button("Show all images").click()
    expect(gallery.count).to_contain_text(f"of {IMAGES + 4}")
    search.fill("FOX red")
    expect(gallery.tiles).to_have_count(2)
    gallery.tiles.first.drag_to(gallery.panel.get_by_label("Prompt", exact=True))
    expect(gallery.panel.get_by_label("Prompt", exact=True)).to_have_value("a red fox")
    gallery.tiles.first.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.nbtool-enlarged[open]")
    expect(dialog.get_by_text("1 of 2")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_text("2 of 2")).to_be_visible()
    download = dialog.get_by_role("link", name="Download PNG")
    before = download.get_attribute("href")
    page.keyboard.press("s")
    expect(download).not_to_have_attribute("href", before)
    assert download.evaluate("link => fetch(link.href).then(({ ok }) => ok)")
    page.keyboard.press("Escape")
    expect(gallery.tiles.nth(1)).to_be_focused()
    page.set_viewport_size({"width": 480, "height": 900})
    expect(search).to_be_hidden()
    gallery.button("Search · 1 set").click()
    expect(search).to_be_visible()
    assert gallery.is_accessible()
    gallery.choose(0)
    page.keyboard.press("Delete")
    expect(gallery.done).to_contain_text("1 image deleted")
    gallery.button("Look through deleted images").click()
    expect(gallery.root.get_by_role("grid", name="Deleted images")).to_be_visible()
    gallery.choose(0)
    assert gallery.is_accessible()


@pytest.mark.parametrize("gallery", [LIGHT], indirect=True)
def test_sweeps_are_opened_and_jobs_cancelled(gallery):
    page, notebook = gallery.page, gallery.notebook
    gallery.button("Sweeps").click()
    gallery.button("Open: <b>foxes</b>").click()
    expect(gallery.panel.locator(".nbtool-view img")).to_have_count(4)
    gallery.button("Rename: <b>foxes</b>").click()
    notebook.execute("gallery = panel.generate.gallery; gallery.sweeps = gallery.sweeps * 2")
    page.keyboard.press("Escape")  # what came meanwhile is seen now
    expect(gallery.root.get_by_role("listitem")).to_have_count(2)
    notebook.execute("gallery.sweeps = gallery.sweeps[:1]")
    gallery.button("Rename: <b>foxes</b>").click()
    page.keyboard.type("foxes and hats")
    page.keyboard.press("Enter")
    gallery.button("Delete: foxes and hats").click()
    expect(gallery.done).to_contain_text("1 sweep deleted")
    expect(gallery.button("Undo")).to_be_focused()
    gallery.button("Images").click()
    expect(gallery.done).to_have_text("")
    gallery.button("Sweeps").click()
    gallery.button("Undo").press("Enter")
    expect(gallery.button("Open: foxes and hats")).to_be_visible()
    close = gallery.button("Close this line")
    expect(close).to_be_focused()
    close.press("Enter")
    expect(close).to_be_hidden()
    expect(gallery.button("Sweeps")).to_be_focused()
    assert gallery.is_accessible()
    notebook.run(1)
    gallery.button("Queue").click()
    entries = gallery.root.get_by_role("listitem")
    expect(entries).to_have_text([re.compile(f"^job {n}") for n in range(3)])
    gallery.root.get_by_role("button", name="Do next: job 2").click()
    expect(entries).to_have_text([re.compile(f"^job {n}") for n in (2, 0, 1)])
    assert gallery.is_accessible()
    gallery.root.get_by_role("button", name="Cancel: job 1").click()
    expect(entries).to_have_count(2)
    notebook.execute("engine.release()")
    expect(gallery.root.get_by_text("Nothing runs or waits.")).to_be_visible()
    gallery.button("Images").click()
    expect(gallery.tiles.first).to_be_visible()
