"""The Sweep tab and what stands below the prompt, in a real JupyterLab."""

from __future__ import annotations

import base64
import re

import pytest
from accessible import violations
from labs import DARK, LIGHT
from playwright.sync_api import expect

import nbtool

PANEL = """import nbtool
gen = nbtool.Generator(num_inference_steps=2)
gen.store.presets["ink"] = nbtool.Preset(prompt="{prompt}, ink drawing", guidance_scale=2)
panel = gen.panel()
panel"""
BIG = 12 * 2**20  # bytes; more than a message to a kernel may have
# Gives files to an element as a drop or a paste does; each is a name and its bytes in base64.
GIVE = """(element, [kind, files]) => {
  const data = new DataTransfer();
  for (const [name, text] of files) {
    const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
    data.items.add(new File([bytes], name));
  }
  const about = { bubbles: true, cancelable: true };
  if (kind === "paste") {
    element.dispatchEvent(new ClipboardEvent("paste", { ...about, clipboardData: data }));
    return;
  }
  for (const step of ["dragover", "drop"]) {
    element.dispatchEvent(new DragEvent(step, { ...about, dataTransfer: data }));
  }
}"""


class Shown:
    """A panel below the first cell."""

    def __init__(self, notebook):
        self.page = notebook.page
        self.root = self.page.locator(".nbtool-panel")
        expect(self.button("Generate")).to_be_visible()
        self.news = self.root.locator(".nbtool-news:visible")
        self.rows = self.root.locator(".nbtool-axis")

    def button(self, name):
        return self.root.get_by_role("button", name=name, exact=True)

    def field(self, name):
        return self.root.get_by_label(name, exact=True)

    def give(self, kind, *files, to=None):
        said = [[name, base64.b64encode(data).decode()] for name, data in files]
        (to or self.field("Prompt")).evaluate(GIVE, [kind, said])

    def varied(self):
        return [row.locator("select").first.evaluate("s => s.selectedOptions[0].label")
                for row in self.rows.all()]  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """PNGs of nbtool: a small one, and one with much behind it."""
    folder = tmp_path_factory.mktemp("pictures")
    gen = nbtool.Generator("shapes", store=folder, num_inference_steps=2)
    small, large = (gen(prompt, seed=7).png for prompt in ("a red fox", "a blue cat"))
    return small, large + bytes(BIG)


def opened(lab, theme=LIGHT, **options):
    lab.theme(theme)
    notebook = lab.notebook([PANEL], **options)
    lab.theme(LIGHT)
    notebook.run_all()
    return notebook, Shown(notebook)


def test_a_picture_gives_its_settings_and_the_prompt_says_what_is_read(lab, pictures):
    notebook, panel = opened(lab)
    small, large = pictures
    prompt = panel.field("Prompt")
    settings = panel.button("Use its settings")
    panel.give("drop", ("fox.png", small), ("cat.png", large))
    expect(panel.root.get_by_text("nbtool made fox.png:")).to_be_visible()
    assert violations(panel.page, ".nbtool-panel") == []
    settings.press("Enter")
    expect(panel.news).to_have_text(re.compile("settings of fox.png are here.*first of 2 files"))
    expect(settings).to_be_hidden()
    expect(prompt).to_have_value("a red fox")
    expect(panel.field("Seed")).to_have_value("7")
    panel.give("paste", ("cat.png", large))
    settings.click()
    expect(prompt).to_have_value("a blue cat")
    panel.give("drop", ("notes.txt", b"hello"))
    expect(panel.news).to_contain_text("notes.txt is no picture")
    with panel.page.expect_file_chooser() as chooser:
        panel.button("From a picture…").press("Enter")
    chooser.value.set_files({"name": "a.png", "mimeType": "image/png", "buffer": small})
    settings.click()
    expect(prompt).to_have_value("a red fox")
    prompt.fill("")
    prompt.press_sequentially("a large yellow star on a blue background, " * 4)
    cut = panel.root.locator(".nbtool-cut")
    expect(cut).to_contain_text("does not read the end of the prompt: “star on a blue")
    expect(panel.root.locator(".nbtool-counted")).to_contain_text("36 of 30 tokens")
    prompt.fill("a star")
    prompt.press("Tab")
    expect(cut).to_have_text("")
    assert notebook.errors == []


def test_a_preset_is_renamed_and_what_is_wrong_with_it_is_said(lab):
    notebook, panel = opened(lab)
    panel.field("Preset").select_option("ink")
    expect(panel.root.locator(".nbtool-counted")).to_contain_text("of 30 tokens")
    panel.button("Edit presets").press("Enter")
    expect(panel.field("Preset name")).to_have_value("ink")
    panel.field("Preset name").fill("pen")
    panel.button("Rename preset").click()
    expect(panel.field("Preset")).to_have_value("pen")
    assert list(nbtool.Store(notebook.store).presets) == ["pen"]
    panel.field("Preset name").fill("a|b")
    panel.button("Save preset").click()
    expect(panel.field("Preset name")).to_be_focused()
    expect(panel.field("Preset name")).to_have_accessible_description(re.compile(r"has no \|"))
    path = nbtool.Store(notebook.store).presets.path
    written = path.read_text()
    path.write_text("{")
    choice = panel.field("Preset")
    choice.focus()
    expect(choice).to_have_attribute("aria-invalid", "true")
    expect(choice).to_have_accessible_description(re.compile("presets.json"))
    expect(choice).to_have_value("pen")
    path.write_text(written)
    expect(choice).to_have_attribute("aria-invalid", "false")
    assert notebook.errors == []


def test_a_button_that_moves_while_it_is_pressed_is_pressed(lab):
    notebook, panel = opened(lab)
    prompt, generate, mouse = panel.field("Prompt"), panel.button("Generate"), panel.page.mouse
    for text, error in (("a {color} star", re.compile("color")), ("a star", "")):
        prompt.fill(text)
        box = generate.bounding_box()
        mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        mouse.down()  # the field is left
        expect(panel.root.locator(".nbtool-asking .nbtool-error").first).to_have_text(error)
        assert generate.bounding_box()["y"] != box["y"]
        mouse.up()
        if error:
            expect(prompt).to_be_focused()
    expect(panel.root.locator(".nbtool-tile")).to_have_count(1)
    assert notebook.errors == []


def test_the_keyboard_goes_to_what_is_wrong_and_on_from_what_is_gone(lab):
    notebook, panel = opened(lab)
    prompt = panel.field("Prompt")
    prompt.fill("a {color} star")
    panel.button("Generate").click()
    expect(prompt).to_be_focused()
    expect(prompt).to_have_accessible_description(re.compile("add a row 'color' in the Sweep tab"))
    panel.root.get_by_role("tab", name="Sweep").click()
    for number, label in enumerate(("Guidance", "{color}"), 2):
        panel.button("Add an axis").press("Enter")
        expect(panel.rows).to_have_count(number)
        panel.rows.last.get_by_label("Vary").select_option(label=label)
    panel.rows.last.get_by_label("Values").fill("red | blue")
    panel.rows.nth(1).get_by_label("Values").fill("2")
    invalid = panel.root.locator("select[aria-invalid=true]")
    expect(invalid).to_have_count(2)
    panel.button("Run").press("Enter")
    expect(invalid.first).to_be_focused()
    removes = panel.root.get_by_role("button", name="Remove", exact=True)
    removes.nth(1).press("Enter")
    expect(panel.rows).to_have_count(2)
    expect(removes.nth(1)).to_be_focused()
    removes.nth(0).press("Enter")
    expect(panel.rows).to_have_count(1)
    expect(removes.nth(0)).to_be_focused()
    panel.button("Run").press("Enter")
    expect(panel.root.locator(".nbtool-sweep").get_by_text("2 images", exact=True)).to_be_visible()
    removes.nth(0).press("Enter")
    expect(panel.button("Add an axis")).to_be_focused()
    assert notebook.errors == []


@pytest.mark.parametrize("theme", [LIGHT, DARK])
def test_axes_are_filled_in_moved_and_run(lab, theme):
    notebook, panel = opened(lab, theme)
    panel.field("Prompt").fill("a red star")
    panel.field("Preset").select_option("ink")
    panel.button("Edit presets").click()
    expect(panel.field("Preset name")).to_be_visible()
    assert violations(panel.page, ".nbtool-panel") == []
    panel.root.get_by_role("tab", name="Sweep").click()
    base = panel.root.locator(".nbtool-sweep .nbtool-quiet").first
    expect(base).to_contain_text("a red star · preset ink")
    expect(base).not_to_contain_text("guidance")
    for number, label in enumerate(("Seed", "Scheduler"), 2):
        panel.button("Add an axis").click()
        expect(panel.rows).to_have_count(number)
        panel.rows.last.get_by_label("Vary").select_option(label=label)
    seed, scheduler = panel.rows.nth(1), panel.rows.nth(2)
    values = scheduler.get_by_label("Values")
    values.fill("eulr")
    expect(values).to_have_attribute("aria-invalid", "true")
    expect(values).to_have_accessible_description(re.compile("did you mean 'euler'"))
    for row in panel.rows.all():
        row.get_by_role("button", name="Fill in").click()
    assert violations(panel.page, ".nbtool-panel") == []
    seed.get_by_label("How many").fill("2")
    seed.get_by_role("button", name="Draw seeds").click()
    expect(seed.get_by_text("2 values: ")).to_be_visible()
    values.fill("")
    scheduler.get_by_label("ddim", exact=True).check()
    expect(values).to_have_value("ddim")
    expect(values).to_have_attribute("aria-invalid", "false")
    handles = panel.root.get_by_role("button", name=re.compile("Move axis"))
    handles.nth(2).press("ArrowUp")
    expect(handles.nth(1)).to_be_focused()
    expect(handles.nth(1)).to_have_accessible_name("Move axis 2 of 3: Scheduler")
    assert panel.varied() == ["Guidance", "Scheduler", "Seed"]
    panel.rows.nth(0).evaluate("row => row.scrollIntoView()")
    box, to = handles.nth(2).bounding_box(), panel.rows.nth(0).bounding_box()
    panel.page.mouse.move(box["x"] + 5, box["y"] + 5)
    panel.page.mouse.down()
    panel.page.mouse.move(to["x"] + 5, to["y"] + 20, steps=4)
    panel.page.mouse.up()
    expect(handles.nth(0)).to_have_accessible_name("Move axis 1 of 3: Seed")
    assert panel.varied() == ["Seed", "Guidance", "Scheduler"]
    sweep = panel.root.locator(".nbtool-sweep")
    expect(sweep.locator(".nbtool-outlook")).to_contain_text("2 × 4 × 1 = 8 cells")
    with notebook.held():
        panel.button("Run").click()
        expect(sweep.locator(".nbtool-results img").first).to_be_visible()
        expect(sweep.get_by_role("button", name="Cancel")).to_have_count(1)
    expect(sweep.get_by_text("8 images", exact=True)).to_be_visible()
    assert {image.recipe.prompt for image in nbtool.Store(notebook.store)} == {
        "a red star, ink drawing"
    }
    assert notebook.errors == []
