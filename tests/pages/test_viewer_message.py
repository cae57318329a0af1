"""What the viewer sends to the browser, and that it mounts in a Streamlit run."""

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from lungassist.classes import CLASSES
from lungassist.errors import UsageError
from lungassist.imaging.radiograph import Radiograph
from pages.components.viewer.bundle import script
from pages.components.viewer.payload import EncodedSamples, Evidence, build_message, encode_samples

APP = Path(__file__).parents[1] / "browser" / "viewer_app.py"


def decoded(encoded: EncodedSamples) -> NDArray[np.int64]:
    """Return the samples by the written description alone."""
    count = encoded.height * encoded.width
    planes = np.frombuffer(zlib.decompress(encoded.body), np.uint8).astype(np.int64)
    differences = planes if encoded.bits == 8 else planes[:count] + 256 * planes[count:]
    return np.cumsum(differences.reshape(encoded.height, encoded.width), axis=1) % 2**encoded.bits


@pytest.mark.parametrize(("bit_depth", "bits"), [(8, 8), (12, 16), (16, 16)])
def test_every_sample_arrives(bit_depth: int, bits: int) -> None:
    most = 2**bit_depth - 1
    samples = np.random.default_rng(0).integers(0, most, (61, 83), endpoint=True)
    encoded = encode_samples((samples / most).astype(np.float32), bit_depth)
    assert encoded.bits == bits
    back = np.rint(decoded(encoded) / (2**bits - 1) * most).astype(int)
    np.testing.assert_array_equal(back, samples)


def test_an_eight_bit_file_with_a_window_of_its_own_is_not_squeezed() -> None:
    windowed = np.linspace(0, 1, 200, dtype=np.float32)[None] ** np.float32(1.7)
    encoded = encode_samples(windowed, bit_depth=8)
    assert encoded.bits == 16
    assert len(np.unique(decoded(encoded))) == 200


def test_an_eight_bit_film_of_many_rows_stays_at_eight_bits() -> None:
    rows = np.random.default_rng(0).integers(0, 256, (700, 3)).astype(np.float32) / np.float32(255)
    assert encode_samples(rows, bit_depth=8).bits == 8


def radiograph() -> Radiograph:
    return Radiograph(
        name="SURNAME_FIRSTNAME.dcm",
        sha256="ab" * 32,
        pixels=np.zeros((4, 6), dtype=np.float32),
        bit_depth=12,
        photometric_interpretation="MONOCHROME1",
        file_format="DICOM",
        pixel_spacing_mm=(0.2, 0.1),
    )


def test_the_message_has_every_part_and_no_file_name() -> None:
    maps = np.random.default_rng(0).random((4, 3, 5), dtype=np.float32)
    evidence = Evidence(maps, CLASSES, "Normal", 0.8, (0.1, 0.2, 0.3, 0.4))
    study = radiograph()
    samples = encode_samples(study.pixels, study.bit_depth)
    message = build_message(study, samples, evidence, key="main", height=500)
    (length,) = struct.unpack_from("<I", message)
    header = json.loads(message[4 : 4 + length])
    start = 4 + length
    assert start % 4 == 0
    sent = np.frombuffer(message, "<f4", count=60, offset=start).reshape(4, 3, 5)
    np.testing.assert_array_equal(sent, maps)
    assert message[start + 240 :] == samples.body
    assert header["image"] == {"width": 6, "height": 4, "bits": 16}
    assert header["spacing"] == [0.2, 0.1]
    assert header["evidence"]["classes"][0] == {
        "label": "COVID",
        "name": "COVID-19",
        "probability": 0.1,
        "percent": "10%",
    }
    assert b"SURNAME" not in message


def test_what_is_painted_has_a_name_of_its_own() -> None:
    maps = np.ones((4, 2, 2), dtype=np.float32)

    def name(evidence: Evidence) -> object:
        study = radiograph()
        message = build_message(study, encode_samples(study.pixels, 12), evidence, key="main", height=500)
        return json.loads(message[4 : 4 + struct.unpack_from("<I", message)[0]])["evidence"]["id"]

    first = name(Evidence(maps, CLASSES, "COVID", 1.0))
    assert name(Evidence(maps, CLASSES, "Normal", 1.0)) == first, "the class shown repaints nothing"
    assert name(Evidence(maps / 2, CLASSES, "COVID", 1.0)) != first
    assert name(Evidence(maps, CLASSES, "COVID", 2.0)) != first


@pytest.mark.parametrize(
    ("maps", "shown", "scale", "probabilities"),
    [
        (np.zeros((3, 7, 7)), "COVID", 1.0, None),
        (np.zeros((4, 7)), "COVID", 1.0, None),
        (np.full((4, 7, 7), -0.1), "COVID", 1.0, None),
        (np.full((4, 7, 7), np.nan), "COVID", 1.0, None),
        (np.zeros((4, 7, 7)), "covid", 1.0, None),
        (np.zeros((4, 7, 7)), "COVID", float("nan"), None),
        (np.zeros((4, 7, 7)), "COVID", 1.0, (0.5, 0.5)),
    ],
)
def test_what_does_not_fit_is_refused(
    maps: NDArray[np.float64], shown: str, scale: float, probabilities: tuple[float, ...] | None
) -> None:
    with pytest.raises(UsageError):
        Evidence(maps.astype(np.float32), CLASSES, shown, scale, probabilities)


def test_the_script_stands_alone() -> None:
    text = script()
    assert text.count("export ") == 1 and "export default function mount" in text
    assert "\nimport " not in text
    assert "http:" not in text and "https:" not in text


def test_the_viewer_mounts() -> None:
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    assert not app.exception
    assert [element.type for element in app.main].count("bidi_component") == 1
