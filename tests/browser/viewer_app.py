"""A page with nothing but the viewer and what a test needs to disturb it. The query says which study:

`study` chest or ramp; `bits` 8 or 16; `rows`, `columns`; `maps=0` for a model without heat maps; `spacing=0` for a
detector of unknown pitch; `blind=1` for maps that are the same for every class.
"""

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lungassist.classes import CLASSES
from lungassist.imaging.radiograph import Radiograph
from pages.components.viewer import radiograph_viewer

SCALE = 2.0

PROBABILITIES = (0.93, 0.04, 0.001, 0.029)


def fake_chest(rows: int, columns: int) -> NDArray[np.float32]:
    """Return `(rows, columns)` in multiples of 1/255: two dark lungs, a pale heart and spine, ribs; no patient."""
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")

    def oval(cx: float, cy: float, rx: float, ry: float, edge: float = 0.06) -> NDArray[np.float64]:
        distance = np.hypot((x - cx) / rx, (y - cy) / ry)
        return np.asarray(1 / (1 + np.exp((distance - 1) / edge)))

    body = 0.62 * oval(0, 0.25, 0.92, 1.25)
    lungs = np.maximum(oval(-0.42, 0.0, 0.33, 0.62), oval(0.42, 0.0, 0.33, 0.62))
    ribs = 0.07 * lungs * (np.sin(13 * (y + 0.35 * np.abs(x) ** 1.5)) > 0.55)
    spine = 0.16 * np.exp(-((x / 0.09) ** 2)) * (0.8 + 0.2 * np.sin(26 * y))
    heart = 0.3 * oval(0.14, 0.32, 0.3, 0.27)
    noise = np.random.default_rng(1).normal(0, 0.012, (rows, columns))
    chest = np.clip(body - 0.42 * lungs + ribs + spine + heart + noise, 0, 1)
    return (np.rint(chest * 255) / 255).astype(np.float32)


def step(rows: int, columns: int, bits: int) -> NDArray[np.float32]:
    """Return `(rows, columns)`: middle grey, and one step of the bit depth above it in the right half."""
    most = 2**bits - 1
    pixels = np.full((rows, columns), (most + 1) // 2 / most, dtype=np.float32)
    pixels[:, columns // 2 :] = ((most + 1) // 2 + 1) / most
    return pixels


def heat_maps(strength: float = 1.0) -> NDArray[np.float32]:
    """Return `(4, 7, 7)`: COVID low on the left, opacity on the right, nothing for Normal, a little for viral."""
    maps = np.zeros((4, 7, 7), dtype=np.float32)
    maps[0, 3:6, 1:3] = [[1.2, 0.8], [2.0, 1.4], [1.0, 0.6]]
    maps[1, 1:4, 4:6] = [[0.6, 0.5], [1.3, 1.0], [0.7, 0.4]]
    maps[3, 4, 4:6] = 0.5
    return maps * np.float32(strength)


def study(name: str, pixels: NDArray[np.float32], bits: int, known_spacing: bool) -> Radiograph:
    """Return a study; the name stands for the digest of a file."""
    pixels.setflags(write=False)
    return Radiograph(
        name="SURNAME_FIRSTNAME.dcm",
        sha256=name,
        pixels=pixels,
        bit_depth=bits,
        photometric_interpretation="MONOCHROME2",
        file_format="DICOM",
        pixel_spacing_mm=(350 / pixels.shape[0],) * 2 if known_spacing else None,
        view_position="PA",
    )


def main() -> None:
    """Draw the page."""
    st.set_page_config(layout="wide")
    st.session_state.runs = st.session_state.get("runs", 0) + 1
    query = st.query_params
    bits = int(query.get("bits", "8"))
    rows, columns = int(query.get("rows", "600")), int(query.get("columns", "500"))
    with st.sidebar:
        st.write(f"runs: {st.session_state.runs}")
        st.button("Rerun")
        st.text_input("Notes")
        name = st.radio("Study", ["chest", "step"], index=1 if query.get("study") == "step" else 0)
        strength = st.radio("Model", [1.0, 0.5])
        first = st.radio("First class", CLASSES)
        present = st.checkbox("Viewer on the page", value=True)
    pixels = fake_chest(rows, columns) if name == "chest" else step(rows, columns, bits)
    if present:
        radiograph_viewer(
            study(name, pixels, bits, query.get("spacing") != "0"),
            None if query.get("maps") == "0" else heat_maps(strength),
            CLASSES,
            first,
            scale=SCALE,
            probabilities=PROBABILITIES,
            class_blind=query.get("blind") == "1",
            key="viewer",
        )


if __name__ == "__main__":
    main()
