"""Whatever holds a picture is read as people expect, or refused with what would do."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from nbtool import RecipeError
from nbtool.imaging import reading
from nbtool.imaging.reading import digest, read

COLOURS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3) * 3


def encoded(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def values(source):
    return np.asarray(read(source).image)


def refused(source):
    with pytest.raises(RecipeError) as error:
        read(source)
    return str(error.value)


@pytest.fixture
def png(tmp_path):
    Image.fromarray(COLOURS).save(tmp_path / "cat.png")
    return tmp_path / "cat.png"


def test_a_path_a_text_bytes_an_image_and_an_array_give_the_same_pixels(png):
    sources = (png, str(png), png.read_bytes(), memoryview(png.read_bytes()))
    for source in (*sources, Image.open(png), Image.fromarray(COLOURS), COLOURS):
        assert np.array_equal(values(source), COLOURS)
        assert digest(read(source).image) == digest(Image.fromarray(COLOURS))


def test_the_digest_is_of_mode_size_and_pixels_as_documented():
    import hashlib

    expected = hashlib.sha256(b"RGB 6 4\n" + COLOURS.tobytes()).hexdigest()
    assert digest(read(COLOURS).image) == expected


def test_pixels_in_another_shape_have_another_digest():
    square = COLOURS.reshape(6, 4, 3)
    assert digest(read(square).image) != digest(read(COLOURS).image)


@pytest.mark.parametrize("turn", range(2, 9))
def test_a_picture_is_turned_as_its_exif_says(turn):
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(Image.fromarray(COLOURS), exif=exif)
    upright = {
        2: COLOURS[:, ::-1],
        3: COLOURS[::-1, ::-1],
        4: COLOURS[::-1],
        5: COLOURS.swapaxes(0, 1),
        6: np.rot90(COLOURS, -1),
        7: COLOURS[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(COLOURS),
    }
    assert np.array_equal(values(data), upright[turn])


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_become_eight(kind):
    deep = np.array([[0, 257, 32896, 65535]], np.uint16)
    read_back = read(encoded(Image.fromarray(deep), kind)).image
    assert read_back.mode == "L"
    assert np.asarray(read_back).tolist() == [[0, 1, 128, 255]]


def test_a_palette_gives_its_colours():
    palette = Image.fromarray(COLOURS).quantize(24)
    assert np.array_equal(values(encoded(palette)), np.asarray(palette.convert("RGB")))


def test_a_palette_with_a_colour_to_see_through_has_an_alpha():
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((1, 0), 1)
    found = read(encoded(palette, transparency=0)).image
    assert found.mode == "RGBA"
    assert [found.getpixel((x, 0)) for x in range(2)] == [(255, 0, 0, 0), (0, 255, 0, 255)]


def test_cmyk_black_and_white_and_gray():
    assert read(encoded(Image.new("CMYK", (2, 2), (0, 255, 255, 0)), "JPEG")).image.mode == "RGB"
    assert values(Image.new("1", (2, 1), 1)).tolist() == [[255, 255]]
    assert values(encoded(Image.new("L", (2, 1), 7))).tolist() == [[7, 7]]


def test_an_alpha_stays_only_where_something_is_not_opaque():
    clear = Image.new("RGBA", (2, 2), (9, 8, 7, 255))
    assert read(encoded(clear)).image.mode == "RGB"
    clear.putpixel((0, 0), (9, 8, 7, 100))
    assert read(encoded(clear)).image.getpixel((0, 0)) == (9, 8, 7, 100)
    assert read(Image.new("LA", (1, 1), (5, 255))).image.mode == "RGB"


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_of_an_animation_the_first_frame_is_taken_and_said(kind, tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    path = tmp_path / "moving"
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], lossless=True)
    found = read(path)
    assert found.note == f"{path} has 3 frames; the first is taken"
    assert found.image.getpixel((0, 0))[0] > 250
    with Image.open(path) as late:
        late.seek(2)
        assert read(late).image.getpixel((0, 0))[0] > 250
        assert late.tell() == 2  # it is somebody else's, and stays as it is


@pytest.mark.parametrize(
    ("whole", "expected"), [([0, 255, 128], [0, 255, 128]), ([0, 65535, 32896], [0, 255, 128])]
)
def test_whole_numbers_of_a_pil_image_are_of_8_bits_or_of_16(whole, expected):
    image = Image.fromarray(np.array([whole], np.int32))
    assert image.mode == "I"
    assert values(image).tolist() == [expected]


def test_a_pil_image_that_cannot_be_read_says_what_would_do():
    with Image.open(io.BytesIO(encoded(Image.fromarray(COLOURS)))) as image:
        pass
    assert refused(image).endswith("; open it anew, or give its file")


def test_of_a_still_picture_nothing_is_said(png):
    assert read(png).note == ""


def test_a_tiff_called_png_is_what_it_is(tmp_path):
    path = tmp_path / "really.png"
    path.write_bytes(encoded(Image.fromarray(COLOURS), "TIFF"))
    assert np.array_equal(values(path), COLOURS)


def test_one_pixel_is_a_picture():
    assert read(np.zeros((1, 1, 3), np.uint8)).image.size == (1, 1)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([[0, 0.5, 1.0]]), [[0, 128, 255]]),
        (np.array([[-1.0, 0, 1.0]], np.float32), [[0, 128, 255]]),
        (np.array([[True, False]]), [[255, 0]]),
        (np.zeros((1, 2, 1), np.uint8), [[0, 0]]),
    ],
)
def test_floats_that_are_plain_and_masks_are_taken(array, expected):
    assert values(array).tolist() == expected


def test_a_gray_array_is_gray():
    gray = np.array([[3, 200]], np.uint8)
    assert read(gray).image.mode == "L"
    assert values(gray).tolist() == gray.tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tensor_has_its_colours_first(dtype):
    tensor = torch.zeros(3, 4, 6, dtype=dtype)
    tensor[0] = 1
    found = read(tensor).image
    assert found.size == (6, 4)
    assert found.getpixel((0, 0)) == (255, 0, 0)
    assert read(tensor[None]).image.size == (6, 4)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[0.0, 200.0]]), "from 0 to 1 or from -1 to 1, these from 0 to 200"),
        (np.array([[np.nan]]), "from nan to nan"),
        (np.array([[1, 2]], np.int64), "got int64"),
        (np.zeros((2, 2, 2), np.uint8), "2 × 2 × 2"),
        (np.zeros((5, 2, 2, 3), np.uint8), "give several as a list"),
        (np.zeros((0, 3, 3), np.uint8), "0 × 3 × 3"),
        (np.float32(3), "a single number"),
    ],
)
def test_arrays_that_are_no_picture_are_refused(array, words):
    assert words in refused(array)


@pytest.mark.parametrize(
    "url", ["https://example.org/cat.png", "HTTP://x/y", "data:image/png;base64,AAAA", "s3://b/c"]
)
def test_a_url_is_not_fetched(url):
    assert "download it and give the file's path" in refused(url)


def test_a_path_that_looks_like_a_url_is_not_opened_either(tmp_path):
    from pathlib import Path

    assert "not fetched" in refused(Path("https://example.org/cat.png"))


def test_a_folder_is_refused_with_the_list_of_its_pictures(tmp_path):
    assert f'glob.glob("{tmp_path}/*.png")' in refused(tmp_path)


def test_what_is_not_there_is_named(tmp_path):
    assert refused(tmp_path / "cat.png") == f"there is no picture {tmp_path / 'cat.png'}"
    assert "give a list: glob.glob(…)" in refused(f"{tmp_path}/*.png")


def test_a_truncated_jpeg_is_damaged(tmp_path):
    data = encoded(Image.effect_noise((64, 64), 90), "JPEG")
    path = tmp_path / "half.jpg"
    path.write_bytes(data[: len(data) // 2])
    assert refused(path).startswith(f"{path} is damaged (")
    assert refused(path).endswith("get the file again")


def test_an_svg_is_to_be_exported(tmp_path):
    for text in ('<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "<svg/>"):
        path = tmp_path / "drawing.svg"
        path.write_text(text)
        assert "export it as a PNG" in refused(path)


def test_a_heic_without_its_plugin_says_what_to_install():
    assert "pillow-heif" in refused(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64))


@pytest.mark.parametrize("data", [b"", b"hello", bytes(100)])
def test_other_bytes_are_no_picture(data):
    assert refused(data).startswith("the file")


@pytest.mark.parametrize("source", [None, 3, 2.5, object(), {"sha256": "x"}])
def test_what_is_no_source_is_refused_with_those_that_are(source):
    assert "a picture is a path, a file's bytes" in refused(source)


def bomb():
    """A PNG of 60,000 × 60,000 pixels that is small until it is decoded."""
    import struct
    import zlib

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_picture_that_is_too_large_is_refused_before_it_is_decoded():
    assert "at most 67 million are read: make it smaller first" in refused(bomb())


def test_one_that_only_pillow_would_warn_of_is_refused_without_a_warning(monkeypatch):
    monkeypatch.setattr(reading, "MAX_PIXELS", 23)
    assert "the file has 6 × 4 pixels" in refused(encoded(Image.fromarray(COLOURS)))
    assert "6 × 4 pixels" in refused(COLOURS)


def test_what_a_file_says_beside_its_pixels_is_left_out(tmp_path):
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("secret", "where I live")
    data = encoded(Image.fromarray(COLOURS), pnginfo=texts)
    assert read(data).image.info == {}
