"""The ES modules of our widgets, each the text of its files, one after another."""

from __future__ import annotations

from pathlib import Path

KERNEL = Path(__file__).with_name("kernel.js").read_text(encoding="utf-8")


def module(*parts: str) -> str:
    """One module of these parts, which speak to Python by `toKernel` alone (kernel.js)."""
    return "\n".join([KERNEL, *parts])
