"""What recipes leave open is filled in: by the model's defaults, and by what suits their pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from nbtool.recipes.axis import Axis, Edit
from nbtool.recipes.parameters import PICTURES
from nbtool.recipes.picture import Picture, Pictures, each
from nbtool.recipes.preset import Preset
from nbtool.recipes.recipe import ACTS_ON, Recipe
from nbtool.text import count

STRENGTH = "strength"
SIZE = ("width", "height")
SUITED = (*SIZE, STRENGTH)  # what a picture may decide where it is left open
PADDING = "mask_padding"
_DECIDE = PICTURES | {PADDING}
_NOTHING = _DECIDE | {"refine", "loras"}  # None says that there is none, and leaves nothing open

Fitting = Callable[[Recipe], Mapping[str, Any]]


class Completing:
    """Fills in what recipes leave open.

    Args:
        defaults: For what is left open.
        fitting: Says of a recipe with a picture what suits it better than these.
    """

    def __init__(self, defaults: Mapping[str, Any], fitting: Fitting | None = None) -> None:
        self._defaults = dict(defaults)
        self._fitting = fitting
        self._resized: dict[Picture, tuple[int, int]] = {}

    @property
    def first(self) -> Recipe:
        """The recipe that nothing was said of; without what a picture may decide."""
        left = {name: v for name, v in self._defaults.items() if name not in SUITED}
        return Recipe(**left)

    def recipe(self, recipe: Recipe, padding: int | None = None) -> Recipe:
        """The recipe with nothing left open, and those that it is made from too.

        Args:
            recipe: With what is left open.
            padding: The `mask_padding` that axes or a preset will give it; None: they give none.
        """
        given = {name: getattr(recipe, name) for name in PICTURES}
        whole = {name: self.value(value) for name, value in given.items() if value is not None}
        recipe = recipe.replace(**whole) if whole else recipe
        worked_at = padded(recipe, padding)
        fits = self._fits(worked_at)
        wanted = {**self._defaults, **fits}
        if recipe.image is None:
            wanted.pop(STRENGTH, None)
        left = {
            name: v
            for name, v in wanted.items()
            if getattr(recipe, name) is None and name not in _NOTHING
        }
        self._note(worked_at, {name: v for name, v in left.items() if name in fits})
        return recipe.replace(**left)

    def value(self, value: Any) -> Any:
        """A parameter's value; a picture that is yet to be made is one of a complete recipe."""
        if isinstance(value, Pictures):
            return Pictures(map(self.value, value))
        if isinstance(value, Picture) and value.is_deferred:
            return value.with_past(self.recipe(value.recipe))
        return value

    def axis(
        self,
        axis: Axis,
        others: Sequence[Axis],
        base: Recipe,
        padding: int | None,
        given: Collection[str],
    ) -> Axis:
        """An axis whose pictures bring along what suits them.

        So do presets of which some work on the mask alone and others on the whole picture.

        Args:
            axis: As it was given.
            others: That there are beside it.
            base: The recipe of every cell before the axes act.
            padding: As in `recipe`.
            given: The parameters that were decided otherwise.
        """
        if not axis.parameters & PICTURES:
            alike = len({padding_by(edit) is None for edit in axis.edits}) == 1
            if alike or base.image is None or any(other.parameters & PICTURES for other in others):
                return axis
            sized = (self._worked_at(edit, base, given) for edit in axis.edits)
            return dataclasses.replace(axis, edits=tuple(sized))
        base = padded(base, padding)
        beside: dict[str, Any] = {}
        for other in others:
            beside |= {n: v for n, v in other.edits[0].parameters.items() if n in _DECIDE}
        edits = (self._suited(edit, base.replace(**beside), given) for edit in axis.edits)
        return dataclasses.replace(axis, edits=tuple(edits))

    def _suited(self, edit: Edit, base: Recipe, given: Collection[str]) -> Edit:
        parameters = {name: self.value(value) for name, value in edit.parameters.items()}
        recipe = base.replace(**parameters)
        fits = {name: v for name, v in self._fits(recipe).items() if name not in given}
        self._note(recipe, fits)
        return edit._replace(parameters=parameters, fits=fits)

    def _worked_at(self, edit: Edit, base: Recipe, given: Collection[str]) -> Edit:
        """The same with the size that its padding alone would be made in."""
        own = padding_by(edit)
        recipe = base if own is None else base.replace(mask_padding=own)
        fits = {**self._defaults, **self._fits(recipe)}
        fits = {name: fits[name] for name in SIZE if name in fits and name not in given}
        self._note(recipe, fits)
        return edit._replace(fits=fits)

    def _fits(self, recipe: Recipe) -> dict[str, Any]:
        """What suits its picture; of the defaults, what is for pictures alone."""
        if recipe.image is None:
            return {}
        fits = {name: v for name, v in self._defaults.items() if name == STRENGTH}
        return fits | dict(self._fitting(recipe) if self._fitting else {})

    def _note(self, recipe: Recipe, filled: Mapping[str, Any]) -> None:
        """Notes a picture whose image will have another size than it has."""
        if recipe.image is None or recipe.mask_padding is not None:
            return
        if "width" in filled and "height" in filled:
            picture, size = each(recipe.image)[0], (filled["width"], filled["height"])
            if picture.size != size:
                self._resized[picture] = size

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided that people may want otherwise."""
        if not self._resized:
            return ()
        picture, (width, height) = next(iter(self._resized.items()))
        own = " × ".join(map(str, picture.size))
        which = f"{picture.name or 'the picture'} has {own} pixels, and is made with"
        if (more := len(self._resized) - 1) > 0:
            which = f"{which} {width} × {height}, and {count(more, 'other picture')} alike"
        else:
            which = f"{which} {width} × {height}"
        return (f"{which}, as suits the model; width=… and height=… decide otherwise",)


def padding_of(preset: Preset | None) -> int | None:
    """The `mask_padding` of a preset."""
    return preset.settings.get(PADDING) if preset else None


def padding_by(edit: Edit) -> int | None:
    """The `mask_padding` that a position of an axis gives."""
    own: int | None = edit.parameters.get(PADDING)
    return padding_of(edit.preset) if own is None else own


def padded(recipe: Recipe, padding: int | None) -> Recipe:
    """The recipe with a `mask_padding`, if there is one and it has none of its own."""
    own = recipe.mask_padding
    return recipe.replace(mask_padding=padding if own is None else own)


def acting(defaults: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """The defaults without those that have nothing to act on, such as `mask_blur` without a mask.

    Args:
        defaults: For what is left open.
        given: The parameters that have values beside them.
    """
    left = dict(defaults)
    for name, (wanted, _) in ACTS_ON.items():
        if wanted not in given and left.get(wanted) is None:
            left.pop(name, None)
    return left
