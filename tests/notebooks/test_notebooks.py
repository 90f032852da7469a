"""The teaching notebooks: run as saved, compared by nbval, and fit to be committed."""

from __future__ import annotations

import base64
import io
import itertools
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from execute import CANARY, CELL_SECONDS, NOTEBOOKS, STARTUP_SECONDS, environment, main
from nbclient.exceptions import CellExecutionError
from nbval.plugin import get_sanitize_patterns
from PIL import Image

SANITIZE = Path(__file__).with_name("sanitize.cfg")
MAX_OUTPUT, MAX_FILE = 500_000, 1_500_000  # characters, bytes
EMBEDDED = re.compile(r"data:image/[a-z+]+;base64,([A-Za-z0-9+/=]+)")
MACHINE_PATH = re.compile(r"(?<![\w<…])/(?:tmp|home|root|work|Users|private)\b")
DIGEST = re.compile(r"\b[0-9a-f]{8}\b")

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def nbval(notebook: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a copy of a notebook and compares every output, away from this project's settings."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    copy = shutil.copy(notebook, folder) if notebook.parent != folder else notebook
    command = [
        *(sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "--color=no"),
        *(f"--nbval-cell-timeout={CELL_SECONDS}", f"--nbval-sanitize-with={SANITIZE}"),
        f"--nbval-kernel-startup-timeout={STARTUP_SECONDS}",
        *("-p", "no:cacheprovider", "-c", folder / "pytest.ini", "--rootdir", folder, copy),
    ]
    return subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def bundles(path: Path) -> list[dict[str, str]]:
    """What each output of a notebook holds, by MIME type."""
    outputs = [output for cell in code_cells(path) for output in cell.outputs]
    return [output.get("data") or {"text/plain": output.get("text", "")} for output in outputs]


def pictures(path: Path) -> list[bytes]:
    """Every picture saved in a notebook, on its own or inside HTML."""
    encoded = []
    for bundle in bundles(path):
        for kind, content in bundle.items():
            encoded += (
                [content] if kind in ("image/png", "image/jpeg") else EMBEDDED.findall(content)
            )
    return [base64.b64decode(content) for content in encoded]


def everything_in(picture: bytes) -> str:
    """A picture file's raw bytes and its text chunks, which may be compressed."""
    with Image.open(io.BytesIO(picture)) as image:
        return f"{picture.decode('latin-1')} {image.info} {dict(image.getexif())}"


@each_notebook
def test_running_it_again_gives_what_is_saved(path, tmp_path):
    run = nbval(path, tmp_path)

    assert run.returncode == 0, run.stdout + run.stderr
    made = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert made
    for file in made:
        pixels = file.suffix in (".png", ".jpg", ".webp")
        data = file.read_bytes()
        assert CANARY not in (everything_in(data) if pixels else data.decode("latin-1")), file


def test_another_picture_is_noticed(tmp_path):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    printed = (
        (i, output) for i, cell in enumerate(notebook.cells) for output in cell.get("outputs", ())
    )
    last, output = next((i, o) for i, o in printed if DIGEST.search(o.get("text", "")))
    saved = DIGEST.search(output.text)[0]
    other = "".join("fedcba9876543210"[int(digit, 16)] for digit in saved)
    output.text = output.text.replace(saved, other)
    del notebook.cells[last + 1 :]
    nbformat.write(notebook, tmp_path / "changed.ipynb")

    run = nbval(tmp_path / "changed.ipynb", tmp_path)

    assert run.returncode == 1, run.stdout + run.stderr
    assert "1 failed" in run.stdout
    assert saved in run.stdout
    assert other in run.stdout


def test_every_rule_of_the_comparison_is_understood():
    rules = SANITIZE.read_text(encoding="utf-8")
    assert len(get_sanitize_patterns(rules)) == len(re.findall("(?m)^regex:", rules))


def test_a_cell_that_fails_leaves_the_file_as_it_was(tmp_path):
    cell = nbformat.v4.new_code_cell("1 / 0")
    path = tmp_path / "failing.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    before = path.read_bytes()

    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        main([str(path)])

    assert path.read_bytes() == before


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 5


@each_notebook
def test_every_cell_was_run_in_order(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@each_notebook
def test_no_cell_escapes_the_comparison(path):
    for cell in code_cells(path):
        assert "NBVAL" not in cell.source
        assert "tags" not in cell.metadata


@each_notebook
def test_no_cell_ends_in_an_error_or_a_warning(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", output.text


@each_notebook
def test_the_first_cell_installs_nbtool_and_is_silent_where_it_is(path):
    first = code_cells(path)[0]
    assert first.source == code_cells(NOTEBOOKS[0])[0].source
    assert "%pip install -q .." in first.source
    assert not first.outputs


@each_notebook
def test_it_is_small_and_portable(path):
    notebook = nbformat.read(path, as_version=4)
    assert path.stat().st_size < MAX_FILE
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for bundle in bundles(path):
        assert sum(map(len, bundle.values())) < MAX_OUTPUT


@each_notebook
def test_it_names_no_folder_of_the_machine_that_ran_it(path):
    texts = [cell.source for cell in nbformat.read(path, as_version=4).cells]
    for bundle in bundles(path):
        texts += [content for kind, content in bundle.items() if not kind.startswith("image/")]
    for text in texts:
        assert not MACHINE_PATH.search(EMBEDDED.sub("", text)), text


@each_notebook
def test_fault_41_a_token_in_the_environment_is_not_saved(path):
    assert CANARY not in path.read_text(encoding="utf-8")
    assert not any(CANARY in everything_in(picture) for picture in pictures(path))


@each_notebook
def test_pictures_are_there_to_be_seen_without_a_kernel(path):
    shown = [bundle for bundle in bundles(path) if "image/png" in bundle]
    assert shown
    for bundle in shown:
        assert "text/html" not in bundle or EMBEDDED.search(bundle["text/html"])


def test_the_numbers_in_front_of_the_names_are_complete():
    numbers = [int(path.name[:2]) for path in NOTEBOOKS]
    assert numbers == list(itertools.islice(itertools.count(1), len(numbers)))
