"""Axes of LoRAs: which one, how strongly it acts, or both. They add to what a recipe has."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nbtool.errors import AxisError, PartError
from nbtool.recipes import given
from nbtool.recipes.axis import Axis, Edit
from nbtool.recipes.checks import REAL
from nbtool.recipes.given import Several
from nbtool.recipes.loras import Lora, Loras, weights
from nbtool.text import shown

NAME = "lora"


@dataclass(frozen=True)
class Adding:
    """Two axes of LoRAs: which one, and how strongly it acts."""

    which: Axis
    weight: Axis

    def named(self, name: str) -> tuple[Axis, Axis]:
        """The axes under a name of their own."""
        return named(self.which, name), named(self.weight, name, f"{name}_weight")


def named(axis: Axis, slot: str, name: str = "") -> Axis:
    """An axis under another name, whose LoRAs are told from those of others by that name."""
    edits = tuple(
        edit._replace(
            loras=dict.fromkeys([slot], next(iter(edit.loras.values()))) if edit.loras else {},
            weights=dict.fromkeys([slot], next(iter(edit.weights.values())))
            if edit.weights
            else {},
        )
        for edit in axis.edits
    )
    return Axis(name or slot, axis.labels, edits)


def axes(
    sources: Any, amounts: Any, several: Callable[[Any], Sequence[Any] | None]
) -> Axis | Adding:
    """The axis of one LoRA's weights, or of several LoRAs, or the two of both.

    Args:
        sources: One or several of what names a LoRA.
        amounts: One or several weights.
        several: What a folder or a pattern holds; None for one LoRA.

    Raises:
        RecipeError: A weight is out of range or of the wrong kind.
        AxisError: There is no LoRA, no weight, or one twice.
        PartError: None of the LoRAs can be used.
    """
    which = _which(sources, several)
    amount = given.taken("weights", amounts, REAL)
    if isinstance(amount, Several) and not amount.values:
        raise AxisError("lora has no weights: the list is empty")
    if not isinstance(which, Several):
        lora = Loras.found(which)
        found = _weights(lora.name, amount)
        edits = tuple(Edit(loras={lora.name: lora.weighing(*one)}) for _, one in found)
        return Axis(lora.name, tuple(label for label, _ in found), edits)
    loras = _found(which.values)
    labels = tuple(which.labels or _labels(loras))
    own = _weights(NAME, amount)
    if not isinstance(amount, Several):
        edits = tuple(Edit(loras={NAME: lora and lora.weighing(*own[0][1])}) for lora in loras)
        return Axis(NAME, labels, edits)
    return Adding(
        Axis(NAME, labels, tuple(Edit(loras={NAME: lora}) for lora in loras)),
        Axis(
            f"{NAME}_weight",
            tuple(label for label, _ in own),
            tuple(Edit(weights={NAME: one}) for _, one in own),
        ),
    )


def _which(sources: Any, several: Callable[[Any], Sequence[Any] | None]) -> Any:
    """One source as it is, several as a Several."""
    taken = given.taken("lora", sources)
    if isinstance(taken, Several):
        if not taken.values:
            raise AxisError("lora has no files: the list is empty; does glob.glob(…) find any?")
        return taken
    if isinstance(taken, Lora) or (found := several(taken)) is None:
        return taken
    if not found:
        raise AxisError(f"{shown(taken)} holds no .safetensors files")
    return Several(list(found))


def _weights(name: str, amount: Any) -> list[tuple[Any, tuple[float, float | None]]]:
    """Labels, and what they stand for: weights of the model and of the text encoders."""
    values = amount.values if isinstance(amount, Several) else [amount]
    found = [weights(name, value) for value in values]
    labels = amount.labels if isinstance(amount, Several) else None
    own = [one if text is None else f"{one:g}, text {text:g}" for one, text in found]
    return list(zip(labels or own, found, strict=True))


def _found(sources: Sequence[Any]) -> list[Lora | None]:
    """The LoRAs of several sources; None stands for none of them.

    One that is of no use says so in its own cells, where there are others.

    Raises:
        PartError: All are of no use.
    """
    found: list[Lora | None] = []
    faults: list[PartError] = []
    for source in sources:
        if source is None:
            found.append(None)
            continue
        try:
            found.append(Loras.found(source))
        except PartError as error:
            faults.append(error)
            found.append(Lora(_called(source), "", fault=str(error)))
    if len(faults) == sum(source is not None for source in sources) and faults:
        raise faults[0]
    return found


def _called(source: Any) -> str:
    """The last part of what a LoRA was given as."""
    text = str(source).replace("\\", "/").rstrip("/")
    return text.rpartition("/")[2].removesuffix(".safetensors")


def _labels(loras: Sequence[Lora | None]) -> Iterator[str]:
    """The names of LoRAs; of two that are called alike the hash too."""
    names = [lora.name if lora else "none" for lora in loras]
    for lora, name in zip(loras, names, strict=True):
        alike = names.count(name) > 1
        yield f"{name} ({lora.digest[:8]})" if lora and alike and lora.digest else name


def added(edits: Sequence[Edit]) -> Iterator[Lora]:
    """The LoRAs that some edits add together, each with its weight.

    Raises:
        RecipeError: A weight is out of range.
    """
    chosen = dict(itertools.chain.from_iterable(edit.loras.items() for edit in edits))
    amounts = dict(itertools.chain.from_iterable(edit.weights.items() for edit in edits))
    for slot, lora in chosen.items():
        if lora is not None:
            yield lora.weighing(*amounts[slot]) if slot in amounts else lora
