"""What is varied, in words, by how many values each axis has."""

from __future__ import annotations

from collections.abc import Mapping

from nbtool.recipes.parameters import ROWS, called, extent


def varied(lengths: Mapping[str, int]) -> str:
    """Axes in words: "60 seeds × 3 guidance"; of a pair without a name "2 width and height"."""
    return " × ".join(
        f"{number:,} {' and '.join(pair).lower()}"
        if (pair := _together(name))[1:]
        else extent({name: number})
        for name, number in lengths.items()
    )


def _together(name: str) -> list[str]:
    """The labels of the parameters whose names are joined in that of an axis; none where they are not."""
    if name in ROWS:
        return [called(name)]
    for first in ROWS:
        rest = name.removeprefix(f"{first}_")
        if rest != name and (others := _together(rest)):
            return [called(first), *others]
    return []
