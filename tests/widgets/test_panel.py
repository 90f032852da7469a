"""The panel without a browser: its handlers, with real images of the embedded model."""

from __future__ import annotations

import base64
import re

import pytest
from people import find, press

import nbtool
from nbtool.panel.panel import WIDGET, Panel
from nbtool.testing import FakeEngine

STEPS = 2
FIELDS = {
    "prompt": "Prompt", "guidance": "Guidance", "steps": "Steps", "width": "Width",
    "height": "Height", "scheduler": "Scheduler", "seed": "Seed", "seed_mode": "Seed is",
    "count": "Images", "model": "Model", "exact": "Exact", "size": "Size",
}  # fmt: skip
SECONDS = 600  # on a busy machine
HOSTILE = '<img src=x onerror="alert(1)"> <b>bold</b>'


@pytest.fixture
def engine():
    return FakeEngine(num_inference_steps=30, scheduler="ddim")


@pytest.fixture
def generator(tmp_path, engine):
    return nbtool.Generator(engine=engine, store=tmp_path / "images", num_inference_steps=STEPS)


@pytest.fixture
def real(tmp_path):
    """A generator of the embedded model."""
    return nbtool.Generator(store=tmp_path / "images", num_inference_steps=STEPS)


@pytest.fixture
def opened():
    """Opens a panel, and closes it in the end."""
    panels = []

    def open_panel(generator):
        panels.append(Panel(generator))
        panels[-1].join(SECONDS)
        return panels[-1]

    yield open_panel
    for panel in panels:
        panel.cancel()
        panel.join(SECONDS)
        panel.close()


@pytest.fixture
def panel(opened, generator):
    return opened(generator)


def field(panel, name):
    return find(panel.generate.widget, FIELDS[name])


def generate(panel, **values):
    """Fills the form, clicks Generate, waits, and gives the images of the gallery."""
    for name, value in values.items():
        field(panel, name).value = value
    press(panel.generate.widget, "Generate")
    panel.join(SECONDS)
    return list(panel.generate.gallery.images.values())


def test_the_fields_show_the_models_defaults_and_the_generators_own(opened, real):
    panel = opened(real)
    assert (field(panel, "steps").value, field(panel, "guidance").value) == (STEPS, 3.0)
    assert field(panel, "model").value == "shapes"
    assert field(panel, "scheduler").value in field(panel, "scheduler").options
    assert field(panel, "width").value == field(panel, "height").value > 0


@pytest.mark.parametrize("kind", ["generator", "real"])
def test_generate_makes_what_the_form_says(opened, request, kind):
    panel = opened(request.getfixturevalue(kind))
    images = generate(panel, prompt="a red circle", guidance=4.5, width=64, height=96)
    assert [image.recipe.prompt for image in images] == ["a red circle"]
    assert images[0].recipe.guidance_scale == 4.5
    assert images[0].image.size == (64, 96)
    assert panel.generate.gallery.selected == images[0].recipe.key
    assert panel.generate.detail.stage.picture == images[0].png
    assert find(panel.generate.widget, "Cancel").disabled


def test_the_click_returns_before_the_image_is_made(panel, engine):
    engine.hold(2)
    field(panel, "count").value = 20
    press(panel.generate.widget, "Generate")
    assert not find(panel.generate.widget, "Cancel").disabled
    assert engine.wait_for_hold(SECONDS)
    assert len(panel.generate.gallery.images) == 0
    press(panel.generate.widget, "Cancel")
    panel.join(SECONDS)
    assert find(panel.generate.widget, "Cancel").disabled


def test_without_a_generator_it_has_the_default_one(tmp_path, monkeypatch):
    monkeypatch.setenv("NBTOOL_STORE", str(tmp_path / "mine"))
    panel = nbtool.Panel()
    panel.join(SECONDS)
    assert isinstance(panel.generator, nbtool.Generator)
    assert (panel.generator.engine.name, panel.generator.store.path.name) == ("shapes", "mine")
    panel.close()


def test_seeds_are_new_each_time_until_they_are_locked(panel):
    first = generate(panel)[0].seed
    second = generate(panel)[0].seed
    assert first != second
    press(panel.generate.widget, "Reuse last")
    assert field(panel, "seed").value == str(second)
    generate(panel)
    assert len(panel.generate.gallery.images) == 2  # the same image again
    images = generate(panel, count=3)
    assert sorted(image.seed for image in images) == sorted([first, second, second + 1, second + 2])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("guidance", -1.0, "guidance_scale must be a number ≥ 0, got -1"),
        ("width", 100, "width must be a multiple of 8"),
        ("steps", 0, "num_inference_steps must be a whole number from 1 to 1000"),
        ("count", 0, "Images must be a number from 1 to 1000"),
    ],
)
def test_a_bad_value_is_named_before_and_at_the_click(panel, name, value, message):
    good = field(panel, name).value
    field(panel, name).value = value
    assert message in panel.generate.outlook.text
    generate(panel)
    assert message in panel.notice.text
    assert generate(panel, **{name: good})
    assert panel.notice.text == ""


def test_a_locked_seed_that_is_no_number_is_named(panel):
    field(panel, "seed").value = "seven"
    field(panel, "seed_mode").value = "Locked"
    press(panel.generate.widget, "Generate")
    assert "seed" in panel.notice.text
    assert "seven" in panel.notice.text


def test_it_says_what_will_happen(panel):
    generate(panel, prompt="a star", seed="5", seed_mode="Locked")
    panel.join(SECONDS)
    assert panel.generate.outlook.text == "1 image, already stored: nothing to make"
    field(panel, "count").value = 3
    panel.join(SECONDS)
    assert panel.generate.outlook.text.startswith("3 images: 2 to make, 1 stored · about ")


def test_an_unexpected_error_in_a_handler_is_shown_and_the_panel_goes_on(panel, monkeypatch):
    def broken(*_, **__):
        raise KeyError("lost")

    with monkeypatch.context() as patch:
        patch.setattr(panel.generator, "submit", broken, raising=False)
        press(panel.generate.widget, "Generate")
    assert "KeyError: 'lost'" in panel.notice.text
    assert generate(panel)
    assert panel.notice.text == ""


def test_an_unknown_model_is_refused_and_the_old_one_stays(panel):
    field(panel, "model").value = "shapez"
    panel.join(SECONDS)
    assert "no model 'shapez'" in panel.notice.text
    assert field(panel, "model").value == "fake"
    assert generate(panel)


def test_another_model_brings_its_defaults_and_keeps_the_store(panel):
    folder = nbtool.catalogue.find("shapes").folder
    field(panel, "steps").value = 7
    field(panel, "model").value = str(folder)
    panel.join(SECONDS)
    assert field(panel, "steps").value == 30
    assert panel.generator.store.path.name == "images"
    images = generate(panel, steps=STEPS)
    assert images[0].recipe.model == "shapes"
    assert images[0].recipe.revision != nbtool.catalogue.find("shapes").revision


@pytest.mark.parametrize("kind", ["generator", "real"])
def test_exact_is_what_images_are_made_with(opened, request, kind):
    panel = opened(request.getfixturevalue(kind))
    assert not generate(panel)[0].provenance.exact
    field(panel, "exact").value = True
    assert generate(panel)[0].provenance.exact


def test_presets_and_swap(panel):
    size, width, height = (field(panel, name) for name in ("size", "width", "height"))
    portrait = next(value for label, value in size.options if label.startswith("Portrait"))
    size.value = portrait
    assert (width.value, height.value) == portrait
    press(panel.generate.widget, "Swap")
    assert (width.value, height.value) == portrait[::-1]
    assert size.value == portrait[::-1]
    width.value = 72
    assert size.label == "Other"


def test_the_gallery_is_filled_from_the_store_on_opening(opened, generator, panel):
    generate(panel, count=3)
    other = opened(generator)
    gallery = other.generate.gallery
    assert [item["id"] for item in gallery.items] == [
        image.recipe.key for image in generator.store.latest(3)
    ]
    assert gallery.pictures.keys() == gallery.images.keys()
    assert gallery.selected == gallery.items[0]["id"]


def test_use_these_settings_fills_the_form(panel):
    image = generate(panel, prompt="a blue square", guidance=6, scheduler="ddim")[0]
    generate(panel, prompt="else", guidance=1, scheduler="euler")
    panel.generate.gallery.selected = image.recipe.key
    press(panel.generate.widget, "Use these settings")
    panel.join(SECONDS)
    shown = [field(panel, name).value for name in ("prompt", "guidance", "scheduler")]
    assert shown == ["a blue square", 6, "ddim"]
    assert field(panel, "seed").value == str(image.seed)
    generate(panel)
    assert len(panel.generate.gallery.images) == 2


def test_vary_makes_the_same_recipe_with_other_seeds(panel):
    image = generate(panel, prompt="a star")[0]
    press(panel.generate.widget, "Vary the seed")
    panel.join(SECONDS)
    images = list(panel.generate.gallery.images.values())
    assert len(images) == 5
    assert {i.recipe.replace(seed=0) for i in images} == {image.recipe.replace(seed=0)}


def test_a_star_and_a_note_are_kept_in_the_store(panel):
    image = generate(panel)[0]
    find(panel.generate.widget, "☆ Star").value = True
    find(panel.generate.widget, "Note").value = "sharp"
    stored = panel.generator.store[image.recipe.key]
    assert (stored.starred, stored.note) == (True, "sharp")
    assert panel.generate.gallery.items[0]["starred"]


def test_save_writes_a_file_with_the_recipe_and_overwrites_none(panel, tmp_path):
    image = generate(panel)[0]
    path = tmp_path / "kept.png"
    find(panel.generate.widget, "Save as").value = str(path)
    press(panel.generate.widget, "Save")
    assert nbtool.Recipe.from_file(path) == image.recipe
    press(panel.generate.widget, "Save")
    assert "is there already" in panel.notice.text


def test_copy_as_python_sends_code_that_makes_the_image_again(panel, monkeypatch):
    image = generate(panel, prompt=HOSTILE)[0]
    sent = []
    monkeypatch.setattr(panel.root, "send", sent.append)
    press(panel.generate.widget, "Copy as Python code")
    code = sent[0]["copy"]
    recipe = eval(code[code.index("nbtool.Recipe") :].rstrip()[:-1], {"nbtool": nbtool})
    assert recipe == image.recipe


def test_a_hostile_prompt_stays_text(panel):
    generate(panel, prompt=HOSTILE)
    shown = [
        panel.generate.detail.recipe.value,
        panel.sweep.base.widget.value,
        panel._repr_mimebundle_()["text/html"],
    ]
    for text in shown:
        assert "&lt;b&gt;bold" in text
        assert "<b>" not in text
        assert "<img src=x" not in text
    field(panel, "model").value = HOSTILE
    panel.join(SECONDS)
    assert "&lt;img src=x" in panel.notice.widget.value
    assert "<img" not in panel.notice.widget.value


def test_ctrl_enter_does_what_the_open_tab_is_for(panel):
    press = {"event": "go"}
    panel.root._handle_custom_msg(press, [])
    panel.join(SECONDS)
    assert len(panel.generate.gallery.images) == 1
    panel.tabs.selected_index = 1
    panel.sweep.fill_around(nbtool.Recipe(guidance_scale=3, num_inference_steps=STEPS))
    panel.root._handle_custom_msg(press, [])
    panel.join(SECONDS)
    assert len(panel.generator.store) > 1


def test_the_bundle_has_the_widget_and_pictures_in_its_place(panel):
    image = generate(panel, prompt="a red circle")[0]
    bundle = panel._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"] == panel.model_id
    assert bundle["text/plain"] == "<Panel: fake, images in images>"
    found = re.findall(r'src="data:image/webp;base64,([^"]+)"', bundle["text/html"])
    assert len(found) == 1
    assert base64.b64decode(found[0])[8:12] == b"WEBP"
    assert image.caption.split(" · ")[0] in bundle["text/html"]
