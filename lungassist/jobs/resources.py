"""What a job can run on here, found without loading a framework or touching a GPU."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

CPU: Final = "cpu"

#: What may be written as a job's resource.
PATTERN: Final = re.compile(r"cpu|gpu:\d{1,3}(,gpu:\d{1,3})*")

_DRIVER: Final = Path("/proc/driver/nvidia/gpus")
_LISTED: Final = re.compile(r"^GPU (\d+): (.+?) \(UUID: (\S+)\)", re.MULTILINE)
_PATIENCE: Final = 20.0


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that one job at a time runs on.

    Attributes:
        name: "gpu:N", with N as `nvidia-smi` counts, or "cpu".
        title: for people.
    """

    name: str
    title: str


def resources() -> list[Resource]:
    """GPUs in their order, then the CPU. If `CUDA_VISIBLE_DEVICES` is set, only the GPUs that it names."""
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [
        Resource(f"gpu:{number}", f"{model} (GPU {number})")
        for number, model, uuid in _gpus()
        if wanted is None or _is_named(number, uuid, wanted)
    ]
    return [*gpus, Resource(CPU, f"CPU ({len(os.sched_getaffinity(0))} cores)")]


def environment_for(resource: str) -> dict[str, str]:
    """Variables that show a job the GPUs it was given and no other."""
    numbers = [name.partition(":")[2] for name in resource.split(",") if name.startswith("gpu:")]
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(numbers)}


def _is_named(number: int, uuid: str, wanted: str) -> bool:
    return any(word == str(number) or (bool(word) and uuid.startswith(word)) for word in wanted.split(","))


@cache
def _gpus() -> tuple[tuple[int, str, str], ...]:
    """Number, model and UUID of each GPU. Asked once: `nvidia-smi` takes up to seconds, and pages ask every second."""
    return _from_tool() or _from_driver()


def _from_tool() -> tuple[tuple[int, str, str], ...]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        done = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=_PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple((int(number), model, uuid) for number, model, uuid in _LISTED.findall(done.stdout))


def _from_driver() -> tuple[tuple[int, str, str], ...]:
    """What the kernel's driver says, for hosts without the tool; folders are named, and so sorted, by PCI address."""
    found: list[tuple[int, str, str]] = []
    for path in sorted(_DRIVER.glob("*/information")):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        values = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        found.append((len(found), values.get("Model", "GPU"), values.get("GPU UUID", "")))
    return tuple(found)
