"""Which front end we are in, told from what each looks like from inside."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

import nbtool
from nbtool import environment
from nbtool.environment import FRONT_ENDS, PROGRESS_STYLES, front_end, progress_style, style_of

ZMQ = "ZMQInteractiveShell"
# front end: IPython's shell, modules loaded, variables set, folder of Kaggle, a terminal
LOOKS = {
    "colab": ("Shell", ["google.colab.output"], {"COLAB_RELEASE_TAG": "x"}, False, False),
    "kaggle": (ZMQ, [], {"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, True, False),
    "databricks": (ZMQ, [], {"DATABRICKS_RUNTIME_VERSION": "15.4"}, False, False),
    "vscode": (ZMQ, [], {"VSCODE_PID": "5"}, False, False),
    "marimo": ("", ["marimo"], {"MARIMO_VERSION": "0.1"}, False, False),
    "jupyter": (ZMQ, [], {}, False, False),
    "terminal": ("TerminalInteractiveShell", [], {}, False, True),
    "plain": ("", [], {}, False, False),
}
STYLES = dict.fromkeys(LOOKS, "live") | {
    "databricks": "notebook",
    "marimo": "notebook",
    "terminal": "terminal",
    "plain": "plain",
}


@pytest.fixture
def surround(monkeypatch):
    """Makes this process look like another."""

    def surround(shell, modules, variables, kaggle, terminal):
        for name in ("google.colab.output", "marimo", "IPython"):
            monkeypatch.delitem(sys.modules, name, raising=False)
        for name in modules:
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        if shell:
            ipython = types.SimpleNamespace(get_ipython=type(shell, (), {}))
            monkeypatch.setitem(sys.modules, "IPython", ipython)
        for name in ("MARIMO_VERSION", "DATABRICKS_RUNTIME_VERSION", "VSCODE_PID"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv("NBTOOL_PROGRESS", raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        isdir = os.path.isdir
        monkeypatch.setattr(
            os.path, "isdir", lambda path: kaggle if path == "/kaggle/input" else isdir(path)
        )
        monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(isatty=lambda: terminal))

    return surround


@pytest.mark.parametrize("name", LOOKS)
def test_each_front_end_is_recognised_and_gets_its_progress(surround, monkeypatch, name):
    surround(*LOOKS[name])
    assert front_end() == name
    assert progress_style() == STYLES[name]
    for style in PROGRESS_STYLES:
        monkeypatch.setenv("NBTOOL_PROGRESS", style)
        assert progress_style() == style
    monkeypatch.setenv("NBTOOL_PROGRESS", "sparkles")
    assert progress_style() == STYLES[name]
    assert style_of("", name, widgets=False) in ("notebook", name)


def test_the_table_has_every_front_end():
    assert set(LOOKS) == set(FRONT_ENDS)


@pytest.mark.parametrize(
    ("look", "name"),
    [
        # A library that was only imported, or a variable that was inherited, decides nothing.
        (("", ["marimo"], {}, False, True), "terminal"),
        (("", [], {"MARIMO_VERSION": "0.1"}, False, False), "plain"),
        (("", [], {"VSCODE_PID": "5"}, False, True), "terminal"),
        (("", [], {"DATABRICKS_RUNTIME_VERSION": "15"}, False, False), "plain"),
        (("", [], {}, True, False), "plain"),
        (("TerminalInteractiveShell", [], {"VSCODE_PID": "5"}, False, True), "terminal"),
        # Of two that fit, the one around the other.
        ((ZMQ, ["google.colab.output"], {}, False, False), "colab"),
        ((ZMQ, [], {"VSCODE_PID": "5"}, True, False), "kaggle"),
        (
            (ZMQ, [], {"VSCODE_PID": "5", "DATABRICKS_RUNTIME_VERSION": "15"}, False, False),
            "databricks",
        ),
    ],
)
def test_what_only_resembles_a_front_end_is_not_taken_for_it(surround, look, name):
    surround(*look)
    assert front_end() == name


def test_a_process_without_ipython_or_standard_error_is_plain(surround, monkeypatch):
    surround("", [], {}, False, False)
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    assert front_end() == "plain"
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert environment.front_end() == "plain"


@pytest.mark.parametrize("name", LOOKS)
def test_widgets_are_shown_where_they_work_and_else_a_hint(surround, monkeypatch, name, tmp_path):
    surround(*LOOKS[name])
    gen = nbtool.Generator(store=tmp_path / "images", num_inference_steps=1, device="cpu")
    if name in ("terminal", "plain"):
        assert "need a notebook" in environment.why_no_widgets()
        with pytest.raises(nbtool.NbtoolError, match=r"need a notebook.*gen\.grid"):
            gen.panel()
        grid = nbtool.Grid(nbtool.Recipe(prompt="a star"), [], {})
        with pytest.warns(UserWarning, match="this is the static view"):
            assert grid.view() is grid
    else:
        assert environment.why_no_widgets() == ""
        assert environment.why_no_panel() == "" or name == "marimo"
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    assert environment.why_no_widgets()
    if name == "jupyter":
        assert environment.why_no_widgets() == (
            "widgets need ipywidgets and anywidget: "
            "run %pip install ipywidgets anywidget, restart the kernel"
        )
        assert progress_style() == "notebook"


def test_colab_is_asked_for_its_widget_manager(surround):
    surround(*LOOKS["colab"])
    asked = []
    sys.modules["google.colab.output"].enable_custom_widget_manager = lambda: asked.append(1)
    environment.prepare_widgets()
    assert asked == [1]
    surround(*LOOKS["jupyter"])
    environment.prepare_widgets()
    assert asked == [1]


@pytest.mark.parametrize(
    ("system", "variables", "folder"),
    [
        ("posix", {}, "/home/me/.cache"),
        ("posix", {"XDG_CACHE_HOME": "/fast"}, "/fast"),
        ("posix", {"XDG_CACHE_HOME": "", "LOCALAPPDATA": "/no"}, "/home/me/.cache"),
        ("nt", {"LOCALAPPDATA": "/local"}, "/local"),
        ("nt", {}, "/home/me/AppData/Local"),
        ("nt", {"LOCALAPPDATA": "/local", "XDG_CACHE_HOME": "/fast"}, "/fast"),
    ],
)
def test_what_is_known_of_a_machine_is_kept_where_programs_keep_such_things(
    system, variables, folder
):
    assert environment.caches(system, variables, Path("/home/me")) == Path(folder)


def test_it_has_a_folder_of_its_own_there(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/fast")
    assert environment.cache_folder() == Path("/fast/nbtool")
