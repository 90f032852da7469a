"""A recipe is everything that decides one image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from nbtool import metadata
from nbtool.errors import MetadataError, RecipeError
from nbtool.recipes.parameters import (
    AT_REST,
    PARAMETERS,
    Parameters,
    check_names,
    checked,
    documented,
)
from nbtool.recipes.provenance import widths_of
from nbtool.text import printable


@dataclass(frozen=True, kw_only=True)
class Recipe(Parameters):
    """Everything that decides one image.

    What is None is left to the model's defaults and filled in before an image is made. Names
    and meanings are those of diffusers' pipelines.

    Args:
        ARGS

    Raises:
        RecipeError: A name is unknown or a value out of range or of the wrong kind.
    """

    def __new__(cls, *_: object, **parameters: object) -> Recipe:  # noqa: PYI034 - Self came later
        check_names(parameters)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in PARAMETERS:
            object.__setattr__(self, name, checked(name, getattr(self, name)))

    def replace(self, **changes: Any) -> Recipe:
        """The same recipe with some parameters changed.

        Raises:
            RecipeError: A name is unknown or a value out of range or of the wrong kind.
        """
        check_names(changes)
        own = vars(self)
        changed = {name: checked(name, value) for name, value in changes.items()}
        if all(own[name] == value for name, value in changed.items()):
            return self
        recipe = object.__new__(type(self))  # what stays the same was checked when self was made
        vars(recipe).update(own, **changed)
        vars(recipe).pop("key", None)
        vars(recipe).pop("_past", None)
        return recipe

    @property
    def past(self) -> dict[str, int]:
        """How wide the forwards were in which its image was made; empty if it was not made yet.

        A recipe that is read from an image has it, so that the image can be made again to the bit.
        It is no part of the recipe's key, and equal recipes may differ in it.
        """
        return dict(vars(self).get("_past", ()))

    def with_past(self, widths: Mapping[str, int]) -> Recipe:
        """The same recipe as it was made in forwards of these widths, by network."""
        past = widths_of({"widths": widths})
        if self.past == past:
            return self
        recipe = object.__new__(type(self))
        vars(recipe).update(vars(self), _past=past)
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """The parameters that are set, without those at their neutral value."""
        values = vars(self)
        return {name: values[name] for name, rest in AT_REST.items() if values[name] != rest}

    def to_json(self) -> str:
        """Canonical JSON: one text per recipe, ASCII, sorted, without what is not set."""
        given = self.to_dict()
        return "{" + ",".join([_member(name, given[name]) for name in sorted(given)]) + "}"

    @cached_property
    def key(self) -> str:
        """The SHA-256 of the canonical JSON, in hexadecimal: the name of the request."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

    @property
    def generator(self) -> str:
        """The code of a generator that makes it, where its model is known."""
        named = [repr(self.model)] if self.model else []
        named += [f"revision={self.revision!r}"] if self.revision else []
        return f"nbtool.Generator({', '.join(named)})"

    def __str__(self) -> str:
        return printable(self.prompt) or "(no prompt)"

    @classmethod
    def from_dict(cls, parameters: Mapping[str, Any]) -> Recipe:
        """The recipe of a dictionary such as `to_dict` returns.

        Raises:
            RecipeError: A name is unknown or a value out of range or of the wrong kind.
        """
        check_names(parameters)
        return cls(**parameters)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe of a JSON object, read strictly: no NaN, no name twice, no deep nesting.

        Raises:
            RecipeError: The text is no such object.
        """
        try:
            parameters = metadata.strict_json(text)
        except MetadataError as error:
            raise RecipeError(f"not a recipe: {error}") from None
        return cls.from_dict(parameters)

    @classmethod
    def from_file(cls, path: str | Path) -> Recipe:
        """The recipe stored inside an image that nbtool made.

        Raises:
            MetadataError: The file is no PNG, JPEG or WebP image, or carries no nbtool recipe.
        """
        found = metadata.read(Path(path))
        try:
            recipe = cls.from_dict(found["recipe"])
            return recipe.with_past(widths_of(found.get("provenance")))
        except (RecipeError, TypeError) as error:
            raise MetadataError(f"{path}: its recipe cannot be used: {error}") from None


@lru_cache(maxsize=256)  # one recipe of a sweep differs from the next in few
def _member(name: str, value: str | float) -> str:
    return f'"{name}":{json.dumps(value, ensure_ascii=True, allow_nan=False)}'


Recipe.__doc__ = documented(Recipe.__doc__)
