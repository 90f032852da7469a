"""The panel without a browser: its handlers, with real images of the embedded model."""

from __future__ import annotations

import base64
import re

import pytest

import nbtool
from nbtool.widgets.panel import WIDGET, Panel

STEPS = 2
SECONDS = 600  # on a busy machine
HOSTILE = '<img src=x onerror="alert(1)"> <b>bold</b>'


@pytest.fixture
def generator(tmp_path):
    return nbtool.Generator(store=tmp_path / "images", num_inference_steps=STEPS)


@pytest.fixture
def panel(generator):
    panel = Panel(generator)
    panel.join(SECONDS)
    yield panel
    panel._generate._follower.cancel()
    panel._sweep._follower.cancel()
    panel.join(SECONDS)
    panel.close()


def settings(panel):
    return panel._session.settings


def notice(panel):
    return panel._session.notice


def generate(panel, **values):
    """Fills the form, clicks Generate, waits, and gives the images of the gallery."""
    for name, value in values.items():
        getattr(settings(panel), name).value = value
    panel._generate.generate.click()
    panel.join(SECONDS)
    return list(panel._generate.gallery.images.values())


def test_the_fields_show_the_models_defaults_and_the_generators_own(panel):
    form = settings(panel)
    assert (form.steps.value, form.guidance.value) == (STEPS, 3.0)
    assert form.model.value == "shapes"
    assert form.scheduler.value in form.scheduler.options
    assert form.width.value == form.height.value > 0


def test_generate_makes_what_the_form_says(panel):
    images = generate(panel, prompt="a red circle", guidance=4.5, width=64, height=96)
    assert [image.recipe.prompt for image in images] == ["a red circle"]
    assert images[0].recipe.guidance_scale == 4.5
    assert images[0].image.size == (64, 96)
    assert panel._generate.gallery.selected == images[0].recipe.key
    assert panel._generate.detail.stage.picture == images[0].png
    assert panel._generate.cancel.disabled


def test_the_click_returns_before_the_image_is_made(panel, held):
    settings(panel).count.value = 20
    panel._generate.generate.click()
    assert not panel._generate.cancel.disabled
    assert len(panel._generate.gallery.images) < 20
    panel._generate.cancel.click()
    held.set()
    panel.join(SECONDS)
    assert panel._generate.cancel.disabled
    assert len(panel._generate.gallery.images) < 20


def test_seeds_are_new_each_time_until_they_are_locked(panel):
    first = generate(panel)[0].seed
    second = generate(panel)[0].seed
    assert first != second
    settings(panel).reuse.click()
    assert settings(panel).seed.value == str(second)
    generate(panel)
    assert len(panel._generate.gallery.images) == 2  # the same image again
    images = generate(panel, count=3)
    assert sorted(image.seed for image in images) == sorted([first, second, second + 1, second + 2])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("guidance", -1.0, "guidance_scale must be a number ≥ 0, got -1"),
        ("width", 100, "width must be a multiple of 8"),
        ("steps", 0, "num_inference_steps must be a whole number from 1 to 1000"),
        ("count", 0, "Images must be a number from 1 to 1000"),
    ],
)
def test_a_bad_value_is_named_before_and_at_the_click(panel, field, value, message):
    good = getattr(settings(panel), field).value
    getattr(settings(panel), field).value = value
    assert message in panel._generate.outlook.text
    generate(panel)
    assert message in notice(panel).text
    assert generate(panel, **{field: good})
    assert notice(panel).text == ""


def test_a_locked_seed_that_is_no_number_is_named(panel):
    settings(panel).seed.value = "seven"
    settings(panel).seed_mode.value = "Locked"
    panel._generate.generate.click()
    assert "seed" in notice(panel).text
    assert "seven" in notice(panel).text


def test_it_says_what_will_happen(panel):
    generate(panel, prompt="a star", seed="5", seed_mode="Locked")
    panel.join(SECONDS)
    assert panel._generate.outlook.text == "1 image, already stored: nothing to make"
    settings(panel).count.value = 3
    panel.join(SECONDS)
    assert panel._generate.outlook.text.startswith("3 images: 2 to make, 1 stored · about ")


def test_an_unexpected_error_in_a_handler_is_shown_and_the_panel_goes_on(panel, monkeypatch):
    def broken(*_, **__):
        raise KeyError("lost")

    with monkeypatch.context() as patch:
        patch.setattr(panel._session.generator, "submit", broken, raising=False)
        panel._generate.generate.click()
    assert "KeyError: 'lost'" in notice(panel).text
    assert generate(panel)
    assert notice(panel).text == ""


def test_an_unknown_model_is_refused_and_the_old_one_stays(panel):
    settings(panel).model.value = "shapez"
    panel.join(SECONDS)
    assert "no model 'shapez'" in notice(panel).text
    assert settings(panel).model.value == "shapes"
    assert generate(panel)


def test_another_model_brings_its_defaults_and_keeps_the_store(panel):
    folder = nbtool.catalogue.find("shapes").folder
    settings(panel).steps.value = 7
    settings(panel).model.value = str(folder)
    panel.join(SECONDS)
    assert settings(panel).steps.value == 30
    assert panel.generator.store.path.name == "images"
    images = generate(panel, steps=STEPS)
    assert images[0].recipe.model == str(folder)


def test_exact_is_what_images_are_made_with(panel):
    assert not generate(panel)[0].provenance.exact
    settings(panel).exact.value = True
    assert generate(panel)[0].provenance.exact


def test_presets_and_swap(panel):
    form = settings(panel)
    portrait = next(value for label, value in form.size.options if label.startswith("Portrait"))
    form.size.value = portrait
    assert (form.width.value, form.height.value) == portrait
    form.swap.click()
    assert (form.width.value, form.height.value) == portrait[::-1]
    assert form.size.value == portrait[::-1]
    form.width.value = 72
    assert form.size.label == "Other"


def test_the_gallery_is_filled_from_the_store_on_opening(generator, panel):
    generate(panel, count=3)
    other = Panel(generator)
    other.join(SECONDS)
    gallery = other._generate.gallery
    assert [item["id"] for item in gallery.items] == [
        image.recipe.key for image in generator.store.latest(3)
    ]
    assert gallery.pictures.keys() == gallery.images.keys()
    assert gallery.selected == gallery.items[0]["id"]
    other.close()


def test_use_these_settings_fills_the_form(panel):
    image = generate(panel, prompt="a blue square", guidance=6, scheduler="ddim")[0]
    generate(panel, prompt="else", guidance=1, scheduler="euler")
    panel._generate.gallery.selected = image.recipe.key
    panel._generate.detail.use.click()
    panel.join(SECONDS)
    form = settings(panel)
    assert (form.prompt.value, form.guidance.value, form.scheduler.value) == (
        "a blue square",
        6,
        "ddim",
    )
    assert form.seed.value == str(image.seed)
    generate(panel)
    assert len(panel._generate.gallery.images) == 2


def test_vary_makes_the_same_recipe_with_other_seeds(panel):
    image = generate(panel, prompt="a star")[0]
    panel._generate.detail.vary.click()
    panel.join(SECONDS)
    images = list(panel._generate.gallery.images.values())
    assert len(images) == 5
    assert {i.recipe.replace(seed=0) for i in images} == {image.recipe.replace(seed=0)}


def test_a_star_and_a_note_are_kept_in_the_store(panel):
    image = generate(panel)[0]
    panel._generate.detail.star.value = True
    panel._generate.detail.note.value = "sharp"
    stored = panel.generator.store[image.recipe.key]
    assert (stored.starred, stored.note) == (True, "sharp")
    assert panel._generate.gallery.items[0]["starred"]


def test_save_writes_a_file_with_the_recipe_and_overwrites_none(panel, tmp_path):
    image = generate(panel)[0]
    path = tmp_path / "kept.png"
    panel._generate.detail.file.value = str(path)
    panel._generate.detail.save.click()
    assert nbtool.Recipe.from_file(path) == image.recipe
    panel._generate.detail.save.click()
    assert "is there already" in notice(panel).text


def test_copy_as_python_sends_code_that_makes_the_image_again(panel, monkeypatch):
    image = generate(panel, prompt=HOSTILE)[0]
    sent = []
    monkeypatch.setattr(panel._root, "send", sent.append)
    panel._generate.detail.python.click()
    code = sent[0]["copy"]
    recipe = eval(code[code.index("nbtool.Recipe") :].rstrip()[:-1], {"nbtool": nbtool})
    assert recipe == image.recipe


def test_a_hostile_prompt_stays_text(panel):
    generate(panel, prompt=HOSTILE)
    shown = [
        panel._generate.detail.recipe.value,
        panel._sweep.base.widget.value,
        panel._repr_mimebundle_()["text/html"],
    ]
    for text in shown:
        assert "&lt;b&gt;bold" in text
        assert "<b>" not in text
        assert "<img src=x" not in text
    settings(panel).model.value = HOSTILE
    panel.join(SECONDS)
    assert "&lt;img src=x" in notice(panel).widget.value
    assert "<img" not in notice(panel).widget.value


def test_ctrl_enter_does_what_the_open_tab_is_for(panel):
    press = {"event": "go"}
    panel._root._handle_custom_msg(press, [])
    panel.join(SECONDS)
    assert len(panel._generate.gallery.images) == 1
    panel._tabs.selected_index = 1
    panel._sweep.fill_around(nbtool.Recipe(guidance_scale=3, num_inference_steps=STEPS))
    panel._root._handle_custom_msg(press, [])
    panel.join(SECONDS)
    assert len(panel.generator.store) > 1


def test_the_bundle_has_the_widget_and_pictures_in_its_place(panel):
    image = generate(panel, prompt="a red circle")[0]
    bundle = panel._repr_mimebundle_()
    assert bundle[WIDGET]["model_id"] == panel.model_id
    assert bundle["text/plain"] == "<Panel: shapes, images in images>"
    found = re.findall(r'src="data:image/webp;base64,([^"]+)"', bundle["text/html"])
    assert len(found) == 1
    assert base64.b64decode(found[0])[8:12] == b"WEBP"
    assert image.caption.split(" · ")[0] in bundle["text/html"]
