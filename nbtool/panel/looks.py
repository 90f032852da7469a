"""One layout, and one style of each kind, for all widgets of a panel.

ipywidgets gives every widget its own and tells the browser of each in a message: of a panel, that
would be more than half of all there are, and they decide how soon it is seen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from ipywidgets.widgets.trait_types import InstanceDict

Looks = dict[type, Any]

_SHARED: ContextVar[Looks | None] = ContextVar("nbtool looks", default=None)


@contextlib.contextmanager
def shared_looks() -> Iterator[None]:
    """Widgets that are made inside of it share their looks, unless they are given their own.

    One whose layout or style is set later needs its own: `layout=ipywidgets.Layout()`.
    """
    own = InstanceDict.make_dynamic_default

    def shared(trait: Any) -> Any:
        looks = _SHARED.get()
        if looks is None or trait.default_args or trait.default_kwargs:
            return own(trait)
        if trait.klass not in looks:
            looks[trait.klass] = own(trait)
        return looks[trait.klass]

    token = _SHARED.set({})
    InstanceDict.make_dynamic_default = shared
    try:
        yield
    finally:
        InstanceDict.make_dynamic_default = own
        _SHARED.reset(token)
