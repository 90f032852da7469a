"""What stands for a painter where there is no kernel: the picture with its mask, small."""

from __future__ import annotations

import base64
import html
import io
from typing import TYPE_CHECKING

from nbtool.live.stand_in import STYLE

if TYPE_CHECKING:
    from PIL.Image import Image

LONGEST = 384  # pixels
COLOUR = (255, 45, 120)
OPACITY = 0.55
WORDS = "The painter needs a running kernel: run its cell again."


def still_html(picture: Image, mask: Image, name: str) -> str:
    """The two in one picture. `name` is the class to hide it by."""
    data = base64.b64encode(_webp(tinted(picture, mask))).decode("ascii")
    return (
        f'{STYLE}<div class="nbtool-still {html.escape(name)}">'
        f'<p style="margin:0 0 6px;opacity:.8">{WORDS}</p>'
        f'<img src="data:image/webp;base64,{data}" alt="The picture, coloured where it is masked"'
        f' style="max-width:100%"></div>'
    )


def tinted(picture: Image, mask: Image) -> Image:
    """A small copy of a picture, coloured where it is masked."""
    from PIL import Image as PILImage

    small = picture.convert("RGBA").convert("RGB")
    small.thumbnail((LONGEST, LONGEST))
    cover = mask.resize(small.size).point(lambda value: round(OPACITY * value))
    return PILImage.composite(PILImage.new("RGB", small.size, COLOUR), small, cover)


def _webp(picture: Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=85)
    return buffer.getvalue()
