"""Which pipelines are refused for what they need, and which are loaded though something is odd."""

from __future__ import annotations

import contextlib
import inspect
import json
import shutil

import diffusers
import numpy as np
import pytest
import tiny
import torch
from PIL import Image

import nbtool
from nbtool import ModelError, RecipeError
from nbtool.catalogue import families, weights

SMALL = {"width": 64, "height": 64, "num_inference_steps": 2, "seed": 1}


@pytest.fixture
def make(tmp_path):
    def make(name, store="images", asked=None, **options):
        gen = nbtool.Generator(str(name), store=tmp_path / store, device="cpu", **options)
        return gen("a", **SMALL, **asked or {})

    return make


def refiner():
    """With one text encoder, and five numbers of the picture in place of six."""
    whole = tiny.stable_diffusion_xl()
    known = {name: value for name, value in whole.unet.config.items() if name[0] != "_"}
    own = known | {"cross_attention_dim": 16, "projection_class_embeddings_input_dim": 16 + 5 * 8}
    return diffusers.StableDiffusionXLImg2ImgPipeline(
        vae=whole.vae, unet=diffusers.UNet2DConditionModel(**own).eval(), text_encoder=None, tokenizer=None,
        text_encoder_2=whole.text_encoder_2, tokenizer_2=whole.tokenizer_2,
        scheduler=whole.scheduler, requires_aesthetics_score=True,
    )  # fmt: skip


def pix2pix():
    whole = tiny.stable_diffusion()
    return diffusers.StableDiffusionInstructPix2PixPipeline(
        **whole.components, requires_safety_checker=False
    )


REFUSED = {
    tiny.controlnet: "StableDiffusionControlNetPipeline, which needs image beside",
    pix2pix: "StableDiffusionInstructPix2PixPipeline, which needs image beside",
}


@pytest.mark.parametrize("build", REFUSED, ids=lambda build: build.__name__)
def test_pipelines_that_need_a_picture_are_refused_before_weights_come(
    hub, cache, make, tmp_path, build
):
    build().save_pretrained(tmp_path / "model")
    hub.add("org/model", tmp_path / "model")
    for name in (tmp_path / "model", "org/model"):
        with pytest.raises(ModelError, match=rf"pipeline of .*model, {REFUSED[build]}"):
            make(name)
    assert not list(cache.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("pipeline", "reason"),
    [
        ("StableDiffusionInstructPix2PixPipeline", "needs image"),
        ("StableDiffusionUpscalePipeline", "needs image"),
        ("StableDiffusionLatentUpscalePipeline", "needs image"),
        ("StableDiffusionDepth2ImgPipeline", "needs image and depth_map"),
        ("StableDiffusionXLControlNetUnionPipeline", "needs control_image"),
        ("FluxControlPipeline", "needs control_image"),
        ("StableVideoDiffusionPipeline", "makes videos"),
        ("WanPipeline", "makes videos"),
        ("WuerstchenDecoderPipeline", "needs image_embeddings"),
        ("StableAudioPipeline", "takes no width"),
        ("DDPMPipeline", "takes no prompt"),
        ("UNet2DModel", "takes no prompt"),
    ],
)
def test_the_call_of_a_pipeline_says_what_it_needs(pipeline, reason):
    assert families.why_not(pipeline).startswith(reason)


def test_text_to_image_pipelines_of_diffusers_are_all_accepted():
    from diffusers.pipelines.auto_pipeline import AUTO_TEXT2IMAGE_PIPELINES_MAPPING as NAMED

    refused = {kind.__name__ for kind in NAMED.values() if families.why_not(kind.__name__)}
    # They need a picture, make videos, or cannot tell of their steps.
    known = {name for name in refused if "Control" in name} | {
        "HeliosPipeline", "HeliosPyramidPipeline", "IFPipeline", "KandinskyCombinedPipeline",
        "PixArtSigmaPAGPipeline",
    }  # fmt: skip
    assert refused - known == set()


def test_a_pipeline_with_an_odd_name_is_accepted(make, tmp_path, monkeypatch):
    class ImageToVideoInpaint(diffusers.StableDiffusionPipeline):
        pass

    monkeypatch.setattr(diffusers, "ImageToVideoInpaint", ImageToVideoInpaint, raising=False)
    tiny.stable_diffusion().save_pretrained(tmp_path / "odd")
    index = tmp_path / "odd" / "model_index.json"
    index.write_text(index.read_text().replace("StableDiffusionPipeline", "ImageToVideoInpaint"))
    assert make(tmp_path / "odd")
    assert "prompt" in inspect.signature(ImageToVideoInpaint.__call__).parameters


PICTURE = {"image": tiny.picture(), "strength": 0.8}
HALF = Image.new("L", (64, 64))
HALF.paste(255, (0, 0, 32, 64))
# What a folder may hold, what it does, and why it refuses the rest.
WEIGHTS = [
    (tiny.img2img, [{}, PICTURE, PICTURE | {"mask_image": HALF}], {}),
    (tiny.inpaint, [{}, PICTURE, PICTURE | {"mask_image": HALF}], {}),
    (
        tiny.inpainting_weights,
        [PICTURE | {"mask_image": HALF}],
        {
            "makes no images of words alone, only inpainting": {},
            "does no image to image: its weights are made for inpainting": PICTURE,
        },
    ),
    (refiner, [PICTURE], {"makes no images of words alone, only image to image": {}}),
]


@pytest.mark.parametrize(
    ("build", "done", "refused"), WEIGHTS, ids=[build.__name__ for build, *_ in WEIGHTS]
)
def test_weights_of_any_class_of_their_family_do_what_they_were_made_for(
    make, tmp_path, build, done, refused
):
    build().save_pretrained(tmp_path / "model")
    for asked in done:
        assert make(tmp_path / "model", asked=asked).image.size == (64, 64)
    for reason, asked in refused.items():
        with pytest.raises(RecipeError, match=reason):
            make(tmp_path / "model", asked=asked)


@pytest.mark.parametrize("channels", [8, 9])
def test_a_unet_says_what_it_is_made_for_whatever_its_pipeline_is_called(make, tmp_path, channels):
    tiny.stable_diffusion().save_pretrained(tmp_path / "edits")
    config = tmp_path / "edits" / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"in_channels": channels}))
    if channels == 8:  # of the pictures that are edited by words
        with pytest.raises(ModelError, match="takes 4 channels of a picture beside its") as caught:
            make(tmp_path / "edits")
        assert caught.value.in_shell.endswith("; nbtool models lists those that it can use")
    else:
        with pytest.raises(RecipeError, match="makes no images of words alone, only inpainting"):
            make(tmp_path / "edits")


@pytest.mark.parametrize("how", ["whole", "null", "tokenizer is null", "no folder", "no tokenizer"])
def test_stable_diffusion_3_does_without_its_third_text_encoder(make, tmp_path, how):
    pipeline = tiny.stable_diffusion_3()
    pipeline.save_pretrained(tmp_path / "sd3")
    index = tmp_path / "sd3" / "model_index.json"
    if how == "no folder":
        shutil.rmtree(tmp_path / "sd3" / "text_encoder_3")
    elif how == "no tokenizer":
        shutil.rmtree(tmp_path / "sd3" / "tokenizer_3")
    elif how != "whole":
        null = ["text_encoder_3", "tokenizer_3"] if how == "null" else ["tokenizer_3"]
        changed = json.loads(index.read_text()) | {name: [None, None] for name in null}
        index.write_text(json.dumps(changed))
    image = make(tmp_path / "sd3")
    if how != "whole":
        pipeline.register_modules(text_encoder_3=None, tokenizer_3=None)
    pipeline.set_progress_bar_config(disable=True)
    asked = {name: value for name, value in SMALL.items() if name != "seed"}
    plain = pipeline("a", generator=torch.Generator().manual_seed(1), **asked).images[0]
    assert np.abs(np.asarray(plain, int) - np.asarray(image.image, int)).max() <= 1
    assert not image.provenance.notes


def test_what_is_cut_off_is_said_by_the_tokenizer_that_reads_most(make, tmp_path):
    pipeline = tiny.stable_diffusion_3()
    pipeline.register_modules(text_encoder_3=None, tokenizer_3=None)
    pipeline.save_pretrained(tmp_path / "sd3")
    gen = nbtool.Generator(str(tmp_path / "sd3"), store=tmp_path / "images", device="cpu")
    with pytest.warns(UserWarning, match="the prompt has 100 tokens, the model reads 75"):
        gen("a " * 100, **SMALL)


def test_a_component_whose_folder_is_gone_is_named(make, tmp_path):
    tiny.with_safety_checker(tmp_path / "whole", unsafe=False)
    for part, hint in [
        ("tokenizer", "no files for its tokenizer"),
        ("scheduler", "scheduler"),
        ("vae", "no weights for its vae"),
        ("safety_checker", "safety_checker=False leaves it out"),
    ]:
        folder = shutil.copytree(tmp_path / "whole", tmp_path / part)
        shutil.rmtree(folder / part)
        with pytest.raises(ModelError, match=hint):
            make(folder)
    assert make(tmp_path / "safety_checker", safety_checker=False)


def test_pipelines_of_two_classes_share_no_networks(make, tmp_path):
    """One that guides by perturbed attention changes its unet."""
    folder = save(tmp_path / "plain")
    guided = shutil.copytree(folder, tmp_path / "guided")
    index = guided / "model_index.json"
    index.write_text(index.read_text().replace("DiffusionPipeline", "DiffusionPAGPipeline"))
    before = make(folder)
    nbtool.unload()
    with contextlib.suppress(nbtool.GenerationError):
        make(guided)
    assert make(folder, "others").image.tobytes() == before.image.tobytes()


def save(folder, **variants):
    """A tiny model whose components come in the variants that are named; others have none."""
    pipeline = tiny.stable_diffusion()
    pipeline.save_pretrained(folder)
    for name, variant in variants.items():
        for path in (folder / name).glob("*.safetensors"):
            path.unlink()
        dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(variant, torch.float32)
        getattr(pipeline, name).to(dtype).save_pretrained(folder / name, variant=variant)
    return folder


@pytest.mark.parametrize(
    "variants",
    [
        {"unet": "fp16", "vae": "bf16"},
        {"unet": "bf16", "text_encoder": "fp16"},
        {"unet": "fp16", "vae": "bf16", "text_encoder": "fp16"},
        {"unet": "ema"},
        {"unet": "non_ema", "vae": "fp16"},
    ],
    ids=lambda variants: " ".join(variants.values()),
)
def test_components_may_come_in_different_variants(make, tmp_path, variants, hub, cache):
    image = make(save(tmp_path / "mixed", **variants))
    plain = make(save(tmp_path / "plain"))
    assert np.abs(np.asarray(plain.image, int) - np.asarray(image.image, int)).max() <= 8
    hub.add("org/mixed", tmp_path / "mixed")
    published = make("org/mixed")
    assert published.image.tobytes() == image.image.tobytes()


def test_weights_under_names_that_are_not_known_are_named(make, tmp_path):
    folder = save(tmp_path / "odd", unet="int8")
    with pytest.raises(ModelError, match=r"no weights for its unet, only .*int8\.safetensors"):
        make(folder)
    names = ["unet/model.ema.safetensors", "unet/model.non_ema.safetensors"]
    assert weights.choose(names, "unet").variant == "ema"
    assert weights.choose([*names, "unet/model.safetensors"], "unet").variant == ""


def test_a_pickled_checkpoint_is_read_where_that_is_allowed(hub, cache, make, tmp_path):
    from original import save_checkpoint
    from safetensors.torch import load_file

    tiny.stable_diffusion().save_pretrained(tmp_path / "layout")
    hub.add("stable-diffusion-v1-5/stable-diffusion-v1-5", tmp_path / "layout")
    save_checkpoint(tiny.stable_diffusion(), tmp_path / "one.safetensors")
    torch.save({"state_dict": load_file(tmp_path / "one.safetensors")}, tmp_path / "one.ckpt")
    pickled = make(tmp_path / "one.ckpt", allow_pickle=True)
    assert pickled.image.tobytes() == make(tmp_path / "one.safetensors").image.tobytes()
