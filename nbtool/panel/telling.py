"""When the browser is told of a panel's widgets: of what is seen first, then of what is folded away.

ipywidgets tells of each widget where it is made, and again of all that is set later. How much there
is to tell decides how soon a panel is seen.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import ipywidgets
from ipywidgets.comm import create_comm
from ipywidgets.widgets.trait_types import InstanceDict

TARGET = "jupyter.widget"
NAMED = "IPY_MODEL_"  # how the state of a widget names another
LOOKS = ("layout", "style")
TEXTS = (ipywidgets.Text, ipywidgets.Textarea)
CHOSEN = (ipywidgets.Dropdown, ipywidgets.Checkbox, *TEXTS)


class Telling:
    """The widgets of a panel, of which the browser is told when it is time.

        telling = Telling()
        with telling.holding():
            panel = ipywidgets.VBox([first, put_off(ipywidgets.VBox(others))])
        telling.tell(panel)
        telling.tell_rest()

    They share one layout, and one style of each kind, unless they are given their own: one whose
    layout is set later needs `layout=ipywidgets.Layout()`.
    """

    def __init__(self) -> None:
        self._widgets: weakref.WeakSet[Any] = weakref.WeakSet()  # that were made inside
        self._lock = threading.RLock()  # of what follows: any thread may set a trait
        self._held: dict[str, _Comm] = {}  # those that are not told of, by the models' names
        self._put_off: list[Any] = []
        self._looks: dict[type, Any] = {}
        self._chosen: dict[int, Any] = {}  # those in which something is chosen or typed

    @staticmethod
    def current() -> Telling:
        """Of the panel that is being made."""
        return _HOLDING.get() or Telling()

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Nothing is told of the widgets that are made inside of it."""
        token = _HOLDING.set(self)
        try:
            yield
        finally:
            _HOLDING.reset(token)

    def tell(self, widget: Any) -> None:
        """Tells of a widget and all that is in it, but for what is put off."""
        with self._lock:
            self._tell_of_named(NAMED + widget.model_id)

    def tell_rest(self) -> None:
        """Tells of all that is left; again, it does nothing."""
        with self._lock:
            boxes, self._put_off = self._put_off, []
            for box in boxes:
                box.send_state("children")
            while self._held:
                self._tell_of_named(next(iter(self._held)))

    def close(self) -> None:
        """Closes all of the widgets.

        A box that is left has its closed parts named in its state. ipywidgets can tell no page that
        is loaded anew of that, nor of anything else that the kernel has.
        """
        for widget in list(self._widgets):
            if widget.comm is not None:
                widget.close()

    def hold(self, widget: Any) -> None:
        """Takes in a widget that is being made."""
        self._widgets.add(widget)
        for name in LOOKS:
            trait = getattr(type(widget), name, None)
            is_own = trait is None or trait.default_args or trait.default_kwargs
            if isinstance(trait, InstanceDict) and not is_own and not widget.trait_has_value(name):
                setattr(widget, name, self._look(trait.klass))
        if isinstance(widget, CHOSEN):
            self._chosen[place := len(self._chosen)] = widget
            widget.add_class(f"nbtool-at-{place}")
        widget.comm = comm = _Comm(widget, self)
        self._held[NAMED + comm.comm_id] = comm

    def choose(self, said: Mapping[str, Any]) -> None:
        """Takes what was chosen or typed in one of them, as a browser says it."""
        widget = self._chosen[said["place"]]
        if isinstance(widget, TEXTS):  # not told again: more may have been typed there
            widget.set_state({"value": said["chosen"]})
        elif isinstance(widget, ipywidgets.Dropdown):
            widget.index = said["chosen"]
        else:
            widget.value = said["chosen"]

    def put_off(self, box: Any) -> None:
        """What is in a box is told of at the last."""
        self._put_off.append(box)

    def send(self, comm: _Comm, data: Any, buffers: Any) -> None:
        """What a widget sends; of one that is told of later, its state will have all that is set."""
        with self._lock:
            state = data.get("state")
            if comm.made:
                self._tell_of_named(state)
                comm.made.send(data=data, buffers=buffers)
            elif comm.is_told:
                if comm.widget in self._put_off:
                    state["children"] = []
                self._tell_of_named(state)
                comm.make({"state": state, "buffer_paths": data["buffer_paths"]}, buffers)
            elif state is None:
                comm.waiting.append((data, buffers))

    def drop(self, comm: _Comm) -> None:
        """A widget is closed."""
        with self._lock:
            self._held.pop(NAMED + comm.comm_id, None)

    def _tell_of_named(self, value: Any) -> None:
        """Tells of the widgets that are named somewhere in a state."""
        if isinstance(value, str):
            if comm := self._held.pop(value, None):
                comm.is_told = True
                comm.widget.send_state()
        elif isinstance(value, dict):
            for one in value.values():
                self._tell_of_named(one)
        elif isinstance(value, (list, tuple)):
            for one in value:
                self._tell_of_named(one)

    def _look(self, kind: type) -> Any:
        if kind not in self._looks:
            self._looks[kind] = kind()
        return self._looks[kind]


def put_off(box: Any) -> Any:
    """The box; what is in it is told of at the last, where a panel is made."""
    if telling := _HOLDING.get():
        telling.put_off(box)
    return box


class _Comm:
    """What a widget takes for its comm: one is made when it is told of."""

    def __init__(self, widget: Any, telling: Telling) -> None:
        self.comm_id = uuid.uuid4().hex
        self.widget = widget
        self.is_told = False
        self.made: Any = None
        self.waiting: list[tuple[Any, Any]] = []  # what it sent besides its state
        self._telling = telling
        self._heard: Callable[[Any], None] | None = None

    def make(self, data: Any, buffers: Any) -> None:
        self.made = create_comm(
            target_name=TARGET,
            data=data,
            buffers=buffers,
            metadata={"version": ipywidgets.__protocol_version__},
            comm_id=self.comm_id,
        )
        self.made.on_msg(self._heard)
        # ipykernel 7.4 lets each comm go its own way, to the thread where it was last used: what is
        # chosen could wait for a cell that runs, while what is pressed after it does not.
        self.made._reply_subshell_for = lambda _, asked: asked  # noqa: SLF001 - there is no other
        for message, files in self.waiting:
            self.made.send(data=message, buffers=files)

    def on_msg(self, heard: Callable[[Any], None]) -> None:
        self._heard = heard

    def send(self, data: Any = None, metadata: Any = None, buffers: Any = None) -> None:
        self._telling.send(self, data, buffers)

    def close(self) -> None:
        self._telling.drop(self)
        if self.made:
            self.made.close()


_HOLDING: ContextVar[Telling | None] = ContextVar("nbtool telling", default=None)


def hold_too(before: Callable[[Any], None] | None) -> Callable[[Any], None]:
    """What ipywidgets calls for each widget that is made; it has room for one such call.

    Args:
        before: The one that was there, as of a front end which makes the comms itself.
    """

    def hold(widget: Any) -> None:
        if before:
            before(widget)
        telling = _HOLDING.get()
        if telling and widget.comm is None:
            telling.hold(widget)

    return hold


ipywidgets.Widget.on_widget_constructed(
    hold_too(ipywidgets.Widget._widget_construction_callback)  # noqa: SLF001 - nothing else tells
)
