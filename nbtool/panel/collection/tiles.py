"""What the tiles in sight show: words and small copies, made beside the kernel's own thread."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nbtool.background import Loop
from nbtool.display import faces
from nbtool.display.details import whole
from nbtool.errors import logger
from nbtool.live.feed import EDGES, sendable
from nbtool.live.thumbnails import Encoded, Thumbnails
from nbtool.results.image import GeneratedImage
from nbtool.text import ellipsized

CHUNK = 24  # tiles in one message
MAX_WANTED = 1024  # tiles that are still to be sent: those of what was scrolled away are dropped
MAX_CAPTION = 300  # characters
Message = tuple[dict[str, Any], list[bytes]]  # what tiles show, and their pictures' files
GREY = (128, 128, 128)


class Wall(Protocol):
    """What tiles are sent to."""

    def send(self, content: Any, buffers: Any = None) -> None:
        """Sends a message with files."""

    def send_ahead(self, content: dict[str, Any], files: list[bytes]) -> None:
        """Sends the first tiles, which nobody has asked for yet."""


class Tiles:
    """Makes tiles as they are asked for, the newest wish first, on a thread that ends when idle.

    Args:
        wall: Where they are sent to.
        find: Gives the image of a key, or None; it may take a while and raise.
    """

    def __init__(self, wall: Wall, find: Callable[[str], GeneratedImage | None]) -> None:
        self._wall = wall
        self._find = find
        self._lock = threading.Lock()
        self._wanted: dict[str, int] = {}  # edge by key, the most urgent first
        self._asked: list[str] = []  # whole images
        self._thumbnails = Thumbnails()
        self._loop = Loop("nbtool tiles", self._turn, retry=0)

    def want(self, keys: Sequence[str], edge: int) -> None:
        """Asks for tiles whose pictures are about so many pixels wide or high."""
        edge = next((known for known in EDGES if known >= edge), EDGES[-1])
        with self._lock:
            wanted = dict.fromkeys(keys, edge)
            wanted |= {key: e for key, e in self._wanted.items() if key not in wanted}
            self._wanted = dict(itertools.islice(wanted.items(), MAX_WANTED))
        self._loop.wake()

    def begin(self, keys: Sequence[str]) -> None:
        """Sends the first tiles before they are asked for; it takes a moment.

        A view that comes has them at once.
        """
        self._wall.send_ahead(*self._made(keys, EDGES[0]))

    def ask(self, key: str) -> None:
        """Asks for a whole image with its details."""
        with self._lock:
            self._asked.append(key)
        self._loop.wake()

    def join(self, timeout: float | None = None) -> None:
        """Waits until all is sent, or `timeout` seconds."""
        self._loop.join(timeout)

    def _turn(self) -> float | None:
        with self._lock:
            asked, self._asked = self._asked, []
            chunk = dict(itertools.islice(self._wanted.items(), CHUNK))
            for key in chunk:
                del self._wanted[key]
        for key in asked:
            self._send_whole(key)
        for edge in sorted(set(chunk.values())):
            self._wall.send(*self._made([key for key in chunk if chunk[key] == edge], edge))
        return 0 if asked or chunk else None

    def _made(self, keys: Sequence[str], edge: int) -> Message:
        words: dict[str, Any] = {}
        files: dict[str, Encoded] = {}
        for key in keys:
            try:
                if (image := self._find(key)) is None:
                    continue  # in the making, or gone
                words[key] = described(image)
                files[key] = self._thumbnails.get(str(image.path or key), image, edge)
            except Exception as error:  # a damaged file must not take the others along
                logger.debug("a tile has no picture", exc_info=error)
                reason = ellipsized(str(error) or type(error).__name__, MAX_CAPTION)
                words[key] = {"caption": "", **words.get(key, {}), "gone": sendable(reason)}
        types = [mime for mime, _ in files.values()]
        content = {"kind": "thumbnails", "cells": list(files), "edge": edge, "types": types}
        return content | {"words": words}, [data for _, data in files.values()]

    def _send_whole(self, key: str) -> None:
        content: dict[str, Any] = {"kind": "whole", "cell": key, "types": ["image/png"]}
        image = None
        try:
            image = self._find(key)
            if image is None:
                raise FileNotFoundError("it is not here any more")
            told, pictures = whole(image, image.path.name if image.path else f"{key}.png")
            self._wall.send(content | sendable(told), pictures)
        except Exception as error:
            logger.debug("an image cannot be shown", exc_info=error)
            content["error"] = sendable(faces.reason(image) if image else str(error))
            self._wall.send(content)


def described(image: GeneratedImage) -> dict[str, Any]:
    """What a tile says of an image."""
    mark = image.starred, image.note
    caption = ellipsized(image.caption, MAX_CAPTION)
    size = [image.recipe.width or 512, image.recipe.height or 512]
    said = {"caption": caption, "starred": mark[0], "note": ellipsized(mark[1], MAX_CAPTION)}
    return dict(sendable(said | {"size": size}))
