"""How an image was in fact made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nbtool.errors import RecipeError
from nbtool.text import shown


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How an image was in fact made; never part of its key.

    Attributes:
        engine: "local": diffusers on this machine.
        device: Such as "cuda" or "cpu".
        dtype: Such as "bfloat16".
        placement: What else of how the model was placed can move a pixel, in words.
        batch_width: Rows in the widest forward that it shared with others; guidance takes two rows.
        exact: True where its pixels depend on nothing it was batched with.
        seconds: Its share of the time that generating took.
        created: The time, in ISO 8601 and UTC.
        versions: Those of nbtool and of the libraries.
        notes: What the engine had to say, such as a prompt cut short.
    """

    engine: str = ""
    device: str = ""
    dtype: str = ""
    placement: str = ""
    batch_width: int = 1
    exact: bool = False
    seconds: float = 0.0
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return values | {"notes": list(self.notes)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Provenance:
        """Reads what this version knows and passes over the rest.

        Raises:
            RecipeError: A value is of the wrong kind.
        """
        known = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        for name, value in known.items():
            if not isinstance(value, _KINDS[name]):
                raise RecipeError(f"the provenance has {name} {shown(value)}")
        return cls(**known | {"notes": tuple(known.get("notes", ()))})


_KINDS: dict[str, Any] = {
    "engine": str,
    "device": str,
    "dtype": str,
    "placement": str,
    "batch_width": int,
    "exact": bool,
    "seconds": (int, float),
    "created": str,
    "versions": dict,
    "notes": (list, tuple),
}
