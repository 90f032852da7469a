"""LoRAs from a hub: by repository and file, once, and never unasked."""

from __future__ import annotations

import adapting
import pytest
import tiny

import nbtool
from nbtool.errors import PartError

SMALL = {"width": 64, "height": 64, "num_inference_steps": 1, "seed": 1}


@pytest.fixture
def gen(hub, cache, tmp_path):
    tiny.stable_diffusion().save_pretrained(tmp_path / "model")
    layers = adapting.matrices(tiny.stable_diffusion().unet, adapting.ATTENTION)
    for repository, names in {"me/one": ["ink"], "me/two": ["ink", "wax"]}.items():
        folder = tmp_path / repository.replace("/", "-")
        folder.mkdir()
        for scale, name in enumerate(names, 1):
            parts = {n: [down * scale, up] for n, (down, up) in layers.items()}
            adapting.save(folder / f"{name}.safetensors", {"unet": parts})
        hub.add(repository, folder)
    return nbtool.Generator(
        str(tmp_path / "model"), store=tmp_path / "images", device="cpu", **SMALL
    )


def test_a_lora_of_the_hub_is_got_once_and_known_by_its_content(gen, hub):
    image = gen("a star", loras={"me/one": 0.5})
    (lora,) = image.recipe.loras
    assert lora.name == "me/one/ink.safetensors"
    got = len(hub.requests)
    assert gen("a star", loras={"me/one/ink.safetensors": 0.5}).recipe == image.recipe
    assert gen("a star", loras={"me/two/ink.safetensors@main": 0.5}).recipe != image.recipe
    assert gen(image.recipe.replace(seed=2)).recipe.loras == image.recipe.loras
    assert len(hub.requests) > got
    nbtool.add_lora("drawn", "me/two", file="wax.safetensors")
    assert gen("a star", loras={"drawn": 1}).recipe.loras.in_words == "drawn 1"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("me/two", r"me/two has 2 \.safetensors files; name one of them: me/two/ink.safetensors"),
        ("me/two/none.safetensors", "me/two has no file none.safetensors"),
        ("me/nothing", "there is none of that name"),
    ],
)
def test_what_the_hub_does_not_have_is_named(gen, source, reason):
    with pytest.raises(PartError, match=reason):
        gen("a star", loras={source: 1})


def test_what_somebody_elses_recipe_names_is_not_fetched(gen, hub):
    made = gen("a star").recipe
    said = {"name": "me/one/ink.safetensors", "sha256": "0123456789ab", "weight": 0.5}
    recipe = nbtool.Recipe.from_dict({**made.to_dict(), "loras": [said]})
    asked = len(hub.requests)
    with pytest.raises(PartError, match="is not on this machine"):
        gen(recipe)
    assert len(hub.requests) == asked
