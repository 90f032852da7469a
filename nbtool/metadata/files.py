"""PNG files that carry their recipe, and the recipe read back.

A PNG of nbtool holds two text chunks: `nbtool`, a JSON object with the schema number, the recipe
and the provenance; and `parameters`, the infotext. Neither is ever compressed, since Pillow
refuses long compressed text when reading.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nbtool.errors import MetadataError
from nbtool.metadata.infotext import to_infotext
from nbtool.metadata.text import strict_json

if TYPE_CHECKING:
    from PIL.Image import Image

SCHEMA = 1
MAX_FILE = 256 * 2**20  # bytes
# Of zlib: made for pictures; in half of its default's time or less, at its size to 3 %.
COMPRESSION = {"compress_type": zlib.Z_RLE, "compress_level": 1}
MAX_JPEG_TEXT = 65_000  # bytes; EXIF is one segment of 64 KiB there
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
_USER_COMMENT = 0x9286  # EXIF tag; JPEG and WebP files keep the JSON there


def encode(
    image: Image,
    recipe: Mapping[str, Any],
    provenance: Mapping[str, Any],
    version: str,
    *,
    terms: Mapping[str, object] = MappingProxyType({}),
    format: str = "PNG",
) -> bytes:
    """The image as a file's bytes with its recipe inside.

    Args:
        image: The pixels.
        recipe: Its parameters.
        provenance: How it was made.
        version: Of nbtool.
        terms: What the infotext says beside what it always says, by name there.
        format: PNG, JPEG or WEBP.

    Raises:
        MetadataError: The recipe is too long for a JPEG.
    """
    from PIL import Image as PILImage
    from PIL.PngImagePlugin import PngInfo

    ours = json.dumps(
        {"schema": SCHEMA, "recipe": dict(recipe), "provenance": dict(provenance)},
        sort_keys=True, ensure_ascii=True, allow_nan=False,
    )  # fmt: skip
    buffer = io.BytesIO()
    if format == "PNG":
        texts = PngInfo()
        texts.add_text("nbtool", ours)
        texts.add_text("parameters", to_infotext(recipe, version, terms))
        image.save(buffer, "PNG", pnginfo=texts, **COMPRESSION)
    else:
        if format == "JPEG" and len(ours) > MAX_JPEG_TEXT:
            raise MetadataError(f"a recipe of {len(ours)} bytes is too long for a JPEG; use .png")
        exif = PILImage.Exif()
        exif.get_ifd(0x8769)[_USER_COMMENT] = b"ASCII\0\0\0" + ours.encode("ascii")
        image.save(buffer, format, quality=95, exif=exif)
    return buffer.getvalue()


def read(path: Path) -> dict[str, Any]:
    """What `encode` put into a file: {"schema", "recipe", "provenance"}.

    Raises:
        MetadataError: The file is no PNG, JPEG or WebP image or carries nothing of nbtool's.
    """
    from PIL import Image as PILImage
    from PIL import UnidentifiedImageError

    try:
        with path.open("rb") as file:
            head = file.read(12)
            size = path.stat().st_size
            if not head.startswith(_SIGNATURES):
                raise MetadataError(f"{path} is no PNG, JPEG or WebP image")
            if size > MAX_FILE:
                raise MetadataError(f"{path} has {size} bytes, more than {MAX_FILE}")
            file.seek(0)
            with PILImage.open(file, formats=("PNG", "JPEG", "WEBP")) as image:
                text = image.info.get("nbtool") or _user_comment(image)
    except FileNotFoundError:
        raise MetadataError(f"{path} does not exist") from None
    except (OSError, ValueError, SyntaxError, PILImage.DecompressionBombError) as error:
        if isinstance(error, MetadataError):
            raise
        kind = "damaged" if isinstance(error, UnidentifiedImageError) else error
        raise MetadataError(f"{path} cannot be read: {kind}") from None
    if not isinstance(text, str):
        raise MetadataError(f"{path} carries no nbtool recipe; was it made or saved by nbtool?")
    try:
        stored = strict_json(text)
    except MetadataError as error:
        raise MetadataError(f"{path} carries no usable recipe: {error}") from None
    if not isinstance(stored.get("recipe"), dict):
        raise MetadataError(f"{path} carries no recipe")
    return stored


def _user_comment(image: Image) -> str | None:
    comment = image.getexif().get_ifd(0x8769).get(_USER_COMMENT)
    if isinstance(comment, bytes) and comment.startswith(b"ASCII\0\0\0"):
        return comment[8:].decode("ascii", "replace")
    return None
