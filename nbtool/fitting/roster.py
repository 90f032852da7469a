"""Which of the known models run on this machine, and how."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from nbtool import catalogue
from nbtool.catalogue import EMBEDDED, Facts
from nbtool.catalogue.verbs import CALLED, TEXT
from nbtool.errors import NbtoolError, described, log, said
from nbtool.fitting.plans import MemoryPlan, at_rest, best_plan, how_placed, memory_plans
from nbtool.machine.hardware import Hardware
from nbtool.machine.probe import hardware
from nbtool.text import duration, table_text

PATIENCE = 60.0  # seconds for an image that "auto" takes to be bearable
HEADINGS = (
    "Name",
    "Model",
    "Licence",
    "Download",
    "Runs here",
    "Memory",
    "Time an image",
    "With pictures",
)


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue on this machine.

    Attributes:
        name: What `nbtool.Generator` takes.
        facts: What is known of it; None of a model of yours that is not downloaded yet.
        plan: How it is placed on this machine when nothing else runs; None where nothing is known.
        now: How it would be placed with what is free at the moment.
        is_here: Whether its files are on this machine.
        problem: Why it cannot be used, whatever the machine; "" where nothing is known to be wrong.
        verbs: What it does, as in `nbtool.catalogue.verbs`.
    """

    name: str
    facts: Facts | None
    plan: MemoryPlan | None
    now: MemoryPlan | None
    is_here: bool
    problem: str = ""
    verbs: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether it is expected to run on this machine, be its memory free at the moment or not."""
        return self.plan is not None and self.plan.fits

    @property
    def runs_now(self) -> bool:
        """Whether what is free at the moment suffices for it."""
        return self.now is not None and self.now.fits

    @property
    def summary(self) -> str:
        """In a few words: how it runs on this machine, and what is different at the moment."""
        if self.problem:
            return f"no: {self.problem.partition(';')[0]}"
        if self.plan is None or self.now is None:
            return "not known before it is downloaded"
        if not self.plan.fits or (self.now.fits and how_placed(self.now) == how_placed(self.plan)):
            return self.plan.summary
        if self.now.fits:
            return f"{self.plan.summary}; at the moment {self.now.how}"
        return self.now.summary if self.now.short_gib else "yes, once memory is free"

    @property
    def with_pictures(self) -> str:
        """What it does with pictures, in words."""
        return ", ".join(CALLED[verb] for verb in self.verbs if verb != TEXT)

    def cells(self) -> tuple[str, ...]:
        """What there is to say of it, one text for each of HEADINGS."""
        if self.facts is None or self.plan is None:
            return self.name, "", "", "", self.summary, "", "", self.with_pictures
        size = self.facts.download_gb
        download = "here" if self.is_here else f"{size:.1f} GB" if size else ""
        licence = self.facts.licence + (", accept it on the hub" if self.facts.gated else "")
        memory, time = "", ""
        if self.plan.fits:
            memory = f"{self.plan.least_gib:.1f} GiB"
            time = "" if self.plan.seconds is None else f"≈ {duration(self.plan.seconds)}"
        title = f"{self.facts.title}: {self.facts.about}" if self.facts.about else self.facts.title
        return (
            self.name, title, licence, download, self.summary, memory, time, self.with_pictures
        )  # fmt: skip


class Models(Sequence[Entry]):
    """The models of the catalogue on this machine. Shows itself as a table."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = tuple(entries)

    @overload
    def __getitem__(self, place: int) -> Entry: ...

    @overload
    def __getitem__(self, place: slice) -> Models: ...

    def __getitem__(self, place: int | slice) -> Entry | Models:
        found = self._entries[place]
        return Models(found) if isinstance(found, tuple) else found

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def records(self) -> list[dict[str, Any]]:
        """One flat dictionary for each, ready for JSON or pandas.DataFrame."""
        return [
            {
                "name": entry.name,
                "here": entry.is_here,
                "runs": entry.runs,
                "runs_now": entry.runs_now,
                **(
                    {
                        "title": entry.facts.title,
                        "licence": entry.facts.licence,
                        "gated": entry.facts.gated,
                        "download_gb": entry.facts.download_gb,
                        "side": entry.facts.side,
                    }
                    if entry.facts
                    else {}
                ),
                "verbs": [*entry.verbs],
                "how": entry.summary,
                **(_numbers(entry.plan) if entry.plan else {}),
            }
            for entry in self
        ]

    def __str__(self) -> str:
        rows = [(name, *rest[1:]) for name, _, *rest in (entry.cells() for entry in self)]
        return table_text((HEADINGS[0], *HEADINGS[3:]), rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="text-align:left">{heading}</th>' for heading in HEADINGS)
        rows = "".join(
            f"<tr{'' if entry.runs else ' style=opacity:.6'}>"
            + "".join(
                f'<td style="text-align:left;vertical-align:top">{html.escape(cell)}</td>'
                for cell in entry.cells()
            )
            + "</tr>"
            for entry in self
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def models(machine: Hardware | None = None) -> Models:
    """The models that nbtool knows by name, and whether and how each runs on this machine.

        nbtool.models()                                     # a table
        [entry.name for entry in nbtool.models() if entry.runs]

    The answers are about the machine; where its memory is taken at the moment, they say so.
    Nothing is downloaded. Sizes and times are estimates; `gen.memory_plan()` says more of one.

    Args:
        machine: What to judge by; None: this machine as it is now.
    """
    machine = machine or hardware()
    return Models([_entry(name, machine) for name in catalogue.names()])


def choose_model(machine: Hardware | None = None) -> tuple[str, str]:
    """The best model that runs here now, those already downloaded first; and why it was chosen."""
    fitting = [entry for entry in models(machine) if entry.runs_now]
    bearable = [entry for entry in fitting if entry.now and (entry.now.seconds or 0) <= PATIENCE]
    here = [entry for entry in bearable if entry.is_here and entry.name != EMBEDDED]
    if here:
        return here[-1].name, "auto: the best that is downloaded and runs well here"
    open_ = [e for e in bearable if e.facts and not e.facts.gated and e.name != EMBEDDED]
    if open_ and not _offline():
        best = open_[-1]
        size = best.facts.download_gb if best.facts else 0
        return best.name, (
            f"auto: the best that runs well here and needs no login; nothing that does is "
            f"downloaded yet, this takes {size:.1f} GB"
        )
    return EMBEDDED, "auto: no other model runs well here, or the hub is out of reach"


def _entry(name: str, machine: Hardware) -> Entry:
    """What there is to say of a model; one that cannot be used is listed with the reason."""
    try:
        model = catalogue.find(name)
        if not model.known and not model.is_described:
            return Entry(name, None, None, None, is_here=False)
        facts = model.facts
        plan, now = (best_plan(memory_plans(facts, each)) for each in (at_rest(machine), machine))
        return Entry(name, facts, plan, now, model.is_here, verbs=tuple(model.ways))
    except Exception as error:  # whatever configurations and facts may hold
        log(f"of the model {name}", error)
        reason = said(error) if isinstance(error, NbtoolError) else described(error)
        return Entry(name, None, None, None, is_here=False, problem=reason.splitlines()[0])


def _numbers(plan: MemoryPlan) -> dict[str, Any]:
    return {
        "device": plan.device,
        "dtype": plan.dtype,
        "offload": plan.offload,
        "least_gib": round(plan.least_gib, 2),
        "seconds": None if plan.seconds is None else round(plan.seconds, 1),
    }


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)
