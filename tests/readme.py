"""What the documentation says from tables in the code; `make readme` writes it there."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from nbtool import schedulers
from nbtool.catalogue.families import FAMILIES
from nbtool.catalogue.known import KNOWN
from nbtool.catalogue.verbs import EDIT, IMAGE, INPAINT, Way
from nbtool.recipes.parameters import ROWS

README = Path(__file__).parents[1] / "README.md"
SCHEDULERS = README.parent / "docs" / "schedulers.md"
MODELS = README.parent / "docs" / "models.md"
VERBS = re.compile(r"(?m)(^\| pipeline \|.*\n\|[-|]+\n)(?:\|.*\n)*")
SENTENCE = re.compile(r"The parameters are those of diffusers:(?:\s+`\w+`[,.])+")


def sentence():
    names = ", ".join(f"`{name}`" for name, row in ROWS.items() if not row.network)
    return textwrap.fill(f"The parameters are those of diffusers: {names}.", 95)


def scheduler_table():
    lines = [
        "| name | class | decides | refuses | models | elsewhere |",
        "|---|---|---|---|---|---|",
    ]
    short = schedulers.SHORT_NAMES
    for name in [*short, *sorted(schedulers.CLASS_NAMES)]:
        class_name, options, sampler, schedule = schedulers.resolve(name)
        kind = schedulers.CLASSES[class_name]
        chosen = {n: v for n, v in options.items() if v or n not in schedulers.SPACINGS}
        spacing = ["no other spacing"] if schedulers.SPACINGS & options.keys() else []
        decides = [*(f"`{n}={v!r}`" for n, v in chosen.items()), *spacing]
        refuses = [f"`{n}=None`" for n in kind.numbers]
        refuses += [f"`{n}` without `use_flow_sigmas`" for n in kind.of_flow]
        if kind.algorithms and name not in short:
            known = ", ".join(f"`{a}`" for a in kind.algorithms)
            more = ", ".join(f"`{a}`" for a in kind.not_to_zero)
            beside = f" (and {more} beside `final_sigmas_type='sigma_min'`)" if more else ""
            refuses.append(f"`algorithm_type` but {known}{beside}")
        models = "flow" if kind.predictions == (schedulers.FLOW_PREDICTION,) else "noise"
        if schedulers.FLOW_PREDICTION in kind.predictions[1:]:
            models = "noise" if options.get("use_karras_sigmas") else "noise, flow"
        elsewhere = f"{sampler}, {schedule}" if name in short else ""
        cells = [
            f"`{name}`",
            class_name if name in short else "",
            *map("; ".join, (decides, refuses)),
        ]
        lines.append("| " + " | ".join([*cells, models, elsewhere]) + " |")
    return "\n".join(lines) + "\n"


def verbs_rows():
    """What each family does with pictures, with the strength where none is given."""
    named = {}
    for name, (_, facts) in KNOWN.items():
        named.setdefault(facts.pipeline, []).append(f"`{name}`")
    rows = []
    for pipeline, family in FAMILIES.items():
        cells = [pipeline, ", ".join(named.get(pipeline, ()))]
        cells += [_told(family.ways.get(verb)) for verb in (IMAGE, INPAINT, EDIT)]
        rows.append("| " + " | ".join(cells) + " |\n")
    return "".join(rows)


def _told(way: Way | None):
    if way is None:
        return ""
    if way.strength is not None:
        return f"{way.strength}"
    return "yes, several too" if way.pictures > 1 else "yes"


if __name__ == "__main__":
    text = SCHEDULERS.read_text("utf-8")
    SCHEDULERS.write_text(text.partition("| name |")[0] + scheduler_table(), "utf-8")
    README.write_text(SENTENCE.sub(sentence(), README.read_text("utf-8")), "utf-8")
    MODELS.write_text(VERBS.sub(rf"\g<1>{verbs_rows()}", MODELS.read_text("utf-8")), "utf-8")
