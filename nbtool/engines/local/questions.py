"""Images in the making, and what they ask of their networks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from nbtool.engines.local import batching

if TYPE_CHECKING:
    from greenlet import greenlet

GUIDED = 2  # rows that an image takes, as long as nothing else is known of it
NEW, ALONE = "new", "alone"


@dataclass
class Outcome:
    """What came of a question or of a whole pipeline: a value, or an error."""

    value: Any = None
    error: BaseException | None = None


@dataclass(eq=False)
class Cell:
    """One call of a pipeline: an image in the making, or several that differ in their seed alone.

    Args:
        work: Calls the pipeline; what it returns is the outcome.
        done: Told the cell and its outcome.
        priority: Higher ones are answered first.
        size: Cells of one size have questions in common.
        exact: Answered at a fixed width, whatever else runs.
        images: How many.
    """

    work: Callable[[], Any]
    done: Callable[[Cell, Outcome], None]
    priority: int = 0
    size: Hashable = None
    exact: bool = False
    images: int = 1
    rows: int = 0  # of its last steady question
    width: int = 0  # rows of the widest steady forward that it took part in
    seconds: float = 0.0  # its share of the time that ticks took
    # What it has asked each network so far; cells of one kin have asked the same.
    kin: dict[Any, Hashable] = field(default_factory=dict)
    question: Question | None = None
    thread: greenlet | None = None  # on which it runs

    def __post_init__(self) -> None:
        self.rows = GUIDED * self.images


@dataclass(eq=False)
class Question:
    """A network's call that waits for its answer."""

    cell: Cell
    module: Any
    method: str
    kind: int
    call: batching.Call
    asked: int  # the tick
    digests: tuple[bytes, ...] = ()  # of its rows, where they may have been asked before

    @property
    def group(self) -> Hashable:
        """What one forward can answer together."""
        return self.module, self.method, self.cell.exact, self.call.signature

    @property
    def width_key(self) -> tuple[Any, ...]:
        """What a width is remembered for."""
        return self.module, self.method, self.cell.exact, self.call.shapes

    @property
    def kin(self) -> Hashable:
        """What the image has asked this network before."""
        return self.cell.kin.get(self.module, NEW)

    @property
    def row_keys(self) -> list[Hashable]:
        """What each row asks; empty where that was not found out."""
        return [(self.group, digest) for digest in self.digests]

    @property
    def order(self) -> tuple[int, int]:
        return -self.cell.priority, self.asked


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


def fitting(group: Sequence[Question], width: int) -> list[Question]:
    """The first questions, and later ones where they still fit; one at least."""
    chosen: list[Question] = []
    room = width
    for question in group:
        if question.call.rows <= room or not chosen:
            chosen.append(question)
            room -= question.call.rows
    return chosen
