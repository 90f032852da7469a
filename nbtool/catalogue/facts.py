"""What is known of a model before it is loaded, or even downloaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

DENOISERS = ("unet", "transformer")
DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a model. Facts only: whether it runs here is for the plan to say.

    Attributes:
        title: Its name for people.
        about: What it is good for, in one line.
        licence: As the hub names it; "" if not known.
        gated: Whether its licence must be accepted on the hub before it can be downloaded.
        pipeline: Its class in diffusers.
        side: Width and height that it was trained for, in pixels.
        num_inference_steps: By default.
        guidance_scale: By default.
        scheduler: By default: a short name, or a class name of diffusers.
        prediction_type: What the denoiser predicts, as its scheduler's configuration has it.
        parameters: Of each component that has weights.
        download_gb: What is downloaded, in 10⁹ bytes; None for what is on disk already.
        dtypes: Those in which its images come out right.
        wide_vae: Whether the VAE needs float32 where the rest is in float16.
        teraflop: Of one row's forward through the denoiser at `side`; None if not known.
        row_mib: What a row of half precision takes beside the weights, in MiB: at any size, and
            for each megapixel (2²⁰ pixels) more; None if not known.
        decode_mib: What decoding takes, in MiB of half precision for each megapixel.
        tile_mib: The same for a picture of any size that is decoded in tiles.
    """

    title: str = ""
    about: str = ""
    licence: str = ""
    gated: bool = False
    pipeline: str = "StableDiffusionPipeline"
    side: int = 512
    num_inference_steps: int = 30
    guidance_scale: float = 7.5
    scheduler: str = "euler"
    prediction_type: str = "epsilon"
    parameters: Mapping[str, int] = field(default_factory=dict)
    download_gb: float | None = None
    dtypes: tuple[str, ...] = tuple(DTYPE_BYTES)
    wide_vae: bool = False
    teraflop: float | None = None
    row_mib: tuple[float, float] | None = None
    decode_mib: float = 2433  # of an AutoencoderKL, which most models have
    tile_mib: float = 620
