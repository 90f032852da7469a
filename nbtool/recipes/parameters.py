"""Every parameter of a recipe: one row each.

All that there is to know of a parameter stands in its row: what it may be, what it is called,
where captions, the panel, the command line and other programs show it. A new one is a new row,
and a change where it acts; one that diffusers' pipelines take by its name acts by itself, if its
row says that not all of them do (`selective`).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from nbtool import schedulers
from nbtool.errors import RecipeError, unknown_name
from nbtool.recipes import checks, loras, refinement
from nbtool.recipes.checks import PARTS, PICTURE, REAL, TEXT, WHOLE, Check, real, whole
from nbtool.recipes.loras import Loras
from nbtool.recipes.picture import Picture, Pictures
from nbtool.recipes.refinement import Refine
from nbtool.text import digits, plural, printable


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of a parameter.

    Attributes:
        name: As diffusers has it.
        rest: Its value where it does nothing, or None: left open, to be filled in by the model.
        check: What it may be.
        about: What it is, for the documentation.
        label: For people; "" where they do not see it.
        caption: Its words in a caption, with `{names}` of parameters, and `{name:noun}` for so many
            of them; None: its label and value.
        infotext: Its name in AUTOMATIC1111's infotext, where it has one that is not always there.
        as_infotext: Its value there, by the value here, the pipeline's class in diffusers and the
            scheduler's; None where it has none.
        selective: Whether not every pipeline takes it. Then it is handed over where it is not
            at rest, and refused by a model whose pipeline lacks it.
        network: Whether it changes the networks, not what they are asked.
        example: A value as one would type it.
        step: By which the arrows of its field change it.
    """

    name: str = ""
    rest: Any
    check: Check
    about: str
    label: str
    caption: str | None = None
    infotext: str = ""
    as_infotext: Callable[[Any, str, str], object] = lambda value, *_: value
    selective: bool = False
    network: bool = False
    example: str = ""
    step: float = 1

    @property
    def kind(self) -> str:
        """WHOLE, REAL, TEXT, CHOICE, PICTURE or PARTS."""
        return self.check.kind

    @property
    def words(self) -> str:
        """The caption's words, with `{name}` for the value; "" for none."""
        if self.caption is not None or not self.label:
            return self.caption or ""
        return f"{self.label.lower()}{':' if self.kind == TEXT else ''} {{{self.name}}}"


def row(rest: Any, check: Check, **known: Any) -> Any:
    """A dataclass field with a row behind it; the type is said where the field stands."""
    return field(default=rest, metadata={"row": Row(rest=rest, check=check, **known)})


def _short(value: float, *_: str) -> str:
    return digits(value)


def _eta(eta: float, _: str, scheduler: str) -> str | None:
    return _short(eta) if scheduler == "DDIMScheduler" else None


def _clip_skip(skipped: int, pipeline: str, _: str) -> int | None:
    """There, 1 means that no layer is left out; where the last is never used, 1 and 2 mean that."""
    if pipeline.startswith(("StableDiffusionXL", "StableDiffusion3")):
        return skipped + 2
    clip = pipeline.startswith(("StableDiffusion", "LatentConsistency", "AltDiffusion"))
    return skipped + 1 if clip or not pipeline else None


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """The parameters of a recipe, with their types."""

    prompt: str = row(
        "", checks.text, label="Prompt", caption="",
        about="What to draw; at most 20,000 characters.",
    )  # fmt: skip
    negative_prompt: str = row(
        "", checks.text, label="Negative prompt", caption="without: {negative_prompt}",
        about="What to stay away from; needs a guidance_scale above 1.",
        selective=True, example="'blurry'",
    )  # fmt: skip
    seed: int | None = row(
        None, checks.seed, label="Seed", example="7",
        about="Decides the starting noise, 0 to 2⁶⁴ - 1. None or -1: drawn before the run.",
    )  # fmt: skip
    num_inference_steps: int | None = row(
        None, whole(1, 1000), label="Steps", caption="{num_inference_steps:step}", example="20",
        about="Denoising steps, 1 to 1000.",
    )  # fmt: skip
    guidance_scale: float | None = row(
        None, real(0), label="Guidance", example="5", step=0.5,
        about="How strongly the prompt is followed, 0 or more; up to 1 means not guided.",
    )  # fmt: skip
    scheduler: str | None = row(
        None, checks.scheduler, label="Scheduler", caption="{scheduler}", example="euler_a",
        about='A short name such as "euler_a" or "dpm++2m_karras", or a diffusers class name.',
    )  # fmt: skip
    width: int | None = row(
        None, checks.side, label="Width", caption="{width}×{height}", example="128",
        about="In pixels, a multiple of 8 from 16 to 8192.", step=checks.SIDE_MULTIPLE,
    )  # fmt: skip
    height: int | None = row(
        None, checks.side, label="Height", caption="", example="128",
        about="In pixels, a multiple of 8 from 16 to 8192.", step=checks.SIDE_MULTIPLE,
    )  # fmt: skip
    guidance_rescale: float = row(
        0.0, real(0, 1), label="Guidance rescale", caption="rescale {guidance_rescale}",
        about="Against overexposure at high guidance, 0 to 1 (arXiv:2305.08891).",
        infotext="CFG Rescale", as_infotext=_short, selective=True, step=0.1,
    )  # fmt: skip
    clip_skip: int = row(
        0, whole(0, 24), label="Clip skip",
        about="How many of the text encoder's last layers to leave out, 0 to 24.",
        infotext="Clip skip", as_infotext=_clip_skip, selective=True,
    )  # fmt: skip
    eta: float = row(
        0.0, real(0, 1), label="Eta",
        about="Noise added back at each step by DDIM, 0 to 1; other schedulers ignore it.",
        infotext="Eta DDIM", as_infotext=_eta, selective=True, step=0.1,
    )  # fmt: skip
    image: Picture | Pictures | None = row(  # noqa: RUF009
        None, checks.pictures, label="Picture", caption="from {image}", example="'cat.png'",
        about="The picture to start from: a path, a PIL image, an array, a file's bytes, an image "
        "of nbtool or a recipe; nbtool.pictures(a, b) for several.",
    )  # fmt: skip
    mask_image: Picture | None = row(  # noqa: RUF009
        None, checks.picture, label="Mask", caption="where {mask_image} is white",
        example="'mask.png'",
        about="Where the picture is made anew: white there, black where it stays, gray between.",
    )  # fmt: skip
    strength: float | None = row(
        None, real(0, 1), label="Strength", example="0.6", step=0.05,
        about="How far the picture may change, 0 to 1; 1 keeps nothing of what is made anew.",
    )  # fmt: skip
    mask_blur: int = row(
        0, whole(0, 256), label="Mask blur",
        about="How many pixels inwards the mask's edge is softened, 0 to 256.",
    )  # fmt: skip
    mask_padding: int | None = row(
        None, whole(0, 2048), label="Mask padding", example="32",
        about="Works on the mask alone, and so many pixels around it, at width × height; the result "
        "has the picture's own size. None: on the whole picture.",
    )  # fmt: skip
    resize_mode: str = row(
        "crop", checks.one_of("crop", "pad", "stretch"), label="Resize", caption="{resize_mode}",
        about='How a picture of another shape is fitted: "crop", "pad" or "stretch".',
    )  # fmt: skip
    refine: Refine | None = row(  # noqa: RUF009
        None, refinement.check, label="Second pass", caption="then {refine}",
        about="A second pass over the image, enlarged: nbtool.refine(scale=1.5, strength=0.4).",
    )  # fmt: skip
    loras: Loras | None = row(  # noqa: RUF009
        None, loras.check, label="LoRAs", caption="with {loras}", example="{'ink.safetensors': 0.8}",
        about="LoRAs and their weights, from -20 to 20: {'ink.safetensors': 0.8}; a pair has a weight "
        "for the text encoder of its own: (0.8, 0.4).",
    )  # fmt: skip
    model: str | None = row(
        None, checks.text, label="Model", caption="", network=True,
        about="Catalogue name, hub id, or the last part of a folder's or file's path.",
    )  # fmt: skip
    revision: str | None = row(
        None, checks.text, label="", network=True,
        about="The model's commit on the hub, or the digest of its folder or file.",
    )  # fmt: skip


ROWS: dict[str, Row] = {f.name: replace(f.metadata["row"], name=f.name) for f in fields(Parameters)}
PARAMETERS = tuple(ROWS)
AT_REST = {name: row.rest for name, row in ROWS.items()}
INTEGERS = tuple(name for name, row in ROWS.items() if row.kind == WHOLE)
REALS = tuple(name for name, row in ROWS.items() if row.kind == REAL)
SELECTIVE = tuple(name for name, row in ROWS.items() if row.selective)
PICTURES = frozenset(name for name, row in ROWS.items() if row.kind == PICTURE)
COMPOSED = PICTURES | {name for name, row in ROWS.items() if row.kind == PARTS}
NETWORK = frozenset(name for name, row in ROWS.items() if row.network)
_CALLED = {"preset": "Preset", "recipe": "Recipe"}  # axes that set more than one parameter
_CHECKS = {name: row.check.convert for name, row in ROWS.items()}


def ordered(first: Iterable[str] = (), last: Iterable[str] = ()) -> list[Row]:
    """All rows, some of them first and some last."""
    ends = [*first, *last]
    middle = [name for name in ROWS if name not in ends]
    return [ROWS[name] for name in (*first, *middle, *last)]


def called(name: str) -> str:
    """What a parameter is called wherever people see it; another name stays as it is."""
    if row := ROWS.get(name):
        return row.label or titled(name)
    return _CALLED.get(name) or printable(name)


def counted(name: str, number: int) -> str:
    """So many values of a parameter or of a word: "60 seeds", "3 guidance", "2 colors".

    Of parameters that vary together, whose names an axis joins: "2 sizes", "2 guidance and steps".
    """
    if (together := _joined(name))[1:]:
        if set(together) == {"width", "height"}:
            return f"{number:,} {plural('size', number)}"
        return f"{number:,} {' and '.join(map(called, together)).lower()}"
    row = ROWS.get(name)
    noun = called(name).lower() if row else printable(name)
    is_amount = row is not None and row.kind == REAL
    return f"{number:,} {noun if is_amount else plural(noun, number)}"


def _joined(name: str) -> list[str]:
    """The parameters whose names are joined to this one; none where it is not made of such."""
    if name in ROWS:
        return [name]
    for first in ROWS:
        rest = name.removeprefix(f"{first}_")
        if rest != name and (others := _joined(rest)):
            return [first, *others]
    return []


def extent(lengths: Mapping[str, int]) -> str:
    """Axes by how many values each has: "60 seeds × 3 guidance"; "" for none."""
    return " × ".join(counted(name, number) for name, number in lengths.items())


def titled(name: str) -> str:
    """A name in words, for one that has no label."""
    return name.replace("_", " ").capitalize()


# As people look for them: what is varied most comes first.
READ = tuple(ordered(("seed", "guidance_scale", "num_inference_steps"), ("negative_prompt",)))


def check_names(parameters: Mapping[str, object]) -> None:
    """Refuses a name that is no parameter, with the nearest one that is."""
    for name in parameters:
        if name not in ROWS:
            raise RecipeError(unknown_name(name, ROWS, "parameter"))


def checked(name: str, value: object) -> Any:
    """A parameter's value as a recipe holds it.

    Raises:
        RecipeError: It is out of range or of the wrong kind.
    """
    if value is not None:
        return _CHECKS[name](name, value)
    if AT_REST[name] is not None:
        raise RecipeError(f"{name} must be given, got None")
    return None


def infotext_terms(given: Mapping[str, Any], pipeline: str = "") -> dict[str, object]:
    """What AUTOMATIC1111's infotext says of those that are given and not always there.

    Args:
        given: Parameters and their values.
        pipeline: The class in diffusers that made the image; "": not known.
    """
    classes = pipeline, schedulers.resolve(given.get("scheduler") or "").class_name
    rows = ((ROWS[name], value) for name, value in given.items() if name in ROWS)
    terms = {row.infotext: row.as_infotext(value, *classes) for row, value in rows if row.infotext}
    return {name: term for name, term in terms.items() if term is not None}


def documented(docstring: str | None) -> str:
    """A docstring in which a line ARGS gives way to what every parameter is."""
    lines = (
        textwrap.fill(
            f"{name}: {row.about}", 96, initial_indent=" " * 8, subsequent_indent=" " * 12
        )
        for name, row in ROWS.items()
    )
    return (docstring or "").replace(" " * 8 + "ARGS", "\n".join(lines))
