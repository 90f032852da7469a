"""The style of what stands for a widget where there is no kernel."""

from __future__ import annotations

# A widget that lives hides this, but needs a moment to appear. One that does not leaves JupyterLab
# saying "Error displaying widget", to which the words here are the better answer.
STYLE = (
    "<style>@keyframes nbtool-wait{from,to{max-height:0;overflow:hidden}}"
    ".nbtool-still{animation:nbtool-wait 1.5s}"
    ".jp-OutputArea-child:has(+.jp-OutputArea-child .nbtool-still)>.jupyter-widgets:not(:has(*))"
    "{display:none}</style>"
)
