"""Grids made without a model."""

from __future__ import annotations

import matplotlib as mpl
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.font_manager import fontManager
from PIL import Image, ImageDraw

from nbtool import metadata
from nbtool.display import fonts
from nbtool.errors import GenerationError
from nbtool.grid import Grid
from nbtool.recipes import axes
from nbtool.recipes.provenance import Provenance
from nbtool.results.image import GeneratedImage

DEFAULTS = {
    "seed": 7,
    "num_inference_steps": 20,
    "guidance_scale": 5.0,
    "scheduler": "ddim",
    "width": 64,
    "height": 64,
    "model": "shapes",
}
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</script><script>alert(2)</script>",
    r"$\frac{1}$",
    r"$\undefined",
    "\x1b[31mred",
    "\ud800",
    "NUL\0here",
    "two\nlines\u2028and more",
    "\u202eright to left \u05e9\u05dc\u05d5\u05dd",
    "x" * 5000,
    "",
)


def _picture(recipe):
    image = Image.new("RGB", (recipe.width, recipe.height), (250, 250, 250))
    shade = (40 + 30 * (recipe.seed % 7), 60, 10 * int(recipe.guidance_scale) % 256)
    edge = min(image.size) // 4
    ImageDraw.Draw(image).ellipse((edge, edge, 3 * edge, 3 * edge), fill=shade)
    return GeneratedImage(
        recipe, Provenance(), png=metadata.encode(image, recipe.to_dict(), {}, "0")
    )


@pytest.fixture(scope="session")
def make_grid():
    """A function that takes what `gen.grid` takes, and which cells failed or are missing."""

    def make(prompt, *given, failed=(), missing=(), reason="out of memory", **parameters):
        taken = parameters.keys() | {name for axis in given for name in axis.parameters}
        defaults = {name: value for name, value in DEFAULTS.items() if name not in taken}
        sweep = axes.sweep(prompt, given, parameters, defaults)
        cells = {}
        for number, (index, recipe) in enumerate(sweep):
            if number in failed:
                cells[index] = GenerationError(reason)
            elif number not in missing:
                cells[index] = _picture(recipe)
        return Grid(sweep.base, sweep.axes, cells)

    return make


@pytest.fixture(scope="session")
def hostile_texts():
    return HOSTILE


@pytest.fixture(scope="session")
def hostile(make_grid):
    """Everything that could be taken for markup or control, in every place that shows text."""
    everything = "".join(HOSTILE)
    return make_grid(
        f"a {{thing}} {everything}",
        axes.replace("a ", ["the ", *HOSTILE[:3]]),
        thing=HOSTILE,
        seed=[1, 2],
        failed=[1],
        reason=everything,
        negative_prompt=everything,
    )


@pytest.fixture
def bare(monkeypatch):
    """A machine with no fonts but those that come with matplotlib."""
    own = [entry for entry in fontManager.ttflist if entry.fname.startswith(mpl.get_data_path())]
    monkeypatch.setattr(fontManager, "ttflist", own)
    monkeypatch.setattr(fonts, "_look_again", lambda: None)
    fonts._others.cache_clear()


@pytest.fixture
def install(bare, tmp_path):
    """A function that gives it a font in which letters are wedges, each of its own."""

    def make(family, letters, file=None):
        names = [".notdef", *(f"u{ord(letter):04x}" for letter in letters)]
        glyphs = {}
        for number, name in enumerate(names):
            pen = TTGlyphPen(None)
            pen.moveTo((100, 0))
            pen.lineTo((100, 700))
            pen.lineTo((900, 600 - 90 * number))
            pen.closePath()
            glyphs[name] = pen.glyph()
        font = FontBuilder(1000)
        font.setupGlyphOrder(names)
        font.setupCharacterMap({ord(letter): f"u{ord(letter):04x}" for letter in letters})
        font.setupGlyf(glyphs)
        font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
        font.setupHorizontalHeader(ascent=800, descent=-200)
        font.setupNameTable({"familyName": family, "styleName": "Regular"})
        font.setupOS2(usWeightClass=400)
        font.setupPost()
        path = tmp_path / f"{file or family}.ttf"
        font.save(path)
        fontManager.addfont(path)

    return make
