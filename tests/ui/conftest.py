"""A real JupyterLab in a real Chromium."""

from __future__ import annotations

import browsers
import pytest
from labs import Lab
from playwright.sync_api import sync_playwright


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
