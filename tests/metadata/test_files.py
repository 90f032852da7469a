"""Image files that carry their recipe, and files that do not or only claim to."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nbtool import GeneratedImage, MetadataError, NbtoolError, Provenance, Recipe, RecipeError
from nbtool.metadata import converted, encode, read, to_infotext

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)
LONGEST = "\N{GRINNING FACE}" * 20_000


def file_of(recipe, format="PNG", image=None):
    provenance = Provenance(engine="test", device="cpu", notes=("cut",), versions={"torch": "2"})
    image = image or Image.new("RGB", (16, 16), "red")
    given, made = recipe.to_dict(), provenance.to_dict()
    png = encode(image, given, made, "0.1")
    return png if format == "PNG" else converted(png, given, made, format)


@pytest.fixture
def written(tmp_path):
    """Writes bytes to a file; returns its path."""

    def write(data, name="image.png"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return write


@pytest.mark.parametrize(("format", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_a_saved_image_carries_recipe_and_provenance(
    complete,
    picture,
    tmp_path,
    format,
    suffix,
):
    recipe = complete.replace(prompt="réd ★\n\ud800\0\x1b", negative_prompt="<b>, \"'")
    provenance = Provenance(engine="test", seconds=0.5, notes=("cut",), versions={"torch": "2"})
    made = GeneratedImage(recipe, provenance, png=file_of(recipe, image=picture))
    path = made.save(tmp_path / f"image.{suffix}")
    assert Recipe.from_file(path) == recipe
    with Image.open(path) as image:
        assert (image.format, image.size) == (format, picture.size)
        pixels = image.convert("RGB").getpixel((16, 16))
    assert max(abs(a - b) for a, b in zip(pixels, (220, 40, 40), strict=True)) < 12
    stored = read(path)
    assert stored["schema"] == 1
    expected = "cpu" if format == "PNG" else ""  # a PNG is copied; the others are written anew
    assert Provenance.from_dict(stored["provenance"]).device == expected


@given(ANY_TEXT, ANY_TEXT, st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_fault_35_any_prompt_survives_in_any_format(tmp_path_factory, prompt, negative, format):
    recipe = Recipe(prompt=prompt, negative_prompt=negative, seed=1, num_inference_steps=2,
                    guidance_scale=3, scheduler="ddim", width=16, height=16, model="m")  # fmt: skip
    path = tmp_path_factory.mktemp("files") / "image.bin"
    path.write_bytes(file_of(recipe, format))
    assert Recipe.from_file(path) == recipe


def test_both_chunks_are_readable_with_plain_pillow(complete):
    recipe = complete.replace(prompt="réd ★")
    with Image.open(io.BytesIO(file_of(recipe))) as image:
        texts = image.text
    assert set(texts) == {"nbtool", "parameters"}
    ours = json.loads(texts["nbtool"])
    assert ours["recipe"] == recipe.to_dict()
    assert ours["provenance"]["versions"] == {"torch": "2"}
    assert texts["parameters"] == to_infotext(recipe.to_dict(), "0.1")
    assert texts["parameters"].startswith("réd ★\nSteps: 20, Sampler: Euler a,")


def test_a_recipe_behind_the_pixels_is_found(complete, written):
    data = file_of(complete)
    chunks, place = [], 8
    while place < len(data):
        end = place + 12 + int.from_bytes(data[place : place + 4], "big")
        chunks.append(data[place:end])
        place = end
    late = sorted(chunks[1:-1], key=lambda chunk: chunk[4:8] in (b"tEXt", b"iTXt"))
    moved = b"".join([data[:8], chunks[0], *late, chunks[-1]])
    assert moved != data
    assert Recipe.from_file(written(moved)) == complete


def test_fault_37_the_longest_prompts_are_written_so_that_they_can_be_read(complete, written):
    recipe = complete.replace(prompt=LONGEST, negative_prompt=LONGEST)
    for format in ("PNG", "WEBP"):
        data = file_of(recipe, format)
        assert b"zTXt" not in data
        assert Recipe.from_file(written(data)) == recipe
    with Image.open(io.BytesIO(file_of(recipe))) as image:
        assert image.text["parameters"].startswith(LONGEST)


def test_a_recipe_too_long_for_a_jpeg_is_refused_with_another_format(complete, tmp_path):
    recipe = complete.replace(prompt=LONGEST)
    made = GeneratedImage(recipe, Provenance(), png=file_of(recipe))
    with pytest.raises(NbtoolError, match=r"too long for a JPEG; use \.png"):
        made.save(tmp_path / "image.jpg")
    assert not (tmp_path / "image.jpg").exists()


def test_an_unknown_suffix_is_refused(complete, tmp_path):
    made = GeneratedImage(complete, Provenance(), png=file_of(complete))
    with pytest.raises(RecipeError, match=r"\.png, \.jpg or \.webp, got 'image\.tiff'"):
        made.save(tmp_path / "image.tiff")


# Files of others


def plain(format="PNG", **options):
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "blue").save(buffer, format, **options)
    return buffer.getvalue()


def text_chunk(text, name="nbtool", **options):
    info = PngInfo()
    info.add_text(name, text, **options)
    return plain(pnginfo=info)


def png_claiming(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(b"")
    chunks = (header, pixels, b"IEND")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (plain(), "carries no nbtool recipe"),
        (plain("JPEG"), "carries no nbtool recipe"),
        (plain("WEBP"), "carries no nbtool recipe"),
        (text_chunk("a star\nSteps: 20", "parameters"), "carries no nbtool recipe"),
        (text_chunk("not json"), "not JSON"),
        (text_chunk("[]"), "a JSON object is needed"),
        (text_chunk("{}"), "carries no recipe"),
        (text_chunk('{"recipe": []}'), "carries no recipe"),
        (text_chunk('{"recipe": {"seed": NaN}}'), "NaN is not JSON"),
        (
            text_chunk('{"recipe": {"sed": 1}}'),
            "a newer nbtool: it has sed=1, which .* update nbtool",
        ),
        (text_chunk('{"schema": 2, "recipe": {}}'), r"a newer nbtool \(schema 2, known: 1\)"),
        (text_chunk('{"recipe": {"width": 513}}'), "its recipe cannot be used.*multiple of 8"),
        (text_chunk('{"recipe": {}}' + " " * 2_000_000), "JSON"),
        (text_chunk('{"recipe": {}}' + " " * 2_000_000, zip=True), "cannot be read"),
        (plain("TIFF"), "is no PNG, JPEG or WebP image"),
        (plain("EPS"), "is no PNG, JPEG or WebP image"),
        (plain("GIF"), "is no PNG, JPEG or WebP image"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "cannot be read: damaged"),
        (b"\x89PNG\r\n\x1a\n", "cannot be read"),
        (b"\x89PNG\r\n\x1a\n" + b"garbage" * 99, "cannot be read"),
        (b"\xff\xd8\xff" + b"garbage" * 99, "cannot be read"),
        (b"", "is no PNG, JPEG or WebP image"),
        (b"<html>", "is no PNG, JPEG or WebP image"),
        (png_claiming(60_000, 60_000), "cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_fault_38_files_without_a_usable_recipe_are_named_and_refused(written, data, message):
    path = written(data)
    with pytest.raises(MetadataError, match=message) as caught:
        Recipe.from_file(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(MetadataError, match=r"gone\.png does not exist"):
        Recipe.from_file(tmp_path / "gone.png")
    with pytest.raises(MetadataError, match="cannot be read"):
        Recipe.from_file(tmp_path)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_file_cut_short_before_its_recipe_is_refused(complete, written, format):
    data = file_of(complete, format)
    with pytest.raises(MetadataError):
        Recipe.from_file(written(data[: data.index(b'"recipe"')]))


@functools.cache
def sample(format):
    recipe = Recipe(prompt="a", seed=1, num_inference_steps=2, guidance_scale=3,
                    scheduler="ddim", width=16, height=16, model="m")  # fmt: skip
    return file_of(recipe, format)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about the damage
@given(
    st.sampled_from(["PNG", "JPEG", "WEBP"]),
    st.lists(st.tuples(st.integers(0, 1500), st.binary(max_size=4)), min_size=1, max_size=6),
)
def test_fault_38_damaged_bytes_give_a_recipe_or_a_metadata_error(
    tmp_path_factory,
    format,
    damage,
):
    data = bytearray(sample(format))
    for place, piece in damage:
        data[place : place + len(piece)] = piece
    path = tmp_path_factory.mktemp("files") / "image.png"
    path.write_bytes(data)
    with contextlib.suppress(MetadataError):
        Recipe.from_file(path)
