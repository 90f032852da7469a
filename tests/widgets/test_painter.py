from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image, ImageDraw

import nbtool
from nbtool import RecipeError
from nbtool.testing import FakeEngine

NO_SIDES = {"left": 0, "right": 0, "top": 0, "bottom": 0, "feather": 16}


def picture(size=(32, 24), mode="RGB"):
    return Image.effect_noise(size, 60).convert(mode)


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


@pytest.fixture
def painter():
    return nbtool.paint(picture())


@pytest.fixture
def heard(painter):
    """The masks that whoever observes the painter is told of."""
    masks = []
    painter.observe(lambda change: masks.append(change["new"].getextrema()), "mask")
    return masks


def test_it_works_before_it_is_shown(painter):
    assert painter.mask.mode == "L"
    assert painter.mask.size == painter.picture.size == (32, 24)
    assert painter.mask.getextrema() == (0, 0)
    assert repr(painter).startswith("<Painter of <Picture 32 × 24")


def test_a_stroke_of_the_browser_comes_to_python(painter, heard):
    mask = Image.new("L", (32, 24))
    ImageDraw.Draw(mask).rectangle((10, 3, 20, 5), fill=255)
    painter.set_state({"painted": memoryview(png(mask))})
    assert painter.mask == mask
    assert heard == [(0, 255)]


@pytest.mark.parametrize(
    "sent",
    [b"no PNG", b"", png(Image.new("L", (9, 9))), png(Image.new("RGB", (32, 24))), png(picture())[:90]],
)  # fmt: skip
def test_what_is_no_mask_of_the_picture_changes_nothing(painter, heard, sent):
    painter.mask = Image.new("L", (32, 24), 7)
    painter.set_state({"painted": memoryview(sent)})
    assert painter.mask.getextrema() == (7, 7)
    assert heard == [(7, 7)]
    assert opened(painter.painted).getextrema() == (7, 7)  # and the browser is told again


def test_a_mask_that_is_set_is_sent_with_its_grays(painter, heard):
    mask = Image.linear_gradient("L").resize((32, 24))
    painter.mask = mask
    assert opened(painter.painted).tobytes() == mask.tobytes()
    drawn = painter.mask
    drawn.putpixel((0, 0), 77)
    assert painter.mask == mask  # it was a copy
    painter.mask = drawn
    assert opened(painter.painted).getpixel((0, 0)) == 77
    assert len(heard) == 2


def test_no_picture_is_refused(painter):
    with pytest.raises(RecipeError, match="got None"):
        nbtool.paint(None)
    with pytest.raises(RecipeError, match="got None"):
        painter.picture = None
    assert painter.picture.size == (32, 24)


def test_whatever_holds_a_mask_is_taken(tmp_path):
    mask = np.zeros((24, 32), bool)
    mask[3:9, 4:8] = True
    Image.fromarray(mask).save(tmp_path / "mask.png")
    picture().save(tmp_path / "cat.png")
    clear = Image.new("RGBA", (32, 24))
    clear.putalpha(Image.fromarray(~mask))
    for given in (mask, tmp_path / "mask.png", Image.fromarray(mask).convert("RGB"), clear):
        painter = nbtool.paint(tmp_path / "cat.png", given)
        assert (np.asarray(painter.mask) == 255 * mask).all()
        assert painter.picture.name == "cat"


@pytest.mark.parametrize(
    ("given", "mask", "words"),
    [
        (picture(), picture((24, 32)), r"24 × 32 pixels and the picture 32 × 24; mask\.resize"),
        (picture(), "https://a.com/mask.png", "download it"),
        ("nowhere.png", None, "no picture nowhere.png"),
        (picture((8200, 1)), None, "8200 × 1 pixels; at most 8192 × 8192"),
        (nbtool.Recipe(prompt="a star"), None, "yet to be made"),
    ],
)
def test_what_cannot_be_painted_is_refused(given, mask, words):
    with pytest.raises(RecipeError, match=words):
        nbtool.paint(given, mask)


def test_a_mask_that_is_refused_leaves_the_one_before(painter):
    painter.mask = Image.new("L", (32, 24), 9)
    with pytest.raises(RecipeError):
        painter.mask = picture((3, 3))
    assert painter.mask.getextrema() == (9, 9)


def test_another_picture_begins_anew(painter):
    painter.outpaint(left=8)
    other = picture((16, 48))
    painter.picture = other
    assert painter.mask.size == (16, 48)
    assert painter.mask.getextrema() == (0, 0)
    assert (painter.size, painter.sides) == ([16, 48], NO_SIDES)
    assert opened(painter.shown).tobytes() == other.tobytes()


def test_an_image_of_nbtool_keeps_its_recipe(tmp_path):
    image = nbtool.Generator(engine=FakeEngine(), store=tmp_path)("a star", seed=1)
    assert nbtool.paint(image).picture.recipe == image.recipe


def test_extending_keeps_what_was_painted_on_the_picture(painter):
    painter.mask = Image.new("L", (32, 24), 60)
    painter.outpaint(left=16, top=8, feather=0)
    larger, mask = nbtool.outpaint(painter._original, left=16, top=8, feather=0)
    assert painter.picture.image == larger
    mask.paste(60, (16, 8, 48, 32))
    assert painter.mask == mask
    painter.outpaint(right=8)
    assert painter.picture.size == (40, 24)
    assert painter.mask.crop((0, 0, 32, 24)).getextrema() == (60, 60)
    assert painter.mask.getpixel((39, 0)) == 255


def test_an_extension_that_is_refused_changes_nothing(painter):
    painter.outpaint(left=16)
    before = painter.picture
    with pytest.raises(RecipeError, match="left=8"):
        painter.outpaint(left=3)
    assert painter.picture == before
    assert painter.sides["left"] == 16


def test_edges_of_the_browser_are_brought_to_multiples_of_eight():
    painter = nbtool.paint(picture((30, 20)))
    painter.set_state({"sides": NO_SIDES | {"left": 5}, "painted": memoryview(b"")})
    assert painter.sides == NO_SIDES | {"left": 10, "bottom": 4}
    assert opened(painter.painted).size == painter.mask.size == (40, 24)


def test_edges_of_the_browser_come_back_with_their_mask(painter):
    painter.mask = Image.new("L", (32, 24), 60)
    before = painter.painted
    painter.set_state({"sides": NO_SIDES | {"left": 8}, "painted": memoryview(b"")})
    painter.set_state({"sides": NO_SIDES, "painted": memoryview(before)})
    assert painter.picture.size == (32, 24)
    assert painter.mask.getextrema() == (60, 60)
    assert painter.painted == before


@pytest.mark.parametrize(
    "sides", [{}, NO_SIDES | {"left": 9000}, NO_SIDES | {"top": "x"}, NO_SIDES | {"top": -8}]
)
def test_edges_that_cannot_be_are_said(painter, sides):
    painter.mask = Image.new("L", (32, 24), 60)
    painter.set_state({"sides": sides, "painted": memoryview(b"")})
    assert painter.refused
    assert painter.sides == NO_SIDES
    assert opened(painter.painted).getextrema() == (60, 60)
    painter.set_state({"sides": NO_SIDES | {"left": 8}, "painted": memoryview(b"")})
    assert not painter.refused


def test_what_is_transparent_becomes_the_mask():
    given = picture(mode="RGBA")
    given.putalpha(Image.linear_gradient("L").resize((32, 24)))
    painter = nbtool.paint(given)
    assert painter.transparent
    painter._handle_custom_msg({"kind": "alpha"}, [])
    assert painter.mask.tobytes() == bytes(255 - value for value in given.getchannel("A").tobytes())


@pytest.mark.parametrize("content", [None, {}, {"kind": "alpha"}, {"kind": 3}])
def test_messages_that_mean_nothing_here_are_passed_by(painter, content):
    painter._handle_custom_msg(content, [])
    assert painter.mask.getextrema() == (0, 0)


def test_a_large_picture_is_sent_in_a_smaller_file():
    for mode, kind in (("RGB", "JPEG"), ("RGBA", "WEBP")):
        given = picture((2304, 2000), mode)
        if mode == "RGBA":
            given.putalpha(9)
        painter = nbtool.paint(given)
        assert opened(painter.shown).format == kind
        assert opened(painter.shown).size == (2304, 2000)


def test_a_notebook_keeps_the_picture_and_where_it_is_masked():
    painter = nbtool.paint(Image.new("RGB", (640, 320), "black"))
    mask = painter.mask
    mask.paste(255, (320, 0, 640, 320))
    painter.mask = mask
    bundle, _ = painter._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    (data,) = re.findall(r'src="data:image/webp;base64,([^"]+)"', bundle["text/html"])
    still = opened(base64.b64decode(data)).convert("RGB")
    assert still.size == (384, 192)
    assert max(still.getpixel((50, 90))) < 10
    assert still.getpixel((350, 90))[0] > 100
