"""From a pipeline's output to a picture, and what is wrong with it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image
    from torch import Tensor


def fetch(tensor: Tensor) -> Callable[[], ndarray[Any, Any]]:
    """Starts to copy a tensor off its device; what it returns waits for that, on any thread."""
    import torch

    on_host = tensor.to("cpu", non_blocking=True)
    copied: Any = None
    if tensor.is_cuda:
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record()

    def fetched() -> ndarray[Any, Any]:
        if copied is not None:
            copied.synchronize()
        array: ndarray[Any, Any] = on_host.numpy()
        return array

    return fetched


def postpone_postprocessing(pipeline: Any) -> bool:
    """Makes an adopted pipeline return what its decoder made, from -1 to 1, if that is float32.

    With torch, turning it to colours wakes all cores for a moment, and the images in the making
    wait if one of them is busy. `fetch_picture` does the same to the bit, on another thread.
    """
    import torch

    processor = getattr(pipeline, "image_processor", None)
    if pipeline.vae.dtype != torch.float32 or not processor or not processor.config.do_normalize:
        return False

    def postprocess(image: Any, output_type: str = "pil", *args: Any, **kwargs: Any) -> Any:
        if output_type == "pt":
            return image
        return processor.postprocess(image, output_type, *args, **kwargs)

    own = copy.copy(processor)
    own.postprocess = postprocess
    # Past the pipeline's __setattr__, which would write out its configuration.
    pipeline.__dict__["image_processor"] = own
    return True


def fetch_picture(pixels: Tensor, *, postprocessed: bool) -> Callable[[], tuple[Image, bool]]:
    """Starts to copy an image; what it returns rounds it as diffusers does.

    Args:
        pixels: (3, height, width), from 0 to 1 if it is postprocessed, else from -1 to 1.
        postprocessed: Whether the pipeline has turned what its decoder made to colours.

    Returns:
        Gives the picture, and whether all of its pixels are numbers.
    """
    import numpy as np
    from PIL import Image

    fetched = fetch(pixels.float())

    def picture() -> tuple[Image.Image, bool]:
        colours = fetched()
        finite = bool(np.isfinite(colours).all())
        if not postprocessed:
            colours = (colours * 0.5 + 0.5).clip(0, 1)
        with np.errstate(invalid="ignore"):
            rounded = (colours * 255).round().astype(np.uint8)
        return Image.fromarray(rounded.transpose(1, 2, 0)), finite

    return picture


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
