"""The infotext that other programs read, parsed with AUTOMATIC1111's own expression."""

from __future__ import annotations

import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import nbtool
from nbtool import Provenance, Recipe
from nbtool.metadata import to_infotext
from nbtool.recipes.parameters import infotext_terms
from nbtool.results.image import encoded
from nbtool.schedulers import CLASS_NAMES, SHORT_NAMES, canonical

PARAMETER = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')


def parse(text):
    """What AUTOMATIC1111 (modules/infotext_utils.py) reads: prompt, negative prompt, settings."""
    *lines, last = text.strip().split("\n")
    found = PARAMETER.findall(last)
    assert len(found) >= 3, "under three hits it is no parameters"
    prompts = {"prompt": [], "negative": []}
    part = "prompt"
    for line in map(str.strip, lines):
        if line.startswith("Negative prompt:"):
            part, line = "negative", line[len("Negative prompt:") :].strip()  # noqa: PLW2901
        prompts[part].append(line)
    settings = {
        name: json.loads(value) if value.startswith('"') and value.endswith('"') else value
        for name, value in found
    }
    return "\n".join(prompts["prompt"]), "\n".join(prompts["negative"]), settings


# What the format itself loses: white space at the ends of lines, other prompts' own headings.
LINES = st.lists(
    st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.sampled_from(',:"\\{}[]()'))
    .map(str.strip)
    .filter(lambda line: not line.startswith("Negative prompt:")),
    min_size=1,
    max_size=4,
)
PROMPTS = LINES.map("\n".join).map(str.strip)
RECIPES = st.builds(
    Recipe,
    prompt=PROMPTS,
    negative_prompt=PROMPTS,
    seed=st.integers(0, 2**64 - 1),
    num_inference_steps=st.integers(1, 1000),
    guidance_scale=st.floats(0, allow_infinity=False),
    scheduler=st.sampled_from(sorted(SHORT_NAMES)),
    width=st.integers(2, 1024).map(lambda n: 8 * n),
    height=st.integers(2, 1024).map(lambda n: 8 * n),
    guidance_rescale=st.floats(0, 1),
    clip_skip=st.integers(0, 24),
    eta=st.floats(0, 1),
    model=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1)
    .map(str.strip)
    .filter(bool),
)


@given(RECIPES)
def test_other_programs_read_back_the_same_values(recipe):
    prompt, negative, settings = parse(
        to_infotext(recipe.to_dict(), "1.2", infotext_terms(recipe.to_dict()))
    )
    assert (prompt, negative) == (recipe.prompt, recipe.negative_prompt)
    scheduler = SHORT_NAMES[recipe.scheduler]
    assert settings["Sampler"] == scheduler.sampler
    assert settings["Schedule type"] == scheduler.schedule_type
    assert int(settings["Steps"]) == recipe.num_inference_steps
    assert float(settings["CFG scale"]) == recipe.guidance_scale
    assert int(settings["Seed"]) == recipe.seed
    assert settings["Size"] == f"{recipe.width}x{recipe.height}"
    assert settings["Model"] == recipe.model
    assert settings["RNG"] == "CPU"
    assert settings["Version"] == "nbtool 1.2"
    assert int(settings.get("Clip skip", 1)) == recipe.clip_skip + 1
    assert float(settings.get("Eta DDIM", 0)) == (recipe.eta if recipe.scheduler == "ddim" else 0)
    assert float(settings.get("CFG Rescale", 0)) == recipe.guidance_rescale


def test_the_text_is_as_people_know_it(complete):
    recipe = complete.replace(
        prompt='a "red" star,\nat night', negative_prompt="blur", scheduler="dpm++2m_karras",
        guidance_scale=7.5, clip_skip=1, model="runs/a, b: c",
    )  # fmt: skip
    assert to_infotext(recipe.to_dict(), "0.1", infotext_terms(recipe.to_dict())) == (
        'a "red" star,\n'
        "at night\n"
        "Negative prompt: blur\n"
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 7, "
        'Size: 32x32, Model: "runs/a, b: c", RNG: CPU, Clip skip: 2, Version: nbtool 0.1'
    )


def test_what_is_not_always_there_stands_in_the_order_in_which_people_know_it(complete):
    recipe = complete.replace(scheduler="ddim", guidance_rescale=0.5, eta=1, clip_skip=2)
    text = to_infotext(recipe.to_dict(), "0.1", infotext_terms(recipe.to_dict()) | {"New": 1})
    assert text.endswith(
        "RNG: CPU, Clip skip: 3, Eta DDIM: 1, CFG Rescale: 0.5, New: 1, Version: nbtool 0.1"
    )


def test_a_scheduler_named_by_its_class_is_still_a_sampler(complete):
    recipe = complete.replace(scheduler="FlowMatchEulerDiscreteScheduler")
    settings = parse(to_infotext(recipe.to_dict(), "0"))[2]
    assert settings["Sampler"] == "FlowMatchEulerDiscrete"
    assert "Schedule type" not in settings  # it is the model's own


def test_eta_is_that_of_ddim_there_and_of_no_other_scheduler(complete):
    taken = {
        name
        for name in sorted(CLASS_NAMES | SHORT_NAMES.keys())
        if infotext_terms(complete.replace(scheduler=name, eta=0.5).to_dict())
    }
    assert taken == {"ddim", "DDIMScheduler"}


def test_fault_35_what_a_text_chunk_cannot_hold_is_shown_as_missing(complete):
    text = to_infotext(complete.replace(prompt="a\0b\ud800c", model="\0").to_dict(), "0")
    assert text.startswith("a\N{REPLACEMENT CHARACTER}b?c\n")
    assert "\0" not in text


@pytest.mark.parametrize("name", SHORT_NAMES)
def test_the_schedule_type_is_the_one_that_is_meant(complete, name):
    """There, "Automatic" is the sampler's own way, which for these is Karras or Exponential."""
    text = to_infotext(complete.replace(scheduler=name).to_dict(), "0")
    _, _, settings = parse(text)
    own_way = settings["Sampler"].startswith(("DPM++", "DPM2"))
    karras = name.endswith("_karras")
    wanted = "Karras" if karras else "Uniform" if own_way else "Automatic"
    assert settings["Schedule type"] == wanted
    assert canonical(f"{settings['Sampler']} {wanted}".removesuffix(" Automatic")) == name


@pytest.mark.parametrize(
    ("pipeline", "skipped", "said"),
    [
        ("StableDiffusionPipeline", 0, None),
        ("StableDiffusionPipeline", 1, "2"),
        ("LatentConsistencyModelPipeline", 1, "2"),
        ("StableDiffusionXLPipeline", 0, None),  # 1 and 2 mean this
        ("StableDiffusionXLPipeline", 1, "3"),
        ("StableDiffusionXLPAGPipeline", 2, "4"),
        ("StableDiffusion3Pipeline", 1, "3"),
        ("FluxPipeline", 1, None),
        ("", 1, "2"),  # of files from before it was known
    ],
)
def test_clip_skip_is_counted_as_the_models_family_counts(complete, pipeline, skipped, said):
    recipe = complete.replace(clip_skip=skipped)
    data = encoded(Image.new("RGB", (8, 8)), recipe, Provenance(pipeline=pipeline))
    _, _, settings = parse(Image.open(io.BytesIO(data)).text["parameters"])
    assert settings.get("Clip skip") == said


def test_where_the_noise_was_drawn_is_said_where_it_is_known(complete):
    sde = complete.replace(scheduler="DPMSolverSDEScheduler")
    assert "RNG" not in parse(to_infotext(sde.to_dict(), "0"))[2]
    assert parse(to_infotext(complete.to_dict(), "0"))[2]["RNG"] == "CPU"


def test_a_file_says_which_pipeline_made_it(tmp_path, monkeypatch):
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    image = nbtool.Generator(store=tmp_path, width=64, height=64, num_inference_steps=1)(
        "a", seed=1
    )
    assert image.provenance.pipeline == "StableDiffusionPipeline"
    assert nbtool.Store(tmp_path)[image.recipe.key].provenance == image.provenance
