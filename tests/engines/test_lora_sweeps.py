"""LoRAs as people use them: in one call, as axes that add, in recipes, and what is refused."""

from __future__ import annotations

import shutil

import adapting
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import nbtool
from nbtool import AxisError, RecipeError
from nbtool.engines.local.rack import KEPT, Rack
from nbtool.engines.local.worker import worker
from nbtool.errors import PartError
from nbtool.recipes.recipe import Recipe

SMALL = {"width": 64, "height": 64, "num_inference_steps": 3}
PROMPT = "a large blue heart on a white background"


@pytest.fixture
def gen(tmp_path, monkeypatch, learned):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    return nbtool.Generator(store=tmp_path / "images", device="cpu", **SMALL)


@pytest.fixture
def folder(tmp_path, embedded):
    """Three LoRAs for the embedded model; the last changes its text encoder too."""
    folder = tmp_path / "loras"
    folder.mkdir()
    for seed, name in enumerate(("dots", "ink", "wax")):
        parts = {"unet": adapting.matrices(embedded.unet, adapting.ATTENTION, seed=seed, scale=0.3)}
        if name == "wax":
            targets = ("q_proj", "v_proj")
            layers = adapting.matrices(embedded.text_encoder, targets, seed=9, scale=0.3)
            parts["text_encoder"] = layers
        said = {
            "ss_tag_frequency": '{"a": {"wet ink": 9, "paper": 3}}',
            "ss_base_model_version": "x",
        }
        adapting.save(folder / f"{name}.safetensors", parts, metadata=said)
    return folder


def pixels(image):
    return image.image.tobytes()


def test_axes_of_loras_add_and_weight_0_is_no_lora(gen, folder):
    plain = gen(PROMPT, seed=1)
    ink = nbtool.lora(folder / "ink.safetensors", [0, 0.5, 1])
    grid = gen.grid(PROMPT, seed=1, ink=ink, dots=nbtool.lora(folder / "dots.safetensors", [0, 1]))
    assert grid.axes == {"ink": (0, 0.5, 1), "dots": (0, 1)}
    assert len({pixels(image) for image in grid}) == 6
    assert grid.sel(ink=0, dots=0).recipe == plain.recipe
    stack = gen(
        PROMPT, seed=1, loras={folder / "ink.safetensors": 0.5, folder / "dots.safetensors": 1}
    )
    assert stack.recipe == grid.sel(ink=0.5, dots=1).recipe
    assert grid.sel(ink=0.5, dots=1).caption.endswith("with dots 1 + ink 0.5")
    more = gen.grid(PROMPT, seed=1, loras={folder / "ink.safetensors": 0.5}, again=ink)
    assert [image.recipe.in_words()["loras"] for image in more] == ["ink 0.5", "ink 1", "ink 1.5"]


def test_which_lora_and_how_strongly_are_two_axes(gen, folder):
    grid = gen.grid(PROMPT, seed=1, which=nbtool.lora(folder, [0.5, (1, 0)]))
    assert grid.axes == {"which": ("dots", "ink", "wax"), "which_weight": (0.5, "1, text 0")}
    assert len({pixels(image) for image in grid}) == 6
    assert grid.sel(which="wax", which_weight=0.5).recipe.loras.in_words == "wax 0.5"
    one = gen.grid(
        PROMPT,
        nbtool.lora([None, folder / "ink.safetensors"]),
        seed=1,
    )
    assert one.axes == {"lora": ("none", "ink")}
    nbtool.add_loras(folder)
    named = gen.plan(PROMPT, nbtool.lora({"first": "dots", "second": "ink"}), seed=1)
    assert (named.cells, named.stored) == (2, 1)


def test_a_text_encoder_has_a_weight_of_its_own(gen, folder):
    wax = folder / "wax.safetensors"
    images = [gen(PROMPT, seed=1, loras={wax: weight}) for weight in (1, (1, 0), (0, 1))]
    assert len({pixels(image) for image in images}) == 3
    assert gen(PROMPT, seed=1, loras={wax: (1, 1)}).recipe == images[0].recipe


def test_the_model_is_as_it_was_and_images_are_the_same_again(gen, folder, tmp_path):
    before = gen.grid(PROMPT, seed=range(2))
    with_loras = gen.grid(PROMPT, seed=range(2), l=nbtool.lora(folder, [0.4, 1]))
    other = nbtool.Generator(store=tmp_path / "other", device="cpu", **SMALL)
    for image in (*before, *with_loras):
        again = other(image.recipe)
        assert pixels(again) == pixels(image)
    parts = worker.call(lambda: other.engine.placement.load(str).pipeline.components)
    assert not any(
        "lora" in name
        for part in ("unet", "text_encoder")
        for name, _ in parts[part].named_modules()
    )


def test_a_recipe_knows_a_lora_by_its_content_wherever_it_lies(gen, folder, tmp_path):
    image = gen(PROMPT, seed=1, loras={folder / "ink.safetensors": 0.5})
    assert image.recipe.to_dict()["loras"][0].keys() == {"name", "sha256", "weight"}
    assert str(tmp_path) not in image.path.read_bytes().decode("latin-1")
    moved = tmp_path / "elsewhere" / "ink.safetensors"
    moved.parent.mkdir()
    shutil.move(folder / "ink.safetensors", moved)
    assert gen(PROMPT, seed=1, loras={moved: 0.5}).recipe == image.recipe
    tensors = load_file(moved)
    save_file({name: 2 * tensor for name, tensor in tensors.items()}, moved)
    trained = gen(PROMPT, seed=1, loras={moved: 0.5})
    assert trained.recipe.key != image.recipe.key
    assert pixels(trained) != pixels(image)
    with pytest.raises(PartError, match=r"the LoRA ink \(sha256 .*\) is not on this machine"):
        gen(image.recipe.replace(seed=2))
    assert pixels(gen(image.recipe)) == pixels(image)  # the store has it


def test_other_programs_are_told_in_their_own_words(gen, folder):
    image = gen(
        PROMPT,
        seed=1,
        loras={folder / "ink.safetensors": 0.5, folder / "wax.safetensors": (1, 0.25)},
    )
    text = Image.open(image.path).text["parameters"]
    assert text.startswith(f"{PROMPT} <lora:")
    assert "<lora:ink:0.5>" in text
    assert "<lora:wax:0.25:1>" in text
    assert 'Lora hashes: "' in text
    found = Recipe.from_file(image.path)
    assert found == image.recipe


def test_what_is_of_no_use_fails_its_own_cells(gen, folder, embedded):
    for name, width in (("far", 96), ("sdxl", 2048)):
        place = "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k"
        place = place.replace("1", "7", 1) if name == "far" else place
        layers = {place: [torch.ones(2, width), torch.ones(112, 2)]}
        adapting.save(folder / f"{name}.safetensors", {"unet": layers})
    (folder / "broken.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    grid = gen.grid(
        PROMPT, seed=1, l=nbtool.lora([*sorted(folder.glob("*.safetensors")), "gone.safetensors"])
    )
    reasons = {name: str(error) for (name,), error in grid.failed.items()}
    assert reasons.keys() == {"broken", "far", "sdxl", "gone"}
    assert "git lfs pull" in reasons["broken"]
    assert "does not fit shapes" in reasons["far"]
    assert "another kind of model" in reasons["sdxl"]
    assert "no such file" in reasons["gone"]
    assert len(list(grid)) == 3


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"nothing.safetensors": 1}, "no LoRA 'nothing.safetensors'"),
        ({"INK": float("nan")}, "must be a number from -20 to 20"),
        ({"INK": 1e9}, "must be a number from -20 to 20"),
        ({"INK": (1, 2, 3)}, "a pair"),
        ({"FOLDER": 1}, "holds 3 LoRAs"),
        ("INK", "is a dict of LoRAs"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(gen, folder, asked, reason):
    places = {"INK": folder / "ink.safetensors", "FOLDER": folder}
    if isinstance(asked, dict):
        asked = {places.get(name, name): weight for name, weight in asked.items()}
    with pytest.raises(RecipeError, match=reason):
        gen(PROMPT, seed=1, loras=asked)
    assert len(gen.store) == 0
    with pytest.raises(AxisError, match="no files"):
        nbtool.lora([])


def test_a_grid_of_loras_is_opened_and_goes_on(gen, folder):
    grid = gen.grid(PROMPT, seed=1, l=nbtool.lora(folder, [0.5, 1]))
    grid.name = "stacks"
    found = nbtool.Store(gen.store.path).grids["stacks"]
    assert found.axes == grid.axes
    assert [image.recipe for image in found] == [image.recipe for image in grid]
    assert found.records()[0]["loras"] == "dots 0.5"


def test_what_does_not_fit_is_named_before_any_image_is_made(gen, folder):
    place = "down_blocks.7.attentions.0.transformer_blocks.0.attn1.to_q"
    layers = {place: [torch.ones(2, 112), torch.ones(112, 2)]}
    adapting.save(folder / "far.safetensors", {"unet": layers})
    made_before = []
    job = gen.submit(PROMPT, seed=[1, 2], l=nbtool.lora(sorted(folder.glob("*.safetensors"))))
    seen = 0
    while not job.done or seen < 8:
        job.join(0.01)
        cells, seen = [cell for _, cell in job.changes(0)[0]], job.progress.done
        failed = [cell for cell in cells if isinstance(cell, Exception)]
        if len(cells) > len(failed) and len(failed) < 2:
            made_before.append(cells)
        if job.done:
            break
    assert not made_before
    assert len(job.grid.failed) == 2
    assert len(list(job.grid)) == 6


def test_thirty_loras_in_a_sweep_leave_no_more_than_a_few_in_memory(gen, folder, embedded):
    layers = adapting.matrices(embedded.unet, ("attn1.to_q",), scale=0.3)
    for number in range(30):
        scaled = {name: [down * (number + 1), up] for name, (down, up) in layers.items()}
        adapting.save(folder / f"n{number:02}.safetensors", {"unet": scaled})
    most = []
    take = Rack.take

    def counted(rack, *args):
        notes = take(rack, *args)
        most.append(len(rack._notes))
        return notes

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rack, "take", counted)
        grid = gen.grid(PROMPT, seed=1, l=nbtool.lora(folder / "n*.safetensors"))
    assert len({pixels(image) for image in grid}) == 30
    assert max(most) <= KEPT
