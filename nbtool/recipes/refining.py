"""Second passes as they are written: any of their values may be several."""

from __future__ import annotations

from typing import Any

from nbtool.errors import AxisError
from nbtool.recipes.given import Several, taken
from nbtool.recipes.refinement import CHECKS, Refine, Refining, check_names, checked


def refine(**values: Any) -> Refine | Refining:
    """A second pass, for the parameter `refine`; see `nbtool.Refine` for what it may have.

        gen("a fox", refine=nbtool.refine(scale=1.5, strength=0.4))
        gen.grid("a fox", refine=nbtool.refine(scale=1.5, strength=[0.3, 0.5]))

    Several values are an axis of a grid, which is called as here: refine_strength.

    Raises:
        RecipeError: A name is unknown, or a value out of range or of the wrong kind.
    """
    check_names(values)
    asked = {name: taken(name, value, CHECKS[name].kind) for name, value in values.items()}
    varied = {}
    for name, several in asked.items():
        if isinstance(several, Several):
            column = [checked(name, one) for one in several.values]
            if not column:
                raise AxisError(f"refine's {name} has no values")
            varied[name] = dict(zip(several.labelled(column), column, strict=True))
            asked[name] = column[0]
    first = Refine(**asked)
    return Refining(first, varied) if varied else first
