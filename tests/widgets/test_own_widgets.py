"""Widgets of a kind share the class with their module; others, and those with another, do not."""

from __future__ import annotations

import traitlets

from nbtool.display.widget import Widget


class Plain(Widget):
    _esm = "export default { /* plain */ }"
    count = traitlets.Int(1).tag(sync=True)


class Styled(Plain):
    _css = "b {}"


class Own(Widget):
    def __init__(self, text):
        self._esm = text
        super().__init__()


def state(widget):
    return widget.get_state(["_esm", "_anywidget_id", *({"_css"} & set(widget.keys))])


def test_widgets_of_a_kind_are_of_one_class_and_those_of_another_are_not():
    first, styled, second = Plain(), Styled(), Plain(count=2)
    assert type(first) is type(second)
    assert (first.count, second.count) == (1, 2)
    assert state(first) == state(second)
    assert "_css" not in state(first)
    assert state(styled)["_css"] == "b {}"
    assert state(styled)["_anywidget_id"].endswith(".Styled")


def test_a_trait_that_is_added_later_is_of_one_widget_alone():
    widget = Plain()
    widget.add_traits(more=traitlets.Int(3).tag(sync=True))
    assert widget.get_state("more") == {"more": 3}
    assert not Plain().has_trait("more")


def test_a_module_that_is_set_later_or_by_each_is_the_one_that_is_told(monkeypatch):
    Plain()
    monkeypatch.setattr(Plain, "_esm", "export default { /* changed */ }")
    assert state(Plain())["_esm"] == "export default { /* changed */ }"
    assert [state(Own(text))["_esm"] for text in ("one", "two")] == ["one", "two"]
