"""What the pictures of an axis are called, so that people tell them apart. Pure functions."""

from __future__ import annotations

import itertools
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from nbtool.recipes.picture import MAX_NAME, Picture, Pictures, each
from nbtool.text import ellipsized, printable


def labels(values: Sequence[Picture | Pictures]) -> list[str]:
    """A label for each: the files' stems, with as much of the folder as tells equal ones apart.

    A picture that nbtool made is called by its prompt or its seed, whichever differs; one that has
    no name by its place in the list.
    """
    parts = [each(value) for value in values]
    names = iter(_names(list(itertools.chain.from_iterable(parts))))
    return [" + ".join(itertools.islice(names, len(several))) for several in parts]


def _names(pictures: Sequence[Picture]) -> list[str]:
    filed = [i for i, one in enumerate(pictures) if one.place]
    made = [i for i, one in enumerate(pictures) if not one.place and one.recipe]
    names = [one.name or f"picture {number}" for number, one in enumerate(pictures, 1)]
    for places, called in ((filed, _stems), (made, _made)):
        for i, name in zip(places, called([pictures[i] for i in places]), strict=True):
            names[i] = name
    again = Counter(names)
    return [
        f"{name} ({one.key[:8]})" if again[name] > 1 else name
        for name, one in zip(names, pictures, strict=True)
    ]


def _stems(pictures: Sequence[Picture]) -> list[str]:
    """The stems of files, longer where they are equal: with their ends, or with folders."""
    candidates = [list(_longer(one.place)) for one in pictures]
    names = [own[-1] for own in candidates]
    left = set(range(len(pictures)))
    for level in range(max(map(len, candidates), default=0)):
        there = {i: candidates[i][level] for i in left if level < len(candidates[i])}
        again = Counter(map(_form, there.values()))
        alone = {i: name for i, name in there.items() if again[_form(name)] == 1}
        for i, name in alone.items():
            names[i] = name
        left -= alone.keys()
    return names


def _longer(place: tuple[str, ...]) -> Iterator[str]:
    """What a file may be called, ever longer: cat, cat.png, mine/cat, mine/cat.png, and so on."""
    *folders, stem, end = place
    for depth in range(len(folders) + 1):
        within = folders[len(folders) - depth :]
        yield printable("/".join([*within, stem]))
        yield printable("/".join([*within, stem + end]))


def _form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _made(pictures: Sequence[Picture]) -> list[str]:
    """What pictures that nbtool made are called: by what differs, or by all that there is."""
    recipes = [one.recipe for one in pictures]
    if len(recipes) > 1:
        prompts = [ellipsized(recipe.prompt, MAX_NAME) for recipe in recipes]
        if len({*prompts, ""}) > len(recipes):
            return prompts
        if len({recipe.seed for recipe in recipes}) == len(recipes):
            return [f"seed {recipe.seed}" for recipe in recipes]
    return [one.name for one in pictures]
