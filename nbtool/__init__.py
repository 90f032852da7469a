"""Explore image models in notebooks: generate, sweep, compare and reproduce.

```python
gen = nbtool.Generator()
gen.grid("a red star on a white background", seed=range(4), guidance_scale=[1, 3, 5])
```
"""

from functools import partial
from typing import TYPE_CHECKING, Any

from nbtool._version import __version__
from nbtool.catalogue import add_model, loras
from nbtool.catalogue.loras import add_lora, add_loras
from nbtool.display import progress
from nbtool.display.save import save_images as save
from nbtool.errors import (
    AxisError,
    Cancelled,
    GenerationError,
    MetadataError,
    ModelError,
    NbtoolError,
    PartError,
    RecipeError,
    StoreError,
)
from nbtool.fitting.roster import models
from nbtool.generator import Generator, default_store
from nbtool.grid import Grid
from nbtool.imaging.outpainting import FEATHER, Sides
from nbtool.job import Job, cancel, jobs
from nbtool.machine.probe import hardware
from nbtool.panel.maker import use_by_default
from nbtool.recipes import lora_axes
from nbtool.recipes.axes import paired, random_seeds, replace
from nbtool.recipes.axis import Axis
from nbtool.recipes.extending import extended
from nbtool.recipes.lora_axes import Adding
from nbtool.recipes.loras import Loras
from nbtool.recipes.picture import Picture, Pictures, pictures
from nbtool.recipes.preset import Preset
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe
from nbtool.recipes.refinement import Refine
from nbtool.recipes.refining import refine
from nbtool.recipes.saved import recipe_of
from nbtool.results.grids import SavedGrids
from nbtool.results.image import GeneratedImage
from nbtool.results.plan import Plan
from nbtool.results.presets import Presets
from nbtool.results.store import Store

if TYPE_CHECKING:
    from PIL.Image import Image

    from nbtool.painter.painter import Painter
    from nbtool.panel.panel import Panel

use_by_default(Generator)
Picture.remember_by(recipe_of)
Loras.resolve_by(partial(loras.resolve, say=progress.say))


def __getattr__(name: str) -> Any:
    """What is imported only where it is used."""
    if name == "Panel":
        from nbtool.panel.panel import Panel

        return Panel
    if name == "testing":
        import nbtool.testing  # `from` would ask here again

        return nbtool.testing
    raise AttributeError(f"module 'nbtool' has no attribute {name!r}")


def presets() -> Presets:
    """The presets of the default store by their names; shows itself as a list.

    nbtool.presets()["ink"] = nbtool.Preset(prompt="{prompt}, ink drawing")

    Raises:
        StoreError: The store is relative to a working folder that is gone.
    """
    return default_store().presets


def unload() -> None:
    """Frees every loaded model; the next image loads its model again.

    A model that images are being made with is freed when they are made.
    """
    from nbtool.engines import local

    local.unload()


def lora(source: Any, weights: Any = 1.0) -> Axis | Adding:
    """An axis of a LoRA's weights, of several LoRAs, or two axes of both; it adds to `loras`.

        gen.grid("a fox", ink=nbtool.lora("ink.safetensors", [0, 0.5, 1]), seed=range(4))
        gen.grid("a fox", nbtool.lora("loras/"), seed=range(4))          # which one
        gen.grid("a fox", which=nbtool.lora("loras/*.safetensors", [0.5, 1]))   # which × weight

    Two such axes are a grid of stacks: each adds its own to what the recipe has. Of a LoRA that is
    there already the weights add up. One that is missing or broken fails its own cells alone.

    Args:
        source: A .safetensors file, a name that `nbtool.add_lora` gave, an id on the hub such as
            "org/name/file.safetensors@revision"; or several of them, a folder, a pattern; None
            among several is an image without. Of a dict the values, with its keys as labels.
        weights: One or several, from -20 to 20; a pair inside a list has a weight for the text
            encoder of its own: [(0.8, 0.4), 1].

    Returns:
        An axis; of several LoRAs with several weights two, the second of which has the name of
        the first with `_weight` after it.

    Raises:
        RecipeError: A weight is out of range, or the source is of no use.
    """
    return lora_axes.axes(source, weights, loras.several)


def outpaint(
    picture: Any,
    *,
    left: int = 0,
    right: int = 0,
    top: int = 0,
    bottom: int = 0,
    feather: int = FEATHER,
) -> "tuple[Image, Image]":
    """A picture on a larger canvas, and the mask of what is new on it, for inpainting.

        larger, mask = nbtool.outpaint("cat.jpg", right=128)
        gen("a cat beside a tree", image=larger, mask_image=mask)

    The picture stays as it is, byte for byte, and is protected by the mask. The new part has the
    colours of the picture's edge, until it is made; there the mask rises from black to white, so
    that the old passes into the new.

    What is made of it keeps the size of the larger picture up to 1.5 times the pixels that the model
    is made for. Beyond that, as after some extensions in a row, all of it is made smaller, the old
    part too: `mask_padding=32` works on the new part alone and keeps every pixel of the old, and
    `width` and `height` ask for a size.

    Args:
        picture: A path, a PIL image, or whatever else `nbtool.Picture` takes.
        left: Pixels to add on that side.
        right: The same.
        top: The same.
        bottom: The same.
        feather: Pixels of the new part that the mask takes to rise, from the seam on; at most half
            of what is added on a side.

    Returns:
        Two PIL images. What is made of the first has the image that was extended in its chain.

    Raises:
        RecipeError: The picture cannot be read, nothing is added, or the whole would not be a
            multiple of 8 wide and high; the message says what would be.
    """
    return extended(Picture(picture), Sides(left, right, top, bottom), feather)


def paint(picture: Any, mask: Any = None) -> "Painter":
    """A painter: a picture as a widget, on which a mask is painted.

        painter = nbtool.paint("cat.jpg")
        painter
        gen("a hat", image=painter.picture, mask_image=painter.mask)

    Args:
        picture: A path, a PIL image, or whatever else `nbtool.Picture` takes.
        mask: What to begin with; None: it is black, and all is protected.

    Raises:
        RecipeError: The picture or the mask cannot be read, or they are not the same size.
    """
    from nbtool.painter.painter import Painter

    return Painter(picture, mask)


def grids() -> SavedGrids:
    """The grids of the default store that have a name; shows itself as a table.

        grid.name = "stars"
        nbtool.grids()["stars"].view()

    Those of another store are in its `store.grids`.
    """
    return default_store().grids


__all__ = [
    "AxisError",
    "Cancelled",
    "GeneratedImage",
    "GenerationError",
    "Generator",
    "Grid",
    "Job",
    "MetadataError",
    "ModelError",
    "NbtoolError",
    "Panel",
    "PartError",
    "Picture",
    "Pictures",
    "Plan",
    "Preset",
    "Provenance",
    "Recipe",
    "RecipeError",
    "Refine",
    "Store",
    "StoreError",
    "__version__",
    "add_lora",
    "add_loras",
    "add_model",
    "cancel",
    "grids",
    "hardware",
    "jobs",
    "lora",
    "models",
    "outpaint",
    "paint",
    "paired",
    "pictures",
    "presets",
    "random_seeds",
    "refine",
    "replace",
    "save",
    "unload",
]
