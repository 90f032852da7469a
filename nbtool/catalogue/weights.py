"""The files that hold a model's numbers: which of them are needed, whether they are what they say.

Nothing here loads a tensor: the header of a safetensors file tells its contents,
https://huggingface.co/docs/safetensors#format.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from types import NoneType
from typing import Any

from nbtool.errors import ModelError

INDEX = "model_index.json"
PICKLES = (".bin", ".ckpt", ".pt", ".pth")
MAX_HEADER = 100_000_000  # bytes; what the safetensors library reads
CHECKER = "safety_checker"
AGAIN = "get it again"
OPT_IN = "allow_pickle=True"
_NAME = re.compile(
    r"(?:diffusion_pytorch_model|model|pytorch_model)(?P<tags>(?:[.-][\w-]+)*)\.(?:safetensors|bin)"
)
_SHARD = re.compile(r"(?P<number>\d{5})-of-(?P<count>\d{5})")
_WITHOUT_WEIGHTS = re.compile(r"Tokenizer|Scheduler|Processor|Extractor")
_PARAMETERS = re.compile(r"^[FB](?:F|\d)")  # dtypes of weights: F32, F16, BF16, F8_E4M3
_COMPONENT = re.compile(  # among the settings of a model_index.json
    r"(?:unet|transformer|vae|scheduler|tokenizer|(?:text|image)_encoder|safety_checker"
    r"|feature_extractor)(?:_\d)?"
)
_LIBRARIES = ("diffusers", "transformers")
_TEXTS = (".json", ".txt", ".model", ".jinja")  # what components without weights are made of
_READS_WORDS = re.compile(r"(?<!ByT5)Tokenizer")  # ByT5's reads bytes
_VOCABULARY = re.compile(r"vocab|\.model$|^tokenizer\.json$")
# Variants in the order in which they are taken: half precision, all of it, what training averaged
# and what it did not.
VARIANTS = ("fp16", "bf16", "", "ema", "non_ema")


@dataclass(frozen=True)
class Choice:
    """The files of one component, relative to the model's folder.

    Attributes:
        files: Those to load, all shards of them.
        variant: One of VARIANTS; "" for the files without one.
        complete: Whether all the shards are among them.
    """

    files: tuple[str, ...]
    variant: str
    complete: bool


def components(index: Mapping[str, Any]) -> dict[str, str]:
    """The components that a model_index.json names, and the class of each.

    Raises:
        ModelError: It names no pipeline, says nonsense of a component, or asks for code from
            outside diffusers and transformers.
    """
    if index.get("_class_name") is None:
        raise ModelError(
            f"its {INDEX} names no pipeline; take the folder that diffusers' save_pretrained wrote"
        )
    found: dict[str, str] = {}
    for name, value in [("_class_name", index.get("_class_name")), *index.items()]:
        if name == "_class_name":
            custom = not isinstance(value, str)
        elif _COMPONENT.fullmatch(name) and _is_nonsense(value):
            raise ModelError(
                f"its {INDEX} says {json.dumps(value)} for {name}, where a library and a class "
                f"belong; write [null, null] there to load the model without it"
            )
        elif name.startswith("_") or not isinstance(value, list) or len(value) != 2:
            continue
        else:
            library, class_name = value
            custom = isinstance(library, str) and not _is_known(library)
            if isinstance(class_name, str):
                found[name] = class_name
        if custom:
            raise ModelError(
                f"this model brings code of its own (for {name.strip('_')}), which nbtool does "
                f"not run; look for a version that diffusers itself can load"
            )
    return found


def _is_nonsense(value: object) -> bool:
    """Whether diffusers cannot read what stands for a component."""
    kinds = [type(part) for part in value] if isinstance(value, list) else []
    return kinds not in ([str, str], [NoneType, NoneType])


@cache
def _is_known(library: str) -> bool:
    """Whether a component's class comes from a library rather than from the model's own files."""
    spec = find_spec("diffusers")
    folders = spec.submodule_search_locations if spec else None
    return library in _LIBRARIES or (
        library.isidentifier()  # and no path
        and any((Path(folder) / "pipelines" / library).is_dir() for folder in folders or ())
    )


def have_weights(parts: Mapping[str, str]) -> list[str]:
    """Those of the components that have weights."""
    return [name for name, kind in parts.items() if not _WITHOUT_WEIGHTS.search(kind)]


def choose(names: Iterable[str], component: str, *, pickles: bool = False) -> Choice | None:
    """The files of a component among the names of a model's files; None if there are none.

    Files in half precision go first: they are half as large, and what they leave out is lost in
    half precision anyway. Of one file and shards side by side, the choice is what is loaded:
    diffusers takes shards that have an index, transformers the one file. Shards that an earlier
    download left are chosen too, since only the index tells them apart.

    Args:
        names: Relative to the model's folder, with forward slashes.
        component: Such as "unet".
        pickles: Look for pickles in place of safetensors.
    """
    names = sorted(names)
    kinds: dict[tuple[str, bool], list[tuple[str, int]]] = {}  # names, and how many belong together
    suffix = ".bin" if pickles else ".safetensors"
    for name in names:
        path = PurePosixPath(name)
        if str(path.parent) != component or path.suffix != suffix:
            continue
        if not (match := _NAME.fullmatch(path.name)):
            continue
        shard = _SHARD.search(match["tags"])
        variant = re.sub(r"-?\d{5}-of-\d{5}", "", match["tags"]).strip(".")
        if variant in VARIANTS:
            count = int(shard["count"]) if shard else 1
            kinds.setdefault((variant, bool(shard)), []).append((name, count))

    def order(kind: tuple[str, bool]) -> tuple[bool, int, bool]:
        variant, sharded = kind
        counts = [count for _, count in kinds[kind]]
        lacks = all(counts.count(count) < count for count in counts)
        read = sharded == _has_index(names, component + "/", suffix, variant)
        return lacks, VARIANTS.index(variant), not read

    if not kinds:
        return None
    best = min(kinds, key=order)
    return Choice(tuple(name for name, _ in kinds[best]), best[0], complete=not order(best)[0])


def _has_index(names: Iterable[str], folder: str, suffix: str, variant: str) -> bool:
    """Whether diffusers finds shards of its own there: by an index, that has one of two names."""
    start, tag = f"{folder}diffusion_pytorch_model{suffix}", f".{variant}" if variant else ""
    return not {f"{start}.index{tag}.json", f"{start}{tag}.index.json"}.isdisjoint(names)


def texts(names: Iterable[str], parts: Mapping[str, str]) -> list[str]:
    """The names of the files that these components have beside weights."""
    return [
        name
        for name in sorted(names)
        if name == INDEX
        or (name.count("/") == 1 and name.partition("/")[0] in parts and name.endswith(_TEXTS))
    ]


def needed(
    names: Iterable[str],
    parts: Mapping[str, str],
    *,
    pickles: bool = False,
    spare: Container[str] = (),
) -> list[str]:
    """The names of the files to load a model from: configuration first, then weights.

    Args:
        names: Of all its files, relative to its folder.
        parts: Its components, as `components` gives them; those left out are not needed.
        pickles: Whether weights may be pickles, where there are no others.
        spare: Components that the model does without, where they have no folder.

    Raises:
        ModelError: A component has no files, no weights or not all of them, or only pickles.
    """
    names = list(names)
    files: list[str] = []
    described = texts(names, parts)
    heavy = have_weights(parts)
    for component, kind in parts.items():
        own = [n.rpartition("/")[2] for n in described if n.startswith(f"{component}/")]
        if component not in heavy and not own:
            raise ModelError(f"this model has no files for its {component}; {AGAIN}")
        if _READS_WORDS.search(kind) and not any(map(_VOCABULARY.search, own)):
            raise ModelError(f"this model has no vocabulary for its {component}; {AGAIN}")
    for component in heavy:
        choice = choose(names, component)
        if choice is None and (pickle := choose(names, component, pickles=True)):
            refuse_pickle(pickle.files[0], allowed=pickles)
            choice = pickle
        if choice is None:
            there = [
                n
                for n in names
                if re.fullmatch(rf"{component}/.*\.(safetensors|bin|gguf)(\.\w+)?", n)
            ]
            only = f", only {', '.join(sorted(there))}, which nbtool does not read" if there else ""
            hint = "safety_checker=False leaves it out" if component == CHECKER else AGAIN
            if component in spare:
                hint += f", or delete the folder {component} to do without"
            raise ModelError(f"this model has no weights for its {component}{only}; {hint}")
        if not choice.complete:
            raise ModelError(f"this model has no {_absent(choice)}; {AGAIN}")
        files += choice.files
    return described + files


def _absent(choice: Choice) -> str:
    """The first of its shards that is not there."""
    first = choice.files[0]
    count = _SHARD.findall(first)[-1][1]
    names = (_SHARD.sub(f"{n:05}-of-{count}", first) for n in range(1, int(count) + 1))
    return next(name for name in names if name not in choice.files)


def is_complete(names: Iterable[str], parts: Mapping[str, str], *, pickles: bool = False) -> bool:
    """Whether the names of a folder's files are all that a model needs."""
    names = list(names)
    for component in have_weights(parts):
        choice = choose(names, component) or (
            choose(names, component, pickles=True) if pickles else None
        )
        if choice is None or not choice.complete:
            return False
    return True


def names_in(folder: Path) -> list[str]:
    """The names of the files in a model's folder, in the form that `choose` takes.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        # Not by `glob`, which passes over folders that cannot be read.
        parts = [entry.name for entry in _entries(folder) if entry.is_dir()]
        return [f"{part}/{entry.name}" for part in parts for entry in _entries(folder / part)]
    except OSError as error:
        raise ModelError(f"cannot read {error.filename}: {error.strerror}") from None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return list(entries)


def read_json(path: Path) -> dict[str, Any]:
    """A configuration file.

    Raises:
        ModelError: It is missing or damaged.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelError(f"the model has no {path.name}: {path} is not there") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged ({error}); get the model again") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path} is damaged (it holds no JSON object); get the model again")
    return config


def header(path: Path) -> dict[str, Any]:
    """What a safetensors file says of its tensors, after checking that it is one, and whole.

    Raises:
        ModelError: It is cut off, or something else under that name; what it is, and the remedy.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(512)
            file.seek(8)
            length = int.from_bytes(start[:8], "little")
            text = file.read(length) if length <= min(MAX_HEADER, size) else b""
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from None
    if what := _impostor(start):
        raise ModelError(f"{path} is not a model's weights but {what}")
    try:
        tensors: dict[str, Any] = json.loads(text)
        tensors.pop("__metadata__", None)
        end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
    except (ValueError, TypeError, KeyError, AttributeError):
        end = math.inf if length > size else -1
    if 8 + length + end == size:
        return tensors
    lost = f"it ends after {size:,} bytes" if 8 + length + end > size else "its header is damaged"
    raise ModelError(f"{path} is corrupt ({lost}); delete it and download it again")


def metadata(path: Path) -> dict[str, str]:
    """What a safetensors file that is whole says of itself, beside its tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        said = json.loads(file.read(length)).get("__metadata__")
    return {str(name): str(value) for name, value in (said or {}).items()}


def tensors_hash(path: Path) -> str:
    """The beginning of the SHA-256 of a safetensors file without its header; others say "AutoV3"."""
    with path.open("rb") as file:
        file.seek(8 + int.from_bytes(file.read(8), "little"))
        digest = hashlib.sha256()
        while piece := file.read(2**24):
            digest.update(piece)
    return digest.hexdigest()[:12]


def check(path: Path) -> None:
    """Makes sure that one of a model's files is whole, as far as a look tells.

    Raises:
        ModelError: It is cut off, or something else under that name; what it is, and the remedy.
    """
    if path.suffix == ".safetensors":
        header(path)
    elif path.suffix == ".json":
        read_json(path)


def parameters(path: Path) -> int:
    """How many parameters a safetensors file holds.

    Raises:
        ModelError: It is none, or corrupt.
    """
    return sum(map(count, header(path).values()))


def count(tensor: Mapping[str, Any]) -> int:
    """The parameters of one tensor of a header; integers are none."""
    return math.prod(tensor["shape"]) if _PARAMETERS.match(tensor["dtype"]) else 0


def refuse_pickle(path: str | os.PathLike[str], *, allowed: bool) -> None:
    """Stops at a file that can run code when it is read, unless the user has said otherwise.

    Raises:
        ModelError: With what to do.
    """
    if not allowed:
        raise ModelError(
            f"{os.fspath(path)} is a pickle, which can run any code when it is read; look for "
            f"a .safetensors version, or give {OPT_IN} if you trust where it comes from"
        )


def _impostor(start: bytes) -> str:
    """What the first bytes of a file say that it is, if not safetensors; and the remedy."""
    if start[8:9] == b"{":  # its header; the eight bytes before are a number, and can be any
        return ""
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of git-LFS; fetch the file itself: git lfs pull"
    if start.lstrip()[:1] == b"<":
        return "a web page saved under that name; download it again"
    if start.startswith((b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return (
            "a pickle under a wrong name; it was not opened, since it could run any code: "
            "get the model from elsewhere"
        )
    return ""
