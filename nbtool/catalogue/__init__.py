"""The models: those known by name, and how any other is found."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nbtool.catalogue import identity, weights
from nbtool.catalogue.facts import DTYPE_BYTES, Facts
from nbtool.catalogue.hub import BRANCH, Repository
from nbtool.catalogue.known import AUTO, EMBEDDED, KNOWN
from nbtool.catalogue.model import Model
from nbtool.errors import ModelError, RecipeError, unknown_name
from nbtool.recipes.parameters import PARAMETERS, checked
from nbtool.recipes.recipe import Recipe

__all__ = ["AUTO", "EMBEDDED", "Facts", "Model", "add_model", "find", "names", "where"]

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_SEPARATOR = re.compile(r"[\\/]")
_NAME = re.compile(r"[\w.-]+")
_NUMBERS = ("download_gb", "teraflop", "decode_mib", "tile_mib")  # facts
MOST = 10**15  # of any amount; no model comes near it
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
        ModelError: The name is taken or none, the source leads back to it or is no text, or a fact
            has no such name or value.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in (*KNOWN, AUTO):
        raise ModelError(f"{name!r} cannot be the name of a model of yours; take another")
    if (source := _named(source)) == AUTO or not source.strip():
        raise ModelError(f"{source!r} is no folder, file or id on the hub")
    facts = {fact: _checked(fact, value) for fact, value in facts.items()}
    way = [name, source]
    while way[-1] in _added and way[-1] != name:
        way.append(_added[way[-1]][0])
    if way[-1] == name:
        raise ModelError(
            f"the model {name!r} would come from itself ({' → '.join(way)}); give the folder, file "
            f"or id on the hub that it comes from, such as {'./' + name!r}"
        )
    _added[name] = way[1], facts


def _named(source: Any) -> str:
    """What names a model, as text.

    Raises:
        ModelError: It is neither text nor a path.
    """
    try:
        return os.fsdecode(source)
    except TypeError:
        raise ModelError(f"{source!r} is no name, folder, file or id on the hub") from None


def _checked(fact: str, value: Any) -> Any:
    """A fact as the catalogue holds it.

    Raises:
        ModelError: There is no such fact, or it cannot be that.
    """
    known = {field.name: field.default for field in fields(Facts)}
    if fact not in known:
        raise ModelError(unknown_name(fact, known, "fact of a model"))
    try:
        if fact == "side":
            return checked("width", value)
        if fact in PARAMETERS:
            return checked(fact, value)
    except RecipeError as error:
        raise ModelError(f"of a model, {error}") from None
    if not _fits(fact, value, known[fact]):
        raise ModelError(f"the fact {fact} of a model cannot be {value!r}")
    return value


def _fits(fact: str, value: Any, default: Any) -> bool:
    if fact == "parameters":
        return isinstance(value, Mapping) and all(
            isinstance(part, str) and isinstance(count, int) and _is_amount(count)
            for part, count in value.items()
        )
    if fact == "dtypes":
        known = [*DTYPE_BYTES]
        return isinstance(value, (tuple, list)) and any(value) and all(v in known for v in value)
    if fact == "row_mib":
        return value is None or (
            isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_amount, value))
        )
    if fact in _NUMBERS:
        return _is_amount(value) or (value is None and default is None)
    return isinstance(value, type(default))


def _is_amount(value: object) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value <= MOST  # type: ignore[operator]


def find(
    name: str,
    *,
    revision: str | None = None,
    safety_checker: bool = True,
    allow_pickle: bool = False,
) -> Model:
    """The model of a catalogue name, a folder, a file, or an id on the hub such as "org/name".

    What recipes call a folder or a file, the last part of its path, finds it again where it was
    last seen on this machine; with its digest as the revision, it and no other of that name.
    Nothing is read or downloaded yet.

    Raises:
        ModelError: The name is none of these, or what it names cannot be looked at now.
    """
    name = _named(name)
    switches: dict[str, Any] = {"safety_checker": safety_checker, "allow_pickle": allow_pickle}
    if name in _added:
        source, given = _added[name]
        found = find(source, revision=revision, **switches)
        return replace(found, name=name, given=tuple(given.items()))
    if identity.is_digest(revision) and (place := _last_seen(name, revision)):
        return Model(identity.last_part(name), place, wanted=revision, **switches)
    if name in KNOWN:
        return _known(name, revision, switches)
    path = _path(name)
    if path is None and _HUB_ID.fullmatch(name):
        return Model(name, Repository(name, revision or BRANCH), **switches)
    called = identity.name_of(path) if path else name
    path = path or identity.register.place(name=name)
    if path is None and _SEPARATOR.search(name):
        raise ModelError(f"there is no folder or file {name}; give one that is there")
    if path is None:
        raise ModelError(
            f"there is no model {name!r}; name one of {', '.join(names())}, a folder in diffusers' "
            f"layout, a .safetensors file, or an id on the Hugging Face hub such as 'org/name'"
        )
    if identity.is_file(path):
        _check_checkpoint(path, allow_pickle=allow_pickle)
    elif not identity.is_file(path / weights.INDEX):
        raise ModelError(
            f"{path} is no model folder: it has no {weights.INDEX}; "
            f"give the folder that diffusers' save_pretrained wrote"
        )
    return Model(called, path, wanted=revision, **switches)


def _known(name: str, revision: str | None, switches: Mapping[str, Any]) -> Model:
    repository, facts = KNOWN[name]
    if not repository:
        return Model(name, Path(__file__).parent / name, facts, wanted=revision)
    if identity.is_digest(revision):
        raise ModelError(where(Recipe(model=name, revision=revision)))
    return Model(name, Repository(repository, revision or BRANCH), facts, **switches)


def where(recipe: Recipe) -> str:
    """How to get a generator of a recipe's model on this machine, or what is missing for it."""
    name, revision = recipe.model or "", recipe.revision
    known: object = name in names() or _path(name) or _HUB_ID.fullmatch(name)
    if identity.is_digest(revision) and name not in _added:
        if place := identity.register.place(revision):
            return f"nbtool.Generator({str(place)!r}) makes it"
        known = name == EMBEDDED and find(name).revision == revision
    if known:
        return f"{recipe.generator} makes it{' as it was' if revision else ''}"
    digest = f" with the digest {revision}" if revision else ""
    return (
        f"the model {name!r}{digest} is not known on this machine; "
        f"nbtool.Generator(…) of its folder or file makes it"
    )


def _path(name: str) -> Path | None:
    """The folder or file of a name; None if there is none. A link keeps its own name."""
    path = os.path.expanduser(name)
    return Path(path).absolute() if name and identity.is_there(path) else None


def _last_seen(name: str, digest: str | None) -> Path | None:
    """Where what has a digest was last seen; None if the name is the path of something here.

    A name alone is what a recipe says, and meant before a namesake in the working folder.
    """
    if _path(name) is None:
        return identity.register.place(digest)
    return None if _SEPARATOR.search(name) else identity.register.place(digest, name)


def _check_checkpoint(path: Path, *, allow_pickle: bool) -> None:
    if path.suffix in weights.PICKLES:
        weights.refuse_pickle(path, allowed=allow_pickle)
    elif path.suffix != ".safetensors":
        raise ModelError(f"{path} is no model: nbtool reads .safetensors files")
