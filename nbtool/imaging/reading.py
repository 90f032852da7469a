"""Anything that holds a picture, read into pixels: a file, its bytes, an array, a PIL image."""

from __future__ import annotations

import glob
import hashlib
import io
import os
import re
import shlex
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nbtool import files
from nbtool.errors import RecipeError, StoreError
from nbtool.silence import quiet_pillow
from nbtool.text import printable, shown

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MODES = ("L", "RGB", "RGBA")  # gray, colours, colours with how opaque they are
MAX_PIXELS = 2**26  # of a picture; more are not decoded
MAX_FILE = 256 * 2**20  # bytes
BYTES = "the file"  # what errors call one of which the bytes are given
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
_ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")  # others hold several pictures for other reasons
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]+:/|data:)", re.IGNORECASE)
_HEIF = re.compile(rb".{4}ftyp(?:hei[cxms]|hev[cxms]|mif1|msf1)", re.DOTALL)
_TAKEN = (
    "a picture is a path, a file's bytes, a PIL image, an array of rows, columns and colours, "
    "a nbtool image or a recipe"
)


class Read(NamedTuple):
    """A picture as it was read.

    Attributes:
        image: In one of MODES, and nothing but pixels.
        place: Where it lay, in parts: folders, the file's stem, its suffix; empty if in no file.
        note: What was left out of it, in words.
        opened: As Pillow has it, with all that its file says beside the pixels; None of an array.
    """

    image: Image
    place: tuple[str, ...] = ()
    note: str = ""
    opened: Image | None = None


def read(source: Any) -> Read:
    """A picture from whatever holds one.

    A picture is turned as its EXIF says. 16 bits become 8, palettes and CMYK colours, black and
    white gray; an alpha channel stays where anything is not opaque. Of an animation it is the
    first frame.

    Args:
        source: A path (a text is always one), a file's bytes, a PIL image, or an array: rows ×
            columns for gray, or with 3 or 4 colours, of bytes, or of floats from 0 to 1 or -1 to 1.

    Raises:
        RecipeError: It holds no picture, or not one that can be read; the message says what would
            do.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _of_bytes(bytes(source), BYTES)
    if isinstance(source, (str, os.PathLike)):
        return _of_file(source)
    if hasattr(source, "getbands") and hasattr(source, "info"):
        return _of_image(source)
    if hasattr(source, "ndim") and hasattr(source, "dtype"):
        return Read(_of_array(source))
    raise RecipeError(f"{_TAKEN}; got {shown(source)}")


def matching(name: str, path: str) -> list[str]:
    """The paths that are meant: one with a star in it stands for all files that it matches.

    Args:
        name: Of what they are given for.
        path: As it is typed.

    Raises:
        RecipeError: It is a folder, matches nothing, or is a list with commas.
    """
    if _URL.match(path):  # it is refused as it was typed
        return [path]
    whole = str(files.expanded(path))
    if os.path.isdir(whole):
        inside = shlex.quote(f"{name}={os.path.join(path, '*')}")
        raise RecipeError(
            f"{path} is a folder; {os.path.join(path, '*')} are the pictures in it",
            in_shell=f"{name}={path} is a folder; {inside} are the pictures in it",
        )
    is_one = os.path.exists(whole)
    if is_one or ("," not in path and not glob.has_magic(whole)):
        return [whole]
    matched = [one for one in sorted(glob.glob(whole, recursive=True)) if not os.path.isdir(one)]
    if not matched and "," in path:
        several = shlex.quote(f"{name}={'|'.join(one.strip() for one in path.split(','))}")
        raise RecipeError(
            f"there is no picture {path}; give several each by itself, not with commas",
            in_shell=f"{name}={path}: there is no such file; several stand between bars: {several}",
        )
    if not matched:
        raise RecipeError(
            f"{path} matches no file",
            in_shell=f"{name}={path} matches no file; look at it with: ls {path}",
        )
    return matched


def digest(image: Image) -> str:
    """The SHA-256 of mode, size and pixels, in hexadecimal; docs/store.md says of which bytes."""
    width, height = image.size
    hashed = hashlib.sha256(f"{image.mode} {width} {height}\n".encode("ascii"))
    hashed.update(image.tobytes())
    return hashed.hexdigest()


def _of_file(source: str | os.PathLike[Any]) -> Read:
    if _URL.match(os.fsdecode(source)):
        raise RecipeError(
            f"a picture is not fetched from {shown(os.fsdecode(source))}; download it and give "
            f"the file's path"
        )
    try:
        path = files.absolute(source)
    except StoreError as error:
        raise RecipeError(str(error)) from None
    name = printable(str(files.expanded(source)))
    found = _of_bytes(_data(path, name), name)
    return found._replace(place=(*path.parts[1:-1], path.stem, path.suffix))


def _data(path: Path, name: str) -> bytes:
    try:
        state = path.stat()
        if stat.S_ISDIR(state.st_mode):
            raise RecipeError(
                f'{name} is a folder; give a picture, or a list of them: glob.glob("{name}/*.png")'
            )
        if not stat.S_ISREG(state.st_mode):
            raise RecipeError(f"{name} is no file, and cannot be read")
        if state.st_size > MAX_FILE:
            raise RecipeError(f"{name} has {files.size(state.st_size)}; at most 256 MB are read")
        return path.read_bytes()
    except FileNotFoundError:
        hint = "; for several, give a list: glob.glob(…)" if set("*?[") & set(name) else ""
        raise RecipeError(f"there is no picture {name}{hint}") from None
    except OSError as error:
        raise RecipeError(f"the picture {name} cannot be read: {files.why(error)}") from None


def _of_bytes(data: bytes, name: str) -> Read:
    from PIL import Image as PILImage
    from PIL import UnidentifiedImageError

    if not data:
        raise RecipeError(f"{name}: there is nothing in it; a picture is needed")
    with quiet_pillow():
        try:
            with PILImage.open(io.BytesIO(data)) as image:
                return _decoded(image, name)
        except PILImage.DecompressionBombError:
            raise RecipeError(_too_large(name)) from None
        except UnidentifiedImageError:
            raise RecipeError(_unknown(data, name)) from None
        except (OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError) as error:
            if isinstance(error, RecipeError):
                raise
            raise RecipeError(f"{name} is damaged ({error}); get the file again") from None


def _unknown(data: bytes, name: str) -> str:
    """Why Pillow takes something for no picture."""
    head = data[:1024].lstrip()
    if _HEIF.match(data):
        return (
            f"{name} is in HEIC; install pillow-heif and call "
            f"pillow_heif.register_heif_opener(), or save it as JPEG or PNG"
        )
    if b"<svg" in head.lower():
        return f"{name} is an SVG, which has lines and no pixels; export it as a PNG"
    return f"{name} is no picture that can be read; save it as PNG, JPEG or WebP"


def _too_large(name: str, size: tuple[int, int] | None = None) -> str:
    has = f"{size[0]} × {size[1]} pixels" if size else "too many pixels"
    return (
        f"{name} has {has}; at most {MAX_PIXELS // 10**6} million are read: make it smaller first"
    )


def _of_image(image: Any) -> Read:
    with quiet_pillow():
        name = getattr(image, "filename", "") or ""
        try:
            found = _decoded(image, printable(str(name)) or "the PIL image")
        except (OSError, ValueError, SyntaxError, AssertionError) as error:
            if isinstance(error, RecipeError):
                raise
            why = str(error) or "its file is closed"
            raise RecipeError(
                f"the PIL image cannot be read ({why}); open it anew, or give its file"
            ) from None
    path = Path(os.fsdecode(name)) if name else None
    return found._replace(place=(*path.parts[:-1], path.stem, path.suffix)) if path else found


def _decoded(image: Image, name: str) -> Read:
    """The first frame of an opened picture, upright, in one of MODES."""
    from PIL import ImageOps

    width, height = image.size
    if not width or not height:
        raise RecipeError(f"{name} has no pixels")
    if width * height > MAX_PIXELS:
        raise RecipeError(_too_large(name, image.size))
    frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
    note = f"{name} has {frames} frames; the first is taken" if frames > 1 else ""
    at = image.tell() if frames > 1 else 0
    if at:
        image.seek(0)
    image.load()
    plain = _plain(ImageOps.exif_transpose(image), name)
    if at:  # whose picture it is finds it as it was
        image.seek(at)
    return Read(plain, note=note, opened=image)


def _plain(image: Image, name: str) -> Image:
    """The same pixels in one of MODES, and nothing else."""
    if image.mode in _SIXTEEN_BITS or image.mode in ("I", "F"):
        return _of_deep(image, name)
    sees_through = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    if sees_through:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            return _bare(image)
        return _bare(image.convert("RGB"))
    return _bare(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _bare(image: Image) -> Image:
    """Without what its file said beside the pixels, and no part of another image."""
    from PIL import Image as PILImage

    return PILImage.frombytes(image.mode, image.size, image.tobytes())


def _of_deep(image: Image, name: str) -> Image:
    """A picture of more than 8 bits."""
    import numpy as np

    values = np.asarray(image)
    if image.mode == "F":
        return _of_array(values)
    if values.min() < 0 or values.max() > 0xFFFF:
        raise RecipeError(f"{name} has more than 16 bits a pixel; save it with 8 or 16")
    scale = 257 if values.max() > 0xFF or image.mode != "I" else 1  # "I" may hold 8 bits as well
    return _gray(np.rint(values / scale).astype(np.uint8))


def _gray(values: np.ndarray[Any, Any]) -> Image:
    from PIL import Image as PILImage

    return PILImage.fromarray(values)


def _of_array(source: Any) -> Image:
    """An array or a tensor of any library as a picture."""
    import numpy as np
    from PIL import Image as PILImage

    values = _rows_first(source)
    bands = {2: 1, 3: (0, *values.shape)[-1]}.get(values.ndim)
    if bands not in (1, 3, 4) or not values.size:
        shape = " × ".join(map(str, np.shape(source))) or "a single number"
        hint = "; give several as a list" if values.ndim == 4 else ""
        raise RecipeError(
            f"a picture's array has rows × columns, or × 3 or 4 colours, got {shape}{hint}"
        )
    if values.shape[0] * values.shape[1] > MAX_PIXELS:
        raise RecipeError(_too_large("the array", (values.shape[1], values.shape[0])))
    if values.ndim == 3 and bands == 1:
        values = values[..., 0]
    image = PILImage.fromarray(np.ascontiguousarray(_bytes(values)))
    return _plain(image, "the array")


def _rows_first(source: Any) -> np.ndarray[Any, Any]:
    """The values as numpy has them, colours last: tensors have them first."""
    import numpy as np

    if not hasattr(source, "detach"):
        return np.asarray(source)
    tensor = source.detach().cpu()
    values = np.asarray(tensor.float() if tensor.is_floating_point() else tensor)
    if values.ndim == 4 and len(values) == 1:
        values = values[0]
    if values.ndim == 3 and values.shape[0] in (1, 3, 4) and values.shape[2] not in (3, 4):
        values = np.moveaxis(values, 0, -1)
    return values


def _bytes(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The values from 0 to 255."""
    import numpy as np

    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    if values.dtype.kind == "f":
        low, high = float(values.min()), float(values.max())
        if low >= 0 and high <= 1:
            return np.rint(values * 255.0).astype(np.uint8)
        if low >= -1 and high <= 1:
            return np.rint((values + 1.0) * 127.5).astype(np.uint8)
        raise RecipeError(
            f"a picture's floats are from 0 to 1 or from -1 to 1, these from {low:.6g} to "
            f"{high:.6g}; give array.astype('uint8') where they are from 0 to 255"
        )
    raise RecipeError(
        f"a picture's array has bytes (uint8) or floats from 0 to 1, got {values.dtype}; "
        f"give array.astype('uint8')"
    )
