"""The untrained parts of the `shapes` model, as plain diffusers and transformers components."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from nbtool.testing.scenes import CENTRES, COLOURS, RADII, SHAPES, SIZE

MAX_TOKENS = 32
LATENT = SIZE // 8
END_OF_WORD = "</w>"


def caption_words() -> list[str]:
    """Every word a caption can hold, in a fixed order."""
    phrases = " ".join([*RADII, *COLOURS, *SHAPES, *CENTRES])
    return sorted(set(re.findall(r"[a-z]+", phrases)) | {"a", "an", "background"})


def byte_pair_merges(words: list[str]) -> list[tuple[str, str]]:
    """Byte-pair merges (Sennrich et al., 2016), carried on until each word is one token."""
    spelled = [[*word[:-1], word[-1] + END_OF_WORD] for word in words]
    merges = []
    while pairs := Counter(pair for word in spelled for pair in pairwise(word)):
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word in spelled:
            for i in range(len(word) - 1, 0, -1):
                if (word[i - 1], word[i]) == best:
                    word[i - 1 : i + 1] = ["".join(best)]
    return merges


def printable_bytes() -> list[str]:
    """The 256 characters that stand for the 256 bytes in GPT-2's and CLIP's vocabularies."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in visible]
    return [chr(b) for b in visible] + [chr(256 + i) for i in range(len(hidden))]


def tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer in which each caption word is one token and other text falls to bytes."""
    merges = byte_pair_merges(caption_words())
    letters = printable_bytes()
    tokens = letters + [letter + END_OF_WORD for letter in letters]
    tokens += dict.fromkeys("".join(merge) for merge in merges)
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(tokens))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_TOKENS)


def text_encoder(tokens: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=96,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=MAX_TOKENS,
        projection_dim=96,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
    )
    return CLIPTextModel(config)


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        sample_size=SIZE,
        block_out_channels=(16, 32, 48, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        mid_block_add_attention=False,  # purely convolutional: any size decodes as well
        scaling_factor=1.0,  # training folds the scale of the latents into the weights
    )


def unet() -> UNet2DConditionModel:
    """2.9 M parameters; attention only at 8 × 8, which halves the cost of a step."""
    return UNet2DConditionModel(
        sample_size=LATENT,
        block_out_channels=(48, 112),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=96,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def noise_schedule() -> DDPMScheduler:
    """SD's family of schedules with other ends: close to cosine, largest sigma 40.

    On 16 × 16 latents SD's own values spend a third of the steps on pure noise.
    """
    return DDPMScheduler(
        beta_schedule="scaled_linear",
        beta_start=1e-5,
        beta_end=0.022,
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
    )
