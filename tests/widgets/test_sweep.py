"""The Sweep tab without a browser."""

from __future__ import annotations

import pytest
from people import find, press

import nbtool
from nbtool.panel.axis_row import around, parse
from nbtool.panel.panel import Panel
from nbtool.testing import FakeEngine

SECONDS = 600  # on a busy machine


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def opened():
    """Opens a panel, and closes it in the end."""
    panels = []

    def open_panel(generator):
        panels.append(Panel(generator))
        panels[-1].join(SECONDS)
        panels[-1].settings.prompt.value = "a circle"
        return panels[-1]

    yield open_panel
    for panel in panels:
        panel.cancel()
        panel.join(SECONDS)
        panel.close()


@pytest.fixture
def panel(opened, engine, tmp_path):
    return opened(nbtool.Generator(engine=engine, store=tmp_path / "images", num_inference_steps=2))


def fill(panel, *rows):
    sweep = panel.sweep
    while len(sweep.rows) < len(rows):
        press(sweep.widget, "Add an axis")
    for row in sweep.rows:
        row.fill("", "")
    for row, (name, values) in zip(sweep.rows, rows, strict=False):
        row.fill(name, values)
    panel.join(SECONDS)
    return sweep


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("guidance_scale", "1-7 (+2)", (1, 3, 5, 7)),
        ("eta", "0-1 [3]", (0, 0.5, 1)),
        ("seed", "1,2,3", (1, 2, 3)),
        ("scheduler", "ddim | Euler a", ("ddim", "euler_a")),
        ("prompt", "a cat | a dog", ("a cat", "a dog")),
        ("color", "red|blue", ("red", "blue")),
    ],
)
def test_values_are_read_as_they_are_typed(name, text, values):
    assert parse(name, text) == values


def test_a_replacement_is_an_arrow_between_texts():
    assert parse("replace", "red → blue | green").labels == ("red", "blue", "green")
    assert parse("replace", "red -> blue").labels == ("red", "blue")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("guidance_scale", "1-", "is no number or range"),
        ("guidance_scale", "", "no values yet"),
        ("num_inference_steps", "0, 4", "num_inference_steps must be a whole number"),
        ("scheduler", "eulr", "did you mean 'euler'"),
        ("width", "100", "multiple of 8"),
        ("replace", "red", "an arrow"),
        ("color", "red | red", "twice"),
    ],
)
def test_what_is_wrong_is_said_under_the_field(panel, name, text, message):
    find(panel.generate.widget, "Prompt").value = "a {color} star"
    sweep = fill(panel)
    sweep.rows[0].fill(name, text)
    assert message in sweep.rows[0].message.text
    assert sweep.rows[0].message.alarming
    press(sweep.widget, "Run")
    assert message in panel.notice.text


def test_what_was_wrong_with_an_axis_is_not_said_any_more_when_it_is_mended(panel):
    sweep = fill(panel, ("seed", "1-"))
    press(sweep.widget, "Run")
    assert panel.notice.alarming
    sweep.rows[0].values.value = "1-3"
    assert panel.notice.text == ""


def test_it_counts_the_cells_before_anything_runs(panel):
    sweep = fill(panel, ("guidance_scale", "1-7 (+2)"), ("seed", "1-3"))
    assert sweep.rows[0].message.text == "4 values: 1, 3, 5, 7"
    assert sweep.outlook.text.startswith("4 × 3 = 12 cells: 12 images · ")


@pytest.mark.parametrize("kind", ["fake", "real"])
def test_a_sweep_fills_a_grid_and_keeps_the_images(opened, tmp_path, kind):
    engine = {"engine": FakeEngine()} if kind == "fake" else {}
    panel = opened(nbtool.Generator(store=tmp_path / "images", num_inference_steps=2, **engine))
    sweep = fill(panel, ("guidance_scale", "2, 4"), ("seed", "1-3"))
    press(sweep.widget, "Run")
    assert len(sweep.results.children) == 1
    panel.join(SECONDS)
    assert sweep.job.grid.axes == {"guidance_scale": (2, 4), "seed": (1, 2, 3)}
    assert len(sweep.job.grid) == 6
    assert len(panel.generator.store) == 6
    assert sweep.resume.disabled
    panel.join(SECONDS)
    assert "all stored" in sweep.outlook.text
    assert len(panel.generate.gallery.images) == 6


@pytest.mark.parametrize("kind", ["fake", "real"])
def test_a_cancelled_sweep_is_resumed_with_the_same_seed(opened, tmp_path, kind):
    fake = FakeEngine()
    fake.hold(5, which=lambda recipe: recipe.guidance_scale > 1)  # all but the first
    engine = {"engine": fake} if kind == "fake" else {}
    panel = opened(nbtool.Generator(store=tmp_path / "images", **engine))
    find(panel.generate.widget, "Steps").value = 30
    sweep = fill(panel, ("guidance_scale", "1-20"))
    press(sweep.widget, "Run")
    first = sweep.job
    next(iter(first))
    press(sweep.widget, "Cancel")
    panel.join(SECONDS)
    made = len(first.grid)
    assert 1 <= made < 20
    assert "not made; Resume" in sweep.outcome.text
    find(panel.generate.widget, "Steps").value = 5  # what was begun is resumed as it was
    fake.release()
    press(sweep.widget, "Resume")
    panel.join(SECONDS)
    assert sweep.job is not first
    assert sweep.job.progress.stored == made
    assert len(sweep.job.grid) == 20
    assert sweep.job.sweep.base == first.sweep.base


def test_words_in_braces_are_offered_as_axes(panel):
    find(panel.generate.widget, "Prompt").value = "a {color} star"
    sweep = panel.sweep
    assert ("{color}", "color") in sweep.rows[0].name.options
    fill(panel, ("color", "red | blue"), ("replace", "star → circle"))
    press(sweep.widget, "Run")
    panel.join(SECONDS)
    prompts = {image.recipe.prompt for image in sweep.job.grid}
    assert prompts == {
        f"a {color} {thing}" for color in ("red", "blue") for thing in ("star", "circle")
    }


def test_prompts_are_an_axis_like_any_other(panel):
    sweep = fill(panel, ("seed", "1, 2"), ("prompt", "a star | a circle"))
    press(sweep.widget, "Run")
    panel.join(SECONDS)
    assert {image.recipe.prompt for image in sweep.job.grid} == {"a star", "a circle"}


def test_a_parameter_twice_is_refused(panel):
    sweep = fill(panel, ("seed", "1, 2"), ("seed", "3, 4"))
    assert "twice" in sweep.outlook.text
    press(sweep.widget, "Run")
    assert "twice" in panel.notice.text


def test_nothing_to_vary_is_said(panel):
    sweep = fill(panel)
    assert sweep.outlook.text == "Choose what to vary."
    press(sweep.widget, "Run")
    assert "at least one" in panel.notice.text


def test_around_stays_within_the_limits():
    assert around(nbtool.Recipe(guidance_scale=1, num_inference_steps=1)) == {
        "guidance_scale": "0-4 (+1)",
        "num_inference_steps": "1, 2",
    }


@pytest.mark.parametrize(
    ("guidance", "text"),
    [(4.1, "2.1-6.1 (+1)"), (7.3, "5.3-9.3 (+1)"), (4.1234567, "2.1234567-6.1234567 (+1)")],
)
def test_the_values_around_have_the_one_they_are_around(guidance, text):
    filled = around(nbtool.Recipe(guidance_scale=guidance))["guidance_scale"]
    assert filled == text
    assert guidance in parse("guidance_scale", filled)


def test_sweep_around_this_fills_the_tab_and_opens_it(panel):
    press(panel.generate.widget, "Generate")
    panel.join(SECONDS)
    press(panel.generate.widget, "Sweep around this")
    panel.join(SECONDS)
    assert panel.tabs.selected_index == 1
    assert panel.sweep.outlook.text.startswith("5 × 3 = 15 cells: ")
