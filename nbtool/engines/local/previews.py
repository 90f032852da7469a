"""Small pictures of images in the making, from their latents by a linear map."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nbtool.engines.local.pictures import fetch

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

SAMPLES = 32  # pictures that the map is fitted on
PATCHES = 2  # random colours along a side of such a picture
SIDE = 8  # of such a picture, in latents
RIDGE = 1e-3  # keeps the fit from leaning on latents that hardly vary
NEIGHBOURS = 3  # latents along each direction that decide a pixel


class Previews:
    """Previews of the latents of one VAE, made for many images together.

    The map is fitted on the VAE itself, at the first use: on what it makes of pictures of random
    colours. That latents are nearly linear in RGB was observed by Keturn,
    https://discuss.huggingface.co/t/decoding-latents-to-rgb-without-upscaling/23204.

    Args:
        pipeline: Whose `vae` it is; there are previews only of an AutoencoderKL.
    """

    def __init__(self, pipeline: Any) -> None:
        vae = getattr(pipeline, "vae", None)
        self._vae = vae if type(vae).__name__ == "AutoencoderKL" else None
        self._kernel: tuple[Tensor, Tensor] | None = None
        self._asked: list[tuple[Tensor, Callable[[Image], None]]] = []
        self._coming: deque[tuple[Callable[[], Any], list[Callable[[Image], None]]]] = deque()
        self._ready = 0

    def ask(self, latents: Tensor, show: Callable[[Image], None]) -> None:
        """Notes latents, (1, channels, height, width), and whom to show their picture.

        Of other latents there is none.
        """
        if self._vae is not None and latents.ndim == 4:
            self._asked.append((latents, show))

    def compute(self) -> None:
        """Starts to compute what has been asked for; a GPU is not waited for."""
        import torch

        self._ready = len(self._coming)
        for size in {latents.shape for latents, _ in self._asked}:
            batch = [(latents, show) for latents, show in self._asked if latents.shape == size]
            fetched = fetch(self._pixels(torch.cat([latents for latents, _ in batch])))
            self._coming.append((fetched, [show for _, show in batch]))
        self._asked.clear()

    def show(self) -> None:
        """Shows what was started to be computed before the last time.

        To show that of the last time would let a GPU that is still busy with it run dry.
        """
        from PIL import Image

        for _ in range(self._ready):
            fetched, shows = self._coming.popleft()
            for picture, show in zip(fetched(), shows, strict=True):
                show(Image.fromarray(picture))
        self._ready = 0

    def _pixels(self, latents: Tensor) -> Tensor:
        """Of latents (n, channels, h, w) the pixels (n, h, w, 3), 8 bits a colour."""
        import torch
        from torch.nn.functional import conv2d

        self._kernel = self._kernel or _fit(self._vae)
        # Where they are mostly noise, some schedulers have them far from unit variance.
        latents = latents.float()
        latents = latents / latents.std(dim=(1, 2, 3), keepdim=True).clamp(min=1)
        colours = conv2d(_padded(latents), *self._kernel).clamp(0, 1)
        return (255 * colours).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def keep_expected(scheduler: Any) -> None:
    """Makes a scheduler keep, as `expected`, the finished latents that it foresees at each step.

    Early on those show far more than the latents themselves, which are mostly noise. Of schedulers
    that foresee none it keeps the latents.
    """
    original = scheduler.step

    @functools.wraps(original)  # pipelines look at the signature
    def step(*args: Any, return_dict: bool = True, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        scheduler.expected = result.get("pred_original_sample")
        if scheduler.expected is None:
            scheduler.expected = _foreseen(scheduler, result.prev_sample)
        return result if return_dict else result.to_tuple()

    scheduler.step = step


def _foreseen(scheduler: Any, latents: Tensor) -> Tensor:
    """What multistep solvers keep for the steps to come, where that is the finished latents."""
    config = scheduler.config
    kept = getattr(scheduler, "model_outputs", None)
    if kept and (config.get("algorithm_type") or "").endswith("dpmsolver++"):
        foreseen: Tensor = kept[-1]
        return foreseen
    return latents


def _fit(vae: Any) -> tuple[Tensor, Tensor]:
    """Weight (3, channels, 3, 3) and bias (3) of a convolution from latents to RGB from 0 to 1."""
    import torch
    from torch.nn.functional import unfold

    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    pictures = _pictures()
    large = pictures.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    encoded = vae.encode((2 * large - 1).to(vae.device, vae.dtype)).latent_dist.mean.float().cpu()
    latents = (encoded - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    seen = unfold(_padded(latents), NEIGHBOURS).transpose(1, 2).flatten(0, 1)
    seen = torch.cat([seen, torch.ones(len(seen), 1)], dim=1)
    wanted = pictures.permute(0, 2, 3, 1).reshape(-1, 3)
    ridge = RIDGE * len(seen) * torch.eye(seen.shape[1])
    solution = torch.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted).T.to(vae.device)
    kernel = solution[:, :-1].reshape(3, -1, NEIGHBOURS, NEIGHBOURS).contiguous()
    return kernel, solution[:, -1].contiguous()


def _pictures() -> Tensor:
    """Pictures of random colours, many of them at the ends of the scale; always the same."""
    import torch

    generator = torch.Generator().manual_seed(0)
    colours = torch.rand(SAMPLES, 3, PATCHES, PATCHES, generator=generator) * 1.4 - 0.2
    size = SIDE // PATCHES
    return colours.clamp(0, 1).repeat_interleave(size, 2).repeat_interleave(size, 3)


def _padded(latents: Tensor) -> Tensor:
    from torch.nn.functional import pad

    return pad(latents, (NEIGHBOURS // 2,) * 4, mode="replicate")
