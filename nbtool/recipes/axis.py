"""An axis of a sweep: labels, and what each of them does to a recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

from nbtool.errors import AxisError
from nbtool.recipes import given, refinement
from nbtool.recipes.labels import Lookup, parts
from nbtool.recipes.loras import Lora
from nbtool.recipes.parameters import PICTURES, called, checked, extent, titled
from nbtool.recipes.picture import Picture, Pictures
from nbtool.recipes.preset import Preset
from nbtool.recipes.recipe import Recipe
from nbtool.recipes.templates import Swap
from nbtool.text import printable, shown

MAX_LISTED = 20  # labels in a message
TIMES = " × "


class Edit(NamedTuple):
    """What one position of an axis does to a recipe."""

    parameters: Mapping[str, Any] = {}
    words: Mapping[str, str] = {}  # for {name} in the prompts
    swap: Swap | None = None
    recipe: Recipe | None = None  # takes the place of the whole
    preset: Preset | None = None  # what it sets besides gives way to all parameters above
    refine: Mapping[str, Any] = {}  # of the second pass
    fits: Mapping[str, Any] = {}  # what suits the above, where nothing else is said
    loras: Mapping[str, Lora | None] = {}  # added to those there are, each in a slot of its own
    weights: Mapping[str, tuple[float, float | None]] = {}  # of the LoRA in a slot


@dataclass(frozen=True)
class Axis:
    """A named direction of a sweep: a label and an edit for each position."""

    name: str
    labels: tuple[Any, ...]
    edits: tuple[Edit, ...]
    drawn: bool = False  # its seeds, or some of them: others at the next call

    def __post_init__(self) -> None:
        if not self.labels:
            raise AxisError(f"the axis {self.name!r} has no values")
        if twice := [label for label, n in Counter(self.labels).items() if n > 1]:
            text = repr(twice[0]) if isinstance(twice[0], str) else Lookup(twice[:1], repr).texts[0]
            raise AxisError(f"the axis {self.name!r} holds {text} twice")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def parameters(self) -> frozenset[str]:
        """The recipe parameters that this axis sets."""
        return frozenset(self.edits[0].parameters)

    @property
    def texts(self) -> tuple[str, ...]:
        """The labels as people read them; no two look alike."""
        return self._lookup.texts

    @cached_property
    def called(self) -> str:
        """Its name for people, with the labels of the parameters it sets; words keep their own."""
        edit = self.edits[0]
        if edit.words or edit.swap or edit.loras or edit.weights:
            return printable(self.name)
        if edit.refine:
            return titled(self.name)
        names = list(edit.parameters)
        if len(names) < 2:
            return called(self.name)
        all_of_them = TIMES.join(map(called, names))
        return (
            all_of_them
            if self.name == "_".join(names)
            else f"{printable(self.name)} ({all_of_them})"
        )

    @cached_property
    def captions(self) -> tuple[str, ...]:
        """What is said of an image at each position: "Guidance 5", "Width 512 · Height 768"."""
        names = [called(name) for name in self.edits[0].parameters]
        if self.edits[0].loras:
            return tuple(map(_added, self.edits))
        if self.edits[0].weights:
            return tuple(f"weight {text}" for text in self.texts)
        if len(names) < 2:
            return tuple(f"{self.called} {text}" for text in self.texts)
        said = (zip(names, texts, strict=True) for texts in parts(self.labels))
        return tuple(" · ".join(f"{name} {text}" for name, text in pairs) for pairs in said)

    @property
    def pictures(self) -> dict[Any, Picture | Pictures]:
        """The pictures that it sets, by label; empty where it sets none."""
        names = [name for name in self.edits[0].parameters if name in PICTURES]
        return {
            label: edit.parameters[names[0]]
            for label, edit in zip(self.labels, self.edits, strict=True)
            if names
        }

    def position(self, label: object) -> int:
        """Where a label stands that is asked for as it is, as it was given, or as it is shown.

        Raises:
            AxisError: It is not on this axis.
        """
        found = self._lookup.position(label)
        if found is None:
            known = ", ".join(self.texts[:MAX_LISTED]) + (", …" if len(self) > MAX_LISTED else "")
            raise AxisError(
                f"no {printable(self.name)} {shown(label)} in this grid; there are: {known}"
            )
        return found

    def value(self, parameter: str, asked: object) -> Any:
        """The value of one of its parameters that is asked for; None if it is not there.

        It may be asked for by what it is called, or as it was given.
        """
        if isinstance(asked, str):
            for value, part in self._parts[parameter].items():
                if part == asked:
                    return value
        return self._columns[parameter].label(asked)

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self.labels, self._held)

    @cached_property
    def _columns(self) -> dict[str, Lookup]:
        """The different values of each parameter."""
        return {
            name: Lookup(
                [*dict.fromkeys(e.parameters[name] for e in self.edits)], partial(checked, name)
            )
            for name in self.edits[0].parameters
        }

    def _held(self, label: Any) -> Any:
        """A label as this axis would hold it."""
        names = list(self.edits[0].parameters)
        if refined := list(self.edits[0].refine):
            return refinement.checked(refined[0], label)
        if not names:
            return given.word(self.name, label)
        if names[0] in PICTURES and len(names) == 1:
            picture = checked(names[0], label)
            return next((own for own, one in self.pictures.items() if one == picture), None)
        if len(names) == 1:
            return checked(names[0], label)
        asked = label if isinstance(label, Sequence) and len(label) == len(names) else names
        values = map(self.value, names, asked)
        return tuple(self._parts[n].get(value) for n, value in zip(names, values, strict=True))

    @cached_property
    def _parts(self) -> dict[str, dict[Any, Any]]:
        """Of each of several parameters, what its values are called in the labels."""
        parts = zip(*self.labels, strict=True) if len(self.parameters) > 1 else [self.labels]
        return {
            name: {e.parameters[name]: part for e, part in zip(self.edits, called, strict=True)}
            for name, called in zip(self.edits[0].parameters, parts, strict=True)
        }


def _added(edit: Edit) -> str:
    """What is said of the LoRAs that a position adds."""
    added = [lora.in_words for lora in edit.loras.values() if lora and any(lora.weights)]
    return " + ".join(added) or "without"


def along(axes: Iterable[Axis]) -> str:
    """Axes in words, by how many values each has: "60 seeds × 3 guidance"."""
    return extent({axis.name: len(axis) for axis in axes})
