"""The logger "nbtool": silent until somebody listens, and then whatever is behind an error."""

from __future__ import annotations

import ast
import gc
import logging
import re
import subprocess
import sys
import weakref
from pathlib import Path

import pytest

import nbtool
from nbtool import cli, errors, files, metadata

PACKAGE = Path(nbtool.__file__).parent
PAGE = (PACKAGE.parent / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
WHOLE = {"Exception", "BaseException"}
CAPITALS = re.compile(r"\b(?:[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+|LOCALAPPDATA)\b")
KEY = "correct-horse-battery"


class Kept(logging.Handler):
    """Keeps records, as handlers for queues do."""

    def __init__(self):
        super().__init__()
        self.records = []
        self.emit = self.records.append

    @property
    def text(self):
        return "\n".join(map(logging.Formatter().format, self.records))


@pytest.fixture
def log():
    handler = Kept()
    errors.logger.addHandler(handler)
    errors.logger.setLevel(logging.DEBUG)
    yield handler
    errors.logger.setLevel(logging.NOTSET)
    errors.logger.removeHandler(handler)


MISTAKES = {  # what fails, and what is behind it
    "a recipe": (lambda _: nbtool.Recipe.from_json("{,"), "JSONDecodeError"),
    "a file": (lambda path: nbtool.Recipe.from_file(path / "x.png"), "FileNotFoundError"),
    "a folder": (lambda path: files.check(path / "a" / "b.png"), "FileNotFoundError"),
    "a scheduler": (lambda _: nbtool.Recipe(scheduler="eular"), "KeyError"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_behind_an_error_is_in_the_log(name, tmp_path, log):
    make, behind = MISTAKES[name]
    with pytest.raises(nbtool.NbtoolError):
        make(tmp_path)
    assert "Traceback (most recent call last)" in log.text
    assert behind in log.text


def test_an_error_that_stands_for_itself_is_not_logged(log):
    with pytest.raises(nbtool.RecipeError):
        nbtool.Recipe(width=513)
    assert log.records == []


def test_what_from_none_leaves_out_is_there_too(log):
    with pytest.raises(nbtool.NbtoolError) as caught:
        nbtool.Recipe.from_json("{,")
    errors.log("here", caught.value)
    assert "JSONDecodeError" in log.records[-1].exc_text
    assert "MetadataError" in log.records[-1].exc_text


class Large:
    """What a traceback's frames would keep in memory."""


def fail():
    large = Large()
    held.append(weakref.ref(large))
    try:
        raise ValueError("of the library")
    except ValueError as error:
        errors.log("while it was tried", error)


held: list[weakref.ref] = []


def test_a_record_that_is_kept_pins_nothing(log):
    fail()
    gc.collect()
    assert "of the library" in log.text
    assert held.pop()() is None


@pytest.mark.parametrize(
    "text",
    [
        f"refused: {KEY}",
        "https://me:pass@hub.example/x",
        "https://cdn.example/file?X-Amz-Signature=abcdef0123&Expires=1",
        "Authorization: Bearer abcdef0123.456",
        "token hf_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh",
    ],
)
def test_fault_41_no_secret_is_in_the_log(text, log, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", KEY)
    try:
        raise OSError(5, text)
    except OSError as error:
        errors.log(f"of {text}", error)
    for secret in (KEY, "pass@", "abcdef0123", "ABCDEFGHIJ"):
        assert secret not in log.text
    assert "…" in log.records[0].exc_text
    assert "…" in log.records[0].getMessage()


def test_words_that_only_look_like_secrets_stay(monkeypatch):
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    text = "it is false that hf_hub_download, or https://hub.example/a?, is one"
    assert errors.without_secrets(text) == text


def test_it_is_silent_until_it_is_asked_for(tmp_path):
    """Then as the page says, in a new process: an error in a log that nobody set up would show."""
    switch = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    fails = "import nbtool\ntry: nbtool.Recipe.from_json('{,')\nexcept nbtool.RecipeError: pass\n"
    said = {}
    for asked, code in ((False, fails), (True, switch + fails)):
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        said[asked] = done.stderr
    assert said[False] == ""
    assert "JSONDecodeError" in said[True]


def test_the_command_says_what_is_behind_an_error(tmp_path, capsys, log, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--debug", "generate", "a star", "-o", "no/such.png"]) == 1
    assert "FileNotFoundError" in log.text
    assert capsys.readouterr().err.count("nbtool: ") == 1


def test_a_cell_that_fails_leaves_its_traceback(tmp_path, log):
    """Of the real engine: the error's text is all that is kept of it elsewhere."""
    gen = nbtool.Generator(store=tmp_path, device="cpu", num_inference_steps=1)
    grid = gen.grid("a", scheduler=["ddim", "DPMSolverSDEScheduler"])
    assert len(grid.failed) == 1
    assert "Traceback (most recent call last)" in log.text
    assert "diffusers/utils" in log.text.replace("\\", "/")


def handlers():
    """Every place that catches whatever is raised: the file, the line, and what it does."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            where = f"{path.relative_to(PACKAGE)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.ExceptHandler):
                caught = node.type or ast.Name("BaseException")
                if WHOLE & {getattr(name, "id", "") for name in ast.walk(caught)}:
                    yield where, node
            elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
                assert not WHOLE & {ast.unparse(name) for name in node.args}, where


def keeps(handler):
    """Whether what is caught goes on: raised, logged, or handed on whole."""
    for node in ast.walk(handler):
        if isinstance(node, ast.Raise):
            return True
        if isinstance(node, ast.Call):
            logged = ast.unparse(node.func) == "log"
            if logged or handler.name in [ast.unparse(given) for given in node.args]:
                return True
    return False


def test_no_error_is_swallowed_without_a_trace():
    found = list(handlers())
    assert len(found) > 15
    swallowed = [where.partition(":")[0] for where, handler in found if not keeps(handler)]
    assert swallowed == ["errors.py"]  # what goes wrong in a log itself


def test_the_page_names_every_variable():
    named, ours = set(), set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                named |= set(CAPITALS.findall(node.value))
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                ours.add(node.id)
    variables = named - ours
    assert variables >= {"NBTOOL_MODEL", "NBTOOL_STORE", "NBTOOL_PROGRESS", "HF_HUB_CACHE"}
    assert [name for name in sorted(variables) if f"`{name}`" not in PAGE] == []


def test_the_page_names_every_error_and_its_place():
    assert issubclass(metadata.ForeignError, nbtool.MetadataError)  # it is imported

    def tree(kind, depth=0):
        yield depth, kind.__name__
        for below in kind.__subclasses__():
            if re.match(r"nbtool\.(?!panel)", below.__module__):  # that is said beside a field
                yield from tree(below, depth + 1)

    drawn = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)[1].splitlines()
    shown = [(re.search(r"\w", line).start() // 4, line.split()[-1]) for line in drawn]
    assert sorted(shown) == sorted(tree(nbtool.NbtoolError))
    for _, name in shown:
        assert f"| `{name}` |" in PAGE
