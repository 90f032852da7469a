"""Axes of LoRAs as they are typed: their files are looked for in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from nbtool.catalogue import loras
from nbtool.errors import AxisError, PartError, log
from nbtool.panel.adapting import fault
from nbtool.panel.background import InTurn
from nbtool.panel.notice import words
from nbtool.panel.values import pieces, weighed
from nbtool.recipes import lora_axes
from nbtool.recipes.axis import Axis
from nbtool.recipes.lora_axes import NAME, Adding
from nbtool.recipes.loras import Lora
from nbtool.recipes.parameters import ROWS
from nbtool.recipes.preset import is_none

if TYPE_CHECKING:
    from nbtool.engines.base import Engine


class UnderWayError(AxisError):
    """What is typed is being looked at."""


class Found(NamedTuple):
    """What is typed, once it was looked at: the axes, and what is to be known of them."""

    axes: tuple[Axis, ...]
    note: str = ""


class Weighing:
    """What LoRAs and weights that are typed mean.

    Args:
        engine: What makes the images now.
        known: LoRAs of the form, by what they were given as.
        told: Called from a thread when something that was asked for is known.
    """

    def __init__(
        self, engine: Callable[[], Engine], known: Mapping[str, Lora], told: Callable[[], None]
    ) -> None:
        self._engine = engine
        self._known = known
        self._told = told
        self._found: dict[tuple[str, str], Found | Exception | None] = {}
        self._looking = InTurn(lambda _: None)

    def __call__(self, text: str) -> Found:
        """The axes of a text such as "ink | dots: 0-1 [5]".

        Raises:
            UnderWayError: It is looked at only now.
            AxisError: It does not make sense.
            PartError: None of the LoRAs can be used.
        """
        engine = self._engine()
        asked = text, engine.name
        if asked not in self._found:
            self._found[asked] = None
            self._looking(partial(self._look, asked, engine))
        found = self._found[asked]
        if found is None:
            raise UnderWayError(f"Looking for {weighed(text)[0]} …")
        if isinstance(found, Exception):
            raise found
        return found

    def forget(self, text: str) -> None:
        """Looks at a text anew when it is asked for."""
        for asked in [asked for asked in self._found if asked[0] == text]:
            del self._found[asked]

    def join(self, timeout: float | None = None) -> None:
        """Waits until all is known, or `timeout` seconds."""
        self._looking.join(timeout)

    def _look(self, asked: tuple[str, str], engine: Engine) -> None:
        try:
            found: Found | Exception = _axes(asked[0], self._known, engine)
        except Exception as error:
            log("while LoRAs were looked for", error)
            found = error
        self._found[asked] = found
        self._told()


def _axes(text: str, known: Mapping[str, Lora], engine: Engine) -> Found:
    named, amounts = weighed(text)
    sources = [_source(piece, known) for piece in pieces(named)]
    asked = sources if len(sources) > 1 else sources[0]
    made = lora_axes.axes(asked, _weights(amounts), loras.several)
    which = made.which if isinstance(made, Adding) else made
    used = {lora.key: lora for edit in which.edits for lora in edit.loras.values() if lora}
    faults = {lora.name: lora.fault or fault(lora, engine) for lora in used.values()}
    wrong = [why for why in faults.values() if why]
    if wrong and len(wrong) == len(faults):
        raise PartError(wrong[0])
    note = "".join(f" · these fail: {words(PartError(why))}" for why in wrong)
    if isinstance(made, Adding):
        return Found(made.named(NAME), note)
    return Found((lora_axes.named(made, NAME) if made.name in ROWS else made,), note)


def _source(piece: str, known: Mapping[str, Lora]) -> str | Lora | None:
    if not piece:
        raise AxisError("write which LoRA before the weights: ink: 0-1 [5]")
    if is_none(piece):
        return None
    if piece in known:
        return known[piece]
    if loras.is_away(piece):
        raise PartError(
            f"{piece} is no LoRA on this machine; if it is one on the hub, add it on the Generate "
            f"tab first"
        )
    return piece


def _weights(text: str) -> str | float:
    try:
        return float(text or 1)
    except ValueError:
        return text
