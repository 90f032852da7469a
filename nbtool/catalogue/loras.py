"""LoRAs by the names, paths and hub ids that people give, and where what a recipe names lies."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from nbtool import files
from nbtool.catalogue import identity, lora_files
from nbtool.catalogue.hub import BRANCH, Repository
from nbtool.errors import ModelError, PartError, RecipeError
from nbtool.recipes.loras import Lora
from nbtool.text import shown

# Of a folder that holds one LoRA, as diffusers and PEFT write it, the file with its weights.
OF_A_FOLDER = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")
SETTINGS = "adapter_config.json"  # of PEFT
SUFFIX = ".safetensors"
_HUB = re.compile(r"(?P<name>[\w.-]+/[\w.-]+?)(?:/(?P<file>[^@]+))?(?:@(?P<revision>[\w./-]+))?")
_MAGIC = re.compile(r"[*?[]")

Say = Callable[[str], None]
_added: dict[str, tuple[str, str | None, str | None]] = {}


def add_lora(
    name: str, source: Any, *, file: str | None = None, revision: str | None = None
) -> None:
    """Names a LoRA, for as long as this Python runs.

        nbtool.add_lora("ink", "loras/ink-v3.safetensors")
        nbtool.add_lora("detail", "org/details", file="detail.safetensors", revision="main")
        gen("a fox", loras={"ink": 0.8, "detail": 0.5})

    Args:
        name: What to call it.
        source: A .safetensors file, a folder as `save_lora_weights` or PEFT writes it, or an id on
            the hub.
        file: Of a repository on the hub that has several.
        revision: A branch, a tag or a commit on the hub.

    Raises:
        RecipeError: The name or the source is none.
    """
    if not isinstance(name, str) or not name.strip() or _MAGIC.search(name):
        raise RecipeError(f"{shown(name)} cannot be the name of a LoRA; take another")
    _added[name] = _text(source), file, revision


def add_loras(folder: Any) -> list[str]:
    """Names every LoRA in a folder after its file, for as long as this Python runs.

    Args:
        folder: Its .safetensors files; those of its folders are not looked at.

    Returns:
        The names, in the order of the alphabet.

    Raises:
        RecipeError: There is no such folder, or no LoRA in it.
    """
    found = several(folder) or []
    if not found:
        raise RecipeError(f"{_text(folder)} is no folder of .safetensors files")
    for path in found:
        add_lora(path.stem, path)
    return [path.stem for path in found]


def names() -> list[str]:
    """The names that were given to LoRAs."""
    return list(_added)


def source_of(name: str) -> str:
    """What a name was given to."""
    return _added[name][0]


def several(source: Any) -> list[Path] | None:
    """The files of a folder or of a pattern such as "loras/*.safetensors"; None for one LoRA.

    Raises:
        RecipeError: The source is no text and no path.
        PartError: It cannot be looked at now.
    """
    text = _text(source)
    if text in _added:
        return None
    path = os.path.expanduser(text)
    try:
        if _one(text):
            return None
        if identity.is_folder(path):
            return _files(Path(path), "*")
        if _MAGIC.search(text) and not identity.is_there(path):
            return _files(Path(path).parent, Path(path).name)
    except ModelError as error:
        raise PartError(str(error)) from None
    except OSError as error:
        raise PartError(f"{text} cannot be read now ({files.why(error)}); try again") from None
    return None


def _files(folder: Path, pattern: str) -> list[Path]:
    """The .safetensors files in a folder, or in folders that match, whose names match a pattern.

    Raises:
        OSError: A folder cannot be read.
    """
    deep = _MAGIC.search(str(folder)) is not None
    root = next(above for above in (folder, *folder.parents) if not _MAGIC.search(str(above)))
    folders = str(folder).replace("**", "*")
    return sorted(
        path
        for path in (_inside(root, deep=deep) if identity.is_folder(root) else ())
        if path.suffix == SUFFIX and fnmatch.fnmatch(path.name, pattern)
        if not deep or fnmatch.fnmatch(str(path.parent), folders)
    )


def _inside(folder: Path, *, deep: bool) -> Iterator[Path]:
    """What lies in a folder; deep: and in those in it."""
    for name in os.listdir(folder):
        path = folder / name
        yield path
        if deep and identity.is_folder(path):
            yield from _inside(path, deep=True)


def resolve(source: Any, say: Say) -> Lora:
    """The LoRA that a name, a path or a hub id means.

    Args:
        source: One of these; on the hub "org/name", "org/name/file.safetensors", and "@revision"
            after either.
        say: Told of a download or a reading that takes long.

    Raises:
        PartError: It is not there, or is something else.
        RecipeError: The source is no text and no path.
    """
    given = _text(source)
    text, file, revision = _added.get(given, (given, None, None))
    called = given if given in _added else ""
    try:
        if one := _one(text):
            return _at(called or _name(Path(os.path.expanduser(text))), one, say)
        if (found := several(text)) is not None:
            raise PartError(_not_one(text, found))
        if known := _seen(text):
            return known
        if hub := _on_hub(text):
            file, revision = file or hub["file"] or "", revision or hub["revision"] or BRANCH
            got = Repository(hub["name"], revision).file(file, say)
            named = called or f"{hub['name']}/{file or got.name}"
            return _at(named, _parts(got), say)
    except PartError:
        raise
    except ModelError as error:
        raise PartError(str(error)) from None
    known_names = f"; named are {', '.join(_added)}" if _added else ""
    raise PartError(
        f"there is no LoRA {text!r}: no such file, and no name that nbtool.add_lora(…) gave"
        f"{known_names}"
    )


def is_away(source: Any) -> bool:
    """Whether a LoRA would have to be looked for on the hub.

    Raises:
        PartError: It cannot be looked for now.
        RecipeError: The source is no text and no path.
    """
    given = _text(source)
    text = _added.get(given, (given,))[0]
    if _on_hub(text) is None or several(text) is not None:
        return False
    return _one(text) is None and _seen(text) is None


def _on_hub(text: str) -> re.Match[str] | None:
    """What a source means on the hub; None if it cannot be there."""
    hub = _HUB.fullmatch(text)
    return hub if hub and (hub["file"] or not text.endswith(SUFFIX)) else None


def _text(source: Any) -> str:
    try:
        text = os.fsdecode(source)
    except TypeError:
        raise RecipeError(
            f"a LoRA is a .safetensors file, a name or an id on the hub, got {shown(source)}"
        ) from None
    if not text.strip() or "\0" in text:
        raise RecipeError(f"{shown(source)} is no LoRA: it names no file")
    return text


def _one(text: str) -> dict[str, Path] | None:
    """The files of one LoRA at a path; None if there is none."""
    path = Path(os.path.expanduser(text)).absolute()
    if identity.is_file(path):
        return _parts(path)
    for name in OF_A_FOLDER:
        if identity.is_file(path / name):
            return _parts(path / name)
    return None


def _name(path: Path) -> str:
    """What the LoRA of a path is called: its file, or its folder where the file's name says nothing."""
    known = path.parent.resolve() if path.name in OF_A_FOLDER else path
    return identity.name_of(known).removesuffix(SUFFIX)


def _parts(path: Path) -> dict[str, Path]:
    """The files that decide what a LoRA does: its weights, and PEFT's settings beside them."""
    settings = path.with_name(SETTINGS)
    has_settings = path.name == OF_A_FOLDER[1] and identity.is_file(settings)
    return {"": path} | ({SETTINGS: settings} if has_settings else {})


def _at(name: str, parts: dict[str, Path], say: Say) -> Lora:
    """The LoRA of some files that are there, which is remembered by its digest."""
    lora_files.read(parts[""])
    digest = _digest(name, parts, say)
    identity.register.put(digest, identity.last_part(name), parts[""])
    return Lora(name, digest)


def _digest(name: str, parts: dict[str, Path], say: Say) -> str:
    """The beginning of the SHA-256 of its one file, as other programs have it."""
    whole = identity.register.digest(name, parts, say)
    if len(parts) > 1:
        return whole
    try:
        return identity.register.sha256(parts[""])[: identity.DIGITS]
    except OSError as error:
        raise ModelError(f"cannot read {parts['']} ({files.why(error)})") from None


def _seen(text: str) -> Lora | None:
    """What was called so where it was last seen on this machine."""
    place = identity.register.place(name=identity.last_part(text)) if text else None
    if place is None or place.suffix != SUFFIX or os.sep in text:
        return None
    found = _parts(place)
    try:
        lora_files.read(place)
    except ModelError:  # a checkpoint of that name
        return None
    return _at(text, found, lambda _: None)


def _not_one(text: str, found: list[Path]) -> str:
    if not found:
        return f"{text} holds no .safetensors file"
    return (
        f"{text} holds {len(found)} LoRAs; nbtool.lora({text!r}) is an axis of them, and for one "
        f"of them give its file, such as {str(found[0])!r}"
    )


def parts_of(lora: Lora) -> dict[str, Path]:
    """The files of the LoRA of a recipe, as they are on this machine now.

    Nothing is fetched: a recipe may be somebody else's.

    Raises:
        PartError: They are not here, or are others now.
    """
    if lora.fault:
        raise PartError(lora.fault)
    try:
        place = identity.register.place(lora.digest)
        if place is not None:
            parts = _parts(place)
            if _digest(lora.name, parts, lambda _: None) == lora.digest:
                return parts
    except ModelError as error:
        raise PartError(f"the LoRA {lora.name}: {error}") from None
    raise PartError(_gone(lora, place))


def _gone(lora: Lora, place: Path | None) -> str:
    what = f"the LoRA {lora.name} (sha256 {lora.digest}…)"
    if place is not None:
        return f"{what} has changed since: {place} holds another now; ask again for that one"
    hub = _HUB.fullmatch(lora.name)
    if hub and hub["file"]:
        return (
            f"{what} is not on this machine; nbtool.add_lora({hub['file']!r}, {lora.name!r}) names "
            f"it on the hub, and loras={{{lora.name!r}: {lora.weight:g}}} fetches it"
        )
    return f"{what} is not on this machine; give its file: loras={{…: {lora.weight:g}}}"


@cache
def _facts(place: Path, _: identity.Stamp) -> lora_files.LoraFile:
    return lora_files.read(place)


def facts(lora: Lora) -> lora_files.LoraFile:
    """What the file of a LoRA says of it.

    Raises:
        PartError: It is not here, or is another now.
    """
    place = parts_of(lora)[""]
    try:
        return _facts(place, identity.stamp(place))
    except (OSError, ModelError) as error:
        raise PartError(f"the LoRA {lora.name}: {error}") from None


def table(paths: Iterable[Path]) -> list[lora_files.Listed]:
    """What each of some files is for, or why it is of no use."""
    rows = []
    for path in paths:
        try:
            rows.append(lora_files.Listed(path.stem, lora_files.read(path)))
        except (ModelError, OSError) as error:
            rows.append(lora_files.Listed(path.stem, None, str(error)))
    return rows
