"""A picture to start from in the panel, without a browser."""

from __future__ import annotations

import io

import numpy as np
import pytest
from people import SECONDS, find, press, say
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import nbtool


@pytest.fixture
def gen(tmp_path):
    return nbtool.Generator(store=tmp_path / "images", num_inference_steps=2)


@pytest.fixture
def panel(opened, gen):
    return opened(gen)


def photo(width=96, height=64):
    values = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def painted(size, box):
    mask = Image.new("L", size)
    mask.paste(255, box)
    return mask


def generate(panel, prompt):
    panel.settings.prompt.value = prompt
    press(panel.generate.widget, "Generate")
    panel.join(SECONDS)
    return panel.generate.gallery.image


def drop(panel, picture, name, **said_in_it):
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", **said_in_it)
    data = buffer.getvalue()
    said = {"id": "1", "name": name, "size": len(data), "others": 0}
    for content, buffers in (({"picture": said}, []), ({"piece": {"id": "1"}}, [data])):
        panel.prompt_help._said(None, content, buffers)
        panel.join(SECONDS)


def test_a_photo_is_started_from_painted_on_and_kept(panel):
    starting, settings = panel.settings.starting, panel.settings
    assert (settings.picture.summary, starting.painter.layout.display) == ("none", "none")
    drop(panel, photo(), "holiday.png")
    assert "Images start from holiday.png" in panel.notice.text
    assert (settings.width.value, settings.height.value) == (112, 72)  # of its shape
    settings.fields["strength"].widget.value = "0.6"
    starting.painter.mask = painted((96, 64), (0, 0, 48, 64))
    assert settings.picture.summary == "holiday, where the mask is painted · strength 0.6"
    panel.join(SECONDS)
    assert panel.generate.outlook.text.endswith(" · from holiday, where the mask is painted")
    settings.width.value, settings.height.value = 96, 64
    image = generate(panel, "a red star")
    recipe = image.recipe
    assert (recipe.image.name, recipe.strength) == ("holiday", 0.6)
    assert recipe.mask_image.image.getbbox() == (0, 0, 48, 64)
    left, right = np.hsplit(np.asarray(image.image) == np.asarray(photo()), 2)
    assert right.all()
    assert not left.all()
    press(panel.generate.widget, "Remove it")
    assert generate(panel, "a blue star").recipe.image is None
    settings.take(recipe)
    assert settings.parameters()["image"] == recipe.image
    assert settings.parameters()["mask_image"] == recipe.mask_image
    assert panel.generate.gallery.images[image.recipe.key].chain


def test_what_means_nothing_without_a_picture_is_not_asked_for_and_not_wrong(panel):
    settings = panel.settings
    settings.fields["strength"].widget.value = "7"
    settings.fields["mask_blur"].widget.value = 4
    assert settings.wrong == []
    assert settings.parameters()["strength"] is None
    settings.starting.start(photo())
    assert settings.parameters(but=["strength"])["mask_blur"] == 0  # there is no mask
    (wrong,) = settings.wrong
    assert "strength must be" in wrong.error.replace("Strength", "strength")
    assert settings.picture.summary == "not right: Strength"


@pytest.mark.parametrize("way", ["button", "gallery", "dropped"])
def test_an_image_of_nbtool_is_started_from_with_what_made_it(panel, way):
    first = generate(panel, "a red star")
    if way == "button":
        press(panel.generate.widget, "Start from this")
    elif way == "gallery":
        say(panel.generate.gallery, kind="start", cells=[first.recipe.key])
    else:
        drop(panel, first.image, "bare.png")  # without its recipe
        press(panel.generate.widget, "Start from this")
    panel.join(SECONDS)
    second = generate(panel, "a blue star")
    assert [step.prompt for step in second.chain] == ["a red star", "a blue star"]
    assert second.recipe.image.digest == nbtool.Picture(first).digest


def test_a_file_of_nbtool_is_asked_about_once(panel, tmp_path):
    first = generate(panel, "a red star")
    data = first.save(tmp_path / "star.png").read_bytes()
    helped = panel.prompt_help
    for answer in ("start", ""):
        said = {"id": answer, "name": "star.png", "size": len(data), "others": 0}
        helped._said(None, {"picture": said}, [])
        helped._said(None, {"piece": {"id": answer}}, [data])
        panel.join(SECONDS)
        assert helped.asked == "star.png"
        helped._said(None, {"answer": answer}, [])
        assert helped.asked == ""
    image = panel.settings.parameters()["image"]
    assert (image.name, image.recipe) == ("star", first.recipe)
    helped._said(None, {"picture": {**said, "start": True}}, [])
    helped._said(None, {"piece": {"id": ""}}, [data])
    panel.join(SECONDS)
    assert helped.asked == ""  # it was dropped on the picture


def test_a_file_of_nbtool_that_was_painted_on_begins_a_chain(panel):
    data = io.BytesIO(generate(panel, "a red star").png)
    with Image.open(data) as opened:
        texts, edited = PngInfo(), opened.convert("RGB")
        texts.add_text("nbtool", opened.info["nbtool"])
    edited.paste("white", (8, 8, 24, 24))
    drop(panel, edited, "star.png", pnginfo=texts)
    assert panel.prompt_help.asked == "star.png"  # its settings are of use
    panel.prompt_help._said(None, {"answer": "start"}, [])
    image = panel.settings.parameters()["image"]
    assert (image.name, image.recipe) == ("star", None)


def test_a_mask_of_another_size_and_several_pictures_stay_what_they_are(panel):
    starting = panel.settings.starting
    mask = nbtool.Picture(painted((48, 32), (0, 0, 24, 32)))
    starting.start(photo(), mask)
    assert starting.values["mask_image"] == mask
    assert starting.painter.mask.size == (96, 64)
    starting.painter.mask = painted((96, 64), (0, 0, 10, 10))
    assert starting.values["mask_image"].size == (96, 64)
    several = nbtool.pictures(photo(), photo(32, 32))
    starting.start(several)
    assert starting.values == {"image": several, "mask_image": None}
    assert "2 pictures" in starting.notice.text
    starting.clear()
    panel.join(SECONDS)
    assert "from" not in panel.generate.outlook.text


def test_a_picture_whose_pixels_are_gone_is_said_and_the_rest_is_taken(panel, gen):
    made = gen("a red star", image=photo(), seed=3, width=96, height=64)
    for file in (gen.store.path / "inputs").iterdir():
        file.unlink()
    panel.settings.take(gen.store[made.recipe.key].recipe)
    said = panel.settings.starting.notice.text
    assert "is not here" in said
    assert said.endswith("give the file it came from: “Picture” or “Mask”")
    assert panel.settings.prompt.value == "a red star"
    assert panel.settings.parameters()["image"] is None


def test_pictures_masks_and_strength_are_axes(panel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, size in (("cat", (64, 64)), ("dog", (80, 64))):
        photo(*size).save(tmp_path / f"{name}.png")
    panel.settings.prompt.value = "a red star"
    row = panel.sweep.rows[0]
    row.fill("image", "*.png")
    panel.join(SECONDS)
    assert row.message.text == "2 values: cat, dog"
    row.fill("image", "*.gif")
    assert "*.gif matches no file" in row.message.text
    panel.settings.starting.start(nbtool.Picture(photo(), name="fox"))
    row.fill_in.value = True
    find(row.widget, "fox").value = True
    assert row.values.value == "fox | *.gif"
    row.fill("image", "fox | cat.png")
    press(panel.sweep.widget, "Add an axis")
    panel.sweep.rows[1].fill("strength", "0.5, 0.9")
    press(panel.sweep.widget, "Run")
    panel.join(SECONDS)
    grid = panel.sweep.job.grid
    assert grid.axes == {"image": ("fox", "cat"), "strength": (0.5, 0.9)}
    assert len(grid) == 4
    assert grid.sel(image="fox", strength=0.5).recipe.image.digest == nbtool.Picture(photo()).digest


def test_what_is_varied_has_what_it_needs_and_uses_the_form(panel, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    painted((96, 64), (0, 0, 48, 64)).save("left.png")
    panel.settings.prompt.value = "a red star"
    strength = panel.sweep.rows[0]
    strength.fill("strength", "0.5, 0.9")
    assert strength.handle.wrong == "name"
    panel.settings.starting.start(photo())
    assert strength.handle.wrong == ""
    panel.settings.fields["mask_blur"].widget.value = 4
    press(panel.sweep.widget, "Add an axis")
    mask = panel.sweep.rows[1]
    mask.fill("mask_blur", "2, 4")
    assert "Mask blur needs a mask" in mask.message.text
    mask.fill("mask_image", "left.png")
    press(panel.sweep.widget, "Run")
    panel.join(SECONDS)
    assert {image.recipe.mask_blur for image in panel.sweep.job.grid} == {4}


def test_a_generators_own_picture_is_in_the_form_and_another_model_keeps_it(opened, gen):
    panel = opened(nbtool.Generator(store=gen.store.path, image=photo(), strength=0.5))
    assert panel.settings.parameters()["image"] == nbtool.Picture(photo())
    assert panel.settings.parameters()["strength"] == 0.5
