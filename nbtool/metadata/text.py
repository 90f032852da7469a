"""Strict JSON: what comes from a file is refused rather than guessed at."""

from __future__ import annotations

import json
import math
from typing import Any

from nbtool.errors import MetadataError

MAX_JSON = 1_000_000  # characters


def strict_json(text: str) -> dict[str, Any]:
    """The JSON object in a text; refuses NaN, a name given twice, deep nesting and huge input.

    Raises:
        MetadataError: It is no such object.
    """
    if len(text) > MAX_JSON:
        raise MetadataError(f"{len(text)} characters of JSON, more than {MAX_JSON}")
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
        )
    except RecursionError:
        raise MetadataError("JSON nested too deeply") from None
    except json.JSONDecodeError as error:
        raise MetadataError(f"not JSON: {error}") from None
    except ValueError as error:  # an integer of thousands of digits
        raise MetadataError(f"not usable JSON: {error}") from None
    if not isinstance(value, dict):
        raise MetadataError(f"a JSON object is needed, got {type(value).__name__}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for name, item in pairs:
        if name in value:
            raise MetadataError(f"the name {name!r} is given twice")
        value[name] = item
    return value


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MetadataError(f"{digits[:20]} is too large")
    return number


def _no_constant(name: str) -> None:
    raise MetadataError(f"{name} is not JSON")
