"""At which widths each image's questions are answered: its class, and the best forward for now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from nbtool import environment
from nbtool.engines.local import batching, kernels, widths
from nbtool.engines.local.classes import Classes
from nbtool.engines.local.comparing import Comparing
from nbtool.engines.local.questions import Making, Question
from nbtool.engines.local.stand_ins import FIRST, LAST, STEADY

FIRST_WIDTH = 16  # rows of an encoder's forward
LAST_WIDTH = 4  # rows of a decoder's forward to begin with
SOONER = 0.4  # of the time for an image by itself is enough for each of many, as a guess
FEW = 6  # rows that take about as long as what a forward costs beside its rows


class Choosing:
    """Decides on widths by what was measured and compared.

    An image gets a class for each network when it first asks it, and keeps it. Where nothing is
    known, it is answered by itself, with its own rows: that is the same again in any case.
    """

    def __init__(self) -> None:
        self._widths = widths.Widths()
        self._classes = Classes(lambda: environment.cache_folder() / "widths.json")
        self._comparing = Comparing(self._classes)
        self._texts: dict[widths.WidthKey, str] = {}  # by which classes are remembered
        # Widths that images are made at, each by itself, since they are not known to be sound.
        self._alone: defaultdict[widths.WidthKey, set[int]] = defaultdict(set)
        # Widths that would have spared forwards rows that only fill them up.
        self._missed: defaultdict[widths.WidthKey, set[int]] = defaultdict(set)
        self._most_rows: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # by network
        self._devices: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()  # where they compute

    def adopt(self, network: Any, most: int, device: Any) -> None:
        """A network may be given so many rows at once, and computes there."""
        self._most_rows[network] = most
        self._devices[network] = device

    def device(self, network: Any) -> Any:
        """Where a network computes."""
        return self._devices[network]

    def forget(self, networks: Collection[Any]) -> None:
        """Lets go of what is known of networks; of their classes it is remembered."""
        self._widths.forget(networks)
        self._comparing.forget(networks)
        for known in (self._texts, self._alone, self._missed):
            for key in [key for key in known if key[0] in networks]:
                del known[key]

    def refit(self, networks: Collection[Any]) -> None:
        """Lets go of rows that networks were asked with adapters that may be gone."""
        self._comparing.refit(networks)

    def begin(self) -> None:
        """Comparing may take its share of what is spent from now on."""
        self._comparing.begin()

    def compare(self, spent: float, *, idle: bool) -> bool:
        """Learns a little about which widths agree; False if nothing or no time is left for it.

        Args:
            spent: Seconds that forwards took since `begin`, and are to take.
            idle: Whether no image is in the making.
        """
        worth = partial(self._worth_comparing, idle=idle)
        return self._comparing.compare(spent, worth, self._widths.too_wide, patient=not idle)

    def look(
        self, question: Question, call: batching.Call, start: int, width: int, seconds: float
    ) -> None:
        """Keeps a row that was computed, for widths to be compared by.

        Args:
            question: That was answered.
            call: With what was asked.
            start: The first row of the call that the forward answered.
            width: Of the forward.
            seconds: That it took.
        """
        self._comparing.look(
            question.width_key, text=self._text(question), method=question.method, call=call,
            row=start, pace=seconds / width * (SOONER if width <= widths.ONE else 1),
        )  # fmt: skip

    def remember(self) -> None:
        """Keeps what was found out for later processes."""
        self._classes.save()

    def too_wide(self, question: Question, width: int) -> None:
        """A forward of this width ran out of memory."""
        self._widths.too_wide(question.width_key, width)

    def sound(self, question: Question) -> Sequence[int]:
        """The widths at which a row does not depend on its place."""
        return self._classes.sound(self._text(question))

    def look_up(self, question: Question) -> None:
        """Finds out how wide forwards may be for a question's network."""
        key = question.width_key
        self._text(question)
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

    def classify(self, question: Question, here: int) -> None:
        """Says which widths a question may be answered at; decides, where that must be now.

        Args:
            question: That waits for its answer.
            here: Rows of the images of its size that are in the making.
        """
        self.look_up(question)
        making = question.making
        width = making.widths.get(question.network)
        if width is None and (width := self._of_the_past(question)) is not None:
            # What was made otherwise before is made so again, and is not exact.
            making.exact &= self._exact(question) in self.agreeing(question, width)
        if width is None and making.exact:
            width = self._exact(question)
        if width is None and question.kind == STEADY:
            width = self._fastest(question, here)
        if width is not None:
            self.decide(question, width)

    def decide(self, question: Question, width: int) -> None:
        """Answers a question, and all that its image asks this network, in a width's class."""
        making, network, text = question.making, question.network, self._text(question)
        making.widths[network] = width
        making.asked.setdefault(network, set()).add(text)
        question.agreeing = self.agreeing(question, width)
        question.alone = width not in self._classes.sound(text)
        if question.alone and width > widths.ONE:
            self._alone[question.width_key].add(width)

    def agreeing(self, question: Question, width: int) -> tuple[int, ...]:
        """The widths at which the answer is the same as at this one."""
        if _is_compiled(question.module):  # it would be compiled anew
            return (width,)
        return tuple(self._classes.members(self._text(question), width))

    def width(self, question: Question, waiting: int) -> int:
        """The rows of the next forward, some of which may only fill it up; 0 if no width fits."""
        fitting = self.fitting(question)
        if not fitting or waiting >= fitting[-1]:
            return fitting[-1] if fitting else 0
        up = next(w for w in fitting if w >= waiting)
        if widths.step_up(waiting) < up:
            self._missed[question.width_key].add(widths.step_up(waiting))
        down = max((w for w in fitting if w <= waiting), default=up)
        rest = next(w for w in fitting if w >= waiting - down)
        return down if up > down + rest + FEW else up

    def fitting(self, question: Question) -> list[int]:
        """The widths that a forward may have that answers a question; none if none fits."""
        most, sound = self._room_for(question), self._classes.sound(self._text(question))
        fitting = [w for w in question.agreeing or sound if w <= most]
        best = self.usable(question.width_key)[-1]
        return [w for w in fitting if w <= best] or fitting[:1]

    def usable(self, key: widths.WidthKey, *, tried: bool = False) -> list[int]:
        """The widths that new images may have: sound ones, up to the best, or the next to try."""
        width, wider = self._widths.of(key), self._wider(key)
        if not tried and len(width.paces[wider]) >= len(width.paces[width.rows]):
            wider = width.rows  # the two take turns: what disturbs one for a while disturbs both
        most = min(wider, width.limit, self._most_rows[key[0]])
        sound = self._classes.sound(self._texts[key])
        if _is_compiled(key[0]):  # whatever there is to do; together only where places are alike
            return [most if most in sound else widths.ONE]
        return [w for w in sound if w <= most]

    def measures(self, question: Question) -> bool:
        """Whether the best width for a question's network is yet to be found."""
        return question.kind != FIRST and not self._widths.of(question.width_key).settled

    def measured(
        self, question: Question, width: int, seconds: float, used: tuple[int, int], *, short: bool
    ) -> None:
        """A forward took so long, and so much memory.

        Args:
            question: That it answered.
            width: Its rows.
            seconds: That it took.
            used: The bytes that it took, and those that had been free.
            short: Whether it is so short that what comes between forwards counts too.
        """
        key = question.width_key
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

    def made_at(self, making: Making) -> dict[str, int]:
        """By network, the smallest width of the class that an image was made in."""
        found = {}
        for network, width in making.widths.items():
            agreeing = (self._classes.members(text, width) for text in making.asked[network])
            found[network] = min(set.intersection(*map(set, agreeing)))
        return found

    def _fastest(self, question: Question, here: int) -> int:
        """The width for an image that begins: what is best for as much work as there is."""
        making, own = question.making, question.call.rows
        if _is_compiled(question.module):
            return self._widths.of(question.width_key).rows
        usable = self.usable(question.width_key)
        if making.images == 1 and (usable[-1] <= widths.ONE or here <= own):
            return min(self._room_for(question), widths.step_up(own))
        return widths.step_up(here, usable)

    def _exact(self, question: Question) -> int:
        """The width of images that are the same however they are asked for."""
        most = min(widths.EXACT if question.kind == STEADY else 1, self._room_for(question))
        return max(w for w in widths.LADDER if w <= most)

    def _of_the_past(self, question: Question) -> int | None:
        """The width that an image was made at before, if there is room for its class."""
        width = question.making.past.get(question.network)
        if width not in widths.LADDER or _is_compiled(question.module):
            return None
        return width if self.agreeing(question, width)[0] <= self._room_for(question) else None

    def _room_for(self, question: Question) -> int:
        """How many rows of this kind fit into the memory, as far as is known."""
        return min(self._widths.of(question.width_key).limit, self._most_rows[question.module])

    def _wider(self, key: widths.WidthKey) -> int:
        """The next width to try; the best if there is none."""
        width = self._widths.of(key)
        return width.wider(self._classes.unsound(self._texts[key])) or width.rows

    def _worth_comparing(self, key: widths.WidthKey, *, idle: bool) -> Iterator[tuple[int, int]]:
        """The widths that may be used for a key, and how useful each is, 0 before 1.

        First those without which images are made one by one; then those that may be faster or were
        missed; and when no image is in the making, all others.
        """
        width, wider = self._widths.of(key), self._wider(key)
        most = min(width.limit, self._most_rows[key[0]])
        last = 2 * (key[1] == "decode")
        useful = {**dict.fromkeys(self._alone[key], 0), width.rows: last}
        if not _is_compiled(key[0]):
            for other in (wider, *self._missed[key]):
                useful.setdefault(other, 1 + last)
            if idle:
                for other in widths.LADDER:
                    useful.setdefault(other, 4)
        yield from ((rank, w) for w, rank in useful.items() if w <= min(most, wider))

    def _text(self, question: Question) -> str:
        """What the classes of a question's network are remembered by."""
        key = question.width_key
        if key not in self._texts:
            device = self._devices[question.module]
            self._texts[key] = kernels.key(
                question.module, question.method, question.call.shapes, device
            )
        return self._texts[key]


def _is_compiled(module: Any) -> bool:
    """True for `module.compile()`: a new width would be compiled anew."""
    return module._compiled_call_impl is not None  # noqa: SLF001 - torch has no public word for it
