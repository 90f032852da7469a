"""A second pass over an image: it is enlarged, and made anew from there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from nbtool.errors import RecipeError, unknown_name
from nbtool.recipes import checks
from nbtool.recipes.checks import Check
from nbtool.text import digits, shown

MIN_SCALE, MAX_SCALE = 1, 8
LANCZOS, LATENT = "lanczos", "latent"
# What the second pass may have otherwise than the first; None: the same.
CHANGES: dict[str, Check] = {
    "prompt": checks.text,
    "negative_prompt": checks.text,
    "seed": checks.seed,
    "num_inference_steps": checks.whole(1, 1000),
    "guidance_scale": checks.real(0),
    "scheduler": checks.scheduler,
}
CHECKS: dict[str, Check] = {
    "scale": checks.real(MIN_SCALE, MAX_SCALE),
    "strength": checks.real(0, 1),
    "upscale": checks.one_of(LANCZOS, LATENT),
    **CHANGES,
}


@dataclass(frozen=True, kw_only=True)
class Refine:
    """A second pass: the image is enlarged, and made anew from there; others call it "hires fix".

    Args:
        scale: How much larger each side is, 1 to 8.
        strength: How far it may depart from the first pass, 0 to 1.
        upscale: "lanczos" enlarges the pixels; "latent" what the model has in their place, which
            wants a strength of 0.5 or more.
        prompt, negative_prompt, seed, num_inference_steps, guidance_scale, scheduler: Of the second
            pass; None: as in the first.

    Raises:
        RecipeError: A value is out of range or of the wrong kind.
    """

    scale: float = 1.5
    strength: float = 0.4
    upscale: str = LANCZOS
    prompt: str | None = None
    negative_prompt: str | None = None
    seed: int | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        for name in NAMES:
            object.__setattr__(self, name, checked(name, getattr(self, name)))

    @property
    def changes(self) -> dict[str, Any]:
        """What the second pass has otherwise than the first."""
        given = {name: getattr(self, name) for name in CHANGES}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def in_words(self) -> str:
        """What is done, for people."""
        said = [f"enlarged ×{digits(self.scale)}", f"strength {digits(self.strength)}"]
        if self.upscale != LANCZOS:
            said[0] += f" as {self.upscale}"
        said += [f"{name} {shown(value)}" for name, value in self.changes.items()]
        return ", ".join(said)

    def replace(self, **changes: Any) -> Refine:
        """The same with some values changed."""
        return Refine(**{name: getattr(self, name) for name in NAMES} | changes)

    def to_dict(self) -> dict[str, Any]:
        """What a recipe keeps of it: scale, strength, and what else was said."""
        said = {"scale": self.scale, "strength": self.strength} | self.changes
        return said | ({"upscale": self.upscale} if self.upscale != LANCZOS else {})

    def __repr__(self) -> str:
        said = ", ".join(f"{name}={value!r}" for name, value in self.to_dict().items())
        return f"nbtool.refine({said})"


@dataclass(frozen=True)
class Refining:
    """Second passes that vary: each of their values that is several is an axis.

    Attributes:
        first: With the first value of each.
        varied: By name, the several values with their labels.
    """

    first: Refine
    varied: Mapping[str, Mapping[Any, Any]]


NAMES = tuple(field.name for field in fields(Refine))


def check_names(given: Mapping[str, object]) -> None:
    """Refuses a name that a second pass does not have."""
    for name in given:
        if name not in NAMES:
            raise RecipeError("refine: " + unknown_name(name, NAMES, "parameter"))


def checked(name: str, value: object) -> Any:
    """One value as a second pass holds it.

    Raises:
        RecipeError: It is out of range or of the wrong kind.
    """
    if value is None and name in CHANGES:
        return None
    return CHECKS[name].convert(f"refine's {name}", value)


def _refine(_: str, value: object) -> Refine:
    if isinstance(value, Refine):
        return value
    if isinstance(value, Mapping):
        check_names(value)
        return Refine(**value)
    if isinstance(value, Refining):
        names = ", ".join(value.varied)
        raise RecipeError(f"refine has several values for {names}; gen.grid(…) makes all of them")
    raise RecipeError(f"refine is a nbtool.refine(…), got {shown(value)}")


check = Check(checks.PARTS, _refine)
