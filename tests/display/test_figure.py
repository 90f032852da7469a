from __future__ import annotations

import errno
import io
import re
import warnings
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

from nbtool import StoreError
from nbtool.display.composing import SPELLED
from nbtool.display.figure import SHOWN, save_figure


@pytest.fixture
def grid(make_grid):
    return make_grid(
        "a {color} star", color=["red", "blue"], seed=[1, 2, 3], failed=[1], missing=[5]
    )


def _svg_texts(path):
    return [
        element.text
        for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")
        if element.text
    ]


def test_an_svg_holds_its_labels_as_text(grid, tmp_path):
    path = tmp_path / "grid.svg"
    save_figure(grid.figure(), path)
    texts = _svg_texts(path)
    assert {"a {color} star", "color", "seed", "red", "blue", "1", "failed", "not made"} <= set(
        texts
    )
    assert any("20 steps" in text for text in texts)


def test_a_pdf_embeds_fonts_that_can_be_searched(grid, tmp_path):
    path = tmp_path / "grid.pdf"
    save_figure(grid.figure(), path)
    assert re.search(rb"/Subtype\s*/(TrueType|CIDFontType2)", path.read_bytes())


def test_a_figure_that_cannot_be_written_leaves_what_was_there(grid, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "grid.svg"
    path.write_text("before")
    figure = grid.figure()
    monkeypatch.setattr(figure, "savefig", full)
    with pytest.raises(StoreError, match=r"cannot write .*grid\.svg: No space left"):
        save_figure(figure, path)
    assert path.read_text() == "before"


def test_equal_figures_give_equal_files(grid, tmp_path):
    for suffix in ("svg", "pdf"):
        first, second = tmp_path / f"1.{suffix}", tmp_path / f"2.{suffix}"
        save_figure(grid.figure(), first)
        save_figure(grid.figure(), second)
        assert first.read_bytes() == second.read_bytes()


def test_it_shows_itself_as_a_picture_in_a_notebook(grid, make_grid):
    large = make_grid("a star", seed=range(2500), missing=range(1, 2500))
    for figure in (grid.figure(), large.figure()):
        data, metadata = DisplayFormatter().format(figure)
        picture = Image.open(io.BytesIO(data["image/png"]))
        assert picture.width * picture.height <= SHOWN * 1.01
        assert metadata["image/png"]["width"] == round(figure.get_figwidth() * 72)


def test_letters_are_text_in_a_font_that_has_them(make_grid, install, tmp_path):
    install("Wedge Sans", "赤星")
    figure = make_grid("a {word}", word=["赤 star", "한"], seed=[1]).figure()
    save_figure(figure, tmp_path / "grid.svg")
    save_figure(figure, tmp_path / "grid.pdf")
    texts = {
        element.text: element.get("style")
        for element in ET.parse(tmp_path / "grid.svg").iter("{http://www.w3.org/2000/svg}text")
    }
    assert "'DejaVu Sans', 'Wedge Sans'" in texts["赤 star"]
    assert "Wedge" not in texts[r"\ud55c"]
    assert any(text.startswith(SPELLED[:20]) for text in texts)


@pytest.mark.parametrize("family", ["Wedge Sans", "DejaVu Sans"])
def test_letters_are_drawn_from_the_very_file_that_has_them(make_grid, install, tmp_path, family):
    for number, letters in enumerate(["ab", "赤", "星"]):
        install(family, letters, file=number)
    figure = make_grid("a {word}", word=["赤 星"], seed=[1]).figure()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "Glyph … missing from font(s) …"
        for name in ("grid.png", "grid.svg", "grid.pdf"):
            save_figure(figure, tmp_path / name)
        with mpl.rc_context({"svg.fonttype": "path"}):
            figure.savefig(tmp_path / "outlines.svg")


NOWHERE = "\N{SNOWMAN}한"


@pytest.mark.parametrize(
    "given",
    [
        {"prompt": f"a {NOWHERE}", "seed": [1]},
        {"prompt": ["a", "b"], "seed": [1], "negative_prompt": NOWHERE},
        {"prompt": ["a", NOWHERE], "seed": [1]},
        {"prompt": "a", "seed": [1, 2], "failed": [1], "reason": f"cannot open {NOWHERE}"},
    ],
    ids=["title", "footer", "label", "reason"],
)
def test_letters_that_no_font_has_are_told_of_wherever_they_stand(make_grid, bare, given):
    texts = [text.get_text() for text in make_grid(**given).figure().axes[0].texts]
    assert any(r"\ud55c" in text for text in texts)
    assert any(text.startswith(SPELLED[:20]) for text in texts)


def test_labels_that_are_cut_differ(make_grid):
    base = (
        "a calm harbour in the morning, boats with folded sails, wet stones and gulls over it " * 3
    )
    axes = make_grid([base, base + "at night"], seed=[1, 2]).figure().axes[0]
    tops = sorted({round(image.get_extent()[3]) for image in axes.images})
    left = min(image.get_extent()[0] for image in axes.images)
    labels = [
        [t.get_text() for t in axes.texts if t.get_position()[0] < left and low <= t.get_position()[1] < high]
        for low, high in zip(tops, [*tops[1:], tops[-1] + 96], strict=True)
    ]  # fmt: skip
    assert labels[0] != labels[1]
    assert labels[1][-1].endswith("night")


def test_rows_and_columns_can_be_chosen(grid):
    figure = grid.figure(rows="seed", cols="color")
    upright = figure.get_figwidth() < figure.get_figheight()
    assert upright


def test_the_user_s_matplotlib_settings_stay_and_do_not_disturb(grid, tmp_path):
    with mpl.rc_context({"figure.autolayout": True, "image.origin": "lower", "font.size": 40}):
        before = dict(mpl.rcParams)
        save_figure(grid.figure(), tmp_path / "styled.svg")
        assert dict(mpl.rcParams) == before
    save_figure(grid.figure(), tmp_path / "plain.svg")
    assert _svg_texts(tmp_path / "styled.svg") == _svg_texts(tmp_path / "plain.svg")


def test_fault_36_hostile_text_is_vector_text_and_never_mathematics(hostile, tmp_path):
    path = tmp_path / "hostile.svg"
    with warnings.catch_warnings(), mpl.rc_context({"text.parse_math": True}):
        warnings.simplefilter("error")
        save_figure(hostile.figure(), path)
        save_figure(hostile.figure(), tmp_path / "hostile.pdf")
    texts = _svg_texts(path)
    assert r"$\frac{1}$" in texts
    assert r"$\undefined" in texts
    assert r"\x1b[31mred" in texts
    assert r"\ud800" in texts
    assert not list(ET.parse(path).iter("{http://www.w3.org/2000/svg}script"))
