"""Values, ranges and prompt substitutions become the cells of a sweep. Pure functions."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import math
import secrets
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Number
from typing import Any

from nbtool.errors import AxisError, RecipeError, unknown_name
from nbtool.recipes import given, lora_axes, picture_labels, templates
from nbtool.recipes.axis import Axis, Edit
from nbtool.recipes.checks import as_integer, is_bool
from nbtool.recipes.completing import SUITED, Completing, Fitting, acting, padding_by, padding_of
from nbtool.recipes.given import Several
from nbtool.recipes.labels import canonical
from nbtool.recipes.lora_axes import Adding
from nbtool.recipes.loras import Lora, Loras
from nbtool.recipes.parameters import COMPOSED, PARAMETERS, PICTURES, check_names, checked
from nbtool.recipes.preset import TEXTS as PROMPTS
from nbtool.recipes.preset import Preset, chosen
from nbtool.recipes.ranges import MAX_VALUES
from nbtool.recipes.recipe import Recipe
from nbtool.recipes.refinement import Refine, Refining
from nbtool.recipes.templates import Swap
from nbtool.text import shown

MAX_CELLS = MAX_VALUES
DRAWN_SEEDS = 2**32  # drawn seeds stay below: short to read, exact in every program
PRESET, REFINE = "preset", "refine"

Index = tuple[int, ...]


def paired(**values: Any) -> Axis:
    """An axis that moves several parameters together.

        gen.grid("a star", size=nbtool.paired(width=[128, 192], height=[192, 128]))

    Its labels are tuples. Without a keyword of its own it is named after its parameters.

    Raises:
        AxisError: The lists differ in length.
        RecipeError: A name is unknown or a value out of range.
    """
    check_names(values)
    asked = {name: _listed(name, value) for name, value in values.items()}
    columns = {name: _checked(name, listed) for name, listed in asked.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(columns) < 2 or len(set(lengths.values())) > 1:
        raise AxisError(f"paired takes two or more lists of one length, got {lengths}")
    rows = zip(*columns.values(), strict=True)
    edits = tuple(Edit(parameters=dict(zip(columns, row, strict=True))) for row in rows)
    labels = tuple(zip(*(_parts(*column) for column in columns.items()), strict=True))
    return Axis("_".join(columns), labels, edits, drawn=_is_open(asked.get("seed", ())))


def replace(text: str, replacements: Iterable[str] | Mapping[str, str]) -> Axis:
    """An axis that replaces a piece of the prompts: first as it stands, then each replacement.

        gen.grid("a red star", nbtool.replace("red", ["blue", "green"]))

    It is the "Prompt S/R" of AUTOMATIC1111's X/Y/Z plot. An empty replacement leaves the piece
    out. Without a keyword of its own the axis is named after the text. All replacements of a
    prompt are made at once, on the prompt as it is written: none acts on what another put there,
    or on what fills a `{word}`.

    Args:
        text: What to look for.
        replacements: What to put there; of a dict the values, with the keys as labels.

    Raises:
        AxisError: There is no text, or a replacement is no text.
    """
    if not text or not isinstance(text, str):
        raise AxisError(f"replace needs the text to look for, got {shown(text)}")
    labels, words = _words("replacements", given.taken("replacements", replacements))
    edits = tuple(Edit(swap=(text, word)) for word in (text, *words))
    return Axis(text, (text, *labels), edits)


def random_seeds(count: int) -> tuple[int, ...]:
    """`count` different seeds, drawn now; what is drawn is what the recipes record.

    Raises:
        AxisError: The count is not from 1 to 100,000.
    """
    wanted = as_integer(count)
    if wanted is None or not 1 <= wanted <= MAX_CELLS:
        raise AxisError(f"random_seeds takes a count from 1 to {MAX_CELLS}, got {shown(count)}")
    drawn: dict[int, None] = {}
    while len(drawn) < wanted:
        drawn[secrets.randbelow(DRAWN_SEEDS)] = None
    return tuple(drawn)


def preset(asked: Any, known: Mapping[str, Preset]) -> Axis | Preset | None:
    """The preset that is asked for, None for none, or an axis of several.

    Args:
        asked: A name, a preset or None, or several of them; of a dict the values, with the keys as
            labels.
        known: The presets that have a name.

    Raises:
        RecipeError: There is no such preset.
    """
    several = given.taken(PRESET, asked)
    if not isinstance(several, Several):
        return chosen(several, known)
    presets = [chosen(one, known) for one in several.values]
    names = [
        one if isinstance(one, str) and preset else preset and str(preset)
        for one, preset in zip(several.values, presets, strict=True)
    ]
    return Axis(PRESET, several.labelled(names), tuple(Edit(preset=one) for one in presets))


@dataclass(frozen=True)
class Sweep:
    """A base recipe and the axes along which it varies; no axis: one cell."""

    base: Recipe
    axes: tuple[Axis, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)  # for {name} in every prompt
    drawn: int | None = None  # the seed of all cells, if it was drawn
    drawn_apart: bool = False  # whether seeds were drawn, and cells have different ones
    fixed: tuple[Edit, ...] = ()  # of every cell: a preset, and what was chosen of axes left out
    notes: tuple[str, ...] = ()  # what was decided that people may want otherwise

    @property
    def shape(self) -> Index:
        return tuple(len(axis) for axis in self.axes)

    def __len__(self) -> int:
        return math.prod(self.shape)

    def __iter__(self) -> Iterator[tuple[Index, Recipe]]:
        indices = itertools.product(*map(range, self.shape))
        fixed = ((edit,) for edit in self.fixed)
        edits = itertools.product(*fixed, *(axis.edits for axis in self.axes))
        return zip(indices, map(self._edited, edits), strict=True)

    @property
    def loras(self) -> list[Lora]:
        """The LoRAs of all cells, each once."""
        edits = [edit for axis in self.axes for edit in axis.edits]
        recipes = [self.base, *(edit.recipe for edit in edits if edit.recipe)]
        stacks = [*(r.loras for r in recipes), *(e.parameters.get("loras") for e in edits)]
        found = [lora for stack in stacks if stack for lora in stack]
        found += [lora for edit in edits for lora in edit.loras.values() if lora]
        return [*{lora.key: lora for lora in found}.values()]

    def recipe(self, index: Index) -> Recipe:
        """The recipe of one cell."""
        edits = (axis.edits[i] for axis, i in zip(self.axes, index, strict=True))
        return self._edited([*self.fixed, *edits])

    def _edited(self, edits: Sequence[Edit]) -> Recipe:
        recipe, words = self.base, self.words
        preset: Preset | None = None
        changes: dict[str, Any] = {}
        refined: dict[str, Any] = {}
        fits: dict[str, Any] = {}
        swaps: list[Swap] = []
        for edit in edits:
            recipe = edit.recipe or recipe
            preset = edit.preset or preset
            changes.update(edit.parameters)
            refined.update(edit.refine)
            fits.update(edit.fits)
            if edit.words:
                words = {**words, **edit.words}
            if edit.swap:
                swaps.append(edit.swap)
        if preset:
            changes = preset.settings | changes
        changes = fits | changes
        if refined and (refine := changes.get("refine", recipe.refine)):
            changes["refine"] = refine.replace(**refined)
        if words or swaps or preset:
            for name in PROMPTS:
                written = changes.get(name, getattr(recipe, name))
                whole = preset.around(name, written) if preset else written
                text = templates.filled(whole, words, swaps)
                if text != written:
                    changes[name] = text
        if (words or swaps) and (refine := changes.get(REFINE, recipe.refine)):
            own = {name: text for name in PROMPTS if (text := getattr(refine, name))}
            own = {name: templates.filled(text, words, swaps) for name, text in own.items()}
            changes[REFINE] = refine.replace(**own)
        return recipe.replace(**changes, **_with_added(edits, changes, recipe))


def _with_added(edits: Sequence[Edit], changes: dict[str, Any], recipe: Recipe) -> dict[str, Any]:
    """The parameters to which edits add, taken out of those that are set."""
    if not any(edit.loras for edit in edits):
        return {}
    before = changes.pop("loras", recipe.loras) or Loras()
    return {"loras": before.plus(lora_axes.added(edits))}


def sweep(
    prompt: object,
    axes: Sequence[Axis],
    parameters: Mapping[str, Any],
    defaults: Mapping[str, Any],
    *,
    options: Collection[str] = (),
    fitting: Fitting | None = None,
) -> Sweep:
    """The sweep of a call such as `gen.grid(prompt, *axes, **parameters)`.

    `defaults` fills in what neither the call nor a given recipe sets; a seed left open is drawn
    once, for all cells. `{name}` in a prompt is filled by the parameter `name`, and `{{name}}`
    is then `{name}`; other braces stay as they are. The prompts of recipes are literal.
    `fitting` says what suits a recipe with a picture where that is left open, such as its size.
    The parameter `preset` is what `preset()` returns; `options` are names that belong elsewhere.

    Raises:
        RecipeError: A name is unknown or a value out of range or of the wrong kind.
        AxisError: The axes are empty, too long, or in each other's way.
    """
    prompt = given.taken("prompt", prompt)
    parameters = {canonical(name): given.taken(name, v) for name, v in parameters.items()}
    base = prompt if isinstance(prompt, Recipe) else _first(defaults, parameters, axes)
    recipes = _recipes_among(prompt)
    literal = bool(recipes) or prompt is base
    negative = parameters.get("negative_prompt", base.negative_prompt)
    asked = base.prompt if isinstance(prompt, str) and not prompt else prompt
    given_axes = (*axes, *(value for value in parameters.values() if isinstance(value, Axis)))
    preset = None if isinstance(parameters.get(PRESET), Axis) else parameters.pop(PRESET, None)
    refine = parameters.get(REFINE, base.refine)
    texts = [] if literal else list(_texts(asked, negative, preset, refine, *given_axes))
    names = {name for text in texts for name in templates.names(text)}
    templates.check_braces(texts, parameters)
    if literal:
        _refuse_words_beside_recipes(preset, given_axes)

    found, fixed, words = _sorted_out(parameters, names, texts, options)
    found = [*_checked_axes(axes), *found]
    if not literal and isinstance(prompt, Several):
        found.insert(0, _axis("prompt", prompt))
    elif not literal and prompt != "":
        fixed["prompt"] = prompt
    drawn = random_seeds(1)[0]
    if "seed" in fixed or defaults.get("seed") is None:
        defaults = {**defaults, "seed": drawn}  # -1 asks for a new one, whatever the default
    completing, padding = Completing(defaults, fitting), _padding(found, preset)
    decided = {n for one in (base, *recipes) for n in SUITED if getattr(one, n) is not None}
    base = completing.recipe(base.replace(**fixed), padding)
    completed = [completing.recipe(recipe.replace(**fixed), padding) for recipe in recipes]
    if recipes and isinstance(prompt, Several):
        edits = tuple(Edit(recipe=recipe) for recipe in completed)
        found.insert(0, Axis("recipe", prompt.labelled(range(len(edits))), edits))

    _refuse_overlap(found, fixed)
    found = [_without(axis, fixed) for axis in found]
    decided |= {*fixed}
    found = [
        completing.axis(axis, [one for one in found if one is not axis], base, padding, decided)
        for axis in found
    ]
    always = (Edit(preset=preset.without(fixed)),) if preset else ()
    varied = any("seed" in axis.parameters for axis in found)
    seeds = set() if varied else {recipe.seed for recipe in completed or [base]}
    apart = any(axis.drawn for axis in found) or (drawn in seeds and len(seeds) > 1)
    only = drawn if seeds == {drawn} else None
    result = Sweep(base, tuple(found), words, only, apart, always, completing.notes)
    _refuse_too_many(result)
    needed = {name for text in texts for name in templates.needed(text)}
    filled = _words_of(result)
    _refuse_unfilled((needed | names & parameters.keys()) - filled.keys())
    _refuse_swaps(result, filled)
    return result


def _first(
    defaults: Mapping[str, Any], parameters: Mapping[str, Any], axes: Iterable[object]
) -> Recipe:
    """The recipe that nothing was said of yet, for a call with these parameters and axes."""
    values = (*axes, *parameters.values())
    varied = {name for axis in values if isinstance(axis, Axis) for name in axis.parameters}
    given = {name for name, value in parameters.items() if value is not None}
    left = {name: value for name, value in defaults.items() if name not in parameters}
    return Completing(acting(left, varied | given)).first


def _padding(axes: Iterable[Axis], preset: Preset | None) -> int | None:
    """The `mask_padding` that cells get beside the base recipe, one of several."""
    by_axes = (padding_by(edit) for axis in axes for edit in axis.edits)
    return next((value for value in by_axes if value is not None), padding_of(preset))


def _recipes_among(prompts: object) -> list[Recipe]:
    """The recipes in a list given in place of prompts."""
    values = prompts.values if isinstance(prompts, Several) else []
    recipes = [recipe for recipe in values if isinstance(recipe, Recipe)]
    if 0 < len(recipes) < len(values):
        raise AxisError("give prompts or recipes, not both in one list")
    return recipes


def _named(given: Axis | Adding, name: str) -> tuple[Axis, ...]:
    """Axis objects under the name by which they were given."""
    if isinstance(given, Adding):
        return given.named(name)
    if given.edits[0].loras:
        return (lora_axes.named(given, name),)
    return (dataclasses.replace(given, name=name),)


def _checked_axes(axes: Iterable[object]) -> Iterator[Axis]:
    for axis in axes:
        if isinstance(axis, Adding):
            yield from axis.named(lora_axes.NAME)
        elif not isinstance(axis, Axis):
            raise AxisError(
                f"after the prompt come axes such as nbtool.paired(…) or nbtool.replace(…), "
                f"got {shown(axis)}; give parameters by name"
            )
        else:
            yield axis


def _sorted_out(
    parameters: Mapping[str, Any],
    names: Collection[str],
    texts: Iterable[str],
    options: Collection[str],
) -> tuple[list[Axis], dict[str, Any], dict[str, str]]:
    """A call's parameters as axes, fixed recipe parameters, and fixed words for the prompts."""
    found: list[Axis] = []
    fixed: dict[str, Any] = {}
    words: dict[str, str] = {}
    for name, value in parameters.items():
        if isinstance(value, (Axis, Adding)):
            found += _named(value, name)
        elif isinstance(value, Refining):
            fixed[name] = value.first
            found += map(_refined, value.varied, value.varied.values())
        elif name in PARAMETERS:
            if isinstance(value, Several):
                found.append(_axis(name, value))
            else:
                fixed[name] = value
        elif name not in names:
            if option := difflib.get_close_matches(name, options, n=1, cutoff=0.8):
                unknown = f"unknown parameter {name!r}; {option[0]} belongs to the generator"
                raise RecipeError(
                    f"{unknown}: nbtool.Generator({option[0]}=…)",
                    in_shell=f"{unknown}, and is for Python",
                )
            unknown = unknown_name(name, {*PARAMETERS, PRESET, *names}, "parameter")
            if not any(f"{{{name}}}" in canonical(text) for text in texts):
                raise RecipeError(unknown)
            unknown += "; braces of LaTeX and doubled ones are not filled"
            raise RecipeError(f"{unknown}, nbtool.replace acts there too", in_shell=unknown)
        elif isinstance(value, (str, Number)) and not is_bool(value):
            words[name] = given.word(name, value)
        else:
            labels, texts = _words(name, value)
            found.append(Axis(name, labels, tuple(Edit(words={name: word}) for word in texts)))
    return found, fixed, words


def _listed(name: str, value: Any) -> list[Any]:
    values = given.taken(name, value)
    if not isinstance(values, Several) or values.labels:
        raise AxisError(f"{name} needs a list, a tuple or a range, got {shown(value)}")
    return values.values


def _checked(name: str, values: list[Any]) -> tuple[Any, ...]:
    """The values as a recipe would hold them; seeds that are left open are drawn."""
    column = [checked(name, value) for value in values]
    if name == "seed":
        drawn = iter(random_seeds(max(1, column.count(None))))
        column = [next(drawn) if value is None else value for value in column]
    if None in column and name not in COMPOSED - PICTURES:  # without one
        raise AxisError(f"{name} has a value None; leave it out or name the value")
    return tuple(column)


def _axis(name: str, several: Several) -> Axis:
    if name in PICTURES and not several.values:
        raise AxisError(f"{name} has no pictures: the list is empty; does glob.glob(…) find any?")
    values = _checked(name, several.values)
    edits = tuple(Edit(parameters={name: value}) for value in values)
    drawn = name == "seed" and _is_open(several.values)
    return Axis(name, several.labelled(_labels(name, values)), edits, drawn)


def _labels(name: str, values: Sequence[Any]) -> Sequence[Any]:
    """What values are called that were given no labels."""
    if name in PICTURES:
        return picture_labels.labels(values)
    if name in COMPOSED:
        return [value and value.in_words for value in values]
    return values


def _parts(name: str, column: Sequence[Any]) -> list[Any]:
    """What the values of a paired parameter are called, of which some may be equal."""
    different = list(dict.fromkeys(column))
    names = dict(zip(different, _labels(name, different), strict=True))
    return [names[value] for value in column]


def _refined(name: str, values: Mapping[Any, Any]) -> Axis:
    edits = tuple(Edit(refine={name: value}) for value in values.values())
    return Axis(f"refine_{name}", tuple(values), edits)


def _is_open(seeds: Iterable[Any]) -> bool:
    return any(checked("seed", seed) is None for seed in seeds)


def _words(name: str, several: object) -> tuple[tuple[Any, ...], tuple[str, ...]]:
    """The labels of words put into a prompt, and their texts."""
    if not isinstance(several, Several):
        raise AxisError(f"{name} needs a list of texts, got {shown(several)}")
    words = tuple(given.word(name, value) for value in several.values)
    return several.labelled(words), words


def _texts(*values: object) -> Iterator[str]:
    """The prompts and negative prompts among what is given, in axis objects and second passes."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, Several):
            yield from _texts(*value.values)
        elif isinstance(value, Preset):
            yield from (value.around(name, "") for name in PROMPTS)
        elif isinstance(value, Axis):
            for name in value.parameters.intersection(PROMPTS):
                yield from (edit.parameters[name] for edit in value.edits)
            yield from _texts(*(edit.preset for edit in value.edits))
            yield from _texts(*(edit.parameters.get(REFINE) for edit in value.edits))
        elif isinstance(value, Refine):
            yield from filter(None, (getattr(value, name) for name in PROMPTS))
        elif isinstance(value, Refining):
            yield from _texts(value.first)
            for name in PROMPTS:
                yield from filter(None, value.varied.get(name, {}).values())


def _without(axis: Axis, given: Collection[str]) -> Axis:
    """The same axis; settings of its presets give way to what is given."""
    if not any(edit.preset for edit in axis.edits):
        return axis
    edits = (
        edit._replace(preset=edit.preset and edit.preset.without(given)) for edit in axis.edits
    )
    return dataclasses.replace(axis, edits=tuple(edits))


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


def _refuse_unfilled(names: set[str]) -> None:
    """Refuses braces that nothing fills: most often a word was misspelt or forgotten."""
    for name in sorted(names):
        if name in (*PARAMETERS, PRESET):
            raise AxisError(f"{{{name}}} in the prompt is a parameter's name; take another word")
        raise unfilled(name)


def unfilled(name: str) -> AxisError:
    """The error of a word in braces that nothing fills."""
    said = f"the prompt has {{{name}}}, but nothing fills it"
    return AxisError(
        f'{said}; give {name}=[…], or {name}="{{{name}}}" for the braces themselves',
        in_shell=f"{said}; add '{name}=red|blue' (several are for nbtool grid), "
        f"or '{name}={{{name}}}' for the braces themselves",
    )


def _refuse_words_beside_recipes(preset: object, axes: Iterable[object]) -> None:
    """Refuses presets with words: filling them would fill the recipes' literal prompts as well."""
    varied = (edit.preset for axis in axes if isinstance(axis, Axis) for edit in axis.edits)
    for text in _texts(preset, *varied):
        for name in templates.needed(text):
            raise AxisError(
                f"the preset has {{{name}}}, which is not filled beside a recipe; "
                f"give its prompt instead"
            )


def _words_of(result: Sweep) -> dict[str, list[str]]:
    """All that fills each word in one cell or another."""
    words = {name: [text] for name, text in result.words.items()}
    for axis in result.axes:
        for name in axis.edits[0].words:
            words[name] = [edit.words[name] for edit in axis.edits]
    return words


def _refuse_swaps(result: Sweep, words: Mapping[str, Collection[str]]) -> None:
    """Refuses replacements that do not act on the prompts as they are written."""
    searched = [edit.swap[0] for axis in result.axes if (edit := axis.edits[0]).swap]
    if not searched:
        return
    edits = [edit for axis in result.axes for edit in axis.edits]
    recipes = [edit.recipe for edit in edits if edit.recipe] or [result.base]
    presets = (
        [
            edit.preset
            for axis in result.axes
            if any(e.preset for e in axis.edits)
            for edit in axis.edits
        ]
        or [edit.preset for edit in result.fixed]
        or [None]
    )
    prompts: dict[str, None] = {}
    for name in PROMPTS:
        varied = [edit.parameters[name] for edit in edits if name in edit.parameters]
        written = varied or [getattr(recipe, name) for recipe in recipes]
        prompts |= dict.fromkeys(
            preset.around(name, text) if preset else text for preset in presets for text in written
        )
    second = [*(recipe.refine for recipe in recipes), *(e.parameters.get(REFINE) for e in edits)]
    varied = [edit.refine.get(name) for edit in edits for name in PROMPTS]
    prompts |= dict.fromkeys(_texts(*second, *varied))
    templates.check_swaps(list(prompts), words, searched)
