"""The `nbtool` command."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbtool
from nbtool import files
from nbtool.cli.benchmark import PROMPT as DEMO_PROMPT
from nbtool.cli.benchmark import pace
from nbtool.display import save
from nbtool.errors import NbtoolError, RecipeError, log, logger
from nbtool.generator import default_store
from nbtool.recipes.axes import PRESET
from nbtool.recipes.parameters import INTEGERS, PARAMETERS, READ, REALS
from nbtool.results.image import format_of
from nbtool.text import Forgiving, card_text, printable

DEMO_AXES: dict[str, Any] = {"seed": range(4), "guidance_scale": [1, 2, 3, 5]}
PARAMETER_HELP = (
    "parameters are written name=value: "
    + " ".join(f"{row.name}={row.example}" for row in READ if row.example)
    + "; there are also "
    + ", ".join(
        row.name for row in READ if not (row.example or row.network or row.name == "prompt")
    )
    + "; and preset=ink, one of those that the store has (nbtool presets)"
)
GRID_HELP = (
    PARAMETER_HELP + ".  Several values, separated by | or as a range, make an axis: "
    "'seed=0-3' 'guidance_scale=1-7 (+2)' 'scheduler=euler|ddim'; a {word} in the prompt is "
    "filled by 'word=red|blue'."
)
INTERRUPTED = 130
NOBODY_READS = (errno.EPIPE, errno.EINVAL)  # the second on Windows


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code: 0 done, 1 failed, 2 wrong use, 130 interrupted.

    What the terminal cannot show is replaced. A reader who has seen enough, as in
    `nbtool models | head -1`, stops nothing: the work is done, and the code is that of the work.
    """
    out, err = Forgiving(sys.stdout), Forgiving(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _run(arguments)
        out.flush()
        if out.error and out.error.errno not in NOBODY_READS:
            print(f"nbtool: cannot write the output: {out.error.strerror}", file=sys.stderr)
            code = code or 1
    for stream in (out, err):
        if stream.error:
            _leave_alone(stream)
    return code


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = _parser().parse_args(arguments)
        if options.debug:
            logging.basicConfig(format="%(message)s")
            logger.setLevel(logging.DEBUG)
        code: int = options.run(options)
    except SystemExit as end:  # argparse has said why
        return int(end.code or 0)
    except NbtoolError as error:
        log("the command failed", error)
        print(f"nbtool: {error}", file=sys.stderr)
        return 2 if isinstance(error, RecipeError) else 1
    except KeyboardInterrupt:
        print("nbtool: interrupted; finished images are kept", file=sys.stderr)
        return INTERRUPTED
    return code


def _leave_alone(stream: Forgiving) -> None:
    """Python writes what is left in a stream at its end, and would complain."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nbtool", description="Explore image models: generate, sweep, compare, reproduce."
    )
    parser.add_argument("--version", action="version", version=f"nbtool {nbtool.__version__}")
    parser.add_argument("--debug", action="store_true", help="say what is behind each error")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="make 4 seeds × 4 guidance values and show where")
    demo.add_argument("prompt", nargs="?", default=DEMO_PROMPT)
    demo.set_defaults(run=_demo)

    generate = commands.add_parser("generate", help="make one image", epilog=PARAMETER_HELP)
    generate.add_argument("prompt")
    generate.add_argument("parameters", nargs="*", metavar="NAME=VALUE")
    generate.add_argument("-o", "--output", type=files.expanded, help="also write it there")
    generate.set_defaults(run=_generate)

    grid = commands.add_parser("grid", help="make every combination", epilog=GRID_HELP)
    grid.add_argument("prompt")
    grid.add_argument("parameters", nargs="*", metavar="NAME=VALUES")
    grid.add_argument(
        "-o", "--output", type=files.expanded, action="append",
        help="what to write: .png .jpg .webp .html .pdf .svg .zip; may be repeated",
    )  # fmt: skip
    grid.add_argument("--plan", action="store_true", help="only say what would be made")
    grid.set_defaults(run=_grid)

    for command in (demo, generate, grid):
        command.add_argument("--model", help="catalogue name, folder or hub id (default: shapes)")
        command.add_argument("--store", help="folder for the images (default: nbtool-images)")
        command.add_argument("--device", help="cuda, mps, xpu or cpu (default: the best there is)")

    images = commands.add_parser("images", help="list the images of a store, oldest first")
    images.add_argument("--starred", action="store_true", help="only those with a star")
    images.set_defaults(run=_images)

    star = commands.add_parser("star", help="star images, or note something about them")
    star.add_argument("images", nargs="+", metavar="IMAGE", help="a PNG of the store, or its key")
    star.add_argument("--remove", action="store_true", help="take the star away")
    star.add_argument("--note", help="what to remember of them")
    star.set_defaults(run=_star)

    presets = commands.add_parser("presets", help="list the presets of a store")
    presets.set_defaults(run=_presets)

    grids = commands.add_parser("grids", help="list the grids that have a name, or write one")
    grids.add_argument("name", nargs="?", help="of a grid; without it all are listed")
    grids.add_argument(
        "-o", "--output", type=files.expanded, action="append",
        help="what to write: .png .jpg .webp .html .pdf .svg .zip; may be repeated",
    )  # fmt: skip
    grids.set_defaults(run=_grids)

    for command in (images, star, grids, presets):
        command.add_argument("--store", help="folder of the images (default: nbtool-images)")

    check = commands.add_parser("check", help="say what this machine has, and what it is good for")
    check.add_argument("--json", action="store_true", help="for programs")
    check.add_argument(
        "--benchmark", action="store_true", help="also make some images, and say how fast"
    )
    check.set_defaults(run=_check)

    models = commands.add_parser("models", help="say which models run here, and how")
    models.add_argument("--json", action="store_true", help="for programs")
    models.set_defaults(run=_models)

    lab = commands.add_parser("lab", help="open JupyterLab on a copy of the notebooks")
    lab.add_argument("folder", nargs="?", type=files.expanded, default=Path("nbtool-notebooks"))
    lab.set_defaults(run=_lab)
    return parser


def _demo(options: argparse.Namespace) -> int:
    return _make_grid(options, DEMO_AXES, [Path("nbtool-demo.png"), Path("nbtool-demo.html")])


def _generate(options: argparse.Namespace) -> int:
    if options.output:
        format_of(options.output)
        files.check(options.output)
    parameters = {name: _number(name, text) for name, text in _pairs(options.parameters)}
    image = _generator(options)(options.prompt, **parameters)
    print(image.save(options.output) if options.output else image.path)
    return 0


def _grid(options: argparse.Namespace) -> int:
    parameters = {name: _values(name, text) for name, text in _pairs(options.parameters)}
    if options.plan:
        print(_generator(options).plan(options.prompt, **parameters))
        return 0
    return _make_grid(options, parameters, options.output or [Path("nbtool-grid.png")])


def _make_grid(
    options: argparse.Namespace, parameters: dict[str, Any], outputs: Sequence[Path]
) -> int:
    for output in outputs:
        save.check(output)
    generator = _generator(options)
    grid = generator.grid(options.prompt, **parameters)
    for labels, error in grid.failed.items():
        print(f"nbtool: {labels} failed: {error}", file=sys.stderr)
    print(f"{len(grid)} images in {generator.store.path}")
    for output in outputs:
        print(f"{_kind(output)}: {files.absolute(grid.save(output))}")
    return 1 if grid.failed else 0


def _images(options: argparse.Namespace) -> int:
    store = default_store(options.store)
    for image in store.starred if options.starred else store:
        mark = store.mark(image.recipe.key)
        note = f"  ({printable(mark.note)})" if mark.note else ""
        print(f"{'★' if mark.starred else ' '} {image.path}  {image.caption}{note}")
    return 0


def _star(options: argparse.Namespace) -> int:
    store = default_store(options.store)
    for given in options.images:
        with files.explained(f"find {given}"):
            known = files.expanded(given).exists()
        key = nbtool.Recipe.from_file(given).key if known else given
        store.set_mark(key, starred=not options.remove, note=options.note)
    return 0


def _presets(options: argparse.Namespace) -> int:
    print(default_store(options.store).presets)
    return 0


def _grids(options: argparse.Namespace) -> int:
    grids = default_store(options.store).grids
    if options.name is None:
        if options.output:
            raise RecipeError("which grid is to be written? nbtool grids NAME -o FILE")
        print(grids)
        return 0
    for output in options.output or ():
        save.check(output)
    try:
        grid = grids[options.name]
    except KeyError as error:
        raise RecipeError(error.args[0]) from None
    print(grid)
    for output in options.output or ():
        print(f"{_kind(output)}: {files.absolute(grid.save(output))}")
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


def _kind(output: Path) -> str:
    return "page" if output.suffix == ".html" else "images" if output.suffix == ".zip" else "sheet"


def _generator(options: argparse.Namespace) -> nbtool.Generator:
    return nbtool.Generator(options.model, store=options.store, device=options.device)


def _pairs(arguments: Sequence[str]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals:
            raise RecipeError(f"write parameters as name=value, got {argument!r}")
        if name in dict(pairs):
            raise RecipeError(f"{name} is given twice")
        pairs.append((name, value))
    return pairs


def _number(name: str, text: str) -> Any:
    """The value of a numeric parameter; any other stays text."""
    if name not in INTEGERS + REALS:
        return text
    try:
        return int(text) if name in INTEGERS else float(text)
    except ValueError:
        return text  # refused with its name and range where recipes are checked


def _values(name: str, text: str) -> Any:
    """One value or several: a range string for numbers, texts between bars for the others."""
    if name in INTEGERS + REALS:
        number = _number(name, text)
        return text.replace("|", ",") if isinstance(number, str) else number
    return text.split("|") if "|" in text or name not in (*PARAMETERS, PRESET) else text


def _lab(options: argparse.Namespace) -> int:
    folder = files.absolute(options.folder)
    with files.explained(f"copy the notebooks to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        for notebook in _notebooks():
            if not (folder / notebook.name).exists():
                files.write(folder / notebook.name, notebook.read_bytes())
    print(f"the notebooks are in {folder}; changes there are yours to keep")
    root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [sys.executable, "-m", "jupyter", "lab", *root, str(folder)]
    return subprocess.run(command, check=False).returncode  # noqa: S603


def _notebooks() -> list[Path]:
    """The notebooks inside the installed package, or beside it in a checkout."""
    package = Path(nbtool.__file__).parent
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if found := sorted(folder.glob("*.ipynb")):
            return found
    raise NbtoolError(
        f"the notebooks are neither in {package} nor beside it; install nbtool-diffusion again"
    )
