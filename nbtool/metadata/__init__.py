"""Text inside image files: the recipe for nbtool, the infotext for other programs."""

from nbtool.metadata.files import encode, read
from nbtool.metadata.infotext import to_infotext
from nbtool.metadata.text import strict_json

__all__ = ["encode", "read", "strict_json", "to_infotext"]
