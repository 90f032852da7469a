"""A small table of labels and values, as text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Mapping


def card(rows: Mapping[str, str]) -> dict[str, str]:
    """The MIME bundle of a status card."""
    return {"text/plain": card_text(rows), "text/html": _card_html(rows)}


def card_text(rows: Mapping[str, str]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows.items())


def _card_html(rows: Mapping[str, str]) -> str:
    cells = "".join(
        f'<tr><th style="text-align:left;vertical-align:top">{html.escape(label)}</th>'
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for label, value in rows.items()
    )
    return f"<table>{cells}</table>"
