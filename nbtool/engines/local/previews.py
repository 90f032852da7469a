"""Small pictures of images in the making, from their latents by a linear map."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtool.engines.local.pictures import fetch

if TYPE_CHECKING:
    from numpy import ndarray
    from PIL.Image import Image
    from torch import Tensor

    Array = ndarray[Any, Any]

SAMPLES = 32  # pictures that the map is fitted on
PATCHES = 2  # random colours along a side of such a picture
SIDE = 8  # of such a picture, in latents
RIDGE = 1e-3  # keeps the fit from leaning on latents that hardly vary
NEIGHBOURS = 3  # latents along each direction that decide a pixel


class Previews:
    """Previews of the latents of one VAE.

    The map is fitted on the VAE itself, at the first use: on what it makes of pictures of random
    colours. That latents are nearly linear in RGB was observed by Keturn,
    https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204.

    Args:
        pipeline: Whose `vae` it is; there are previews only of an AutoencoderKL.
    """

    def __init__(self, pipeline: Any) -> None:
        vae = getattr(pipeline, "vae", None)
        self._vae = vae if type(vae).__name__ == "AutoencoderKL" else None
        self._kernel: tuple[Array, Array] | None = None

    def of(self, latents: Tensor) -> Callable[[], Image] | None:
        """What makes the picture of latents, (1, channels, height, width), once it is wanted.

        Of other latents there is none.
        """
        if self._vae is None or latents.ndim != 4:
            return None
        self._kernel = self._kernel or _fit(self._vae)
        return functools.partial(_picture, fetch(latents[0].float().clone()), *self._kernel)


def _picture(fetched: Callable[[], Array], weight: Array, bias: Array) -> Image:
    import numpy as np
    from PIL import Image

    latents = fetched()
    # Where they are mostly noise, some schedulers have them far from unit variance.
    seen = _neighbourhoods(latents / max(1, latents.std()))
    colours = np.einsum("chwij,kcij->hwk", seen, weight, optimize=True) + bias
    return Image.fromarray((255 * colours.clip(0, 1)).astype(np.uint8))


def keep_expected(scheduler: Any) -> None:
    """Makes a scheduler keep, as `expected`, the finished latents that it foresees at each step.

    Early on those show far more than the latents themselves, which are mostly noise. Of schedulers
    that foresee none it keeps the latents.
    """
    original = scheduler.step

    def step(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        previous, *foreseen = result if isinstance(result, tuple) else result.to_tuple()
        scheduler.expected = foreseen[0] if foreseen else _foreseen(scheduler, previous)
        return result

    # For each image, pipelines look at the signature more than once.
    step.__signature__ = _signature(type(scheduler).step)  # type: ignore[attr-defined]
    scheduler.step = step


@functools.cache
def _signature(method: Any) -> inspect.Signature:
    """Of a bound method."""
    signature = inspect.signature(method)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _foreseen(scheduler: Any, latents: Tensor) -> Tensor:
    """What multistep solvers keep for the steps to come, where that is the finished latents."""
    config = scheduler.config
    kept = getattr(scheduler, "model_outputs", None)
    if kept and (config.get("algorithm_type") or "").endswith("dpmsolver++"):
        foreseen: Tensor = kept[-1]
        return foreseen
    return latents


def _fit(vae: Any) -> tuple[Array, Array]:
    """Weight (3, channels, 3, 3) and bias (3) of a convolution from latents to RGB from 0 to 1."""
    import numpy as np

    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    pictures = _pictures()
    large = pictures.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    encoded = vae.encode((2 * large - 1).to(vae.device, vae.dtype)).latent_dist.mean.float().cpu()
    latents = (encoded - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    seen = _neighbourhoods(latents.numpy()).transpose(0, 2, 3, 1, 4, 5)
    seen = seen.reshape(-1, latents.shape[1] * NEIGHBOURS**2)
    seen = np.append(seen, np.ones((len(seen), 1), seen.dtype), axis=1)
    wanted = pictures.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    ridge = RIDGE * len(seen) * np.eye(seen.shape[1], dtype=seen.dtype)
    solution = np.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted).T
    return solution[:, :-1].reshape(3, -1, NEIGHBOURS, NEIGHBOURS), solution[:, -1]


def _pictures() -> Tensor:
    """Pictures of random colours, many of them at the ends of the scale; always the same."""
    import torch

    generator = torch.Generator().manual_seed(0)
    colours = torch.rand(SAMPLES, 3, PATCHES, PATCHES, generator=generator) * 1.4 - 0.2
    size = SIDE // PATCHES
    return colours.clamp(0, 1).repeat_interleave(size, 2).repeat_interleave(size, 3)


def _neighbourhoods(latents: Array) -> Array:
    """Of latents (..., height, width), the border repeated, (..., height, width, 3, 3)."""
    import numpy as np

    sides = (NEIGHBOURS // 2,) * 2
    padded = np.pad(latents, [(0, 0)] * (latents.ndim - 2) + [sides, sides], mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, (NEIGHBOURS,) * 2, axis=(-2, -1))
