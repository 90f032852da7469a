"""Parameters as they are typed in a shell: name=value."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from nbtool.errors import RecipeError
from nbtool.pictures import reading
from nbtool.recipes import templates
from nbtool.recipes.axes import PRESET, unfilled
from nbtool.recipes.checks import TEXT
from nbtool.recipes.parameters import INTEGERS, PARAMETERS, PICTURES, REALS, ROWS

OPTIONS = {
    "model": "--model NAME",
    "revision": "--model NAME, which has one",
    "device": "--device NAME",
    "store": "--store FOLDER",
}


def single(prompt: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters of one image.

    Raises:
        RecipeError: One is not written as such, or holds several values.
    """
    parameters: dict[str, Any] = {}
    for name, text in _pairs(prompt, arguments):
        value = _number(name, text)
        several = isinstance(value, str) if name in INTEGERS + REALS else "|" in text
        literal = name in ROWS and ROWS[name].kind == TEXT
        if several and not literal and any(sign in text.strip()[1:] for sign in "|-,[("):
            asked = shlex.join(["nbtool", "grid", prompt, *arguments])
            raise RecipeError(
                f"{name}={text} holds several values; for more than one image: {asked}"
            )
        parameters[name] = value
    return parameters


def several(prompt: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters of a grid: ranges of numbers, and texts between bars.

    Raises:
        RecipeError: One is not written as such.
    """
    return {name: _values(name, text) for name, text in _pairs(prompt, arguments)}


def _pairs(prompt: str, arguments: Sequence[str]) -> list[tuple[str, str]]:
    words = templates.names(prompt)
    pairs: dict[str, str] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        name = name.strip()
        if not equals:
            hint = "; a prompt of several words stands in quotes" if "=" not in argument else ""
            raise RecipeError(f"write parameters as name=value, got {shlex.quote(argument)}{hint}")
        if name in pairs:
            raise RecipeError(f"{name} is given twice: {name}={pairs[name]} and {argument}")
        if name in OPTIONS and (name in ROWS or name not in words):
            raise RecipeError(f"{argument}: the {name} is chosen with {OPTIONS[name]}")
        if name == "prompt" and name not in words:
            raise RecipeError(
                "the prompt stands before the parameters; to vary it, put a word in braces: "
                "'a {thing}' 'thing=red star|blue ring'"
            )
        if name in INTEGERS + REALS and not value.strip():
            raise RecipeError(f"{name}= has no value; write {name}={ROWS[name].example or 1}")
        pairs[name] = value
    given = pairs | dict.fromkeys(PARAMETERS, "")
    negative = pairs.get("negative_prompt", "")
    missing = [n for n in templates.needed(prompt) + templates.needed(negative) if n not in given]
    if missing:
        raise unfilled(missing[0])
    return list(pairs.items())


def _number(name: str, text: str) -> Any:
    """The value of a numeric parameter; any other stays text."""
    if name not in INTEGERS + REALS:
        return text
    try:
        return int(text) if name in INTEGERS else float(text)
    except ValueError:
        return text  # refused with its name and range where recipes are checked


def _pictures(name: str, text: str) -> str | list[str]:
    """One path of a picture as it is, or all that are meant."""
    found = reading.matching(name, text)
    return text if found == [text] else found


def _values(name: str, text: str) -> Any:
    """One value or several: a range string for numbers, texts between bars for the others."""
    if name in PICTURES:
        return _pictures(name, text)
    if name in INTEGERS + REALS:
        number = _number(name, text)
        return text.replace("|", ",") if isinstance(number, str) else number
    return text.split("|") if "|" in text or name not in (*PARAMETERS, PRESET) else text
