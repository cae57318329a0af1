"""Run the command line in this process and say on standard error, last, how much memory it took at its peak.

python -m benchmarks.peak triage FOLDER --json
"""

from __future__ import annotations

import sys
from pathlib import Path

from lungassist.cli.main import main


def peak_megabytes() -> float:
    """Largest resident set of this process so far, in MB of 2**20 bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # unlike getrusage, it does not count what the parent held when it started this process
        line = next(line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.write(f"{peak_megabytes():.1f}\n")
    sys.exit(code)
