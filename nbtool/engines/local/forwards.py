"""Many pipelines at once, their networks' forwards shared.

Each image, or a few that differ in their seed alone, is made by its pipeline's own, unmodified
`__call__`, run as a greenlet. Where it calls a network it is suspended, and its question waits. At
each tick one forward answers the questions of one kind, of as many images as there are, and lets
them go on.
"""

from __future__ import annotations

import functools
import sys
import time
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import islice
from typing import Any, cast

from greenlet import getcurrent, greenlet

from nbtool.engines.local import adapters, batching, memory, questions, widths
from nbtool.engines.local.answers import Answers
from nbtool.engines.local.choosing import SOONER, Choosing
from nbtool.engines.local.loading import networks
from nbtool.engines.local.questions import ALONE, GUIDED, NEW, Making, Outcome, Question
from nbtool.engines.local.stand_ins import FIRST, LAST, STEADY, StandIns
from nbtool.errors import log, said

PATIENCE = 4  # ticks that a decode waits for others
SHARE = 4  # of the images in a forward one call makes at most one in so many
BRISK = 0.2  # seconds of a forward that is short

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
    making: Making


class Forwards:
    """The images in the making and what their networks are asked. Used from one thread."""

    def __init__(self) -> None:
        self.makings: list[Making] = []
        self.rows: Counter[str] = Counter()  # asked for so far, by network and method
        self.padding: Counter[str] = Counter()  # rows that only filled forwards up
        self._spent = 0.0  # seconds that all ticks took since `begin`
        self._made = 0  # images since then
        self._left = 0  # images that are to come, as far as is known
        self._choosing = Choosing()
        self._answers = Answers()
        self._ticks = 0
        self._brisk = False  # whether the last steady forward was short, on a processor
        self._most = sys.maxsize  # images at once
        self._steady: dict[Hashable, widths.WidthKey] = {}  # for each size of image
        self._stand_ins = StandIns(self._ask, self._answers, _text_adapters)

    def begin(self) -> None:
        """Work begins after a rest: comparing may take its share of what is spent from now on."""
        self._spent = 0.0
        self._made = self._left = 0
        self._choosing.begin()

    def adopt(self, pipeline: Any, most: int = widths.LARGEST) -> Any:
        """A copy of a pipeline, to be called inside the `work` of a Making.

        Its networks are stand-ins that ask here; those of the pipeline stay as they are.

        Args:
            pipeline: Loaded and placed.
            most: Rows that its networks may be given at once.
        """
        adopted = self._stand_ins.adopt(pipeline)
        for part in networks(pipeline).values():
            device = adopted._execution_device  # noqa: SLF001 - offloaded or not
            self._choosing.adopt(part, most, device)
        return adopted

    def start(self, making: Making) -> None:
        """Lets an image run up to its first question."""
        self.makings.append(making)
        making.thread = _Thread(functools.partial(_work, making))
        making.thread.making = making
        self._resume(making, Outcome())

    def stop(self, making: Making) -> None:
        """Leaves an image unfinished; its outcome is the error `Stopped`."""
        self._resume(making, Outcome(error=Stopped()))

    def abandon(self) -> None:
        """Lets go of all images, whatever state they are in."""
        self.makings.clear()
        self._most = sys.maxsize

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
            return 0 if any(making.size == size for making in self.makings) else 1
        width = self._choosing.usable(key, tried=True)[-1]
        denoising = (c for c in self.makings if not (c.question and c.question.kind == LAST))
        rows = sum(c.rows for c in denoising if c.size == size and c.priority >= priority)
        if rows < width or (self._brisk and rows + GUIDED * left <= 2 * width):
            return max(0, min(width // (SHARE * GUIDED) or 1, self._most - self._images))
        return 0

    def make_fewer_at_once(self, failed: Making) -> bool:
        """After a want of memory: fewer images at once from now on; False if there is but one."""
        memory.release()
        images = self._images + failed.images
        self._most = max(1, images // 2)
        return images > 1

    @property
    def _images(self) -> int:
        return sum(making.images for making in self.makings)

    def tick(self) -> None:
        """Answers one group of questions and lets their images go on."""
        self._ticks += 1
        started = time.perf_counter()
        rows: Counter[Hashable] = Counter()
        for making in self.makings:
            rows[making.size] += making.rows
        for making in self.makings:
            if making.question:
                self._choosing.classify(making.question, rows[making.size])
        if not (group := self._known() or self._next_group()):
            return
        for question, outcome in zip(group, self._answer(group), strict=True):
            self._resume(question.making, outcome)
        spent = time.perf_counter() - started
        self._spent += spent
        for question in group:
            question.making.seconds += spent * question.call.rows / questions.rows(group)

    def compare(self) -> bool:
        """Learns a little about which widths agree; False if nothing or no time is left for it.

        It may take a small share of the time that forwards take.
        """
        to_come = 0.0
        if self.makings and self._made:
            to_come = SOONER * self._left * self._spent / self._made
        return self._choosing.compare(self._spent + to_come, idle=not self.makings)

    def remember(self) -> None:
        """Keeps what was found out about widths for later processes."""
        self._choosing.remember()

    def made_at(self, making: Making) -> dict[str, int]:
        """By network, the smallest width of the class that an image was made in."""
        return self._choosing.made_at(making)

    def refit(self, pipeline: Any) -> None:
        """Forgets what was asked with adapters that a pipeline's networks may not have any more."""
        self._choosing.refit(set(networks(pipeline).values()))

    def forget(self, pipeline: Any) -> None:
        """Frees what is remembered of a pipeline's networks; for when it is unloaded or changed."""
        gone = set(networks(pipeline).values())
        self._answers.clear()
        self._choosing.forget(gone)
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
        held = adapters.of(module)
        if held and (acting := held.acting(thread.making.adapters, call.rows)):
            call = call.with_adapters(acting)
        question = Question(thread.making, network, module, method, kind, call, asked=self._ticks)
        if kind == STEADY:
            thread.making.rows = call.rows
            self._choosing.look_up(question)
            self._steady[thread.making.size] = question.width_key
        return thread.parent.switch(question)

    def _resume(self, making: Making, outcome: Outcome) -> None:
        thread = cast("_Thread", making.thread)
        making.question = None
        try:
            if outcome.error is not None:
                reply = thread.throw(outcome.error)
            else:
                reply = thread.switch(outcome.value)
        except BaseException as error:  # it never began, or cannot go on
            log("an image cannot go on", error)
            reply = Outcome(error=error.with_traceback(None))
        if isinstance(reply, Question):
            making.question = reply
        else:
            self.makings = [other for other in self.makings if other is not making]
            making.thread = None
            self._most += making.images
            self._made += making.images
            making.done(making, reply)

    def _known(self) -> list[Question]:
        """Images that ask what was asked before: they need no forward."""
        asked = [c.question for c in self.makings if c.question and not c.question.alone]
        for group in questions.grouped(q for q in asked if q.kind == STEADY and q.history == NEW):
            questions.digest(group)
            if known := [q for q in group if all(row in self._answers for row in q.row_keys)]:
                return known
        for group in questions.grouped(q for q in asked if q.kind == FIRST):
            questions.digest(group)
            for question in group:
                for width in question.agreeing[:1] or self._choosing.sound(
                    question
                ):  # any class will do
                    agreeing = self._choosing.agreeing(question, width)
                    if all(row in self._answers for row in question.keys_in(agreeing)):
                        self._choosing.decide(question, width)
                        return [question]
        return []

    def _next_group(self) -> list[Question]:
        """The questions to answer now: of the most urgent group, as many as fit one forward."""
        groups = questions.grouped(making.question for making in self.makings if making.question)
        if not groups:
            return []
        most_urgent = min(groups, key=self._urgency)
        group = sorted(most_urgent, key=lambda q: q.order)
        room = self._choosing.width(group[0], questions.rows(group))
        group = questions.adapted_alike(group, room)
        group = questions.fitting(group, self._choosing.width(group[0], questions.rows(group)))
        if not group[0].agreeing:
            width = self._choosing.width(group[0], questions.rows(group))
            for question in group:
                self._choosing.decide(question, width)
        return group

    def _urgency(self, group: Sequence[Question]) -> tuple[int, int, int]:
        priority, asked = min(question.order for question in group)
        kind = group[0].kind
        waited = self._ticks - asked
        if kind == LAST and (
            waited >= PATIENCE
            or questions.rows(group) >= max(self._choosing.fitting(group[0]), default=0)
        ):
            kind = FIRST
        return priority, kind, asked

    def _answer(self, group: Sequence[Question]) -> list[Outcome]:
        """An outcome for each question of a group; a failure falls on those that it belongs to."""
        error = None
        try:
            return self._answer_together(group)
        except Exception as raised:
            log("in a forward", raised)
            if memory.is_broken_device(raised):
                raise BrokenDeviceError(said(raised)) from None
            error = raised.with_traceback(None)  # which would pin tensors
        if isinstance(error, adapters.NotByRowError):
            return [self._answer_apart(question) for question in group]
        if len(group) == 1:
            return [Outcome(error=error)]
        return [outcome for question in group for outcome in self._answer([question])]

    def _answer_apart(self, question: Question) -> Outcome:
        """An outcome for a question whose adapters must act on all rows of a forward alike."""
        if (held := adapters.of(question.module)) is not None:
            held.refuse_rows(question.call.adapters)
        question.call = question.call.apart()
        return self._answer([question])[0]

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
        relatives = Counter(question.history for question in group)
        if not group[0].alone:
            questions.digest(
                q
                for q in group
                if kind == FIRST
                or (
                    kind == STEADY
                    and (q.history == NEW or (q.history != ALONE and relatives[q.history] > 1))
                )
            )
        asked: list[Hashable] = []
        for question in group:
            question.making.history[question.module] = question.digests or ALONE
            asked += question.row_keys or [None] * question.call.rows
        return asked

    def _compute(self, group: Sequence[Question], merged: batching.Call) -> list[_Answer]:
        """For each row of a merged call its answer, or the error of what did not fit alone."""
        first = group[0]
        answers: list[_Answer] = []
        while len(answers) < merged.rows:
            start = len(answers)
            if not (width := self._choosing.width(first, merged.rows - start)):
                raise TooWideError
            stop = min(merged.rows, start + width)
            try:
                output = self._forward(first, merged, start, stop, width)
            except Exception as error:
                if not memory.is_out_of_memory(error):
                    raise
                log(f"in a forward of {width} rows", error)
                output = said(error)  # the error itself would pin tensors
            if not isinstance(output, str):
                answers += [batching.Rows(output, row, row + 1) for row in range(stop - start)]
                if first.kind == STEADY:
                    for question in group:
                        question.making.width = max(question.making.width, width)
                continue
            memory.release()
            if width == 1:
                answers.append(MemoryError(output))
            else:
                self._choosing.too_wide(first, width)
        return answers

    def _forward(
        self, question: Question, call: batching.Call, start: int, stop: int, width: int
    ) -> Any:
        """One real forward; while the best width is not known, its time and memory are taken."""
        name = f"{type(question.module).__name__}.{question.method}"
        self.rows[name] += stop - start
        self.padding[name] += width - (stop - start)
        device = self._choosing.device(question.module)
        args, kwargs = batching.arguments(call, start, stop, width)
        meter = memory.Meter(device) if self._choosing.measures(question) else None
        started = time.perf_counter()
        output = batching.call(question.module, question.method, args, kwargs)
        used = meter.stop() if meter else None
        seconds = time.perf_counter() - started
        if call.is_listed:
            output = batching.stacked(output)
        self._choosing.look(question, call, start, width, seconds)
        if question.kind == STEADY:
            self._brisk = device.type == "cpu" and seconds < BRISK
        if used:
            short = self._brisk and question.kind == STEADY
            self._choosing.measured(question, width, seconds, used, short=short)
        return output


def _text_adapters() -> adapters.Weights:
    """What acts on the text encoders for the image that is being made now."""
    thread = getcurrent()
    return thread.making.text_adapters if isinstance(thread, _Thread) else {}


def _work(making: Making, _: Any = None) -> Outcome:
    try:
        return Outcome(making.work())
    except BaseException as error:
        if not isinstance(error, Stopped):
            log("in a pipeline", error)
        return Outcome(error=error.with_traceback(None))  # which would pin tensors


def _outcome(call: batching.Call, answers: list[_Answer]) -> Outcome:
    for answer in answers:
        if isinstance(answer, Exception):
            return Outcome(error=answer)
    output = batching.gather(cast("list[batching.Rows]", answers))
    return Outcome(batching.unstacked(output) if call.is_listed else output)
