"""Checkpoints: models in one file, in the layout of their first publication."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from nbtool.catalogue import weights
from nbtool.errors import ModelError
from nbtool.silence import importing, mild

_PARTS = {  # by the beginning of a tensor's name
    "model.diffusion_model.": "unet",
    "first_stage_model.": "vae",
    "cond_stage_model.": "text_encoder",
    "conditioner.": "text_encoder",
    "text_encoders.": "text_encoder",
}
_T5 = "text_encoders.t5xxl."  # the third text encoder of Stable Diffusion 3


def counted(checkpoint: Path) -> dict[str, int]:
    """The parameters of each component; none of a pickle, which cannot be looked into.

    Raises:
        ModelError: The file is corrupt.
    """
    if checkpoint.suffix != ".safetensors":
        return {}
    counts: Counter[str] = Counter()
    for name, tensor in weights.header(checkpoint).items():
        if part := next((part for start, part in _PARTS.items() if name.startswith(start)), None):
            counts[part] += weights.count(tensor)
    return dict(counts)


def has_third_text_encoder(checkpoint: Path) -> bool:
    """Whether a checkpoint of Stable Diffusion 3 has all of its text encoders.

    Raises:
        ModelError: The file is corrupt.
    """
    return any(name.startswith(_T5) for name in weights.header(checkpoint))


@mild()
def layout_of(checkpoint: Path) -> str:
    """The repository with the configuration that a checkpoint in one file is to be read with.

    Raises:
        ModelError: It is none that diffusers knows, or cannot be read.
    """
    with importing("torch"):
        import torch
    with importing("diffusers"):
        from diffusers.loaders import single_file_utils

    if checkpoint.suffix == ".safetensors":
        shapes = {
            name: torch.empty(tensor["shape"], device="meta")
            for name, tensor in weights.header(checkpoint).items()
        }
    else:
        try:
            shapes = single_file_utils.load_single_file_checkpoint(str(checkpoint))
        except Exception as error:  # torch and diffusers raise many kinds
            reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
            raise ModelError(f"cannot read {checkpoint}: {reason}") from None
    # Anything that it does not know, it takes for Stable Diffusion 1.
    if not any(name.startswith(tuple(_PARTS)) for name in shapes):
        raise ModelError(
            f"{checkpoint} is no checkpoint of a whole model; if it is a LoRA, a VAE or a text "
            f"encoder alone, it cannot be used by itself"
        )
    config = single_file_utils.fetch_diffusers_config(shapes)
    return str(config["pretrained_model_name_or_path"])
