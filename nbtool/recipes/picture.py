"""A picture as a recipe has it: known by its pixels, wherever they lie."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast

from nbtool import files, metadata
from nbtool.errors import NbtoolError, RecipeError
from nbtool.imaging import reading
from nbtool.imaging.reading import MODES
from nbtool.text import ellipsized, shown, warn

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_NAME = 60  # characters
MAX_SIDE = 2**17  # pixels, of what a file may say
EXTENDS = "nbtool_extends"  # in a PIL image's `info`: the picture that it was extended from
_HEX = frozenset("0123456789abcdef")


class Made(Protocol):
    """A recipe: what made a picture, or will."""

    @property
    def key(self) -> str:
        """Which recipe it is."""

    @property
    def size(self) -> tuple[int, int]:
        """Of its picture: width and height in pixels; 0 where that is open."""

    def to_dict(self) -> dict[str, Any]:
        """Its parameters."""


Load = Callable[[], "Image"]
# The recipe with which nbtool saved a picture, if it did: of what holds it, of what was read of
# that, and of the pixels' digest.
Memory = Callable[[Any, reading.Read, str], Any]


class Picture:
    """A picture in a recipe: which one it is, and where its pixels are to be had.

        gen("a fox", image=nbtool.Picture("photos/cat.jpg"), strength=0.6)
        gen("a fox", image="photos/cat.jpg", strength=0.6)             # the same

    Two are equal if their pixels are, whichever files they came from. One that is given as a
    recipe is made first, and known by that recipe. A file that nbtool saved still knows the recipe
    that made it, as long as nothing has changed its pixels since.

    Args:
        source: A path, a file's bytes, a PIL image, an array of rows × columns (× 3 or 4 colours),
            an image that nbtool made, or a recipe. A text is always a path.
        name: What people call it; None: the file's name without its end.

    Raises:
        RecipeError: It holds no picture, or not one that can be read.
    """

    _memory: ClassVar[list[Memory]] = []

    @classmethod
    def remember_by(cls, memory: Memory) -> None:
        """Decides how a picture that was saved is found to be one that nbtool made."""
        cls._memory[:] = [memory]

    def __init__(self, source: Any, name: str | None = None) -> None:
        self._digest = ""
        self._mode = "RGB"
        self._size = (0, 0)
        self._recipe: Any = None
        self._extends: Any = None
        self._loads: tuple[Load, ...] = ()
        self._used = ""  # the digest of what stands in for it
        self._gone = False
        self._place: tuple[str, ...] = ()  # where it lay: folders, the file's stem and its end
        if isinstance(source, Picture):
            vars(self).update(vars(source))
            self._name = source.name
        elif _is_recipe(source):
            self._recipe = source
            self._name = _called(source)
        else:
            self._take(source)
        if name is not None:
            if not isinstance(name, str):
                raise RecipeError(f"a picture's name is a text, got {shown(name)}")
            self._name, self._place = ellipsized(name, MAX_NAME), ()

    def _take(self, source: Any) -> None:
        self._recipe = getattr(source, "recipe", None)
        if made := _is_recipe(self._recipe):
            found = reading.read(source.image)
        else:
            self._recipe = None
            found = reading.read(source)
        if found.note:
            warn(found.note, stacklevel=4)
        image = found.image
        self._digest, self._mode, self._size = reading.digest(image), image.mode, image.size
        self._place = found.place
        for memory in () if made else self._memory:
            self._recipe = memory(source, found, self._digest)
        has_name = found.place or not self._recipe
        self._name = _stem(found.place) if has_name else _called(self._recipe)
        info = getattr(source, "info", None)
        if isinstance(info, Mapping) and isinstance(smaller := info.get(EXTENDS), Picture):
            self._extends = smaller.earlier
        self._loads = (_loading(source, image, made=made),)

    @property
    def digest(self) -> str:
        """The SHA-256 of mode, size and pixels, in hexadecimal; "" of one that is yet to be made."""
        return self._digest

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._size if self._digest else cast("tuple[int, int]", self._recipe.size)

    @property
    def mode(self) -> str:
        """Its colours: "L" for gray, "RGB", or "RGBA" where something is not opaque."""
        return self._mode

    @property
    def name(self) -> str:
        """What people call it; no part of a recipe's key."""
        return self._name

    @property
    def place(self) -> tuple[str, ...]:
        """Where it lay when it was given: folders, the file's stem and its end. Never kept."""
        return self._place

    @property
    def recipe(self) -> Any:
        """The recipe that made it, or will; None where nbtool did not make it."""
        return self._recipe

    @property
    def extends(self) -> Any:
        """The recipe of the image that it was extended from by hand; None where there is none."""
        return self._extends

    @property
    def earlier(self) -> Any:
        """The recipe of the step before it: of what made it, or of what it was extended from."""
        return self._recipe or self._extends

    @property
    def is_deferred(self) -> bool:
        """Whether it was given as a recipe, and is known by that alone."""
        return not self._digest

    @property
    def key(self) -> str:
        """By what it is known: its digest, or the key of the recipe that makes it."""
        return self._digest or cast("str", self._recipe.key)

    @property
    def is_here(self) -> bool:
        """Whether its pixels can be had now."""
        try:
            return bool(self.image)
        except NbtoolError:
            return False

    @property
    def image(self) -> Image:
        """The pixels, as a PIL image in `mode`; read anew each time.

        Raises:
            RecipeError: They are not there any more, or not yet; it says what would do.
        """
        reasons: list[str] = []
        for load in self._loads:
            try:
                image = load()
            except NbtoolError as error:
                reasons.append(str(error))
                continue
            if self._used or not self._digest or reading.digest(image) == self._digest:
                return image
            reasons.append("what lies there now is another picture")
        raise RecipeError(self._missing(reasons))

    def bound(self, *loads: Load) -> Picture:
        """The same picture with further places to look for its pixels first."""
        return self._with(_loads=(*loads, *self._loads))

    def standing_in(self, load: Load, used: str) -> Picture:
        """The same picture, of which other pixels are all that is left.

        Args:
            load: Gives them.
            used: Their digest.
        """
        return self._with(_loads=(load,), _used=used)

    def gone(self) -> Picture:
        """The same picture, of which it was found that its pixels are not to be had."""
        return self._with(_gone=True)

    @property
    def is_gone(self) -> bool:
        """Whether its pixels were found to be not to be had."""
        return self._gone

    @property
    def used(self) -> str:
        """The digest of the pixels that it gives: its own, or of what stands in for them."""
        return self._used or self._digest

    def called(self, name: str) -> Picture:
        """The same picture with a name."""
        return self._with(_name=ellipsized(name, MAX_NAME))

    def with_past(self, recipe: Any, extends: Any = None) -> Picture:
        """The same picture, where the recipes of what made it, and of what it extends, are known."""
        return self._with(_recipe=recipe, _extends=extends or self._extends)

    def to_dict(self) -> dict[str, Any]:
        """What a recipe keeps of it."""
        if self.is_deferred:
            return {"recipe": self._recipe.to_dict()}
        return {"sha256": self._digest, "mode": self._mode, "size": list(self._size)}

    @classmethod
    def from_dict(cls, said: Mapping[str, Any], recipe: Callable[[Any], Any]) -> Picture:
        """The picture of a dictionary such as `to_dict` returns; its pixels are elsewhere.

        Args:
            said: The dictionary.
            recipe: Makes a recipe of its dictionary.

        Raises:
            RecipeError: It is no such dictionary.
        """
        if said.keys() == {"recipe"} and isinstance(said["recipe"], dict):
            return cls(recipe(said["recipe"]))
        picture = object.__new__(cls)
        digest, mode, size = (said.get(name) for name in ("sha256", "mode", "size"))
        known = (
            said.keys() == {"sha256", "mode", "size"}
            and isinstance(digest, str)
            and len(digest) == 64
            and _HEX.issuperset(digest)
            and mode in MODES
            and isinstance(size, (list, tuple))
            and len(size) == 2
            and all(type(side) is int and 0 < side <= MAX_SIDE for side in size)
        )
        if not known:
            raise RecipeError(
                f"a picture in a recipe is its hash, mode and size, got {shown(said)}"
            )
        vars(picture).update(_digest=digest, _mode=mode, _size=tuple(cast("list[int]", size)))
        vars(picture).update(
            _name="", _place=(), _recipe=None, _extends=None, _loads=(), _used="", _gone=False
        )
        return picture

    def _with(self, **changes: Any) -> Picture:
        picture = object.__new__(type(self))
        vars(picture).update(vars(self), **changes)
        return picture

    def _missing(self, reasons: list[str]) -> str:
        what = f"the picture {self._name!r}" if self._name else "a picture"
        if self.is_deferred:
            return f"{what} is yet to be made; a generator makes it first"
        width, height = self._size
        known = f"{what} ({width} × {height}, sha256 {self._digest[:8]}…)"
        why = f" ({reasons[-1]})" if reasons else ""  # of where it came from
        return f"{known} is not here{why}; give the file it came from: image=… or mask_image=…"

    def __getstate__(self) -> dict[str, Any]:
        """All but the places where its pixels may lie; they are taken along instead."""
        state = {**vars(self), "_loads": ()}
        return state | {"_pixels": png(self.image)} if self.is_here else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        pixels = state.pop("_pixels", None)
        vars(self).update(state)
        if pixels is not None:
            vars(self)["_loads"] = (lambda: reading.read(pixels).image,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[bool, str]:
        return self.is_deferred, self.key

    def __repr__(self) -> str:
        width, height = self.size
        name = f"{self._name!r}, " if self._name else ""
        return f"<Picture {name}{width} × {height}, {self.key[:8]}>"

    def _repr_png_(self) -> bytes | None:
        return png(self.image) if self.is_here else None


class Pictures:
    """Several pictures that are one value, for models that edit with more than one."""

    def __init__(self, pictures: Iterable[Picture]) -> None:
        self._pictures = tuple(pictures)

    def __iter__(self) -> Iterator[Picture]:
        return iter(self._pictures)

    def __len__(self) -> int:
        return len(self._pictures)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pictures) and self._pictures == other._pictures

    def __hash__(self) -> int:
        return hash(self._pictures)

    def __repr__(self) -> str:
        return f"<Pictures {', '.join(one.name or one.key[:8] for one in self)}>"


def pictures(*sources: Any) -> Pictures:
    """Several pictures as one value of `image`, for models that edit with more than one.

        gen("the fox wears the hat", image=nbtool.pictures("fox.png", "hat.png"))

    Raises:
        RecipeError: There is none, or one cannot be read.
    """
    if not sources:
        raise RecipeError("pictures takes one picture or more")
    return Pictures(map(Picture, sources))


def each(value: Picture | Pictures | None) -> tuple[Picture, ...]:
    """The pictures of a parameter's value."""
    return () if value is None else (value,) if isinstance(value, Picture) else tuple(value)


def png(image: Image) -> bytes:
    """A PNG file's bytes of pixels alone."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **metadata.COMPRESSION)
    return buffer.getvalue()


def _is_recipe(source: object) -> bool:
    return hasattr(source, "to_dict") and hasattr(source, "key") and hasattr(source, "replace")


def _called(recipe: Any) -> str:
    """The name of a picture that nbtool made: its prompt and its seed."""
    seed = f"seed {recipe.seed}" if recipe.seed is not None else ""
    prompt = ellipsized(recipe.prompt, MAX_NAME - len(seed) - 2)
    return ", ".join(filter(None, (prompt, seed)))


def _stem(place: tuple[str, ...]) -> str:
    return ellipsized(place[-2], MAX_NAME) if place else ""


def _loading(source: Any, image: Image, *, made: bool) -> Load:
    """How the pixels are had again: what lies in a file is not kept in memory."""
    if made:
        return lambda: reading.read(source.image).image
    if hasattr(source, "__fspath__") or isinstance(source, (str, bytes)):
        again = source if isinstance(source, bytes) else files.absolute(source)
        return lambda: reading.read(again).image
    return image.copy
