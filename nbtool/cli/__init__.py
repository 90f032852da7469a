"""The `nbtool` command."""

from __future__ import annotations

import argparse
import contextlib
import errno
import importlib.util
import json
import logging
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nbtool
from nbtool import files
from nbtool.catalogue import loras
from nbtool.cli.benchmark import pace
from nbtool.cli.options import parsed
from nbtool.cli.parameters import several, single
from nbtool.display import save
from nbtool.display.faces import counts
from nbtool.errors import NbtoolError, RecipeError, StoreError, log, logger
from nbtool.generator import default_store
from nbtool.recipes.axes import PRESET
from nbtool.recipes.axis import along
from nbtool.results.given_names import check_name
from nbtool.results.image import format_of
from nbtool.results.records import SHA256
from nbtool.text import Forgiving, Note, card_text, count, ellipsized, printable

DEMO_AXES: dict[str, Any] = {"seed": range(4), "guidance_scale": [1, 2, 3, 5]}
INTERRUPTED = 130
MAX_TITLE = 60  # characters of a prompt
EXAMPLE = '{"schema": 1, "presets": {"ink": {"prompt": "{prompt}, ink drawing"}}}'
UNLOAD, CLOSE = "nbtool.unload() lets go of other models", "close other programs that use it"
NOBODY_READS = (errno.EPIPE, errno.EINVAL)  # the second on Windows


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted.

    What the terminal cannot show is replaced. A reader who has seen enough, as in
    `nbtool models | head -1`, stops nothing: the work is done, and the code is that of the work.
    """
    out, err = Forgiving(sys.stdout), Forgiving(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _told():
        code = _run(arguments)
        out.flush()
        if out.error and out.error.errno not in NOBODY_READS:
            print(f"nbtool: cannot write the output: {out.error.strerror}", file=sys.stderr)
            code = code or 1
    for stream in (out, err):
        if stream.error:
            _leave_alone(stream)
    return code


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Says what is to be noted on a line of its own, as errors are said."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", Note)
        others = warnings.showwarning

        def show(message: Warning | str, *where: Any, **more: Any) -> None:
            if isinstance(message, Note):
                print(f"nbtool: {message.in_shell or message}", file=sys.stderr)
            else:
                others(message, *where, **more)

        warnings.showwarning = show
        yield


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = parsed(arguments, RUNS)
        if options.debug:
            logging.basicConfig(format="%(message)s")
            logger.setLevel(logging.DEBUG)
        code: int = options.run(options)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    except NbtoolError as error:
        log("the command failed", error)
        print(f"nbtool: {_said(error)}", file=sys.stderr)
        return 2 if isinstance(error, RecipeError) else 1
    except KeyboardInterrupt:
        print("nbtool: interrupted; finished images are kept", file=sys.stderr)
        return INTERRUPTED
    return code


def _said(error: NbtoolError) -> str:
    """An error in the shell's words."""
    return error.in_shell or str(error).replace(UNLOAD, CLOSE)


def _leave_alone(stream: Forgiving) -> None:
    """Python writes what is left in a stream at its end, and would complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _demo(options: argparse.Namespace) -> int:
    options.names = options.name = options.inputs = None
    options.no_metadata = False
    return _make_grid(options, DEMO_AXES, ["nbtool-demo.png", "nbtool-demo.html"])


def _generate(options: argparse.Namespace) -> int:
    parameters = single(options.prompt, options.parameters)
    outputs = options.output or []
    for output in outputs:
        format_of(files.expanded(output))
        files.check(files.expanded(output))
    if options.no_metadata and not outputs:
        raise RecipeError("--no-metadata is for a copy: say where with -o FILE")
    image = _generator(options)(options.prompt, **parameters)
    if not outputs:
        print(image.path)
    for output in outputs:
        inputs = options.inputs is not False
        print(image.save(output, metadata=not options.no_metadata, inputs=inputs))
    return 0


def _grid(options: argparse.Namespace) -> int:
    parameters = several(options.prompt, options.parameters)
    if options.plan:
        print(_generator(options).plan(options.prompt, **parameters))
        return 0
    return _make_grid(options, parameters, options.output or ["nbtool-grid.png"])


def _make_grid(
    options: argparse.Namespace, parameters: dict[str, Any], outputs: Sequence[str]
) -> int:
    if options.name is not None:
        check_name(options.name, "grid")
    # One preset is no axis, and no recipe names it: no file can be called by it.
    words = [n for n, value in parameters.items() if n != PRESET or isinstance(value, list)]
    _check_outputs(options, outputs, words)
    generator = _generator(options)
    if options.name is not None and options.name in generator.store.grids:
        raise RecipeError(f"there is a grid {options.name!r} already; give --name another")
    grid = generator.grid(options.prompt, **parameters)
    for labels, error in grid.failed.items():
        named = shlex.join(f"{name}={label}" for name, label in zip(grid.axes, labels, strict=True))
        cell = " ".join(filter(None, [printable(named), "failed"]))
        print(f"nbtool: {cell}: {_said(error)}", file=sys.stderr)
    print(f"{count(len(grid), 'image')} in {generator.store.path}")
    _write(grid, options, outputs)
    if options.name is not None:  # last: another may have taken the name meanwhile
        grid.name = options.name
        print(f"kept as {printable(options.name)}; nbtool grids lists it")
    return 1 if grid.failed else 0


def _check_outputs(
    options: argparse.Namespace, outputs: Sequence[str], words: Iterable[str]
) -> None:
    if options.names is not None and all(save.is_one_picture(output) for output in outputs):
        raise RecipeError("--names is for images: say where with -o folder/, -o FILE.zip or .html")
    for output in outputs:
        save.check(output, _names_for(output, options), words)


def _write(grid: nbtool.Grid, options: argparse.Namespace, outputs: Sequence[str]) -> None:
    for output in outputs:
        names = _names_for(output, options)
        metadata = not options.no_metadata
        path = save.save(grid, output, names=names, metadata=metadata, inputs=options.inputs)
        print(f"{_kind(path)}: {files.absolute(path)}")


def _names_for(output: str, options: argparse.Namespace) -> str | None:
    """The pattern, where there are several files to be named."""
    return None if save.is_one_picture(output) else options.names


def _images(options: argparse.Namespace) -> int:
    if options.limit is not None and options.limit < 1:
        raise RecipeError(f"--limit must be 1 or more, got {options.limit}")
    outputs = options.output or []
    for output in outputs:
        save.check(output, options.names, kinds=save.SEVERAL)
    if not outputs:
        _refuse_without_output(options)
    store = default_store(options.store)
    asked = {"model": options.model} if options.model is not None else {}
    found = store.find(
        " ".join(options.words), starred=options.starred or None,
        since=options.since, sort=options.sort, **asked,
    )[: options.limit]  # fmt: skip
    total = len(store)
    images = list(found) if outputs else found  # written without those that are gone
    written = outputs if images else []
    for output in written:
        metadata = not options.no_metadata
        path = nbtool.save(
            images, output, names=options.names, metadata=metadata, inputs=options.inputs
        )
        print(
            f"{count(len(images), 'image')} of {total:,} written to {files.absolute(path)}",
            file=sys.stderr if options.json else sys.stdout,  # which is for programs then
        )
    if options.json:
        print(json.dumps([_record(image) for image in images], indent=2))
    elif not outputs:
        _list(images, store)
    if not total:
        print(f"no images in {store.path}", file=sys.stderr)
    elif len(found) < total and not written:
        print(f"{len(found):,} of {count(total, 'image')} in {store.path}", file=sys.stderr)
    return 0


def _list(images: Iterable[nbtool.GeneratedImage], store: nbtool.Store) -> None:
    for image in images:
        mark = store.mark(image.recipe.key)
        note = f"  ({printable(mark.note)})" if mark.note else ""
        print(f"{'★' if mark.starred else ' '} {image.path}  {image.caption}{note}")


def _refuse_without_output(options: argparse.Namespace) -> None:
    if options.no_metadata or options.names is not None:
        raise RecipeError("--names and --no-metadata are for copies: say where with -o folder/")


def _record(image: nbtool.GeneratedImage) -> dict[str, Any]:
    """What programs are told of an image."""
    return {
        "path": str(image.path),
        "key": image.recipe.key,
        "created": image.provenance.created,
        "starred": image.starred,
        "note": image.note,
        "recipe": image.recipe.to_dict(),
    }


def _star(options: argparse.Namespace) -> int:
    store = default_store(options.store)
    keys = list(dict.fromkeys(_key(given, store) for given in options.images))
    for key in keys:
        store.set_mark(key, starred=not options.remove, note=options.note)
    done = "took the star of" if options.remove else "starred"
    noted = " and noted it" if options.note is not None else ""
    print(f"{done} {count(len(keys), 'image')}{noted}")
    return 0


def _key(given: str, store: nbtool.Store) -> str:
    """The key of an image that is named by a file or by that."""
    with files.explained(f"find {given}"):
        known = files.expanded(given).exists()
    key = nbtool.Recipe.from_file(given).key if known else given
    if not (SHA256.fullmatch(key) and store.has(key)):
        raise StoreError(
            f"{store.path} holds no image with the key {key!r}; nbtool images lists those it has"
        )
    return key


def _grids(options: argparse.Namespace) -> int:
    store = default_store(options.store)
    grids = store.grids
    outputs = options.output or []
    if not outputs:
        _refuse_without_output(options)
    if options.name is None:
        if outputs:
            raise RecipeError("which grid is to be written? nbtool grids NAME -o FILE")
        if grids:
            print(grids)
        else:
            print(f"no grid in {store.path} has a name; nbtool grid … --name NAME gives it one")
        return 0
    try:
        grid = grids[options.name]
    except KeyError as error:
        raise RecipeError(error.args[0]) from None
    if outputs:
        _check_outputs(options, outputs, [*grid.words, *grid.axes])
    print(_described(grid))
    if not outputs:
        where = ["--store", options.store] if options.store is not None else []
        command = shlex.join(["nbtool", "grids", options.name, *where, "-o", "grid.html"])
        print(f"{printable(command)} writes a page to look through it; --help says what else")
    _write(grid, options, outputs)
    return 0


def _described(grid: nbtool.Grid) -> str:
    """What a grid with a name is, in a sentence."""
    about = " · ".join(filter(None, [ellipsized(grid.title, MAX_TITLE), along(grid.swept)]))
    return f"{printable(grid.name or '')}: {', '.join(filter(None, [about, *counts(grid)]))}"


def _presets(options: argparse.Namespace) -> int:
    presets = default_store(options.store).presets
    if any(presets.looked()):
        print(presets)
    else:
        print(
            f"no presets in {presets.path.parent}; the panel keeps them there (Edit presets), or "
            f"write them yourself in its {presets.path.name}:\n{EXAMPLE}"
        )
    return 0


def _check(options: argparse.Namespace) -> int:
    machine = nbtool.hardware()
    measured = pace() if options.benchmark else None
    if options.json:
        facts = machine.to_dict() | ({"benchmark": measured.to_dict()} if measured else {})
        print(json.dumps(facts, indent=2))
    else:
        print(card_text(machine.rows() | ({"Benchmark": str(measured)} if measured else {})))
    return 0


def _models(options: argparse.Namespace) -> int:
    found = nbtool.models()
    print(json.dumps(found.records(), indent=2) if options.json else found)
    return 0


def _loras(options: argparse.Namespace) -> int:
    found = loras.several(options.folder)
    rows = loras.table([Path(options.folder)] if found is None else found)
    if not rows:
        raise RecipeError(f"{options.folder} holds no .safetensors files")
    if options.json:
        print(json.dumps([row.to_dict() for row in rows], indent=2))
    else:
        print("\n".join(map(str, rows)))
    return 0 if any(row.fault is None for row in rows) else 1


def _kind(output: Path) -> str:
    known = dict.fromkeys(save.WRITERS, "sheet") | {".html": "page", ".zip": "images"}
    return known.get(output.suffix.lower(), "images")


def _generator(options: argparse.Namespace) -> nbtool.Generator:
    return nbtool.Generator(options.model, store=options.store, device=options.device)


def _lab(options: argparse.Namespace) -> int:
    if importlib.util.find_spec("jupyterlab") is None:
        raise NbtoolError("JupyterLab is not installed here; pip install jupyterlab")
    folder = files.absolute(options.folder)
    copied = 0
    with files.explained(f"copy the notebooks to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        for notebook in _notebooks():
            if not (folder / notebook.name).exists():
                files.write(folder / notebook.name, notebook.read_bytes())
                copied += 1
    done = f"copied {count(copied, 'notebook')} to" if copied else "the notebooks are in"
    print(f"{done} {folder}; changes there are yours to keep")
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [sys.executable, "-m", "jupyter", "lab", *root, str(folder)]
    return 1 if subprocess.run(command, check=False).returncode else 0  # noqa: S603


def _notebooks() -> list[Path]:
    """The notebooks inside the installed package, or beside it in a checkout."""
    package = Path(nbtool.__file__).parent
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if found := sorted(folder.glob("*.ipynb")):
            return found
    raise NbtoolError(
        f"the notebooks are neither in {package} nor beside it; install nbtool-diffusion again"
    )


RUNS = {
    "demo": _demo,
    "generate": _generate,
    "grid": _grid,
    "images": _images,
    "star": _star,
    "grids": _grids,
    "presets": _presets,
    "check": _check,
    "models": _models,
    "loras": _loras,
    "lab": _lab,
}
