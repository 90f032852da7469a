"""What stands below the prompt, without a browser: tokens, pictures, presets."""

from __future__ import annotations

import pytest
from people import find, press, say

import nbtool
from nbtool.panel.panel import Panel

SECONDS = 600  # on a busy machine
LONG = "a red star " * 12


@pytest.fixture
def panel(tmp_path):
    panel = Panel(nbtool.Generator(store=tmp_path / "images", num_inference_steps=2))
    panel.join(SECONDS)
    yield panel
    panel.cancel()
    panel.join(SECONDS)
    panel.close()


def said(panel, **content):
    """What the browser says, and what it is asked for then."""
    asked = []
    panel.prompt_help.send = asked.append
    buffers = content.pop("buffers", [])
    panel.prompt_help._said(None, content, buffers)
    panel.join(SECONDS)
    return asked


def drop(panel, data, name="fox.png", others=0):
    asked = said(panel, picture={"id": "1", "name": name, "size": len(data), "others": others})
    assert asked == ([{"want": "1", "from": 0}] if data else [])
    middle = len(data) // 2
    asked = said(panel, piece={"id": "1"}, buffers=[data[:middle]])
    assert asked == ([{"want": "1", "from": middle}] if middle else [])
    said(panel, piece={"id": "1"}, buffers=[memoryview(data)[middle:]])


def test_tokens_are_counted_of_what_the_prompt_comes_to(panel):
    helped, settings = panel.prompt_help, panel.settings
    assert (helped.counted, helped.cut) == ("", "")
    settings.prompt.value = "a red star"
    settings.negative.value = "blurry"
    panel.join(SECONDS)
    assert helped.counted.startswith("3 of 30 tokens · negative prompt: ")
    said(panel, typed=LONG + "<b>Heart</b>")
    assert helped.counted.startswith("4")
    assert "end of the prompt" in helped.cut
    assert "<b>Heart</b>”" in helped.cut
    settings.negative.value = LONG
    panel.join(SECONDS)
    assert "end of the negative prompt" in helped.cut
    assert "end of the prompt" not in helped.cut  # what was typed was taken back


def test_the_longest_word_and_the_preset_count(panel):
    settings = panel.settings
    panel.generator.store.presets["ink"] = nbtool.Preset(prompt="red star " * 9)
    settings.preset.look()
    settings.prompt.value = "a {thing}"
    panel.sweep.rows[0].fill("thing", f"star | {LONG} | circle")
    panel.join(SECONDS)
    assert "star”" in panel.prompt_help.cut
    panel.sweep.rows[0].fill("thing", "star")
    panel.join(SECONDS)
    assert panel.prompt_help.cut == ""
    before = panel.prompt_help.counted
    settings.preset.field.value = "ink"
    panel.join(SECONDS)
    assert panel.prompt_help.counted != before


def test_what_goes_wrong_with_counting_is_said(panel, monkeypatch):
    def refused(_):
        raise ValueError("no count")

    monkeypatch.setattr("nbtool.panel.prompt_help.PromptHelp.count", refused)
    panel.settings.negative.value = "red"
    assert "no count" in panel.notice.text


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_dropped_picture_gives_its_settings(panel, tmp_path, suffix):
    image = panel.generator("a red fox", seed=7, guidance_scale=2, eta=0.5)
    panel.settings.preset.known["ink"] = nbtool.Preset(prompt="ink")
    panel.settings.preset.field.options = ["", "ink"]
    panel.settings.preset.field.value = "ink"
    drop(panel, image.save(tmp_path / f"fox.{suffix}").read_bytes(), others=2)
    settings = panel.settings
    assert (panel.prompt_help.asked, settings.prompt.value) == ("fox.png", "")
    said(panel, answer="settings")
    assert settings.prompt.value == "a red fox"
    assert settings.fields["eta"].value == 0.5
    assert settings.seeds() == (7,)
    assert settings.preset.chosen is None  # its words are in the prompt
    assert panel.notice.text == "The settings of fox.png are here. It was the first of 3 files."


def test_what_is_no_picture_is_told_of_and_changes_nothing(panel):
    panel.settings.prompt.value = "a star"
    for data, name, message in (
        (b"hello", "notes.txt", "notes.txt is no picture that can be read"),
        (b"", "empty.png", "empty.png: there is nothing in it"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 99, "broken.png", "broken.png is damaged"),
    ):
        drop(panel, data, name)
        assert panel.notice.text.startswith(message)
    said(panel, picture={"id": "1", "name": "gone.png", "size": 9, "others": 0})
    assert said(panel, piece={"id": "1"}, buffers=[b""]) == []
    assert panel.notice.text.startswith("gone.png: there is nothing")
    said(panel, picture={"id": "2", "name": "big.png", "size": 10**9, "others": 0})
    assert "big.png has 1 GB; pictures of up to 268 MB are read" in panel.notice.text
    assert panel.settings.prompt.value == "a star"
    assert panel.settings.starting.values == {"image": None, "mask_image": None}


def test_a_newer_file_takes_the_place_of_one_that_is_still_coming(panel):
    said(panel, picture={"id": "1", "name": "a.png", "size": 10, "others": 0})
    said(panel, picture={"id": "2", "name": "b.txt", "size": 2, "others": 0})
    assert said(panel, piece={"id": "1"}, buffers=[b"x" * 10]) == []
    said(panel, piece={"id": "2"}, buffers=[b"hi"])
    assert panel.notice.text.startswith("b.txt is no picture")


def test_a_preset_is_kept_chosen_used_renamed_and_deleted(panel):
    form, presets = panel.generate.widget, panel.generator.store.presets
    settings = panel.settings
    settings.prompt.value = "a red star"
    find(form, "Guidance").value = 2
    find(form, "Edit presets").value = True
    panel.join(SECONDS)
    added = find(form, "Adds to the prompt")
    assert (added.value, added.hint.split(" is ")[0]) == ("", "{prompt}")
    assert find(form, "Guidance 2").value
    assert not find(form, "Width 128").value
    press(form, "Save preset")
    name = find(form, "Preset name")
    assert (name.error, settings.preset.notice.text) == ("give the preset a name", "")
    name.value = "a|b"
    assert name.error == ""
    press(form, "Save preset")
    assert "has no |" in name.error
    name.value = "ink"
    find(form, "Adds to the prompt").value = "{prompt}, ink"
    press(form, "Save preset")
    assert dict(presets) == {
        "ink": nbtool.Preset(prompt="{prompt}, ink", guidance_scale=2, num_inference_steps=2)
    }
    assert settings.preset.field.value == "ink"
    settings.preset.field.value = ""
    find(form, "Guidance").value = 5
    settings.preset.field.value = "ink"
    assert find(form, "Guidance").value == 2
    press(form, "Generate")
    panel.join(SECONDS)
    assert panel.generate.gallery.image.recipe.prompt == "a red star, ink"
    settings.preset.field.value = ""
    assert find(form, "Guidance").value == 5  # as it was
    press(form, "Delete preset")
    assert "choose a preset first" in settings.preset.notice.text
    settings.preset.field.value = "ink"
    find(form, "Preset name").value = "pen"
    press(form, "Rename preset")
    assert (list(presets), settings.preset.field.value) == (["pen"], "pen")
    press(form, "Delete preset")
    assert list(presets) == ["pen"]
    press(form, "Delete preset")
    assert list(presets) == []
    assert settings.preset.field.value == ""


def test_presets_that_cannot_be_used_are_told_of(panel):
    presets = panel.generator.store.presets
    presets["ink"] = nbtool.Preset(prompt="ink")
    presets.path.write_text(
        presets.path.read_text().replace('"ink": {', '"bad": {"eta": 7}, "ink": {')
    )
    panel.settings.preset.look()
    panel.join(SECONDS)
    assert "'bad' cannot be used: eta must be" in panel.settings.preset.flaw.error
    assert list(panel.settings.preset.known) == ["ink"]
    presets.path.write_text("{")
    panel.settings.preset.look()
    panel.join(SECONDS)
    assert "line 1" in panel.settings.preset.flaw.error


@pytest.mark.parametrize("broken", ["{", '{"presets": {"ink": {"eta": 7}}}', None])
def test_a_preset_stays_chosen_while_its_file_is_broken(panel, ink, broken):
    path = panel.generator.store.presets.path
    written = path.read_text()
    if broken is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_text(broken)
    say(ink.flaw, look=True)  # as the browser does when one comes to the field
    panel.join(SECONDS)
    assert "presets.json" in ink.flaw.error
    assert (ink.field.value, find(panel.generate.widget, "Steps").value) == ("ink", 3)
    panel.settings.prompt.value = "a star"
    press(panel.generate.widget, "Generate")
    panel.join(SECONDS)
    assert panel.generate.gallery.image.recipe.prompt == "a star, ink"  # as it was read last
    if broken is None:
        path.rmdir()
    path.write_text(written)
    say(ink.flaw, look=True)  # and now and then while it is wrong
    panel.join(SECONDS)
    assert (ink.flaw.error, ink.field.value) == ("", "ink")


def test_a_preset_is_replaced_only_as_it_was_when_one_was_warned(panel, ink):
    form, presets = panel.generate.widget, panel.generator.store.presets
    ink.field.value = ""
    for typed in ("{prompt}, blue ink", "{prompt}, red ink"):
        find(form, "Preset name").value = "ink"
        find(form, "Adds to the prompt").value = typed
        press(form, "Save preset")
        assert "a second press replaces it" in ink.notice.text
        assert presets["ink"].prompt == "ink"
    press(form, "Save preset")
    assert presets["ink"].prompt == "{prompt}, red ink"


def test_what_is_wrong_in_the_editor_leaves_with_it(panel, ink):
    form = panel.generate.widget
    ink.field.value = ""
    press(form, "Delete preset")
    assert ink.notice.text == "choose a preset first"
    find(form, "Preset name").value = "none"
    press(form, "Save preset")
    assert ink.name.error
    ink.edit.value = False
    assert (ink.notice.text, ink.name.error) == ("", "")


def test_a_saved_preset_takes_over_what_it_was_saved_from(panel):
    form, settings = panel.generate.widget, panel.settings
    settings.negative.value = "blurry"
    find(form, "Steps").value = 3
    find(form, "Edit presets").value = True
    find(form, "Preset name").value = "ink"
    press(form, "Save preset")
    assert (settings.preset.field.value, settings.negative.value) == ("ink", "")  # not twice
    assert settings.preset.chosen.negative_prompt == "blurry"
    settings.preset.field.value = ""
    assert (settings.negative.value, find(form, "Steps").value) == ("blurry", 3)


@pytest.fixture
def ink(panel):
    """The choice of presets, with one of them chosen."""
    panel.generator.store.presets["ink"] = nbtool.Preset(prompt="ink", num_inference_steps=3)
    choice = panel.settings.preset
    choice.look()
    panel.join(SECONDS)
    choice.field.value = "ink"
    choice.edit.value = True
    panel.join(SECONDS)
    return choice


def test_what_was_typed_stays_when_the_list_of_presets_changes(panel, ink):
    form, presets = panel.generate.widget, panel.generator.store.presets
    steps = find(form, "Steps")
    assert steps.value == 3
    steps.value = 5
    ink.prompt.value = "half a sen"
    presets["photo"] = nbtool.Preset(prompt="photo")
    ink.look()
    panel.join(SECONDS)
    assert (list(ink.known), ink.field.value) == (["ink", "photo"], "ink")
    assert (steps.value, ink.prompt.value) == (5, "half a sen")
    for name, button in (("blue ink", "Save preset"), ("red ink", "Rename preset")):
        ink.name.value = name
        press(form, button)
        assert (steps.value, ink.prompt.value) == (5, "half a sen")
        assert ink.field.value == name
    del presets["red ink"]
    ink.look()
    panel.join(SECONDS)
    assert (ink.field.value, steps.value, ink.prompt.value) == ("", 2, "half a sen")


def test_what_others_did_to_the_presets_is_seen_when_one_comes_back(panel, ink):
    form, presets = panel.generate.widget, panel.generator.store.presets
    presets["ink"] = nbtool.Preset(prompt="{prompt}, red ink", num_inference_steps=1)
    say(panel.generate.gallery, kind="look")
    panel.join(SECONDS)
    assert find(form, "Steps").value == 1
    assert "red ink · sets Steps 1" in ink.notice.text
    panel.settings.prompt.value = "a star"
    press(form, "Generate")
    panel.join(SECONDS)
    assert panel.generate.gallery.image.recipe.prompt == "a star, red ink"
    del presets["ink"]
    ink.name.value = "pen"
    press(form, "Rename preset")
    panel.join(SECONDS)
    assert "the preset 'ink' is not in the store any more" in ink.notice.text
    assert (list(ink.known), ink.field.value) == ([], "")


def test_a_preset_is_not_saved_without_a_setting_that_is_wrong(panel, ink):
    find(panel.generate.widget, "Steps").value = "many"
    press(panel.generate.widget, "Save preset")
    assert "Steps must be a whole number from 1 to 1000, got 'many'" in ink.notice.text
    assert panel.generator.store.presets["ink"].settings == {"num_inference_steps": 3}


def test_another_model_leaves_the_settings_of_the_preset(panel, ink, monkeypatch):
    monkeypatch.setattr("nbtool.catalogue._added", {})
    nbtool.add_model("another", str(nbtool.catalogue.find("shapes").folder), side=64)
    panel.settings.model.value = "another"
    panel.join(SECONDS)
    steps = find(panel.generate.widget, "Steps")
    assert (panel.generator.engine.name, steps.value) == ("another", 3)
    ink.field.value = ""
    assert steps.value == 2
