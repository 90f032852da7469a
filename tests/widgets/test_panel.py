"""The panel without a browser: its handlers, with real images of the embedded model."""

from __future__ import annotations

import base64
import dataclasses
import errno
import os
import re
import shutil
import threading

import pytest
from people import SECONDS, find, press, say, tile

import nbtool
from nbtool.panel.background import Follower
from nbtool.panel.panel import WIDGET
from nbtool.testing import FakeEngine

STEPS = 2
FIELDS = {
    "prompt": "Prompt", "negative_prompt": "Negative prompt", "guidance": "Guidance", "steps": "Steps", "width": "Width",
    "height": "Height", "scheduler": "Scheduler", "seed": "Seed",
    "count": "Images", "model": "Model", "exact": "Exact", "size": "Size",
}  # fmt: skip
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
def panel(opened, generator):
    return opened(generator)


def refuse(code):
    """A call of the system that fails."""

    def refused(path, *_, **__):
        raise OSError(code, os.strerror(code), str(path))

    return refused


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


def die(panel):
    return find(panel.generate.widget, "⚄ New each time")


def test_seeds_are_new_each_time_until_one_is_typed_or_the_last_is_locked(panel):
    first = generate(panel)[0].seed
    second = generate(panel)[0].seed
    assert first != second
    assert (die(panel).value, field(panel, "seed").value) == (True, str(second))
    say(die(panel), key="", value=False)
    assert (die(panel).value, panel.settings.folds[1].summary) == (False, f"{second}, locked")
    generate(panel)
    assert len(panel.generate.gallery.images) == 2  # the same image again
    images = generate(panel, count=3)
    assert sorted(image.seed for image in images) == sorted([first, second, second + 1, second + 2])
    say(die(panel), key="", value=True)
    assert generate(panel, count=1)[0].seed not in {first, second}
    field(panel, "seed").value = "7"
    assert (die(panel).value, generate(panel)[0].seed) == (False, 7)
    field(panel, "seed").value = ""
    assert die(panel).value
    say(field(panel, "seed"), retyped=True)
    assert die(panel).value  # nothing is typed
    die(panel).value = False
    assert field(panel, "seed").value == "7"  # the last there is an image of


def test_several_seeds_are_taken_as_they_are_typed(panel):
    count = field(panel, "count")
    count.value = 3
    field(panel, "seed").value = "1-3, 9"
    assert (count.disabled, count.value, count.tooltip) == (True, 4, "As many as there are seeds")
    assert sorted(image.seed for image in generate(panel)) == [1, 2, 3, 9]
    assert field(panel, "seed").value == "1-3, 9"
    field(panel, "seed").value = "5, 6"
    assert (count.disabled, count.value) == (True, 2)
    field(panel, "seed").value = "5"
    assert (count.disabled, count.value) == (False, 3)


@pytest.mark.parametrize("where", ["prompt", "negative_prompt"])
def test_words_in_braces_are_said_at_their_field(panel, where):
    this = field(panel, where)
    this.value = "a {color} star by {seed}"
    assert this.error == (
        "nothing fills {color}: add a row 'color' in the Sweep tab, or write {{color}}; "
        "nothing fills {seed}: a parameter is called so; take another word, or write {{seed}}"
    )
    led, this.send = [], lambda content, *_: led.append(content)
    assert generate(panel) == []
    assert (led, panel.notice.text) == ([{"lead": True}], "")
    del this.send
    assert panel.generate.outlook.text == f"To be put right first: {this.description}"
    this.value = "a {{color}} star"
    assert this.error == ""
    assert generate(panel)


def test_words_in_braces_of_a_preset_are_said_at_it(panel):
    presets, choice = panel.generator.store.presets, panel.settings.preset
    presets["ink"] = nbtool.Preset(prompt="{prompt} in {color} ink")
    choice.look()
    panel.join(SECONDS)
    choice.field.value = "ink"
    assert choice.flaw.error == (
        "in the preset ink, nothing fills {color}: add a row 'color' in the Sweep tab, "
        "or write {{color}}"
    )
    led, choice.flaw.send = [], lambda content, *_: led.append(content)
    assert generate(panel) == []
    assert (led, panel.notice.text) == ([{"lead": True}], "")
    panel.join(SECONDS)
    assert panel.generate.outlook.text == "To be put right first: Preset"
    choice.field.value = ""
    assert choice.flaw.error == ""


def test_what_is_done_in_the_enlarged_view_is_done_as_in_the_gallery(panel):
    first, second = generate(panel, seed="1, 2")
    stage, gallery = panel.generate.detail.stage, panel.generate.gallery
    gallery.selected = first.recipe.key
    say(stage, ask={"kind": "star", "cells": [first.recipe.key], "starred": True})
    panel.join(SECONDS)
    assert (stage.starred, first.starred) == (True, True)
    field(panel, "prompt").value = "something else"
    say(stage, ask={"kind": "use", "cells": [first.recipe.key]})
    panel.join(SECONDS)
    assert field(panel, "prompt").value == first.recipe.prompt
    say(stage, ask={"kind": "delete", "cells": [first.recipe.key]})
    panel.join(SECONDS)
    assert (list(gallery.images), stage.key) == ([second.recipe.key], second.recipe.key)
    assert not stage.starred


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("guidance", -1.0, "Guidance must be a number ≥ 0, got -1"),
        ("guidance", "strong", "Guidance must be a number ≥ 0, got 'strong'"),
        ("width", 100, "Width must be a multiple of 8"),
        ("steps", "0", "Steps must be a whole number from 1 to 1000"),
        ("steps", "2.5", "Steps must be a whole number from 1 to 1000"),
        ("count", 0, "Images must be a whole number from 1 to 1000"),
        ("count", "many", "Images must be a whole number from 1 to 1000, got 'many'"),
        ("prompt", " ", "Write what to draw"),
        ("steps", "9" * 400, "Steps must be a whole number from 1 to 1000"),
        *(
            ("seed", seeds, "Seed: at most 1,000 images of one click; give fewer seeds")
            for seeds in ("1-1001", "1-200000")
        ),
        *(("seed", seed, "Seed") for seed in ("abc", "-5", "1.5", str(2**70), "1 4", "4-")),
    ],
)
def test_a_bad_value_is_said_at_its_field_until_it_is_right_and_is_not_run(
    panel, name, value, message
):
    this = field(panel, name)
    good = this.value
    assert not panel.settings.wrong  # before anything was done
    this.value = value
    assert (this.error == "") == (name == "prompt")  # which is asked for when one is needed
    led, this.send = [], lambda content, *_: led.append(content)
    assert generate(panel) == []
    assert (led, panel.notice.text) == ([{"lead": True}], "")  # it is said once
    assert message in this.error
    assert str(this.value) == str(value)
    field(panel, "negative_prompt").value = "another field"
    assert message in this.error
    assert panel.generate.outlook.text == f"To be put right first: {this.description}"
    assert generate(panel, **{name: good or "5"})
    assert (this.error, panel.notice.text) == ("", "")


def test_seeds_that_are_counted_up_past_the_last_are_said_at_the_field(panel):
    seed = field(panel, "seed")
    seed.value = str(2**64 - 2)
    assert seed.error == ""
    field(panel, "count").value = 5
    assert "Seed must be" in seed.error
    assert generate(panel) == []


def test_typed_seeds_are_read_once(panel, monkeypatch):
    field(panel, "seed").value = "1-4, 11"
    monkeypatch.setattr("nbtool.recipes.given.parse_range", refuse(errno.EIO))
    field(panel, "steps").value = 3
    assert len(generate(panel)) == 5


def test_it_says_what_will_happen(panel):
    generate(panel, prompt="a star", seed="5")
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


def test_an_unknown_model_stays_as_it_was_typed_and_no_other_is_used(panel):
    model = field(panel, "model")
    model.value = "shapez"
    panel.join(SECONDS)
    assert "no model 'shapez'" in model.error
    assert model.offers == ["shapes", "fake"]
    assert panel.generate.outlook.text == "To be put right first: Model"
    led, model.send = [], lambda content, *_: led.append(content)
    assert generate(panel) == []
    assert (led, panel.notice.text) == ([{"lead": True}], "")  # it is said once
    assert model.value == "shapez"
    del model.send
    model.value = ""  # back to the one that is there
    panel.join(SECONDS)
    assert (model.value, model.error, model.offers) == ("fake", "", [])
    assert panel.generate.outlook.text.startswith("1 image · ")
    assert panel.sweep.outlook.text.startswith("4 cells")
    assert generate(panel)
    assert panel.notice.text == ""


def test_another_model_brings_its_defaults_and_keeps_the_store(panel):
    folder = nbtool.catalogue.find("shapes").folder
    field(panel, "steps").value = 7
    field(panel, "model").value = str(folder)
    panel.join(SECONDS)
    assert field(panel, "steps").value == STEPS  # the generator's own, which fits this one too
    assert field(panel, "width").value == 128
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
    keys = [image.recipe.key for image in generator.store.latest(3)]
    assert list(gallery.images) == keys
    assert gallery.stored.hex() == "".join(keys)
    assert gallery.selected == keys[0]


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
    assert tile(panel, image.recipe.key)["starred"]


def test_save_writes_a_file_with_the_recipe_and_overwrites_none(panel, tmp_path):
    image = generate(panel)[0]
    path = tmp_path / "kept.png"
    find(panel.generate.widget, "Save as").value = str(path)
    press(panel.generate.widget, "Save")
    assert nbtool.Recipe.from_file(path) == image.recipe
    press(panel.generate.widget, "Save")
    assert "is there already" in panel.notice.text
    find(panel.generate.widget, "without metadata").value = True
    find(panel.generate.widget, "Save as").value = str(tmp_path / "bare.png")
    press(panel.generate.widget, "Save")
    assert "bare.png, without metadata" in panel.notice.text
    with pytest.raises(nbtool.MetadataError):
        nbtool.Recipe.from_file(tmp_path / "bare.png")


def test_a_name_that_is_suggested_tells_of_no_prompt_without_metadata(panel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generate(panel, prompt="a secret fox", count=2)
    name, bare = (find(panel.generate.widget, each) for each in ("Save as", "without metadata"))
    told = name.value
    assert told.startswith("a-secret-fox-")
    bare.value = True
    assert name.value == "image.png"
    for _ in range(3):
        press(panel.generate.widget, "Save")
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "image.png", "image-2.png", "image-3.png",
    }  # fmt: skip
    gallery = panel.generate.gallery
    gallery.selected = next(key for key in gallery.images if key != gallery.selected)
    assert name.value == "image.png"
    bare.value = False
    assert name.value.startswith("a-secret-fox-")
    name.value = "mine.png"
    bare.value = True
    assert name.value == "mine.png"


def test_a_picture_and_its_key_reach_the_browser_at_once(panel, monkeypatch):
    images = generate(panel, prompt="a star", count=2)
    gallery, stage = panel.generate.gallery, panel.generate.detail.stage
    sent = []
    monkeypatch.setattr(stage, "send_state", lambda key=None: sent.append(key and {*key}))
    gallery.selected = next(i.recipe.key for i in images if i.recipe.key != gallery.selected)
    (told,) = [keys for keys in sent if keys & {"picture", "alt", "key"}]
    assert told >= {"picture", "alt", "key"}


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
    panel.notice.alarm(HOSTILE)
    assert "&lt;img src=x" in panel.notice.widget.value
    assert "<img" not in panel.notice.widget.value


def test_ctrl_enter_does_what_the_open_tab_is_for(panel):
    panel.root._handle_custom_msg({"event": "go", "sweep": False}, [])
    panel.join(SECONDS)
    assert len(panel.generate.gallery.images) == 1
    panel.sweep.fill_around(nbtool.Recipe(guidance_scale=3, num_inference_steps=STEPS))
    panel.root._handle_custom_msg({"event": "go", "sweep": True}, [])
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


def held(panel, engine, count=2):
    """Begins a run of which the first image is shown and the second waits; gives the first."""
    engine.hold(1, lambda recipe: recipe.prompt == "later")
    first = generate(panel, prompt="first")[0]
    field(panel, "prompt").value = "later"
    field(panel, "count").value = count
    press(panel.generate.widget, "Generate")
    assert engine.wait_for_hold(SECONDS)
    return first


def test_what_is_said_late_is_kept_with_the_image_that_it_was_said_of(panel, engine):
    first = held(panel, engine)
    detail = panel.generate.detail
    engine.release()
    panel.join(SECONDS)
    newest = detail.image
    assert newest.recipe.prompt == "later"
    say(detail.note, key=first.recipe.key, value="the clean edge")
    say(detail.star, key=first.recipe.key, value=True)
    assert (first.note, first.starred) == ("the clean edge", True)
    assert (newest.note, newest.starred) == ("", False)
    assert (detail.note.value, detail.star.value, detail.star.description) == ("", False, "☆ Star")
    images = panel.generate.gallery.images
    assert [key for key in images if tile(panel, key)["starred"]] == [first.recipe.key]
    say(detail.note, key="no such image", value="lost?")
    assert "note='lost?' is not kept" in panel.notice.text
    assert "holds no image" in panel.notice.text


def leave(panel):
    """Searches for others: the gallery has none of those that are there."""
    panel.generate.gallery.selected = ""
    panel.generate.gallery.asked = {"words": "no image has these"}
    panel.join(SECONDS)


@pytest.mark.parametrize("where", ["in the gallery", "left it", "left it, without pixels"])
def test_what_is_said_of_an_image_is_kept_wherever_it_is(panel, where):
    first = generate(panel)[0]
    if where != "in the gallery":
        leave(panel)
    if where == "left it, without pixels":
        first.path.unlink()
    assert (first.recipe.key in panel.generate.gallery.images) is (where == "in the gallery")
    say(panel.generate.detail.note, key=first.recipe.key, value="the best")
    say(panel.generate.detail.star, key=first.recipe.key, value=True)
    assert panel.notice.text == ""
    assert (first.note, first.starred) == ("the best", True)


@pytest.mark.parametrize("where", ["in the gallery", "left it"])
def test_what_cannot_be_kept_is_said_with_what_it_was_and_kept_at_the_next_try(
    panel, monkeypatch, where
):
    first = generate(panel)[0]
    if where == "left it":
        leave(panel)
    note, star = panel.generate.detail.note, panel.generate.detail.star
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse(errno.EROFS))
        say(note, key=first.recipe.key, value="the best")
        assert "note='the best' is not kept: cannot write" in panel.notice.text
        say(star, key=first.recipe.key, value=True)
        assert "starred=True is not kept: cannot write" in panel.notice.text
        assert (star.value, star.description) == (False, "☆ Star")
    say(star, key=first.recipe.key, value=True)
    say(note, key=first.recipe.key, value="the best")
    assert (first.note, first.starred, panel.notice.text) == ("the best", True, "")


def test_a_store_that_could_not_be_listed_once_is_shown_after_the_next_run(
    opened, generator, monkeypatch
):
    before = generator("before")
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse(errno.EIO))
        panel = opened(generator)
        assert "Input/output error" in panel.notice.text
        assert not panel.generate.gallery.images
    assert {image.recipe.key for image in generate(panel)} > {before.recipe.key}


def test_an_image_that_was_lost_is_there_again_when_it_is_made_again(panel, tmp_path):
    image = generate(panel, seed="5")[0]
    image.path.unlink()
    press(panel.generate.widget, "Save")
    assert "generate its recipe again" in panel.notice.text
    with pytest.warns(UserWarning, match="its PNG is missing"):
        generate(panel)
    find(panel.generate.widget, "Save as").value = str(tmp_path / "kept.png")
    press(panel.generate.widget, "Save")
    assert nbtool.Recipe.from_file(tmp_path / "kept.png") == image.recipe


def test_numbers_are_shown_as_what_they_are(panel):
    panel.sweep.rows[0].fill("seed", "1, 2")
    for number, text in (
        (5, "5"),
        (7.5, "7.5"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e6, "1000000"),
    ):
        image = generate(panel, guidance=number)[0]
        assert f" · guidance {text} · " in image.caption
        assert f"<dd>{text}</dd>" in panel.generate.detail.recipe.value
        assert f" · guidance {text} · " in panel.sweep.base.text


class Once(FakeEngine):
    """An engine that does not answer, `failing` times."""

    failing = 2

    def defaults(self):
        self.failing -= 1
        if self.failing >= 0:
            raise nbtool.ModelError("the hub does not answer")
        return super().defaults()


@pytest.mark.parametrize("again", ["Generate", "Run", "the name"])
def test_an_engine_that_did_not_answer_is_asked_again(opened, tmp_path, again):
    gen = nbtool.Generator(engine=Once(), store=tmp_path / "images", num_inference_steps=STEPS)
    panel = opened(gen)
    for _ in range(2):
        assert panel.notice.text == "the hub does not answer\nGenerate tries to open fake again."
        assert panel.generate.outlook.text + panel.sweep.outlook.text == ""
        field(panel, "guidance").value = 4.5  # what is filled in stays, and so does the cause
        if gen.engine.failing:
            generate(panel)
    if again == "the name":
        field(panel, "model").value = "fake"
    else:
        press(panel.tabs, again)
    panel.join(SECONDS)
    assert panel.generator is gen
    assert panel.notice.text == ""
    assert (field(panel, "model").value, field(panel, "steps").value) == ("fake", STEPS)
    assert field(panel, "guidance").value == 4.5
    assert panel.generate.outlook.text.startswith("1 image")
    assert len(gen.store) == {"Generate": 1, "Run": 4, "the name": 0}[again]


@pytest.mark.parametrize("again", ["Generate", "its name", "its place", "others first"])
def test_a_model_that_could_not_be_had_is_tried_again_as_it_was_given(
    opened, tmp_path, another, again
):
    folder = shutil.copytree(nbtool.catalogue.find("shapes").folder, tmp_path / "mine")
    options = {**OPTIONS, "revision": nbtool.catalogue.find(str(folder)).revision}
    gen = nbtool.Generator(str(folder), store=tmp_path / "images", num_inference_steps=1, **options)
    away = folder.rename(tmp_path / "away")
    panel = opened(gen)
    assert "mine is not at" in panel.notice.text
    field(panel, "exact").value = True
    away.rename(folder)
    if again == "others first":
        for name, message in (("anothr", "no model 'anothr'"), ("another", "")):
            field(panel, "model").value = name
            panel.join(SECONDS)
            assert message in field(panel, "model").error
    if again != "Generate":
        field(panel, "model").value = str(folder) if again == "its place" else "mine"
        panel.join(SECONDS)
    (image,) = generate(panel)
    assert (image.recipe.model, image.provenance.exact) == ("mine", True)
    field(panel, "exact").value = False
    assert panel.generator is gen


def test_what_will_happen_is_said_of_the_model_that_is_there(opened, real, another):
    nbtool.add_model("twin", "shapes")
    panel = opened(real)
    generate(panel, seed="5")
    assert "already stored" in panel.generate.outlook.text
    field(panel, "model").value = "twin"
    panel.join(SECONDS)
    assert panel.generate.outlook.text.startswith("1 image · ")


class Noting(FakeEngine):
    def _provenance(self, steps):
        return dataclasses.replace(super()._provenance(steps), notes=("cut short",))


def test_a_failure_is_not_covered_by_what_the_engine_has_to_say(opened, tmp_path):
    engine = Noting(fails=lambda recipe: "too dark" if recipe.seed == 5 else "")
    panel = opened(nbtool.Generator(engine=engine, store=tmp_path / "images"))
    generate(panel, seed="5", count=2)
    assert panel.notice.text == "too dark"
    generate(panel, seed="7")
    assert panel.notice.text == "cut short"


def test_what_stops_a_run_at_once_is_said(opened, tmp_path, monkeypatch):
    engine = FakeEngine(error=nbtool.ModelError("it cannot be loaded"))
    panel = opened(nbtool.Generator(engine=engine, store=tmp_path / "images"))
    follow = Follower.follow

    def follow_to_the_end(follower, job):  # before the click is answered
        follow(follower, job)
        follower.join(SECONDS)

    monkeypatch.setattr(Follower, "follow", follow_to_the_end)
    for tab, button in (
        (panel.generate, "Generate"),
        (panel.sweep, "Run"),
        (panel.sweep, "Resume"),
    ):
        press(tab.widget, button)
        panel.join(SECONDS)
        assert panel.notice.text == "it cannot be loaded"
    assert find(panel.sweep.widget, "Cancel").disabled
    assert not find(panel.sweep.widget, "Run").disabled


@pytest.mark.parametrize("late", [False, True])
def test_who_uses_the_detail_of_an_image_keeps_it_while_a_run_goes_on(panel, engine, late):
    first = held(panel, engine)
    if late:  # the browser had not heard yet that another image is shown
        engine.release()
        panel.join(SECONDS)
    say(panel.generate.detail.stage, look=first.recipe.key)
    engine.release()
    panel.join(SECONDS)
    detail = panel.generate.detail
    assert (detail.image, detail.stage.key) == (first, first.recipe.key)
    assert detail.stage.picture == first.png
    find(panel.generate.widget, "Note").value = "sharp"
    press(panel.generate.widget, "Use these settings")
    panel.join(SECONDS)
    assert (first.note, field(panel, "prompt").value) == ("sharp", "first")
    generate(panel, prompt="a new run is followed again", count=1)
    assert detail.image.recipe.prompt == "a new run is followed again"


def test_a_choice_ends_following(panel, engine):
    first = held(panel, engine)
    panel.generate.gallery.selected = ""
    panel.generate.gallery.selected = first.recipe.key
    engine.release()
    panel.join(SECONDS)
    assert panel.generate.detail.image is first


def test_the_image_that_is_looked_at_stays_while_others_are_searched_for(panel):
    first = generate(panel)[0]
    panel.generate.gallery.asked = {"words": "no image has these"}
    panel.join(SECONDS)
    assert not panel.generate.gallery.images
    assert panel.generate.detail.image is first


def test_fault_42_what_goes_wrong_in_a_callback_is_shown_and_the_buttons_work_again(
    panel, monkeypatch
):
    def broken(*_, **__):
        raise OSError("no room")

    with monkeypatch.context() as patch:
        patch.setattr("nbtool.panel.collection.listed.Listed.came", broken)
        generate(panel)
        assert "OSError: no room" in panel.notice.text
        assert find(panel.generate.widget, "Cancel").disabled
        assert panel.generate.progress.widget.value == ""
    with monkeypatch.context() as patch:
        patch.setattr("nbtool.panel.sweep.count", broken)
        panel.sweep.run()
        panel.join(SECONDS)
        assert "OSError: no room" in panel.notice.text
        assert not panel.sweep.run_button.disabled
    with monkeypatch.context() as patch:  # and the planner goes on
        patch.setattr("nbtool.generator.Generator.plan", broken)
        field(panel, "count").value = 2
        panel.join(SECONDS)
        assert "OSError: no room" in panel.generate.outlook.text
    field(panel, "count").value = 1
    panel.join(SECONDS)
    assert panel.generate.outlook.text.startswith("1 image")
    assert generate(panel)
    assert panel.notice.text == ""


OPTIONS = {"device": "cpu", "dtype": "float32", "safety_checker": False, "allow_pickle": True}


@pytest.fixture
def another(tmp_path, monkeypatch):
    """A model of the user's own, beside the embedded one."""
    monkeypatch.setattr("nbtool.catalogue._added", {})
    nbtool.add_model("another", str(nbtool.catalogue.find("shapes").folder), side=64)


def test_another_model_keeps_what_the_generator_was_given(opened, tmp_path, another):
    given = {"guidance_scale": 4.5, "num_inference_steps": STEPS, "width": 72}
    gen = nbtool.Generator(store=tmp_path / "images", exact=True, **OPTIONS, **given)
    panel = opened(gen)
    field(panel, "model").value = "another"
    panel.join(SECONDS)
    new = panel.generator
    assert new.engine.name == "another"
    assert (new.store, new.exact, new.defaults) == (gen.store, True, given)
    assert (new.engine.model.safety_checker, new.engine.model.allow_pickle) == (False, True)
    plans = [g.memory_plan() for g in (gen, new)]
    assert {(plan.device, plan.dtype) for plan in plans} == {("cpu", "float32")}
    assert (field(panel, "guidance").value, field(panel, "width").value) == (4.5, 72)
    field(panel, "model").value = "shapes"
    panel.join(SECONDS)
    assert panel.generator is gen


def test_defaults_that_another_model_does_not_take_are_named_and_come_back(
    opened, tmp_path, another
):
    gen = nbtool.Generator(store=tmp_path / "images", num_inference_steps=STEPS, clip_skip=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nbtool.catalogue.families.TABLED", ())
        patch.setattr("nbtool.catalogue.families._arguments", lambda _: {"eta": None})
        panel = opened(gen)
        field(panel, "model").value = "another"
        panel.join(SECONDS)
        assert panel.generator.defaults == {"num_inference_steps": STEPS}
        assert "another does not take clip_skip=1" in panel.notice.text
        assert generate(panel)
    assert panel.generator.with_model("shapes").defaults == gen.defaults


@pytest.mark.parametrize("ticked", [True, False])
def test_exact_is_what_the_tick_shows_also_when_it_is_changed_meanwhile(
    opened, tmp_path, another, monkeypatch, ticked
):
    begun, go_on = threading.Event(), threading.Event()
    real = nbtool.Generator.with_model

    def slow(self, name):
        new = real(self, name)
        begun.set()
        assert go_on.wait(SECONDS)
        return new

    monkeypatch.setattr(nbtool.Generator, "with_model", slow)
    panel = opened(nbtool.Generator(store=tmp_path / "images", exact=not ticked))
    field(panel, "model").value = "another"
    assert begun.wait(SECONDS)
    field(panel, "exact").value = ticked
    go_on.set()
    panel.join(SECONDS)
    assert (panel.generator.engine.name, panel.generator.exact) == ("another", ticked)
    assert generate(panel, steps=1)[0].provenance.exact is ticked


def test_a_model_that_was_asked_for_and_given_up_does_not_come(opened, real, another, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def slow(self, name):
        begun.set()
        assert go_on.wait(SECONDS)
        raise nbtool.ModelError("too late")

    monkeypatch.setattr(nbtool.Generator, "with_model", slow)
    panel = opened(real)
    field(panel, "model").value = "another"
    assert begun.wait(SECONDS)
    field(panel, "model").value = "shapes"
    go_on.set()
    panel.join(SECONDS)
    assert (panel.generator, field(panel, "model").value) == (real, "shapes")
    assert panel.notice.text == ""


def test_a_click_while_a_model_is_got_is_for_that_model(opened, real, another, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    with_model = nbtool.Generator.with_model

    def slow(self, name):
        begun.set()
        assert go_on.wait(SECONDS)
        return with_model(self, name)

    monkeypatch.setattr(nbtool.Generator, "with_model", slow)
    panel = opened(real)
    field(panel, "model").value = "another"
    assert begun.wait(SECONDS)
    press(panel.generate.widget, "Generate")
    go_on.set()
    panel.join(SECONDS)
    panel.join(SECONDS)
    (image,) = panel.generate.gallery.images.values()
    assert image.recipe.model == "another"


def test_an_engine_without_exact_mode_leaves_the_tick_off(opened, tmp_path):
    engine = FakeEngine()
    del engine.exact
    panel = opened(nbtool.Generator(engine=engine, store=tmp_path / "images"))
    field(panel, "exact").value = True
    assert "fake has no exact mode" in panel.notice.text
    assert not field(panel, "exact").value
    assert panel.generator.engine is engine


def test_the_pace_is_read_once_for_each_state_of_the_store(panel, monkeypatch):
    generate(panel)
    reads, glance = [], nbtool.Store.glance
    monkeypatch.setattr(nbtool.Store, "glance", lambda store: reads.append(1) or glance(store))
    for guidance in (2, 3, 4):
        field(panel, "guidance").value = guidance
        panel.join(SECONDS)
        assert " · about " in panel.generate.outlook.text
    assert len(reads) <= 1
    generate(panel, count=2)
    panel.join(SECONDS)
    assert 1 <= len(reads) <= 2
