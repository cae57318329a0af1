"""PNG, JPEG, TIFF and WebP: golden values for every kind of pixel that an export may have."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lungassist.errors import NoPixelsError, UnsupportedFormatError
from lungassist.imaging import Radiograph

Read = Callable[..., Radiograph]

CORNERS = np.array([[0, 64, 128], [192, 224, 255]], np.uint8)
WHITE_IS_ZERO = {262: 0}


def saved(image: Image.Image, file_format: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def grey_tiff(
    values: np.ndarray, bits: int, order: str = "<", white_is_zero: bool = False, sample_format: int = 1
) -> bytes:
    """Write a one-strip TIFF by hand: Pillow writes neither big-endian nor WhiteIsZero deep images."""
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    rows, columns = values.shape
    tags = [(256, columns), (257, rows), (258, bits), (259, 1), (262, 0 if white_is_zero else 1), (273, 8)]
    tags += [(277, 1), (278, rows), (279, len(data)), (339, sample_format)]
    directory = struct.pack(f"{order}H", len(tags))
    directory += b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in tags)
    magic = b"II" if order == "<" else b"MM"
    return magic + struct.pack(f"{order}HI", 42, 8 + len(data)) + data + directory + struct.pack(f"{order}I", 0)


def deep_tiff(samples: np.ndarray, order: str = "<", planar: bool = False, orientation: int = 1) -> bytes:
    """Write `(H, W, C)` of 16 bits as a one-strip TIFF: RGB, or grey with transparency."""
    rows, columns, count = samples.shape
    data = (np.moveaxis(samples, 2, 0) if planar else samples).astype(f"{order}u2").tobytes()
    where = 8 + len(data)
    bits = struct.pack(f"{order}{count}H", *[16] * count)
    strips = [8 + plane * rows * columns * 2 for plane in range(count)] if planar else [8]
    sizes = [len(data) // len(strips)] * len(strips)
    lists = struct.pack(f"{order}{2 * len(strips)}I", *strips, *sizes)
    at_strips = where + len(bits)
    far = len(strips) > 1
    tags = [(256, 4, 1, columns), (257, 4, 1, rows)]
    tags += [(258, 3, count, where) if len(bits) > 4 else (258, 3, count, 16 | 16 << 16)]
    tags += [(259, 4, 1, 1), (262, 4, 1, 2 if count > 2 else 1), (273, 4, len(strips), at_strips if far else 8)]
    tags += [(274, 4, 1, orientation), (277, 4, 1, count), (278, 4, 1, rows)]
    tags += [(279, 4, len(strips), at_strips + 4 * len(strips) if far else len(data)), (284, 4, 1, 2 if planar else 1)]
    tags += [(338, 4, 1, 2)] if count in {2, 4} else []
    directory = struct.pack(f"{order}H", len(tags))
    directory += b"".join(struct.pack(f"{order}HHII", *tag) for tag in tags) + struct.pack(f"{order}I", 0)
    magic = b"II" if order == "<" else b"MM"
    return magic + struct.pack(f"{order}HI", 42, at_strips + len(lists)) + data + bits + lists + directory


def deep_png(samples: np.ndarray, colour_type: int) -> bytes:
    """Write `(H, W, C)` of 16 bits as PNG, which Pillow does not."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 16, colour_type, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that declares a size and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.mark.parametrize(("file_format", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_eight_bits_are_divided_by_255(read: Read, file_format: str, options: dict[str, Any]) -> None:
    found = read(saved(Image.fromarray(CORNERS), file_format, **options))
    np.testing.assert_array_equal(found.pixels, CORNERS / np.float32(255))
    assert (found.file_format, found.bit_depth, found.colourfulness) == (file_format, 8, 0)
    assert found.pixels.dtype == np.float32
    assert not found.pixels.flags.writeable


def test_jpeg(read: Read) -> None:
    values = np.kron(CORNERS, np.ones((16, 16), np.uint8))
    found = read(saved(Image.fromarray(values), "JPEG", quality=100))
    assert np.abs(found.pixels - values / 255).max() < 0.01
    assert found.file_format == "JPEG"


def test_the_content_counts_and_not_the_name(read: Read) -> None:
    assert read(saved(Image.fromarray(CORNERS), "JPEG"), "scan.png").file_format == "JPEG"


@pytest.mark.parametrize("values", [[0, 2000, 4000], [10000, 30000, 50000]])
def test_sixteen_bits_are_stretched_over_the_values_used(read: Read, values: list[int]) -> None:
    for file_format in ("PNG", "TIFF"):
        found = read(saved(Image.fromarray(np.array([values], np.uint16)), file_format))
        np.testing.assert_allclose(found.pixels[0], [0, 0.5, 1], atol=1e-6)
        assert found.bit_depth == 16


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("white_is_zero", [False, True])
def test_tiff_of_both_byte_orders_and_directions(read: Read, order: str, white_is_zero: bool) -> None:
    kinds = ((np.uint8, 8, 1), (np.uint16, 16, 1), (np.float32, 32, 3))
    for dtype, bits, sample_format in kinds:
        values = np.array([[0, 51, 102], [153, 204, 255]], dtype)
        found = read(grey_tiff(values, bits, order, white_is_zero, sample_format))
        expected = 1 - values / 255 if white_is_zero else values / 255
        np.testing.assert_allclose(found.pixels, expected, atol=1e-6, err_msg=str(dtype))
        assert found.photometric_interpretation == ("MONOCHROME1" if white_is_zero else "MONOCHROME2")


def test_a_deep_image_of_one_value_is_black_and_not_a_division_by_zero(read: Read) -> None:
    assert read(saved(Image.fromarray(np.full((4, 4), 700, np.uint16)), "PNG")).pixels.max() == 0


def test_pixels_without_a_finite_value_are_replaced_and_told(read: Read) -> None:
    values = np.array([[0, 5, 10, np.nan, np.inf, -np.inf]], np.float32)
    found = read(saved(Image.fromarray(values), "TIFF"))
    np.testing.assert_allclose(found.pixels[0], [0, 0.5, 1, 0, 1, 0])
    assert "50.00%" in found.warnings[0]


def test_no_finite_pixel_at_all(read: Read) -> None:
    with pytest.raises(NoPixelsError, match="finite"):
        read(saved(Image.fromarray(np.full((3, 3), np.nan, np.float32)), "TIFF"))


TWELVE_BITS = np.array([[0, 1000, 2000, 4000]], np.uint16)


def of_three(values: np.ndarray) -> np.ndarray:
    return np.repeat(values[..., None], 3, axis=2)


def with_opacity(samples: np.ndarray, opacity: int = 65535) -> np.ndarray:
    return np.concatenate([samples, np.full((*samples.shape[:2], 1), opacity, np.uint16)], axis=2)


@pytest.mark.parametrize(
    "data",
    [
        deep_png(of_three(TWELVE_BITS), 2),
        deep_png(with_opacity(TWELVE_BITS[..., None]), 4),
        deep_png(with_opacity(of_three(TWELVE_BITS)), 6),
        deep_tiff(of_three(TWELVE_BITS), "<"),
        deep_tiff(of_three(TWELVE_BITS), ">"),
        deep_tiff(with_opacity(of_three(TWELVE_BITS)), "<"),
    ],
    ids=["PNG RGB", "PNG grey and alpha", "PNG RGBA", "TIFF little endian", "TIFF big endian", "TIFF RGBA"],
)
def test_twelve_bits_of_grey_in_48_bit_colour_are_all_kept(read: Read, data: bytes) -> None:
    # Pillow keeps the upper 8 of 16 bits, in which 12-bit data has 16 levels and is almost black.
    found = read(data)
    np.testing.assert_allclose(found.pixels[0], [0, 0.25, 0.5, 1], atol=1e-6)
    assert (found.bit_depth, found.colourfulness) == (16, 0)


def test_deep_colour_and_deep_transparency(read: Read) -> None:
    red = np.array([[[0, 0, 0], [4000, 0, 0], [2000, 2000, 2000]]], np.uint16)
    found = read(deep_png(red, 2))
    np.testing.assert_allclose(found.pixels[0], [0, 0.598, 1], atol=1e-3)  # 0.299 x 4000 of 2000
    assert found.colourfulness == pytest.approx(1 / 3)
    half = np.array([[[4000, 65535], [4000, 32768], [4000, 0]]], np.uint16)
    np.testing.assert_allclose(read(deep_png(half, 4)).pixels[0], [1, 0.5, 0], atol=1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_colour_is_turned_as_exif_says(read: Read, orientation: int) -> None:
    stored = np.arange(12, dtype=np.uint16).reshape(3, 4) * 1000
    deep = read(deep_tiff(of_three(stored), orientation=orientation)).pixels
    tags = {274: orientation}
    grey = read(saved(Image.fromarray(stored), "TIFF", tiffinfo=tags)).pixels
    np.testing.assert_allclose(deep, grey, atol=1e-6)


@pytest.mark.parametrize(
    ("data", "came"),
    [
        (deep_tiff(of_three(TWELVE_BITS), planar=True), "3 samples of 16 bits a pixel"),
        (deep_tiff(with_opacity(TWELVE_BITS[..., None])), "2 samples of 16 bits a pixel"),
        (grey_tiff(TWELVE_BITS.astype(np.float64), 64, sample_format=3), "float samples of 64 bits"),
        (grey_tiff(TWELVE_BITS.astype(np.float16), 16, sample_format=3), "float samples of 16 bits"),
        (grey_tiff(TWELVE_BITS.astype(np.uint32), 32, ">"), "samples of 32 bits, the high byte first"),
    ],
)
def test_a_tiff_that_nothing_decodes_exactly_is_refused_in_words(read: Read, data: bytes, came: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=f"it has {came}. Export it as grey with 16 bits"):
        read(data)


def test_whole_numbers_of_32_bits_and_signed_ones_of_8(read: Read) -> None:
    wide = np.array([[0, 1_000_000_000, 2_000_000_000, 4_000_000_000]], np.uint32)
    np.testing.assert_allclose(read(grey_tiff(wide, 32)).pixels[0], [0, 0.25, 0.5, 1], atol=1e-6)
    signed = np.array([[-100, 0, 50, 100]], np.int8)
    for order in "<>":
        np.testing.assert_allclose(
            read(grey_tiff(signed, 8, order, sample_format=2)).pixels[0], [0, 0.5, 0.75, 1], atol=1e-6
        )
        turned = read(grey_tiff(signed, 8, order, white_is_zero=True, sample_format=2))
        np.testing.assert_allclose(turned.pixels[0], [1, 0.5, 0.25, 0], atol=1e-6)


def test_white_is_zero_with_transparency(read: Read) -> None:
    la = np.array([[[0, 255], [55, 255], [255, 255], [0, 0]]], np.uint8)
    found = read(saved(Image.fromarray(la, "LA"), "TIFF", tiffinfo=WHITE_IS_ZERO))
    np.testing.assert_allclose(found.pixels[0], [1, 200 / 255, 0, 0], atol=1e-6)
    assert found.photometric_interpretation == "MONOCHROME1"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_orientation(read: Read, orientation: int, file_format: str) -> None:
    upright = np.kron(np.array([[0, 90, 180], [60, 150, 255]], np.uint8), np.ones((16, 16), np.uint8))
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    options: dict[str, Any] = {"exif": exif} if file_format != "TIFF" else {"tiffinfo": {274: orientation}}
    options |= {"lossless": True} if file_format == "WEBP" else {}
    found = read(saved(Image.fromarray(np.ascontiguousarray(stored)), file_format, **options))
    assert found.shape == upright.shape
    assert np.abs(found.pixels - upright / 255).max() < 0.05


def test_palette(read: Read) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    image.putpalette([0, 0, 0, 255, 255, 255, 255, 0, 0])
    found = read(saved(image, "PNG"))
    np.testing.assert_allclose(found.pixels[0], [0, 1, 0.299], atol=1e-6)
    assert found.photometric_interpretation == "PALETTE COLOR"
    assert found.colourfulness == pytest.approx(1 / 3)


def test_transparency_is_laid_on_black(read: Read) -> None:
    la = np.array([[[200, 255], [200, 0], [200, 128]]], np.uint8)
    expected = np.array([200, 0, 100]) / 255
    np.testing.assert_allclose(read(saved(Image.fromarray(la, "LA"), "PNG")).pixels[0], expected, atol=0.005)
    rgba = np.concatenate([la[..., :1]] * 3 + [la[..., 1:]], axis=2)
    np.testing.assert_allclose(read(saved(Image.fromarray(rgba, "RGBA"), "PNG")).pixels[0], expected, atol=0.005)


def test_colour_and_its_measure(read: Read) -> None:
    found = read(saved(Image.fromarray(np.array([[[255, 0, 0], [10, 10, 10]]], np.uint8)), "PNG"))
    np.testing.assert_allclose(found.pixels[0], [0.299, 10 / 255], atol=1e-6)
    assert found.colourfulness == pytest.approx(0.5)


def test_grey_saved_as_colour_is_exact(read: Read) -> None:
    rgb = np.repeat(CORNERS[..., None], 3, axis=2)
    np.testing.assert_array_equal(read(saved(Image.fromarray(rgb), "PNG")).pixels, CORNERS / np.float32(255))


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk(read: Read, file_format: str) -> None:
    ink = np.zeros((16, 32, 4), np.uint8)
    ink[:, 16:, 3] = 255
    found = read(saved(Image.fromarray(ink, "CMYK"), file_format))
    assert found.pixels[8, 4] > 0.97
    assert found.pixels[8, 28] < 0.03


def test_one_bit(read: Read) -> None:
    image = Image.fromarray(np.array([[0, 255] * 8], np.uint8)).convert("1")
    for file_format in ("PNG", "TIFF"):
        found = read(saved(image, file_format))
        np.testing.assert_array_equal(found.pixels[0], [0, 1] * 8)
        assert found.bit_depth == 1


def test_only_the_first_of_several_pages(read: Read) -> None:
    pages = [Image.fromarray(CORNERS), Image.fromarray(CORNERS[::-1].copy())]
    found = read(saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    np.testing.assert_array_equal(found.pixels, CORNERS / np.float32(255))
    assert "first" in found.warnings[0]
