"""How a model is put on a machine: what fits there, what is fastest of it, and why. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from nbtool.catalogue.facts import Facts
from nbtool.fitting.estimates import TILE, Footprint
from nbtool.machine.hardware import Gpu, Hardware
from nbtool.text import card, card_text, duration

OFFLOADS = ("none", "model", "group", "sequential")  # from the fastest to the smallest
# Offload, and whether pictures are decoded in tiles: what changes no pixel first, layers last.
_WAYS = (
    ("none", False), ("model", False), ("none", True), ("model", True), ("group", False),
    ("group", True), ("sequential", False), ("sequential", True),
)  # fmt: skip
_SLOWER = {
    "none": "",
    "model": ", its networks one after the other",
    "group": ", a few layers at a time",
    "sequential": ", layer by layer",
}
WIDTHS = (64, 32, 16, 8, 4, 2)  # rows
CONTEXT = 0.5  # GiB that a driver and its libraries take of a card
SPARE = 0.95  # of what is free on a card may be planned with
UNIFIED = 0.7  # of an Apple computer's memory its GPU may use
HOST_SPARE = 0.9  # of the computer's free memory may be planned with
SLICED_BELOW = 64  # GiB; https://huggingface.co/docs/diffusers/optimization/mps
LONG = 600  # seconds for an image
SYSTEM, SYSTEM_ON_CARD = 1.0, 0.25  # GiB that the system alone takes of a computer, of a card
SYSTEM_SHARE = 0.2  # and no more of a small one than this
_ON_PROCESSORS = {
    "float32": "A processor computes well in float32.",
    "bfloat16": "In bfloat16, since float32 takes twice the memory.",
}


@dataclass(frozen=True)
class MemoryPlan:
    """How a model is put on a machine with what is free there now. Shows itself in plain words.

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
        weights_gib: What the weights take, wherever they are.
        host_gib: What they take of the computer's memory beside a card's.
        free_gib: What is free on the device.
        seconds: For one image with the model's own settings; None where nothing is known.
        fits: Whether all this is expected to work now.
        short_gib: How much more memory would have to be free now; 0 where it fits, or where this
            machine has too little with nothing else running.
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
    weights_gib: float
    host_gib: float
    free_gib: float
    seconds: float | None
    fits: bool
    short_gib: float
    reasons: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values that JSON can hold."""
        return asdict(self)

    @property
    def summary(self) -> str:
        """In a few words: how it runs now, when it would, or why it does not."""
        if self.short_gib:
            return f"yes, once memory is free: {self.short_gib:.1f} GiB more needed now"
        return f"yes, {self.how}" if self.fits else f"no: {self.reasons[-1]}"

    @property
    def how(self) -> str:
        """In a few words: how fast, where, and in which numbers."""
        slowly = "very slowly, " if (self.seconds or 0) > LONG else ""
        return f"{slowly}on {self.device} in {self.dtype}{_SLOWER[self.offload]}"

    def rows(self) -> dict[str, str]:
        """Labels and sentences, for people."""
        rows = {
            "Model": self.model,
            "Runs now": self.summary,
            "Memory": (
                f"about {self.least_gib:.1f} GiB for one image at a time, {self.peak_gib:.1f} GiB "
                f"for batches of {self.batch_width} rows; {self.free_gib:.1f} GiB free on "
                f"{self.device} now"
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
        machine: What it has, and what of it is free now; see `at_rest`.
        width: Of the images, in pixels; None: what the model was trained for.
        height: The same.
        device: The only one to use; None: any.
        dtype: The only one to use; None: what suits the device and the model.
        quantization: "8bit" or "4bit" for the large networks' weights; "" for none.
    """
    pixels = (width or facts.side) * (height or facts.side)
    plans: list[MemoryPlan] = []
    if gpu := best_gpu(machine.gpus, device):
        free, source = _free(gpu)
        name = device if ":" in (device or "") else gpu.device.removesuffix(":0")
        place = _Place(machine, gpu, str(name), free)
        for number, why in _card_dtypes(gpu, facts, dtype):
            size = Footprint(facts, pixels, number, quantization, gpu.kind)
            plans += place.plans(size, (f"{gpu.name}: {source}.", why))
    if device in (None, "cpu"):
        place = _Place(machine, None, "cpu", machine.free_memory_gib)
        reason = "" if gpu else "There is no GPU that torch can use."
        for number in (dtype,) if dtype else tuple(_ON_PROCESSORS):
            size = Footprint(facts, pixels, number, quantization, "cpu")
            why = "The dtype asked for." if dtype else _ON_PROCESSORS[number]
            plans += place.plans(size, (reason, why))
    return plans


def how_placed(plan: MemoryPlan) -> tuple[str | bool, ...]:
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
    if later := [plan for plan in plans if plan.short_gib]:
        return min(later, key=lambda plan: plan.short_gib)
    return min(plans, key=lambda plan: plan.peak_gib - plan.free_gib)


def at_rest(machine: Hardware) -> Hardware:
    """A machine while nothing runs but its system: what it can do, whatever it does now."""

    def rested(memory: float, system: float, free: float | None) -> float:
        return max(memory - min(system, SYSTEM_SHARE * memory), free or 0.0)

    gpus = tuple(
        replace(gpu, free_gib=rested(gpu.memory_gib, SYSTEM_ON_CARD, gpu.free_gib))
        for gpu in machine.gpus
    )
    free = rested(machine.memory_gib, SYSTEM, machine.free_memory_gib)
    return replace(machine, gpus=gpus, free_memory_gib=free)


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
class _Place:
    """A device, and what is free there."""

    machine: Hardware
    gpu: Gpu | None
    device: str
    free: float

    @property
    def spare(self) -> float:
        """How much of what is free may be planned with."""
        return SPARE if self.gpu else HOST_SPARE

    @property
    def usable(self) -> float:
        return self.spare * self.free

    @property
    def at_rest(self) -> _Place:
        """The same while nothing runs but the system."""
        machine = at_rest(self.machine)
        if self.gpu is None:
            return _Place(machine, None, self.device, machine.free_memory_gib)
        gpu = next(gpu for gpu in machine.gpus if gpu.device == self.gpu.device)
        return _Place(machine, gpu, self.device, _free(gpu)[0])

    @property
    def apart(self) -> bool:
        """Whether it has a memory of its own."""
        return self.gpu is not None and self.gpu.kind != "mps"

    def plans(self, size: Footprint, reasons: Sequence[str]) -> Iterator[MemoryPlan]:
        """The ways to put a model there, the fastest first."""
        for offload, tiling in _WAYS:
            if (self.apart or offload == "none") and (not tiling or size.pixels > TILE**2):
                yield self._plan(size, offload, reasons, tiling=tiling)

    def _plan(
        self, size: Footprint, offload: str, reasons: Sequence[str], *, tiling: bool
    ) -> MemoryPlan:
        fitting = (n for n in WIDTHS if size.peak(offload, n, tiling=tiling) <= self.usable)
        width = next(fitting, 1)
        peak = size.peak(offload, width, tiling=tiling)
        host = sum(size.weights.values()) if self.apart else 0.0
        memory = self.machine.memory_gib
        sliced = size.kind == "mps" and memory < SLICED_BELOW and size.is_unet
        problem = self.problem(size, peak, host)
        waits = bool(problem) and not self.at_rest.problem(size, peak, host)
        return MemoryPlan(
            model=size.facts.title,
            device=self.device,
            dtype=size.dtype,
            vae_dtype=size.vae_dtype,
            offload=offload,
            attention="sliced" if sliced else "sdpa",
            tiling=tiling,
            quantization=size.quantization,
            batch_width=width,
            peak_gib=peak,
            least_gib=size.peak(offload, min(2, width), tiling=tiling),
            weights_gib=sum(size.weights.values()),
            host_gib=host,
            free_gib=self.free,
            seconds=size.seconds(offload, self.gpu, self.machine.cores),
            fits=not problem,
            short_gib=self._short(peak, host) if waits else 0.0,
            reasons=(
                *filter(None, reasons),
                *_why(size, offload, tiling=tiling, sliced=sliced),
                f"{problem}{' now' * waits}" or f"Up to {width} rows fit in a batch.",
            ),
        )

    def problem(self, size: Footprint, peak: float, host: float) -> str:
        """Why a plan does not work; "" if it should."""
        free = self.machine.free_memory_gib
        if size.quantization and size.kind != "cuda":
            return f"weights in {size.quantization} need an NVIDIA card"
        if peak > self.usable:
            return f"it needs {peak:.1f} GiB on {self.device}, and {self.usable:.1f} can be used"
        if host > HOST_SPARE * free:
            return (
                f"its weights take {host:.1f} GiB of the computer's memory on their way to the "
                f"card, and {HOST_SPARE * free:.1f} can be used"
            )
        return ""

    def _short(self, peak: float, host: float) -> float:
        """What would have to be free besides, rounded up to what is shown."""
        device = peak / self.spare - self.free
        computer = host / HOST_SPARE - self.machine.free_memory_gib
        return math.ceil(10 * max(device, computer)) / 10


def _why(size: Footprint, offload: str, *, tiling: bool, sliced: bool) -> Iterator[str]:
    """The reasons for a way, in sentences."""
    weights = sum(size.weights.values())
    if offload == "none":
        yield f"All weights, {weights:.1f} GiB, stay where they are used."
    elif offload == "model":
        yield (
            f"All weights together, {weights:.1f} GiB, do not fit beside what computing takes: "
            f"the networks come to the card one after the other."
        )
    else:
        how = "in groups" if offload == "group" else "one by one"
        yield (
            f"Not even the largest network ({size.largest:.1f} GiB) fits whole: its layers come "
            f"to the card {how}."
        )
    if size.vae_dtype != size.dtype:
        yield f"The VAE is in {size.vae_dtype}: it overflows in {size.dtype}."
    if tiling:
        whole, tiled = size.decode(tiling=False), size.decode(tiling=True)
        yield f"Pictures are decoded in tiles: {tiled:.1f} GiB in place of {whole:.1f}."
    if size.quantization:
        yield f"Weights in {size.quantization}, as asked for."
    if sliced:
        yield (
            f"Attention is computed in slices, as diffusers advises on Apple computers with less "
            f"than {SLICED_BELOW} GiB of memory."
        )
    else:
        yield "Attention is PyTorch's own."
