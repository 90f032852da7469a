"""Runs in the background: one is a `Job`, all of them are the queue `jobs()`."""

from nbtool.job.job import Job
from nbtool.job.line import AHEAD
from nbtool.job.queue import Jobs, cancel, jobs

__all__ = ["AHEAD", "Job", "Jobs", "cancel", "jobs"]
