"""Explore image models in notebooks: generate, sweep, compare and reproduce.

```python
gen = nbtool.Generator()
gen.grid("a red star on a white background", seed=range(4), guidance_scale=[1, 3, 5])
```
"""

from nbtool._version import __version__
from nbtool.axes import paired, random_seeds, replace
from nbtool.errors import (
    AxisError,
    Cancelled,
    GenerationError,
    MetadataError,
    ModelError,
    NbtoolError,
    RecipeError,
    StoreError,
)
from nbtool.generator import Generator, Plan
from nbtool.grid import Grid
from nbtool.hardware import hardware
from nbtool.image import GeneratedImage
from nbtool.job import Job, cancel
from nbtool.recipe import Provenance, Recipe
from nbtool.store import Store


def unload() -> None:
    """Frees every loaded model; the next image loads its model again."""
    from nbtool.engines import local

    local.unload()


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
    "Plan",
    "Provenance",
    "Recipe",
    "RecipeError",
    "Store",
    "StoreError",
    "__version__",
    "cancel",
    "hardware",
    "paired",
    "random_seeds",
    "replace",
    "unload",
]
