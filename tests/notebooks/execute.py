"""Executes the teaching notebooks in place: `make notebooks`, or this script with their names.

Each runs in a kernel, a folder and a store of its own. A cell that fails stops the run and leaves
its file as it was.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_SECONDS = STARTUP_SECONDS = 300  # on a busy machine
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
KEPT = ("tags", "jupyter", "cellView")  # the last two fold a cell, in JupyterLab and in Colab
WIDGET = "application/vnd.jupyter.widget-view+json"
CANARY = "hf_nbtoolCanary4f1e9c2a"  # in the environment like a token; must not show up anywhere


def environment(folder: Path) -> dict[str, str]:
    """The variables under which a notebook says the same everywhere."""
    from matplotlib import font_manager  # noqa: F401 - its note on a first import is no output

    ours = ("NBTOOL_", "PYTEST_", "HF_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | {
        "CUDA_VISIBLE_DEVICES": "",  # digests are those of the processor
        "HF_HUB_OFFLINE": "1",
        "HF_TOKEN": CANARY,
        "IPYTHONDIR": str(folder / "ipython"),  # nobody's own start-up files
        "NBTOOL_PROGRESS": "plain",
        "NBTOOL_STORE": str(folder / "nbtool-images"),
        "OMP_NUM_THREADS": "1",  # the same sums on any number of cores; quick on a busy machine
    }


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with fresh outputs, run in `folder`.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        timeout=CELL_SECONDS,
        startup_timeout=STARTUP_SECONDS,
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    ).execute(env=environment(folder))
    return notebook


def text_to_keep(notebook: nbformat.NotebookNode, folder: Path) -> str:
    """The file to commit: without what differs from one machine or run to the next."""
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)  # its model ends with the kernel
        cell.metadata = {name: cell.metadata[name] for name in KEPT if name in cell.metadata}
    nbformat.validate(notebook)
    return nbformat.writes(notebook).replace(json.dumps(str(folder))[1:-1], "…") + "\n"


def main(names: list[str]) -> None:
    for path in [Path(name) for name in names] or NOTEBOOKS:
        with tempfile.TemporaryDirectory(prefix="nbtool-") as name:
            folder = Path(name).resolve()
            text = text_to_keep(executed(path, folder), folder)
        path.write_text(text, encoding="utf-8")
        print(f"{path.name}: executed, {len(text) // 1000} kB")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
