"""A real JupyterLab in a real Chromium."""

from __future__ import annotations

import browsers
import pytest
from labs import Lab
from playwright.sync_api import expect, sync_playwright


@pytest.fixture(scope="session")
def chromium():
    """The browser."""
    path = browsers.find_or_install()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=list(browsers.ARGUMENTS), headless=True
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def _lab(chromium, tmp_path_factory):
    lab = Lab(chromium, tmp_path_factory.mktemp("lab"))
    yield lab
    lab.close()


@pytest.fixture
def lab(_lab):
    """A running JupyterLab; its pages end with the test."""
    yield _lab
    _lab.leave_pages()


@pytest.fixture
def opened(chromium, tmp_path):
    """A function that saves a grid as a page and opens it; nothing may go wrong on the page."""
    problems = []
    pages = []

    def make(grid, *, metadata=True, inputs=False, **options):
        path = grid.save(tmp_path / "grid.html", metadata=metadata, inputs=inputs)
        page = chromium.new_page(viewport={"width": 1280, "height": 800}, **options)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text))
        page.on("request", lambda r: r.url.startswith(("file:", "blob:")) or problems.append(r.url))
        page.goto(path.as_uri())
        pages.append(page)
        expect(page.locator(".cell.pictured").first).to_be_visible()
        return page

    yield make
    for page in pages:
        page.close()
    assert problems == []
