"""What can be done with a picture, and how each family of diffusers does it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TEXT, IMAGE, INPAINT, EDIT = "text", "image", "inpaint", "edit"
CALLED = {
    TEXT: "text to image",
    IMAGE: "image to image",
    INPAINT: "inpainting",
    EDIT: "editing by words",
}
# What asks for each, as one would type it.
ASKED_BY = {
    TEXT: "leave image out",
    IMAGE: "image and strength",
    INPAINT: "image and mask_image",
    EDIT: "image, without strength",
}


@dataclass(frozen=True)
class Way:
    """How a family does one of these.

    Attributes:
        pipeline: The class in diffusers.
        strength: Its default; None: it takes none.
        rounds_up: Whether a fraction of a step that `strength` leaves is a whole one.
        jumps: Whether a strength of 1 begins with noise alone, unlike any below.
        pictures: How many pictures it takes at most.
        pixels: Of a picture that it can work at, at the most; None: as many as there are.
        side: Pixels along a picture's shorter side, at least.
        ratio: Of a picture's longer side to its shorter one, at most; None: any.
        latents: Whether it takes latents in place of a picture.
        lacks: What the family takes otherwise, and this class does not.
    """

    pipeline: str
    strength: float | None = None
    rounds_up: bool = False
    jumps: bool = False
    pictures: int = 1
    pixels: int | None = None
    side: int = 1
    ratio: int | None = None
    latents: bool = False
    lacks: frozenset[str] = frozenset()

    def steps(self, asked: int, strength: float) -> int:
        """How many of the steps asked for are made at a strength: the class's own arithmetic."""
        if self.rounds_up:
            return asked - int(max(asked - min(asked * strength, asked), 0))
        return min(int(asked * strength), asked)

    def least_strength(self, asked: int) -> float:
        """About the least strength at which a step is left, in hundredths."""
        return next(n / 100 for n in range(1, 101) if self.steps(asked, n / 100))

    def least_steps(self, strength: float) -> int | None:
        """The least number of steps of which a strength leaves one; None where 1000 do not do."""
        return next((n for n in range(1, 1001) if self.steps(n, strength)), None)


Ways = Mapping[str, Way]

_RESCALE = frozenset({"guidance_rescale"})
_MEGAPIXEL = 1024 * 1024
MANY = 16  # pictures for a model that edits with several

STABLE_DIFFUSION: Ways = {
    TEXT: Way("StableDiffusionPipeline"),
    IMAGE: Way("StableDiffusionImg2ImgPipeline", 0.8, latents=True, lacks=_RESCALE),
    INPAINT: Way("StableDiffusionInpaintPipeline", 1.0, jumps=True, lacks=_RESCALE),
}
STABLE_DIFFUSION_XL: Ways = {
    TEXT: Way("StableDiffusionXLPipeline"),
    IMAGE: Way("StableDiffusionXLImg2ImgPipeline", 0.3, latents=True),
    INPAINT: Way("StableDiffusionXLInpaintPipeline", 0.9999, jumps=True),
}
STABLE_DIFFUSION_3: Ways = {
    TEXT: Way("StableDiffusion3Pipeline"),
    IMAGE: Way("StableDiffusion3Img2ImgPipeline", 0.6, rounds_up=True, latents=True),
    INPAINT: Way("StableDiffusion3InpaintPipeline", 0.6, rounds_up=True, jumps=True),
}
FLUX: Ways = {
    TEXT: Way("FluxPipeline"),
    IMAGE: Way("FluxImg2ImgPipeline", 0.6, rounds_up=True, latents=True),
    INPAINT: Way("FluxInpaintPipeline", 0.6, rounds_up=True),
}
FLUX_FILL: Ways = {INPAINT: Way("FluxFillPipeline", 1.0, rounds_up=True)}
KONTEXT: Ways = {
    TEXT: Way("FluxKontextPipeline"),
    EDIT: Way("FluxKontextPipeline"),
    INPAINT: Way("FluxKontextInpaintPipeline", 1.0, rounds_up=True),
}
FLUX_2: Ways = {
    TEXT: Way("Flux2Pipeline"),
    EDIT: Way("Flux2Pipeline", pictures=MANY, side=64, ratio=8),
}
FLUX_2_KLEIN: Ways = {
    TEXT: Way("Flux2KleinPipeline"),
    EDIT: Way("Flux2KleinPipeline", pictures=MANY, side=64, ratio=8),
    INPAINT: Way("Flux2KleinInpaintPipeline", 0.8, rounds_up=True, pixels=_MEGAPIXEL),
}
QWEN_IMAGE: Ways = {
    TEXT: Way("QwenImagePipeline"),
    IMAGE: Way("QwenImageImg2ImgPipeline", 0.6, rounds_up=True),
    INPAINT: Way("QwenImageInpaintPipeline", 0.6, rounds_up=True),
}
# Its class for inpainting decides on width and height itself.
QWEN_EDIT: Ways = {EDIT: Way("QwenImageEditPipeline")}
QWEN_EDIT_PLUS: Ways = {EDIT: Way("QwenImageEditPlusPipeline", pictures=MANY)}
Z_IMAGE: Ways = {
    TEXT: Way("ZImagePipeline"),
    IMAGE: Way("ZImageImg2ImgPipeline", 0.6, rounds_up=True),
    INPAINT: Way("ZImageInpaintPipeline", 1.0, rounds_up=True),
}
SANA: Ways = {TEXT: Way("SanaPipeline")}
