"""Pictures that a PNG file carries along beside its own pixels, in chunks that others pass over."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

MAX_CARRIED = 16 * 2**20  # bytes, all together
# Ancillary, private, and safe to copy, as the PNG specification has it.
_PICTURE, _ORIGINS = b"nbIp", b"nbIo"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_HASH = 32  # bytes before each picture


class Carried(NamedTuple):
    """What a file carries: PNGs by the pictures' hashes, and JSON that says what is known of them."""

    pictures: Mapping[str, bytes] = {}
    origins: str = ""


def carrying(png: bytes, carried: Carried) -> bytes:
    """A PNG that carries pictures too; its own pixels and texts are as they were."""
    body, end, rest = png.rpartition(_END)
    chunks = [_chunk(_ORIGINS, carried.origins.encode("ascii"))] if carried.origins else []
    chunks += [
        _chunk(_PICTURE, bytes.fromhex(digest) + data) for digest, data in carried.pictures.items()
    ]
    return b"".join([body, *chunks, end, rest])


def carried_in(data: bytes) -> Carried:
    """What a file's bytes carry; nothing where it is no PNG, or a broken one."""
    return carried_by(_chunks(data))


def carried_by(chunks: Iterable[Sequence[Any]]) -> Carried:
    """The same of chunks: each begins with its kind and its content."""
    pictures: dict[str, bytes] = {}
    origins = ""
    for kind, content, *_ in chunks:
        if kind == _PICTURE and len(content) > _HASH:
            pictures[content[:_HASH].hex()] = content[_HASH:]
        elif kind == _ORIGINS:
            origins = content.decode("ascii", "replace")
    return Carried(pictures, origins)


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks that are whole."""
    place = len(_SIGNATURE)
    while data.startswith(_SIGNATURE) and place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, end = data[place + 4 : place + 8], place + 8 + length
        content = data[place + 8 : end]
        if data[end : end + 4] != struct.pack(">I", zlib.crc32(kind + content)):
            return
        yield kind, content
        place = end + 4
