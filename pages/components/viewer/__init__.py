"""The diagnostic viewer: a radiograph with its heat maps, windowed, zoomed and compared in the browser."""

from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from lungassist.imaging.radiograph import Radiograph
from pages.components.viewer.bundle import read_asset, script
from pages.components.viewer.payload import EncodedSamples, Evidence, build_message, encode_samples

_mount = st.components.v2.component(
    "lungassist_viewer", html=read_asset("viewer.html"), css=read_asset("viewer.css"), js=script()
)


def radiograph_viewer(
    radiograph: Radiograph,
    heat_maps: NDArray[np.float32] | None,
    class_labels: Sequence[str],
    shown_class: str,
    *,
    scale: float,
    probabilities: Sequence[float] | None = None,
    class_blind: bool = False,
    key: str,
    height: int = 620,
) -> None:
    """Show a radiograph with one heat map per class; nothing that the reader does there reruns the page.

    Window, zoom, class, opacity and colour map live in the browser under `key`, and outlast reruns with the
    same study. A new study starts with its own window, zoom and class; the reader's habits (colour map,
    opacity, side by side) stay. Python learns nothing of them, so there is nothing to return.

    Args:
        radiograph: the study, shown at its own resolution, 16 bits deep where the file is deeper than 8.
        heat_maps: `(K, h, w)` float32 >= 0 at the layer's own resolution, covering the whole image; None
            where the model gave none. A map of zeros paints nothing, and the legend says so.
        class_labels: K labels in the order of the maps.
        shown_class: the label shown first, and again whenever the caller names another one.
        scale: the value painted with the full colour, the same for all classes.
        probabilities: K values in [0, 1] to show beside the names.
        class_blind: the maps come of a method that knows no classes; then no word calls them evidence for one.
        key: name of this viewer on the page.
        height: height of the image area in CSS pixels.

    Raises:
        UsageError: a shape, a label or the scale does not fit the others.
    """
    evidence = Evidence(
        maps=heat_maps,
        labels=tuple(class_labels),
        shown=shown_class,
        scale=float(scale),
        probabilities=None if probabilities is None else tuple(float(value) for value in probabilities),
        class_blind=class_blind,
    )
    samples = _encoded(radiograph.sha256, radiograph.shape, radiograph.bit_depth, radiograph.pixels)
    _mount(key=key, data=build_message(radiograph, samples, evidence, key=key, height=height))


@st.cache_data(max_entries=16, ttl="1h", show_spinner=False)
def _encoded(sha256: str, shape: tuple[int, int], bit_depth: int, _pixels: NDArray[np.float32]) -> EncodedSamples:
    """Encode a study once: the digest of its file stands for the pixels, which are long to hash."""
    del sha256, shape
    return encode_samples(_pixels, bit_depth)
