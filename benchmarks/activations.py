"""How much memory the activations of each network take in a forward, found without a GPU.

    python benchmarks/activations.py                  all, about five minutes on one core
    python benchmarks/activations.py --only sdxl vae-qwen
    python benchmarks/activations.py --check          fake tensors against real ones

Runs the networks, in their published configurations, on fake tensors, which have a shape and no
bytes, and follows which storages live. A peak has the result in it, but not weights and inputs.
Attention makes no L × L matrix. "On a GPU" adds what cuDNN may take in a convolution: copies, in
its own layout, of what goes in and what comes out. A row is one image of a batch; with guidance,
an image is two. A megapixel is 1024², so that MiB of it are bytes of a pixel.
"""

from __future__ import annotations

import argparse
import os
import weakref
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # fake tensors compute nothing

import numpy as np
import torch
from diffusers import models
from torch import zeros
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MIB = 2**20
SIZES = ((512, 512), (512, 768), (1024, 1024))


class Live(TorchDispatchMode):
    """Follows the bytes of the storages made under it, each counted once while it lives."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.peak = self.gpu_peak = 0
        self._known: dict[int, weakref.ref[torch.UntypedStorage]] = {}

    def __torch_dispatch__(self, run: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        made = run(*given, **(named or {}))
        for tensor in filter(torch.is_tensor, tree_leaves(made)):
            self._count(tensor.untyped_storage())
        copies = given[0].nbytes + made.nbytes if run is torch.ops.aten.convolution.default else 0
        self.peak = max(self.peak, self.bytes)
        self.gpu_peak = max(self.gpu_peak, self.bytes + copies)
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = id(storage), storage.nbytes()
        if key in self._known:
            return

        def freed(_: object) -> None:
            del self._known[key]
            self.bytes -= size

        self._known[key] = weakref.ref(storage, freed)
        self.bytes += size

    def peaks(self, forward: Callable[..., Any], inputs: tuple[Any, ...]) -> tuple[float, float]:
        """MiB of `forward(*inputs)`, here and on a GPU, at most, beyond what lives before it."""
        self.peak = self.gpu_peak = before = self.bytes
        forward(*inputs)
        return (self.peak - before) / MIB, (self.gpu_peak - before) / MIB


def latents(*shape: int, factor: int = 8) -> Callable[..., tuple[torch.Tensor]]:
    return lambda z, n, h, w: (z(n, *shape, h // factor, w // factor),)


# fmt: off
SDXL = {
    "cross_attention_dim": 2048, "attention_head_dim": (5, 10, 20),
    "block_out_channels": (320, 640, 1280), "transformer_layers_per_block": (1, 2, 10),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "use_linear_projection": True, "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816}
KL = {
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
KL16 = {**KL, "latent_channels": 16, "use_quant_conv": False, "use_post_quant_conv": False}
BLOCKS = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
DC = {
    "encoder_block_types": BLOCKS, "encoder_layers_per_block": (2, 2, 2, 3, 3, 3),
    "decoder_block_types": BLOCKS, "decoder_layers_per_block": (3,) * 6,
    "downsample_block_type": "conv", "upsample_block_type": "interpolate"}
# What builds it; what it is given: of `zeros` in its dtype, rows, height and width.
DENOISERS = {
    "sd-v1-5": (
        partial(models.UNet2DConditionModel, cross_attention_dim=768),
        lambda z, n, h, w: (z(n, 4, h // 8, w // 8), zeros(n), z(n, 77, 768))),
    "sdxl": (
        partial(models.UNet2DConditionModel, **SDXL),
        lambda z, n, h, w: (
            z(n, 4, h // 8, w // 8), zeros(n), z(n, 77, 2048), None, None, None, None,
            {"text_embeds": z(n, 1280), "time_ids": z(n, 6)})),
    "sd3.5-medium": (
        partial(models.SD3Transformer2DModel, num_layers=24, num_attention_heads=24,
                caption_projection_dim=1536, pos_embed_max_size=384, qk_norm="rms_norm",
                dual_attention_layers=tuple(range(13))),
        lambda z, n, h, w: (z(n, 16, h // 8, w // 8), z(n, 333, 4096), z(n, 2048), zeros(n))),
    "flux1-dev": (
        partial(models.FluxTransformer2DModel, guidance_embeds=True),
        lambda z, n, h, w: (z(n, h * w // 256, 64), z(n, 512, 4096), z(n, 768), z(n),
                            z(h * w // 256, 3), z(512, 3), zeros(n))),
    "flux2-klein-4b": (
        partial(models.Flux2Transformer2DModel, num_layers=5, num_single_layers=20,
                num_attention_heads=24, joint_attention_dim=7680, guidance_embeds=False),
        lambda z, n, h, w: (z(n, h * w // 256, 128), z(n, 512, 7680), z(n),
                            z(h * w // 256, 4), z(512, 4), None)),
    "z-image-turbo": (
        models.ZImageTransformer2DModel,
        lambda z, n, h, w: (list(z(n, 16, 1, h // 8, w // 8)), z(n), list(z(n, 512, 2560)))),
    "qwen-image": (
        models.QwenImageTransformer2DModel,
        lambda z, n, h, w: (z(n, h * w // 256, 64), z(n, 512, 3584), None, z(n),
                            [[(1, h // 16, w // 16)]] * n)),
    "sana": (
        models.SanaTransformer2DModel,
        lambda z, n, h, w: (z(n, 32, h // 32, w // 32), z(n, 300, 2304), zeros(n), None, z(n, 300))),
}
DECODERS = {
    "vae-kl of SD 1.5": (partial(models.AutoencoderKL, **KL, sample_size=512), latents(4)),
    "vae-kl of SDXL": (partial(models.AutoencoderKL, **KL, sample_size=1024), latents(4)),
    "vae-kl of SD3, Flux.1 and Z-Image": (
        partial(models.AutoencoderKL, **KL16, sample_size=1024), latents(16)),
    "vae-flux2": (models.AutoencoderKLFlux2, latents(32)),
    "vae-qwen": (models.AutoencoderKLQwenImage, latents(16, 1)),
    "vae-dc of Sana": (partial(models.AutoencoderDC, **DC), latents(32, factor=32)),
}
# fmt: on


def measure(name: str, dtype: torch.dtype, *, tiled: bool = False) -> None:
    """Prints a line for each size: what a row takes, whatever the rows, and the fit's error."""
    build, inputs = (DENOISERS | DECODERS)[name]
    sizes = SIZES + ((1328, 1328),) * (name == "qwen-image")  # its own size
    with FakeTensorMode(), Live() as live, torch.no_grad():
        torch.set_default_dtype(dtype)
        network: Any = build().eval()
        torch.set_default_dtype(torch.float32)
        if tiled:
            network.enable_tiling()
            sizes = ((1024, 1024), (2048, 2048))
        forward = getattr(network, "decode", network)
        for height, width in sizes:
            rows = np.array((1, 2) if tiled else (1, 2, 4, 8))
            given = (inputs(partial(zeros, dtype=dtype), int(n), height, width) for n in rows)
            peaks, gpu_peaks = np.array([live.peaks(forward, each) for each in given]).T
            (row, fixed), (gpu_row, _) = np.polyfit(rows, peaks, 1), np.polyfit(rows, gpu_peaks, 1)
            error = np.max(np.abs(fixed + row * rows - peaks) / peaks)
            title = f"{name}{', tiled' * tiled} | {str(dtype)[6:]} | {width} × {height}"
            fit = f"{row:.1f} | {abs(fixed):.1f} | {error:.2%} | {row * MIB / height / width:.0f}"
            print(f"| {title} | {fit} | {gpu_row:.1f} |", flush=True)


def check() -> None:
    """Prints peaks of small networks on fake tensors, on real ones, and by torch's allocator."""
    small = {"block_out_channels": (32, 32, 64, 64)}
    for build, inputs in (DENOISERS["sd-v1-5"], DECODERS["vae-kl of SD 1.5"]):
        found = []
        for mode in (FakeTensorMode(), nullcontext()):
            with mode, torch.no_grad(), Live() as live:
                network: Any = build(**small).eval()
                work = getattr(network, "decode", network), inputs(zeros, 4, 256, 256)
                found.append(live.peaks(*work)[0])
        with torch.profiler.profile(profile_memory=True) as profile, torch.no_grad():
            work[0](*work[1])
        events = profile.profiler.kineto_results.events()
        sizes = [event.nbytes() for event in events if event.name() == "[memory]"]
        found.append(max(np.cumsum(sizes)) / MIB)
        fake, real, allocated = (f"{peak:.3f} MiB" for peak in found)
        print(f"{type(network).__name__}: fake {fake}, real {real}, allocator {allocated}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", default=[""], help="how the networks' names begin")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        check()
        raise SystemExit
    print("| network | dtype | size | MiB/row | fixed MiB | error | per megapixel | on a GPU |")
    print("|---|---|---|---|---|---|---|---|")
    for name in DENOISERS | DECODERS:
        if name.startswith(tuple(options.only)):
            for tiled in (False, True) if name in DECODERS else (False,):
                measure(name, torch.bfloat16, tiled=tiled)
                measure(name, torch.float32, tiled=tiled)
