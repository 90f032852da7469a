"""A picture to start from, in the panel of a real JupyterLab."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from accessible import violations
from labs import DARK, LIGHT
from PIL import Image
from playwright.sync_api import expect
from test_sweep_in_lab import Shown

import nbtool

PANEL = """import nbtool
gen = nbtool.Generator(num_inference_steps=2)
panel = gen.panel()
panel"""
SIZE = (96, 64)


class Panel(Shown):
    """With a picture that is started from."""

    def __init__(self, notebook):
        super().__init__(notebook)
        self.head = self.heading("Picture")
        self.fold = self.root.locator(".nbtool-starting")
        self.board = self.fold.get_by_role("application")

    def heading(self, name):
        return self.root.locator(".nbtool-fold-head button", has_text=re.compile(f"^{name}"))

    def unfold(self, name):
        head = self.heading(name)
        if head.get_attribute("aria-expanded") == "false":
            head.click()

    def rectangle(self, *corners):
        """Paints a rectangle between two pixels of the picture, by the mouse."""
        self.fold.get_by_role("button", name="Rectangle").click()
        self.board.scroll_into_view_if_needed()
        box, mouse = self.board.locator("canvas").bounding_box(), self.page.mouse
        scale = box["width"] / SIZE[0]
        places = [(box["x"] + (x + 0.5) * scale, box["y"] + (y + 0.5) * scale) for x, y in corners]
        mouse.move(*places[0])
        mouse.down()
        mouse.move(*places[1])
        mouse.up()

    def generate(self, store, images):
        self.button("Generate").click()
        expect(self.root.locator(".nbtool-count")).to_have_text(re.compile(f"of {images}$"))
        return nbtool.Store(store).latest(1)[0]


@pytest.fixture(scope="module")
def photo():
    """A file with nothing of nbtool's in it."""
    values = np.random.default_rng(1).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("theme", "width"), [(LIGHT, 1280), (DARK, 720)])
def test_a_photo_is_dropped_painted_on_extended_and_started_from(lab, photo, theme, width):
    lab.theme(theme)
    notebook = lab.notebook([PANEL], width=width)
    lab.theme(LIGHT)
    notebook.run_all()
    panel = Panel(notebook)
    panel.field("Prompt").fill("a red star")
    panel.give("drop", ("holiday.png", photo))
    expect(panel.news).to_contain_text("Images start from holiday.png now")
    expect(panel.board.locator("img")).to_be_visible()
    panel.rectangle((8, 8), (39, 55))
    expect(panel.head).to_contain_text("holiday, where the mask is painted")
    panel.unfold("Size")
    panel.field("Width").fill(str(SIZE[0]))
    panel.field("Height").fill(str(SIZE[1]))
    panel.field("Strength").fill("0.9")
    assert violations(panel.page, ".nbtool-panel") == []
    image = panel.generate(notebook.store, 1)
    assert (image.recipe.image.name, image.recipe.strength) == ("holiday", 0.9)
    assert image.recipe.mask_image.image.getbbox() == (8, 8, 40, 56)
    same = (np.asarray(image.image) == np.asarray(image.recipe.image.image)).all(axis=2)
    assert same[:, 40:].all()
    assert not same[8:56, 8:40].all()

    panel.fold.get_by_role("button", name="Extend").click()
    panel.fold.get_by_label("Right").fill("32")
    panel.page.keyboard.press("Tab")
    expect(panel.field("Width")).not_to_have_value(str(SIZE[0]))
    image = panel.generate(notebook.store, 2)
    assert image.recipe.image.size == (128, 64)
    assert image.recipe.mask_image.image.getbbox() == (8, 0, 128, 64)

    panel.button("Start from this").click()
    expect(panel.head).to_contain_text(re.compile(r"Picture\s*a red star, seed"))
    panel.field("Prompt").fill("a blue star")
    chain = panel.generate(notebook.store, 3).chain
    assert [step.prompt for step in chain] == ["a red star", "a blue star"]
    panel.fold.get_by_role("button", name="Remove it").click()
    expect(panel.board).to_be_hidden()
    assert panel.generate(notebook.store, 4).recipe.image is None
    assert notebook.errors == []


def test_pictures_are_started_from_wherever_they_come_from(lab, photo, tmp_path):
    notebook = lab.notebook([PANEL])
    notebook.run_all()
    panel = Panel(notebook)
    panel.field("Prompt").fill("a red star")
    made = panel.generate(notebook.store, 1)
    data = made.save(tmp_path / "star.png").read_bytes()
    panel.give("drop", ("star.png", data))
    panel.button("Start from it").press("Enter")
    expect(panel.head).to_contain_text("star")
    expect(panel.board.locator("img")).to_be_visible()
    panel.fold.get_by_role("button", name="Remove it").click()
    panel.give("drop", ("star.png", data), to=panel.fold)
    expect(panel.news).to_contain_text("Images start from star.png now")
    expect(panel.button("Start from it")).to_be_hidden()
    with panel.page.expect_file_chooser() as chooser:
        panel.button("Choose a picture…").press("Enter")
    chooser.value.set_files({"name": "a photo.png", "mimeType": "image/png", "buffer": photo})
    expect(panel.head).to_contain_text("a photo")
    panel.page.set_viewport_size({"width": 1280, "height": 2400})  # what is dragged, and where to
    panel.root.locator(".nbtool-tile").first.drag_to(panel.head)
    expect(panel.head).to_contain_text(re.compile("a red star, seed"))
    panel.root.get_by_role("button", name=re.compile("^Enlarge: a red star")).press("Enter")
    panel.root.get_by_role("dialog").get_by_role("button", name="Start from this").click()
    expect(panel.news).to_contain_text("Images start from this one now")
    assert notebook.errors == []
