"""What each family does with pictures: exactly what diffusers does, many at once, or refused."""

from __future__ import annotations

import inspect
import itertools

import diffusers
import numpy as np
import pytest
import tiny
import torch
from PIL import Image
from test_exactness import OF_EMBEDDINGS
from together import one, with_scheduler

import nbtool
from nbtool import Recipe, RecipeError
from nbtool.catalogue import asking, families, find
from nbtool.catalogue.families import family
from nbtool.catalogue.known import KNOWN
from nbtool.catalogue.verbs import CALLED, EDIT, IMAGE, INPAINT, TEXT
from nbtool.engines.local import pipelines
from nbtool.engines.local.arguments import arguments
from nbtool.engines.local.inputs import inputs
from nbtool.engines.local.siblings import sibling
from nbtool.recipes.picture import pictures

TOLERANCE = 1e-5  # of images from 0 to 1
SIDE = 64
SEEDS = (3, 1, 7)


# How each is built, and what its words are where they cannot be read by a tiny text encoder.
FAMILIES = {
    "StableDiffusionPipeline": (tiny.stable_diffusion, None),
    "StableDiffusionXLPipeline": (tiny.stable_diffusion_xl, None),
    "StableDiffusion3Pipeline": (lambda: tiny.stable_diffusion_3(latents=16), None),
    "FluxPipeline": (tiny.flux, None),
    "ZImagePipeline": (tiny.z_image, OF_EMBEDDINGS["z_image"]),
    "QwenImagePipeline": (tiny.qwen_image, OF_EMBEDDINGS["qwen_image"]),
    "Flux2KleinPipeline": (tiny.flux2_klein, OF_EMBEDDINGS["flux2_klein"]),
    "SanaPipeline": (tiny.sana, OF_EMBEDDINGS["sana"]),
}
# Those that the catalogue does not name, but a folder may hold.
OTHERS = {
    "StableDiffusionInpaintPipeline": (tiny.inpainting_weights, None),
    "StableDiffusionXLInpaintPipeline": (lambda: tiny.inpainting_weights("xl"), None),
    "Flux2Pipeline": (tiny.flux2, OF_EMBEDDINGS["flux2"]),
    "FluxKontextPipeline": (tiny.flux_kontext, None),
    "FluxFillPipeline": (tiny.flux_fill, None),
    "QwenImageEditPipeline": (tiny.qwen_image_edit, OF_EMBEDDINGS["qwen_image"]),
    "QwenImageEditPlusPipeline": (tiny.qwen_image_edit_plus, OF_EMBEDDINGS["qwen_image"]),
}
# Of weights for inpainting nothing else is asked.
ONLY_INPAINT = {"StableDiffusionInpaintPipeline", "StableDiffusionXLInpaintPipeline"}


def photo(number, size=(SIDE, SIDE)):
    colours = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(colours)


def mask(*box):
    """In whole cells, so that diffusers needs no more than the mask itself."""
    found = Image.new("L", (SIDE, SIDE))
    found.paste(255, box)
    return found


MASKS = mask(16, 16, 48, 48), mask(0, 0, 32, 64)


@pytest.fixture(autouse=True)
def small_references(monkeypatch):
    """Some pipelines enlarge the pictures that they edit to a megapixel."""
    from diffusers.pipelines.flux import pipeline_flux_kontext
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus

    monkeypatch.setattr(
        pipeline_flux_kontext, "PREFERRED_KONTEXT_RESOLUTIONS", [(SIDE, SIDE), (96, 48)]
    )
    for module in (pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus):
        known = module.calculate_dimensions
        monkeypatch.setattr(
            module, "calculate_dimensions", lambda _, ratio, known=known: known(SIDE**2, ratio)
        )


def recipes(kind, verb):
    """Recipes of one verb that differ in all that a grid may vary."""
    base = Recipe(prompt="a red star", num_inference_steps=3, width=SIDE, height=SIDE)
    varied = zip((1, 4, 4), (0.4, 0.9, 1.0), (1, 2, 1), (0, 1, 0), (0, 1, 2), strict=True)
    for guidance, strength, number, masked, seed in varied:
        recipe = base.replace(guidance_scale=guidance, seed=seed)
        if verb == TEXT:
            yield recipe
        elif verb == EDIT:
            yield recipe.replace(image=photo(number))
            if family(kind).ways[EDIT].pictures > 1:
                both = pictures(photo(number), photo(3, (64, 96)))
                yield recipe.replace(image=both)
        else:
            own = {"mask_image": MASKS[masked]} if verb == INPAINT else {}
            yield recipe.replace(image=photo(number), strength=strength, **own)


def plainly(kind, verb, recipe):
    """The arguments of a call as diffusers' documentation shows them."""
    way = family(kind).ways[verb]
    given = {"num_inference_steps": recipe.num_inference_steps, "seed": recipe.seed}
    given |= words(kind, recipe)
    taken = inspect.signature(getattr(diffusers, way.pipeline).__call__).parameters
    if "width" in taken:
        given |= {"width": SIDE, "height": SIDE}
    if "max_area" in taken:
        given |= {"max_area": SIDE**2}
        given |= {"_auto_resize": False} if verb == INPAINT else {}  # to a megapixel
    if recipe.image is not None:
        shown = [one.image for one in asking.each(recipe.image)]
        given["image"] = shown if len(shown) > 1 else shown[0]
    if recipe.strength is not None:
        given["strength"] = recipe.strength
    if recipe.mask_image is not None:
        given["mask_image"] = recipe.mask_image.image
    return given


def words(kind, recipe):
    of_embeddings = {**FAMILIES, **OTHERS}[kind][1]
    if of_embeddings:
        return of_embeddings(5, recipe.guidance_scale)
    return {"prompt": recipe.prompt, "guidance_scale": recipe.guidance_scale}


def asked(kind, verb, recipe, images=1):
    """The arguments as the engine gives them."""
    known = family(kind)
    own = inputs(recipe, verb, known.multiple)
    given = arguments(recipe, known, known.ways[verb], own, images)
    if {**FAMILIES, **OTHERS}[kind][1]:
        given = {n: v for n, v in given.items() if not n.endswith("prompt")}
    return given | words(kind, recipe)


def ways_of(kind):
    ways = family(kind).ways
    return {INPAINT: ways[INPAINT]} if kind in ONLY_INPAINT else ways


@pytest.mark.parametrize("kind", [*FAMILIES, *OTHERS])
def test_mixed_cells_equal_plain_calls(kind, together):
    whole = {**FAMILIES, **OTHERS}[kind][0]()
    whole.set_progress_bar_config(disable=True)
    calls, plain = [], []
    for verb, way in ways_of(kind).items():
        pipeline = sibling(whole, way.pipeline)
        parts = whole.components | {
            "scheduler": type(whole.scheduler).from_config(whole.scheduler.config)
        }
        taken = inspect.signature(getattr(diffusers, way.pipeline).__init__).parameters
        own = getattr(diffusers, way.pipeline)(
            **{name: part for name, part in parts.items() if name in taken},
            **({"requires_safety_checker": False} if "safety_checker" in taken else {}),
        )
        own.set_progress_bar_config(disable=True)
        for recipe in recipes(kind, verb):
            calls.append(
                (with_scheduler(pipeline), asked(kind, verb, recipe) | {"seed": recipe.seed})
            )
            plain.append((own, plainly(kind, verb, recipe)))
    together.learn(calls[::3])
    forwards = []
    whole.components[find_denoiser(whole)].register_forward_pre_hook(lambda *_: forwards.append(1))
    images = together.images(calls)
    shared = len(forwards)
    for image, (pipeline, kwargs) in zip(images, plain, strict=True):
        assert np.abs(image - one(with_scheduler(pipeline), kwargs)).max() <= TOLERANCE, kwargs
    assert shared < len(forwards) - shared


def find_denoiser(pipeline):
    return "unet" if "unet" in pipeline.components else "transformer"


@pytest.mark.parametrize("kind", [*FAMILIES, *OTHERS])
def test_of_one_call_each_image_is_by_its_own_generator(kind, together):
    """Where diffusers encodes pictures with the first one's, too."""
    whole = {**FAMILIES, **OTHERS}[kind][0]()
    whole.set_progress_bar_config(disable=True)
    for verb, way in ways_of(kind).items():
        pipeline = sibling(whole, way.pipeline)
        recipe = next(iter(recipes(kind, verb)))
        given = asked(kind, verb, recipe, len(SEEDS))
        (made,) = together.images([(with_scheduler(pipeline), given | {"seeds": SEEDS})])
        for image, seed in zip(made, SEEDS, strict=True):
            plain = plainly(kind, verb, recipe.replace(seed=seed))
            alone = one(with_scheduler(pipeline), plain)
            assert np.abs(image - alone).max() <= TOLERANCE, (verb, seed)


def test_the_table_has_every_family_of_the_catalogue():
    assert {facts.pipeline for _, facts in KNOWN.values()} == FAMILIES.keys()
    assert {*families.FAMILIES} | ONLY_INPAINT == FAMILIES.keys() | OTHERS.keys()


ASKED = {
    TEXT: {},
    IMAGE: {"image": photo(1), "strength": 0.6},
    INPAINT: {"image": photo(1), "mask_image": MASKS[0], "strength": 0.6},
    EDIT: {"image": photo(1)},
}
REFUSED = {
    ("SanaPipeline", IMAGE): "does no image to image, only text to image",
    ("SanaPipeline", INPAINT): "does no inpainting, only text to image",
    ("SanaPipeline", EDIT): "does no image to image, only text to image",
    ("Flux2KleinPipeline", IMAGE): "edits by words and takes no strength",
}


@pytest.mark.parametrize(("name", "verb"), [*itertools.product(KNOWN, CALLED)])
def test_each_verb_works_or_is_refused_with_its_reason(name, verb):
    """Before anything is loaded; that it works exactly is tested above, for all that are taken."""
    model = find(name)
    pipeline = KNOWN[name][1].pipeline
    side = model.family.multiple * 2
    recipe = Recipe(
        prompt="a", num_inference_steps=10, guidance_scale=1, width=side, height=side,
        **ASKED[verb],
    )  # fmt: skip
    if reason := REFUSED.get((pipeline, verb)):
        with pytest.raises(RecipeError, match=reason):
            model.way(recipe)
        return
    found = asking.verb(model.ways, recipe)
    assert found == (IMAGE if verb == EDIT and EDIT not in model.ways else verb)
    assert model.way(recipe) is family(pipeline).ways[found]


def test_a_second_pass_is_refused_where_nothing_does_it(tmp_path):
    for name in ("sana", "flux2-klein"):
        with pytest.raises(
            RecipeError, match=f"second pass .* {name} does only .*; leave refine out"
        ):
            nbtool.Generator(name, store=tmp_path).plan("a", refine=nbtool.refine())


@pytest.mark.parametrize(("pipeline", "verb"), REFUSED)
def test_a_model_that_is_not_here_refuses_before_it_must_be_had(tmp_path, pipeline, verb):
    name = next(name for name, (_, facts) in KNOWN.items() if facts.pipeline == pipeline)
    gen = nbtool.Generator(name, store=tmp_path)
    for seeds in (1, [1, 2]):
        with pytest.raises(RecipeError, match=REFUSED[pipeline, verb]):
            gen.plan("a", seed=seeds, **ASKED[verb])
    with pytest.raises(nbtool.ModelError, match="cannot get"):
        gen.plan("a")


def test_the_list_of_models_says_what_each_does_with_pictures():
    listed = {entry.name: entry for entry in nbtool.models()}
    for name in KNOWN:
        refused = {verb for verb in (IMAGE, INPAINT) if (KNOWN[name][1].pipeline, verb) in REFUSED}
        verbs = {*listed[name].verbs}
        assert verbs - {EDIT} == {TEXT, IMAGE, INPAINT} - refused
        assert verbs == {*find(name).ways}
        for verb in CALLED:
            said = CALLED[verb] in listed[name].cells()[-1]
            assert said == (verb in verbs and verb != TEXT), (name, verb)
    told = {record["name"]: record["verbs"] for record in nbtool.models().records()}
    assert told == {name: [*entry.verbs] for name, entry in listed.items()}


@pytest.mark.parametrize("kind", FAMILIES)
def test_steps_at_a_strength_are_those_of_diffusers(kind):
    for way in family(kind).ways.values():
        if way.strength is None:
            continue
        steps = getattr(diffusers, way.pipeline).get_timesteps
        for asked_for, strength in itertools.product((1, 4, 7, 20, 50), np.linspace(0, 1, 41)):
            scheduler = diffusers.EulerDiscreteScheduler()
            scheduler.set_timesteps(asked_for)
            pipeline = type("", (), {"scheduler": scheduler})()
            _, made = steps(pipeline, asked_for, float(strength), "cpu")
            assert way.steps(asked_for, float(strength)) == made, (way.pipeline, strength)


@pytest.mark.parametrize("kind", FAMILIES)
def test_defaults_are_those_of_diffusers(kind):
    for way in family(kind).ways.values():
        taken = inspect.signature(getattr(diffusers, way.pipeline).__call__).parameters
        default = taken["strength"].default if "strength" in taken else None
        assert way.strength == default
        lacking = {name for name in family(kind).takes if name not in taken}
        assert way.lacks & family(kind).takes == lacking


def test_the_networks_and_their_dtype_are_shared():
    whole = tiny.stable_diffusion_xl().to(torch.bfloat16)
    for way in family("StableDiffusionXLPipeline").ways.values():
        other = sibling(whole, way.pipeline)
        assert type(other).__name__ == way.pipeline
        assert other.unet is whole.unet
        assert other.vae is whole.vae
        assert other.unet.dtype == torch.bfloat16
    assert (other.scheduler is whole.scheduler) == (type(other) is type(whole))


def test_an_input_is_encoded_once_for_all_cells(together):
    whole = tiny.stable_diffusion()
    whole.set_progress_bar_config(disable=True)
    kind = "StableDiffusionPipeline"
    base = Recipe(prompt="a", num_inference_steps=4, width=SIDE, height=SIDE, guidance_scale=4)
    calls = []
    for seed, strength, number in itertools.product(range(2), (0.5, 0.9), (1, 2)):
        recipe = base.replace(seed=seed, strength=strength, image=photo(number))
        for verb in (IMAGE, INPAINT):
            own = recipe.replace(mask_image=MASKS[0]) if verb == INPAINT else recipe
            pipeline = sibling(whole, family(kind).ways[verb].pipeline)
            calls.append((with_scheduler(pipeline), asked(kind, verb, own) | {"seed": seed}))
    together.images(calls)
    # Two pictures, and each without what the mask frees.
    assert together.forwards.rows["AutoencoderKL.encode"] == 2 + 2


def test_cells_with_pictures_and_without_share_forwards(together):
    whole = tiny.stable_diffusion()
    whole.set_progress_bar_config(disable=True)
    kind = "StableDiffusionPipeline"
    base = Recipe(prompt="a", num_inference_steps=4, width=SIDE, height=SIDE, guidance_scale=1)
    from_picture = base.replace(image=photo(1), strength=1)
    cells = [
        (TEXT, base),
        (IMAGE, from_picture),
        (INPAINT, from_picture.replace(mask_image=MASKS[0])),
    ]
    calls = [
        (with_scheduler(sibling(whole, family(kind).ways[verb].pipeline)), asked(kind, verb, cell))
        for verb, cell in cells
    ]
    together.learn([(pipeline, kwargs | {"seed": 7}) for pipeline, kwargs in calls])
    forwards = []
    whole.unet.register_forward_pre_hook(lambda *_: forwards.append(1))
    together.images([(pipeline, kwargs | {"seed": 1}) for pipeline, kwargs in calls])
    assert len(forwards) < 3 * 4  # each has one row at each step


def test_each_image_has_a_scheduler_of_its_own():
    whole = tiny.stable_diffusion()
    before = dict(vars(whole.scheduler))
    for way in family("StableDiffusionPipeline").ways.values():
        pipeline = sibling(whole, way.pipeline)
        name = type(pipeline.scheduler).__name__
        made = pipelines.scheduler(name, pipeline.scheduler.config)
        assert pipelines.with_scheduler(pipeline, made).scheduler is not whole.scheduler
    assert vars(whole.scheduler) == before
