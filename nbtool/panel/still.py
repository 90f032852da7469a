"""What stands for a panel where there is no kernel: its newest images, small."""

from __future__ import annotations

import base64
import html
from typing import TYPE_CHECKING

from nbtool.live.stand_in import STYLE
from nbtool.panel.gallery import small_copy
from nbtool.text import ellipsized

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbtool.results.image import GeneratedImage

SHOWN = 12  # images; each takes a few kilobytes of the notebook


def still_html(images: Sequence[GeneratedImage], name: str) -> str:
    """The pictures with their captions as alternative texts. `name` is the class to hide it by."""
    words = "The panel needs a running kernel: run its cell again."
    if images:
        words += " Its newest images:"
    pictures = "".join(_picture(image) for image in images[:SHOWN])
    return (
        f'{STYLE}<div class="nbtool-still {html.escape(name)}">'
        f'<p style="margin:0 0 6px;opacity:.8">{words}</p>{pictures}</div>'
    )


def _picture(image: GeneratedImage) -> str:
    data = base64.b64encode(small_copy(image)).decode("ascii")
    caption = html.escape(ellipsized(image.caption, 300))
    return (
        f'<img src="data:image/webp;base64,{data}" alt="{caption}" title="{caption}" '
        f'style="display:inline-block;max-width:128px;max-height:128px;margin:0 6px 6px 0">'
    )
