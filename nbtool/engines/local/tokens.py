"""What of a prompt a model does not read, since it is too long."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from nbtool.text import printable


def reader(parts: Mapping[str, Any], tokens: int | None) -> tuple[Any, int] | None:
    """The tokenizer of the text encoder that reads most, and how many tokens that reads.

    Args:
        parts: Of a pipeline; of several text encoders the last reads most, if it is there.
        tokens: That one reads, where its tokenizer does not say it.
    """
    names = sorted(name for name in parts if name.startswith("tokenizer"))
    there = [name for name in names if parts[name] is not None]
    if not there:
        return None
    last = parts[there[-1]]
    return last, (tokens if there[-1] == names[-1] else None) or last.model_max_length


@lru_cache(maxsize=16)  # it keeps the tokenizers
def truncation(tokenizer: Any, most: int, name: str, text: str) -> str | None:
    """What of a prompt is longer than the text encoder reads, in words."""
    tokens = tokenizer(text, truncation=False, verbose=False, add_special_tokens=False).input_ids
    kept = most - tokenizer.num_special_tokens_to_add()
    if len(tokens) <= kept:
        return None
    return (
        f"the {name} has {len(tokens)} tokens, the model reads {kept}; "
        f"left out: {printable(tokenizer.decode(tokens[kept:]))!r}"
    )
