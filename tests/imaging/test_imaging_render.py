"""Pixels to bytes that a browser shows."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lungassist.imaging import png_bytes, to_uint8


def test_greys_are_rounded_and_clipped() -> None:
    shown = to_uint8(np.array([[0, 0.5, 1, -1, 2, np.nan]], np.float32))
    assert shown.dtype == np.uint8
    assert shown[0].tolist() == [0, 128, 255, 0, 255, 0]


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_png_keeps_every_value_and_the_order_of_colours(shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(png_bytes(array)))), array)


def test_other_arrays_are_refused() -> None:
    for array in (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.float32), np.zeros(4, np.uint8)):
        with pytest.raises(ValueError, match="expected"):
            png_bytes(array)


def test_importing_the_room_loads_no_heavy_library() -> None:
    heavy = ("torch", "cv2", "pydicom", "PIL", "streamlit", "matplotlib")
    code = f"import sys, lungassist.imaging; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
