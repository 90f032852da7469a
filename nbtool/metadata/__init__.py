"""Text inside image files: the recipe for nbtool, the infotext for other programs."""

from nbtool.metadata.files import bare, converted, encode, read, restored
from nbtool.metadata.infotext import to_infotext
from nbtool.metadata.text import strict_json

__all__ = ["bare", "converted", "encode", "read", "restored", "strict_json", "to_infotext"]
