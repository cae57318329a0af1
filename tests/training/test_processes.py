"""Two processes train what one process trains: the same images, the same batch norm, the same figures."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lungassist.training.run import RunDirectory
from tests.training.runs import RECIPE, config_of, epochs_of, run_of, status_of
from tests.training.test_resume import ROOT

#: Batch norm in every layer and no dropout, whose masks differ between processes; every augmentation is on. Small
#: steps, because larger ones make other figures of a rounding error after a few of them, in one process too.
TOGETHER = replace(
    RECIPE,
    architecture="resnet18",
    epochs=2,
    batch_size=8,
    optimiser="sgd",
    learning_rate=1e-4,
    averaging=0.5,
    class_weights="balanced",
    label_smoothing=0.1,
)


def torchrun(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("groups", "batch_norm"), [(("all",), "batches"), (("layer4", "fc"), "batches"), (("all",), "held")]
)
def test_two_processes_find_the_figures_of_one(
    films: Path, tmp_path: Path, groups: tuple[str, ...], batch_norm: str
) -> None:
    recipe = replace(TOGETHER, groups=groups, batch_norm=batch_norm)
    run_of(tmp_path / "one", films, recipe)
    RunDirectory(tmp_path / "two").prepare(config_of(films, recipe))
    done = torchrun("-m", "train.finetune", "--resume", str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr[-3000:]
    assert status_of(tmp_path / "two")["state"] == "done"
    one, two = epochs_of(tmp_path / "one"), epochs_of(tmp_path / "two")
    for column in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        np.testing.assert_allclose(two[column], one[column], rtol=1e-4)
    tables = [pd.read_csv(tmp_path / name / "model" / "predictions.csv") for name in ("one", "two")]
    columns = [name for name in tables[0] if name.startswith("probability_")]
    np.testing.assert_allclose(tables[1][columns], tables[0][columns], atol=1e-3)


GRADIENTS = """
import copy, sys, torch
from torch.nn import functional
from lungassist.models.registry import build
from lungassist.training.processes import launch, own_slice, share_batch_norm

torch.manual_seed(0)
model, images, labels = build("resnet18", 4), torch.randn(9, 3, 64, 64), torch.arange(9) % 4
whole = copy.deepcopy(model).train()
functional.cross_entropy(whole(images), labels).backward()
fabric = launch(torch.device("cpu"), "float32")
share_batch_norm(model)
part = own_slice(9, fabric)
wrapped = fabric.setup_module(model.train(), move_to_device=False)
loss = functional.cross_entropy(wrapped(images[part]), labels[part], reduction="sum")
fabric.backward(loss / 9 * fabric.world_size)
for (name, one), two in zip(whole.named_parameters(), model.parameters()):
    assert (one.grad - two.grad).norm() < 1e-4 * one.grad.norm(), name
for (name, one), two in zip(whole.named_buffers(), model.buffers()):
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5, msg=name)
assert part.stop - part.start in (4, 5) and fabric.world_size == 2
"""


def test_the_gradient_of_two_processes_is_that_of_the_whole_batch(tmp_path: Path) -> None:
    """Also through batch norm's mean and variance, and when the batch does not divide."""
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    done = torchrun("--no-python", sys.executable, str(script))
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_failure_in_two_processes_is_a_failure(films: Path, tmp_path: Path) -> None:
    options = ["--data", str(tmp_path / "nowhere"), "--run-dir", str(tmp_path / "run"), "--start-from", "scratch"]
    done = torchrun("-m", "train.finetune", *options)
    assert done.returncode != 0
    assert status_of(tmp_path / "run")["state"] == "failed"
    assert "is not a folder" in status_of(tmp_path / "run")["cause"]
