"""LoRAs in a recipe: which ones, known by what is in their files, and how strongly each acts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from nbtool.errors import RecipeError
from nbtool.recipes import checks
from nbtool.recipes.checks import Check
from nbtool.text import digits, printable, shown

MOST = 20  # of a weight, in either direction
_DIGEST = re.compile("[0-9a-f]{12}")
_WEIGHT = checks.real(-MOST, MOST)


@dataclass(frozen=True)
class Lora:
    """A LoRA and its weight.

    Args:
        name: What people call it; on the hub its repository and file.
        digest: The beginning of the SHA-256 of its file; "" where that cannot be read.
        weight: 0 does nothing, 1 is as it was trained; it may be negative.
        text_weight: For the text encoders; None: the same.
        fault: Why it is of no use; "" if it is.
    """

    name: str
    digest: str
    weight: float = 1.0
    text_weight: float | None = None
    fault: str = field(default="", compare=False)

    @property
    def weights(self) -> tuple[float, float]:
        """For the network that denoises, and for the text encoders."""
        return self.weight, self.weight if self.text_weight is None else self.text_weight

    @property
    def key(self) -> str:
        """What tells it from others, and in which order they are applied."""
        return self.digest or self.name

    def weighing(self, weight: float, text_weight: float | None = None) -> Lora:
        """The same with another weight."""
        return replace(self, weight=weight, text_weight=text_weight)

    @property
    def in_words(self) -> str:
        """Its name and weights, for people: "ink 0.8", "ink 0.8, text 0.4"."""
        text = "" if self.text_weight is None else f", text {digits(self.text_weight)}"
        return f"{printable(self.name)} {digits(self.weight)}{text}"

    def to_dict(self) -> dict[str, Any]:
        """What a recipe keeps of it."""
        said: dict[str, Any] = {"name": self.name, "sha256": self.digest, "weight": self.weight}
        return said if self.text_weight is None else {**said, "text_weight": self.text_weight}

    @classmethod
    def from_dict(cls, said: Any) -> Lora:
        """The LoRA of a dictionary such as `to_dict` returns.

        Raises:
            RecipeError: It is no such dictionary.
        """
        known = said if isinstance(said, Mapping) else {}
        name, digest = known.get("name"), known.get("sha256")
        if (
            known.keys() - {"text_weight"} != {"name", "sha256", "weight"}
            or not (isinstance(name, str) and isinstance(digest, str))
            or not (_DIGEST.fullmatch(digest) or not digest)
        ):
            raise RecipeError(f"a LoRA in a recipe is its name, hash and weight, got {shown(said)}")
        return cls(name, digest, *weights(name, (known["weight"], known.get("text_weight"))))


class Loras:
    """The LoRAs of a recipe, in the order in which they are applied; none twice.

    Those of weight 0 are left out: they do nothing.
    """

    _resolving: ClassVar[list[Callable[[Any], Lora]]] = []

    @classmethod
    def resolve_by(cls, resolve: Callable[[Any], Lora]) -> None:
        """Decides how the LoRA is found that a name, a path or a hub id means."""
        cls._resolving[:] = [resolve]

    @classmethod
    def found(cls, source: Any) -> Lora:
        """The LoRA that a name, a path or a hub id means, at weight 1.

        Raises:
            PartError: It cannot be used.
        """
        if isinstance(source, Lora):
            return source.weighing(1.0)
        return cls._resolving[0](source)

    def __init__(self, loras: Iterable[Lora] = ()) -> None:
        acting = [one for one in loras if any(one.weights)]
        self._loras = tuple(sorted(acting, key=lambda one: one.key))

    def plus(self, others: Iterable[Lora]) -> Loras:
        """These and others; of one that is there already the weights add up.

        Raises:
            RecipeError: A weight becomes too great.
        """
        summed = {one.key: one for one in self}
        for other in others:
            if (known := summed.get(other.key)) is not None:
                pairs = zip(known.weights, other.weights, strict=True)
                weight, text = (round(a + b, 12) for a, b in pairs)
                apart = known.text_weight is not None or other.text_weight is not None
                other = known.weighing(*weights(known.name, (weight, text if apart else None)))  # noqa: PLW2901
            summed[other.key] = other
        return Loras(summed.values())

    @property
    def in_words(self) -> str:
        """Their names and weights, for people."""
        return " + ".join(one.in_words for one in sorted(self, key=lambda one: one.name))

    def to_dict(self) -> list[dict[str, Any]]:
        """What a recipe keeps of them."""
        return [one.to_dict() for one in self]

    def __iter__(self) -> Iterator[Lora]:
        return iter(self._loras)

    def __len__(self) -> int:
        return len(self._loras)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Loras) and self._loras == other._loras

    def __hash__(self) -> int:
        return hash(self._loras)

    def __repr__(self) -> str:
        return repr({one.name: _given(one) for one in self})


def _given(lora: Lora) -> float | tuple[float, float]:
    return lora.weight if lora.text_weight is None else (lora.weight, lora.text_weight)


def weights(name: str, value: object) -> tuple[float, float | None]:
    """A weight, and the text encoders' own or None, of a number or a pair of them.

    Raises:
        RecipeError: It is neither, or out of range.
    """
    pair = list(value) if isinstance(value, (tuple, list)) else [value]
    if len(pair) not in (1, 2):
        raise RecipeError(
            f"the weight of the LoRA {name!r} is a number, or a pair of one for the model and one "
            f"for the text encoder, got {shown(value)}"
        )
    weight = _weight(name, pair[0])
    text = _weight(name, pair[1]) if pair[1:] and pair[1] is not None else None
    return weight, None if text == weight else text


def _weight(name: str, value: object) -> float:
    checked: float = _WEIGHT.convert(f"the weight of the LoRA {name!r}", value)
    return checked


def _loras(name: str, value: object) -> Loras | None:
    if isinstance(value, Loras):
        return value or None
    if isinstance(value, list) and all(isinstance(one, Mapping) for one in value):  # of a record
        return Loras(map(Lora.from_dict, value)) or None
    if not isinstance(value, Mapping):
        raise RecipeError(
            f"{name} is a dict of LoRAs and their weights, such as {{'ink.safetensors': 0.8}}; "
            f"got {shown(value)}"
        )
    found: dict[str, tuple[Any, Lora]] = {}
    for source, weight in value.items():
        lora = Loras.found(source)
        lora = lora.weighing(*weights(lora.name, weight))
        if lora.key in found:
            raise RecipeError(
                f"{name}: {shown(found[lora.key][0])} and {shown(source)} are the same LoRA; give "
                f"it once"
            )
        found[lora.key] = source, lora
    return Loras(lora for _, lora in found.values()) or None


check = Check(checks.PARTS, _loras)
