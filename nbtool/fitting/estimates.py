"""What a model takes of memory and time. Pure.

The weights are known to the byte; what the networks take beside them was measured, see
`benchmarks/activations.py`; times are rough. Every size is in GiB.
"""

from __future__ import annotations

from dataclasses import dataclass

from nbtool.catalogue.facts import DENOISERS, DTYPE_BYTES, Facts
from nbtool.machine.hardware import GIB, Gpu

QUANTIZATIONS = {"8bit": 1.05, "4bit": 0.56}  # bytes for each parameter, scales included
TILE = 512  # pixels along the side of a tile that is decoded
MEGAPIXEL = 2**20
PCIE = 12.0  # GiB/s from the computer's memory to a card

# MiB of half precision that a row takes, and takes more for each megapixel, where a model's own
# are not known.
_ROW_MIB = {"unet": (0.0, 260.0), "transformer": (60.0, 500.0)}
_RESERVED = 1.25  # what torch holds of a device's memory to what is used of it at the most
_ON_PROCESSORS = 0.63  # of what a decode takes on a card: cuDNN copies pictures to other layouts
_ON_AMD = 2.8  # times that, as measured by others (invoke-ai/InvokeAI#9519)
_UNFUSED = 3.5  # GiB that attention in a VAE takes at one megapixel where it is not fused
_GROUPED = 0.06  # of a network's weights are on the device at once, with two groups in flight
_LAYERED = 0.02  # the same, layer by layer

# Rough TFLOP/s in half and in single precision that image models get out of a card: a third to
# a half of what its maker states. The first name that the card's name contains.
_SPEEDS = (
    ("H200", 400, 60), ("H100", 380, 60), ("B200", 700, 80), ("A100", 170, 20), ("L40", 120, 40),
    ("A10", 50, 15), ("L4", 45, 15), ("V100", 45, 13), ("T4", 18, 5), ("P100", 10, 7),
    ("RTX 5090", 150, 50), ("RTX 5080", 85, 30), ("RTX 5070", 60, 20),
    ("RTX 4090", 120, 40), ("RTX 4080", 75, 25), ("RTX 4070", 50, 15), ("RTX 4060", 25, 8),
    ("RTX 3090", 50, 18), ("RTX 3080", 42, 15), ("RTX 3070", 28, 10), ("RTX 3060", 18, 7),
    ("RTX 20", 16, 5), ("GTX 16", 2, 2.5), ("GTX 10", 3, 4), ("MI300", 250, 50),
    ("7900", 40, 15), ("7800", 25, 10), ("Arc", 25, 8), ("Ultra", 12, 10), ("Max", 7, 6),
    ("Apple", 2.5, 2.2),
)  # fmt: skip
_CORE = 0.03, 0.06  # the same of a processor's core; old ones compute half precision slowly


@dataclass(frozen=True)
class Footprint:
    """What images of one size take with one model, in one dtype, on one kind of device.

    Attributes:
        facts: Of the model.
        pixels: Of an image.
        dtype: Of the numbers that it is computed in.
        quantization: As in `memory_plans`.
        kind: As in `Gpu`, or "cpu".
    """

    facts: Facts
    pixels: int
    dtype: str
    quantization: str
    kind: str

    @property
    def is_unet(self) -> bool:
        return "unet" in self.facts.parameters

    @property
    def vae_dtype(self) -> str:
        return "float32" if self.facts.wide_vae and self.dtype == "float16" else self.dtype

    @property
    def weights(self) -> dict[str, float]:
        """GiB of each component."""
        sizes: dict[str, float] = {}
        for name, count in self.facts.parameters.items():
            width: float = DTYPE_BYTES[self.vae_dtype if name == "vae" else self.dtype]
            if self.quantization and name.startswith((*DENOISERS, "text_encoder")):
                width = QUANTIZATIONS[self.quantization]
            sizes[name] = count * width / GIB
        return sizes

    @property
    def largest(self) -> float:
        """GiB of the largest component."""
        return max(self.weights.values(), default=0.0)

    def decode(self, *, tiling: bool) -> float:
        """GiB that decoding a picture takes beside the weights."""
        size = self.pixels / MEGAPIXEL
        mib = self.facts.tile_mib if tiling else self.facts.decode_mib * size
        gib = mib / 1024 * DTYPE_BYTES[self.vae_dtype] / 2 * self._held
        if self.kind == "mps":
            seen = min(size, TILE**2 / MEGAPIXEL) if tiling else size
            return gib + _UNFUSED * seen**2
        return gib * {"cpu": _ON_PROCESSORS, "rocm": _ON_AMD}.get(self.kind, 1.0)

    def peak(self, offload: str, rows: int, *, tiling: bool) -> float:
        """GiB of the device at the most, with so many rows in a forward."""
        weights = self.weights
        denoiser = next((name for name in DENOISERS if name in weights), "")
        denoise = rows * self._row()
        decode = self.decode(tiling=tiling)
        if offload == "none":
            return sum(weights.values()) + max(denoise, decode)
        vae = weights.get("vae", 0.0) + decode
        if offload == "model":
            return max(weights.get(denoiser, 0.0) + denoise, vae, self.largest)
        share = _GROUPED if offload == "group" else _LAYERED
        return max(share * self.largest + denoise, vae)

    def seconds(self, offload: str, gpu: Gpu | None, cores: int) -> float | None:
        """For one image with the model's own settings; None where nothing is known."""
        speeds = _card_speeds(gpu) if gpu else (_CORE[0] * cores, _CORE[1] * cores)
        if self.facts.teraflop is None or speeds is None:
            return None
        half, single = speeds
        work = self.facts.teraflop * self.pixels / self.facts.side**2
        steps = self.facts.num_inference_steps
        rows = 2 if self.facts.guidance_scale > 1 else 1
        moved = {
            "none": 0.0,
            "model": sum(self.weights.values()),
            "group": steps * self.largest,
            "sequential": 4 * steps * self.largest,  # each layer by itself, and nothing meanwhile
        }[offload]
        return work * rows * steps / (single if self.dtype == "float32" else half) + moved / PCIE

    @property
    def _held(self) -> float:
        return 1.0 if self.kind == "cpu" else _RESERVED

    def _row(self) -> float:
        """GiB that one row of a denoising forward takes beside the weights."""
        usual = _ROW_MIB["unet" if self.is_unet else "transformer"]
        fixed, growing = self.facts.row_mib or usual
        mib = fixed + growing * self.pixels / MEGAPIXEL
        return mib / 1024 * DTYPE_BYTES[self.dtype] / 2 * self._held


def _card_speeds(gpu: Gpu) -> tuple[float, float] | None:
    return next(((half, single) for name, half, single in _SPEEDS if name in gpu.name), None)
