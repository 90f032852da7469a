"""The names that people give to what a store keeps."""

from __future__ import annotations

from nbtool.errors import RecipeError
from nbtool.text import shown

MAX_NAME = 100  # characters


def check_name(name: object, kind: str) -> None:
    """Refuses what cannot be shown in a list and chosen by a line of text.

    Args:
        name: What is to be a name.
        kind: What it would be the name of.

    Raises:
        RecipeError: It is no such name.
    """
    if not isinstance(name, str) or not name or not name.isprintable() or name != name.strip():
        raise RecipeError(
            f"a {kind}'s name is a line of text without spaces around it, got {shown(name)}"
        )
    if len(name) > MAX_NAME:
        raise RecipeError(f"a {kind}'s name has at most {MAX_NAME} characters, got {len(name)}")
