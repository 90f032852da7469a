"""What is kept of a grid: how it was asked for, and which images stand in its cells.

The images are those of the store. That is all it takes to open the grid, and to go on with it: the
base recipe, the axes with what each of their positions changes, and what made it.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from nbtool.errors import GenerationError, RecipeError
from nbtool.recipes import refinement
from nbtool.recipes.axes import Sweep
from nbtool.recipes.axis import Axis, Edit
from nbtool.recipes.completing import SUITED
from nbtool.recipes.loras import Lora, weights
from nbtool.recipes.parameters import COMPOSED, PARAMETERS, checked, extent
from nbtool.recipes.preset import Preset
from nbtool.recipes.recipe import Recipe, recorded
from nbtool.results.image import GeneratedImage
from nbtool.results.labelled import Labelled
from nbtool.results.records import SCHEMA
from nbtool.text import shown

FIELDS = frozenset(
    {"schema", "name", "created", "base", "axes", "words", "fixed", "drawn", "generator", "images",
     "failed"}
)  # fmt: skip


class Summary(NamedTuple):
    """What a list of grids says of one; it may be a newer nbtool's."""

    name: str
    created: str
    prompt: str
    axes: dict[str, int]
    images: frozenset[str]
    along: str = ""  # the axes in words

    def record(self, there: int) -> dict[str, Any]:
        """The same as a flat dict, with how many of the images are there."""
        return {
            "name": self.name,
            "axes": dict(self.axes),
            "images": len(self.images),
            "there": there,
            "prompt": self.prompt,
            "created": self.created,
        }


def said_of(grid: Labelled) -> dict[str, Any]:
    """What a file says of a grid, but for its name."""
    sweep, origin = grid.sweep, grid.origin
    cells = {index: grid.cell(index) for index in grid.indices()}
    keys = {
        index: cell.recipe.key if isinstance(cell, GeneratedImage) else sweep.recipe(index).key
        for index, cell in cells.items()
    }
    said = {
        "schema": SCHEMA,
        "created": dt.datetime.now(dt.timezone.utc).isoformat(timespec="microseconds"),
        "base": sweep.base.to_dict(),
        "axes": list(map(_axis_said, sweep.axes)),
        "words": dict(sweep.words),
        "fixed": list(map(_edit_said, sweep.fixed)),
        "drawn": sweep.drawn,
        "generator": dict(origin.generator),
        "images": list(keys.values()),
        "failed": {
            keys[index]: str(cell)
            for index, cell in cells.items()
            if isinstance(cell, GenerationError)
        },
    }
    # As it comes back from a file: what is equal there is equal here.
    fresh: dict[str, Any] = json.loads(json.dumps(said, default=str))
    return fresh | dict(origin.said) | {"failed": fresh["failed"]}


def is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two grids have the same cells, in the same places."""
    return all(one.get(field) == other.get(field) for field in ("axes", "images"))


def summary_of(said: Mapping[str, Any]) -> Summary:
    """What a list says of a grid.

    Raises:
        KeyError, TypeError, AttributeError: The file says something else.
    """
    summary = Summary(
        said["name"],
        said["created"],
        said["base"].get("prompt", ""),
        {axis["name"]: len(axis["labels"]) for axis in said["axes"]},
        frozenset(said["images"]),
    )
    texts = {"created": [summary.created], "prompt": [summary.prompt]}
    texts |= {"axes": list(summary.axes), "images": list(summary.images)}
    for field, values in texts.items():
        for value in values:
            if not isinstance(value, str):
                raise TypeError(f"in {field} a text is needed, got {shown(value)}")
    return summary._replace(along=extent(summary.axes))


def sweep_of(said: Mapping[str, Any]) -> Sweep:
    """How a grid was asked for.

    Raises:
        RecipeError, KeyError, TypeError, AttributeError: The file says something else.
    """
    summary_of(said)  # what a list refuses is not opened either
    if not all(isinstance(said.get(field) or {}, dict) for field in ("failed", "generator")):
        raise TypeError("failed and generator have names in braces")
    axes = list(map(_axis, said["axes"]))
    if any(len(axis.edits) != len(axis) for axis in axes):
        raise RecipeError("an axis has not as many labels as changes")
    if len(said["images"]) != math.prod(map(len, axes)):
        raise RecipeError("its axes have not as many cells as it has images")
    base = Recipe.from_record(said["base"])
    fixed = tuple(map(_edit, said["fixed"]))
    return Sweep(base, tuple(axes), dict(said["words"]), drawn=said["drawn"], fixed=fixed)


def _axis_said(axis: Axis) -> dict[str, Any]:
    said = {"name": axis.name, "labels": axis.labels, "edits": list(map(_edit_said, axis.edits))}
    names = list(axis.edits[0].parameters)
    # Of pictures a label is only the name, and does not tell whose part it is.
    told = len(names) > 1 and not COMPOSED.isdisjoint(names)
    return said | ({"parameters": names} if told else {})


def _edit_said(edit: Edit) -> dict[str, Any]:
    said = edit._asdict()
    composed = {n: v for n, v in edit.parameters.items() if n in COMPOSED and v is not None}
    said["parameters"] = {**edit.parameters, **{n: recorded(v) for n, v in composed.items()}}
    for name in ("recipe", "preset"):
        said[name] = said[name] and said[name].to_dict()
    said["loras"] = {slot: lora and lora.to_dict() for slot, lora in edit.loras.items()}
    return {name: value for name, value in said.items() if value}


def _edit(said: Mapping[str, Any]) -> Edit:
    """What one position changes, as far as this version knows it."""
    parameters = {n: v for n, v in said.get("parameters", {}).items() if n in PARAMETERS}
    return Edit(
        {name: Recipe.recorded(name, value) for name, value in parameters.items()},
        dict(said.get("words", {})),
        tuple(said["swap"]) if "swap" in said else None,
        Recipe.from_record(said["recipe"]) if "recipe" in said else None,
        Preset.from_dict(said["preset"]) if "preset" in said else None,
        {n: refinement.checked(n, v) for n, v in said.get("refine", {}).items()},
        {n: checked(n, v) for n, v in said.get("fits", {}).items() if n in SUITED},
        {slot: lora and Lora.from_dict(lora) for slot, lora in said.get("loras", {}).items()},
        {slot: weights(slot, pair) for slot, pair in said.get("weights", {}).items()},
    )


def _axis(said: Mapping[str, Any]) -> Axis:
    labels = _labels(said["labels"])
    edits = tuple(map(_edit, said["edits"]))
    return Axis(said["name"], labels, _like_labels(labels, edits, said.get("parameters", ())))


def _like_labels(
    labels: tuple[Any, ...], edits: tuple[Edit, ...], names: Sequence[str]
) -> tuple[Edit, ...]:
    """The same, with paired parameters in the order of the labels' parts; files have another.

    Where it cannot be seen, `names` says it.
    """
    if not all(isinstance(label, tuple) for label in labels):
        return edits
    parts = list(zip(*labels, strict=False))

    def place(parameter: tuple[str, Any]) -> tuple[int, int]:
        if parameter[0] in names:
            return names.index(parameter[0]), 0
        values = tuple(edit.parameters.get(parameter[0]) for edit in edits)
        found = parts.index(values) if values in parts else len(parts)
        return found, PARAMETERS.index(parameter[0])

    return tuple(
        edit._replace(parameters=dict(sorted(edit.parameters.items(), key=place))) for edit in edits
    )


def _labels(said: list[Any]) -> tuple[Any, ...]:
    return tuple(_labels(label) if isinstance(label, list) else label for label in said)
