"""A picture enlarged as the model has it: encoded, and made larger there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


def enlarged(pipeline: Any, picture: Image, width: int, height: int) -> Tensor:
    """The latents of a picture in a larger size, as image-to-image pipelines take them.

    Nothing of it is chance: the middle of what the encoder gives is taken.

    Args:
        pipeline: Whose `vae` encodes; adopted by the forwards or not.
        picture: Of the size before.
        width: In pixels, afterwards.
        height: The same.
    """
    from torch.nn.functional import interpolate

    device = pipeline._execution_device  # noqa: SLF001 - offloaded or not
    pixels = pipeline.image_processor.preprocess(picture).to(device)
    config = pipeline.vae.config
    encoded = pipeline.vae.encode(pixels.to(pipeline.vae.dtype)).latent_dist.mode()
    latents = (encoded - (config.get("shift_factor") or 0)) * config.scaling_factor
    factor = pipeline.vae_scale_factor
    return interpolate(latents, size=(height // factor, width // factor), mode="bilinear")
