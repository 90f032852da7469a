"""A line: whose turn it is among those who want to be worked on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

AHEAD = 1000  # the priority of a call that somebody waits for, above any job that is moved up

_numbers = itertools.count()


class Lined(Protocol):
    """What may stand in a line."""

    @property
    def done(self) -> bool:
        """Whether it wants nothing any more."""


@dataclass
class Turn:
    """When somebody's turn is: those of higher priority come first, then those that came first."""

    priority: int = 0
    number: int = field(default_factory=lambda: next(_numbers))


T = TypeVar("T", bound=Lined)


class Line(Generic[T]):
    """Who wants to be worked on. Iterating gives all that stand in it, in no order."""

    def __init__(self) -> None:
        self._turns: dict[T, Turn] = {}

    def enter(self, who: T, turn: Turn) -> None:
        self._turns[who] = turn

    def leave(self, who: T) -> None:
        """Takes somebody out, also who has left already."""
        self._turns.pop(who, None)

    def __iter__(self) -> Iterator[T]:
        return iter(tuple(self._turns))

    def in_order(self) -> list[T]:
        """Those that are not done, in the order of their turns."""
        return list(self._ordered())

    def move_up(self, who: T) -> bool:
        """Lets somebody go ahead of all but those `AHEAD`; whether that changes anything."""
        rivals = {each: turn for each, turn in self._ordered().items() if turn.priority < AHEAD}
        if who not in list(rivals)[1:]:
            return False
        first = next(iter(rivals.values()))
        rivals[who].priority = first.priority + 1
        return True

    def _ordered(self) -> dict[T, Turn]:
        waiting = [(who, turn) for who, turn in self._turns.copy().items() if not who.done]
        return dict(sorted(waiting, key=lambda place: (-place[1].priority, place[1].number)))
