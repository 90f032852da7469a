from __future__ import annotations

import io

import pytest
from PIL import Image

import nbtool
from nbtool.display.before import before
from nbtool.display.details import whole
from nbtool.display.page import viewer_data
from nbtool.panel.stage import Stage
from nbtool.testing import FakeEngine

SQUARE = {"width": 64, "height": 64}


@pytest.fixture
def gen(tmp_path):
    return nbtool.Generator(engine=FakeEngine(), store=tmp_path / "images", num_inference_steps=2)


@pytest.fixture
def wide(tmp_path):
    """A picture that is red on the left and blue on the right."""
    picture = Image.new("RGB", (128, 32), "red")
    picture.paste("blue", (64, 0, 128, 32))
    picture.save(tmp_path / "flag.png")
    return tmp_path / "flag.png"


def seen(image):
    return Image.open(io.BytesIO(before(image).file)).convert("RGB")


def test_what_an_image_was_made_from_is_shown_as_it_was_fitted(gen, wide):
    made = {
        mode: gen("a star", image=wide, resize_mode=mode, **SQUARE)
        for mode in ("crop", "stretch", "pad")
    }
    for mode, image in made.items():
        picture = seen(image)
        assert picture.size == image.image.size == (64, 64), mode
        assert picture.getpixel((5, 32))[0] > 200, mode
        assert picture.getpixel((58, 32))[2] > 200, mode
    assert before(image).words == "Before: flag"


def test_the_enlarged_view_is_told_of_it(gen, wide):
    told, files = whole(gen("a star", image=wide, **SQUARE), "a.png")
    assert told["types"] == ["image/png", "image/webp"]
    assert told["before"] == "Before: flag"
    assert len(files) == 2
    told, files = whole(gen("a star"), "a.png")
    assert (told["types"], len(files), "before" in told) == (["image/png"], 1, False)


def test_of_two_passes_the_first_was_before(gen):
    image = gen("a star", seed=1, **SQUARE)
    refined = gen("a star", seed=1, **SQUARE, refine=nbtool.refine(scale=2, strength=0.5))
    assert seen(refined).size == refined.image.size == (128, 128)
    middle = seen(refined).getpixel((64, 64))
    assert max(abs(a - b) for a, b in zip(middle, image.image.getpixel((32, 32)), strict=True)) < 40


def test_what_is_gone_is_not_shown_and_the_image_is(gen, wide):
    image = gen("a star", image=wide, **SQUARE)
    recipe = nbtool.Recipe.from_dict(image.recipe.to_dict())  # which knows no place of its picture
    alone = nbtool.GeneratedImage(recipe, image.provenance, png=image.png)
    assert before(alone) is None
    assert whole(alone, "a.png")[1] == [image.png]


def test_a_page_has_it_only_where_inputs_are_asked_for_and_once(gen, wide):
    grid = gen.grid("a star", image=[wide], strength=[0.5, 0.9], **SQUARE)
    assert viewer_data(grid)["sources"] == []
    assert all("before" not in image for image in viewer_data(grid)["images"])
    assert viewer_data(grid, inputs=True, metadata=False)["sources"] == []
    data = viewer_data(grid, inputs=True)
    assert len(data["sources"]) == 1
    assert [image["source"] for image in data["images"]] == [0, 0]


def test_the_picture_of_a_panel_has_it_beside(gen, wide):
    stage = Stage()
    image = gen("a star", image=wide, **SQUARE)
    stage.show(image)
    assert (stage.before, stage.about["before"]) == (before(image).file, "Before: flag")
    stage.show(gen("a star", **SQUARE))
    assert (stage.before, "before" in stage.about) == (b"", False)
