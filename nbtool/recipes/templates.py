"""Words in braces and replacements: what becomes of a prompt in a cell. Pure functions."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence

from nbtool.recipes.labels import canonical

_BRACES = re.compile(r"\{\{([^{}]*)\}\}|\{([^{}]*)\}")
_LATEX = re.compile(r"\\[A-Za-z]+\s*\{|\^\{")

Swap = tuple[str, str]  # text searched for, text put there


def names(prompt: str) -> list[str]:
    """The names in single braces, in the letters of any script."""
    found = (canonical(single) for _, single in _BRACES.findall(prompt))
    return [name for name in dict.fromkeys(found) if name.isidentifier()]


def needed(prompt: str) -> list[str]:
    """The names that something must fill: all, but none where LaTeX has braces of its own."""
    return [] if _LATEX.search(prompt) else names(prompt)


def filled(prompt: str, words: Mapping[str, str]) -> str:
    """The prompt with `{name}` filled and `{{name}}` as `{name}`, for the names of the words.

    All other braces stay as they are.
    """

    def fill(match: re.Match[str]) -> str:
        doubled, single = match.groups()
        if single is not None:
            return words.get(canonical(single), match[0])
        return f"{{{doubled}}}" if canonical(doubled) in words else match[0]

    return _BRACES.sub(fill, prompt) if words and "{" in prompt else prompt


def replaced(prompt: str, swaps: Sequence[Swap]) -> str:
    """The prompt with all replacements at once: none acts on what another put there."""
    if not swaps:
        return prompt
    put = dict(swaps)
    return _any_of(tuple(put)).sub(lambda match: put[match[0]], prompt)


@functools.lru_cache(maxsize=16)
def _any_of(texts: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, texts)))


def overlap(prompt: str, searched: Iterable[str]) -> tuple[str, str] | None:
    """Two texts searched for that have letters of the prompt in common, if there are."""
    spans = sorted(
        (match.span(), text)
        for text in searched
        for match in re.finditer(re.escape(text), prompt)
    )  # fmt: skip
    for ((_, end), text), ((start, _), other) in itertools.pairwise(spans):
        if start < end:
            return text, other
    return None
