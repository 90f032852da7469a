"""Many pipelines at once, their networks' forwards shared.

Each image, or a few that differ in their seed alone, is made by its pipeline's own, unmodified
`__call__`, run as a greenlet. Where it calls a network it is suspended, and its question waits in
the hub. At each tick the hub answers the questions of one kind, of as many images as there are,
with one forward, and lets them go on.
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import islice
from typing import Any, cast
from weakref import WeakKeyDictionary

from greenlet import getcurrent, greenlet

from nbtool.engines.local import batching, memory, questions, widths
from nbtool.engines.local.answers import Answers
from nbtool.engines.local.loading import networks
from nbtool.engines.local.questions import ALONE, GUIDED, NEW, Cell, Outcome, Question
from nbtool.engines.local.stand_ins import FIRST, LAST, STEADY, StandIns

FIRST_WIDTH = 16  # rows of an encoder's forward
PATIENCE = 4  # ticks that a decode waits for others
SHARE = 4  # of the images in a forward one call makes at most one in so many
BRISK = 0.2  # seconds of a forward that is short

# Pipelines hand these a generator that they do not use.
_DECODES_WITHOUT_CHANCE = ("AutoencoderKL", "AutoencoderTiny")


class Stopped(BaseException):
    """Thrown into a pipeline to leave it; no `except Exception` inside holds it up."""


class BrokenDeviceError(Exception):
    """The device refuses everything from now on."""


_Answer = batching.Rows | Exception  # to one row of a question


class _Thread(greenlet):  # type: ignore[misc] # greenlet has no types
    cell: Cell


class Hub:
    """The images in the making and what their networks are asked. Used from one thread."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.rows: Counter[str] = Counter()  # computed so far, by network and method
        self._widths = widths.Widths()
        self._answers = Answers()
        self._ticks = 0
        self._brisk = False  # whether the last steady forward was short, on a processor
        self._most = sys.maxsize  # images at once
        self._steady: dict[Hashable, tuple[Any, ...]] = {}  # the width's key for each size of image
        self._stand_ins = StandIns(self._ask, self._answers)
        self._most_rows: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # by network
        self._devices: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # where they compute

    def adopt(self, pipeline: Any, most: int = widths.LARGEST) -> Any:
        """A copy of a pipeline, to be called inside a cell's `work`.

        Its networks are stand-ins that ask the hub; those of the pipeline stay as they are.

        Args:
            pipeline: Loaded and placed.
            most: Rows that its networks may be given at once.
        """
        adopted = self._stand_ins.adopt(pipeline)
        for part in networks(pipeline).values():
            self._most_rows[part] = most
            self._devices[part] = adopted._execution_device  # noqa: SLF001 - offloaded or not
        return adopted

    def start(self, cell: Cell) -> None:
        """Lets an image run up to its first question."""
        cell.thread = _Thread(functools.partial(_work, cell))
        cell.thread.cell = cell
        self.cells.append(cell)
        self._resume(cell, Outcome())

    def stop(self, cell: Cell) -> None:
        """Leaves an image unfinished; its outcome is the error `Stopped`."""
        self._resume(cell, Outcome(error=Stopped()))

    def room(self, priority: int, size: Hashable, left: float = math.inf) -> int:
        """How many images of this size may join, as one call if they are alike but for their seed.

        There is room until the images in the making fill a forward; the last may be too many. While forwards are short there
        is twice as much for the last images: what each forward costs beside its rows counts then,
        so they are full to the end, and nobody waits long. Images of lower priority take no room.

        One call takes a pipeline's own time once for all of its images, but what joins as one is
        finished as one. It is a small share of a forward, so that an early look shows several
        settings, and one image where forwards are narrow.

        Args:
            priority: Of the images.
            size: Of the images.
            left: How many are yet to come.
        """
        key = self._steady.get(size)
        width = widths.SMALLEST if key is None else self._widths.most(key)
        denoising = (c for c in self.cells if not (c.question and c.question.kind == LAST))
        rows = sum(c.rows for c in denoising if c.size == size and c.priority >= priority)
        if rows < width or (self._brisk and rows + GUIDED * left <= 2 * width):
            return max(0, min(width // (SHARE * GUIDED) or 1, self._most - self._images))
        return 0

    def thin_out(self, failed: Cell) -> bool:
        """After a want of memory: fewer images at once from now on; False if there is but one."""
        memory.release()
        images = self._images + failed.images
        self._most = max(1, images // 2)
        return images > 1

    @property
    def _images(self) -> int:
        return sum(cell.images for cell in self.cells)

    def tick(self) -> None:
        """Answers one group of questions and lets their images go on."""
        self._ticks += 1
        if not (group := self._known() or self._next_group()):
            return
        started = time.perf_counter()
        for question, outcome in zip(group, self._answer(group), strict=True):
            self._resume(question.cell, outcome)
        spent = time.perf_counter() - started
        rows = sum(question.call.rows for question in group)
        for question in group:
            question.cell.seconds += spent * question.call.rows / rows

    def forget(self, pipeline: Any) -> None:
        """Frees what is remembered of a pipeline's networks; for when it is unloaded or changed."""
        gone = set(networks(pipeline).values())
        self._answers.clear()
        self._widths.forget(gone)
        self._steady = {size: key for size, key in self._steady.items() if key[0] not in gone}
        for part in gone:
            self._stand_ins.forget(part)

    def _ask(self, module: Any, method: str, kind: int, *args: Any, **kwargs: Any) -> Any:
        """Called by a pipeline in place of a network: suspends it until there is an answer."""
        thread = getcurrent()
        if not isinstance(thread, _Thread):
            return _call(module, method, args, kwargs)
        if method != "forward":
            args = (args[0].to(next(module.parameters()).dtype), *args[1:])
            if type(module).__name__ in _DECODES_WITHOUT_CHANCE:
                kwargs.pop("generator", None)
        call = batching.describe(args, kwargs)
        if kind == STEADY:
            thread.cell.rows = call.rows
        return thread.parent.switch(
            Question(thread.cell, module, method, kind, call, asked=self._ticks)
        )

    def _resume(self, cell: Cell, outcome: Outcome) -> None:
        thread = cast("_Thread", cell.thread)
        cell.question = None
        if outcome.error is not None:
            reply = thread.throw(outcome.error)
        else:
            reply = thread.switch(outcome.value)
        if isinstance(reply, Question):
            cell.question = reply
        else:
            self.cells.remove(cell)
            cell.thread = None
            self._most += cell.images
            cell.done(cell, reply)

    def _known(self) -> list[Question]:
        """Images whose first steady question was asked before: they need no forward."""
        asked = (cell.question for cell in self.cells if cell.question)
        first = [q for q in asked if q.kind == STEADY and q.kin == NEW]
        for group in questions.grouped(first):
            questions.digest(group)
            known = [q for q in group if all(row in self._answers for row in q.row_keys)]
            if known:
                return known
        return []

    def _next_group(self) -> list[Question]:
        """The questions to answer now: of the most urgent group, as many as fit one forward."""
        groups = questions.grouped(cell.question for cell in self.cells if cell.question)
        if not groups:
            return []
        group = min(groups, key=self._urgency)
        return questions.fitting(sorted(group, key=lambda q: q.order), self._width(group[0]))

    def _urgency(self, group: list[Question]) -> tuple[int, int, int]:
        priority, asked = min(question.order for question in group)
        kind = group[0].kind
        rows = sum(question.call.rows for question in group)
        waited = self._ticks - asked
        if kind == LAST and (rows >= self._width(group[0]) or waited >= PATIENCE):
            kind = FIRST
        return priority, kind, asked

    def _width(self, question: Question) -> int:
        if question.kind == FIRST:
            return 1 if question.cell.exact else FIRST_WIDTH
        if question.cell.exact:
            exact = widths.EXACT if question.kind == STEADY else 1
            self._widths.fix(question.width_key, exact)
        elif _is_compiled(question.module):
            self._widths.fix(question.width_key, widths.COMPILED)
        elif (most := self._most_rows[question.module]) <= widths.SMALLEST:
            self._widths.fix(question.width_key, most)
        if question.kind == STEADY:
            self._steady[question.cell.size] = question.width_key
        return self._widths.rows(question.width_key)

    def _answer(self, group: Sequence[Question]) -> list[Outcome]:
        """An outcome for each question of a group; a failure falls on those that it belongs to."""
        error = None
        try:
            return self._answer_together(group)
        except Exception as raised:
            if memory.is_broken_device(raised):
                raise BrokenDeviceError(str(raised)) from None
            error = raised.with_traceback(None)  # which would pin tensors
        if len(group) == 1:
            return [Outcome(error=error)]
        return [outcome for question in group for outcome in self._answer([question])]

    def _answer_together(self, group: Sequence[Question]) -> list[Outcome]:
        asked = self._asked(group)
        keep, places = batching.unique(asked)
        answers: dict[int, _Answer] = {}
        for row in keep:
            known = self._answers.get(asked[row])
            if known is not None:
                answers[row] = batching.Rows(known, 0, 1)
        missing = [row for row in keep if row not in answers]
        if missing:
            merged = batching.merge([question.call for question in group], missing)
            answers.update(zip(missing, self._compute(group, merged), strict=True))
        for row in missing:
            answer = answers[row]
            if asked[row] and isinstance(answer, batching.Rows):
                self._answers.put(asked[row], batching.gather([answer]))
        rows = (answers[keep[place]] for place in places)
        return [_outcome(q.call, list(islice(rows, q.call.rows))) for q in group]

    def _asked(self, group: Sequence[Question]) -> list[Hashable]:
        """For each row what it asks, where it may have been asked before or twice; else None.

        That is so for encoders, for an image's first steady question, and for images that have
        asked the same all along, such as two of which neither is guided.
        """
        kind = group[0].kind
        relatives = Counter(question.kin for question in group)
        questions.digest(
            q
            for q in group
            if kind == FIRST
            or (kind == STEADY and (q.kin == NEW or (q.kin != ALONE and relatives[q.kin] > 1)))
        )
        asked: list[Hashable] = []
        for question in group:
            question.cell.kin[question.module] = question.digests or ALONE
            asked += question.row_keys or [None] * question.call.rows
        return asked

    def _compute(self, group: Sequence[Question], merged: batching.Call) -> list[_Answer]:
        """For each row of a merged call its answer, or the error of what did not fit alone."""
        first = group[0]
        answers: list[_Answer] = []
        while len(answers) < merged.rows:
            width = self._width(first)
            start, stop = len(answers), min(merged.rows, len(answers) + width)
            padded = first.cell.exact or _is_compiled(first.module)
            arguments = batching.arguments(merged, start, stop, width if padded else 0)
            try:
                output = self._forward(first, *arguments, rows=stop - start)
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
                output = str(error)  # the error itself would pin tensors
            del arguments
            if not isinstance(output, str):
                if merged.is_listed:
                    output = batching.stacked(output)
                answers += [batching.Rows(output, row, row + 1) for row in range(stop - start)]
                if first.kind == STEADY:
                    for question in group:
                        rows = width if padded else stop - start
                        question.cell.width = max(question.cell.width, rows)
                continue
            memory.release()
            if width > 1:
                self._widths.too_wide(first.width_key, width if padded else stop - start)
            else:
                answers.append(MemoryError(output))
        return answers

    def _forward(
        self, question: Question, args: list[Any], kwargs: dict[str, Any], *, rows: int
    ) -> Any:
        """One real forward; while the best width is not known, its time and memory are taken."""
        self.rows[f"{type(question.module).__name__}.{question.method}"] += rows
        key = question.width_key
        device = self._devices[question.module]
        meter = None
        if question.kind != FIRST and not self._widths.settled(key):
            meter = memory.Meter(device)
        started = time.perf_counter()
        output = _call(question.module, question.method, args, kwargs)
        used = meter.stop() if meter else None
        seconds = time.perf_counter() - started
        if question.kind == STEADY:
            self._brisk = device.type == "cpu" and seconds < BRISK
        if used:
            short = self._brisk and question.kind == STEADY
            largest = widths.LARGEST
            if device.type == "cpu" and not short:
                largest = widths.LARGEST_ON_PROCESSORS
            largest = min(largest, self._most_rows[question.module])
            least = widths.LOSS if short else widths.GAIN
            self._widths.measured(key, rows, seconds, used, largest=largest, least=least)
        return output


def _work(cell: Cell, _: Any = None) -> Outcome:
    try:
        return Outcome(cell.work())
    except BaseException as error:
        return Outcome(error=error.with_traceback(None))  # which would pin tensors


def _call(module: Any, method: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    function = module if method == "forward" else getattr(module, method)
    return function(*args, **kwargs)


def _outcome(call: batching.Call, answers: list[_Answer]) -> Outcome:
    for answer in answers:
        if isinstance(answer, Exception):
            return Outcome(error=answer)
    output = batching.gather(cast("list[batching.Rows]", answers))
    return Outcome(batching.unstacked(output) if call.is_listed else output)


def _is_compiled(module: Any) -> bool:
    """True for `module.compile()`: a new width would be compiled anew."""
    return module._compiled_call_impl is not None  # noqa: SLF001 - torch has no public word for it
