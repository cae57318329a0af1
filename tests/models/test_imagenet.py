"""ImageNet weights: from torch's cache, or not at all, with a word that helps. Nothing is downloaded here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision import models as tv

from lungassist.errors import WeightsError
from lungassist.models.imagenet import adopt, build_from_imagenet
from lungassist.models.registry import build
from tests.drawn import SMALL, network_of
from tests.models.harmful import Harmful

URL = tv.MobileNet_V3_Small_Weights.DEFAULT.url


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where torch looks for the file; a download fails as it does without a network."""

    def offline(*given: object, **named: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    # Set by `torch.hub.set_dir`, it would go before TORCH_HOME.
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    path = tmp_path / "hub" / "checkpoints" / Path(URL).name
    path.parent.mkdir(parents=True)
    yield path


def test_all_but_the_last_layer_comes_from_the_file(place: Path) -> None:
    stored = network_of(classes=1000).state_dict()
    torch.save(stored, place)
    torch.manual_seed(1)
    model = build_from_imagenet(SMALL, 4)
    torch.manual_seed(1)
    fresh = build(SMALL, 4).state_dict()
    for key, value in model.state_dict().items():
        expected = fresh[key] if key.startswith("classifier.3.") else stored[key]
        torch.testing.assert_close(value, expected, rtol=0, atol=0)


def test_densenets_old_names_are_understood(tmp_path: Path) -> None:
    stored = network_of("densenet121", classes=1000).state_dict()
    dotted = {}
    for key, value in stored.items():
        for part in ("norm1", "norm2", "conv1", "conv2"):
            if "denselayer" in key and f".{part}." in key:
                key = key.replace(f".{part}.", f".{part[:-1]}.{part[-1]}.")  # noqa: PLW2901
        dotted[key] = value
    assert "features.denseblock1.denselayer1.norm.1.weight" in dotted
    name = Path(tv.DenseNet121_Weights.DEFAULT.url).name
    torch.save(dotted, tmp_path / "hub" / "checkpoints" / name)
    loaded = build_from_imagenet("densenet121", 4).state_dict()
    for key in ("features.denseblock1.denselayer1.norm1.weight", "features.denseblock4.denselayer16.conv2.weight"):
        torch.testing.assert_close(loaded[key], stored[key], rtol=0, atol=0)


def test_offline_the_message_names_the_address_and_the_place(place: Path) -> None:
    with pytest.raises(WeightsError) as caught:
        build_from_imagenet(SMALL, 4)
    message = str(caught.value)
    assert URL in message
    assert str(place) in message
    assert "no route to host" in message


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "list", "other network"])
def test_a_file_that_cannot_be_used_is_named(place: Path, damage: str) -> None:
    if damage == "cut":
        torch.save(network_of(classes=1000).state_dict(), place)
        place.write_bytes(place.read_bytes()[:100_000])
    elif damage == "list":
        torch.save([torch.zeros(3)], place)
    elif damage == "other network":
        torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, place)
    else:
        place.write_bytes(b"<html>proxy login</html>" if damage == "text" else b"")
    with pytest.raises(WeightsError) as caught:
        build_from_imagenet(SMALL, 4)
    assert str(place) in str(caught.value)


def test_code_in_the_file_is_never_executed(place: Path, tmp_path: Path) -> None:
    torch.save({"features.0.0.weight": Harmful(tmp_path / "executed")}, place)
    with pytest.raises(WeightsError, match="cannot be read"):
        build_from_imagenet(SMALL, 4)
    assert not (tmp_path / "executed").exists()


def test_only_the_last_layer_may_be_missing() -> None:
    state = network_of(classes=4).state_dict()
    del state["features.0.0.weight"]
    with pytest.raises(WeightsError, match=r"features\.0\.0\.weight"):
        adopt(build(SMALL, 4), state, "a test")
