"""Words in braces that nothing fills, in the words of the panel."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from nbtool.recipes import templates
from nbtool.recipes.axes import PRESET
from nbtool.recipes.parameters import PARAMETERS


def unfilled(texts: Iterable[str], filled: Collection[str] = ()) -> list[str]:
    """The words in braces of these texts, without those that are filled."""
    names = (name for text in texts for name in templates.needed(text))
    return [name for name in dict.fromkeys(names) if name not in filled]


def alone(names: Iterable[str]) -> str:
    """What to do about these words where one image is asked for; "" if there are none."""
    return "; ".join(
        f"{_nothing_fills(name)}: {_taken(name) or f'add a row {name!r} in the Sweep tab'}, "
        f"or write {{{{{name}}}}}"
        for name in names
    )


def swept(names: Iterable[str]) -> str:
    """What to do about these words in a sweep; "" if there are none."""
    return "; ".join(
        f"{_nothing_fills(name)}: {_taken(name) or f'add a row named {name}'}" for name in names
    )


def _nothing_fills(name: str) -> str:
    return f"nothing fills {{{name}}}"


def _taken(name: str) -> str:
    """What to do where a parameter has the name."""
    return "a parameter is called so; take another word" if name in (*PARAMETERS, PRESET) else ""
