"""Heat maps against the grad-cam package, against equations 1 and 2 of Grad-CAM, and against a planted signal."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import pytorch_grad_cam
import torch
from numpy.typing import NDArray
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn
from torch.nn import functional

from lungassist.errors import UsageError
from lungassist.explain import CLASS_BLIND, METHODS, ChannelWeights, class_gradients, heat_maps, shared_scale
from lungassist.models.registry import architecture, build
from lungassist.overlay import overlay
from lungassist.predict import Classifier
from lungassist.preprocess import to_batch
from lungassist.training.fit import fit
from lungassist.training.pixels import LabelledImages
from lungassist.training.recipe import Recipe
from lungassist.training.state import start
from tests.drawn import SMALL, card_of, network_of

PACKAGE = {
    "gradcam": pytorch_grad_cam.GradCAM,
    "hirescam": pytorch_grad_cam.HiResCAM,
    "gradcam++": pytorch_grad_cam.GradCAMPlusPlus,
    "eigencam": pytorch_grad_cam.EigenCAM,
}
FAMILIES = ("alexnet", "vgg16", "resnet18", "densenet121", SMALL)
SIDE = 96


def drawn_batch(count: int = 1, side: int = SIDE) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(3))


def maps_of(network: nn.Module, name: str, batch: torch.Tensor, method: str) -> NDArray[np.float32]:
    body, tail = architecture(name).halve(network)
    with torch.no_grad():
        activations = body(batch)
    # The tails of torchvision overwrite their input.
    _, gradients = class_gradients(_out_of_place(tail), activations)
    return heat_maps(method, activations, gradients)


def _out_of_place(tail: nn.Module) -> nn.Module:
    for module in tail.modules():
        if isinstance(module, nn.ReLU | nn.Hardswish):
            module.inplace = False
    return tail


def scaled_as_the_package_does(heat_map: NDArray[np.float32], side: int) -> NDArray[np.float64]:
    """Minimum to 0, maximum to 1, then bilinear to the image's size, then once more."""
    result = heat_map.astype(np.float64)
    for last in (False, True):
        result = result - result.min()
        result = result / (1e-7 + result.max())
        result = result if last else cv2.resize(result, (side, side))
    return result


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    """A network of every family; its weights are frozen, as the package would otherwise differentiate them too."""
    return request.param, network_of(request.param, size=SIDE).requires_grad_(False)


@pytest.mark.parametrize("method", PACKAGE)
def test_every_class_has_the_map_that_the_package_gives_it(family: tuple[str, nn.Module], method: str) -> None:
    name, network = family
    record, batch = architecture(name), drawn_batch()
    own = maps_of(network, name, batch, method)
    assert own.shape[:2] == (1, 4)
    model, layer = network, network.get_submodule(record.target_layer)
    if name == "densenet121":
        # torchvision's ReLU in place would overwrite what the package has stored.
        body, tail = record.halve(network)
        model, layer = nn.Sequential(body, tail), body
    with PACKAGE[method](model, [layer]) as cam:
        for index in range(4):
            expected = cam(batch.requires_grad_(True), [ClassifierOutputTarget(index)])[0]
            np.testing.assert_allclose(scaled_as_the_package_does(own[0, index], SIDE), expected, atol=1e-4)


def test_the_methods_do_not_all_say_the_same(family: tuple[str, nn.Module]) -> None:
    name, network = family
    maps = {method: maps_of(network, name, drawn_batch(), method) for method in METHODS}
    for method, values in maps.items():
        assert values.dtype == np.float32
        assert (values >= 0).all()
        assert np.isfinite(values).all()
        same_for_all = all(np.array_equal(values[:, 0], values[:, k]) for k in range(4))
        assert same_for_all == (method in CLASS_BLIND)
    if maps["gradcam"].shape[2:] != (1, 1):
        assert not np.allclose(maps["gradcam"], maps["gradcam++"])


def test_grad_cam_is_equations_1_and_2() -> None:
    network, batch = network_of("resnet18", size=SIDE), drawn_batch(2)
    own = maps_of(network, "resnet18", batch, "gradcam")
    stored: list[torch.Tensor] = []
    hook = network.get_submodule("layer4").register_forward_hook(lambda module, given, result: stored.append(result))
    logits = network(batch)
    hook.remove()
    for image in range(2):
        for index in range(4):
            (slope,) = torch.autograd.grad(logits[image, index], stored[0], retain_graph=True)
            weights = slope[image].mean(dim=(1, 2))
            expected = (weights.view(-1, 1, 1) * stored[0][image]).sum(dim=0).relu()
            torch.testing.assert_close(torch.from_numpy(own[image, index]), expected, rtol=1e-4, atol=1e-6)


def test_one_pass_gives_the_gradients_of_every_class_and_image() -> None:
    network, batch = network_of(), drawn_batch(3, 64)
    body, tail = architecture(SMALL).halve(network)
    with torch.no_grad():
        activations = body(batch)
    logits, gradients = class_gradients(tail, activations)
    assert logits.shape == (3, 4)
    assert gradients.shape == (4, *activations.shape)
    assert not logits.requires_grad
    assert not gradients.requires_grad
    leaf = activations.clone().requires_grad_(True)
    for index in range(4):
        (expected,) = torch.autograd.grad(tail(leaf)[:, index].sum(), leaf)
        torch.testing.assert_close(gradients[index], expected)


def test_channel_weights_are_the_means_of_the_gradients(family: tuple[str, nn.Module]) -> None:
    name, network = family
    body, tail = architecture(name).halve(network)
    with torch.no_grad():
        activations = body(drawn_batch(2))
    logits, gradients = class_gradients(_out_of_place(tail), activations)
    weights_logits, weights = ChannelWeights(tail)(activations)
    expected = gradients.mean(dim=(3, 4))
    torch.testing.assert_close(weights_logits, logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(weights, expected, rtol=0, atol=1e-4 * float(expected.abs().max()))


def test_channel_weights_want_pooling_and_a_linear_layer() -> None:
    for tail in (nn.Sequential(nn.Flatten(), nn.Linear(8, 4)), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())):
        with pytest.raises(UsageError, match="must begin with pooling"):
            ChannelWeights(tail)


def test_explaining_leaves_no_trace_on_the_network() -> None:
    network = network_of()
    flags = {name: module.training for name, module in network.named_modules()}
    state = {key: value.clone() for key, value in network.state_dict().items()}
    for method in METHODS:
        maps_of(network, SMALL, drawn_batch(1, 64), method)
    for name, module in network.named_modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
        assert not any(hooks), name
        assert module.training == flags[name]
    for key, value in network.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=0, atol=0)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_mode_is_nobodys_business_but_the_callers() -> None:
    tail = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(8, 4)).train()
    class_gradients(tail, torch.rand(1, 8, 3, 3))
    assert all(module.training for module in tail.modules())


@pytest.mark.parametrize("method", METHODS)
def test_no_activations_are_no_evidence(method: str) -> None:
    maps = heat_maps(method, torch.zeros(2, 8, 3, 3), torch.randn(4, 2, 8, 3, 3))
    assert maps.shape == (2, 4, 3, 3)
    assert not maps.any()


@pytest.mark.parametrize("method", ["gradcam", "hirescam"])
def test_evidence_against_a_class_is_no_evidence_for_it(method: str) -> None:
    activations = torch.rand(1, 8, 3, 3) + 0.1
    gradients = torch.stack([torch.full((1, 8, 3, 3), value) for value in (-1.0, 1.0)])
    maps = heat_maps(method, activations, gradients)
    assert not maps[0, 0].any()
    assert maps[0, 1].all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "activations", [torch.zeros(1, 8, 3, 3), torch.ones(1, 8, 3, 3), torch.full((1, 8, 3, 3), 1e4)]
)
@pytest.mark.parametrize("slope", [0.0, 1e-20, 1.0, -1e4])
def test_maps_are_numbers_whatever_the_network_does(method: str, activations: torch.Tensor, slope: float) -> None:
    maps = heat_maps(method, activations, torch.full((4, 1, 8, 3, 3), slope))
    assert np.isfinite(maps).all()
    assert (maps >= 0).all()


def test_gradients_are_numbers_on_an_empty_film() -> None:
    network = network_of()
    body, tail = architecture(SMALL).halve(network)
    for value in (0.0, -2.0, 2.0):
        with torch.no_grad():
            activations = body(torch.full((1, 3, 64, 64), value))
        logits, gradients = class_gradients(tail, activations)
        assert torch.isfinite(logits).all()
        assert torch.isfinite(gradients).all()


def test_the_classes_of_one_image_share_a_scale() -> None:
    maps = np.array([[[0.1, 0.2]], [[0.7, 0.0]]], np.float32)
    assert shared_scale(maps) == pytest.approx(0.7)
    assert shared_scale(np.zeros((4, 3, 3), np.float32)) == 0
    assert shared_scale(np.empty((0, 3, 3), np.float32)) == 0


def test_an_unknown_method_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'lime'.*gradcam.*eigencam"):
        heat_maps("lime", torch.zeros(1, 8, 3, 3), torch.zeros(4, 1, 8, 3, 3))


@dataclass(frozen=True)
class Planted:
    """An image of noise with one bright square, and where the square is."""

    image: NDArray[np.uint8]
    top: int
    left: int
    side: int

    def holds(self, row: float, column: float) -> bool:
        return self.top <= row < self.top + self.side and self.left <= column < self.left + self.side


def plant(rng: np.random.Generator, quadrant: int | None, side: int = 64) -> Planted:
    """Noise, and a square of 24 pixels somewhere inside a quadrant unless that is None."""
    image = rng.normal(90, 12, (side, side))
    size, half = 3 * side // 8, side // 2
    down, right = divmod(quadrant or 0, 2)
    top, left = (int(part * half + rng.integers(side // 32, half - size - side // 32 + 1)) for part in (down, right))
    if quadrant is not None:
        image[top : top + size, left : left + size] += 80
    return Planted(np.clip(image, 0, 255).astype(np.uint8), top, left, size)


def labelled(rng: np.random.Generator, count: int) -> LabelledImages:
    """Half with a square in any quadrant (class 1), half without (class 0)."""
    images = [plant(rng, int(rng.integers(4)) if label else None).image for label in (np.arange(count) % 2)]
    return LabelledImages(torch.from_numpy(np.stack(images)), torch.arange(count) % 2)


@pytest.fixture(scope="module")
def finder() -> Classifier:
    """A network that the project's own loop has taught to tell a square from none."""
    rng = np.random.default_rng(1)
    recipe = Recipe(
        architecture="resnet18",
        start="scratch",
        size=64,
        epochs=5,
        batch_size=16,
        learning_rate=2e-3,
        weight_decay=0.01,
        averaging=0,
        rotation=0,
        shift=0,
        scale=0,
        exposure=0,
        degrade=False,
    )
    torch.manual_seed(1)
    network = build("resnet18", 2)
    # What the last layer starts with is no evidence, and a few epochs are too few to forget it.
    nn.init.zeros_(network.get_parameter("fc.weight"))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.2
    state = start(network, recipe, 64)
    figures = list(fit(state, labelled(rng, 64), labelled(rng, 20), recipe))
    assert figures[-1].validation_accuracy >= 0.9
    card = card_of(architecture="resnet18", classes=("none", "square"), preprocessing=recipe.preprocessing)
    return Classifier(state.kept, card)


def hits(finder: Classifier, planted: list[Planted]) -> int:
    """In how many images the place with most evidence for 'square' is on the square."""
    maps = finder.predict(np.stack([p.image for p in planted])).heat_maps
    assert maps is not None
    rows, columns = maps.shape[2:]
    peaks = [np.unravel_index(int(m.argmax()), m.shape) for m in maps[:, 1]]
    centres = [((row + 0.5) * 64 / rows, (column + 0.5) * 64 / columns) for row, column in peaks]
    return sum(p.holds(*centre) for p, centre in zip(planted, centres, strict=True))


def test_grad_cam_finds_a_planted_signal_and_follows_it(finder: Classifier) -> None:
    rng = np.random.default_rng(2)
    quadrants = rng.integers(4, size=50)
    before = [plant(rng, int(quadrant)) for quadrant in quadrants]
    after = [plant(rng, int(quadrant + 1) % 4) for quadrant in quadrants]
    # By chance it would be 12 or 13 of 50.
    assert hits(finder, before) >= 40
    assert hits(finder, after) >= 40


def test_where_there_is_no_square_there_is_less_evidence(finder: Classifier) -> None:
    rng = np.random.default_rng(3)
    with_square, without = (
        finder.predict(np.stack([plant(rng, quadrant).image for _ in range(20)])).heat_maps for quadrant in (1, None)
    )
    assert with_square is not None
    assert without is not None
    assert with_square[:, 1].max(axis=(1, 2)).min() > without[:, 1].max(axis=(1, 2)).max()


def test_the_prepared_image_is_what_is_explained(finder: Classifier) -> None:
    """The classifier's maps are those of the network that it was made of, folded or not."""
    image = plant(np.random.default_rng(4), 2).image[None]
    batch = to_batch(torch.from_numpy(image), finder.card.preprocessing)
    assert batch.shape == (1, 3, 64, 64)
    maps = finder.predict(image).heat_maps
    assert maps is not None
    assert maps.shape == (1, 2, 2, 2)


CELLS = 7
CELL = 12


class _Bright(nn.Module):
    """A body whose every place sees one cell of the image and nothing else: its mean brightness."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return functional.avg_pool2d(batch.mean(dim=1, keepdim=True), CELL)


@pytest.mark.parametrize("shape", [(CELLS * CELL, CELLS * CELL), (5 * CELLS * CELL, 3 * CELLS * CELL)])
def test_an_overlay_is_strongest_at_the_centre_of_the_cell_that_was_seen(shape: tuple[int, int]) -> None:
    tail = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 2))
    nn.init.constant_(tail[2].weight, 1.0)
    rows, columns = shape
    film = np.zeros(shape, np.uint8)
    for row in range(CELLS):
        for column in range(CELLS):
            image = torch.zeros(1, 3, CELLS * CELL, CELLS * CELL)
            image[..., row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL] = 1.0
            _, gradients = class_gradients(tail, _Bright()(image))
            (maps,) = heat_maps("gradcam", _Bright()(image), gradients)
            painted = overlay(film, maps[1], shared_scale(maps), opacity=1.0).astype(np.float64).sum(axis=2)
            lit = np.argwhere(painted == painted.max()) + 0.5
            expected = ((row + 0.5) * rows / CELLS, (column + 0.5) * columns / CELLS)
            # At an edge the last half of a cell has no neighbour to fade towards: it is as bright as the centre.
            low, high = lit.min(axis=0) - 1, lit.max(axis=0) + 1
            assert (low <= expected).all(), (row, column)
            assert (expected <= high).all(), (row, column)
            inside = [0 < row < CELLS - 1, 0 < column < CELLS - 1]
            off = np.abs(lit.mean(axis=0) - expected)
            assert (off[inside] <= 1).all(), (row, column, off)
