"""The memory that plans expect, against what is used: random weights of true configurations.

    python benchmarks/memory.py                    # on a GPU: SD 1.5 and SDXL, every offload
    python benchmarks/memory.py --device cpu       # SD 1.5 in the computer's memory; Linux only

Each measurement is a process of its own: one denoising forward of so many rows, and one decode.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch
from gpu import sd15, sdxl

from nbtool.engines.local import LocalEngine, memory, tuning
from nbtool.engines.local.loading import load, networks
from nbtool.fitting.estimates import Footprint
from nbtool.fitting.plans import OFFLOADS
from nbtool.machine.hardware import GIB

MODELS = {"sd15": (sd15, 512), "sdxl": (sdxl, 1024)}
ROWS = (1, 2, 4)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        folder, offload, rows = options.one
        print(json.dumps(_measure(Path(folder), options.device, offload, int(rows))))
        return
    on_card = options.device == "cuda"
    device = torch.cuda.get_device_name() if on_card else "processor"
    print(f"{device}, torch {torch.__version__}\n")
    print("| model | offload | rows | expected | used | expected / used |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in MODELS if on_card else ("sd15",):
            build, _ = MODELS[name]
            path = Path(folder) / name
            build().to(torch.bfloat16 if on_card else torch.float32).save_pretrained(path)
            for offload in OFFLOADS if on_card else OFFLOADS[:1]:
                for rows in ROWS:
                    _row(path, options.device, offload, rows)


def _row(folder: Path, device: str, offload: str, rows: int) -> None:
    command = [sys.executable, __file__, "--device", device, "--one", folder, offload, str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    expected, used = json.loads(done.stdout.splitlines()[-1])
    cells = [
        folder.name,
        offload,
        str(rows),
        f"{expected:.2f} GiB",
        f"{used:.2f} GiB",
        f"{expected / used:.2f}",
    ]
    print("|", " | ".join(cells), "|", flush=True)


def _measure(folder: Path, device: str, offload: str, rows: int) -> tuple[float, float]:
    """What is expected and what is used, in GiB."""
    _, side = MODELS[folder.name]
    on_card = device == "cuda"
    engine = LocalEngine(str(folder), device=device, dtype="bfloat16" if on_card else "float32")
    plan = replace(engine.plans()[0], offload=offload)
    before = psutil.Process().memory_info().rss
    pipeline = load(engine.model, plan)
    if not on_card:
        _count_once(pipeline)
    size = {"width": side, "height": side}
    with torch.no_grad():
        args, kwargs = tuning.question(pipeline, pipeline.unet, rows, size)
        pipeline.unet(*args, **kwargs)
        latents = args[0][:1].to(pipeline.vae.dtype)
        pipeline.vae.decode(latents)
    used = torch.cuda.max_memory_reserved() if on_card else memory.peak_resident() - before
    taken = Footprint(engine.model.facts, side * side, plan.dtype, "", device)
    return taken.peak(offload, rows, tiling=False), used / GIB


def _count_once(pipeline: Any) -> None:
    """Makes the computer's memory hold the weights and nothing else of their files.

    Weights that are used as they were read stay mapped to their file, and the pages of the others
    count as well, until Linux wants them back.
    """
    for part in networks(pipeline).values():
        for weights in part.parameters():
            weights.data = weights.data.clone()
    memory.release()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far


if __name__ == "__main__":
    main()
