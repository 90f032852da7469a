"""What the panel needs of whoever makes its images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from nbtool.engines.base import Engine
from nbtool.job import Job
from nbtool.results.plan import Plan
from nbtool.results.store import Store


class Maker(Protocol):
    """Makes images with one model, and gives way to others like it; a Generator is one."""

    @property
    def engine(self) -> Engine:
        """What makes the images."""

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Recipe parameters used where a call does not give them."""

    @property
    def store(self) -> Store:
        """Where the images are kept."""

    @property
    def exact(self) -> bool:
        """Whether images depend on nothing that they are made together with."""

    def plan(self, prompt: Any = "", /, *axes: Any, **parameters: Any) -> Plan:
        """What `submit` would do."""

    def submit(self, prompt: Any = "", /, *axes: Any, **parameters: Any) -> Job:
        """Makes images in the background."""

    def with_model(self, name: str) -> Maker:
        """The same with another model: store, options, and those defaults that it takes."""

    def with_exact(self, exact: bool) -> Maker:
        """The same, exact or not."""


_default: list[Callable[[], Maker]] = []


def use_by_default(make: Callable[[], Maker]) -> None:
    """Decides what makes the images of a panel that is given no generator."""
    _default[:] = [make]


def default_maker() -> Maker:
    """A new one, as decided by `use_by_default`."""
    return _default[0]()
