"""LoRAs in the panel, without a browser."""

from __future__ import annotations

import adapting
import pytest
import torch
from people import SECONDS, find, press

import nbtool
from nbtool.engines.local import LocalEngine
from nbtool.panel.entry import Entry

STEPS = 2
WORDS = '{"a": {"wet ink": 9, "paper": 3}}'


@pytest.fixture
def gen(tmp_path):
    return nbtool.Generator(store=tmp_path / "images", num_inference_steps=STEPS)


@pytest.fixture
def panel(opened, gen):
    return opened(gen)


@pytest.fixture
def folder(tmp_path):
    """LoRAs for the embedded model, of which wax changes the text encoder, and one for another."""
    pipeline = LocalEngine("shapes", device="cpu").placement.load(str).pipeline
    folder = tmp_path / "loras"
    folder.mkdir()
    layers = adapting.matrices(pipeline.unet, adapting.ATTENTION, scale=0.3)
    words = adapting.matrices(pipeline.text_encoder, ("q_proj",), scale=0.3)
    foreign = {name: [torch.ones(2, 999), torch.ones(8, 2)] for name in layers}
    for name, parts in {
        "ink": {"unet": layers},
        "wax": {"unet": layers, "text_encoder": words},
        "foreign": {"unet": foreign},
    }.items():
        adapting.save(folder / f"{name}.safetensors", parts, metadata={"ss_tag_frequency": WORDS})
    return folder


def add(panel, source):
    find(panel.generate.widget, "Add a LoRA").value = str(source)
    press(panel.generate.widget, "Add")
    panel.join(SECONDS)
    return panel.settings.loras


def generate(panel):
    press(panel.generate.widget, "Generate")
    panel.join(SECONDS)
    return panel.generate.gallery.image


def summary(panel):
    return next(fold.summary for fold in panel.settings.folds if fold.title == "LoRAs")


def test_a_lora_is_added_weighed_used_and_shown_of_the_image(panel, folder):
    assert summary(panel) == "none"
    add(panel, folder / "ink.safetensors")
    find(panel.generate.widget, "ink: weight").value = "0.8"
    assert summary(panel) == "ink 0.8"
    assert panel.settings.loras.source.value == ""
    image = generate(panel)
    assert image.recipe.loras.in_words == "ink 0.8"
    assert "<dt>LoRAs</dt><dd>ink 0.8</dd>" in panel.generate.detail.recipe.value
    press(panel.generate.widget, "Remove")
    assert (summary(panel), generate(panel).recipe.loras) == ("none", None)
    panel.generate.gallery.selected = image.recipe.key
    press(panel.generate.widget, "Use these settings")
    panel.join(SECONDS)
    assert summary(panel) == "ink 0.8"
    assert generate(panel).recipe == image.recipe


def test_its_words_are_added_to_the_prompt_once(panel, folder):
    add(panel, folder / "ink.safetensors")
    for _ in range(2):
        press(panel.generate.widget, "wet ink")
    assert panel.settings.prompt.value == "a circle, wet ink"


def test_a_text_encoder_has_a_weight_where_it_is_changed(panel, folder):
    add(panel, folder / "ink.safetensors")
    add(panel, folder / "wax.safetensors")
    (text,) = [
        field
        for row in panel.settings.loras.rows
        for field in row.widget.children
        if isinstance(field, Entry)
    ]
    assert text.description == "wax: text encoder"
    text.value = "0.4"
    assert summary(panel) == "ink 1 + wax 1, text 0.4"


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone.safetensors", "there is no LoRA"), (".", "3 LoRAs; add one of them")],
)
def test_what_cannot_be_added_is_said_at_the_field(panel, folder, name, message):
    loras = add(panel, folder / name)
    assert message in loras.source.error
    assert (loras.rows, loras.source.hint) == ([], "")
    assert bool(loras.source.offers) == (name == ".")
    panel.settings.loras.source.value = ""
    assert loras.source.error == ""


def test_one_for_another_model_is_said_at_once_and_nothing_is_made(panel, folder):
    loras = add(panel, folder / "foreign.safetensors")
    assert "another kind of model" in loras.rows[0].weight.error
    assert summary(panel) == "not right: foreign: weight"
    assert generate(panel) is None


def test_a_weight_out_of_range_and_a_lora_twice_are_refused(panel, folder):
    loras = add(panel, folder / "ink.safetensors")
    find(panel.generate.widget, "ink: weight").value = "21"
    assert "20" in loras.rows[0].weight.error
    assert panel.sweep.base.text  # the Sweep tab goes on without it
    assert "ink: weight" in panel.sweep.outlook.text
    assert "there already" in add(panel, folder / "ink.safetensors").source.error


def test_one_whose_file_is_gone_stays_and_keeps_images_from_being_made(panel, folder):
    add(panel, folder / "ink.safetensors")
    recipe = generate(panel).recipe
    (folder / "ink.safetensors").rename(folder / "elsewhere")
    press(panel.generate.widget, "Use these settings")
    panel.join(SECONDS)
    (row,) = panel.settings.loras.rows
    assert "not on this machine" in row.weight.error
    panel.settings.prompt.value = "another"
    assert generate(panel).recipe == recipe
    (folder / "elsewhere").rename(folder / "ink.safetensors")
    generate(panel)
    panel.join(SECONDS)
    assert generate(panel).recipe == recipe.replace(prompt="another")


def test_what_is_typed_and_not_added_is_asked_about(panel, folder):
    panel.settings.loras.source.value = str(folder / "ink.safetensors")
    assert generate(panel) is None
    assert "press Add" in panel.settings.loras.source.error


def test_a_generators_own_are_shown_and_can_be_taken_away(opened, tmp_path, folder):
    ink = folder / "ink.safetensors"
    gen = nbtool.Generator(store=tmp_path / "more", loras={ink: 0.5}, num_inference_steps=STEPS)
    panel = opened(gen)
    assert summary(panel) == "ink 0.5"
    press(panel.generate.widget, "Remove")
    panel.settings.seed.value = "1"
    assert generate(panel).recipe.loras is None


def sweep(panel, *rows):
    """Fills the Sweep tab; gives what is said under the first row."""
    tab = panel.sweep
    while len(tab.rows) < len(rows):
        press(tab.widget, "Add an axis")
    for row, (name, values) in zip(tab.rows, rows, strict=True):
        row.fill(name, values)
    panel.join(SECONDS)
    return tab.rows[0].message.text


def run(panel):
    press(panel.sweep.widget, "Run")
    panel.join(SECONDS)
    return panel.sweep.job.grid


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        ("{folder}/ink.safetensors: 0-1 [3]", {"ink": (0, 0.5, 1)}),
        ("{folder}/ink.safetensors | {folder}/wax.safetensors", {"lora": ("ink", "wax")}),
        ("none | {folder}/ink.safetensors: 0.5", {"lora": ("none", "ink")}),
        (
            "{folder}/ink.safetensors | {folder}/wax.safetensors: 0.5, 1",
            {"lora": ("ink", "wax"), "lora_weight": (0.5, 1)},
        ),
    ],
)
def test_loras_and_weights_are_axes(panel, folder, text, axes):
    add(panel, folder / "wax.safetensors")
    find(panel.generate.widget, "wax: weight").value = 0.5
    said = sweep(panel, ("lora", text.format(folder=folder)))
    assert said == " × ".join(
        f"{len(labels)} values: {', '.join(map(str, labels))}" for labels in axes.values()
    )
    grid = run(panel)
    assert grid.axes == axes
    assert all("wax" in image.recipe.loras.in_words for image in grid)  # of the form
    assert len({image.recipe.key for image in grid}) == len(list(grid))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{folder}/gone.safetensors: 0, 1", "there is no LoRA"),
        ("{folder}/foreign.safetensors: 0, 1", "another kind of model"),
        ("{folder}/ink.safetensors: 0, 21", "from -20 to 20, got 21"),
        ("{folder}/ink.safetensors: 1-", "no number or range"),
        (": 0, 1", "write which LoRA"),
        ("org/detail: 0, 1", "add it on the Generate tab first"),
    ],
)
def test_what_is_wrong_with_loras_that_are_varied_is_said_under_them(panel, folder, text, message):
    assert message in sweep(panel, ("lora", text.format(folder=folder)))
    assert panel.sweep.rows[0].handle.wrong == "values"
    press(panel.sweep.widget, "Run")
    panel.join(SECONDS)
    assert panel.sweep.job is None


def test_one_of_no_use_among_others_fails_its_own_cells_and_is_foretold(panel, folder):
    said = sweep(panel, ("lora", f"{folder}/*.safetensors"))
    assert "3 values: foreign, ink, wax" in said
    assert "these fail: the LoRA foreign is for another kind of model" in said
    assert len(run(panel).failed) == 1


def test_the_fields_of_an_axis_of_loras_write_names_and_weights(panel, folder):
    nbtool.add_loras(folder)
    sweep(panel, ("lora", "ink: 0, 1"))
    row = panel.sweep.rows[0]
    row.fill_in.value = True
    assert find(row.widget, "ink").value
    assert find(row.widget, "Weights").value == "0, 1"
    find(row.widget, "wax").value = True
    assert row.values.value == "ink | wax: 0, 1"
    panel.join(SECONDS)
    assert row.message.text == "2 values: ink, wax × 2 values: 0, 1"


def test_that_weights_add_to_those_of_the_form_is_said(panel, folder):
    add(panel, folder / "ink.safetensors")
    sweep(panel, ("lora", f"{folder}/wax.safetensors: 0, 1"))
    assert "is added" not in panel.sweep.base.text
    sweep(panel, ("lora", f"{folder}/ink.safetensors: 0, 1"))
    assert "with ink 1 · what varies of its LoRAs is added to that" in panel.sweep.base.text
    assert [image.recipe.loras.in_words for image in run(panel)] == ["ink 1", "ink 2"]


def test_sweeping_around_an_image_keeps_its_loras(panel, folder):
    add(panel, folder / "ink.safetensors")
    image = generate(panel)
    press(panel.generate.widget, "Remove")
    press(panel.generate.widget, "Sweep around this")
    panel.join(SECONDS)
    assert "ink 1" in panel.sweep.base.text
    assert all(each.recipe.loras == image.recipe.loras for each in run(panel))
