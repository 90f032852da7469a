"""PNG files that carry their recipe, and the recipe read back.

A PNG of nbtool holds two text chunks: `nbtool`, a JSON object with the schema number (the least
that a reader must know), the recipe, the provenance and a hash of the pixels that they are of; and
`parameters`, the infotext. Neither is ever compressed, since Pillow refuses long compressed text
when reading.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import stat
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Any

from nbtool.errors import MetadataError, log
from nbtool.files import expanded
from nbtool.metadata.carried import Carried, carried_in
from nbtool.metadata.infotext import to_infotext
from nbtool.metadata.text import strict_json

if TYPE_CHECKING:
    from PIL.Image import Image

Digest = Callable[["Image"], str]

SCHEMA = 1
MAX_FILE = 256 * 2**20  # bytes
# Of zlib: made for pictures; in half of its default's time or less, at its size to 3 %.
COMPRESSION = {"compress_type": zlib.Z_RLE, "compress_level": 1}
LOSSY: dict[str, Any] = {"quality": 95, "subsampling": 0}
PIXELS = "pixels"  # what the hash of the pixels is called beside the recipe
MAX_PIXELS = 2**26  # that are decoded to find a text behind them
MAX_JPEG_TEXT = 65_000  # bytes; EXIF is one segment of 64 KiB there
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"RIFF")
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_USER_COMMENT = 0x9286  # EXIF tag; JPEG and WebP files keep the JSON there


def encode(
    image: Image,
    recipe: Mapping[str, Any],
    provenance: Mapping[str, Any],
    version: str,
    *,
    terms: Mapping[str, object] = MappingProxyType({}),
    digest: Digest | None = None,
) -> bytes:
    """The image as a PNG file's bytes with its recipe inside.

    Args:
        image: The pixels.
        recipe: Its parameters.
        provenance: How it was made.
        version: Of nbtool.
        terms: What the infotext says beside what it always says, by name there.
        digest: Gives the hash of an image's pixels; None: the file says none.
    """
    said = {PIXELS: digest(image)} if digest else {}
    return _png(image, _ours(recipe, provenance, said), to_infotext(recipe, version, terms))


def converted(
    png: bytes,
    recipe: Mapping[str, Any],
    provenance: Mapping[str, Any],
    format: str,
    *,
    origins: Mapping[str, Any] = MappingProxyType({}),
    digest: Digest | None = None,
) -> bytes:
    """A PNG of nbtool as a JPEG or WEBP file's bytes; what else it says is taken along.

    Args:
        png: Its bytes.
        recipe: Its parameters.
        provenance: How it was made.
        format: "JPEG" or "WEBP".
        origins: What is known of the pictures it was made from; left out where it is too long.
        digest: Gives the hash of an image's pixels; None: the file says none.

    Raises:
        MetadataError: The recipe is too long for a JPEG.
    """
    from PIL import Image as PILImage

    with PILImage.open(io.BytesIO(png)) as image:
        image.load()  # texts may stand behind the pixels
        said, pixels = strict_json(image.info.get("nbtool", "{}")), image.convert("RGB")
        said.pop(PIXELS, None)  # they are others now
        if digest:
            said[PIXELS] = digest(_as_read(pixels, format))
        ours = _ours(recipe, provenance, said | ({"inputs": dict(origins)} if origins else {}))
        if format == "JPEG" and len(ours) > MAX_JPEG_TEXT:
            ours = _ours(recipe, provenance, said)
        return _with_comment(pixels, ours, format)


def bare(png: bytes, format: str) -> bytes:
    """The pixels of a PNG as a file's bytes in which nothing else is said; as `converted` has them."""
    from PIL import Image as PILImage

    with PILImage.open(io.BytesIO(png)) as image:
        pixels = image.convert("RGB")
    pixels.info.clear()
    buffer = io.BytesIO()
    pixels.save(buffer, format, **(COMPRESSION if format == "PNG" else LOSSY))
    return buffer.getvalue()


def restored(
    data: bytes,
    recipe: Mapping[str, Any],
    provenance: Mapping[str, Any],
    version: str,
    *,
    terms: Mapping[str, object] = MappingProxyType({}),
    digest: Digest | None = None,
) -> Iterator[bytes]:
    """What `encode` may have written, out of what another program made of it.

    If the pixels are the same, one of these is the same to the byte: without what follows the PNG,
    or with the texts of the file, or with those written again. It is nothing where the file is no
    whole PNG.
    """
    from PIL import Image as PILImage

    png, end, _ = data.partition(_PNG_END)
    if not end:  # Pillow reads on where the last bytes are missing
        return
    yield png + end
    try:
        with PILImage.open(io.BytesIO(data), formats=("PNG",)) as image:
            image.load()
            pixels, found = image.convert("RGB"), image.info
        said = {PIXELS: digest(pixels)} if digest else {}
        ours = [found.get("nbtool"), _ours(recipe, provenance, said), _ours(recipe, provenance)]
        infotexts = [found.get("parameters"), to_infotext(recipe, version, terms)]
    except Exception as error:  # of damaged files Pillow raises what it likes
        log("no whole PNG", error)
        return
    for texts in itertools.product(filter(None, ours), filter(None, infotexts)):
        yield _png(pixels, *map(str, texts))


class ForeignError(MetadataError):
    """An image carries nothing of nbtool's."""


def read(path: str | Path) -> dict[str, Any]:
    """What `encode` put into a file: {"schema", "recipe", "provenance"}.

    Raises:
        MetadataError: The file is no PNG, JPEG or WebP image, carries nothing of nbtool's, or
            needs a newer nbtool.
        StoreError: No file can have such a name.
    """
    return read_whole(path)[0]


def read_whole(path: str | Path) -> tuple[dict[str, Any], Carried]:
    """The same, and the pictures that the file carries.

    Raises:
        MetadataError: As `read`.
        StoreError: No file can have such a name.
    """
    path = expanded(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a FIFO would be waited for
            raise MetadataError(f"{path} is no file, and cannot be read")
        with path.open("rb") as file:
            found = read_from(file, str(path))
            file.seek(0)
            return found, carried_in(file.read())
    except FileNotFoundError:
        raise MetadataError(f"{path} does not exist") from None
    except OSError as error:
        raise MetadataError(f"{path} cannot be read: {error}") from None


def read_from(file: IO[bytes], name: str) -> dict[str, Any]:
    """The same of an open file.

    Raises:
        MetadataError: As `read`.
        OSError: The file cannot be read.
    """
    from PIL import Image as PILImage
    from PIL import UnidentifiedImageError

    head = file.read(12)
    if not head.startswith(_SIGNATURES):
        raise MetadataError(f"{name} is no PNG, JPEG or WebP image")
    if (size := file.seek(0, io.SEEK_END)) > MAX_FILE:
        raise MetadataError(f"{name} has {size} bytes, more than {MAX_FILE}")
    file.seek(0)
    try:
        with PILImage.open(file, formats=("PNG", "JPEG", "WEBP")) as image:
            text = _text(image) or _late_text(image)
    except (OSError, ValueError, SyntaxError, PILImage.DecompressionBombError) as error:
        kind = "damaged" if isinstance(error, UnidentifiedImageError) else error
        raise MetadataError(f"{name} cannot be read: {kind}") from None
    return _stored(text, name)


def said_by(image: Image, name: str) -> dict[str, Any]:
    """The same of an image that Pillow has read.

    Raises:
        MetadataError: As `read`.
    """
    return _stored(_text(image), name)


def _stored(text: object, name: str) -> dict[str, Any]:
    if not isinstance(text, str):
        raise ForeignError(f"{name} carries no nbtool recipe; was it made or saved by nbtool?")
    try:
        stored = strict_json(text)
    except MetadataError as error:
        raise MetadataError(f"{name} carries no usable recipe: {error}") from None
    if not isinstance(stored.get("recipe"), dict):
        raise MetadataError(f"{name} carries no recipe")
    if isinstance(schema := stored.get("schema"), int) and schema > SCHEMA:
        raise MetadataError(
            f"{name} was written by a newer nbtool (schema {schema}, known: {SCHEMA}); update nbtool"
        )
    return stored


def _text(image: Image) -> object:
    return image.info.get("nbtool") or _user_comment(image)


def _late_text(image: Image) -> object:
    """The text of a PNG that another program rewrote, texts behind the pixels."""
    if image.format != "PNG" or math.prod(image.size) > MAX_PIXELS:
        return None
    image.load()
    return image.info.get("nbtool")


def _ours(
    recipe: Mapping[str, Any],
    provenance: Mapping[str, Any],
    said: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """The JSON, with what a newer nbtool has said beside that."""
    known = {"recipe": dict(recipe), "provenance": dict(provenance)}
    stored = {"schema": SCHEMA, **said, **known}
    return json.dumps(stored, sort_keys=True, ensure_ascii=True, allow_nan=False)


def _png(image: Image, ours: str, infotext: str) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("nbtool", ours)
    texts.add_text("parameters", infotext)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=texts, **COMPRESSION)
    return buffer.getvalue()


def _with_comment(image: Image, ours: str, format: str) -> bytes:
    """A JPEG or WEBP file; of a JPEG, every pixel keeps its own colour."""
    from PIL import Image as PILImage

    if format == "JPEG" and len(ours) > MAX_JPEG_TEXT:
        raise MetadataError(f"a recipe of {len(ours)} bytes is too long for a JPEG; use .png")
    exif = PILImage.Exif()
    exif.get_ifd(0x8769)[_USER_COMMENT] = b"ASCII\0\0\0" + ours.encode("ascii")
    buffer = io.BytesIO()
    image.save(buffer, format, exif=exif, **LOSSY)
    return buffer.getvalue()


def _as_read(image: Image, format: str) -> Image:
    """An image as it comes out of a file of that format."""
    from PIL import Image as PILImage

    buffer = io.BytesIO()
    image.save(buffer, format, **LOSSY)
    with PILImage.open(io.BytesIO(buffer.getvalue())) as opened:
        pixels: Image = opened.convert("RGB")
    return pixels


def _user_comment(image: Image) -> str | None:
    comment = image.getexif().get_ifd(0x8769).get(_USER_COMMENT)
    if isinstance(comment, bytes) and comment.startswith(b"ASCII\0\0\0"):
        return comment[8:].decode("ascii", "replace")
    return None
