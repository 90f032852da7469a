"""From a pipeline's output to a picture, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image
    from torch import Tensor


def fetch(tensor: Tensor) -> Callable[[], ndarray[Any, Any]]:
    """Starts to copy a tensor off its device; what it returns waits for that, on any thread."""
    import torch

    copy = tensor.to("cpu", non_blocking=True)
    copied: Any = None
    if tensor.is_cuda:
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record()

    def fetched() -> ndarray[Any, Any]:
        if copied is not None:
            copied.synchronize()
        array: ndarray[Any, Any] = copy.numpy()
        return array

    return fetched


def fetch_picture(pixels: Tensor) -> Callable[[], tuple[Image, bool]]:
    """Starts to copy an image, (3, height, width) from 0 to 1; rounded as diffusers does.

    What it returns has the picture, and whether all of its pixels are numbers.
    """
    import torch
    from PIL import Image

    pixels = pixels.permute(1, 2, 0).float()
    colours = fetch((pixels * 255).round().to(torch.uint8).contiguous())
    finite = fetch(torch.isfinite(pixels).all())
    return lambda: (Image.fromarray(colours()), bool(finite()))


def fault(picture: Image, dtype: str, *, finite: bool) -> str | None:
    """What makes a picture none, and what to do about it."""
    if finite and picture.getbbox():  # the box around what is not black
        return None
    what = "is entirely black" if finite else "came out as NaN"
    if dtype == "float16":
        return (
            f"the picture {what}: numbers in the networks grew too large for float16; use "
            f"dtype='bfloat16' or 'float32', or a VAE mended for float16"
        )
    return (
        f"the picture {what}: the sampling went astray; try more steps, "
        f"a lower guidance_scale or another scheduler"
    )
