"""LoRAs on this machine's processor: nbtool against plain diffusers and the floor.

    python benchmarks/loras.py

Prints the table "LoRAs" of benchmarks/README.md, in the same way as pictures.py. The LoRAs have rank
8 and random weights, on the attention and the feed-forward layers of the embedded model's UNet.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from methods import PROMPT, Grid, load
from peft import LoraConfig, get_peft_model_state_dict
from pictures import BASE, STEPS, PictureFloor, Task, compare, with_nbtool

import nbtool
from nbtool.engines.local import adapters

RANK = 8
LAYERS = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2")
FOLDER = tempfile.TemporaryDirectory(prefix="nbtool-loras-")
Stack = Mapping[Path, float]


def written(name: str, seed: int) -> Path:
    """A LoRA's file."""
    pipeline = load(BASE)
    pipeline.unet.add_adapter(
        LoraConfig(r=RANK, target_modules=list(LAYERS), init_lora_weights=False)
    )
    torch.manual_seed(seed)
    layers = {
        key: torch.randn_like(tensor) * 0.1
        for key, tensor in get_peft_model_state_dict(pipeline.unet).items()
    }
    file = f"{name}.safetensors"
    type(pipeline).save_lora_weights(FOLDER.name, unet_lora_layers=layers, weight_name=file)
    return Path(FOLDER.name) / file


class LoraFloor(PictureFloor):
    """The rows and the decodes, with as many LoRAs on as each image has."""

    def __init__(self, task: Task, files: Sequence[Path]) -> None:
        self._files = files
        super().__init__(task)

    def loaded(self) -> Any:
        pipeline = load(self._grid)
        pipeline.unet.to(memory_format=torch.channels_last)
        _switch_on(pipeline, dict.fromkeys(self._files, 0.5))
        return pipeline


def _switch_on(pipeline: Any, stack: Stack) -> None:
    for file in stack:
        if file.stem not in getattr(pipeline.unet, "peft_config", {}):
            pipeline.load_lora_weights(str(file), adapter_name=file.stem)
    pipeline.set_adapters([file.stem for file in stack], list(stack.values()))


def _loop(stacks: Sequence[Stack], grid: Grid, pipeline: Any) -> None:
    """Weights are set where they change, and every file is loaded once."""
    for stack in stacks:
        _switch_on(pipeline, stack)
        for seed in grid.seed_range:
            pipeline(
                PROMPT,
                num_inference_steps=STEPS,
                guidance_scale=3.0,
                generator=torch.Generator().manual_seed(seed),
            )


def task(
    name: str, seeds: int, stacks: Iterable[Stack], axes: Mapping[str, Any], files: Sequence[Path]
) -> Task:
    """A grid of LoRAs, each with a few seeds."""
    stacks = list(stacks)
    grid = replace(BASE, seeds=seeds)
    images = seeds * len(stacks)
    return Task(
        name=name,
        grid=grid,
        parameters={"guidance_scale": 3.0, **axes},
        loop=partial(_loop, stacks),
        rows=2 * images * STEPS,
        images=images,
        floor=lambda own: LoraFloor(own, files),
    )


def tasks() -> Iterator[Task]:
    """The three grids that people ask for."""
    files = [written(f"lora{number}", number) for number in range(6)]
    one, two = files[:2]
    weights = (0.2, 0.4, 0.6, 0.8, 1.0)
    yield task(
        "5 weights of one × 8 seeds", 8, ({one: w} for w in weights),
        {"one": nbtool.lora(one, weights)}, [one],
    )  # fmt: skip
    pairs = itertools.product(weights[:4], weights[:4])
    axes = {"one": nbtool.lora(one, weights[:4]), "two": nbtool.lora(two, weights[:4])}
    yield task(
        "4 × 4 weights of two × 4 seeds", 4, ({one: a, two: b} for a, b in pairs), axes, [one, two]
    )
    yield task(
        "6 LoRAs × 8 seeds", 8, ({file: 0.8} for file in files),
        {"which": nbtool.lora(files, 0.8)}, [one],
    )  # fmt: skip


@contextmanager
def _grouped() -> Iterator[None]:
    """Forwards of equal weights alone, as where a layer has no weight for each row."""
    with patch.object(adapters, "_is_by_row", lambda *_: False):
        yield


def in_groups(own: Task) -> None:
    with _grouped():
        with_nbtool(own)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    os.environ["NBTOOL_PROGRESS"] = "off"
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print(
        "| LoRAs | images | plain loop | nbtool | floor | loop / nbtool | nbtool / floor "
        "| groups / nbtool |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for own in tasks():
        compare(own, load(BASE), rounds, groups=in_groups)


if __name__ == "__main__":
    main()
