"""The order in which the cells of a sweep are made: an early look at every row and column."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nbtool.recipes.axes import Index, Sweep
from nbtool.recipes.axis import Axis
from nbtool.recipes.parameters import INTEGERS, NETWORK, REALS

QUANTITIES = frozenset({*INTEGERS, *REALS}) - {"seed"}


def order(sweep: Sweep) -> Iterator[Index]:
    """The indices of a sweep, each once, evenly over the grid from the beginning on.

    Cells for which the networks themselves must be changed, say by another model, come together.
    """
    changing = [i for i, axis in enumerate(sweep.axes) if _changes_networks(axis)]
    others = [i for i in range(len(sweep.axes)) if i not in changing]
    inner = [_places(sweep.axes[i]) for i in others]
    for outer in itertools.product(*(range(sweep.shape[i]) for i in changing)):
        for index in spread(inner):
            places = dict(zip([*changing, *others], [*outer, *index], strict=True))
            yield tuple(places[i] for i in range(len(places)))


def spread(axes: Sequence[Sequence[int]]) -> Iterator[Index]:
    """The indices of a grid along its diagonals: the first few have every row and column.

    Args:
        axes: The places of each axis, in the order in which they are wanted.
    """
    if not axes:
        yield ()
        return
    longest = max(range(len(axes)), key=lambda axis: len(axes[axis]))
    shifts = [range(len(axis)) if i != longest else (0,) for i, axis in enumerate(axes)]
    for shift in itertools.product(*shifts):
        for step in range(len(axes[longest])):
            yield tuple(axis[(step + by) % len(axis)] for axis, by in zip(axes, shift, strict=True))


def _changes_networks(axis: Axis) -> bool:
    """Whether its positions want other networks, or other LoRAs in them."""
    if axis.parameters & NETWORK:
        return True
    loras = [edit.loras or edit.parameters.get("loras") or () for edit in axis.edits]
    return len({tuple(sorted(_keys(one))) for one in loras}) > 1


def _keys(loras: Any) -> Iterator[str]:
    of_a_slot = loras.values() if isinstance(loras, Mapping) else loras
    return (lora.key for lora in of_a_slot if lora)


def _places(axis: Axis) -> Sequence[int]:
    """The places of an axis: of quantities, a few show the whole range; of the rest, in turn."""
    return _jumping(len(axis)) if axis.parameters & QUANTITIES else range(len(axis))


def _jumping(size: int) -> list[int]:
    """0 to size - 1 in van der Corput's order: 0, the middle, the quarters and so on."""
    bits = (size - 1).bit_length()
    reversed_ = (int(f"{i:0{bits}b}"[::-1], 2) if bits else 0 for i in range(2**bits))
    return [place for place in reversed_ if place < size]
