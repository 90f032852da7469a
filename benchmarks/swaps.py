"""Whether memory comes back: two models take turns in a room for one.

    python benchmarks/swaps.py

Prints what this process holds after every swap, and after a want of memory. Takes a minute.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import diffusers
import psutil
import torch
import transformers

import nbtool
from nbtool.engines.local import placing

SWAPS = 10
PROMPT = "a large red circle on a blue background"
SHAPES = Path(nbtool.__file__).parent / "catalogue" / "shapes"


def main() -> None:
    os.environ["NBTOOL_PROGRESS"] = "off"
    with tempfile.TemporaryDirectory() as folder:
        models = [_build(Path(folder) / name) for name in "ab"]
        store = Path(folder) / "images"
        weights = _megabytes(models[0])
        print(f"torch {torch.__version__}, two models of {weights:.0f} MB of weights each\n")
        print("| after | in memory | of the level after two |")
        print("|---|---|---|")
        level = 0.0
        placing.memory.release()
        _row("the start, no model", level)
        for swap in range(SWAPS):
            _make_room()
            gen = nbtool.Generator(str(models[swap % 2]), store=store, device="cpu")
            gen.grid(PROMPT, seed=[swap, 100 + swap], num_inference_steps=2)
            level = _resident() if swap == 1 else level
            _row(f"swap {swap + 1}", level)
        _run_out_of_memory(gen)
        _row("running out of memory", level)
        nbtool.unload()
        _row("nbtool.unload()", level)


def _build(folder: Path) -> Path:
    """A Stable Diffusion of a tenth of its size, with random weights and the tokenizer of shapes."""
    unet = diffusers.UNet2DConditionModel(
        sample_size=16, block_out_channels=(96, 192, 384, 384), cross_attention_dim=192,
        attention_head_dim=8,
    )  # fmt: skip
    text = transformers.CLIPTextConfig(
        hidden_size=192, intermediate_size=768, num_attention_heads=4, num_hidden_layers=4,
        vocab_size=49408,
    )  # fmt: skip
    pipeline = diffusers.DiffusionPipeline.from_pretrained(
        SHAPES, unet=unet, text_encoder=transformers.CLIPTextModel(text), local_files_only=True
    )
    pipeline.save_pretrained(folder)
    return folder


def _make_room() -> None:
    """What nbtool does by itself where the next model does not fit beside the last."""
    placing.cache.drop_oldest()
    placing.memory.release()


def _run_out_of_memory(gen: nbtool.Generator) -> None:
    def refuse(module: torch.nn.Module, _: object) -> None:
        if type(module).__name__ == "UNet2DConditionModel":
            torch.empty(2**50, dtype=torch.uint8)  # a petabyte: torch's own error

    handle = torch.nn.modules.module.register_module_forward_pre_hook(refuse)
    try:
        failed = gen.grid(PROMPT, seed=range(200, 204), num_inference_steps=2).failed
    finally:
        handle.remove()
    assert len(failed) == 4


def _row(after: str, level: float) -> None:
    held = _resident()
    share = f"{held / level:.2f}" if level else ""
    print(f"| {after} | {held:.0f} MB | {share} |")


def _resident() -> float:
    return psutil.Process().memory_info().rss / 1e6


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*.safetensors")) / 1e6


if __name__ == "__main__":
    main()
