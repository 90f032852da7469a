"""The Sweep tab without a browser."""

from __future__ import annotations

import pytest
from people import SECONDS, find, press, say

import nbtool
from nbtool.panel.axis_row import around, parse
from nbtool.testing import FakeEngine


@pytest.fixture
def engine():
    return FakeEngine()


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
    assert parse(name, text).labels == values


def test_a_replacement_is_an_arrow_between_texts():
    assert parse("replace", "red → blue | green").labels == ("red", "blue", "green")
    assert parse("replace", "red -> blue").labels == ("red", "blue")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("guidance_scale", "1-", "is no number or range"),
        ("num_inference_steps", "0, 4", "Steps must be a whole number"),
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
    assert sweep.outlook.text == f"To be put right first: {sweep.rows[0].label}"
    press(sweep.widget, "Run")
    assert message in sweep.rows[0].message.text
    assert sweep.notice.text == panel.notice.text == ""  # it is said once


def test_all_rows_are_marked_and_an_empty_one_when_it_is_to_be_run(panel):
    sweep = fill(panel, ("seed", "1-"), ("guidance_scale", ""), ("num_inference_steps", "2, x"))
    assert [row.handle.wrong for row in sweep.rows] == ["values", "", "values"]
    assert sweep.outlook.text == "To be put right first: Seed, Steps"
    assert sweep.rows[1].message.text == "no values yet"
    led = [row.handle for row in sweep.rows]
    for row in sweep.rows:
        row.handle.send = lambda content, row=row: led.append(content) or led.remove(row.handle)
    press(sweep.widget, "Run")
    assert [row.handle.wrong for row in sweep.rows] == ["values"] * 3
    assert led == [sweep.rows[1].handle, sweep.rows[2].handle, {"lead": True}]
    assert sweep.outlook.text == "To be put right first: Seed, Guidance, Steps"


def test_a_row_without_values_is_asked_for_them_calmly(panel):
    assert fill(panel, ("guidance_scale", "")).outlook.text == "Choose values for Guidance."


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("guidance_scale", "1, 1", "Guidance holds 1 twice"),
        ("preset", "none | none", "Preset holds none twice"),
        ("preset", "none | ink", "unknown preset 'ink'; there are none yet: Edit presets"),
        ("replace", "star → star", "Replace in the prompt holds 'star' twice"),
        (
            "strength",
            "0.5",
            "Strength needs a picture: give one on the Generate tab, or vary Picture",
        ),
        ("mask_image", "none.png", "Mask: there is no picture"),
        ("mask_blur", "2, 4", "Mask blur needs a mask: give one on the Generate tab, or vary Mask"),
        ("resize_mode", "crop | pad", "Resize needs a picture: give one on"),
        ("seed", "-1, 5", "2 values; -1 is drawn when it runs"),
        ("seed", "abc", "Seed: 'abc' is no number or range"),
        ("seed", "1, abc", "Seed: 'abc' in '1, abc' is no number or range"),
        ("color", "red | red", "{color} holds 'red' twice"),
    ],
)
def test_messages_have_the_names_that_people_see(panel, name, text, message):
    panel.settings.prompt.value = "a {color} star"
    assert message in fill(panel, (name, text)).rows[0].message.text


def test_a_comma_between_words_is_told_of(panel):
    panel.settings.prompt.value = "a {color} star"
    sweep = fill(panel, ("color", "red, blue"))
    assert sweep.rows[0].message.text == ("1 value: red, blue · for several, write red | blue")
    sweep = fill(panel, ("color", "red, warm | blue"))
    assert sweep.rows[0].message.text == "2 values: red, warm, blue"


def test_words_that_no_row_fills_are_asked_for(panel):
    panel.generator.store.presets["ink"] = nbtool.Preset(prompt="{prompt} in {tone} ink")
    panel.settings.preset.look()
    panel.join(SECONDS)
    panel.settings.prompt.value = "a {color} star"
    sweep = fill(panel, ("guidance_scale", "1, 2"))
    missing = "nothing fills {color}: add a row named color"
    assert sweep.outlook.text == f"To be put right first: {missing}"
    press(sweep.widget, "Run")
    assert (sweep.notice.text, sweep.job) == (missing, None)
    sweep = fill(panel, ("color", "red | blue"), ("preset", "ink | none"))
    assert sweep.outlook.text.endswith("nothing fills {tone}: add a row named tone")
    sweep = fill(panel, ("color", "red | blue"), ("preset", "ink | none"), ("tone", "dark"))
    assert "4 cells" in sweep.outlook.text
    press(sweep.widget, "Run")
    panel.join(SECONDS)
    assert len(sweep.job.grid) == 4
    assert "{color}" in panel.settings.prompt.error  # of one image


def test_each_tab_says_what_belongs_to_it(panel):
    press(fill(panel).widget, "Remove")
    press(panel.sweep.widget, "Run")
    assert "at least one" in panel.sweep.notice.text
    assert panel.notice.text == ""
    assert panel.notice.widget not in panel.sweep.widget.children
    panel.settings.model.value = "shapez"
    panel.settings.model.value = "fake"
    panel.join(SECONDS)
    assert panel.sweep.notice.text == panel.notice.text == ""


def test_it_starts_with_one_row_that_runs_and_says_what_stays(panel):
    sweep = panel.sweep
    assert len(sweep.rows) == 1
    assert "guidance" not in sweep.base.text
    assert "a circle · 2 steps" in sweep.base.text
    press(sweep.widget, "Run")
    panel.join(SECONDS)
    assert len(sweep.job.grid) == 4
    fill(panel, ("width", "64, 128"), ("prompt", "a | b"))
    assert "a circle" not in sweep.base.text
    assert "height 64" in sweep.base.text


def test_axes_stand_in_the_order_of_their_rows_which_can_be_moved(panel):
    panel.settings.prompt.value = "a {color} star"
    rows = [
        ("seed", "1, 2"),
        ("replace", "star → circle"),
        ("color", "red"),
        ("prompt", "a {color}"),
    ]
    sweep = fill(panel, *rows[:3])
    first = sweep.rows[0]
    first.handle._said(None, {"move": 2}, [])
    assert [row.name.value for row in sweep.rows] == ["replace", "color", "seed"]
    assert first.handle.label == "Move axis 3 of 3: Seed"
    press(sweep.widget, "Run")
    panel.join(SECONDS)
    assert list(sweep.job.grid.axes) == ["star", "color", "seed"]
    assert sweep.job.grid.axes["star"] == ("star", "circle")


@pytest.mark.parametrize(
    ("typed", "label", "value", "written"),
    [
        (("guidance_scale", "1-7 (+2)"), "To", "9", "1-9 (+2)"),
        (("guidance_scale", "1-7 (+2)"), "Or how many", "3", "1-7 [3]"),
        (("guidance_scale", "0-1 [6]"), "Step", "0.5", "0-1 (+0.5)"),
        (("num_inference_steps", "20-10 (-5)"), "Step", "-2", "20-10 (-2)"),
        (("scheduler", "Euler a | nonsense"), "ddim", True, "ddim | euler_a | nonsense"),
        (("color", "red | blue"), "One on each line", "red\n\n green", "red | green"),
        (("replace", "red -> blue"), "In place of", "pink", "pink → blue"),
        (("preset", "ink"), "none", True, "ink | none"),
    ],
)
def test_fields_write_what_one_could_have_typed_and_read_it_back(
    panel, typed, label, value, written
):
    panel.generator.store.presets["ink"] = nbtool.Preset(prompt="ink")
    panel.settings.preset.look()
    panel.join(SECONDS)
    panel.settings.prompt.value = "a {color} star"
    (row,) = fill(panel, typed).rows
    row.fill_in.value = True
    field = find(row.widget, label)
    field.value = value
    assert row.values.value == written
    row.values.value = typed[1]
    assert field.value != value
    row.values.value = written
    assert field.value == (value.replace("\n\n ", "\n") if isinstance(value, str) else value)


def test_seeds_are_drawn(panel):
    (row,) = fill(panel, ("seed", "")).rows
    row.fill_in.value = True
    find(row.widget, "How many").value = 3
    press(row.widget, "Draw seeds")
    first = row.values.value
    assert row.message.text.startswith("3 values: ")
    press(row.widget, "Draw seeds")
    assert row.values.value != first


def test_presets_are_an_axis_with_the_form_for_what_they_leave_open(panel):
    presets = panel.generator.store.presets
    presets["ink"] = nbtool.Preset(prompt="{prompt}, ink in {place}", guidance_scale=4)
    panel.settings.preset.look()
    panel.join(SECONDS)
    find(panel.generate.widget, "Guidance").value = 6
    sweep = fill(panel, ("preset", "ink | none"), ("place", "Rome"))
    assert "guidance" not in sweep.base.text
    press(sweep.widget, "Run")
    panel.join(SECONDS)
    assert sweep.job.grid.axes == {"preset": ("ink", None), "place": ("Rome",)}
    made = [(image.recipe.prompt, image.recipe.guidance_scale) for image in sweep.job.grid]
    assert made == [("a circle, ink in Rome", 4), ("a circle", 6)]
    sweep.rows[0].values.value = "ink | inc"
    assert "did you mean 'ink'" in sweep.rows[0].message.text


def test_presets_that_come_and_go_are_seen_in_the_fields_that_are_open(panel):
    presets, settings = panel.generator.store.presets, panel.settings.preset
    (row,) = fill(panel, ("preset", "ink | none")).rows
    row.fill_in.value = True
    assert "unknown preset 'ink'" in row.message.text
    settings.edit.value = True
    panel.join(SECONDS)
    settings.name.value, settings.prompt.value = "ink", "{prompt}, ink drawing"
    press(settings.widget, "Save preset")
    assert find(row.widget, "ink").value
    assert row.message.text == "2 values: ink, none"
    del presets["ink"]
    settings.look()
    panel.join(SECONDS)
    assert "unknown preset 'ink'" in row.message.text
    with pytest.raises(ValueError, match="not enough values"):
        find(row.widget, "ink")


def test_several_seeds_of_the_form_are_an_axis_unless_a_row_has_them(panel):
    seed = find(panel.generate.widget, "Seed")
    sweep = fill(panel, ("guidance_scale", "2, 4"))
    seed.value = "1-3, 9"
    panel.join(SECONDS)
    assert sweep.outlook.text.startswith("2 × 4 = 8 cells")
    assert "each of the seeds 1-3, 9" in sweep.base.text
    press(sweep.widget, "Run")
    panel.join(SECONDS)
    assert sweep.job.grid.axes == {"guidance_scale": (2, 4), "seed": (1, 2, 3, 9)}
    sweep = fill(panel, ("seed", "5, 6"))
    assert sweep.outlook.text.startswith("2 cells")
    assert "each of the seeds" not in sweep.base.text
    seed.value = "7"
    fill(panel, ("guidance_scale", "2, 4"))
    assert "seed 7" in sweep.base.text


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("Images", ("guidance_scale", "1, 2")),
        ("Steps", ("num_inference_steps", "2, 3")),
        ("Seed", ("seed", "1, 2")),
        ("Prompt", ("prompt", "a star | a moon")),
    ],
)
def test_a_sweep_goes_on_without_what_it_does_not_use(panel, name, rows):
    find(panel.generate.widget, name).value = "" if name == "Prompt" else "x y"
    sweep = fill(panel, rows)
    assert "2 cells: 2 images" in sweep.outlook.text
    press(sweep.widget, "Run")
    panel.join(SECONDS)
    assert sweep.job.progress.made == 2


@pytest.mark.parametrize("name", ["Steps", "Seed"])
def test_a_sweep_leads_to_what_is_wrong_with_what_it_uses(panel, name):
    entry, led = find(panel.generate.widget, name), []
    entry.send = led.append
    sweep = fill(panel, ("guidance_scale", "1, 2"))
    panel.settings.prompt.value = "a moon"
    entry.value = "xx"
    panel.join(SECONDS)
    assert "a moon · " in sweep.base.text
    assert sweep.outlook.text == f"To be put right first on the Generate tab: {name}"
    press(sweep.widget, "Run")
    assert sweep.notice.text == f"on the Generate tab: {entry.error}"
    assert led == [{"lead": True}]
    assert name in entry.error
    assert sweep.job is None


def test_a_second_sweep_is_refused_while_one_runs(panel, engine):
    fill(panel, ("guidance_scale", "1, 2, 3"))
    engine.hold(1)
    press(panel.sweep.widget, "Run")
    assert engine.wait_for_hold(SECONDS)
    job = panel.sweep.job
    say(panel.root, event="go", sweep=True)
    assert "a sweep runs already; cancel it" in panel.sweep.notice.text
    assert panel.sweep.job is job
    engine.release()
    panel.join(SECONDS)
    say(panel.root, event="go", sweep=True)
    assert panel.sweep.job is not job


def test_one_cancel_stops_both_tabs(opened, engine, tmp_path):
    engine.hold(1)
    panel = opened(nbtool.Generator(engine=engine, store=tmp_path / "images"))
    press(panel.generate.widget, "Generate")
    press(panel.sweep.widget, "Run")
    assert engine.wait_for_hold(SECONDS, images=2)
    assert panel.sweep.cancel is find(panel.generate.widget, "Cancel")
    press(panel.sweep.widget, "Cancel")
    engine.release()
    panel.join(SECONDS)
    assert len(panel.generator.store) == 0
    assert panel.sweep.cancel.disabled


def test_what_was_wrong_with_an_axis_is_not_said_any_more_when_it_is_mended(panel):
    sweep = fill(panel, ("seed", "1-"))
    press(sweep.widget, "Run")
    assert sweep.rows[0].message.alarming
    sweep.rows[0].values.value = "1-3"
    panel.join(SECONDS)
    assert sweep.outlook.text.startswith("3 cells")
    panel.settings.width.value = "wide"
    press(sweep.widget, "Run")
    assert sweep.notice.alarming
    panel.settings.width.value = 64
    assert sweep.notice.text == ""


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
    for row in sweep.rows:
        assert row.message.text == "Seed is varied twice; take one of the two away"
        assert row.handle.wrong == "name"
    assert sweep.outlook.text == "To be put right first: Seed"
    press(sweep.widget, "Run")
    assert sweep.job is None
    press(sweep.rows[1].widget, "Remove")
    panel.join(SECONDS)
    assert sweep.rows[0].handle.wrong == ""
    assert sweep.outlook.text.startswith("2 cells")


def test_nothing_to_vary_is_said(panel):
    sweep = fill(panel)
    assert sweep.outlook.text == "Choose what to vary."
    press(sweep.widget, "Run")
    assert "at least one" in sweep.rows[0].message.text
    assert sweep.rows[0].handle.wrong == "name"


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
    assert guidance in parse("guidance_scale", filled).labels


def test_sweep_around_this_fills_the_tab_and_opens_it(panel):
    press(panel.generate.widget, "Generate")
    panel.join(SECONDS)
    press(panel.generate.widget, "Sweep around this")
    panel.join(SECONDS)
    assert panel.tabs.selected_index == 1
    assert panel.sweep.outlook.text.startswith("5 × 3 = 15 cells: ")
