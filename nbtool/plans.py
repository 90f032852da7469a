"""How a model is put on a machine: what fits there, what is fastest of it, and why. Pure.

Memory is estimated from the weights, which are known to the byte, and from what the networks
take beside them, which `benchmarks/activations.py` measures. Every size is in GiB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nbtool.catalogue.facts import DENOISERS, DTYPE_BYTES, Facts
from nbtool.display.card import card, card_text
from nbtool.display.progress import duration
from nbtool.hardware import GIB, Gpu, Hardware

OFFLOADS = ("none", "model", "group", "sequential")  # from the fastest to the smallest
# Offload, and whether pictures are decoded in tiles: what changes no pixel first, layers last.
_WAYS = (
    ("none", False), ("model", False), ("none", True), ("model", True), ("group", False),
    ("group", True), ("sequential", False), ("sequential", True),
)  # fmt: skip
QUANTIZATIONS = {"8bit": 1.05, "4bit": 0.56}  # bytes for each parameter, scales included
CONTEXT = 0.5  # what a driver and its libraries take of a card
SPARE = 0.95  # of what is free may be planned with
UNIFIED = 0.7  # of an Apple computer's memory its GPU may use
HOST_SPARE = 0.9  # of the computer's free memory may be planned with
WIDEST = 64  # rows
GROUPED = 0.06  # of a network's weights are on the device at once, with two groups in flight
TILE = 512  # pixels along the side of a tile that is decoded
LONG = 600  # seconds for an image
PCIE = 12.0  # GiB/s from the computer's memory to a card
MEGAPIXEL = 2**20
# MiB of half precision that a row takes, and takes more for each megapixel, where a model's own
# are not known.
ROW_MIB = {"unet": (0.0, 260.0), "transformer": (60.0, 500.0)}
RESERVED = 1.25  # what torch holds of a device's memory to what is used of it at the most
ON_PROCESSORS = 0.63  # of what a decode takes on a card: cuDNN copies pictures to other layouts
ON_AMD = 2.8  # times that, as measured by others (invoke-ai/InvokeAI#7674)
UNFUSED = 3.5  # GiB that attention in a VAE takes at one megapixel where it is not fused
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
_SLOWER = {
    "none": "",
    "model": ", its networks one after the other",
    "group": ", a few layers at a time",
    "sequential": ", layer by layer",
}


@dataclass(frozen=True)
class MemoryPlan:
    """How a model is put on a machine. Shows itself in plain words.

    Attributes:
        model: Its name for people.
        device: One of torch's names.
        dtype: Of the numbers that images are computed in.
        vae_dtype: The same of the VAE.
        offload: A name of `OFFLOADS`.
        attention: "sdpa" (PyTorch's own) or "sliced" (less memory, slower).
        tiling: Whether pictures are decoded in tiles.
        quantization: "8bit", "4bit", or "" for none.
        batch_width: How many rows are expected to fit in one forward; guidance takes two an image.
        peak_gib: The most that is expected to be used of the device, at that width.
        least_gib: The same for one image at a time.
        host_gib: What the weights take of the computer's memory meanwhile.
        free_gib: What is free on the device.
        seconds: For one image with the model's own settings; None where nothing is known.
        fits: Whether all this is expected to work.
        reasons: Why each choice was made, or why it does not fit; sentences.
    """

    model: str
    device: str
    dtype: str
    vae_dtype: str
    offload: str
    attention: str
    tiling: bool
    quantization: str
    batch_width: int
    peak_gib: float
    least_gib: float
    host_gib: float
    free_gib: float
    seconds: float | None
    fits: bool
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that JSON can hold."""
        return asdict(self)

    @property
    def summary(self) -> str:
        """In a few words: how it runs, or why it does not."""
        if not self.fits:
            return f"no: {self.reasons[-1]}"
        how = f"on {self.device} in {self.dtype}"
        slowly = "very slowly, " if (self.seconds or 0) > LONG else ""
        return f"yes, {slowly}{how}{_SLOWER[self.offload]}"

    def rows(self) -> dict[str, str]:
        """Labels and sentences, for people."""
        rows = {
            "Model": self.model,
            "Runs here": self.summary,
            "Memory": (
                f"about {self.least_gib:.1f} GiB for one image at a time, {self.peak_gib:.1f} GiB "
                f"for batches of {self.batch_width} rows; {self.free_gib:.1f} GiB free on "
                f"{self.device}"
            ),
        }
        if self.seconds is not None and self.fits:
            rows["Time"] = f"about {duration(self.seconds)} an image, roughly estimated"
        return rows | {"Why": " ".join(self.reasons)}

    def __str__(self) -> str:
        return card_text(self.rows())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {**card(self.rows())}


def memory_plans(
    facts: Facts,
    machine: Hardware,
    *,
    width: int | None = None,
    height: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    quantization: str = "",
) -> list[MemoryPlan]:
    """Every way to put a model on a machine, the fastest first, whether it fits or not.

    Args:
        facts: Of the model.
        machine: What it has, and what of it is free.
        width: Of the images, in pixels; None: what the model was trained for.
        height: The same.
        device: The only one to use; None: any.
        dtype: The only one to use; None: what suits the device and the model.
        quantization: "8bit" or "4bit" for the large networks' weights; "" for none.
    """
    pixels = (width or facts.side) * (height or facts.side)
    gpu = best_gpu(machine.gpus, device)
    plans: list[MemoryPlan] = []
    if gpu:
        place = gpu.device if ":" in (device or "") else gpu.device.removesuffix(":0")
        free, source = _free(gpu)
        for number, why in _card_dtypes(gpu, facts, dtype):
            shape = _Shape(facts, pixels, number, quantization, free, place, gpu.kind)
            plans += shape.plans(machine, (f"{gpu.name}: {source}.", why), gpu)
    if device in (None, "cpu"):
        reason = "" if gpu else "There is no GPU that torch can use."
        for number in (dtype,) if dtype else ("float32", "bfloat16"):
            free = machine.free_memory_gib
            shape = _Shape(facts, pixels, number, "", free, "cpu", "cpu")
            why = {
                "float32": "A processor is fastest in float32.",
                "bfloat16": "In bfloat16, since float32 takes twice the memory; it is slower.",
            }.get(number, "The dtype asked for.")
            plans += shape.plans(machine, (reason, why), None)
    return plans


def way(plan: MemoryPlan) -> tuple[str | bool, ...]:
    """What tells one way to place a model from another; sizes and reasons aside."""
    return (
        plan.device, plan.dtype, plan.vae_dtype, plan.offload, plan.tiling, plan.attention,
        plan.quantization,
    )  # fmt: skip


def best_plan(plans: Sequence[MemoryPlan]) -> MemoryPlan:
    """The first plan that fits; where none does, the one that comes nearest."""
    for plan in plans:
        if plan.fits:
            return plan
    return min(plans, key=lambda plan: plan.peak_gib - plan.free_gib)


def best_gpu(gpus: Sequence[Gpu], device: str | None) -> Gpu | None:
    """The GPU of a device's name; of all of them, the one with most free memory."""
    if device == "cpu":
        return None
    if device:
        named = device if ":" in device or device == "mps" else f"{device}:0"
        gpus = [gpu for gpu in gpus if gpu.device == named]
    return max(gpus, key=lambda gpu: _free(gpu)[0], default=None)


def _free(gpu: Gpu) -> tuple[float, str]:
    """What may be used of a GPU's memory, and that in words."""
    if gpu.kind == "mps":
        share = min(UNIFIED * gpu.memory_gib, gpu.free_gib or gpu.memory_gib)
        return share, f"{share:.1f} GiB of the computer's memory are for it"
    free = gpu.memory_gib if gpu.free_gib is None else gpu.free_gib
    taken = gpu.memory_gib - free
    others = f", {taken:.1f} GiB are taken by other programs" if taken > 1.5 else ""
    return max(0.0, free - CONTEXT), f"{free:.1f} of {gpu.memory_gib:.1f} GiB are free{others}"


def _card_dtypes(gpu: Gpu, facts: Facts, wanted: str | None) -> Iterator[tuple[str, str]]:
    """The dtypes to try on a GPU, the best first, and why each."""
    if wanted:
        yield wanted, "The dtype asked for."
        return
    if gpu.bfloat16 and "bfloat16" in facts.dtypes and gpu.kind != "mps":
        yield "bfloat16", "In bfloat16: half the memory of float32, and it cannot overflow."
        return
    if gpu.float16 and "float16" in facts.dtypes and gpu.kind != "mps":
        yield "float16", "In float16: this card does not compute in bfloat16."
        return
    if gpu.kind == "mps":
        yield "float32", "In float32: half precision can give black images on Apple's GPUs."
        half = "bfloat16" if "float16" not in facts.dtypes else "float16"
        yield half, f"In {half}, since float32 takes twice the memory; look out for black images."
        return
    if not gpu.float16:
        why = "it gives black images in float16, and has no bfloat16"
    else:
        why = "this model needs bfloat16 or float32, and the card does not compute in bfloat16"
    yield "float32", f"In float32: {why}."


@dataclass(frozen=True)
class _Shape:
    """What a model's parts take on one device, in one dtype."""

    facts: Facts
    pixels: int
    dtype: str
    quantization: str
    free: float
    device: str
    kind: str  # as in `Gpu`, or "cpu"

    @property
    def vae_dtype(self) -> str:
        return "float32" if self.facts.wide_vae and self.dtype == "float16" else self.dtype

    def weights(self) -> dict[str, float]:
        """GiB of each component."""
        sizes: dict[str, float] = {}
        for name, count in self.facts.parameters.items():
            width: float = DTYPE_BYTES[self.vae_dtype if name == "vae" else self.dtype]
            if self.quantization and name.startswith((*DENOISERS, "text_encoder")):
                width = QUANTIZATIONS[self.quantization]
            sizes[name] = count * width / GIB
        return sizes

    def row(self) -> float:
        """GiB that one row of a denoising forward takes beside the weights."""
        usual = ROW_MIB["unet" if "unet" in self.facts.parameters else "transformer"]
        fixed, growing = self.facts.row_mib or usual
        mib = fixed + growing * self.pixels / MEGAPIXEL
        return mib / 1024 * DTYPE_BYTES[self.dtype] / 2 * self._held

    def decode(self, *, tiling: bool) -> float:
        """GiB that decoding a picture takes beside the weights."""
        size = self.pixels / MEGAPIXEL
        mib = self.facts.tile_mib if tiling else self.facts.decode_mib * size
        gib = mib / 1024 * DTYPE_BYTES[self.vae_dtype] / 2 * self._held
        if self.kind == "cpu":
            return gib * ON_PROCESSORS
        if self.kind == "rocm":
            return gib * ON_AMD
        if self.kind == "mps":
            seen = min(size, TILE**2 / MEGAPIXEL) if tiling else size
            return gib + UNFUSED * seen**2
        return gib

    @property
    def _held(self) -> float:
        return 1.0 if self.kind == "cpu" else RESERVED

    def peak(self, offload: str, rows: int, decode: float) -> float:
        """GiB of the device at the most."""
        weights = self.weights()
        denoiser = next((name for name in DENOISERS if name in weights), "")
        denoise = rows * self.row()
        if offload == "none":
            return sum(weights.values()) + max(denoise, decode)
        vae = weights.get("vae", 0.0) + decode
        if offload == "model":
            return max(weights.get(denoiser, 0.0) + denoise, vae, *weights.values())
        share = GROUPED if offload == "group" else GROUPED / 3
        return max(share * max(weights.values(), default=0.0) + denoise, vae)

    def plans(
        self, machine: Hardware, reasons: tuple[str, ...], gpu: Gpu | None
    ) -> Iterator[MemoryPlan]:
        """The ways in this shape, the fastest first."""
        apart = gpu is not None and gpu.kind != "mps"  # memory of its own
        for offload, tiling in _WAYS:
            if (apart or offload == "none") and (not tiling or self.pixels > TILE**2):
                yield self._plan(offload, machine, reasons, gpu, tiling=tiling)

    def _plan(
        self,
        offload: str,
        machine: Hardware,
        reasons: tuple[str, ...],
        gpu: Gpu | None,
        *,
        tiling: bool,
    ) -> MemoryPlan:
        decode = self.decode(tiling=tiling)
        usable = SPARE * self.free if gpu else HOST_SPARE * self.free
        rows = next(
            (n for n in (64, 32, 16, 8, 4, 2) if self.peak(offload, n, decode) <= usable), 1
        )
        peak = self.peak(offload, rows, decode)
        weights = sum(self.weights().values())
        host = weights if gpu and gpu.kind != "mps" else 0.0
        said = [reason for reason in reasons if reason]
        said += self._why(offload, weights, decode, tiling=tiling)
        problem = ""
        if peak > usable:
            problem = f"it needs {peak:.1f} GiB on {self.device}, and {usable:.1f} can be used"
        elif host > HOST_SPARE * machine.free_memory_gib:
            problem = (
                f"its weights take {host:.1f} GiB of the computer's memory on their way to the "
                f"card, and {machine.free_memory_gib:.1f} are free"
            )
        return MemoryPlan(
            model=self.facts.title,
            device=self.device,
            dtype=self.dtype,
            vae_dtype=self.vae_dtype,
            offload=offload,
            tiling=tiling,
            attention="sdpa",
            quantization=self.quantization,
            batch_width=rows,
            peak_gib=peak,
            least_gib=self.peak(offload, min(2, rows), decode),
            host_gib=host,
            free_gib=self.free,
            seconds=self._seconds(offload, machine, gpu),
            fits=not problem,
            reasons=(*said, problem) if problem else tuple(said),
        )

    def _why(self, offload: str, weights: float, decode: float, *, tiling: bool) -> list[str]:
        said = []
        if offload == "none":
            said.append(f"All weights, {weights:.1f} GiB, stay where they are used.")
        elif offload == "model":
            said.append(
                f"All weights together, {weights:.1f} GiB, do not fit beside what computing "
                f"takes: the networks come to the card one after the other."
            )
        else:
            said.append(
                f"Not even the largest network ({max(self.weights().values()):.1f} GiB) fits "
                f"whole: its layers come to the card {'in groups' if offload == 'group' else 'one by one'}."
            )
        if self.vae_dtype != self.dtype:
            said.append(f"The VAE is in {self.vae_dtype}: it overflows in {self.dtype}.")
        if tiling:
            whole = self.decode(tiling=False)
            said.append(f"Pictures are decoded in tiles: {decode:.1f} GiB in place of {whole:.1f}.")
        if self.quantization:
            said.append(f"Weights in {self.quantization}, as asked for.")
        return said

    def _seconds(self, offload: str, machine: Hardware, gpu: Gpu | None) -> float | None:
        """For one image with the model's own settings, very roughly."""
        speeds = _speeds(gpu, machine)
        if self.facts.teraflop is None or speeds is None:
            return None
        half, single = speeds
        speed = single if self.dtype == "float32" else half
        work = self.facts.teraflop * self.pixels / self.facts.side**2
        steps = self.facts.num_inference_steps
        rows = 2 if self.facts.guidance_scale > 1 else 1
        weights = self.weights()
        moved = {
            "none": 0.0,
            "model": sum(weights.values()),
            "group": steps * max(weights.values(), default=0.0),
            "sequential": 4 * steps * max(weights.values(), default=0.0),
        }[offload]
        return work * rows * steps / speed + moved / PCIE


def _speeds(gpu: Gpu | None, machine: Hardware) -> tuple[float, float] | None:
    if gpu is None:
        return _CORE[0] * machine.cores, _CORE[1] * machine.cores
    return next(((half, single) for name, half, single in _SPEEDS if name in gpu.name), None)
