"""Strict JSON: what comes from a file is refused rather than guessed at."""

from __future__ import annotations

import json
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
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
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
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise MetadataError(f"the name {name!r} is given twice")
    return dict(pairs)


def _no_constant(name: str) -> None:
    raise MetadataError(f"{name} is not JSON")
