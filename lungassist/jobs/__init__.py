"""Work that outlives the page: recorded, queued for a GPU or the CPU, run in processes of its own, stopped, resumed.

`JobBoard` is what pages and commands use; `jobs.resources.resources()` says on what a job can run. A job's state is
what is true of its processes, whoever looks and whatever was killed or restarted in between.
"""

from lungassist.jobs.board import JobBoard
from lungassist.jobs.job import Job, JobState
from lungassist.jobs.launcher import Condition, Launcher, LocalLauncher
from lungassist.jobs.locks import is_held

__all__ = [
    "Condition",
    "Job",
    "JobBoard",
    "JobState",
    "Launcher",
    "LocalLauncher",
    "is_held",
]
