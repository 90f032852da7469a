"""The models that nbtool knows by name.

Looked up on the hub, in the models' cards and in diffusers' documentation in November 2026;
parameters were counted on the networks of the published configurations. What a row or a decode
takes is measured by `benchmarks/activations.py`; a row's arithmetic was counted with torch's
FlopCounterMode.
"""

from __future__ import annotations

from nbtool.catalogue.facts import Facts

AUTO = "auto"  # the best that runs here, in place of a name
EMBEDDED = "shapes"
_NO_FLOAT16 = ("bfloat16", "float32")  # float16 overflows: black images

_SDXL = {
    "text_encoder": 123_060_000,
    "text_encoder_2": 694_660_000,
    "unet": 2_567_460_000,
    "vae": 83_650_000,
}
_CLIP_T5 = {"text_encoder": 123_060_000, "text_encoder_2": 4_762_310_000}
_FLUX_VAE = {"vae": 83_820_000}

# Name to repository and facts, the lightest first.
KNOWN: dict[str, tuple[str, Facts]] = {
    EMBEDDED: (
        "",
        Facts(
            title="shapes",
            about="one flat shape on a flat background; inside nbtool, for tests and first steps",
            licence="apache-2.0",
            side=128,
            num_inference_steps=20,
            guidance_scale=3.0,
            scheduler="dpm++2m",
        ),
    ),
    "sd-v1-5": (
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        Facts(
            title="Stable Diffusion 1.5",
            about="small and old, with more fine-tunes than any other; runs almost anywhere",
            licence="creativeml-openrail-m",
            num_inference_steps=50,
            guidance_scale=7.5,
            scheduler="pndm",
            parameters={
                "text_encoder": 123_060_000,
                "unet": 859_520_000,
                "vae": 83_650_000,
                "safety_checker": 303_980_000,
            },
            download_gb=2.74,
            teraflop=0.803,
            row_mib=(0, 260),
        ),
    ),
    "sd-turbo": (
        "stabilityai/sd-turbo",
        Facts(
            title="SD-Turbo",
            about="one to four steps: previews, and small machines",
            licence="stabilityai-community",
            num_inference_steps=1,
            guidance_scale=0.0,
            scheduler="euler",
            parameters={"text_encoder": 340_390_000, "unet": 865_910_000, "vae": 83_650_000},
            download_gb=2.58,
            teraflop=0.804,
            row_mib=(0, 260),
        ),
    ),
    "sdxl": (
        "stabilityai/stable-diffusion-xl-base-1.0",
        Facts(
            title="Stable Diffusion XL 1.0",
            about="solid all-rounder at 1024 × 1024, with many fine-tunes",
            licence="openrail++",
            pipeline="StableDiffusionXLPipeline",
            side=1024,
            num_inference_steps=50,
            guidance_scale=5.0,
            scheduler="euler",
            parameters=_SDXL,
            download_gb=6.94,
            wide_vae=True,
            teraflop=6.76,
            row_mib=(0, 160),
        ),
    ),
    "sdxl-turbo": (
        "stabilityai/sdxl-turbo",
        Facts(
            title="SDXL-Turbo",
            about="one to four steps at 512 × 512, better than SD-Turbo",
            licence="sai-nc-community",
            pipeline="StableDiffusionXLPipeline",
            side=512,
            num_inference_steps=1,
            guidance_scale=0.0,
            scheduler="euler_a",
            parameters=_SDXL,
            download_gb=6.94,
            wide_vae=True,
            teraflop=1.59,
            row_mib=(0, 160),
        ),
    ),
    "sdxl-lightning": (
        "Lykon/dreamshaper-xl-lightning",
        Facts(
            title="DreamShaper XL Lightning",
            about="SDXL in four steps",
            licence="openrail++",
            pipeline="StableDiffusionXLPipeline",
            side=1024,
            num_inference_steps=4,
            guidance_scale=2.0,
            scheduler="dpm++2m",
            parameters=_SDXL,
            download_gb=6.94,
            wide_vae=True,
            teraflop=6.76,
            row_mib=(0, 160),
        ),
    ),
    "sana": (
        "Efficient-Large-Model/Sana_1600M_1024px_BF16_diffusers",
        Facts(
            title="Sana 1.6B",
            about="1024 × 1024 with little arithmetic, thanks to very small latents",
            licence="NSCL v2-custom",
            pipeline="SanaPipeline",
            side=1024,
            num_inference_steps=20,
            guidance_scale=4.5,
            scheduler="dpm++2m",
            prediction_type="flow_prediction",
            parameters={
                "text_encoder": 2_614_340_000,
                "transformer": 1_604_460_000,
                "vae": 312_250_000,
            },
            download_gb=9.69,
            dtypes=_NO_FLOAT16,
            teraflop=2.97,
            row_mib=(1.4, 105),
            decode_mib=1666,
            tile_mib=430,
        ),
    ),
    "flux2-klein": (
        "black-forest-labs/FLUX.2-klein-4B",
        Facts(
            title="FLUX.2 klein 4B",
            about="four steps, free licence; made for the graphics cards people have",
            licence="apache-2.0",
            pipeline="Flux2KleinPipeline",
            side=1024,
            num_inference_steps=4,
            guidance_scale=1.0,
            scheduler="FlowMatchEulerDiscreteScheduler",
            parameters={
                "text_encoder": 4_022_470_000,
                "transformer": 3_875_540_000,
                "vae": 84_050_000,
            },
            download_gb=15.96,
            dtypes=_NO_FLOAT16,
            teraflop=34.8,
            row_mib=(66, 504),
        ),
    ),
    "sd3.5-medium": (
        "stabilityai/stable-diffusion-3.5-medium",
        Facts(
            title="Stable Diffusion 3.5 medium",
            about="long prompts and some lettering",
            licence="stabilityai-ai-community",
            gated=True,
            pipeline="StableDiffusion3Pipeline",
            side=1024,
            num_inference_steps=40,
            guidance_scale=4.5,
            scheduler="FlowMatchEulerDiscreteScheduler",
            parameters={
                "text_encoder": 123_650_000,
                "text_encoder_2": 694_660_000,
                "text_encoder_3": 4_762_310_000,
                "transformer": 2_243_170_000,
                "vae": 83_820_000,
            },
            download_gb=16.27,
            teraflop=11.25,
            row_mib=(3, 168),
        ),
    ),
    "z-image-turbo": (
        "Tongyi-MAI/Z-Image-Turbo",
        Facts(
            title="Z-Image-Turbo",
            about="photographs, and lettering in English and Chinese, in eight steps",
            licence="apache-2.0",
            pipeline="ZImagePipeline",
            side=1024,
            num_inference_steps=8,
            guidance_scale=0.0,
            scheduler="FlowMatchEulerDiscreteScheduler",
            parameters={
                "text_encoder": 4_022_470_000,
                "transformer": 6_154_910_000,
                "vae": 83_820_000,
            },
            download_gb=32.83,
            dtypes=_NO_FLOAT16,
            teraflop=56.6,
            row_mib=(59, 474),
        ),
    ),
    "flux1-schnell": (
        "black-forest-labs/FLUX.1-schnell",
        Facts(
            title="FLUX.1 schnell",
            about="follows long prompts, in four steps; free licence",
            licence="apache-2.0",
            gated=True,
            pipeline="FluxPipeline",
            side=1024,
            num_inference_steps=4,
            guidance_scale=0.0,
            scheduler="FlowMatchEulerDiscreteScheduler",
            parameters={**_CLIP_T5, "transformer": 11_891_180_000, **_FLUX_VAE},
            download_gb=33.72,
            dtypes=_NO_FLOAT16,
            teraflop=69.5,
            row_mib=(51, 408),
        ),
    ),
    "flux1-dev": (
        "black-forest-labs/FLUX.1-dev",
        Facts(
            title="FLUX.1 dev",
            about="high quality, follows long prompts; not for commercial use",
            licence="flux-1-dev-non-commercial-license",
            gated=True,
            pipeline="FluxPipeline",
            side=1024,
            num_inference_steps=50,
            guidance_scale=3.5,
            scheduler="FlowMatchEulerDiscreteScheduler",
            parameters={**_CLIP_T5, "transformer": 11_901_410_000, **_FLUX_VAE},
            download_gb=33.74,
            dtypes=_NO_FLOAT16,
            teraflop=74.4,
            row_mib=(51, 408),
        ),
    ),
    "qwen-image": (
        "Qwen/Qwen-Image",
        Facts(
            title="Qwen-Image",
            about="the best at lettering, Chinese above all; very large",
            licence="apache-2.0",
            pipeline="QwenImagePipeline",
            side=1328,
            num_inference_steps=50,
            guidance_scale=4.0,
            scheduler="FlowMatchEulerDiscreteScheduler",
            parameters={
                "text_encoder": 8_292_170_000,
                "transformer": 20_430_400_000,
                "vae": 126_890_000,
            },
            download_gb=57.7,
            dtypes=_NO_FLOAT16,
            teraflop=131.7,
            row_mib=(15, 360),
            decode_mib=4230,
            tile_mib=290,
        ),
    ),
}
