"""Parameters as they are typed in a shell: name=value."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import nbtool
from nbtool.errors import AxisError, RecipeError
from nbtool.imaging import reading
from nbtool.recipes import templates
from nbtool.recipes.axes import PRESET, unfilled
from nbtool.recipes.checks import REAL, TEXT, WHOLE
from nbtool.recipes.loras import Loras
from nbtool.recipes.parameters import PARAMETERS, PICTURES, ROWS
from nbtool.recipes.ranges import parse_range
from nbtool.recipes.refinement import CHECKS

SECOND = "refine_"  # before the names of a second pass
LORA = "lora:"  # before what names a LoRA
WHICH, AMOUNT = "lora", "lora_weight"  # which of several, and how strongly each acts
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
        value: Any = _pictures(name, text) if name in PICTURES else _number(name, text)
        if name.startswith(LORA):
            value = _weights(name, text)
        if _holds_several(name, text, value):
            asked = shlex.join(["nbtool", "grid", prompt, *arguments])
            raise RecipeError(
                f"{name}={text} holds several values; for more than one image: {asked}"
            )
        parameters[name] = value
    return _refined(prompt, _with_loras(prompt, parameters))


def several(prompt: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The parameters of a grid: ranges of numbers, and texts between bars.

    Raises:
        RecipeError: One is not written as such.
    """
    found = {name: _values(name, text) for name, text in _pairs(prompt, arguments)}
    return _refined(prompt, _with_loras(prompt, found))


def _holds_several(name: str, text: str, value: Any) -> bool:
    if name in PICTURES or name.startswith(LORA):
        return isinstance(value, list)
    several = isinstance(value, str) if _is_number(name) else "|" in text
    literal = name in ROWS and ROWS[name].kind == TEXT
    return several and not literal and any(sign in text.strip()[1:] for sign in "|-,[(")


def _weights(name: str, text: str) -> Any:
    """One weight of a LoRA or a list of them; 0.8/0.4 has one for the text encoder of its own.

    Raises:
        RecipeError: It is none.
    """
    found: list[Any] = []
    for piece in text.replace("|", ",").split(",") if "/" in text else [text.replace("|", ",")]:
        try:
            pair = [
                number for part in piece.split("/") for number in parse_range(part, whole=False)
            ]
        except AxisError:
            raise RecipeError(
                f"{name}={text} is no weight; write {name}=0.8, {name}=0,0.5,1, or {name}=0.8/0.4 "
                f"with a weight for the text encoder of its own"
            ) from None
        found += [tuple(pair)] if "/" in piece else pair
    return found[0] if len(found) == 1 else found


def _with_loras(prompt: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The same with LoRAs as the parameter `loras`, and those that vary as axes of their own."""
    words = templates.names(prompt)
    own = {n.removeprefix(LORA): value for n, value in parameters.items() if n.startswith(LORA)}
    rest = {n: value for n, value in parameters.items() if not n.startswith(LORA)}
    if fixed := {source: value for source, value in own.items() if not isinstance(value, list)}:
        rest["loras"] = fixed
    for source, weights in own.items():
        if isinstance(weights, list):
            rest[Loras.found(source).name] = nbtool.lora(source, weights)
    if WHICH in rest and WHICH not in words:
        sources, amount = rest.pop(WHICH), rest.pop(AMOUNT, "1")
        several = sources.split("|") if isinstance(sources, str) and "|" in sources else sources
        rest[WHICH] = nbtool.lora(several, _weights(AMOUNT, str(amount)))
    return rest


def _refined(prompt: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The same with the values of a second pass in one parameter."""
    words = templates.names(prompt)
    own = [n for n in parameters if n.startswith(SECOND) and n not in words]
    if not own:
        return parameters
    refine = nbtool.refine(**{name.removeprefix(SECOND): parameters[name] for name in own})
    return {n: v for n, v in parameters.items() if n not in own} | {"refine": refine}


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
        if name == "refine" and name not in words:
            raise RecipeError(
                f"{argument}: a second pass is written refine_scale=1.5 refine_strength=0.4"
            )
        if name == "loras" and name not in words:
            raise RecipeError(
                f"{argument}: a LoRA is written lora:ink.safetensors=0.8; several are "
                f"lora=one.safetensors|two.safetensors, or a folder"
            )
        numeric = _is_number(name) or name.startswith(LORA)
        if (numeric or name in PICTURES) and not value.strip():
            example = ROWS[name].example.strip("'") if name in ROWS else ""
            raise RecipeError(f"{name}= has no value; write {name}={example or 1}")
        pairs[name] = value
    given = pairs | dict.fromkeys(PARAMETERS, "")
    negative = pairs.get("negative_prompt", "")
    missing = [n for n in templates.needed(prompt) + templates.needed(negative) if n not in given]
    if missing:
        raise unfilled(missing[0])
    return list(pairs.items())


def _is_number(name: str) -> bool:
    return _kind(name) in (WHOLE, REAL)


def _kind(name: str) -> str:
    """What values a parameter has, or one of the second pass; "" for a word."""
    check = CHECKS.get(name.removeprefix(SECOND)) if name.startswith(SECOND) else None
    return check.kind if check else ROWS[name].kind if name in ROWS else ""


def _number(name: str, text: str) -> Any:
    """The value of a numeric parameter; any other stays text."""
    if not _is_number(name):
        return text
    try:
        return int(text) if _kind(name) == WHOLE else float(text)
    except ValueError:
        return text  # refused with its name and range where recipes are checked


def _pictures(name: str, text: str) -> str | list[str]:
    """The paths of pictures between bars; one with a star in it stands for all that it matches."""
    found = [path for piece in text.split("|") for path in reading.matching(name, piece)]
    return found[0] if len(found) == 1 else found


def _values(name: str, text: str) -> Any:
    """One value or several: a range string for numbers, texts between bars for the others."""
    if name in PICTURES:
        return _pictures(name, text)
    if name.startswith(LORA):
        return _weights(name, text)
    if _is_number(name):
        number = _number(name, text)
        return text.replace("|", ",") if isinstance(number, str) else number
    is_word = not _kind(name) and name != PRESET
    return text.split("|") if "|" in text or is_word else text
