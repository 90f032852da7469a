"""What a recipe asks of a model with its pictures, and why the model cannot do it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from nbtool.catalogue.verbs import ASKED_BY, CALLED, EDIT, IMAGE, INPAINT, TEXT, Way, Ways
from nbtool.errors import RecipeError
from nbtool.recipes.picture import each
from nbtool.recipes.recipe import Recipe
from nbtool.text import count

_INSTEAD = "nbtool.models() shows what each model can do"


def verb(ways: Ways, recipe: Recipe) -> str:
    """What a recipe asks for, of a model that can do these.

    A picture without a mask is edited by a model that does not do image to image.
    """
    asked = recipe.verb
    return EDIT if asked == IMAGE and IMAGE not in ways and EDIT in ways else asked


def way(name: str, ways: Ways, recipe: Recipe) -> Way:
    """How a model makes what a recipe asks for.

    Args:
        name: Of the model.
        ways: What it can do.
        recipe: What is asked for.

    Raises:
        RecipeError: It cannot; with the reason, and what would do.
    """
    asked = verb(ways, recipe)
    if asked not in ways:
        raise RecipeError(_cannot(name, ways, asked))
    found = ways[asked]
    if asked == TEXT:
        return found
    _check_pictures(name, found, recipe)
    if found.strength is None and recipe.strength is not None:
        raise RecipeError(
            f"{name} edits by words and takes no strength, got {recipe.strength}; leave it out, and "
            f"say in the prompt what is to change"
        )
    if found.strength is not None:
        _check_steps(found, recipe)
    return found


def strength(found: Way, recipe: Recipe) -> float | None:
    """The strength of a recipe; the way's own where the recipe says none."""
    return found.strength if recipe.strength is None else recipe.strength


def strengths_told(found: Way, recipes: Sequence[Recipe]) -> list[str]:
    """What is to be known of recipes that differ in their strength alone."""
    asked = recipes[0].num_inference_steps or 1
    shares = sorted({strength(found, recipe) or 0 for recipe in recipes})
    results = dict.fromkeys((found.steps(asked, s), found.jumps and s == 1) for s in shares)
    notes = []
    if len(results) < len(shares):
        made = ", ".join(str(steps) for steps in dict.fromkeys(steps for steps, _ in results))
        notes.append(
            f"{len(shares)} strengths give {count(len(results), 'different result')}: of "
            f"{count(asked, 'step')} they make {made}; more num_inference_steps tell them apart"
        )
    if found.jumps and len(shares) > 1 and shares[-1] == 1:
        notes.append(
            "a strength of 1 begins with noise alone where the mask is white, unlike any below it: "
            "expect a jump there; 0.99 goes on as those below"
        )
    return notes


def check_second_pass(name: str, ways: Ways) -> None:
    """Refuses a second pass of a model that does no image to image.

    Raises:
        RecipeError: With what it does.
    """
    if IMAGE not in ways:
        raise RecipeError(
            f"refine is a second pass of {CALLED[IMAGE]}, and {name} does only {_does(ways)}; leave "
            f"refine out, or take another model: {_INSTEAD}"
        )


def _does(ways: Ways) -> str:
    return " and ".join(f"{CALLED[own]} ({ASKED_BY[own]})" for own in ways)


def _cannot(name: str, ways: Ways, asked: str) -> str:
    does = _does(ways)
    if asked == TEXT:
        return f"{name} makes no images of words alone, only {does}; give it a picture: image=…"
    reason = f"{name} does no {CALLED[asked]}"
    if asked == IMAGE and INPAINT in ways:
        return f"{reason}: its weights are made for {CALLED[INPAINT]}; give it a mask_image too"
    if asked == INPAINT and len(ways) > 1:
        return f"{reason}, only {does}; leave mask_image out, or take another model: {_INSTEAD}"
    return f"{reason}, only {does}; {_INSTEAD}"


def _check_pictures(name: str, found: Way, recipe: Recipe) -> None:
    given = len(each(recipe.image))
    if given > found.pictures:
        most = "one picture" if found.pictures == 1 else f"at most {found.pictures} pictures"
        raise RecipeError(
            f"{name} takes {most} at a time, got {count(given, 'picture')}; for an axis give a list "
            f"in place of nbtool.pictures(…)"
        )
    for picture in each(recipe.image):
        short, long = sorted(picture.size)
        if short < found.side or (found.ratio and long > found.ratio * short):
            most = f", and {found.ratio} times as long as wide at most" if found.ratio else ""
            raise RecipeError(
                f"a picture for {name} has at least {found.side} pixels a side{most}; "
                f"{picture.name or 'this one'} has {' × '.join(map(str, picture.size))}"
            )
    pixels = (recipe.width or 0) * (recipe.height or 0)
    if found.pixels and pixels > found.pixels:
        raise RecipeError(
            f"{name} does this with at most {found.pixels:,} pixels, got {recipe.width} × "
            f"{recipe.height}; make it smaller, or give mask_padding=32, which works on the part "
            f"around the mask"
        )


def _check_steps(found: Way, recipe: Recipe) -> None:
    asked, share = recipe.num_inference_steps or 1, strength(found, recipe) or 0
    if found.steps(asked, share):
        return
    if not share:
        raise RecipeError(
            f"strength 0 changes nothing: it leaves none of the {count(asked, 'step')}; "
            f"give at least {found.least_strength(asked):g}"
        )
    more = found.least_steps(share)
    steps = f"at least {more} num_inference_steps, or " if more else ""
    raise RecipeError(
        f"strength {share:g} leaves none of the {count(asked, 'step')}; "
        f"give {steps}a strength of at least {found.least_strength(asked):g}"
    )
