"""Explore image models in notebooks: generate, sweep, compare and reproduce.

```python
gen = nbtool.Generator()
gen.grid("a red star on a white background", seed=range(4), guidance_scale=[1, 3, 5])
```
"""

from typing import TYPE_CHECKING, Any

from nbtool._version import __version__
from nbtool.catalogue import add_model
from nbtool.display.save import save_images as save
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
from nbtool.fitting.roster import models
from nbtool.generator import Generator, default_store
from nbtool.grid import Grid
from nbtool.job import Job, cancel, jobs
from nbtool.machine.probe import hardware
from nbtool.panel.maker import use_by_default
from nbtool.recipes.axes import paired, random_seeds, replace
from nbtool.recipes.picture import Picture, Pictures, pictures
from nbtool.recipes.preset import Preset
from nbtool.recipes.provenance import Provenance
from nbtool.recipes.recipe import Recipe
from nbtool.results.grids import SavedGrids
from nbtool.results.image import GeneratedImage
from nbtool.results.plan import Plan
from nbtool.results.presets import Presets
from nbtool.results.store import Store

if TYPE_CHECKING:
    from nbtool.panel.panel import Panel

use_by_default(Generator)


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
    "Picture",
    "Pictures",
    "Plan",
    "Preset",
    "Provenance",
    "Recipe",
    "RecipeError",
    "Store",
    "StoreError",
    "__version__",
    "add_model",
    "cancel",
    "grids",
    "hardware",
    "jobs",
    "models",
    "paired",
    "pictures",
    "presets",
    "random_seeds",
    "replace",
    "save",
    "unload",
]
