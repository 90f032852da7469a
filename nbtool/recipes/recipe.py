"""A recipe is everything that decides one image."""

from __future__ import annotations

import hashlib
import io
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
from nbtool.text import printable, shown


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

    def __new__(cls, /, *_: object, **parameters: object) -> Recipe:  # noqa: PYI034 - Self came later
        check_names(parameters)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in PARAMETERS:
            object.__setattr__(self, name, checked(name, getattr(self, name)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.to_dict() == other.to_dict()

    __hash__ = Parameters.__hash__

    def replace(self, /, **changes: Any) -> Recipe:
        """The same recipe with some parameters changed.

        Raises:
            RecipeError: A name is unknown or a value out of range or of the wrong kind.
        """
        check_names(changes)
        own = vars(self)
        changed = {name: checked(name, value) for name, value in changes.items()}
        if changed.items() <= own.items():
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

    @property
    def unknown(self) -> dict[str, Any]:
        """What a newer nbtool wrote into it that this one does not know; part of its key."""
        return dict(vars(self).get("_unknown", ()))

    def require_known(self) -> None:
        """Refuses a recipe that cannot be made here, since not all of it is known.

        Raises:
            RecipeError: A newer nbtool wrote it.
        """
        if self.unknown:
            raise RecipeError(f"this recipe was made by {_newer(self.unknown)}")

    def to_dict(self) -> dict[str, Any]:
        """The parameters that are set, without those at their neutral value."""
        values = vars(self)
        known = {name: values[name] for name, rest in AT_REST.items() if values[name] != rest}
        return known | self.unknown if "_unknown" in values else known

    def to_json(self) -> str:
        """Canonical JSON: one text per recipe, ASCII, sorted, without what is not set."""
        return canonical(self.to_dict())

    @cached_property
    def key(self) -> str:
        """The SHA-256 of the canonical JSON, in hexadecimal: the name of the request."""
        return key_of(self.to_dict())

    @property
    def generator(self) -> str:
        """The code of a generator that makes it, where its model is known."""
        named = [repr(self.model)] if self.model else []
        named += [f"revision={self.revision!r}"] if self.revision else []
        return f"nbtool.Generator({', '.join(named)})"

    def __repr__(self) -> str:
        known = super().__repr__()
        return (
            f"{known[:-1]}; of a newer nbtool: {_named(self.unknown)})" if self.unknown else known
        )

    def __str__(self) -> str:
        return printable(self.prompt) or "(no prompt)"

    @classmethod
    def from_dict(cls, parameters: Mapping[str, Any]) -> Recipe:
        """The recipe of a dictionary such as `to_dict` returns.

        Raises:
            RecipeError: A name is unknown or a value out of range or of the wrong kind.
        """
        if not isinstance(parameters, Mapping):
            raise RecipeError(
                f"a recipe is read from a dict of parameters, got {shown(parameters)}"
            )
        check_names(parameters)
        return cls(**parameters)

    @classmethod
    def from_record(cls, parameters: Mapping[str, Any]) -> Recipe:
        """The recipe of a dictionary that an nbtool wrote; what is `unknown` is kept in it.

        Raises:
            RecipeError: A value is out of range or of the wrong kind.
        """
        recipe = cls(**{name: parameters[name] for name in PARAMETERS if name in parameters})
        if unknown := {n: value for n, value in parameters.items() if n not in PARAMETERS}:
            vars(recipe)["_unknown"] = unknown
        return recipe

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
            MetadataError: The file is no PNG, JPEG or WebP image, carries no nbtool recipe, or
                one that only a newer nbtool knows.
            StoreError: No file can have such a name.
        """
        return cls._found(metadata.read(path), str(path))

    @classmethod
    def from_image(cls, data: bytes, name: str = "the image") -> Recipe:
        """The recipe stored inside an image file's bytes; `name` is what errors call it.

        Raises:
            MetadataError: As `from_file`.
        """
        return cls._found(metadata.read_from(io.BytesIO(data), name), name)

    @classmethod
    def _found(cls, found: Mapping[str, Any], name: str) -> Recipe:
        try:
            recipe = cls.from_record(found["recipe"])
        except RecipeError as error:
            raise MetadataError(f"{name}: its recipe cannot be used: {error}") from None
        if recipe.unknown:
            raise MetadataError(f"{name} was made by {_newer(recipe.unknown)}")
        return recipe.with_past(widths_of(found.get("provenance")))


def canonical(parameters: Mapping[str, Any]) -> str:
    """The one JSON text of a recipe's dictionary: ASCII, sorted, without spaces."""
    names = sorted(parameters)
    try:
        members = [_kept_member(name, parameters[name]) for name in names]
    except TypeError:  # a list or the like, of a newer nbtool
        members = [_member(name, parameters[name]) for name in names]
    return "{" + ",".join(members) + "}"


def key_of(parameters: Mapping[str, Any]) -> str:
    """The key of a recipe's dictionary, whether or not all of it is known."""
    return hashlib.sha256(canonical(parameters).encode("ascii")).hexdigest()


def _member(name: str, value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"{json.dumps(name)}:{text}"


# One recipe of a sweep differs from the next in few.
_kept_member = lru_cache(maxsize=256, typed=True)(_member)


def _newer(unknown: Mapping[str, Any]) -> str:
    return f"a newer nbtool: it has {_named(unknown)}, which this one does not know; update nbtool"


def _named(unknown: Mapping[str, Any]) -> str:
    return ", ".join(f"{printable(name)}={shown(value)}" for name, value in unknown.items())


Recipe.__doc__ = documented(Recipe.__doc__)
