"""A recipe is everything that decides one image."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from nbtool import metadata, schedulers
from nbtool.errors import MetadataError, RecipeError, unknown_name
from nbtool.text import printable, shown

MAX_PROMPT = 20_000  # characters; what is embedded in a PNG must be readable by other programs
MIN_SIDE, MAX_SIDE = 16, 8192  # pixels
SIDE_MULTIPLE = 8  # pixels to a latent
MAX_SEED = 2**64 - 1  # what torch.Generator.manual_seed takes


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides one image.

    What is None is left to the model's defaults and filled in before an image is made. Names
    and meanings are those of diffusers' pipelines.

    Args:
        prompt: What to draw; at most 20,000 characters.
        negative_prompt: What to stay away from; needs a guidance_scale above 1.
        seed: Decides the starting noise, 0 to 2⁶⁴ - 1. None or -1: drawn before the run.
        num_inference_steps: Denoising steps, 1 to 1000.
        guidance_scale: How strongly the prompt is followed, 0 or more; up to 1 means not guided.
        scheduler: A short name such as "euler_a" or "dpm++2m_karras", or a diffusers class name.
        width: In pixels, a multiple of 8 from 16 to 8192.
        height: In pixels, a multiple of 8 from 16 to 8192.
        guidance_rescale: Against overexposure at high guidance, 0 to 1 (arXiv:2305.08891).
        clip_skip: How many of the text encoder's last layers to leave out, 0 to 24.
        eta: Noise added back at each step by DDIM, 0 to 1; other schedulers ignore it.
        model: Catalogue name, hub id, or folder.
        revision: The model's commit on the hub.

    Raises:
        RecipeError: A name is unknown or a value out of range or of the wrong kind.
    """

    prompt: str = ""
    negative_prompt: str = ""
    seed: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    width: int | None = None
    height: int | None = None
    guidance_rescale: float = 0.0
    clip_skip: int = 0
    eta: float = 0.0
    model: str | None = None
    revision: str | None = None

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
        changed = {name: checked(name, value) for name, value in changes.items()}
        recipe = object.__new__(type(self))  # what stays the same was checked when self was made
        vars(recipe).update(vars(self), **changed)
        vars(recipe).pop("key", None)
        return recipe

    def to_dict(self) -> dict[str, Any]:
        """The parameters that are set, without those at their neutral value."""
        values = vars(self)
        return {name: values[name] for name, rest in _AT_REST.items() if values[name] != rest}

    def to_json(self) -> str:
        """Canonical JSON: one text per recipe, ASCII, sorted, without what is not set."""
        given = self.to_dict()
        return "{" + ",".join([_member(name, given[name]) for name in sorted(given)]) + "}"

    @cached_property
    def key(self) -> str:
        """The SHA-256 of the canonical JSON, in hexadecimal: the name of the request."""
        return hashlib.sha256(self.to_json().encode("ascii")).hexdigest()

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
        recipe = metadata.read(Path(path))["recipe"]
        try:
            return cls.from_dict(recipe)
        except (RecipeError, TypeError) as error:
            raise MetadataError(f"{path}: its recipe cannot be used: {error}") from None


def check_names(parameters: Mapping[str, object]) -> None:
    """Refuses a name that is no parameter, with the nearest one that is."""
    for name in parameters:
        if name not in PARAMETERS:
            raise RecipeError(unknown_name(name, PARAMETERS, "parameter"))


@lru_cache(maxsize=256)  # one recipe of a sweep differs from the next in few
def _member(name: str, value: str | float) -> str:
    return f'"{name}":{json.dumps(value, ensure_ascii=True, allow_nan=False)}'


def checked(name: str, value: object) -> Any:
    """A parameter's value as a recipe holds it.

    Raises:
        RecipeError: It is out of range or of the wrong kind.
    """
    if value is not None:
        return _CHECKS[name](name, value)
    if _AT_REST[name] is not None:
        raise RecipeError(f"{name} must be given, got None")
    return None


def _whole(low: int, high: int) -> Any:
    def check(name: str, value: object) -> int:
        number = _integer(value)
        if number is None or not low <= number <= high:
            raise RecipeError(
                f"{name} must be a whole number from {low} to {high}, got {shown(value)}"
            )
        return number

    return check


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        return None


def _real(low: float, high: float) -> Any:
    limits = f"≥ {low:g}" if high == math.inf else f"from {low:g} to {high:g}"

    def check(name: str, value: object) -> float:
        number = _number(value)
        if not (math.isfinite(number) and low <= number <= high):
            raise RecipeError(f"{name} must be a number {limits}, got {shown(value)}")
        return number + 0.0  # -0.0 becomes 0.0

    return check


def _number(value: Any) -> float:
    if isinstance(value, (bool, str, bytes)):
        return math.nan
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise RecipeError(f"{name} must be text, got {shown(value)}")
    if len(value) > MAX_PROMPT:
        raise RecipeError(f"{name} has {len(value)} characters; at most {MAX_PROMPT} are kept")
    # A pair of surrogates becomes the character it stands for, as it would in JSON; a lone one stays.
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def _side(name: str, value: object) -> int:
    pixels: int = _pixels(name, value)
    if pixels % SIDE_MULTIPLE:
        below = pixels - pixels % SIDE_MULTIPLE
        raise RecipeError(
            f"{name} must be a multiple of {SIDE_MULTIPLE}, got {pixels}; "
            f"try {below} or {below + SIDE_MULTIPLE}"
        )
    return pixels


def _seed(name: str, value: object) -> int | None:
    return None if value == -1 else _fixed_seed(name, value)


def _scheduler(_: str, value: object) -> str:
    return schedulers.canonical(value)


_pixels = _whole(MIN_SIDE, MAX_SIDE)
_fixed_seed = _whole(0, MAX_SEED)
_CHECKS = {
    "prompt": _text,
    "negative_prompt": _text,
    "seed": _seed,
    "num_inference_steps": _whole(1, 1000),
    "guidance_scale": _real(0, math.inf),
    "scheduler": _scheduler,
    "width": _side,
    "height": _side,
    "guidance_rescale": _real(0, 1),
    "clip_skip": _whole(0, 24),
    "eta": _real(0, 1),
    "model": _text,
    "revision": _text,
}
_AT_REST = {f.name: f.default for f in fields(Recipe)}
PARAMETERS = tuple(_CHECKS)
INTEGERS = ("seed", "num_inference_steps", "width", "height", "clip_skip")
REALS = ("guidance_scale", "guidance_rescale", "eta")
NETWORK = frozenset({"model", "revision"})  # what changes the networks, not what they are asked
