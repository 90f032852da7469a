"""What the tests of the panel share: a panel that is opened, and closed in the end."""

from __future__ import annotations

import pytest
from people import SECONDS

from nbtool.panel.panel import Panel


@pytest.fixture
def opened():
    """Opens a panel with something to draw, and closes it in the end."""
    panels = []

    def open_panel(generator):
        panels.append(Panel(generator))
        panels[-1].join(SECONDS)
        panels[-1].settings.prompt.value = "a circle"
        return panels[-1]

    yield open_panel
    for panel in panels:
        panel.cancel()
        panel.join(SECONDS)
        panel.close()
