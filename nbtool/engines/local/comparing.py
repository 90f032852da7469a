"""Finds out which widths agree, by computing rows that were asked once more at other widths."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from nbtool.engines.local import batching, memory
from nbtool.engines.local.classes import Classes
from nbtool.engines.local.widths import WidthKey
from nbtool.errors import log

SHARE = 0.05  # of the time that forwards take may be spent on it
SAMPLES = 24  # rows that are kept at most


@dataclass
class _Sample:
    """A row that was asked, and digests of its answers by the width of the forward."""

    module: Any
    method: str
    call: batching.Call
    text: str  # what its classes are remembered by
    pace: float  # seconds a row
    row: dict[int, bytes] = field(default_factory=dict)


class Comparing:
    """Keeps a row of each kind of forward, and computes it at other widths when there is time.

    Args:
        classes: Where what is found out goes.
    """

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._samples: OrderedDict[WidthKey, _Sample] = OrderedDict()
        self.seconds = 0.0  # that it took since `begin`

    def begin(self) -> None:
        """Its share of the time is counted from now on."""
        self.seconds = 0.0

    def look(
        self, key: WidthKey, *, text: str, method: str, call: batching.Call, row: int, pace: float
    ) -> None:
        """Keeps a row of the first forward of a kind.

        Args:
            key: Of what was asked.
            text: What its classes are remembered by.
            method: Of the network, that was called.
            call: What was asked.
            row: Of the call.
            pace: Seconds that each row of the forward took.
        """
        if key in self._samples:
            self._samples[key].pace = min(pace, self._samples[key].pace)
            return
        self._samples[key] = _Sample(key[0], method, batching.one_row(call, row), text, pace)
        if len(self._samples) > SAMPLES:
            self._samples.popitem(last=False)

    def compare(
        self,
        spent: float,
        worth: Callable[[WidthKey], Iterable[tuple[int, int]]],
        too_wide: Callable[[WidthKey, int], None],
        *,
        patient: bool,
    ) -> bool:
        """Computes a row at one more width; False if nothing is left to find out, or no time.

        Args:
            spent: Seconds that forwards took since `begin`, and those to come.
            worth: The widths that may be used for a key, and how useful it is to know them, 0 first.
            too_wide: Told of a width that ran out of memory.
            patient: Whether to wait until the time suffices for what is most useful, rather than
                to take what it suffices for.
        """
        steps = sorted(
            (rank, sample.pace * width, width, number, key)
            for number, (key, sample) in enumerate(self._samples.items())
            for rank, wanted in worth(key)
            if (width := self._classes.next(sample.text, sample.row, wanted))
        )
        left = SHARE * spent - self.seconds
        for _, cost, width, _, key in steps[:1] if patient else steps:
            if cost <= left:
                started = time.perf_counter()
                if not self._compute(self._samples[key], width):
                    memory.release()
                    too_wide(key, width)
                self.seconds += time.perf_counter() - started
                return True
        return False

    def forget(self, networks: Collection[Any]) -> None:
        """Lets go of rows that networks were asked."""
        for key in [key for key in self._samples if key[0] in networks]:
            del self._samples[key]

    def refit(self, networks: Collection[Any]) -> None:
        """Lets go of rows that networks were asked with adapters."""
        for key, sample in [*self._samples.items()]:
            if key[0] in networks and sample.call.adapters:
                del self._samples[key]

    def _compute(self, sample: _Sample, width: int) -> bool:
        """Computes a row at every place of a forward; False if the memory did not suffice."""
        args, kwargs = batching.arguments(sample.call, 0, 1, width)
        digests: set[bytes] = set()
        try:
            output = batching.call(sample.module, sample.method, args, kwargs)
            output = batching.stacked(output) if sample.call.is_listed else output
            digests.update(batching.fingerprint(output, place) for place in range(width))
        except Exception as error:
            log("while widths were compared", error)
            if memory.is_broken_device(error):
                raise
            if memory.is_out_of_memory(error):
                return False
        if len(digests) == 1:
            sample.row[width] = digests.pop()
            self._classes.put(sample.text, sample.row)
        else:  # what depends on its place, or cannot be computed, agrees with nothing
            self._classes.refuse(sample.text, width)
        return True
