"""Grids made without a model, to be saved as pages."""

from __future__ import annotations

from PIL import Image

from nbtool import metadata
from nbtool.errors import GenerationError
from nbtool.grid import Grid
from nbtool.recipes import axes
from nbtool.recipes.provenance import Provenance
from nbtool.results.image import GeneratedImage

HOSTILE = '<img src=x onerror="window.hit=1"></script><script>window.hit=2</script>'
DEFAULTS = {"num_inference_steps": 4, "scheduler": "ddim", "model": "shapes", "width": 64}


def make_grid(prompt, parameters, *given, failed=(), missing=(), size=(64, 64)):
    """A grid of what `gen.grid` takes, and of the cells, by number, that failed or are missing."""
    sweep = axes.sweep(prompt, given, parameters, {**DEFAULTS, "height": size[1]})
    cells = {}
    for number, (index, recipe) in enumerate(sweep):
        picture = Image.new("RGB", size, (number * 7 % 256, number // 256, 120))
        png = metadata.encode(picture, recipe.to_dict(), {}, "0")
        if number in failed:
            cells[index] = GenerationError(f"out of memory {HOSTILE}")
        elif number not in missing:
            cells[index] = GeneratedImage(recipe, Provenance(), png=png)
    return Grid(sweep.base, sweep.axes, cells)
