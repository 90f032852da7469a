"""A picture on which a mask is painted, as a widget."""

from __future__ import annotations

import io
import uuid
from typing import Any

import traitlets
from PIL import Image as PILImage
from PIL import ImageChops

from nbtool import painter
from nbtool.display.widget import Widget
from nbtool.environment import prepare_widgets
from nbtool.errors import RecipeError, log
from nbtool.imaging import reading
from nbtool.imaging.outpainting import FEATHER, MAX_SIDE, Sides
from nbtool.painter.still import still_html
from nbtool.recipes.extending import extended
from nbtool.recipes.picture import Picture, png
from nbtool.silence import quiet_pillow

MAX_EXACT = 2**22  # pixels; larger pictures are shown as JPEG or WebP, which is sent sooner
NOTHING = PILImage.new("L", (1, 1))


class Pixels(traitlets.TraitType[Any, Any]):
    """Pixels that change when others are set, not when somebody draws on what was read."""

    default_value = NOTHING

    def get(self, obj: Any, cls: Any = None) -> Any:
        pixels: Any = super().get(obj, cls)
        return pixels.copy()


class Painter(Widget):
    """A picture and a mask that is painted on it, by mouse, pen, fingers or keyboard.

        painter = nbtool.paint("cat.jpg")
        painter                              # shows it
        gen("a hat", image=painter.picture, mask_image=painter.mask)
        painter.observe(changed, "mask")     # calls `changed` after each stroke

    Args:
        picture: What is painted on: a path, a PIL image, or whatever else `nbtool.Picture` takes.
        mask: What to begin with; None: it is black, and all is protected.

    Attributes:
        picture: The `nbtool.Picture`, with what was added at its edges. Another one can be set;
            its mask is black.
        mask: A PIL image, "L", as large as the picture: white where it is free, black where it is
            protected. Another one can be set; what is drawn on this one is seen when it is set.

    Raises:
        RecipeError: The picture or the mask cannot be read, or they are not the same size.
    """

    _esm = painter.module()
    _css = painter.style()
    picture: traitlets.TraitType[Any, Any] = traitlets.TraitType(None)  # never set to None
    mask = Pixels()
    # The same for the browser, which sets `painted` and `sides` too.
    shown = traitlets.Bytes().tag(sync=True)
    size = traitlets.List([1, 1]).tag(sync=True)
    painted = traitlets.Bytes().tag(sync=True, from_json=lambda value, _: bytes(value))
    sides: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    transparent = traitlets.Bool().tag(sync=True)
    refused = traitlets.Unicode().tag(sync=True)  # why the edges are where they were
    still = traitlets.Unicode().tag(sync=True)  # the class of what stands in for it

    def __init__(self, picture: Any, mask: Any = None) -> None:
        prepare_widgets()
        self._original: Picture | None = None  # the picture before anything was added
        self._added: dict[str, int] = {}
        self._framed: Picture | None = None  # what `picture` is when it was not set from outside
        self._image = self._packed = NOTHING  # what `shown` and `painted` hold
        self._handle: Any = None  # of the display of what stands in for it
        super().__init__(still=f"nbtool-still-{uuid.uuid4().hex[:12]}")
        self.observe(self._on_picture, "picture")
        self.observe(self._on_mask, "mask")
        self.on_msg(self._on_message)
        self.picture = picture
        if mask is not None:
            self.mask = mask

    def outpaint(
        self,
        *,
        left: int = 0,
        right: int = 0,
        top: int = 0,
        bottom: int = 0,
        feather: int = FEATHER,
    ) -> None:
        """Extends the picture that was given, in place of what was added to it before.

        What is painted on it stays, what is new is white in the mask; all as by `nbtool.outpaint`.

        Raises:
            RecipeError: As there.
        """
        self._extend(Sides(left, right, top, bottom), feather)

    # What was set in Python.

    @traitlets.validate("picture")
    def _as_picture(self, proposal: Any) -> Picture:
        picture = Picture(proposal["value"])
        if max(picture.size) > MAX_SIDE:
            width, height = picture.size
            raise RecipeError(
                f"the picture has {width} × {height} pixels; at most {MAX_SIDE} × {MAX_SIDE} can "
                f"be painted on: make it smaller first"
            )
        return picture

    @traitlets.validate("mask")
    def _as_mask(self, proposal: Any) -> PILImage.Image:
        mask = _grays(reading.read(proposal["value"]).image)
        if mask.size != self.picture.size:
            ours, theirs = (" × ".join(map(str, one.size)) for one in (self.picture, mask))
            raise RecipeError(
                f"the mask has {theirs} pixels and the picture {ours}; "
                f"mask.resize(painter.picture.size) makes it fit"
            )
        return mask

    def _on_picture(self, change: Any) -> None:
        if change["new"] != self._framed:
            picture = self._original = change["new"]
            self._become(picture, _black(picture), Sides(), FEATHER)

    def _on_mask(self, change: Any) -> None:
        if change["new"] != self._packed:
            self._packed = change["new"]
            self.painted = png(self._packed)
        self._redraw_still()

    # What the browser says.

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Another mask, or other sides and with them a mask or none."""
        super().set_state(sync_data)
        if "sides" in sync_data:
            self._reframe()
        elif "painted" in sync_data:
            self._take_painted()

    def _reframe(self) -> None:
        wanted, painted = self.sides, self.painted
        try:
            sides = Sides(*(wanted[side] for side in Sides._fields))
            self._extend(sides.fitted(self._size), wanted["feather"])
        except (RecipeError, KeyError, TypeError) as error:
            self.refused = str(error)
            self._show()
        else:
            self.refused = ""
            if painted:
                self.painted = painted
                self._take_painted()

    def _take_painted(self) -> None:
        mask = _mask_of(self.painted)
        if mask is not None and mask.size == self._image.size:
            self._packed = self.mask = mask
        else:
            self._show()

    def _on_message(self, _: object, content: Any, __: object) -> None:
        if isinstance(content, dict) and content.get("kind") == "alpha" and self.transparent:
            self.mask = _grays(self._image)

    # The whole.

    @property
    def _size(self) -> tuple[int, int]:
        """Of the picture that was given."""
        assert self._original is not None
        return self._original.size

    def _extend(self, sides: Sides, feather: int) -> None:
        assert self._original is not None
        width, height = self._size
        left, top = self._added["left"], self._added["top"]
        painted = self.mask.crop((left, top, left + width, top + height))
        picture, mask = self._original, _black(self._original)
        if any(sides):
            larger, mask = extended(picture, sides, feather)
            picture = Picture(larger, name=picture.name)
        mask.paste(painted, (sides.left, sides.top))
        self._become(picture, mask, sides, feather)

    def _become(self, picture: Picture, mask: PILImage.Image, sides: Sides, feather: int) -> None:
        self._framed, self._image, self._packed = picture, picture.image, mask
        self._added = sides._asdict() | {"feather": feather}
        with self.hold_trait_notifications():
            self.picture, self.mask = picture, mask
        self._show()

    def _show(self) -> None:
        """Tells the browser how things are."""
        image = self._image
        with self.hold_sync():
            self.shown = _file(image)
            self.size = list(image.size)
            self.painted = png(self._packed)
            self.sides = dict(self._added)
            self.alt = self.picture.name or "the picture"
            self.transparent = image.mode == "RGBA"

    # Where it is shown.

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and for whoever shows none the picture and its mask as they are now."""
        widget, metadata = super()._repr_mimebundle_(**options) or ({}, {})
        return self._stand_in() | widget, metadata

    def _ipython_display_(self) -> None:
        """The widget, and beside it, hidden while it lives, what a notebook's file keeps."""
        from IPython.display import display

        widget, metadata = super()._repr_mimebundle_() or ({}, {})
        display(widget, metadata=metadata, raw=True)
        self._handle = display(self._stand_in(), raw=True, display_id=self.still)

    def _stand_in(self) -> dict[str, Any]:
        html = still_html(self._image, self._packed, self.still)
        return {"text/plain": repr(self), "text/html": html}

    def _redraw_still(self) -> None:
        if self._handle is not None:
            self._handle.update(self._stand_in(), raw=True)

    def __repr__(self) -> str:
        return f"<Painter of {self.picture!r}>"


def _black(picture: Picture) -> PILImage.Image:
    return PILImage.new("L", picture.size)


def _grays(image: PILImage.Image) -> PILImage.Image:
    """A mask: the grays of a picture, or how transparent it is."""
    return ImageChops.invert(image.getchannel("A")) if image.mode == "RGBA" else image.convert("L")


def _mask_of(file: bytes) -> PILImage.Image | None:
    """The mask of a file from the browser, if it is one."""
    try:
        with quiet_pillow(), PILImage.open(io.BytesIO(file), formats=["PNG"]) as image:
            return image.copy() if image.mode == "L" else None
    except Exception as error:
        log("a mask from the browser cannot be read", error)
        return None


def _file(image: PILImage.Image) -> bytes:
    """A picture for the browser: exact, unless that takes long."""
    if image.width * image.height <= MAX_EXACT:
        return png(image)
    buffer = io.BytesIO()
    if image.mode == "RGBA":
        image.save(buffer, "WEBP", quality=90, method=0)
    else:
        image.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()
