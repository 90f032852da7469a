"""The commands, their arguments and options, and what they say of themselves."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import nbtool
from nbtool import files
from nbtool.cli.benchmark import PROMPT as DEMO_PROMPT
from nbtool.recipes.parameters import READ

Run = Callable[[argparse.Namespace], int]

EXIT_CODES = "exit codes: 0 all was done, 1 something failed, 2 wrong use, 130 interrupted"
PARAMETERS = (
    "Parameters are written name=value: "
    + " ".join(f"{row.name}={row.example}" for row in READ if row.example and row.name != "loras")
    + ". There are also "
    + ", ".join(
        row.name
        for row in READ
        if not (row.example or row.network or row.name in ("prompt", "refine", "loras"))
    )
    + "; lora:ink.safetensors=0.8 for a LoRA, with a weight for the text encoder of its own "
    "lora:ink.safetensors=0.8/0.4; refine_scale=1.5 refine_strength=0.4 for a second pass; and preset=ink, one of those that "
    "the store has (nbtool presets)."
)
SEVERAL = (
    "Several values, separated by | or as a range, make an axis: 'seed=0-3' "
    "'guidance_scale=1-7 (+2)' 'scheduler=euler|ddim' 'image=photos/*.png' lora:ink.safetensors=0,0.5,1. lora=my-loras/ "
    "lora_weight=0.5,1 is an axis of all LoRAs in a folder, and one of weights. A {word} in the prompt is filled by "
    "'word=red|blue'. Quotes keep the shell from taking | ( and spaces for its own."
)
# What each does, and how it is typed.
COMMANDS = {
    "demo": (
        "make 4 seeds × 4 guidance values and show where",
        ("Makes a first grid with the embedded model, and writes it as a sheet and as a page into "
        "this folder. Nothing is downloaded."),
        "nbtool demo",
    ),
    "generate": (
        "make one image",
        "Makes one image, keeps it in the store, and prints where it lies. " + PARAMETERS,
        'nbtool generate "a large red star" seed=7 guidance_scale=5 -o star.png',
    ),
    "grid": (
        "make every combination",
        ("Makes an image of every combination of values, keeps them in the store, and writes them "
        f"as one file or more. What is in the store already is not made again. {PARAMETERS} {SEVERAL}"),
        'nbtool grid "a {color} star" "color=red|blue" "seed=0-3" -o grid.png -o grid.html',
    ),
    "images": (
        "list the images of a store, or write some",
        ("Lists images with the settings they were made with, or writes copies. Words are looked "
        "for in prompts, notes and names of models; all of them must be there, parts are enough."),
        'nbtool images fox hat --starred --today\n  nbtool images --since 2026-01-31 --names "{date}-{prompt:30}-{seed}" -o for-anna/',
    ),
    "star": (
        "star images, or note something about them",
        ("Stars images of a store, takes stars away, or notes something. Panel, viewer and code "
        "show the same stars."),
        'nbtool star nbtool-images/*.png --note "the ones for the cover"',
    ),
    "grids": (
        "list the grids that have a name, or write one",
        ("Lists the grids that were given a name, in a notebook or by nbtool grid --name, or writes "
        "one of them."),
        "nbtool grids stars -o stars.html",
    ),
    "presets": (
        "list the presets of a store",
        "Lists the named additions to prompts and settings that preset=NAME takes.",
        "nbtool presets",
    ),
    "check": (
        "say what this machine has, and what it is good for",
        "Says what this machine has and on what images are made. Nothing is changed or downloaded.",
        "nbtool check --benchmark",
    ),
    "models": (
        "say which models run here, and how",
        "Lists the models that nbtool knows by name, and estimates whether they run here, and how.",
        "nbtool models",
    ),
    "loras": (
        "say what the LoRAs in a folder are for",
        ("Lists the LoRAs of a folder: what each was trained for, its rank, and the words that it "
        "was trained with. No weights are loaded."),
        "nbtool loras my-loras",
    ),
    "lab": (
        "open JupyterLab on a copy of the notebooks",
        ("Copies the notebooks that teach nbtool into a folder and opens JupyterLab there. Copies "
        "that are there already stay as they are."),
        "nbtool lab my-notebooks",
    ),
}  # fmt: skip


# Those that may stand on both sides of options, which argparse does not take by itself.
LISTS = {"generate": "parameters", "grid": "parameters", "images": "words", "star": "images"}


def parsed(arguments: Sequence[str] | None, runs: Mapping[str, Run]) -> argparse.Namespace:
    """What was typed; `runs` says what runs each command, by its name."""
    root = parser(runs)
    options, rest = root.parse_known_args(arguments)
    if rest:
        if options.several is None or any(word.startswith("-") for word in rest):
            root.error(f"unrecognized arguments: {' '.join(rest)}")
        getattr(options, options.several).extend(rest)
    return options


def parser(runs: Mapping[str, Run]) -> argparse.ArgumentParser:
    """The parser of the command line.

    Args:
        runs: What runs each command, by its name.
    """
    root = argparse.ArgumentParser(
        prog="nbtool",
        description="Explore image models: generate, sweep, compare, reproduce.",
        epilog=f"nbtool COMMAND --help says more of each, with an example. {EXIT_CODES.capitalize()}.",
    )
    root.add_argument("--version", action="version", version=f"nbtool {nbtool.__version__}")
    root.add_argument("--debug", action="store_true", help="say what is behind each error")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")
    found = {}
    for name, (short, what, example) in COMMANDS.items():
        found[name] = commands.add_parser(
            name, help=short, description=textwrap.fill(what, 79),
            epilog=f"example:\n  {example}\n\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        found[name].set_defaults(run=runs[name], several=LISTS.get(name))

    found["demo"].add_argument("prompt", nargs="?", default=DEMO_PROMPT, help="what to draw")
    for name, values in {"generate": "VALUE", "grid": "VALUES"}.items():
        found[name].add_argument("prompt", help="what to draw, in quotes")
        found[name].add_argument(
            "parameters", nargs="*", metavar=f"NAME={values}", help="see above"
        )
    generate, grid, images, grids = (found[n] for n in ("generate", "grid", "images", "grids"))
    generate.add_argument(
        "-o", "--output", action="append",
        help="also write it there: .png .jpg .webp; may be repeated",
    )  # fmt: skip
    for command in (grid, grids):
        command.add_argument(
            "-o", "--output", action="append",
            help="what to write: .png .jpg .webp .html .pdf .svg .zip, or a folder/ for the images; "
            "may be repeated",
        )  # fmt: skip
    images.add_argument(
        "-o", "--output", action="append",
        help="write copies there: a folder/ or a .zip; may be repeated",
    )  # fmt: skip
    for command in (grid, images, grids):
        command.add_argument(
            "--names", metavar="PATTERN",
            help="what images are called in a folder, a .zip or on a page: "
            "'{date}-{prompt:30}-{seed}'; any parameter, word, {time}, {key}, {index}",
        )  # fmt: skip
    for command in (generate, grid, images, grids):
        command.add_argument(
            "--no-metadata", action="store_true",
            help="leave out what is not seen, such as recipes; a sheet still shows its prompt and "
            "labels",
        )  # fmt: skip
        command.add_argument(
            "--inputs", action=argparse.BooleanOptionalAction, default=None,
            help="whether the pictures go along that images were made from (default: into images, but "
            "not into a page or a .zip of them)",
        )  # fmt: skip
    grid.add_argument("--plan", action="store_true", help="only say what would be made")
    grid.add_argument("--name", help="keep it under a name, for nbtool grids and notebooks")
    grids.add_argument("name", nargs="?", help="of a grid; without it all are listed")
    for command in (found["demo"], generate, grid):
        command.add_argument("--model", help="catalogue name, folder or hub id (default: shapes)")
        command.add_argument("--device", help="cuda, mps, xpu or cpu (default: the best there is)")
    for command in (found["demo"], generate, grid, images, found["star"], grids, found["presets"]):
        command.add_argument("--store", help="folder of the images (default: nbtool-images)")

    images.add_argument("words", nargs="*", metavar="WORD", help="what to look for")
    images.add_argument("--model", help="only those that this model made")
    images.add_argument("--starred", action="store_true", help="only those with a star")
    when = images.add_mutually_exclusive_group()
    when.add_argument("--since", metavar="DAY", help="only those made since: 2026-01-31")
    when.add_argument(
        "--today", action="store_const", const="today", dest="since", help="only today's"
    )
    images.add_argument(
        "--sort", default="oldest", metavar="ORDER",
        help="oldest (the default) or newest first, or by a parameter, such as seed",
    )  # fmt: skip
    images.add_argument("--limit", type=int, metavar="NUMBER", help="list no more than so many")
    found["star"].add_argument(
        "images", nargs="+", metavar="IMAGE", help="a PNG of the store, or its key"
    )
    found["star"].add_argument("--remove", action="store_true", help="take the star away")
    found["star"].add_argument("--note", help="what to remember of them")
    found["check"].add_argument(
        "--benchmark", action="store_true", help="also make some images, and say how fast"
    )
    found["loras"].add_argument("folder", help="of .safetensors files, or one of them")
    for name in ("images", "check", "models", "loras"):
        found[name].add_argument("--json", action="store_true", help="for programs")
    found["lab"].add_argument(
        "folder", nargs="?", type=files.expanded, default=Path("nbtool-notebooks"),
        help="where to copy them (default: nbtool-notebooks)",
    )  # fmt: skip
    return root
