"""Which front end we are in. Decided by pure functions of what can be seen from inside."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

FRONT_ENDS = ("colab", "kaggle", "databricks", "vscode", "marimo", "jupyter", "terminal", "plain")
PROGRESS_VARIABLE = "NBTOOL_PROGRESS"
PROGRESS_STYLES = ("notebook", "terminal", "plain", "off")


def front_end() -> str:
    """One of FRONT_ENDS, for the running process."""
    return identify(
        shell=_shell_class(),
        modules=frozenset(sys.modules),
        variables=os.environ,
        kaggle_input=os.path.isdir("/kaggle/input"),
        terminal=sys.stderr is not None and sys.stderr.isatty(),
    )


def progress_style() -> str:
    """How progress is shown here: one of PROGRESS_STYLES."""
    return style_of(os.environ.get(PROGRESS_VARIABLE, ""), front_end())


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


def style_of(wanted: str, where: str) -> str:
    """The progress style for a front end; what the variable asks for comes first."""
    if wanted in PROGRESS_STYLES:
        return wanted
    if where in ("terminal", "plain"):
        return where
    return "notebook"


def _shell_class() -> str:
    """The class name of IPython's shell, without importing IPython."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return type(shell).__name__ if shell is not None else ""
