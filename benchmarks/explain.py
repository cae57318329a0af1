"""What the heat maps cost: probabilities with the maps of all classes, against the network's bare forward pass.

  forward    torchvision's network, no gradients, on a batch that is ready
  lungassist Classifier.predict: from prepared 8-bit images to probabilities and a Grad-CAM map of every class
  gradcam    the grad-cam package's GradCAM on the whole network, for one class

and whether LungAssist's maps are those of the grad-cam package: the largest difference over all classes, both scaled
to [0, 1] as the package does.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.networks import plain_card, prepared_images, random_network
from benchmarks.timing import arguments_parser, interleaved, machine, write_result
from lungassist.explain import GRAD_CAM
from lungassist.models.registry import architecture
from lungassist.predict import Classifier
from lungassist.preprocess import Preprocessing, to_batch

PackageGradCam = Callable[[torch.Tensor, int], NDArray[np.float32]]

NETWORKS = ("resnet50", "vgg19_bn", "alexnet")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; returns 0."""
    p = arguments_parser("benchmarks.explain", __doc__)
    p.add_argument("--networks", nargs="+", metavar="NAME", help=f"default: {' '.join(NETWORKS)}")
    p.add_argument("--batch", type=int, default=1, help="images a pass (default 1)")
    p.add_argument("--rounds", type=int, default=30, help="default 30")
    arguments = p.parse_args(argv)
    names = arguments.networks or (("mobilenet_v3_small",) if arguments.quick else NETWORKS)
    size, rounds = (64, 3) if arguments.quick else (224, arguments.rounds)
    networks = {name: measure(name, Preprocessing(size=size), arguments.batch, rounds) for name in names}
    result = {
        "benchmark": "explain",
        "machine": machine(),
        "batch": arguments.batch,
        "size": size,
        "rounds": rounds,
        "networks": networks,
    }
    write_result(result, [_line(name, figures) for name, figures in networks.items()], arguments.json)
    return 0


def measure(name: str, preprocessing: Preprocessing, batch: int, rounds: int) -> dict[str, Any]:
    """Times of one network, their ratios to its bare pass, and the distance between the maps."""
    network = random_network(name, preprocessing)
    # Each its own copy: grad-cam leaves hooks, the classifier freezes and folds.
    classifier = Classifier(copy.deepcopy(network), plain_card(name, preprocessing))
    package = package_gradcam(copy.deepcopy(network), name)
    images = prepared_images(batch, preprocessing)
    ready = to_batch(torch.from_numpy(images), preprocessing)

    def forward() -> None:
        with torch.no_grad():
            network(ready)

    steps = {
        "forward": forward,
        "lungassist": lambda: classifier.predict(images, GRAD_CAM),
        "gradcam": lambda: package(ready, 0),
    }
    timings = interleaved(steps, rounds)
    return {
        "milliseconds": timings.milliseconds(),
        "lungassist_to_forward": timings.ratio("lungassist", "forward"),
        "lungassist_to_forward_fastest": timings.ratio_of_fastest("lungassist", "forward"),
        "gradcam_to_forward": timings.ratio("gradcam", "forward"),
        "largest_difference": largest_difference(package, classifier, images),
    }


def package_gradcam(network: nn.Module, name: str) -> PackageGradCam:
    """The grad-cam package's Grad-CAM: from a batch and a class to maps `(N, S, S)` in [0, 1]."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    method = GradCAM(model=network, target_layers=[network.get_submodule(architecture(name).target_layer)])
    return lambda ready, index: method(input_tensor=ready, targets=[ClassifierOutputTarget(index)] * len(ready))


def largest_difference(package: PackageGradCam, classifier: Classifier, images: NDArray[np.uint8]) -> float:
    """Largest difference between LungAssist's maps and grad-cam's, over all classes, pixels and images.

    Both are scaled to [0, 1], to the images' size, and to [0, 1] again, by the package's own function, as it does.
    """
    from pytorch_grad_cam.utils.image import scale_cam_image

    ready = to_batch(torch.from_numpy(images), classifier.card.preprocessing)
    maps = classifier.predict(images, GRAD_CAM).heat_maps
    if maps is None:
        raise RuntimeError("predict returned no heat maps although they were asked for")
    side = classifier.card.preprocessing.size
    return max(
        float(np.abs(scale_cam_image(scale_cam_image(maps[:, k], (side, side))) - package(ready, k)).max())
        for k in range(len(classifier.classes))
    )


def _line(name: str, figures: dict[str, Any]) -> str:
    times = figures["milliseconds"]
    return (
        f"{name:20} forward {times['forward']:8.1f} ms   lungassist {times['lungassist']:8.1f} ms = "
        f"{figures['lungassist_to_forward']:.2f} x (fastest rounds {figures['lungassist_to_forward_fastest']:.2f} x)   "
        f"gradcam, one class {times['gradcam']:8.1f} ms = {figures['gradcam_to_forward']:.2f} x   "
        f"maps differ by at most {figures['largest_difference']:.1e}"
    )


if __name__ == "__main__":
    sys.exit(main())
