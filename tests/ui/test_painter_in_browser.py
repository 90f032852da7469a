"""The mask painter in a real browser, with the widget of Python's behind it."""

from __future__ import annotations

import io

import numpy as np
import pytest
from accessible import violations
from bridges import Bridge
from PIL import Image, ImageDraw
from playwright.sync_api import expect

import nbtool

SEEN = """canvas => {
  const { width, height } = canvas;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  return [...context.getImageData(0, 0, width, height).data];
}"""


class Shown:
    """A painter in a page, by the pixels of its picture."""

    def __init__(self, painter, page):
        self.painter, self.page = painter, page
        self.bridge = Bridge(painter, page)
        self.stage = page.get_by_role("application")
        expect(self.stage.locator("img")).to_be_visible()
        expect(page.get_by_role("button", name="Brush")).to_have_attribute("aria-pressed", "true")

    def place(self, x, y):
        """Where the middle of a pixel is on the screen."""
        box = self.stage.locator("canvas").bounding_box()
        width, height = self.painter.size
        return box["x"] + (x + 0.5) * box["width"] / width, box["y"] + (y + 0.5) * box[
            "height"
        ] / height

    def press(self, name):
        self.page.get_by_role("button", name=name, exact=True).click()

    def brush(self, size):
        self.page.get_by_label("Size").fill(str(size))

    def draw(self, *places, **options):
        """By the mouse, from pixel to pixel; Python has heard of it afterwards."""
        mouse = self.page.mouse
        with self.bridge.heard():
            mouse.move(*self.place(*places[0]))
            mouse.down(**options)
            for place in places[1:]:
                mouse.move(*self.place(*place))
            mouse.up(**options)

    @property
    def mask(self):
        return np.asarray(self.painter.mask)

    def seen(self):
        """How opaque the colour over each pixel is."""
        values = self.stage.locator("canvas").evaluate(SEEN)
        return np.array(values, np.uint8).reshape(*self.mask.shape, 4)[..., 3]

    def settled(self):
        """Once the picture that Python has is seen."""
        width, height = self.painter.size
        expect(self.page.locator(".foot output")).to_contain_text(f"{width} × {height} px")


@pytest.fixture
def show(chromium):
    """A function that shows a painter in a page; nothing may go wrong there."""
    pages, problems = [], []

    def make(picture, mask=None, *, width=1000, **options):
        page = chromium.new_page(viewport={"width": width, "height": 800}, **options)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text))
        pages.append(page)
        return Shown(nbtool.paint(picture, mask), page)

    yield make
    for page in pages:
        page.close()
    assert problems == []


def picture(size=(64, 48), mode="RGB"):
    return Image.effect_noise(size, 60).convert(mode)


def rectangle(size, box, value=255):
    """A mask as PIL draws it; the last row and column of the box are in it."""
    mask = Image.new("L", size)
    ImageDraw.Draw(mask).rectangle(box, fill=value)
    return np.asarray(mask)


@pytest.mark.parametrize("sharpness", [1, 1.5, 2])
def test_a_rectangle_is_exactly_the_pixels_that_it_was_drawn_on(show, sharpness):
    shown = show(picture(), device_scale_factor=sharpness)
    shown.press("Rectangle")
    shown.draw((10, 12), (20, 31))
    assert (shown.mask == rectangle((64, 48), (10, 12, 20, 31))).all()
    assert (shown.seen() == shown.mask).all()
    shown.draw((40, 40), (70, 60))  # over the edge
    assert shown.mask[40:, 40:].min() == 255
    shown.draw((30, 47), (12, 14), button="right")  # takes away
    assert shown.mask[14:, 12:31].max() == 0


@pytest.mark.parametrize("size", [(1600, 1200), (31, 17), (257, 1024)])
def test_pixels_are_met_at_every_zoom(show, size):
    shown = show(picture(size))
    shown.press("Rectangle")
    shown.page.get_by_role("button", name="%").click()  # 100 %
    x, y = size[0] // 2, size[1] // 2
    shown.draw((x - 3, y - 3), (x + 2, y + 1))
    assert (shown.mask == rectangle(size, (x - 3, y - 3, x + 2, y + 1))).all()
    for _ in range(5):
        shown.press("Zoom in")
    shown.draw((x + 1, y + 1), (x + 4, y + 4))
    assert shown.mask[y + 4, x + 4] == 255
    assert shown.mask[y + 5, x + 4] == shown.mask[y + 4, x + 5] == 0


def test_the_brush_suits_each_picture_that_comes(show):
    shown = show(Image.new("RGB", (1, 1)))  # as in a panel without a picture
    shown.painter.picture = picture((240, 120))
    size = shown.page.get_by_label("Size")
    expect(size).to_have_value("20")
    expect(size).to_have_attribute("max", "120")
    shown.brush(7)
    shown.painter.picture = picture((240, 120))  # for which it may have been chosen
    shown.settled()
    expect(size).to_have_value("7")
    shown.press("Extend")
    shown.page.get_by_label("Right").fill("64")
    shown.page.keyboard.press("Tab")
    expect(shown.page.locator(".foot output")).to_contain_text("304 × 120 px")
    expect(size).to_have_value("7")


def test_the_brush_is_round_and_the_eraser_takes_away(show):
    shown = show(picture())
    shown.brush(1)
    shown.draw((5, 6))
    assert list(zip(*shown.mask.nonzero(), strict=True)) == [(6, 5)]
    shown.draw((7.4, 6.4))  # near the corner of a pixel
    assert list(zip(*shown.mask.nonzero(), strict=True)) == [(6, 5), (6, 7)]
    shown.brush(9)
    shown.draw((30, 20))
    mask = shown.mask[16:25, 26:35]
    assert mask[4].min() == mask[:, 4].min() == 255
    assert mask[0, 0] == mask[8, 8] == 0
    assert (mask == mask.T).all()
    assert (mask == mask[::-1, ::-1]).all()
    shown.press("Eraser")
    shown.draw((20, 20), (40, 20))
    assert list(np.unique(np.nonzero(shown.mask)[0])) == [6]  # of the first dot


def test_a_stroke_is_whole_however_fast_the_mouse_is(show):
    shown = show(picture((200, 100)))
    shown.brush(4)
    shown.draw((10, 10), (190, 90))
    ys, xs = shown.mask.nonzero()
    assert set(xs) >= set(range(10, 190))
    assert np.abs((ys - 10) - (xs - 10) * 80 / 180).max() < 4


def test_strokes_are_undone_and_done_again_by_buttons_and_keys(show):
    shown = show(picture())
    states = [shown.mask]
    for x in (10, 30, 50):
        shown.draw((x, 20))
        states.append(shown.mask)
    for how in ("Control+z", "Control+Shift+z", "button"):
        with shown.bridge.heard():
            shown.press("Undo") if how == "button" else shown.page.keyboard.press(how)
        expected = {"Control+z": 2, "Control+Shift+z": 3, "button": 2}[how]
        assert (shown.mask == states[expected]).all(), how
    with shown.bridge.heard():
        shown.page.keyboard.press("Control+z")
    with shown.bridge.heard():
        shown.page.keyboard.press("Control+z")
    assert shown.mask.max() == 0
    expect(shown.page.get_by_role("button", name="Undo")).to_have_attribute("aria-disabled", "true")
    with shown.bridge.heard():
        shown.press("Redo")
    assert (shown.mask == states[1]).all()
    assert (shown.seen() == states[1]).all()


def test_invert_clear_and_undo_keep_the_grays_of_a_mask(show):
    gray = Image.linear_gradient("L").resize((64, 48))
    shown = show(picture(), gray)
    assert (shown.seen() == np.asarray(gray)).all()
    with shown.bridge.heard():
        shown.press("Invert")
    assert (shown.mask == 255 - np.asarray(gray)).all()
    with shown.bridge.heard():
        shown.press("Clear")
    assert shown.mask.max() == 0
    with shown.bridge.heard():
        shown.press("Undo")
    assert (shown.mask == 255 - np.asarray(gray)).all()
    shown.brush(3)
    shown.draw((20, 20))
    changed = shown.mask != 255 - np.asarray(gray)
    assert changed[19:22, 19:22].all()
    assert changed.sum() == 9


def test_what_is_transparent_becomes_the_mask(show):
    seen = picture(mode="RGBA")
    alpha = Image.radial_gradient("L").resize(seen.size)
    seen.putalpha(alpha)
    shown = show(seen)
    with shown.bridge.heard():
        shown.press("From alpha")
    assert (shown.mask == 255 - np.asarray(alpha)).all()
    expect(shown.page.get_by_role("button", name="Undo")).not_to_have_attribute(
        "aria-disabled", "true"
    )
    assert (shown.seen() == shown.mask).all()
    shown = show(picture())
    expect(shown.page.get_by_role("button", name="From alpha")).to_be_hidden()


def test_a_mask_is_painted_by_keys_alone_and_told(show):
    shown = show(picture())
    keyboard, status = shown.page.keyboard, shown.page.locator(".unseen")
    shown.stage.focus()
    keyboard.press("r")
    expect(status).to_have_text("Rectangle")
    for key in ("ArrowRight", "ArrowLeft", "ArrowLeft", "Shift+ArrowUp"):
        keyboard.press(key)
    expect(status).to_have_text("30, 14: protected")
    keyboard.press("Enter")
    for key in ("Shift+ArrowRight", "ArrowDown"):
        keyboard.press(key)
    expect(status).to_have_text("40, 15: protected, tool down")
    with shown.bridge.heard():
        keyboard.press("Enter")
    expect(status).to_have_text("40, 15: masked")
    assert (shown.mask == rectangle((64, 48), (30, 14, 40, 15))).all()
    keyboard.press("b")
    for _ in range(8):
        keyboard.press("[")
    expect(status).to_have_text("Size 1")
    keyboard.press("Shift+ArrowDown")
    with shown.bridge.heard():
        keyboard.down("Space")
        keyboard.press("ArrowRight")
        keyboard.press("ArrowRight")
        keyboard.up("Space")
    assert list(np.flatnonzero(shown.mask[25])) == [40, 41, 42]
    keyboard.press("e")
    with shown.bridge.heard():
        keyboard.press("Space")
    assert list(np.flatnonzero(shown.mask[25])) == [40, 41]
    with shown.bridge.heard():
        keyboard.press("i")
    keyboard.press("Enter")
    keyboard.press("ArrowLeft")
    keyboard.press("Escape")  # was not meant
    assert shown.mask[25, 42] == 255
    assert (shown.seen() == shown.mask).all()


def test_a_finger_paints_and_two_zoom_without_a_trace(show):
    shown = show(picture(), has_touch=True, device_scale_factor=2)
    touch = shown.page.context.new_cdp_session(shown.page)

    def fingers(kind, *places):
        points = [shown.place(*place) for place in places]
        points = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    shown.brush(1)
    with shown.bridge.heard():
        fingers("touchStart", (10, 10))
        fingers("touchMove", (14, 10))
        fingers("touchEnd")
    assert (shown.mask == rectangle((64, 48), (10, 10, 14, 10))).all()
    before = shown.page.locator(".scales").inner_text()
    fingers("touchStart", (30, 20))
    fingers("touchMove", (31, 20))
    fingers("touchStart", (31, 20), (40, 20))
    fingers("touchMove", (21, 20), (50, 20))
    fingers("touchEnd")
    assert shown.page.locator(".scales").inner_text() != before
    assert (shown.seen() == rectangle((64, 48), (10, 10, 14, 10))).all()


def test_a_pen_paints_and_its_other_end_erases(show):
    shown = show(picture(), Image.new("L", (64, 48), 255))
    shown.brush(2)
    script = """(stage, [x, y, buttons]) => {
      const about = { pointerType: "pen", pointerId: 7, pressure: 0.1, bubbles: true, clientX: x, clientY: y };
      stage.setPointerCapture = () => {};
      stage.dispatchEvent(new PointerEvent("pointerdown", { ...about, buttons }));
      stage.dispatchEvent(new PointerEvent("pointerup", about));
    }"""
    for buttons, value in ((32, 0), (1, 255)):
        with shown.bridge.heard():
            shown.stage.evaluate(script, [*shown.place(20, 20), buttons])
        assert shown.mask[20, 20] == value


def test_the_picture_is_moved_and_zoomed(show):
    shown = show(picture((640, 480)))
    for _ in range(3):
        shown.press("Zoom in")
    left = shown.place(0, 0)[0]
    shown.page.keyboard.press("h")
    mouse = shown.page.mouse
    box = shown.stage.bounding_box()
    mouse.move(box["x"] + 200, box["y"] + 200)
    mouse.down()
    mouse.move(box["x"] + 260, box["y"] + 200)
    mouse.up()
    assert shown.place(0, 0)[0] == left + 60
    assert shown.painter.mask.getextrema() == (0, 0)
    shown.stage.focus()
    shown.page.keyboard.press("ArrowRight")
    assert shown.place(0, 0)[0] == left - 20
    shown.page.keyboard.press("0")
    expect(shown.page.get_by_role("button", name="100 %")).to_be_visible()


def test_the_wheel_scrolls_the_notebook_until_the_stage_is_used(show):
    shown = show(picture())
    scales = shown.page.locator(".scales")
    before = scales.inner_text()
    shown.page.mouse.move(*shown.place(30, 20))
    shown.page.mouse.wheel(0, -100)
    shown.stage.evaluate("stage => new Promise(requestAnimationFrame)")
    assert scales.inner_text() == before
    shown.stage.focus()
    shown.page.mouse.wheel(0, -100)
    expect(scales).not_to_have_text(before)


def test_a_mask_and_a_picture_that_are_set_in_python_are_shown(show):
    shown = show(picture())
    mask = shown.painter.mask
    ImageDraw.Draw(mask).ellipse((5, 5, 30, 30), fill=99)
    shown.painter.mask = mask
    expect(shown.page.get_by_role("button", name="Undo")).not_to_have_attribute(
        "aria-disabled", "true"
    )
    assert (shown.seen() == np.asarray(mask)).all()
    shown.painter.picture = picture((32, 80))
    shown.settled()
    shown.press("Rectangle")
    shown.draw((2, 70), (3, 71))
    assert (shown.mask == rectangle((32, 80), (2, 70, 3, 71))).all()


def test_two_views_show_the_same_and_one_goes_on_alone(show):
    shown = show(picture())
    shown.page.evaluate("void window.render()")
    views = shown.page.get_by_role("application")
    expect(views.nth(1).locator("img")).to_be_visible()
    shown.stage = views.first
    shown.page.get_by_role("button", name="Rectangle").first.click()
    shown.draw((3, 3), (9, 9))
    shown.stage = views.nth(1)
    expect(shown.page.get_by_role("button", name="Undo").nth(1)).not_to_have_attribute(
        "aria-disabled", "true"
    )
    assert (shown.seen() == shown.mask).all()
    shown.page.evaluate("window.close()")
    expect(views).to_have_count(1)
    shown.stage = views.first
    with shown.bridge.heard():
        shown.press("Undo")
    assert shown.mask.max() == 0


def test_edges_are_typed_and_taken_back(show):
    given = picture()
    shown = show(given)
    shown.press("Rectangle")
    shown.draw((0, 0), (9, 9))
    painted = shown.mask
    shown.press("Extend")
    with shown.bridge.heard():
        shown.page.get_by_label("Left").fill("16")
        shown.page.keyboard.press("Tab")
    shown.settled()
    larger, mask = nbtool.outpaint(given, left=16)
    expected = np.asarray(mask).copy()
    expected[:10, 16:26] = 255
    assert shown.painter.picture.image == larger
    assert (shown.mask == expected).all()
    assert (shown.seen() == expected).all()
    with shown.bridge.heard():
        shown.page.get_by_label("Feather").fill("0")
        shown.page.keyboard.press("Tab")
    shown.settled()
    assert shown.mask[:, :16].min() == 255
    for _ in range(2):
        with shown.bridge.heard():
            shown.press("Undo")
        shown.settled()
    assert shown.painter.picture.image == given
    assert (shown.mask == painted).all()
    assert (shown.seen() == painted).all()
    with shown.bridge.heard():
        shown.press("Redo")
    shown.settled()
    assert (shown.mask == expected).all()


def test_what_is_typed_meanwhile_is_not_lost(show):
    shown = show(picture())
    shown.press("Extend")
    fields = [shown.page.get_by_label(side) for side in ("Left", "Right", "Top")]
    fields[0].fill("16")
    with shown.bridge.heard():
        fields[1].fill("8")  # leaves the first field, which is told to Python
        fields[1].press_sequentially("8")
    expect(fields[0]).to_have_value("16")
    expect(fields[1]).to_have_value("88")
    for field, value in zip(fields, ("24", "8", "16"), strict=True):
        field.fill(value)
    fields[2].press("Enter")
    expect(shown.page.locator(".foot output")).to_contain_text("96 × 64 px")
    assert shown.painter.mask.size == (96, 64)


def test_on_a_sharp_screen_no_pixel_is_blurred(show):
    shown = show(Image.new("RGB", (64, 48), "white"), device_scale_factor=2)
    shown.press("Rectangle")
    shown.draw((10, 12), (20, 31))
    shown.page.mouse.move(0, 0)
    seen = Image.open(io.BytesIO(shown.stage.locator("canvas").screenshot(scale="device")))
    assert seen.width > 2 * 64 * 8
    inside = seen.crop((4, 4, seen.width - 4, seen.height - 4)).convert("RGB")
    assert len(inside.getcolors()) == 2


def test_a_mask_is_sent_small(show):
    shown = show(picture((1024, 1024)))
    shown.draw((100, 100), (900, 800), (100, 700))
    assert shown.mask.max() == 255
    assert len(shown.painter.painted) < 12_000


def test_an_edge_is_dragged_out_to_a_multiple_of_eight(show):
    shown = show(picture((60, 44)))
    shown.press("Extend")
    expect(shown.page.locator(".handle.right")).to_be_visible()
    box = shown.page.locator(".handle.right").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    by = shown.place(21, 0)[0] - shown.place(0, 0)[0]
    shown.page.mouse.move(x, y)
    shown.page.mouse.down()
    shown.page.mouse.move(x + by, y, steps=4)
    expect(shown.page.locator(".foot output")).to_have_text("80 × 44")
    with shown.bridge.heard():
        shown.page.mouse.up()
    shown.settled()
    assert shown.painter.sides == {"left": 0, "right": 20, "top": 0, "bottom": 4, "feather": 16}
    assert shown.painter.mask.size == (80, 48)
    assert shown.mask[:44, :60].max() == 0


def test_what_cannot_be_added_is_said_and_all_stays(show):
    shown = show(picture())
    shown.draw((20, 20))
    before = shown.mask
    shown.press("Extend")
    with shown.bridge.heard():
        shown.page.get_by_label("Right").fill("9000")
        shown.page.keyboard.press("Tab")
    expect(shown.page.get_by_role("alert")).to_contain_text("from 0 to 8192")
    expect(shown.page.get_by_label("Right")).to_have_value("0")
    assert (shown.mask == before).all()
    with shown.bridge.heard():
        shown.press("Undo")
    assert shown.mask.max() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_at_any_width(show, scheme):
    seen = picture((64, 48), "RGBA")
    seen.putalpha(128)
    shown = show(seen, color_scheme=scheme)
    shown.draw((20, 20))
    for width in (375, 720, 1280):
        shown.page.set_viewport_size({"width": width, "height": 800})
        for tool in ("Brush", "Extend"):
            shown.press(tool)
            assert violations(shown.page, "html") == []
        assert shown.page.evaluate("document.documentElement.scrollWidth") <= width
