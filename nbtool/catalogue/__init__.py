"""The models: those known by name, and how any other is found."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nbtool.catalogue import weights
from nbtool.catalogue.facts import Facts
from nbtool.catalogue.hub import BRANCH, Repository
from nbtool.catalogue.known import EMBEDDED, KNOWN
from nbtool.catalogue.model import Model
from nbtool.errors import ModelError, unknown_name

__all__ = ["EMBEDDED", "Facts", "Model", "add_model", "find", "names"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_NAME = re.compile(r"[\w.-]+")
_added: dict[str, tuple[str, dict[str, Any]]] = {}


def names() -> list[str]:
    """The names of the catalogue, those that were added last."""
    return [*KNOWN, *_added]


def add_model(name: str, source: str, **facts: Any) -> None:
    """Adds a model of your own to the catalogue, for as long as this Python runs.

        nbtool.add_model("mine", "org/my-fine-tune")
        nbtool.add_model("fast", "lcm.safetensors", num_inference_steps=6, guidance_scale=1.5)

    Args:
        name: What to call it.
        source: An id on the hub, a folder or a .safetensors file.
        **facts: What its own files do not say, such as `title`, `num_inference_steps`,
            `guidance_scale`, `scheduler`, or `side` in pixels.

    Raises:
        ModelError: The name is taken or none, or a fact has no such name.
    """
    if not _NAME.fullmatch(name) or name in KNOWN:
        raise ModelError(f"{name!r} cannot be the name of a model of yours; take another")
    known = {field.name for field in fields(Facts)}
    for fact in facts:
        if fact not in known:
            raise ModelError(unknown_name(fact, known, "fact of a model"))
    _added[name] = source, facts


def find(
    name: str,
    *,
    revision: str | None = None,
    safety_checker: bool = True,
    allow_pickle: bool = False,
) -> Model:
    """The model of a catalogue name, a folder, a file, or an id on the hub such as "org/name".

    Nothing is read or downloaded yet.

    Raises:
        ModelError: The name is none of these.
    """
    switches: dict[str, Any] = {"safety_checker": safety_checker, "allow_pickle": allow_pickle}
    if name == EMBEDDED:
        return Model(name, Path(__file__).parent / EMBEDDED, KNOWN[name][1])
    if name in KNOWN:
        repository, facts = KNOWN[name]
        return Model(name, Repository(repository, revision or BRANCH), facts, **switches)
    if name in _added:
        source, given = _added[name]
        found = find(source, revision=revision, **switches)
        return replace(found, name=name, given=tuple(given.items()))
    path = Path(name).expanduser().resolve()
    if path.is_file():
        return Model(str(path), _checkpoint(path, allow_pickle=allow_pickle), **switches)
    if (path / weights.INDEX).is_file():
        return Model(str(path), path, **switches)
    if path.exists():
        raise ModelError(
            f"{name} is no model folder: it has no {weights.INDEX}; "
            f"give the folder that diffusers' save_pretrained wrote"
        )
    if _HUB_ID.fullmatch(name):
        return Model(name, Repository(name, revision or BRANCH), **switches)
    raise ModelError(
        f"there is no model {name!r}; name one of {', '.join(names())}, a folder in diffusers' "
        f"layout, a .safetensors file, or an id on the Hugging Face hub such as 'org/name'"
    )


def _checkpoint(path: Path, *, allow_pickle: bool) -> Path:
    if path.suffix in weights.PICKLES:
        weights.refuse_pickle(path, allowed=allow_pickle)
    elif path.suffix != ".safetensors":
        raise ModelError(f"{path} is no model: nbtool reads .safetensors files")
    return path
