"""Real diffusers pipelines with tiny random networks, one builder for each kind."""

from __future__ import annotations

from functools import cache

import diffusers
import torch
import transformers
from PIL import Image

VOCABULARY = 100


def stable_diffusion(scheduler=None, **more):
    return diffusers.StableDiffusionPipeline(
        **_sd_parts(), scheduler=scheduler or _ddim(), feature_extractor=None,
        safety_checker=None, requires_safety_checker=False, **more,
    )  # fmt: skip


def img2img():
    return diffusers.StableDiffusionImg2ImgPipeline(
        **_sd_parts(), scheduler=_ddim(), feature_extractor=None, safety_checker=None,
        requires_safety_checker=False,
    )  # fmt: skip


def inpainting_weights(kind="stable_diffusion"):
    """A pipeline whose unet sees the mask and the masked picture beside the latents."""
    whole = stable_diffusion() if kind == "stable_diffusion" else stable_diffusion_xl()
    torch.manual_seed(10)
    unet = diffusers.UNet2DConditionModel.from_config({**whole.unet.config, "in_channels": 9})
    parts = whole.components | {"unet": unet.eval()}
    if kind == "stable_diffusion":
        return diffusers.StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
    return diffusers.StableDiffusionXLInpaintPipeline(**parts)


def inpaint():
    return diffusers.StableDiffusionInpaintPipeline(
        **_sd_parts(), scheduler=_ddim(), feature_extractor=None, safety_checker=None,
        requires_safety_checker=False,
    )  # fmt: skip


def controlnet():
    torch.manual_seed(1)
    network = diffusers.ControlNetModel(
        block_out_channels=(8, 16), layers_per_block=1, in_channels=4, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), cross_attention_dim=16,
        attention_head_dim=4, conditioning_embedding_out_channels=(8, 8),
    )  # fmt: skip
    for parameter in network.parameters():  # else its last layers are zero and it does nothing
        torch.nn.init.normal_(parameter, std=0.1)
    return diffusers.StableDiffusionControlNetPipeline(
        **_sd_parts(), controlnet=network.eval(), scheduler=_ddim(), feature_extractor=None,
        safety_checker=None, requires_safety_checker=False,
    )  # fmt: skip


def stable_diffusion_xl():
    torch.manual_seed(2)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=8, in_channels=4,
        out_channels=4, norm_num_groups=4, cross_attention_dim=32, attention_head_dim=(2, 4),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), use_linear_projection=True,
        addition_embed_type="text_time", addition_time_embed_dim=8,
        transformer_layers_per_block=(1, 2), projection_class_embeddings_input_dim=64,
    )  # fmt: skip
    projected = transformers.CLIPTextModelWithProjection(_clip_config(projection_dim=16))
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(), unet=unet.eval(), text_encoder=_clip(), text_encoder_2=projected.eval(),
        tokenizer=tokenizer(), tokenizer_2=tokenizer(),
        scheduler=diffusers.EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"
        ),
    )  # fmt: skip


def stable_diffusion_3(latents=4):
    """Its class for inpainting wants 16 channels of latents, as published weights have them."""
    torch.manual_seed(3)
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=1, in_channels=latents, num_layers=1, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=32, caption_projection_dim=32,
        pooled_projection_dim=32, out_channels=latents,
    )  # fmt: skip
    projected = [
        transformers.CLIPTextModelWithProjection(_clip_config(projection_dim=16)).eval()
        for _ in range(2)
    ]
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer.eval(), vae=_vae(latents, shift_factor=0.06),
        text_encoder=projected[0], text_encoder_2=projected[1], text_encoder_3=_t5(),
        tokenizer=tokenizer(), tokenizer_2=tokenizer(), tokenizer_3=tokenizer(),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def flux():
    torch.manual_seed(4)
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=16,
        axes_dims_rope=(4, 4, 8), guidance_embeds=True,
    )  # fmt: skip
    return diffusers.FluxPipeline(
        transformer=transformer.eval(), vae=_vae(shift_factor=0.06),
        text_encoder=_clip(), text_encoder_2=_t5(), tokenizer=tokenizer(),
        tokenizer_2=tokenizer(), scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def flux_kontext():
    parts = _with_weights(flux())
    return diffusers.FluxKontextPipeline(**parts)


def flux_fill():
    """Its transformer sees the picture and the mask beside the latents."""
    parts = _with_weights(flux())
    torch.manual_seed(9)
    known = {n: v for n, v in parts["transformer"].config.items() if n[0] != "_"}
    # 4 latents, 4 of the picture, and 4 pixels of the mask for each, 4 packed into one.
    seen = {**known, "in_channels": 4 * (4 + 4 + 4), "out_channels": 16}
    parts["transformer"] = diffusers.FluxTransformer2DModel(**seen).eval()
    return diffusers.FluxFillPipeline(**parts)


def z_image():
    torch.manual_seed(5)
    transformer = diffusers.ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=1, n_refiner_layers=1, n_heads=2, n_kv_heads=2,
        cap_feat_dim=16, axes_dims=[4, 4, 8], axes_lens=[128, 64, 64],
    )  # fmt: skip
    vae = _vae(latent_channels=16, shift_factor=0.1)
    return _of_embeddings(diffusers.ZImagePipeline, transformer, vae)


def qwen_image():
    torch.manual_seed(6)
    transformer = diffusers.QwenImageTransformer2DModel(
        in_channels=16, out_channels=4, num_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=16, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=8, z_dim=4, dim_mult=[1, 2], num_res_blocks=1, temperal_downsample=[False],
        latents_mean=[0.0] * 4, latents_std=[1.0] * 4,
    )  # fmt: skip
    return _of_embeddings(diffusers.QwenImagePipeline, transformer, vae)


def qwen_image_edit():
    return _of_parts(diffusers.QwenImageEditPipeline, qwen_image(), processor=None)


def qwen_image_edit_plus():
    return _of_parts(diffusers.QwenImageEditPlusPipeline, qwen_image(), processor=None)


def sana():
    torch.manual_seed(7)
    transformer = diffusers.SanaTransformer2DModel(
        in_channels=4, out_channels=4, num_layers=1, num_attention_heads=2, attention_head_dim=4,
        num_cross_attention_heads=2, cross_attention_head_dim=4, cross_attention_dim=8,
        caption_channels=16,
    )  # fmt: skip
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in {
            "block_types": ("ResBlock", "ResBlock"),
            "block_out_channels": (8, 8),
            "qkv_multiscales": ((), ()),
            "layers_per_block": (1, 1),
        }.items()
    }
    vae = diffusers.AutoencoderDC(
        latent_channels=4, attention_head_dim=2, downsample_block_type="conv",
        upsample_block_type="interpolate", **sides,
    )  # fmt: skip
    return _of_embeddings(diffusers.SanaPipeline, transformer, vae)


def flux2_klein():
    torch.manual_seed(8)
    transformer = diffusers.Flux2Transformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=16, axes_dims_rope=(4, 4, 4, 4),
    )  # fmt: skip
    vae = diffusers.AutoencoderKLFlux2(
        block_out_channels=(8, 16), latent_channels=4, norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
    )  # fmt: skip
    return _of_embeddings(diffusers.Flux2KleinPipeline, transformer, vae)


def flux2():
    return _of_parts(diffusers.Flux2Pipeline, flux2_klein())


def embeddings(tokens, seed):
    """What a text encoder might make of a prompt, for the pipelines without one."""
    return torch.randn(1, tokens, 16, generator=torch.Generator().manual_seed(seed))


def with_safety_checker(folder, *, unsafe):
    """Saves a pipeline whose safety checker finds all pictures unsafe, or none."""
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker

    vision = {
        "hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2,
        "num_hidden_layers": 1, "image_size": 32, "patch_size": 16, "projection_dim": 8,
    }  # fmt: skip
    config = transformers.CLIPConfig(vision_config=vision, projection_dim=8)
    checker = StableDiffusionSafetyChecker(config).eval()
    checker.concept_embeds_weights.fill_(-2.0 if unsafe else 2.0)  # thresholds of a cosine
    checker.special_care_embeds_weights.fill_(2.0)
    pipeline = diffusers.StableDiffusionPipeline(
        **_sd_parts(), scheduler=_ddim(), safety_checker=checker,
        feature_extractor=transformers.CLIPImageProcessorPil(
            size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
        ),
    )  # fmt: skip
    pipeline.save_pretrained(folder)


def picture(colour="red", size=64):
    return Image.new("RGB", (size, size), colour)


def _ddim():
    return diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False,
    )  # fmt: skip


def _sd_parts():
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=32, in_channels=4,
        out_channels=4, norm_num_groups=4, cross_attention_dim=16, attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )  # fmt: skip
    return {
        "unet": unet.eval(),
        "vae": _vae(),
        "text_encoder": _clip(),
        "tokenizer": tokenizer(),
    }


def _vae(latent_channels=4, **more):
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 16), in_channels=3, out_channels=3, latent_channels=latent_channels,
        norm_num_groups=4, down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, **more,
    )  # fmt: skip
    return vae.eval()


def _of_embeddings(pipeline, transformer, vae):
    """A pipeline of the newer families, whose text encoders are language models: without one."""
    return pipeline(
        transformer=transformer.eval(), vae=vae.eval(), text_encoder=None, tokenizer=None,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
    )  # fmt: skip


def _with_weights(pipeline):
    return {name: part for name, part in pipeline.components.items() if part is not None}


def _of_parts(pipeline, other, **more):
    """A pipeline of another class with the parts of one."""
    return pipeline(**other.components, **more)


def _clip_config(**more):
    return transformers.CLIPTextConfig(
        hidden_size=16, intermediate_size=16, num_attention_heads=2, num_hidden_layers=2,
        vocab_size=VOCABULARY, max_position_embeddings=77, bos_token_id=0, eos_token_id=1,
        pad_token_id=1, **more,
    )  # fmt: skip


def _clip():
    return transformers.CLIPTextModel(_clip_config()).eval()


def _t5():
    config = transformers.T5Config(
        d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4, vocab_size=VOCABULARY
    )
    return transformers.T5EncoderModel(config).eval()


@cache
def tokenizer():
    """Letters as tokens, in the form of CLIP's tokenizer."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{c}</w>" for c in letters)]
    vocabulary = {word: number for number, word in enumerate(words)}
    return transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77)
