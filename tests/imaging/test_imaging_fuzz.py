"""Flip, cut and splice the bytes of every golden file: nothing but a StudyError may come out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_files import ENCODERS, by_pillow, data_set, dicom, lut
from numpy.typing import NDArray
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian
from test_raster import grey_tiff, saved

from lungassist.errors import StudyError
from lungassist.imaging import Radiograph

CASES = 25


def golden_files(ramp: NDArray[np.uint16], folder: Path) -> dict[str, bytes]:
    eight = (ramp >> 4).astype(np.uint8)
    files = {name: saved(Image.fromarray(eight), name) for name in ("PNG", "JPEG", "TIFF", "WEBP")}
    files["PNG palette"] = saved(Image.fromarray(eight).convert("P"), "PNG")
    files["TIFF packed"] = saved(Image.fromarray(ramp), "TIFF", compression="tiff_lzw")
    files["TIFF float"] = grey_tiff(ramp.astype(np.float32), 32, ">", sample_format=3)
    files["DICOM"] = dicom(ramp, VOILUTSequence=[lut([0, 100, 255], 5, 8)], PixelPaddingValue=3)
    files["DICOM window"] = dicom(ramp, WindowCenter=900, WindowWidth=50, RescaleSlope=1, RescaleIntercept=-5)
    files["DICOM deflated"] = dicom(ramp, syntax=DeflatedExplicitVRLittleEndian)
    files["DICOM baseline"] = by_pillow(data_set(eight, 8), folder)
    for syntax, encode in ENCODERS.items():
        files[syntax.name] = encode(data_set(ramp), folder)
    return files


def broken(data: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(data)
    kind = random.integers(4)
    at = int(random.integers(len(changed)))
    if kind == 0:
        return bytes(changed[:at])
    if kind == 1:
        for _ in range(int(random.integers(1, 12))):
            changed[int(random.integers(len(changed)))] = int(random.integers(256))
    elif kind == 2:  # headers are short, so they are aimed at
        for _ in range(int(random.integers(1, 6))):
            changed[int(random.integers(min(len(changed), 1400)))] ^= 1 << int(random.integers(8))
    else:
        del changed[at : at + int(random.integers(1, 200))]
    return bytes(changed)


@pytest.mark.filterwarnings("ignore")
def test_only_study_errors_come_out(read: Callable[..., Radiograph], ramp: NDArray[np.uint16], tmp_path: Path) -> None:
    random = np.random.default_rng(20)
    for name, data in golden_files(ramp, tmp_path).items():
        for _ in range(CASES):
            try:
                found = read(broken(data, random), name)
            except StudyError as error:
                assert "\n" not in str(error)
            else:
                assert np.isfinite(found.pixels).all()
                assert 0 <= found.pixels.min() <= found.pixels.max() <= 1
