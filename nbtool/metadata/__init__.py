"""Text inside image files: the recipe for nbtool, the infotext for other programs."""

from nbtool.metadata.carried import MAX_CARRIED, Carried, carried_by, carried_in, carrying
from nbtool.metadata.files import (
    COMPRESSION,
    PIXELS,
    ForeignError,
    bare,
    converted,
    encode,
    read,
    read_from,
    read_whole,
    restored,
    said_by,
)
from nbtool.metadata.infotext import lora_hashes, to_infotext
from nbtool.metadata.text import strict_json

__all__ = [
    "COMPRESSION",
    "MAX_CARRIED",
    "PIXELS",
    "Carried",
    "ForeignError",
    "bare",
    "carried_by",
    "carried_in",
    "carrying",
    "converted",
    "encode",
    "lora_hashes",
    "read",
    "read_from",
    "read_whole",
    "restored",
    "said_by",
    "strict_json",
    "to_infotext",
]
