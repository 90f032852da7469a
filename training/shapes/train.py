"""Trains the `shapes` model from nothing and writes it as a diffusers folder.

    python training/shapes/train.py            # 2–3 hours on two CPU cores, minutes on a GPU

Four stages, each resumed from the checkpoints in `--runs`: the autoencoder, the latents of a
painted data set, the denoiser with its text encoder, and the decoder once more. `--export-only`
writes the model from the newest checkpoints, also while the training goes on. Every random choice
follows from `--seed` and the step, so an interrupted run continues as if it had not been.

On Linux, glibc's malloc hands large blocks back to the system at each step; keeping them saves a
third of the time on a CPU:

    export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824
"""

from __future__ import annotations

import argparse
import logging
import random
import time
from pathlib import Path

import components
import numpy as np
import torch
import torch.nn.functional as F
from captions import random_caption
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from nbtool.testing.scenes import CENTRES, SIZE, Scene, paint, random_scene

HERE = Path(__file__).parent
MODEL = HERE.parents[1] / "nbtool" / "catalogue" / "shapes"
LATENT_NOISE = 0.08  # standard deviation the decoder must tolerate, in units of the latents
CROP = 64
log = logging.getLogger("shapes")


def painted(count: int, seed: int) -> tuple[list[Scene], torch.Tensor]:
    """`count` scenes and their pixels, uint8 of shape (count, 3, 128, 128)."""
    rng = random.Random(seed)
    scenes = [random_scene(rng) for _ in range(count)]
    pixels = torch.empty(count, 3, SIZE, SIZE, dtype=torch.uint8)
    for i, scene in enumerate(scenes):
        pixels[i] = torch.from_numpy(np.array(paint(scene, rng))).permute(2, 0, 1)
    return scenes, pixels


def as_signal(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.float() / 127.5 - 1


def save(path: Path, **state: object) -> None:
    """Writes a checkpoint so that a kill never leaves half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def learning_rate(step: int, steps: int, peak: float) -> float:
    """Warm-up, plateau, then a linear fall over the last third to nearly nothing."""
    return peak * min(1.0, (step + 1) / 300, max(0.01, 3 * (steps - step) / steps))


def crops(scenes: list[Scene], pixels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """A 64-pixel window of each picture, around its shape so that edges are in it."""
    windows = []
    for scene, picture in zip(scenes, pixels, strict=True):
        centre = torch.tensor(CENTRES[scene.position])
        corner = centre - CROP // 2 + torch.randint(-36, 37, (2,), generator=rng)
        left, top = corner.clamp(0, SIZE - CROP).tolist()
        windows.append(picture[:, top : top + CROP, left : left + CROP])
    return torch.stack(windows)


def train_vae(args: argparse.Namespace) -> AutoencoderKL:
    """The autoencoder, its latents near zero mean and unit variance by a moment penalty."""
    torch.manual_seed(args.seed)
    vae = components.vae().to(args.device)
    optimizer = torch.optim.AdamW(vae.parameters(), weight_decay=1e-4)
    checkpoint = args.runs / "vae.pt"
    step = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=args.device)
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    if step >= args.vae_steps:
        return vae

    scenes, pixels = painted(8192, seed=args.seed + 1)
    started, first = time.monotonic(), step
    while step < args.vae_steps:
        rng = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        optimizer.param_groups[0]["lr"] = learning_rate(step, args.vae_steps, 2e-3)
        batch = torch.randint(len(scenes), (16,), generator=rng)
        x = as_signal(crops([scenes[i] for i in batch], pixels[batch], rng)).to(args.device)
        latents = vae.encode(x).latent_dist.mean
        noise = torch.randn(latents.shape, generator=rng).to(args.device)
        y = vae.decode(latents + LATENT_NOISE * noise).sample

        edges = sum(F.l1_loss(y.diff(dim=d), x.diff(dim=d)) for d in (2, 3))
        mean, std = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
        moments = (mean.square() + std.clamp(min=1e-3).log().square()).mean()
        loss = F.l1_loss(y, x) + F.mse_loss(y, x) + edges + 0.05 * moments
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 100 == 0:
            log.info(
                "vae %d/%d loss %.4f l1 %.4f std %s, %.3f s a step",
                step, args.vae_steps, loss.item(), F.l1_loss(y, x).item(),
                [round(s, 2) for s in std.tolist()], (time.monotonic() - started) / (step - first),
            )  # fmt: skip
        if step % 500 == 0 or step == args.vae_steps:
            save(checkpoint, vae=vae.state_dict(), optimizer=optimizer.state_dict(), step=step)
    return vae


@torch.no_grad()
def standardise(vae: AutoencoderKL, mean: torch.Tensor, std: torch.Tensor) -> None:
    """Folds the latents' scale into the 1 × 1 convolutions on either side of them.

    Afterwards each channel has mean 0 and variance 1 and `scaling_factor` is 1. The encoder's
    own variance becomes the constant one that the decoder was trained to tolerate.
    """
    quant, post = vae.quant_conv, vae.post_quant_conv
    channels = len(mean)
    quant.weight[:channels] /= std[:, None, None, None]
    quant.bias[:channels] = (quant.bias[:channels] - mean) / std
    quant.weight[channels:] = 0
    quant.bias[channels:] = 2 * torch.log(LATENT_NOISE / std)
    post.bias += post.weight[:, :, 0, 0] @ mean
    post.weight *= std[None, :, None, None]


@torch.no_grad()
def encode_data(args: argparse.Namespace, vae: AutoencoderKL) -> tuple[list[Scene], torch.Tensor]:
    """A data set of scenes as latents (count, 4, 16, 16); standardises `vae` on the way."""
    path = args.runs / "latents.pt"
    if path.exists():
        state = torch.load(path, weights_only=False)
        vae.load_state_dict(state["vae"])
        return state["scenes"], state["latents"]
    log.info("painting and encoding %d scenes", args.scenes)
    scenes, pixels = painted(args.scenes, seed=args.seed + 2)
    latents = torch.cat(
        [
            vae.encode(as_signal(part).to(args.device)).latent_dist.mean.cpu()
            for part in pixels.split(64)
        ]
    )
    mean, std = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    standardise(vae, mean.to(args.device), std.to(args.device))
    latents = (latents - mean[:, None, None]) / std[:, None, None]
    save(path, vae=vae.state_dict(), scenes=scenes, latents=latents)
    log.info("latents had mean %s, std %s", mean.tolist(), std.tolist())
    return scenes, latents


def polish_decoder(args: argparse.Namespace, vae: AutoencoderKL) -> None:
    """Teaches the decoder to make clean pictures of the latents that sampling gives.

    They are noisy, uneven where the denoiser is in doubt, and too strong under guidance. The
    encoder, and with it all that the denoiser has learnt, stays as it is.
    """
    checkpoint = args.runs / "decoder.pt"
    if checkpoint.exists():
        vae.load_state_dict(torch.load(checkpoint, map_location=args.device)["vae"])
    if checkpoint.exists() or args.export_only:
        return
    trained = [*vae.post_quant_conv.parameters(), *vae.decoder.parameters()]
    optimizer = torch.optim.AdamW(trained, weight_decay=1e-4)
    _, pixels = painted(8192, seed=args.seed + 3)
    for step in range(args.polish_steps):
        rng = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        optimizer.param_groups[0]["lr"] = learning_rate(step, args.polish_steps, 1e-3)
        x = as_signal(pixels[torch.randint(len(pixels), (8,), generator=rng)]).to(args.device)
        with torch.no_grad():
            latents = vae.encode(x).latent_dist.mean
        y = vae.decode(spoilt(latents, rng)).sample
        edges = sum(F.l1_loss(y.diff(dim=d), x.diff(dim=d)) for d in (2, 3))
        loss = F.l1_loss(y, x) + F.mse_loss(y, x) + edges
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if (step + 1) % 100 == 0:
            log.info("decoder %d/%d loss %.4f", step + 1, args.polish_steps, loss.item())
    save(checkpoint, vae=vae.state_dict())


def spoilt(latents: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Latents (n, 4, h, w) too strong by up to 30 %, with fine and with coarse noise."""
    count, channels, height, width = latents.shape

    def amount(most: float) -> torch.Tensor:
        return most * torch.rand(count, 1, 1, 1, generator=rng)

    fine = amount(0.25) * torch.randn(latents.shape, generator=rng)
    coarse = amount(0.35) * F.interpolate(
        torch.randn(count, channels, height // 3, width // 3, generator=rng),
        size=(height, width), mode="bilinear",
    )  # fmt: skip
    strength = 1 + amount(0.3)
    return latents * strength.to(latents) + (fine + coarse).to(latents)


def train_denoiser(
    args: argparse.Namespace, scenes: list[Scene], latents: torch.Tensor
) -> torch.nn.ModuleDict:
    """UNet and text encoder, trained together on v-prediction; returns their averages."""
    torch.manual_seed(args.seed)
    tokenizer = components.tokenizer()
    schedule = components.noise_schedule()
    model = torch.nn.ModuleDict(
        {"unet": components.unet(), "text_encoder": components.text_encoder(tokenizer)}
    ).to(args.device)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.999))
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(0.9, 0.99), weight_decay=1e-2, fused=True
    )
    checkpoint = args.runs / "denoiser.pt"
    step = 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=args.device)
        model.load_state_dict(state["model"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    if args.export_only or step >= args.steps:
        return average.module

    started, first, recent = time.monotonic(), step, []
    while step < args.steps:
        rng = torch.Generator().manual_seed(args.seed * 1_000_003 + step)
        captions_rng = random.Random(args.seed * 1_000_003 + step)
        optimizer.param_groups[0]["lr"] = learning_rate(step, args.steps, args.lr)
        batch = torch.randint(len(scenes), (args.batch,), generator=rng)
        captions = [
            "" if captions_rng.random() < 0.1 else random_caption(scenes[i], captions_rng)
            for i in batch
        ]
        tokens = tokenizer(captions, padding="max_length", return_tensors="pt").input_ids
        # Stratified, for less noise in the gradient, and leaning towards high noise: that is
        # where places and shapes are decided, and what is learnt last.
        spread = (torch.arange(args.batch) + torch.rand(args.batch, generator=rng)) / args.batch
        timesteps = (spread**args.lean * schedule.config.num_train_timesteps).long()
        clean = latents[batch]
        clean = clean + LATENT_NOISE / 2 * torch.randn(clean.shape, generator=rng)
        noise = torch.randn(clean.shape, generator=rng)
        noisy = schedule.add_noise(clean, noise, timesteps).to(args.device)
        target = schedule.get_velocity(clean, noise, timesteps).to(args.device)

        text = model["text_encoder"](tokens.to(args.device))[0]
        prediction = model["unet"](noisy, timesteps.to(args.device), text).sample
        loss = F.mse_loss(prediction, target)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        average.update_parameters(model)
        step += 1
        recent.append(loss.item())
        if step % 100 == 0:
            log.info(
                "denoiser %d/%d loss %.4f, %.3f s a step",
                step, args.steps, sum(recent) / len(recent),
                (time.monotonic() - started) / (step - first),
            )  # fmt: skip
            recent.clear()
        if step % 500 == 0 or step == args.steps:
            save(
                checkpoint,
                model=model.state_dict(),
                average=average.state_dict(),
                optimizer=optimizer.state_dict(),
                step=step,
            )
    return average.module


def export(vae: AutoencoderKL, denoiser: torch.nn.ModuleDict, folder: Path) -> None:
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=denoiser["text_encoder"],
        tokenizer=components.tokenizer(),
        unet=denoiser["unet"],
        scheduler=DPMSolverMultistepScheduler.from_config(components.noise_schedule().config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(torch.float16).save_pretrained(folder)
    log.info("written to %s", folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=HERE / "runs", help="checkpoints and log")
    parser.add_argument("--out", type=Path, default=MODEL, help="the model folder to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vae-steps", type=int, default=4500)
    parser.add_argument("--polish-steps", type=int, default=1200, help="steps of the decoder alone")
    parser.add_argument("--scenes", type=int, default=60_000, help="size of the data set")
    parser.add_argument("--steps", type=int, default=15_000, help="steps of the denoiser")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1.5e-3)
    parser.add_argument("--lean", type=float, default=0.6, help="below 1: more high noise")
    parser.add_argument("--export-only", action="store_true", help="write the newest checkpoint")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    args.runs.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(message)s",
        handlers=[logging.StreamHandler(), logging.FileHandler(args.runs / "train.log")],
    )
    vae = train_vae(args).eval()
    scenes, latents = encode_data(args, vae)
    denoiser = train_denoiser(args, scenes, latents)
    polish_decoder(args, vae)
    export(vae, denoiser, args.out)


if __name__ == "__main__":
    main()
