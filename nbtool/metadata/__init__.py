"""Text inside image files: the recipe for nbtool, the infotext for other programs."""

from nbtool.metadata.files import ForeignError, bare, converted, encode, read, read_from, restored
from nbtool.metadata.infotext import to_infotext
from nbtool.metadata.text import strict_json

__all__ = [
    "ForeignError",
    "bare",
    "converted",
    "encode",
    "read",
    "read_from",
    "restored",
    "strict_json",
    "to_infotext",
]
