"""LoRAs in the panel, in a real JupyterLab."""

from __future__ import annotations

import adapting
import pytest
from accessible import violations
from labs import DARK, LIGHT
from playwright.sync_api import expect
from test_panel_in_lab import Shown

import nbtool
from nbtool.engines.local import LocalEngine

CELL = """import nbtool
nbtool.add_loras({folder!r})
panel = nbtool.Generator(num_inference_steps=2).panel()
panel"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two LoRAs, of which one changes the text encoder."""
    folder = tmp_path_factory.mktemp("loras")
    pipeline = LocalEngine("shapes", device="cpu").placement.load(str).pipeline
    unet = adapting.matrices(pipeline.unet, adapting.ATTENTION, scale=0.3)
    text = adapting.matrices(pipeline.text_encoder, ("q_proj",), scale=0.3)
    said = {"modelspec.trigger_phrase": "wet ink, a very long phrase " + 9 * "that goes on "}
    adapting.save(folder / "ink.safetensors", {"unet": unet}, metadata=said)
    adapting.save(folder / "wax.safetensors", {"unet": unet, "text_encoder": text}, metadata=said)
    return folder


def add(panel, name):
    panel.field("Add a LoRA").fill(name)
    panel.button("Add").click()
    expect(panel.field(f"{name}: weight")).to_be_visible()


def test_a_lora_is_added_weighed_and_taken_away_by_keys_alone(lab, folder):
    notebook = lab.notebook([CELL.format(folder=str(folder))])
    notebook.run_all()
    panel = Shown(notebook)
    panel.fill(Prompt="a star", Seed=7)
    head = panel.head("LoRAs")
    panel.field("Add a LoRA").focus()
    offered = panel.field("Add a LoRA").evaluate(
        "field => [...field.list.options].map(o => o.value)"
    )
    assert {"ink", "wax"} <= {*offered}
    keys = panel.page.keyboard
    for name in ("ink", "wax"):
        keys.type(name)
        keys.press("Tab")
        keys.press("Enter")
        expect(panel.field(f"{name}: weight")).to_have_value("1")
        panel.field("Add a LoRA").focus()
    panel.field("ink: weight, slider").focus()
    keys.press("ArrowLeft")
    expect(panel.field("ink: weight")).to_have_value("0.95")
    expect(head).to_contain_text("ink 0.95 + wax 1")
    panel.field("wax: weight").fill("3.5")  # beyond the slider
    keys.press("Tab")
    expect(head).to_contain_text("wax 3.5")
    panel.button("wet ink").first.click()
    expect(panel.field("Prompt")).to_have_value("a star, wet ink")
    panel.root.locator(".nbtool-lora").nth(1).get_by_role("button", name="Remove").focus()
    keys.press("Enter")
    expect(panel.field("wax: weight")).to_have_count(0)
    expect(panel.field("Add a LoRA")).to_be_focused()
    keys.press("Control+Enter")
    panel.wait_for_images(1)
    assert nbtool.Store(notebook.store).latest(1)[0].recipe.loras.in_words == "ink 0.95"
    assert notebook.errors == []


@pytest.mark.parametrize(("theme", "width"), [(LIGHT, 1920), (DARK, 375)])
def test_rows_are_accessible_and_fit_in_whatever_room_there_is(lab, folder, theme, width):
    lab.theme(theme)
    notebook = lab.notebook([CELL.format(folder=str(folder))], width=width)
    lab.theme(LIGHT)
    notebook.run_all()
    panel = Shown(notebook)
    add(panel, "wax")
    panel.fill(**{"wax: weight": "21"})
    expect(panel.field("wax: weight")).to_have_attribute("aria-invalid", "true")
    row = panel.root.locator(".nbtool-lora")
    wide = row.evaluate(
        "row => [...row.querySelectorAll('*')].filter(one =>"
        " one.getBoundingClientRect().right > row.getBoundingClientRect().right + 1).length"
    )
    assert wide == 0
    number = panel.field("wax: weight").bounding_box()
    slider = panel.field("wax: weight, slider").bounding_box()
    assert slider["width"] > 50
    assert slider["x"] + slider["width"] <= number["x"]
    assert violations(panel.page, ".nbtool-panel") == []
