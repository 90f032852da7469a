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
