"""Many pipelines at once, their networks' forwards shared.

Each image, or a few that differ in their seed alone, is made by its pipeline's own, unmodified
`__call__`, run as a greenlet. Where it calls a network it is suspended, and its question waits in
the hub. At each tick the hub answers the questions of one kind, of as many images as there are,
with one forward, and lets them go on.
"""

from __future__ import annotations

import functools
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import islice
from typing import Any, cast
from weakref import WeakKeyDictionary

from greenlet import getcurrent, greenlet

from nbtool import environment
from nbtool.engines.local import batching, kernels, memory, questions, widths
from nbtool.engines.local.answers import Answers
from nbtool.engines.local.classes import Classes
from nbtool.engines.local.comparing import Comparing
from nbtool.engines.local.loading import networks
from nbtool.engines.local.questions import ALONE, GUIDED, NEW, Cell, Outcome, Question
from nbtool.engines.local.stand_ins import FIRST, LAST, STEADY, StandIns

FIRST_WIDTH = 16  # rows of an encoder's forward
LAST_WIDTH = 4  # rows of a decoder's forward to begin with
PATIENCE = 4  # ticks that a decode waits for others
SHARE = 4  # of the images in a forward one call makes at most one in so many
BRISK = 0.2  # seconds of a forward that is short
SOONER = 0.4  # of the time for an image by itself is enough for each of many, as a guess
FEW = 3  # rows that take about as long as what a forward costs beside its rows

# Pipelines hand these a generator that they do not use.
_DECODES_WITHOUT_CHANCE = ("AutoencoderKL", "AutoencoderTiny")


class Stopped(BaseException):
    """Thrown into a pipeline to leave it; no `except Exception` inside holds it up."""


class BrokenDeviceError(Exception):
    """The device refuses everything from now on."""


class TooWideError(Exception):
    """The widths of an image's class do not fit into the memory; it must begin again in another."""


_Answer = batching.Rows | Exception  # to one row of a question


class _Thread(greenlet):  # type: ignore[misc] # greenlet has no types
    cell: Cell


class Hub:
    """The images in the making and what their networks are asked. Used from one thread."""

    def __init__(self) -> None:
        self.cells: list[Cell] = []
        self.rows: Counter[str] = Counter()  # asked for so far, by network and method
        self.padding: Counter[str] = Counter()  # rows that only filled forwards up
        self._spent = 0.0  # seconds that all ticks took since `begin`
        self._made = 0  # images since then
        self._left = 0  # images that are to come, as far as is known
        self._widths = widths.Widths()
        self._classes = Classes(lambda: environment.cache_folder() / "widths.json")
        self._texts: dict[widths.WidthKey, str] = {}  # by which classes are remembered
        self._comparing = Comparing(self._classes)
        # Widths that images are made at, each by itself, since they are not known to be sound.
        self._alone: defaultdict[widths.WidthKey, set[int]] = defaultdict(set)
        self._answers = Answers()
        self._ticks = 0
        self._brisk = False  # whether the last steady forward was short, on a processor
        self._most = sys.maxsize  # images at once
        self._steady: dict[Hashable, widths.WidthKey] = {}  # for each size of image
        self._stand_ins = StandIns(self._ask, self._answers)
        self._most_rows: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # by network
        self._devices: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # where they compute

    def begin(self) -> None:
        """Work begins after a rest: comparing may take its share of what is spent from now on."""
        self._spent = 0.0
        self._made = self._left = 0
        self._comparing.begin()

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

    def room(self, priority: int, size: Hashable, left: int) -> int:
        """How many images of this size may join, as one call if they are alike but for their seed.

        There is room until the images in the making fill a forward; the last may be too many. While
        forwards are short there is twice as much for the last images: what each forward costs
        beside its rows counts then, so they are full to the end, and nobody waits long. Images of
        lower priority take no room.

        One call takes a pipeline's own time once for all of its images, but what joins as one is
        finished as one. It is a small share of a forward, so that an early look shows several
        settings, and one image where forwards are narrow.

        Args:
            priority: Of the images.
            size: Of the images.
            left: How many are yet to come.
        """
        self._left = left
        key = self._steady.get(size)
        if key is None:  # one goes ahead and shows what will be asked
            return 0 if any(cell.size == size for cell in self.cells) else 1
        compiled = _is_compiled(key[0])
        width = self._widths.of(key).rows if compiled else self._usable(key, tried=True)[-1]
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
        started = time.perf_counter()
        for cell in list(self.cells):
            if cell.question:
                self._classify(cell.question)
        if not (group := self._known() or self._next_group()):
            return
        for question, outcome in zip(group, self._answer(group), strict=True):
            self._resume(question.cell, outcome)
        spent = time.perf_counter() - started
        self._spent += spent
        for question in group:
            question.cell.seconds += spent * question.call.rows / questions.rows(group)

    def compare(self) -> bool:
        """Learns a little about which widths agree; False if nothing or no time is left for it.

        It may take a small share of the time that forwards take.
        """
        to_come = 0.0
        if self.cells and self._made:
            to_come = SOONER * self._left * self._spent / self._made
        return self._comparing.compare(
            self._spent + to_come,
            self._worth_comparing,
            self._widths.too_wide,
            patient=bool(self.cells),
        )

    def remember(self) -> None:
        """Keeps what was found out about widths for later processes."""
        self._classes.save()

    def made_at(self, cell: Cell) -> dict[str, int]:
        """By network, the smallest width of the class that an image was made in."""
        found = {}
        for network, width in cell.widths.items():
            agreeing = (self._classes.members(text, width) for text in cell.asked[network])
            found[network] = min(set.intersection(*map(set, agreeing)))
        return found

    def forget(self, pipeline: Any) -> None:
        """Frees what is remembered of a pipeline's networks; for when it is unloaded or changed."""
        gone = set(networks(pipeline).values())
        self._answers.clear()
        self._widths.forget(gone)
        self._comparing.forget(gone)
        for known in (self._texts, self._alone):
            for key in [key for key in known if key[0] in gone]:
                del known[key]
        self._steady = {size: key for size, key in self._steady.items() if key[0] not in gone}
        for part in gone:
            self._stand_ins.forget(part)

    def _ask(
        self, network: str, module: Any, method: str, kind: int, *args: Any, **kwargs: Any
    ) -> Any:
        """Called by a pipeline in place of a network: suspends it until there is an answer."""
        thread = getcurrent()
        if not isinstance(thread, _Thread):
            return batching.call(module, method, args, kwargs)
        if method != "forward":
            args = (args[0].to(next(module.parameters()).dtype), *args[1:])
            if type(module).__name__ in _DECODES_WITHOUT_CHANCE:
                kwargs.pop("generator", None)
        call = batching.describe(args, kwargs)
        question = Question(thread.cell, network, module, method, kind, call, asked=self._ticks)
        if kind == STEADY:
            thread.cell.rows = call.rows
            self._look_up(question)
            self._text(question)
            self._steady[thread.cell.size] = question.width_key
        return thread.parent.switch(question)

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
            self._made += cell.images
            cell.done(cell, reply)

    def _known(self) -> list[Question]:
        """Images that ask what was asked before: they need no forward."""
        asked = [c.question for c in self.cells if c.question and not c.question.alone]
        for group in questions.grouped(q for q in asked if q.kind == STEADY and q.kin == NEW):
            questions.digest(group)
            if known := [q for q in group if all(row in self._answers for row in q.row_keys)]:
                return known
        for group in questions.grouped(q for q in asked if q.kind == FIRST):
            questions.digest(group)
            for question in group:
                sound = self._classes.sound(self._text(question))
                for width in question.agreeing[:1] or sound:  # any class will do
                    agreeing = self._agreeing(question, width)
                    if all(row in self._answers for row in question.keys_in(agreeing)):
                        self._decide(question, width)
                        return [question]
        return []

    def _next_group(self) -> list[Question]:
        """The questions to answer now: of the most urgent group, as many as fit one forward."""
        groups = questions.grouped(cell.question for cell in self.cells if cell.question)
        if not groups:
            return []
        most_urgent = min(groups, key=self._urgency)
        group = sorted(most_urgent, key=lambda q: q.order)
        group = questions.fitting(group, self._width(group[0], questions.rows(group)))
        if not group[0].agreeing:
            width = self._width(group[0], questions.rows(group))
            for question in group:
                self._decide(question, width)
        return group

    def _urgency(self, group: Sequence[Question]) -> tuple[int, int, int]:
        priority, asked = min(question.order for question in group)
        kind = group[0].kind
        waited = self._ticks - asked
        if kind == LAST and (
            waited >= PATIENCE or questions.rows(group) >= max(self._fitting(group[0]), default=0)
        ):
            kind = FIRST
        return priority, kind, asked

    def _look_up(self, question: Question) -> None:
        """Finds out how wide forwards may be for a question's network."""
        key = question.width_key
        if key in self._widths:
            return
        most = self._most_rows[question.module]
        if _is_compiled(question.module):
            self._widths.fix(key, min(widths.COMPILED, most))
        elif question.kind == FIRST:
            self._widths.fix(key, min(FIRST_WIDTH, most))
        elif most <= widths.ONE:
            self._widths.fix(key, most)
        elif (known := self._classes.best(self._text(question))) is not None:
            self._widths.fix(key, min(known, most))
        elif question.kind == LAST:
            self._widths.begin(key, LAST_WIDTH)

    def _classify(self, question: Question) -> None:
        """Says which widths a question may be answered at; decides, where that must be now."""
        self._look_up(question)
        cell = question.cell
        if (width := cell.widths.get(question.network)) is None:
            width = self._of_the_past(question)
        if width is None and cell.exact:
            most = min(widths.EXACT if question.kind == STEADY else 1, self._room_for(question))
            width = max(w for w in widths.LADDER if w <= most)
        if width is None and question.kind == STEADY:
            width = self._fastest(question)
        if width is not None:
            self._decide(question, width)

    def _of_the_past(self, question: Question) -> int | None:
        """The width that an image was made at before, if there is room for its class."""
        width = question.cell.past.get(question.network)
        if width not in widths.LADDER or _is_compiled(question.module):
            return None
        return width if self._agreeing(question, width)[0] <= self._room_for(question) else None

    def _room_for(self, question: Question) -> int:
        """How many rows of this kind fit into the memory, as far as is known."""
        return min(self._widths.of(question.width_key).limit, self._most_rows[question.module])

    def _agreeing(self, question: Question, width: int) -> tuple[int, ...]:
        """The widths at which the answer is the same as at this one."""
        if _is_compiled(question.module):  # it would be compiled anew
            return (width,)
        return tuple(self._classes.members(self._text(question), width))

    def _fastest(self, question: Question) -> int:
        """The width for an image that begins: what is best for as much work as there is."""
        cell, own = question.cell, question.call.rows
        if _is_compiled(question.module):
            return self._widths.of(question.width_key).rows
        usable = self._usable(question.width_key)
        here = sum(c.rows for c in self.cells if c.size == cell.size)
        if cell.images == 1 and (usable[-1] <= widths.ONE or here <= own):
            return min(self._room_for(question), widths.step_up(own))
        return widths.step_up(here, usable)

    def _usable(self, key: widths.WidthKey, *, tried: bool = False) -> list[int]:
        """The widths that new images may have: sound ones, up to the best, or the next to try."""
        width, wider = self._widths.of(key), self._wider(key)
        if not tried and len(width.paces[wider]) >= len(width.paces[width.rows]):
            wider = width.rows  # the two take turns: what disturbs one for a while disturbs both
        most = min(wider, width.limit, self._most_rows[key[0]])
        return [w for w in self._classes.sound(self._texts[key]) if w <= most]

    def _wider(self, key: widths.WidthKey) -> int:
        """The next width to try; the best if there is none."""
        width = self._widths.of(key)
        return width.wider(self._classes.unsound(self._texts[key])) or width.rows

    def _decide(self, question: Question, width: int) -> None:
        """Answers a question, and all that its image asks this network, in a width's class."""
        cell, network, text = question.cell, question.network, self._text(question)
        cell.widths[network] = width
        cell.asked.setdefault(network, set()).add(text)
        question.agreeing = self._agreeing(question, width)
        question.alone = width not in self._classes.sound(text)
        if question.alone and width > widths.ONE:
            self._alone[question.width_key].add(width)

    def _fitting(self, question: Question) -> list[int]:
        """The widths that a forward may have that answers a question; none if none fits."""
        most, sound = self._room_for(question), self._classes.sound(self._text(question))
        fitting = [w for w in question.agreeing or sound if w <= most]
        best = self._usable(question.width_key)[-1]
        return [w for w in fitting if w <= best] or fitting[:1]

    def _width(self, question: Question, waiting: int) -> int:
        """The rows of the next forward, some of which may only fill it up; 0 if no width fits."""
        fitting = self._fitting(question)
        if not fitting or waiting >= fitting[-1]:
            return fitting[-1] if fitting else 0
        up = next(w for w in fitting if w >= waiting)
        down = max((w for w in fitting if w <= waiting), default=up)
        rest = next(w for w in fitting if w >= waiting - down)
        return down if up > down + rest + FEW else up

    def _text(self, question: Question) -> str:
        """What the classes of a question's network are remembered by."""
        key = question.width_key
        if key not in self._texts:
            device = self._devices[question.module]
            self._texts[key] = kernels.key(
                question.module, question.method, question.call.shapes, device
            )
        return self._texts[key]

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
        if not group[0].alone:
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
            start = len(answers)
            if not (width := self._width(first, merged.rows - start)):
                raise TooWideError
            stop = min(merged.rows, start + width)
            try:
                output = self._forward(first, merged, start, stop, width)
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
                output = str(error)  # the error itself would pin tensors
            if not isinstance(output, str):
                answers += [batching.Rows(output, row, row + 1) for row in range(stop - start)]
                if first.kind == STEADY:
                    for question in group:
                        question.cell.width = max(question.cell.width, width)
                continue
            memory.release()
            if width == 1:
                answers.append(MemoryError(output))
            else:
                self._widths.too_wide(first.width_key, width)
        return answers

    def _forward(
        self, question: Question, call: batching.Call, start: int, stop: int, width: int
    ) -> Any:
        """One real forward; while the best width is not known, its time and memory are taken."""
        name = f"{type(question.module).__name__}.{question.method}"
        self.rows[name] += stop - start
        self.padding[name] += width - (stop - start)
        key = question.width_key
        device = self._devices[question.module]
        args, kwargs = batching.arguments(call, start, stop, width)
        meter = None
        if question.kind != FIRST and not self._widths.of(key).settled:
            meter = memory.Meter(device)
        started = time.perf_counter()
        output = batching.call(question.module, question.method, args, kwargs)
        used = meter.stop() if meter else None
        seconds = time.perf_counter() - started
        if call.is_listed:
            output = batching.stacked(output)
        self._comparing.look(
            key, text=self._text(question), method=question.method, call=call, row=start,
            pace=seconds / width * (SOONER if width <= widths.ONE else 1),
        )  # fmt: skip
        if question.kind == STEADY:
            self._brisk = device.type == "cpu" and seconds < BRISK
        if used:
            self._measured(question, width, seconds, used)
        return output

    def _measured(
        self, question: Question, width: int, seconds: float, used: tuple[int, int]
    ) -> None:
        key = question.width_key
        short = self._brisk and question.kind == STEADY
        on_processor = self._devices[question.module].type == "cpu"
        largest = widths.LARGEST_ON_PROCESSORS if on_processor and not short else widths.LARGEST
        self._widths.measured(
            key, width, seconds, used,
            largest=min(largest, self._most_rows[question.module]),
            least=widths.LOSS if short else widths.GAIN,
            refused=self._classes.unsound(self._text(question)),
        )  # fmt: skip
        if self._widths.of(key).settled:
            self._classes.settle(self._text(question), self._widths.of(key).rows)

    def _worth_comparing(self, key: widths.WidthKey) -> Iterator[tuple[int, int]]:
        """The widths that may be used for a key, and how useful each is, 0 before 1.

        First those without which images are made one by one; then one that may be faster; and when
        no image is in the making, all others: they fill forwards up with less.
        """
        width, wider = self._widths.of(key), self._wider(key)
        most = min(width.limit, self._most_rows[key[0]])
        last = 2 * (key[1] == "decode")
        useful = {**dict.fromkeys(self._alone[key], 0), width.rows: last}
        if not _is_compiled(key[0]):
            useful.setdefault(wider, 1 + last)
            if not self.cells:
                for other in widths.LADDER:
                    useful.setdefault(other, 4)
        yield from ((rank, w) for w, rank in useful.items() if w <= min(most, wider))


def _work(cell: Cell, _: Any = None) -> Outcome:
    try:
        return Outcome(cell.work())
    except BaseException as error:
        return Outcome(error=error.with_traceback(None))  # which would pin tensors


def _outcome(call: batching.Call, answers: list[_Answer]) -> Outcome:
    for answer in answers:
        if isinstance(answer, Exception):
            return Outcome(error=answer)
    output = batching.gather(cast("list[batching.Rows]", answers))
    return Outcome(batching.unstacked(output) if call.is_listed else output)


def _is_compiled(module: Any) -> bool:
    """True for `module.compile()`: a new width would be compiled anew."""
    return module._compiled_call_impl is not None  # noqa: SLF001 - torch has no public word for it
