"""How an image was in fact made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_NETWORKS, MAX_WIDTH = 32, 1024  # of which a file may say how wide they were


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How an image was in fact made; never part of its key.

    Attributes:
        engine: "local": diffusers on this machine.
        pipeline: The class of the pipeline in diffusers; "" where it is not known.
        device: Such as "cuda" or "cpu".
        dtype: Such as "bfloat16".
        placement: What else of how the model was placed can move a pixel, in words.
        batch_width: Rows in the widest forward that it shared with others; guidance takes two rows.
        widths: By network, a width of the class in which it was made: made again in forwards whose
            rows agree with that width's, it is the same to the bit.
        exact: True where it is the same however it is asked for first.
        seconds: Its share of the time that generating took.
        created: The time, in ISO 8601 and UTC.
        versions: Those of nbtool and of the libraries.
        inputs: By the SHA-256 of a picture whose pixels were gone when it was made again: that of
            the pixels that stood in for them.
        hashes: By the names of LoRAs and the like the beginnings of the SHA-256 of their tensors, as
            other programs name them ("AutoV3").
        notes: What the engine had to say, such as a prompt cut short.
        unknown: What a newer nbtool wrote beside or in place of that, as it stood; not compared.
    """

    engine: str = ""
    pipeline: str = ""
    device: str = ""
    dtype: str = ""
    placement: str = ""
    batch_width: int = 1
    widths: dict[str, int] = field(default_factory=dict)
    exact: bool = False
    seconds: float = 0.0
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    unknown: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def to_dict(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in KINDS} | {"notes": list(self.notes)}
        for name in (
            "pipeline",
            "widths",
            "inputs",
            "hashes",
        ):  # as versions wrote it that did not know them
            if not values[name]:
                del values[name]
        return values | self.unknown

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Provenance:
        """Reads what this version knows, and keeps the rest as it is."""
        known = {n: value for n, value in values.items() if isinstance(value, KINDS.get(n, ()))}
        unknown = {name: value for name, value in values.items() if name not in known}
        kept = {"notes": tuple(known.get("notes", ())), "widths": widths_of(values)}
        return cls(**known | kept, unknown=unknown)


KINDS: dict[str, Any] = {
    "engine": str,
    "pipeline": str,
    "device": str,
    "dtype": str,
    "placement": str,
    "batch_width": int,
    "widths": dict,
    "exact": bool,
    "seconds": (int, float),
    "created": str,
    "versions": dict,
    "inputs": dict,
    "hashes": dict,
    "notes": (list, tuple),
}


def widths_of(provenance: object) -> dict[str, int]:
    """The widths that a provenance names, as far as they make sense."""
    given = provenance.get("widths") if isinstance(provenance, dict) else None
    if not isinstance(given, dict) or len(given) > MAX_NETWORKS:
        return {}
    return {
        name: width
        for name, width in given.items()
        if isinstance(name, str) and type(width) is int and 1 <= width <= MAX_WIDTH
    }
