"""Images in the making, and what they ask of their networks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from nbtool.engines.local import batching, kernels
from nbtool.engines.local.adapters import Weights
from nbtool.engines.local.widths import WidthKey

if TYPE_CHECKING:
    from greenlet import greenlet

MIXED = 4  # adapters that a forward computes for rows on which they do not act
GUIDED = 2  # rows that an image takes, as long as nothing else is known of it
NEW, ALONE = "new", "alone"


@dataclass
class Outcome:
    """What came of a question or of a whole pipeline: a value, or an error."""

    value: Any = None
    error: BaseException | None = None


@dataclass(eq=False)
class Making:
    """One call of a pipeline: an image in the making, or several that differ in their seed alone.

    Args:
        work: Calls the pipeline; what it returns is the outcome.
        done: Told the making and its outcome.
        priority: Higher ones are answered first.
        size: Cells of one size have questions in common.
        exact: Answered at fixed widths, however it is asked for.
        images: How many.
        adapters: That act on the network that denoises, and how strongly.
        text_adapters: That act on the text encoders.
        past: By network a width of the class that they were made in before.
        widths: By network a width of the class that they are made in, once that is decided. Calls
            that make the same image have this in common: the first decides.
    """

    work: Callable[[], Any]
    done: Callable[[Making, Outcome], None]
    priority: int = 0
    size: Hashable = None
    exact: bool = False
    images: int = 1
    adapters: Weights = field(default_factory=dict)
    text_adapters: Weights = field(default_factory=dict)
    past: Mapping[str, int] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    asked: dict[str, set[Any]] = field(default_factory=dict)  # keys of widths, by network
    rows: int = 0  # of its last steady question
    width: int = 0  # rows of the widest steady forward that it took part in
    seconds: float = 0.0  # its share of the time that ticks took
    # What it has asked each network so far; makings of one history have asked the same.
    history: dict[Any, Hashable] = field(default_factory=dict)
    question: Question | None = None
    thread: greenlet | None = None  # on which it runs

    def __post_init__(self) -> None:
        self.rows = GUIDED * self.images


@dataclass(eq=False)
class Question:
    """A network's call that waits for its answer.

    Args:
        making: Whose it is.
        network: Its name in the pipeline, and the method if that is not its forward.
        module: The network itself.
        method: That is called.
        kind: How urgent, as in `stand_ins`.
        call: Its arguments.
        asked: At which tick.
        agreeing: Widths that the answer may be computed at; empty while any will do.
        alone: Whether no other question may be answered by the same forward, since a row may depend
            on its place.
    """

    making: Making
    network: str
    module: Any
    method: str
    kind: int
    call: batching.Call
    asked: int
    agreeing: tuple[int, ...] = ()
    alone: bool = False
    digests: tuple[bytes, ...] = ()  # of its rows, where they may have been asked before

    @property
    def group(self) -> Hashable:
        """What one forward can answer together."""
        company = id(self) if self.alone else None
        return self.module, self.method, self.agreeing[:1], company, self.call.signature

    @cached_property
    def width_key(self) -> WidthKey:
        """What a width is remembered for."""
        switches = kernels.switches(self.module, self.method)
        return self.module, self.method, self.call.shapes, switches

    @property
    def history(self) -> Hashable:
        """What the image has asked this network before."""
        return self.making.history.get(self.module, NEW)

    @property
    def row_keys(self) -> list[Hashable]:
        """What each row asks; empty where that was not found out."""
        return self.keys_in(self.agreeing)

    def keys_in(self, agreeing: tuple[int, ...]) -> list[Hashable]:
        """What each row asks, to be answered at one of these widths."""
        group = self.module, self.method, agreeing[:1], None, self.call.signature
        return [(group, digest) for digest in self.digests]

    @property
    def order(self) -> tuple[int, int]:
        return -self.making.priority, self.asked


def grouped(questions: Iterable[Question]) -> list[list[Question]]:
    """What one forward can answer together."""
    groups: dict[Hashable, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.group, []).append(question)
    return list(groups.values())


def digest(group: Iterable[Question]) -> None:
    """Finds out what the rows of some questions of one group ask."""
    questions = [question for question in group if not question.digests]
    digests = iter(batching.row_digests([question.call for question in questions]))
    for question in questions:
        question.digests = tuple(islice(digests, question.call.rows))


def rows(group: Iterable[Question]) -> int:
    """How many rows some questions have together."""
    return sum(question.call.rows for question in group)


def adapted_alike(group: Sequence[Question], width: int) -> list[Question]:
    """Those of a group on which the same adapters act as on the first, and others that may join.

    A forward computes all of its adapters for all of its rows: others join where the forward would
    be half empty without them.

    Args:
        group: Of one signature; the first is the most urgent.
        width: How many rows the forward may have.
    """
    acting = group[0].call.adapters
    alike = [question for question in group if question.call.adapters == acting]
    if len(alike) == len(group) or 2 * rows(alike) > width:
        return alike
    mixed = list(alike)
    for question in group:
        together = acting | question.call.adapters
        if question not in alike and len(together) <= MIXED:
            acting = together
            mixed.append(question)
    return mixed


def fitting(group: Sequence[Question], width: int) -> list[Question]:
    """The first questions, and later ones where they still fit; one at least."""
    chosen: list[Question] = []
    room = width
    for question in group:
        if question.call.rows <= room or not chosen:
            chosen.append(question)
            room -= question.call.rows
    return chosen
