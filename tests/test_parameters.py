"""The table of parameters: what follows from a row, without being said again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nbtool import Recipe, RecipeError
from nbtool.catalogue import families
from nbtool.panel.fields import OPEN, Field
from nbtool.recipes import checks
from nbtool.recipes.parameters import Row, extent
from nbtool.results.image import settings

PACKAGE = Path(__file__).parents[1] / "nbtool"
BEFORE = "    model: str | None = row("
# One that some pipelines take by this name, one that none does, one to choose.
NEW = """\
    denoising_end: float | None = row(
        None, real(0, 1), label="End", example="0.8", infotext="End",
        about="Where denoising ends, from 0 to 1.", selective=True,
    )
    ground: str = row("", checks.text, label="Ground", about="What is below.")
    weight: float = row(1.0, real(0, 9), label="Weight", about="Nothing at 1, not at 0.")
    sampling: str | None = row(None, checks.scheduler, label="Sampling", about="How.")
"""
LOOK = """\
import io, sys

from PIL import Image

import nbtool
from nbtool.catalogue import find
from nbtool.catalogue.families import takes
from nbtool.cli.options import PARAMETERS as HELP
from nbtool.panel.axis_row import LABELS, parse
from nbtool.panel.panel import Panel
from nbtool.testing import FakeEngine

def refused(make):
    try:
        make()
    except nbtool.RecipeError as error:
        return str(error)

def within(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from within(child)

# documented, checked, and nothing to the keys of recipes that leave it open
assert "denoising_end: Where denoising ends" in nbtool.Recipe.__doc__
assert nbtool.Recipe().key == nbtool.Recipe(denoising_end=None, ground="").key
assert refused(lambda: nbtool.Recipe(denoising_end=2)) == (
    "denoising_end must be a number from 0 to 1, got 2"
)
# an image, its file, its caption, the store
gen = nbtool.Generator(engine=FakeEngine(), store=sys.argv[1])
image = gen("a star", seed=1, denoising_end=0.8, ground="sand")
assert image.caption.endswith("end 0.8 · ground: sand"), image.caption
assert nbtool.Recipe.from_file(image.path) == image.recipe
assert "End: 0.8, " in Image.open(io.BytesIO(image.png)).text["parameters"]
assert [found.recipe for found in gen.store.find(denoising_end=0.8)] == [image.recipe]
# axes and records
grid = gen.grid("a star", seed=1, denoising_end="0.25-0.75 [3]", ground=["sea", "sand"])
assert grid.axes == {"denoising_end": (0.25, 0.5, 0.75), "ground": ("sea", "sand")}
assert grid.records()[0]["denoising_end"] == 0.25
# the command line
assert "denoising_end=0.8" in HELP and "ground" in HELP
# the panel: fields under Advanced, what they make, axes, a recipe shown
panel = Panel(gen)
panel.join(60)
fields = {w.description: w for w in within(panel.generate.widget) if hasattr(w, "description")}
assert [fields[name].value for name in ("End", "Ground", "Sampling")] == ["", "", ""]
assert fields["Weight"].value == 1
panel.settings.prompt.value = "a star"
fields["End"].value, fields["Ground"].value = "0.5", "sea"
next(w for w in within(panel.generate.widget) if getattr(w, "description", "") == "Generate").click()
panel.join(60)
made = panel.generate.gallery.image
assert (made.recipe.denoising_end, made.recipe.ground, made.recipe.sampling) == (0.5, "sea", None)
assert "<dt>End</dt><dd>0.5</dd>" in panel.generate.detail.recipe.value
panel.settings.take(image.recipe)
assert fields["End"].value == 0.8
fields["End"].value = "soon"
assert "End must be a number" in fields["End"].error
assert LABELS["denoising_end"] == "End"
assert parse("denoising_end", "0.2, 0.4").labels == (0.2, 0.4)
panel.close()
# models: refused by a pipeline that lacks it, known of one that has it
model = find("shapes")
assert "has no denoising_end" in refused(
    lambda: model.check(nbtool.Recipe(**model.defaults, denoising_end=0.5))
)
model.check(nbtool.Recipe(**model.defaults, ground="sand"))
assert takes("StableDiffusionXLPipeline", "denoising_end")
"""


def test_a_new_parameter_is_one_row(tmp_path):
    """In a copy of the package with rows more, everything that shows parameters shows them."""
    copy = tmp_path / "nbtool"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    table = copy / "recipes" / "parameters.py"
    text = table.read_text(encoding="utf-8")
    assert text.count(BEFORE) == 1
    table.write_text(text.replace(BEFORE, NEW + BEFORE), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(tmp_path / "images")],
        check=False, capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "NBTOOL_PROGRESS": "off"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_pipelines_arguments_are_known_from_the_table_or_from_itself():
    assert families.takes("StableDiffusionPipeline", "eta")
    assert not families.takes("FluxPipeline", "negative_prompt")  # it has it, for another guidance
    assert families.takes("FluxPipeline", "true_cfg_scale")
    assert not families.takes("StableDiffusionPipeline", "true_cfg_scale")


@pytest.mark.parametrize(
    ("check", "typed", "value"),
    [(checks.whole(0, 9), "3", 3), (checks.real(0), "0.5", 0.5), (checks.text, "a", "a")],
)
def test_a_field_may_be_left_open(monkeypatch, check, typed, value):
    row = Row(name="foo", rest=None, check=check, about="", label="Foo")
    monkeypatch.setattr(
        "nbtool.panel.fields.checked", lambda _, given: given and _given(row, given)
    )
    field = Field(row, optional=True)
    assert (field.widget.value, field.widget.placeholder, field.value) == ("", OPEN, None)
    field.widget.value = typed
    assert field.value == value
    field.value = None
    assert field.widget.value == ""
    field.value = value
    assert field.widget.value == value


def test_what_is_no_number_is_refused_by_name():
    row = Row(name="eta", rest=None, check=checks.real(0), about="", label="Eta")
    field = Field(row, optional=True)
    field.widget.value = "much"
    with pytest.raises(RecipeError, match="eta must be a number"):
        _ = field.value


def _given(row, value):
    return row.check.convert(row.name, value)


@pytest.mark.parametrize(
    ("lengths", "words"),
    [
        ({"seed": 60, "guidance_scale": 3}, "60 seeds × 3 guidance"),
        ({"width_height": 2}, "2 sizes"),
        ({"height_width": 1}, "1 size"),
        ({"guidance_scale_num_inference_steps": 2, "seed": 2}, "2 guidance and steps × 2 seeds"),
        ({"guidance_fox": 2, "width_": 1, "_": 1}, "2 guidance_fox × 1 width_ × 1 _"),
        ({}, ""),
    ],
    ids=str,
)
def test_how_many_values_axes_have_is_said_in_words(lengths, words):
    assert extent(lengths) == words


@pytest.mark.parametrize(("steps", "said"), [(1, "1 step"), (8, "8 steps")])
def test_a_caption_says_how_many_steps(steps, said):
    assert settings(Recipe(num_inference_steps=steps)) == [said]
