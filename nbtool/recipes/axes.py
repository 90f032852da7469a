"""Values, ranges and prompt substitutions become the cells of a sweep. Pure functions."""

from __future__ import annotations

import itertools
import math
import re
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from nbtool.errors import AxisError, RecipeError, unknown_name
from nbtool.recipes.parameters import INTEGERS, PARAMETERS, REALS, check_names, checked
from nbtool.recipes.ranges import MAX_NUMBERS, parse_range
from nbtool.recipes.recipe import Recipe
from nbtool.text import printable

MAX_CELLS = MAX_NUMBERS
MAX_LISTED = 20  # labels in a message
DRAWN_SEEDS = 2**32  # drawn seeds stay below: short to read, exact in every program

Index = tuple[int, ...]


class Edit(NamedTuple):
    """What one position of an axis does to a recipe."""

    parameters: Mapping[str, Any] = {}
    words: Mapping[str, str] = {}  # for {name} in the prompts
    swap: tuple[str, str] | None = None  # text searched for, text put there
    recipe: Recipe | None = None  # takes the place of the whole


@dataclass(frozen=True)
class Axis:
    """A named direction of a sweep: a label and an edit for each position."""

    name: str
    labels: tuple[Any, ...]
    edits: tuple[Edit, ...]

    def __post_init__(self) -> None:
        if not self.labels:
            raise AxisError(f"the axis {self.name!r} has no values")
        if twice := [label for label, n in Counter(self.labels).items() if n > 1]:
            raise AxisError(f"the axis {self.name!r} holds {twice[0]!r} twice")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def parameters(self) -> frozenset[str]:
        """The recipe parameters that this axis sets."""
        return frozenset(self.edits[0].parameters)

    def position(self, label: object) -> int:
        """Where a label stands.

        Raises:
            AxisError: It is not on this axis.
        """
        try:
            return self._positions[label]
        except (KeyError, TypeError):  # a label that cannot be hashed stands on no axis
            labels = ", ".join(format_label(known) for known in self.labels[:MAX_LISTED])
            labels += ", …" if len(self) > MAX_LISTED else ""
            raise AxisError(
                f"no {printable(self.name)} {label!r} in this grid; there are: {printable(labels)}"
            ) from None

    @cached_property
    def _positions(self) -> dict[Any, int]:
        return {label: i for i, label in enumerate(self.labels)}


def paired(**values: Any) -> Axis:
    """An axis that moves several parameters together.

        gen.grid("a star", size=nbtool.paired(width=[128, 192], height=[192, 128]))

    Its labels are tuples. Without a keyword of its own it is named after its parameters.

    Raises:
        AxisError: The lists differ in length.
        RecipeError: A name is unknown or a value out of range.
    """
    check_names(values)
    columns = {name: _checked(name, _listed(name, value)) for name, value in values.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(columns) < 2 or len(set(lengths.values())) > 1:
        raise AxisError(f"paired takes two or more lists of one length, got {lengths}")
    rows = tuple(zip(*columns.values(), strict=True))
    edits = tuple(Edit(parameters=dict(zip(columns, row, strict=True))) for row in rows)
    return Axis("_".join(columns), rows, edits)


def replace(text: str, replacements: Sequence[str]) -> Axis:
    """An axis that replaces a piece of the prompts: first as it stands, then each replacement.

        gen.grid("a red star", nbtool.replace("red", ["blue", "green"]))

    It is the "Prompt S/R" of AUTOMATIC1111's X/Y/Z plot. An empty replacement leaves the piece
    out. Without a keyword of its own the axis is named after the text.

    Raises:
        AxisError: There is no text, or a replacement is no text.
    """
    if not text or not isinstance(text, str):
        raise AxisError(f"replace needs the text to look for, got {text!r}")
    labels = (text, *_words("replacements", replacements))
    return Axis(text, labels, tuple(Edit(swap=(text, label)) for label in labels))


def random_seeds(count: int) -> tuple[int, ...]:
    """`count` different seeds, drawn now; what is drawn is what the recipes record.

    Raises:
        AxisError: The count is not from 1 to 100,000.
    """
    if not isinstance(count, int) or not 1 <= count <= MAX_CELLS:
        raise AxisError(f"random_seeds takes a count from 1 to {MAX_CELLS}, got {count!r}")
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn[secrets.randbelow(DRAWN_SEEDS)] = None
    return tuple(drawn)


@dataclass(frozen=True)
class Sweep:
    """A base recipe and the axes along which it varies; no axis: one cell."""

    base: Recipe
    axes: tuple[Axis, ...] = ()
    words: Mapping[str, str] | None = None  # what fills {name} in the prompts; None: literal
    drawn: int | None = None  # the seed of cells that left it open; None: none did

    @property
    def shape(self) -> Index:
        return tuple(len(axis) for axis in self.axes)

    def __len__(self) -> int:
        return math.prod(self.shape)

    def __iter__(self) -> Iterator[tuple[Index, Recipe]]:
        indices = itertools.product(*map(range, self.shape))
        edits = itertools.product(*(axis.edits for axis in self.axes))
        return zip(indices, map(self._edited, edits), strict=True)

    def recipe(self, index: Index) -> Recipe:
        """The recipe of one cell."""
        return self._edited([axis.edits[i] for axis, i in zip(self.axes, index, strict=True)])

    def _edited(self, edits: Sequence[Edit]) -> Recipe:
        recipe = self.base
        changes: dict[str, Any] = {}
        words = dict(self.words or {})
        for edit in edits:
            recipe = edit.recipe or recipe
            changes.update(edit.parameters)
            words.update(edit.words)
        for name in ("prompt", "negative_prompt"):
            given = text = changes.get(name, getattr(recipe, name))
            if self.words is not None:
                text = _filled(text, words)
            for edit in edits:
                if edit.swap:
                    text = text.replace(*edit.swap)
            if text != given:
                changes[name] = text
        return recipe.replace(**changes)


def sweep(
    prompt: str | Recipe | Sequence[str] | Sequence[Recipe],
    axes: Sequence[Axis],
    parameters: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> Sweep:
    """The sweep of a call such as `gen.grid(prompt, *axes, **parameters)`.

    `defaults` fills in what neither the call nor a given recipe sets; a seed left open is drawn
    once, for all cells. `{name}` in a prompt is filled by the parameter `name`; write `{{name}}`
    for the braces themselves. The prompts of recipes are literal.

    Raises:
        RecipeError: A name is unknown or a value out of range or of the wrong kind.
        AxisError: The axes are empty, too long, or in each other's way.
    """
    base = prompt if isinstance(prompt, Recipe) else Recipe(**defaults)
    recipes = _recipes_among(prompt)
    literal = bool(recipes) or prompt is base
    negative = parameters.get("negative_prompt", base.negative_prompt)
    asked = base.prompt if isinstance(prompt, str) and not prompt else prompt
    texts = [asked, negative, *_paired_texts([*axes, *parameters.values()])]
    templates = set() if literal else _template_names(texts)

    found, fixed, words = _sorted_out(parameters, templates)
    found = [*_checked_axes(axes), *found]
    if not literal and not isinstance(prompt, str):
        found.insert(0, _axis("prompt", prompt))
    elif not literal and prompt:
        fixed["prompt"] = prompt
    drawn = None
    if (
        "seed" in fixed or defaults.get("seed") is None
    ):  # -1 asks for a new one, whatever the default
        drawn = random_seeds(1)[0]
        defaults = {**defaults, "seed": drawn}
    base = _completed(base.replace(**fixed), defaults)
    completed = [_completed(recipe.replace(**fixed), defaults) for recipe in recipes]
    if recipes:
        edits = tuple(Edit(recipe=recipe) for recipe in completed)
        found.insert(0, Axis("recipe", tuple(range(len(edits))), edits))

    _refuse_overlap(found, fixed)
    if drawn not in {recipe.seed for recipe in completed or [base]} or any(
        "seed" in axis.parameters for axis in found
    ):
        drawn = None
    result = Sweep(base, tuple(found), None if literal else words, drawn)
    _refuse_too_many(result)
    filled = words.keys() | {axis.name for axis in found if axis.edits[0].words}
    _refuse_unused_text(result, templates - filled)
    return result


def _recipes_among(prompts: object) -> list[Recipe]:
    """The recipes in a list given in place of prompts."""
    if isinstance(prompts, (str, Recipe)) or not isinstance(prompts, Sequence):
        return []
    recipes = [recipe for recipe in prompts if isinstance(recipe, Recipe)]
    if 0 < len(recipes) < len(prompts):
        raise AxisError("give prompts or recipes, not both in one list")
    return recipes


def _checked_axes(axes: Iterable[object]) -> Iterator[Axis]:
    for axis in axes:
        if not isinstance(axis, Axis):
            raise AxisError(
                f"after the prompt come axes such as nbtool.paired(…) or nbtool.replace(…), "
                f"got {axis!r}; give parameters by name"
            )
        yield axis


def _sorted_out(
    parameters: Mapping[str, Any], templates: set[str]
) -> tuple[list[Axis], dict[str, Any], dict[str, str]]:
    """A call's parameters as axes, fixed recipe parameters, and fixed words for the prompts."""
    found: list[Axis] = []
    fixed: dict[str, Any] = {}
    words: dict[str, str] = {}
    for name, value in parameters.items():
        if isinstance(value, Axis):
            found.append(Axis(name, value.labels, value.edits))
        elif name in PARAMETERS:
            if _is_axis(name, value):
                found.append(_axis(name, value))
            else:
                fixed[name] = value
        elif name not in templates:
            raise RecipeError(unknown_name(name, {*PARAMETERS, *templates}, "parameter"))
        elif isinstance(value, (str, int, float)):
            words[name] = str(value)
        else:
            labels = _words(name, value)
            found.append(Axis(name, labels, tuple(Edit(words={name: word}) for word in labels)))
    return found, fixed, words


def format_label(label: object) -> str:
    """A label as people read it."""
    if isinstance(label, float):
        return f"{label:g}"
    if isinstance(label, tuple):
        return " × ".join(format_label(part) for part in label)
    return str(label)


def _is_axis(name: str, value: object) -> bool:
    if isinstance(value, str):
        return name in INTEGERS + REALS
    return isinstance(value, Sequence) or getattr(value, "ndim", 0) > 0


def _listed(name: str, value: Any) -> list[Any]:
    if isinstance(value, str) and name in INTEGERS + REALS:
        try:
            return list(parse_range(value, whole=name in INTEGERS))
        except AxisError as error:
            raise AxisError(f"{name}: {error}") from None
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise AxisError(f"{name} needs a list, a tuple or a range, got {value!r}")
    values = list(itertools.islice(value, MAX_CELLS + 1))
    if len(values) > MAX_CELLS:
        raise AxisError(f"{name} has more than {MAX_CELLS:,} values")
    return values


def _checked(name: str, values: list[Any]) -> tuple[Any, ...]:
    """The values as a recipe would hold them; seeds that are left open are drawn."""
    column = [checked(name, value) for value in values]
    if name == "seed":
        drawn = iter(random_seeds(max(1, column.count(None))))
        column = [next(drawn) if value is None else value for value in column]
    if None in column:
        raise AxisError(f"{name} has a value None; leave it out or name the value")
    return tuple(column)


def _axis(name: str, values: Any) -> Axis:
    labels = _checked(name, _listed(name, values))
    return Axis(name, labels, tuple(Edit(parameters={name: label}) for label in labels))


def _words(name: str, values: object) -> tuple[str, ...]:
    """The texts put into a prompt; numbers are taken as they are written."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise AxisError(f"{name} needs a list of texts, got {values!r}")
    words = tuple(str(word) if isinstance(word, (int, float)) else word for word in values)
    for word in words:
        if not isinstance(word, str):
            raise AxisError(f"{name} needs texts, got {word!r}")
    return words


_TEMPLATE = re.compile(r"\{\{([A-Za-z_]\w*)\}\}|\{([A-Za-z_]\w*)\}")


def _paired_texts(values: Iterable[object]) -> Iterator[str]:
    """The prompts and negative prompts in axis objects."""
    for axis in values:
        if isinstance(axis, Axis):
            for name in axis.parameters & {"prompt", "negative_prompt"}:
                yield from (edit.parameters[name] for edit in axis.edits)


def _template_names(prompts: Iterable[object]) -> set[str]:
    """The names in single braces, of prompts and lists of prompts."""
    names: set[str] = set()
    for prompt in prompts:
        if isinstance(prompt, str):
            names.update(name for _, name in _TEMPLATE.findall(prompt) if name)
        elif isinstance(prompt, (list, tuple)):
            names |= _template_names(prompt)
    return names


def _filled(text: str, words: Mapping[str, str]) -> str:
    def fill(match: re.Match[str]) -> str:
        literal, name = match.groups()
        return f"{{{literal}}}" if literal else words.get(name, match[0])

    return _TEMPLATE.sub(fill, text) if "{" in text else text


def _completed(recipe: Recipe, defaults: Mapping[str, Any]) -> Recipe:
    """The recipe with nothing left open: the defaults filled in."""
    return recipe.replace(
        **{name: v for name, v in defaults.items() if getattr(recipe, name) is None}
    )


def _refuse_overlap(axes: Sequence[Axis], fixed: Mapping[str, Any]) -> None:
    names: set[str] = set()
    taken = set(fixed)
    for axis in axes:
        if axis.name in names:
            raise AxisError(f"two axes are named {axis.name!r}; give one a name: my_name=…")
        if clash := axis.parameters & taken:
            raise AxisError(f"{', '.join(sorted(clash))} is set twice in one call")
        names.add(axis.name)
        taken |= axis.parameters


def _refuse_too_many(result: Sweep) -> None:
    if len(result) > MAX_CELLS:
        shape = " × ".join(map(str, result.shape))
        raise AxisError(
            f"{len(result):,} cells ({shape}) are more than {MAX_CELLS:,}; "
            f"take fewer values, or run the grid in parts into one store"
        )


def _refuse_unused_text(result: Sweep, unfilled: set[str]) -> None:
    """Substitutions that find nothing, and braces that nothing fills, are mistakes."""
    if unfilled:
        name = min(unfilled)
        if name in PARAMETERS:
            raise AxisError(f"{{{name}}} in the prompt is a parameter's name; take another word")
        raise AxisError(f"the prompt has {{{name}}}, but nothing fills it; give {name}=[…]")
    swaps = [axis for axis in result.axes if axis.edits[0].swap]
    if swaps:
        others = tuple(axis for axis in result.axes if axis not in swaps)
        cells = Sweep(result.base, others, result.words)
        for axis in swaps:
            searched = axis.edits[0].swap
            assert searched
            texts = (f"{cell.prompt}\n{cell.negative_prompt}" for _, cell in cells)
            if not any(searched[0] in text for text in texts):
                raise AxisError(f"replace: {searched[0]!r} is in no prompt of this grid")
