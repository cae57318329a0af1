"""What test jobs do: `python -m tests.jobs.work RUN_DIR ACTION [WORDS...]`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from lungassist.files import write_json
from lungassist.jobs.processes import TOKEN_MARK

RUN = Path(sys.argv[1])


def note(name: str, text: str = "x") -> None:
    """Write a file in one step."""
    temporary = RUN / f".{name}"
    temporary.write_text(text)
    temporary.replace(RUN / name)


def sleep_forever() -> None:
    while True:
        time.sleep(60)


def wait() -> None:
    """Until the file `go` is there."""
    note("pid", str(os.getpid()))
    while not (RUN / "go").exists():
        time.sleep(0.02)


def fail(status: str, *cause: str) -> None:
    """End with a status; with a cause, after saying so in the status file."""
    if cause:
        write_json(RUN / "status.json", {"state": "failed", "cause": " ".join(cause)})
    sys.exit(int(status))


def say(state: str) -> None:
    """Write a state and wait."""
    write_json(RUN / "status.json", {"state": state, "cause": "the loss is not finite" if state == "failed" else None})
    wait()


def graceful() -> None:
    """As a training does: at SIGTERM the last checkpoint is written."""

    def end(*_: object) -> None:
        note("checkpoint")
        write_json(RUN / "status.json", {"state": "cancelled"})
        sys.exit(143)

    signal.signal(signal.SIGTERM, end)
    note("pid", str(os.getpid()))
    sleep_forever()


def deaf(*names: str) -> None:
    """Ignore SIGTERM, write the pid, and go on for ever; below it, the same in every way to hide from a parent."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for name in names:
        hidden = name.startswith("session")
        subprocess.Popen(
            [sys.executable, "-m", "tests.jobs.work", str(RUN), "daemon" if name == "daemon" else "deaf_as", name],
            start_new_session=hidden,
        )
    note("pid", str(os.getpid()))
    sleep_forever()


def deaf_as(name: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note(name, str(os.getpid()))
    sleep_forever()


def daemon(name: str = "daemon") -> None:
    """Leave the tree as daemons do: a session of its own, and a parent that ends."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    deaf_as(name)


def leave_behind() -> None:
    """Be done, but leave a daemon."""
    if not os.fork():
        daemon()
    while not (RUN / "daemon").exists():
        time.sleep(0.02)


def surroundings() -> None:
    """Write down what the process finds around it."""
    autogroup = Path("/proc/self/autogroup")
    names = ("LUNGASSIST_JOB", TOKEN_MARK, "LUNGASSIST_JOB_RUNNER", "CUDA_VISIBLE_DEVICES", "LUNGASSIST_HOME")
    found = {
        "environment": {name: os.environ.get(name) for name in names},
        "nice": os.getpriority(os.PRIO_PROCESS, 0),
        "autogroup": autogroup.read_text() if autogroup.exists() else None,
        "folder": str(Path.cwd()),
        "session": os.getsid(0),
        "blocked": [str(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "input": sys.stdin.read(),
    }
    note("surroundings", json.dumps(found))


def count() -> None:
    """Leave a trace of each start that overlaps with no other: the file is there only while one runs."""
    here = RUN.parent / "somebody-runs"
    handle = os.open(here, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    os.close(handle)
    with (RUN.parent / "order").open("a") as order:
        order.write(f"{RUN.name}\n")
    time.sleep(0.2)
    here.unlink()


if __name__ == "__main__":
    print(f"begin {sys.argv[2:]}", flush=True)  # noqa: T201 -- a job's output is what is tested
    globals()[sys.argv[2]](*sys.argv[3:])
    print("end", flush=True)  # noqa: T201
