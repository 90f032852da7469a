"""What axe-core has to say of our own part of a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe

if TYPE_CHECKING:
    from playwright.sync_api import Page


def violations(page: Page, root: str) -> list[str]:
    """One line for each rule that what is at a selector breaks, with the elements that do."""
    found = Axe().run(page, root).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: " + "; ".join(map(_element, rule["nodes"]))
        for rule in found
    ]


def _element(node: dict[str, list[dict[str, str]]]) -> str:
    said = node["any"] or node["all"] or node["none"]
    return f"{node['html']} ({said[0]['message']})"
