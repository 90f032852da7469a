"""Grids on a GPU at the true sizes of SD 1.5 (512²) and SDXL (1024²), in bfloat16.

    python benchmarks/gpu.py                  both, about 15 minutes on one H200
    python benchmarks/gpu.py --only sd15 --rounds 1

No download: the networks have the true configurations and random weights, which take the same
time as trained ones. Prints the GPU table of benchmarks/README.md. Needs about 20 GB of disk.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from methods import (
    Floor,
    Grid,
    Times,
    load,
    load_as_nbtool,
    plain_batches,
    plain_loop,
    synchronize,
    with_nbtool,
)

import nbtool

STEPS = 30
_VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}
_SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", choices=("sd15", "sdxl"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-compile", action="store_true")
    options = parser.parse_args()
    os.environ["NBTOOL_PROGRESS"] = "off"
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, diffusers {diffusers.__version__}"
    )
    print(
        "\n| grid | plain loop | plain batches | nbtool | floor | loop / nbtool | nbtool / floor |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, build, side, seeds in (("sd15", sd15, 512, 8), ("sdxl", sdxl, 1024, 2)):
            if options.only in (None, name):
                path = Path(folder) / name
                build().to(torch.bfloat16).save_pretrained(path)
                grid = Grid(
                    folder=path, seeds=seeds, guidance=(1, 3, 5, 7), steps=(STEPS,),
                    schedulers=("dpm++2m",), side=side, device="cuda", dtype="bfloat16",
                    widths=(4, 8, 16, 32, 64) if name == "sd15" else (2, 4, 8, 16),
                    name=f"{name}, {side}², {seeds} × 4, {STEPS} steps",
                )  # fmt: skip
                _compare(grid, options.rounds, compiled=False)
                if not options.no_compile:
                    _compare(grid, options.rounds, compiled=True)


def _compare(grid: Grid, rounds: int, *, compiled: bool) -> None:
    nbtool.unload()
    pipeline = load(grid)
    if compiled:
        pipeline.unet.compile()
        load_as_nbtool(grid).unet.compile()
    warm = replace(grid, seeds=1, steps=(2,))
    ways = {
        "loop": lambda fresh: plain_loop(fresh, pipeline),
        "nbtool": with_nbtool,
    }
    plain_loop(warm, pipeline)
    with_nbtool(grid)  # finds its widths
    if not compiled:  # compiled anew for each batch size, it is no fair rival
        plain_batches(warm, pipeline)
        ways["batches"] = lambda fresh: plain_batches(fresh, pipeline)
    floor = Floor(grid)
    ways["floor"] = lambda _: floor()
    times = Times()
    for round_ in range(rounds):
        for way, work in ways.items():
            synchronize(grid)
            times.add(way, partial(work, grid.anew(round_)))
    cells = [
        f"{times.median(way):.2f} s" if way in ways else "—"
        for way in ("loop", "batches", "nbtool", "floor")
    ]
    ratios = [times.ratio("loop", "nbtool"), times.ratio("nbtool", "floor")]
    name = grid.name + (", compiled" if compiled else "")
    print("|", " | ".join([name, *cells, *(f"{ratio:.2f}" for ratio in ratios)]), "|", flush=True)
    print(f"floor at {floor.width} and {floor.decode_width} rows", flush=True)


def sd15() -> Any:
    """Stable Diffusion 1.5's networks; its configuration on the hub."""
    unet = diffusers.UNet2DConditionModel(
        sample_size=64, in_channels=4, out_channels=4, cross_attention_dim=768,
        attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280),
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    )  # fmt: skip
    return diffusers.StableDiffusionPipeline(
        unet=unet, vae=diffusers.AutoencoderKL(**_VAE, sample_size=512, scaling_factor=0.18215),
        text_encoder=transformers.CLIPTextModel(_clip(768, 3072, 12, 12)), tokenizer=_tokenizer(),
        scheduler=diffusers.PNDMScheduler(**_SCHEDULE, skip_prk_steps=True, steps_offset=1),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip


def sdxl() -> Any:
    """Stable Diffusion XL's networks; its configuration on the hub."""
    unet = diffusers.UNet2DConditionModel(
        sample_size=128, in_channels=4, out_channels=4, cross_attention_dim=2048,
        attention_head_dim=(5, 10, 20), block_out_channels=(320, 640, 1280),
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
        transformer_layers_per_block=(1, 2, 10), use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=2816,
    )  # fmt: skip
    projected = transformers.CLIPTextModelWithProjection(
        _clip(1280, 5120, 32, 20, projection_dim=1280, hidden_act="gelu")
    )
    return diffusers.StableDiffusionXLPipeline(
        unet=unet, vae=diffusers.AutoencoderKL(**_VAE, sample_size=1024, scaling_factor=0.13025),
        text_encoder=transformers.CLIPTextModel(_clip(768, 3072, 12, 12)),
        text_encoder_2=projected, tokenizer=_tokenizer(), tokenizer_2=_tokenizer(),
        scheduler=diffusers.EulerDiscreteScheduler(**_SCHEDULE, steps_offset=1),
        add_watermarker=False,
    )  # fmt: skip


def _clip(width: int, inner: int, layers: int, heads: int, **more: Any) -> Any:
    return transformers.CLIPTextConfig(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, vocab_size=49408, max_position_embeddings=77,
        bos_token_id=0, eos_token_id=1, pad_token_id=1, **more,
    )  # fmt: skip


def _tokenizer() -> Any:
    """Letters as tokens: any will do for random weights."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)


if __name__ == "__main__":
    main()
