"""What a pipeline's call is given of a recipe."""

from __future__ import annotations

from typing import Any

from nbtool.catalogue import asking
from nbtool.catalogue.families import Family, takes
from nbtool.catalogue.verbs import Way
from nbtool.engines.local.inputs import Inputs
from nbtool.recipes.parameters import AT_REST, SELECTIVE
from nbtool.recipes.recipe import Recipe


def arguments(recipe: Recipe, family: Family, way: Way, own: Inputs, images: int) -> dict[str, Any]:
    """The arguments of a call that differ from class to class.

    Args:
        recipe: Of one pass.
        family: Of the pipeline.
        way: What it does.
        own: The pictures.
        images: How many images the call makes.
    """
    return {
        "prompt": recipe.prompt,
        "num_inference_steps": recipe.num_inference_steps,
        **_sides(way, recipe),
        **_guidance(family, recipe),
        **_pictures(way, recipe, own, images),
    }


def _sides(way: Way, recipe: Recipe) -> dict[str, Any]:
    """Width and height, where the class does not take them from its picture."""
    width, height = recipe.width or 0, recipe.height or 0
    given = {"width": width, "height": height} if takes(way.pipeline, "width") else {}
    if takes(way.pipeline, "max_area"):  # else it works at a size that it prefers
        given["max_area"] = width * height
    return given


def _guidance(family: Family, recipe: Recipe) -> dict[str, Any]:
    """What not every pipeline takes, where it is not at rest."""
    given = {name: getattr(recipe, name) for name in SELECTIVE}
    chosen = {name: value for name, value in given.items() if value != AT_REST[name]}
    chosen[family.guidance] = recipe.guidance_scale
    if family.guidance == "true_cfg_scale":
        chosen.setdefault("negative_prompt", " ")  # without one it is not guided
    return chosen


def _pictures(way: Way, recipe: Recipe, own: Inputs, images: int) -> dict[str, Any]:
    """The pictures, and what is to become of them.

    Of several images each has a picture of its own, though they are the same: else diffusers would
    draw the noise of their encoding with the first one's generator.
    """
    if not own.images:
        return {}
    given: dict[str, Any] = {"image": own.images[0]}
    if len(own.images) > 1:
        given["image"] = [*own.images]
    if way.strength is not None:
        given["strength"] = asking.strength(way, recipe)
        if images > 1:
            given["image"] = [*own.images] * images
    if own.mask is not None:
        given["mask_image"] = own.mask
        if takes(way.pipeline, "_auto_resize"):
            given["_auto_resize"] = False  # the picture has the size that is worked at
    return given
