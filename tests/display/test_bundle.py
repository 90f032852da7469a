from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from nbtool.display.bundle import MAX_THUMBNAILS, grid_bundle
from nbtool.display.progress import line
from nbtool.text import card


class Reader(HTMLParser):
    """The elements of a page, their attributes and the text in them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def bundle(make_grid):
    grid = make_grid("a star", seed=[0, 1], guidance_scale=[1, 3, 7.5], failed=[1], missing=[5])
    return grid_bundle(grid)


def test_the_text_is_an_aligned_table_of_marks(bundle):
    assert bundle["text/plain"].splitlines()[1:] == [
        "",
        "      guidance_scale",
        "seed  1  3  7.5",
        "   0  ✓  ✗   ✓",
        "   1  ✓  ✓   ·",
    ]


def test_the_text_stays_short(make_grid):
    seeds = range(200)
    grid = make_grid("x" * 9000, seed=seeds, guidance_scale=seeds, missing=range(40_000))
    lines = grid_bundle(grid)["text/plain"].splitlines()
    assert len(lines) < 30
    assert max(map(len, lines[1:])) <= 110
    assert len(lines[0]) <= 1000


def test_the_html_holds_labels_thumbnails_and_reasons(bundle):
    page = Reader(bundle["text/html"])
    assert {"Seed", "Guidance", "7.5", "failed", "out of memory", "not made"} <= set(page.texts)
    assert page.tags.count("img") == 4
    for tag, name, value in page.attributes:
        assert name != "id"
        if (tag, name) == ("img", "src"):
            picture = Image.open(io.BytesIO(base64.b64decode(value.split(",")[1])))
            assert picture.size == (64, 64)
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_what_is_not_made_is_a_cell_like_the_others(bundle):
    page = Reader(bundle["text/html"])
    boxes = [value for tag, name, value in page.attributes if (tag, name) == ("span", "style")]
    assert boxes == ["width:64px;height:64px"] * 2
    assert ("span", "title", "guidance_scale") in page.attributes


def test_labels_that_are_cut_are_told_apart(make_grid):
    base = (
        "a calm harbour in the morning, boats with folded sails, wet stones and gulls over it " * 4
    )
    prompts = [base, f"{base}, at night", f"{base}, at noon"]
    for grid in (
        make_grid(prompts, seed=[1, 2]),
        make_grid([*prompts, *"abcdefghij"]),
        make_grid(prompts, seed=[1, 2], guidance_scale=[1, 2]),
    ):
        bundle = grid_bundle(grid)
        page = Reader(bundle["text/html"])
        shown = {text for text in page.texts if "at n" in text}
        assert len(shown) == 2
        assert all("…" in text and len(text) <= 300 for text in shown)
        lines = bundle["text/plain"].splitlines()[2:]
        assert len(grid.axes) > 2 or len(set(lines)) == len(lines)


def test_further_axes_become_sections_with_headings(make_grid):
    grid = make_grid("a {color} star", color=["red", "blue"], seed=[1, 2], guidance_scale=[1, 3])
    page = Reader(grid_bundle(grid)["text/html"])
    assert [text for text in page.texts if text.startswith("color ")] == ["color red", "color blue"]
    assert page.tags.count("table") == 2


def test_a_large_grid_shows_some_thumbnails_and_says_how_many_more(make_grid):
    grid = make_grid("a star", seed=range(30), guidance_scale=range(1, 11))
    bundle = grid_bundle(grid)
    page = Reader(bundle["text/html"])
    shown = page.tags.count("img")
    assert 32 <= shown <= MAX_THUMBNAILS
    assert f"… and {300 - shown} more cells; " in page.texts
    assert "grid.view()" in page.texts
    assert "image/png" not in bundle


def test_thumbnails_of_large_pictures_are_small(make_grid):
    grid = make_grid("a star", seed=[1], width=512, height=256)
    source = re.search(r'src="data:[^,]+,([^"]+)"', grid_bundle(grid)["text/html"])
    assert Image.open(io.BytesIO(base64.b64decode(source[1]))).size == (160, 80)


def test_the_picture_is_a_small_sheet(bundle):
    assert isinstance(bundle["image/png"], bytes)
    picture = Image.open(io.BytesIO(bundle["image/png"]))
    assert picture.width * picture.height <= 1_000_000


def test_a_grid_shows_itself_whatever_is_in_it(make_grid):
    for grid in (make_grid("a star"), make_grid("a star", seed=[1, 2], missing=[0, 1])):
        assert set(grid._repr_mimebundle_()) == {"text/plain", "text/html", "image/png"}


def test_fault_36_hostile_text_stays_text(hostile):
    bundle = grid_bundle(hostile)
    markup, text = bundle["text/html"], bundle["text/plain"]
    markup.encode("utf-8")
    text.encode("utf-8")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\u2028]", markup + text)
    page = Reader(markup)
    assert set(page.tags) <= {
        "style", "div", "p", "h4", "table", "thead", "tbody", "tr", "th", "td", "span", "img",
        "b", "br", "code",
    }  # fmt: skip
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<img src=x onerror=alert(1)>" in page.texts
    assert all(
        value.startswith("data:image/") for _, name, value in page.attributes if name == "src"
    )


def test_fault_36_no_notebook_makes_formulas_of_a_text(hostile):
    bundles = grid_bundle(hostile), line("$x$"), card({"Prompt": "$x$"})
    for bundle in bundles:
        outermost = re.match(r'<\w+ class="([^"]*)"', bundle["text/html"])
        assert "mathjax_ignore" in outermost[1].split()
