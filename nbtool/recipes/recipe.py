"""A recipe is everything that decides one image."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

from nbtool import files, metadata
from nbtool.errors import MetadataError, RecipeError
from nbtool.imaging import reading
from nbtool.recipes import origins
from nbtool.recipes.checks import MAX_SIDE, SIDE_MULTIPLE
from nbtool.recipes.loras import Loras
from nbtool.recipes.parameters import (
    AT_REST,
    COMPOSED,
    PARAMETERS,
    PICTURES,
    Parameters,
    check_names,
    checked,
    documented,
)
from nbtool.recipes.picture import Load, Picture, Pictures, each
from nbtool.recipes.provenance import widths_of
from nbtool.recipes.refinement import Refine
from nbtool.text import digits, printable, shown

TEXT, IMAGE, INPAINT = "text", "image", "inpaint"  # verbs
ACTS_ON = {
    "mask_image": ("image", "a picture"),
    "strength": ("image", "a picture"),
    "resize_mode": ("image", "a picture"),
    "mask_blur": ("mask_image", "a mask"),
    "mask_padding": ("mask_image", "a mask"),
}
BESIDE = ".input-"  # in the names of pictures that lie beside a file


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
        same = changed.items() <= own.items()
        if same and not changed.keys() & COMPOSED:
            return self
        recipe = object.__new__(type(self))  # what stays the same was checked when self was made
        vars(recipe).update(own, **changed)
        for name in ("_first",) if same else ("key", "_past", "_first"):
            vars(recipe).pop(name, None)  # an equal picture may know more of where its pixels lie
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

    @property
    def verb(self) -> str:
        """What is done: "text", of words alone; "image", from a picture; "inpaint", with a mask.

        A model that only edits takes "image" for an edit. Of a recipe with a second pass it is what
        the first pass does.
        """
        if self.image is None:
            return TEXT
        return IMAGE if self.mask_image is None else INPAINT

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures that it is made from, each once."""
        return tuple(dict.fromkeys((*each(self.image), *each(self.mask_image))))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its image in pixels; 0 where that is left open."""
        own = self.width or 0, self.height or 0
        if self.mask_padding is not None and self.image is not None:
            own = each(self.image)[0].size
        return _enlarged(own, self.refine.scale) if self.refine else own

    def require_whole(self) -> None:
        """Refuses what cannot be made, since parts of it make no sense without each other.

        Raises:
            RecipeError: With what is missing.
        """
        self.require_known()
        own = vars(self)
        for name, (wanted, what) in ACTS_ON.items():
            if own[wanted] is None and own[name] != AT_REST[name]:
                needs = f"{name} needs {what} to act on"
                raise RecipeError(
                    f"{needs}; give {wanted}=…, or leave it out",
                    in_shell=f"{needs}; add {wanted}=FILE, or leave it out",
                )
        if self.refine:
            _ = self.last_pass  # which may be larger than images can be

    @property
    def needs(self) -> tuple[Recipe, ...]:
        """The recipes whose images it is made from, as far as these are not to be had yet."""
        wanted = [one.recipe for one in self.sources if one.recipe and not one.is_here]
        return tuple(dict.fromkeys(wanted))

    @property
    def sources(self) -> tuple[Picture, ...]:
        """All that it is made from at once: its pictures, or the image of its first pass."""
        first = self.first_pass
        return (self._first_picture(first),) if first else self.pictures

    @property
    def chain(self) -> list[Recipe]:
        """The recipes on the way to it, from words or the first picture on; it comes last."""
        before = [one.earlier for one in self.sources if one.earlier]
        way = dict.fromkeys(step for recipe in before for step in recipe.chain)
        return [*way, self]

    @property
    def first_pass(self) -> Recipe | None:
        """The recipe without its second pass; None where it has none."""
        return self.replace(refine=None) if self.refine else None

    @property
    def last_pass(self) -> Recipe:
        """What is made last, as one pass: from the image of the first, where there are two.

        The picture of the first pass is fitted to width and height as a larger picture is, by
        Lanczos; with `refine.upscale == "latent"` the engine enlarges it as the model has it.
        """
        first = self.first_pass
        return second_pass(first, self.refine, self._first_picture(first)) if first else self

    def _first_picture(self, first: Recipe) -> Picture:
        known: Picture | None = vars(self).get("_first")
        return known or Picture(first)

    def with_pictures(self, known: Callable[[Picture], Picture]) -> Recipe:
        """The same recipe, whose pictures know more: where their pixels lie, and what made them.

        Args:
            known: Given a picture: an equal one. It is asked too of the picture of a first pass.
        """
        given = {name: getattr(self, name) for name in PICTURES if getattr(self, name) is not None}
        if not given and not self.refine:
            return self
        recipe = object.__new__(type(self))
        vars(recipe).update(vars(self))
        for name, value in given.items():
            one = isinstance(value, Picture)
            vars(recipe)[name] = known(value) if one else Pictures(map(known, value))
        if first := recipe.first_pass:
            vars(recipe)["_first"] = known(recipe._first_picture(first))
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """The parameters that are set, without those at their neutral value."""
        values = vars(self)
        known = {name: values[name] for name, rest in AT_REST.items() if values[name] != rest}
        for name in COMPOSED & known.keys():
            known[name] = recorded(known[name])
        return known | self.unknown if "_unknown" in values else known

    def in_words(self) -> dict[str, Any]:
        """The same for people: pictures by their names, and a second pass in words."""
        return self.to_dict() | {n: _named_value(v) for n in COMPOSED if (v := getattr(self, n))}

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
        return cls(**cls._recorded(parameters))

    @classmethod
    def from_record(cls, parameters: Mapping[str, Any]) -> Recipe:
        """The recipe of a dictionary that an nbtool wrote; what is `unknown` is kept in it.

        Raises:
            RecipeError: A value is out of range or of the wrong kind.
        """
        known = {name: parameters[name] for name in PARAMETERS if name in parameters}
        recipe = cls(**cls._recorded(known))
        if unknown := {n: value for n, value in parameters.items() if n not in PARAMETERS}:
            vars(recipe)["_unknown"] = unknown
        return recipe

    @classmethod
    def _recorded(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a dictionary; a picture in it is known by its hash, never by a path."""
        read = {name: cls.recorded(name, parameters[name]) for name in COMPOSED & parameters.keys()}
        return {**parameters, **read}

    @classmethod
    def recorded(cls, name: str, value: Any) -> Any:
        """A parameter's value as a dictionary or a file has it; no path in it is opened.

        Raises:
            RecipeError: It is none.
        """
        if name == "loras" and isinstance(value, Mapping):
            raise RecipeError(
                f"loras: a recipe has LoRAs by their hash, got {shown(value)}, of which no file is "
                f"opened; give them themselves: recipe.replace(loras=…)"
            )
        if name not in PICTURES or value is None or isinstance(value, (Picture, Pictures)):
            return checked(name, value)
        if isinstance(value, (list, tuple)):
            return checked(name, Pictures([cls._picture(name, one) for one in value]))
        return checked(name, cls._picture(name, value))

    @classmethod
    def _picture(cls, name: str, said: Any) -> Picture:
        if not isinstance(said, Mapping):
            raise RecipeError(
                f"{name}: a recipe has pictures by their hash, got {shown(said)}, which is not "
                f"opened; give the picture itself: recipe.replace({name}=…)"
            )
        return Picture.from_dict(said, cls.from_record)

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
        found, carried = metadata.read_whole(path)
        places = partial(_places, carried=carried, path=files.expanded(path))
        return cls.from_said(found, str(path), carried.origins, places)

    @classmethod
    def from_image(cls, data: bytes, name: str = "the image") -> Recipe:
        """The recipe stored inside an image file's bytes; `name` is what errors call it.

        Raises:
            MetadataError: As `from_file`.
        """
        found, carried = metadata.read_from(io.BytesIO(data), name), metadata.carried_in(data)
        places = partial(_places, carried=carried, path=None)
        return cls.from_said(found, name, carried.origins, places)

    @classmethod
    def from_said(
        cls, found: Mapping[str, Any], name: str, origins_text: str, places: origins.Places
    ) -> Recipe:
        """The recipe in what an image says of itself.

        Args:
            found: As `nbtool.metadata.read` has it.
            name: What errors call the image.
            origins_text: JSON that it carries of its pictures; "" for none.
            places: Where their pixels may lie.

        Raises:
            MetadataError: It cannot be used, or only a newer nbtool knows it.
        """
        try:
            recipe = cls.from_record(found["recipe"])
        except RecipeError as error:
            raise MetadataError(f"{name}: its recipe cannot be used: {error}") from None
        if recipe.unknown:
            raise MetadataError(f"{name} was made by {_newer(recipe.unknown)}")
        said = found.get("inputs")
        if origins_text:
            with contextlib.suppress(MetadataError):
                said = metadata.strict_json(origins_text)
        known: Recipe = origins.bound(recipe, said, places, cls.from_record)
        return known.with_past(widths_of(found.get("provenance")))


def beside(path: Path, digest: str) -> Path:
    """Where a picture lies that a file cannot carry: beside it."""
    return path.with_name(f"{path.stem}{BESIDE}{digest[:8]}.png")


def _places(picture: Picture, carried: metadata.Carried, path: Path | None) -> Iterator[Load]:
    """Where a file has the pixels of a picture: in itself, or beside it."""
    if data := carried.pictures.get(picture.digest):
        yield lambda: reading.read(data).image
    if path is not None and picture.digest:
        yield lambda: reading.read(beside(path, picture.digest)).image


def second_pass(first: Recipe, refine: Refine | None, picture: Picture) -> Recipe:
    """The recipe that makes an image anew from another, enlarged: the whole of it, without masks.

    Args:
        first: What made the other.
        refine: How.
        picture: The other.

    Raises:
        RecipeError: It would be too large.
    """
    assert refine
    width, height = _enlarged(picture.size, refine.scale)
    if max(width, height) > MAX_SIDE:
        raise RecipeError(
            f"refine would give it a width and height of {width} × {height}; at most {MAX_SIDE} × "
            f"{MAX_SIDE} can be made: give a scale below {digits(refine.scale)}"
        )
    return first.replace(
        **refine.changes,
        image=picture,
        strength=refine.strength,
        width=width,
        height=height,
        resize_mode="stretch",
        mask_image=None,
        mask_blur=0,
        mask_padding=None,
        refine=None,
    )


def _enlarged(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """A size made larger, in steps that models take which took it as it was."""
    coarse = 2 * SIDE_MULTIPLE
    multiple = SIDE_MULTIPLE if any(side % coarse for side in size) else coarse
    width, height = (max(1, round(side * scale / multiple)) * multiple for side in size)
    return width, height


def recorded(value: Picture | Pictures | Refine | Loras) -> Any:
    """What a dictionary has of a value that has parts."""
    return [one.to_dict() for one in value] if isinstance(value, Pictures) else value.to_dict()


def _named_value(value: Picture | Pictures | Refine | Loras) -> str:
    if isinstance(value, (Refine, Loras)):
        return value.in_words
    return " and ".join(one.name or one.key[:8] for one in each(value))


def canonical(parameters: Mapping[str, Any]) -> str:
    """The one JSON text of a recipe's dictionary: ASCII, sorted, without spaces."""
    names = sorted(parameters)
    members = []
    for name in names:
        try:
            members.append(_kept_member(name, parameters[name]))
        except TypeError:  # a picture, or a list or the like of a newer nbtool
            members.append(_member(name, parameters[name]))
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
