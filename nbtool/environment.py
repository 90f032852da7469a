"""Where we are: which front end, and which folders are ours.

Decided by pure functions of what can be seen from inside.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

NAMES = {
    "colab": "Google Colab",
    "kaggle": "Kaggle",
    "databricks": "Databricks",
    "vscode": "VS Code",
    "marimo": "marimo",
    "jupyter": "Jupyter",
    "terminal": "a terminal",
    "plain": "a program",
}
FRONT_ENDS = tuple(NAMES)
PROGRESS_VARIABLE = "NBTOOL_PROGRESS"
STORE_VARIABLE = "NBTOOL_STORE"
FOLDER = "nbtool-images"
# Where a widget is drawn while the cell that shows it is still running.
_LIVE = ("jupyter", "vscode", "kaggle", "colab")
PROGRESS_STYLES = ("live", "notebook", "terminal", "plain", "off")
WIDGET_PACKAGES = ("ipywidgets", "anywidget")


def front_end() -> str:
    """One of FRONT_ENDS, for the running process."""
    return identify(
        shell=_shell_class(),
        modules=frozenset(sys.modules),
        variables=os.environ,
        kaggle_input=os.path.isdir("/kaggle/input"),
        terminal=_is_terminal(sys.stderr),
    )


def progress_style() -> str:
    """How progress is shown here: one of PROGRESS_STYLES."""
    wanted = os.environ.get(PROGRESS_VARIABLE, "")
    return style_of(wanted, front_end(), widgets=not why_no_widgets())


def why_no_widgets() -> str:
    """Why widgets cannot be shown here, and what to do; empty where they can."""
    missing = [name for name in WIDGET_PACKAGES if find_spec(name) is None]
    return widget_hint(front_end(), missing)


def why_no_panel() -> str:
    """The same of the panel, which is made of many widgets."""
    if front_end() == "marimo":
        return "marimo shows single widgets only, such as grid.view(); the panel needs JupyterLab"
    return why_no_widgets()


def prepare_widgets() -> None:
    """Asks the front end for what it needs to show widgets that are not its own."""
    if front_end() == "colab":
        output = sys.modules["google.colab.output"]
        output.enable_custom_widget_manager()


def default_folder() -> Path:
    """Where images are kept unless told otherwise: NBTOOL_STORE, or else "nbtool-images"."""
    return Path(os.environ.get(STORE_VARIABLE) or FOLDER)


def cache_folder() -> Path:
    """The user's folder for what nbtool knows of this machine; docs/store.md says what is there.

    It may not be there yet.
    """
    return caches(os.name, os.environ, Path.home()) / "nbtool"


def caches(system: str, variables: Mapping[str, str], home: Path) -> Path:
    """Where programs keep what can be found out again; `system` is one of os.name's."""
    if wanted := variables.get("XDG_CACHE_HOME"):
        return Path(os.path.expanduser(wanted))
    if system == "nt":
        return Path(variables.get("LOCALAPPDATA") or home / "AppData" / "Local")
    return home / ".cache"


def identify(
    *,
    shell: str,
    modules: frozenset[str],
    variables: Mapping[str, str],
    kaggle_input: bool,
    terminal: bool,
) -> str:
    """The front end that these facts stand for; `shell` is IPython's class name or ""."""
    if "marimo" in modules and "MARIMO_VERSION" in variables:
        return "marimo"
    if "google.colab.output" in modules:
        return "colab"
    if shell == "ZMQInteractiveShell":
        if kaggle_input:
            return "kaggle"
        if "DATABRICKS_RUNTIME_VERSION" in variables:
            return "databricks"
        return "vscode" if "VSCODE_PID" in variables else "jupyter"
    return "terminal" if terminal else "plain"


def style_of(wanted: str, where: str, *, widgets: bool) -> str:
    """The progress style for a front end; what the variable asks for comes first."""
    if wanted in PROGRESS_STYLES:
        return wanted
    if where in ("terminal", "plain"):
        return where
    return "live" if widgets and where in _LIVE else "notebook"


def widget_hint(where: str, missing: Sequence[str]) -> str:
    """Why a front end cannot show widgets, and what to do; empty where it can."""
    if where in ("terminal", "plain"):
        return "widgets need a notebook, such as JupyterLab (`nbtool lab` opens one)"
    if missing:
        names = " ".join(missing)
        return f"widgets need {' and '.join(missing)}: run %pip install {names}, restart the kernel"
    return ""


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # there is none, or it is closed
        return False


def _shell_class() -> str:
    """The class name of IPython's shell, without importing IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ if shell is not None else ""
