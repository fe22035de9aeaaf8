"""Processes of a node of the test cluster: to end them all at once, as a node does that loses its power."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def of_node(name: str) -> list[int]:
    """Processes of the jobs on a node, after the daemons that look after them: these must not report the end."""
    marks = f"SLURMD_NODENAME={name}".encode()
    of_jobs = [pid for pid in _all() if marks in _environment(pid)]
    above = {parent for pid in of_jobs if _command(parent := _parent(pid)) == "slurmstepd"}
    return [*above, *of_jobs]


def kill_all(found: Callable[[], list[int]]) -> None:
    while pids := found():
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    return 0


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def _all() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
