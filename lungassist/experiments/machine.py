"""How busy this machine is, and how much of it a job takes."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class MachineUse:
    """Shares in [0, 1] and bytes; what a GPU does is None where there is none or it does not say.

    Attributes:
        cpu: share of all cores that is busy.
        memory, memory_total: of the machine.
        job_memory: of the job's processes, shared pages counted for each; None where it is gone.
        gpus: (busy share, bytes used, bytes in all) a GPU.
    """

    cpu: float
    memory: int
    memory_total: int
    job_memory: int | None
    gpus: tuple[tuple[float, int, int], ...]


def machine_use(pid: int | None) -> MachineUse:
    """Look now; the CPU's share is since the last look."""
    memory = psutil.virtual_memory()
    return MachineUse(
        psutil.cpu_percent() / 100, memory.total - memory.available, memory.total, _memory_of(pid), _gpus()
    )


def _memory_of(pid: int | None) -> int | None:
    if pid is None:
        return None
    try:
        process = psutil.Process(pid)
        return sum(_resident(each) for each in [process, *process.children(recursive=True)])
    except psutil.Error:
        return None


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:  # it ended between being listed and being asked
        return 0


def _gpus() -> tuple[tuple[float, int, int], ...]:
    command = shutil.which("nvidia-smi")
    if command is None:
        return ()
    query = "--query-gpu=utilization.gpu,memory.used,memory.total"
    try:
        said = subprocess.run(
            [command, query, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=5, check=True
        ).stdout
        rows = [[float(part) for part in line.split(",")] for line in said.strip().splitlines()]
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
    return tuple((busy / 100, int(used * 2**20), int(total * 2**20)) for busy, used, total in rows)
