"""The README's session and the guide's run as they stand there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
import readme

from nbtool.recipes.parameters import PARAMETERS

README = Path(__file__).parents[1] / "README.md"
DOCS = README.parent / "docs"
PROJECT = (README.parent / "pyproject.toml").read_text("utf-8")
NAME = re.search(r'(?m)^name = "(.+?)"', PROJECT)[1]
TEXTS = (".py", ".md", ".toml", ".yml", ".ipynb", ".txt", "")
# A command that installs, and what follows it up to the end of its line or its quotation.
INSTALLS = re.compile(
    r"\b(?:pip3?|pipx|uv|conda|mamba)\b[^`'\"\n;&|]*?\b(?:install|add)\b([^`'\"\n;&|(,]*)"
)
OURS = re.compile(r"(?i)(?<![\w./-])nbtool[\w.-]*(?=\[|[=<>~]=|$)")


def texts():
    """Every text of the project, but for its tests."""
    for top in README.parent.iterdir():
        if (top.name.startswith(".") and top.name != ".ci") or top.name == "tests":
            continue
        for path in [top, *top.rglob("*")]:
            if path.is_file() and path.suffix in TEXTS and "__pycache__" not in path.parts:
                yield path, path.read_text("utf-8")


def strangers(text):
    """What a text would install, or requires, that is called like us and is not ours."""
    words = " ".join(INSTALLS.findall(text)).split()
    words += re.findall(r"nbtool[\w.-]*(?=\[\w|[=<>~]=[ \d])", text)
    words += re.findall(r"\binstall (nbtool[\w.-]*)", text)
    found = [OURS.match(word.strip("\\.")) for word in words]
    return {match[0] for match in found if match and match[0] != NAME}


def test_no_text_installs_a_package_of_our_name_that_is_not_ours():
    read = dict(texts())
    assert len(read) > 100
    assert {str(path): strangers(text) for path, text in read.items() if strangers(text)} == {}


@pytest.mark.parametrize(
    "text",
    [
        "%pip install -q nbtool",
        "!pip install -U nbtool",
        "run `pip install nbtool[widgets]`",
        "uv pip install nbtool==0.1",
        "conda install -c conda-forge nbtool",
        "dev = ['nbtool[test]']",
        "nbtool>=0.1",
        "python -m pip install --upgrade nbtool",
        "install nbtool again",
        f"pip install {NAME} nbtool",
    ],
)
def test_such_a_text_is_noticed(text):
    assert strangers(text) == {"nbtool"}
    assert strangers(text.replace("nbtool", NAME).replace(f"{NAME}-diffusion", NAME)) == set()


def test_the_session_in_the_readme_is_true(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBTOOL_PROGRESS", "plain")
    results = doctest.testfile(
        str(README), module_relative=False, optionflags=doctest.IGNORE_EXCEPTION_DETAIL
    )
    assert results.attempted >= 9
    assert results.failed == 0


@pytest.mark.parametrize("page", ["labels.md", "models.md"])
def test_the_examples_in_the_guide_are_true(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NBTOOL_PROGRESS", "off")
    monkeypatch.setattr("nbtool.catalogue._added", {})
    results = doctest.testfile(str(DOCS / page), module_relative=False)
    assert results.attempted >= 5
    assert results.failed == 0


def test_the_page_of_schedulers_has_their_table():
    assert readme.SCHEDULERS.read_text("utf-8").endswith(readme.scheduler_table()), "make readme"


def test_the_readme_names_every_parameter_and_every_link_leads_somewhere():
    text = README.read_text(encoding="utf-8")
    for name in PARAMETERS:
        assert name in ("model", "revision") or f"`{name}`" in text
    assert readme.sentence() in text, "make readme"
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for target in [*re.findall(r"\]\(([^)]+)\)", text), *pictures]:
        assert (README.parent / target).exists(), target


def test_what_models_do_with_pictures_is_said_as_it_is():
    text = readme.MODELS.read_text("utf-8")
    assert readme.VERBS.sub(rf"\g<1>{readme.verbs_rows()}", text) == text
    assert readme.verbs_rows() in text
