"""A widget of Python's in a page without a notebook: its state and messages go both ways."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from typing import Any

_PAGE = """<!doctype html><html lang="en"><title>A widget</title>
<meta name="viewport" content="width=device-width"><style>body { margin: 12px; }</style>
<style>CSS</style><main><h1>A widget</h1></main></html>"""
_SHOW = """async ([code, state]) => {
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
  const text = ({ buffer, byteOffset, byteLength }) =>
    btoa(Array.from(new Uint8Array(buffer, byteOffset, byteLength), (n) => String.fromCharCode(n)).join(""));
  const mapped = (values, act) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, act(value)]));
  const revived = (values) => mapped(values, (value) => (value?.base64 === undefined ? value : bytes(value.base64)));
  const plain = (values) => mapped(values, (value) => (ArrayBuffer.isView(value) ? { base64: text(value) } : value));
  const listeners = new Map();
  const values = revived(state);
  const take = (changed) => {
    const names = Object.keys(changed).filter((name) => values[name] !== changed[name]);
    Object.assign(values, changed);
    for (const name of names) for (const act of listeners.get(`change:${name}`) ?? []) act();
  };
  const tell = async (said) => {
    for (const answer of await window.toPython(said)) take(revived(answer));
    window.heard += 1;
  };
  let changed = {};
  window.heard = 0;
  window.hear = (told) => take(revived(told));
  const model = {
    get: (name) => values[name],
    set: (name, value) => { changed[name] = value; take({ [name]: value }); },
    save_changes: () => { const said = plain(changed); changed = {}; tell({ state: said }); },
    send: (content) => tell({ content }),
    on: (name, act) => listeners.set(name, [...(listeners.get(name) ?? []), act]),
    off: (name, act) => listeners.set(name, listeners.get(name).filter((one) => one !== act)),
  };
  const module = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  window.render = () => module.default.render({ model, el: document.querySelector("main") });
  window.close = window.render();
}"""


class Bridge:
    """Shows a widget in a page; what its traits are here they are there, as in a notebook.

    It stands for the widget's comm.
    """

    comm_id = "bridge"

    def __init__(self, widget: Any, page: Any) -> None:
        self.widget, self.page = widget, page
        self._answers: list[dict[str, Any]] | None = None  # while Python hears something
        widget.comm = self
        page.set_content(_PAGE.replace("CSS", widget._css))
        page.expose_function("toPython", self._hear)
        page.evaluate(_SHOW, [widget._esm, _plain(widget.get_state())])

    @contextlib.contextmanager
    def heard(self) -> Iterator[None]:
        """What is done meanwhile has come to Python, and its answer to the browser, afterwards."""
        before = self.page.evaluate("window.heard")
        yield
        self.page.wait_for_function("before => window.heard > before", arg=before)

    def _hear(self, said: dict[str, Any]) -> list[dict[str, Any]]:
        self._answers = answers = []
        if "state" in said:
            self.widget.set_state({name: _revived(value) for name, value in said["state"].items()})
        else:
            self.widget._handle_custom_msg(said["content"], [])
        self._answers = None
        return answers

    # What a widget asks of its comm.

    def send(self, *, data: dict[str, Any], buffers: Any = None) -> None:
        if data["method"] != "update":
            return
        state = dict(data["state"])
        for (name,), buffer in zip(data["buffer_paths"], buffers or [], strict=True):
            state[name] = bytes(buffer)
        if self._answers is None:
            self.page.evaluate("state => window.hear(state)", _plain(state))
        else:
            self._answers.append(_plain(state))

    def on_msg(self, _: object) -> None: ...

    def close(self) -> None: ...


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """The state as JSON has it; without what is the widget's own business."""
    return {
        name: {"base64": base64.b64encode(value).decode("ascii")}
        if isinstance(value, (bytes, memoryview))
        else value
        for name, value in state.items()
        if not name.startswith("_") and name not in ("layout", "tabbable", "tooltip", "style")
    }


def _revived(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"base64"}:
        return memoryview(base64.b64decode(value["base64"]))
    return value
