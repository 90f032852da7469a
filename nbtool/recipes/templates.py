"""Words in braces and replacements: what becomes of a prompt in a cell. Pure functions."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from nbtool.errors import AxisError
from nbtool.recipes.labels import canonical
from nbtool.text import shown

Swap = tuple[str, str]  # text searched for, text put there

WORD, SWAP, LITERAL = "word", "swap", "literal"

_BRACES = re.compile(r"(?<!\{)(\{+)([^{}]*)(\}+)")
_FORMAT = re.compile(r"[!:.=\[]")  # what follows a name in the braces of an f-string

_GROUP = r"\{[^{}]*\}"
for _ in range(4):
    _GROUP = rf"\{{(?:[^{{}}]|{_GROUP})*\}}"
_LATEX = re.compile(  # \sqrt[3]{x}, x^{2}, a_{n}; not red_{thing}, as pictures are tagged
    rf"(?:\\[A-Za-z]+\*?(?:\s*\[[^\]]*\])*\s*|\^|_(?<=\b[^\W_]_)|_(?<=[)\]'|]_))(?:[\^_]?{_GROUP})+"
)


class _Piece(NamedTuple):
    """A part of a prompt in whose place something else is put."""

    start: int
    end: int
    kind: str  # WORD, SWAP or LITERAL
    text: str  # the word's name, the text searched for, or what is put there in every cell


class _Braces(NamedTuple):
    """Braces that hold a name, or a name and a format."""

    start: int
    end: int
    depth: int
    inside: str
    name: str

    @property
    def exact(self) -> bool:
        return canonical(self.inside) == self.name

    @property
    def clear(self) -> bool:
        """Whether it is the word, spaces around it or not, or the doubled braces."""
        bare = canonical(self.inside).strip() == self.name
        return self.exact if self.depth == 2 else bare and self.depth == 1


def names(prompt: str) -> list[str]:
    """The names in single braces, in the letters of any script."""
    found = (braces.name for braces in _braces(prompt) if braces.depth == 1 and braces.clear)
    return list(dict.fromkeys(found))


def needed(prompt: str) -> list[str]:
    """The names that something must fill: all but those with spaces around them."""
    return [braces.name for braces in _braces(prompt) if braces.depth == 1 and braces.exact]


def check_braces(prompts: Iterable[str], given: Collection[str]) -> None:
    """Refuses braces with a given name that may mean more than one thing.

    Raises:
        AxisError: There are such, as `{n:02d}` and `{{{n}}}`.
    """
    for prompt in prompts:
        for braces in _braces(prompt):
            if braces.name in given and not braces.clear:
                written = prompt[braces.start : braces.end]
                raise AxisError(
                    f"{written} in the prompt may mean more than one thing; write {{{braces.name}}}"
                    f", and give {braces.name} as texts with their digits and braces"
                )


def check_swaps(
    prompts: Iterable[str], words: Mapping[str, Collection[str]], searched: Collection[str]
) -> None:
    """Refuses replacements that find nothing, and those of letters that something else changes.

    Args:
        prompts: As they are written.
        words: The texts that fill each word.
        searched: The text of each replacement.

    Raises:
        AxisError: There are such.
    """
    unseen = set(searched)
    for prompt in prompts:
        pieces = _pieces(prompt, words, searched)
        unseen -= {piece.text for piece in pieces if piece.kind == SWAP}
        for one, other in itertools.pairwise(pieces):
            if other.start < one.end:
                both = (
                    repr(piece.text)
                    if piece.kind == SWAP
                    else f"the word {prompt[piece.start : piece.end]}"
                    for piece in (one, other)
                )
                advice = (
                    "replace them in one: nbtool.replace(…, […])"
                    if one.kind == other.kind
                    else "replace the text beside the word alone, or vary the word"
                )
                raise AxisError(
                    f"replace: {' and '.join(both)} overlap in {shown(prompt)}; {advice}"
                )
    for text in sorted(unseen):
        why = _why_unseen(text, prompts, words)
        raise AxisError(f"replace: {text!r} is in no prompt of this grid{why}")


def _why_unseen(text: str, prompts: Iterable[str], words: Mapping[str, Collection[str]]) -> str:
    for name, texts in words.items():
        if any(text in one for one in texts):
            return (
                f" as it is written: it is a value of `{name}`; vary the word instead: {name}=[…]"
            )
    written = [canonical(prompt) for prompt in prompts if text not in prompt]
    if any(canonical(text) in prompt for prompt in written):
        return " in this Unicode form"
    if any(canonical(text).casefold() in prompt.casefold() for prompt in written):
        return " in these capital and small letters"
    names = " and ".join(f"{{{name}}}" for name in words)
    return f" as it is written; what fills {names} is not searched" if words else ""


def filled(prompt: str, words: Mapping[str, str], swaps: Sequence[Swap] = ()) -> str:
    """The prompt with `{name}` filled, `{{name}}` as `{name}` and texts replaced, all at once.

    What is put there is taken as it stands; all other braces stay as they are.
    """
    put = {WORD: words, SWAP: dict(swaps)}
    parts = _parts(prompt, frozenset(words), tuple(put[SWAP]))
    return "".join([text if kind == LITERAL else put[kind][text] for kind, text in parts])


def _pieces(prompt: str, words: Collection[str], searched: Iterable[str]) -> list[_Piece]:
    """What becomes something else, in order. A text is not searched for in the name of a word."""
    named = [
        _Piece(one.start, one.end, WORD, one.name)
        if one.depth == 1
        else _Piece(one.start, one.end, LITERAL, f"{{{one.inside}}}")
        for one in _braces(prompt)
        if one.name in words and one.clear
    ]
    found = (
        _Piece(*match.span(), SWAP, text)
        for text in searched
        for match in re.finditer(re.escape(text), prompt)
    )  # fmt: skip
    outside = (
        one for one in found if not any(w.start < one.start and one.end < w.end for w in named)
    )
    return sorted([*named, *outside])


@functools.lru_cache(maxsize=256)
def _parts(
    prompt: str, words: frozenset[str], searched: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    """The whole prompt as kinds and texts, one after the other."""
    parts: list[tuple[str, str]] = []
    end = 0
    for piece in _pieces(prompt, words, searched):
        parts += [(LITERAL, prompt[end : piece.start]), (piece.kind, piece.text)]
        end = piece.end
    return (*parts, (LITERAL, prompt[end:]))


def _braces(prompt: str) -> Iterator[_Braces]:
    """The braces that hold a name, outside of LaTeX."""
    if "{" not in prompt:
        return
    prompt = _LATEX.sub(lambda match: " " * len(match[0]), prompt)
    for match in _BRACES.finditer(prompt):
        depth = min(len(match[1]), len(match[3]))
        name = canonical(_FORMAT.split(match[2], maxsplit=1)[0]).strip()
        if name.isidentifier():
            yield _Braces(match.start(2) - depth, match.end(2) + depth, depth, match[2], name)
