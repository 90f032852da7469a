"""What of a prompt a model reads, and what it does not, since that is too long."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from nbtool.catalogue import Model
from nbtool.engines.base import Reading
from nbtool.silence import importing
from nbtool.text import printable

UNLIMITED = 100_000  # tokens; tokenizers without a limit name a number far beyond


def readers(parts: Mapping[str, Any], tokens: int | None) -> list[tuple[Any, int]]:
    """The tokenizers of the text encoders, and how many tokens each of those reads.

    Args:
        parts: Of a pipeline; of several text encoders the last reads most, if it is there.
        tokens: That one reads, where its tokenizer does not say it.
    """
    names = sorted(name for name in parts if name.startswith("tokenizer"))
    limits = dict.fromkeys(names) | dict.fromkeys(names[-1:], tokens)
    return [
        (parts[name], limits[name] or parts[name].model_max_length)
        for name in names
        if parts[name] is not None
    ]


def first_cut(model: Model, text: str) -> Reading | None:
    """How the text encoder that reads least reads a text; None where it has none.

    The tokenizers alone are read, from the model's folder.
    """
    kinds = {name: kind for name, kind in model.parts.items() if name.startswith("tokenizer")}
    parts = _tokenizers(str(model.folder), tuple(kinds.items()))
    readings = [reading(*reader, text) for reader in readers(parts, model.family.tokens)]
    return min(readings, key=_left, default=None)


def _left(reading: Reading) -> float:
    return math.inf if reading.most is None else reading.most - reading.tokens


@lru_cache(maxsize=4)
def _tokenizers(folder: str, kinds: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    with importing("transformers"):  # `quiet` would import torch and diffusers too
        import transformers

    return {
        name: getattr(transformers, kind).from_pretrained(
            folder, subfolder=name, local_files_only=True
        )
        for name, kind in kinds
    }


@lru_cache(maxsize=64)  # it keeps the tokenizers
def reading(tokenizer: Any, most: int, text: str) -> Reading:
    """How a text encoder reads a text."""
    found = tokenizer(
        text,
        truncation=False,
        verbose=False,
        add_special_tokens=False,
        return_offsets_mapping=tokenizer.is_fast,
    )
    tokens = found.input_ids
    if most > UNLIMITED:
        return Reading(len(tokens), None)
    kept = most - tokenizer.num_special_tokens_to_add()
    if len(tokens) <= kept:
        return Reading(len(tokens), kept)
    if tokenizer.is_fast:  # the words as they were written
        beyond = text[found.offset_mapping[kept][0] :]
    else:
        beyond = tokenizer.decode(tokens[kept:])
    return Reading(len(tokens), kept, beyond.strip())


def truncation(tokenizer: Any, most: int, name: str, text: str) -> str | None:
    """What of a prompt is longer than the text encoder reads, in words."""
    found = reading(tokenizer, most, text)
    if found.most is None or found.tokens <= found.most:
        return None
    return (
        f"the {name} has {found.tokens} tokens, the model reads {found.most}; "
        f"left out: {printable(found.beyond)!r}"
    )


def forget() -> None:
    """Lets go of all tokenizers."""
    reading.cache_clear()
    _tokenizers.cache_clear()
