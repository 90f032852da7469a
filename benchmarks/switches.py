"""What switches bring: ways to run the denoiser, one against the other in every round.

python benchmarks/switches.py                  # the embedded model on the processor
python benchmarks/switches.py --device cuda    # SD 1.5 at 512² and SDXL at 1024², bfloat16
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from gpu import sd15, sdxl
from methods import alone
from torch.nn.attention import SDPBackend, sdpa_kernel

from nbtool.engines.local import LocalEngine, memory, tuning
from nbtool.engines.local.loading import load

ROUNDS = 9


@contextmanager
def channels_first(unet: Any) -> Iterator[None]:
    unet.to(memory_format=torch.contiguous_format)
    yield
    unet.to(memory_format=torch.channels_last)


@contextmanager
def attention_not_fused(unet: Any) -> Iterator[None]:
    unet.set_attn_processor(AttnProcessor())
    yield
    unet.set_attn_processor(AttnProcessor2_0())


@contextmanager
def attention_in_slices(unet: Any) -> Iterator[None]:
    unet.set_attention_slice("auto")
    yield
    unet.set_attn_processor(AttnProcessor2_0())


def attention_by(backend: SDPBackend) -> Callable[[Any], AbstractContextManager[None]]:
    return lambda _: sdpa_kernel(backend)


OTHERS: dict[str, Callable[[Any], AbstractContextManager[None]]] = {
    "channels first": channels_first,
    "attention not fused": attention_not_fused,
    "attention in slices": attention_in_slices,
    "PyTorch's attention: flash": attention_by(SDPBackend.FLASH_ATTENTION),
    "PyTorch's attention: efficient": attention_by(SDPBackend.EFFICIENT_ATTENTION),
    "PyTorch's attention: cuDNN": attention_by(SDPBackend.CUDNN_ATTENTION),
    "PyTorch's attention: plain": attention_by(SDPBackend.MATH),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cpu")
    options = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print("| model | way to run it | a row | as fast | to prepare |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, model, side, rows in _models(options.device, Path(folder)):
            alone(lambda n=name, m=model, s=side, r=rows: _compare(n, m, options.device, s, r))


def _models(device: str, folder: Path) -> Iterator[tuple[str, str, int, int]]:
    """Name, where it is, the side of a picture and the rows of a forward."""
    if device == "cpu":
        yield "shapes, 128²", "shapes", 128, 16
        return
    for name, build, side, rows in (("SD 1.5", sd15, 512, 16), ("SDXL", sdxl, 1024, 8)):
        build().to(torch.bfloat16).save_pretrained(folder / name)
        yield f"{name}, {side}²", str(folder / name), side, rows


def _compare(name: str, model: str, device: str, side: int, rows: int) -> None:
    engine = LocalEngine(model, device=device)
    pipeline = load(engine.model, engine.placement.plan)
    size = {"width": side, "height": side}
    with torch.no_grad():
        ways = [way for way in tuning.WORDS if way != "as it is"]
        trials, failed = tuning.try_switches(pipeline, pipeline.unet, ways, rows, size)
        for trial in trials:
            _row(name, tuning.WORDS[trial.name], trial.milliseconds, trial.gain, trial.preparing)
        for way, why in failed.items():
            print(f"| {name} | {tuning.WORDS[way]} | {why} | | |")
        for way, gain, milliseconds in _others(pipeline, rows, size):
            _row(name, way, milliseconds, gain, 0)


def _others(pipeline: Any, rows: int, size: dict[str, int]) -> Iterator[tuple[str, float, float]]:
    unet = pipeline.unet
    args, kwargs = tuning.question(pipeline, unet, rows, size)

    def pace() -> float:
        memory.wait(unet.device)
        started = time.perf_counter()
        unet(*args, **kwargs)
        memory.wait(unet.device)
        return time.perf_counter() - started

    for way, so in OTHERS.items():
        ratios, times = [], []
        try:
            for _ in range(ROUNDS):
                base = min(pace(), pace())
                with so(unet):
                    times.append(min(pace(), pace()))
                ratios.append(base / times[-1])
        except RuntimeError as error:
            print(f"| | {way} | {str(error).splitlines()[0]} | | |")
            continue
        yield way, statistics.median(ratios), 1e3 * statistics.median(times) / rows


def _row(name: str, way: str, milliseconds: float, gain: float, preparing: float) -> None:
    wait = f"{preparing:.0f} s" if preparing > 1 else ""
    print(f"| {name} | {way} | {milliseconds:.2f} ms | {gain:.2f} | {wait} |", flush=True)


if __name__ == "__main__":
    main()
