"""What SLURM says of the jobs of a run."""

import datetime
import getpass
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from parcelle.errors import ParcelleError

# A job's number, its state, its comment and the folder it was submitted from; this comes last, since it may hold a `|`.
FORMAT = "%i|%T|%k|%Z"

# How comments of Snakemake's jobs begin; the name of each is that of the whole run, which died with its main process.
RULES = ("rule_", "group_")

# Numbers of jobs in one command.
CHUNK = 500

# Seconds that a command has to answer: while a controller changes over, they hang.
PATIENCE = 60.0


class ClusterError(ParcelleError):
    """A command of SLURM failed."""


@dataclass(frozen=True)
class Queued:
    """A job that waits, runs, or is about to end.

    Attributes:
        number: Its number, or that of a task of an array, such as `12_3`.
        state: `PENDING`, `RUNNING`, `COMPLETING`, …
        comment: What Snakemake says of it: `rule_sample_wildcards_31TCJ`.
        folder: Where it was submitted from.

    """

    number: str
    state: str
    comment: str
    folder: str


def queue(folder: Path) -> list[Queued]:
    """Jobs of this user that Snakemake submitted from a folder and that are not over; none where there is no SLURM.

    Raises:
        ClusterError: SLURM does not answer: that is not the same as no jobs.

    """
    if shutil.which("squeue") is None:
        return []
    said = _said(["squeue", "--noheader", f"--user={getpass.getuser()}", f"--format={FORMAT}"])
    if not _is_text(said):
        raise ClusterError(_unanswered("squeue", "what it prints is no text"))
    return [job for job in parse(said) if job.comment.startswith(RULES) and _same(job.folder, folder)]


def parse(table: str) -> list[Queued]:
    """Read what `squeue` prints in `FORMAT`."""
    rows = (line.split("|", 3) for line in table.splitlines() if line.count("|") >= 3)
    return [Queued(number.strip(), state, comment, place) for number, state, comment, place in rows]


def cancel(jobs: Sequence[Queued]) -> None:
    """Cancel jobs; those that ended in the meantime are no error.

    Raises:
        ClusterError: SLURM does not answer.

    """
    numbers = [job.number for job in jobs]
    for first in range(0, len(numbers), CHUNK):
        _said(["scancel", *numbers[first : first + CHUNK]])


def states(found: Mapping[str, str] | None, requeue: bool) -> dict[str, str]:
    """States of jobs in one word each, of those that are known; Snakemake asks again about a job that is missing.

    So nothing is lost while accounting or the controller is down. Nor is a job whose node was lost, if SLURM starts it
    again: until then it has no node, and Snakemake would exclude the node `None assigned` from all that follows.

    Args:
        found: What SLURM said; None where it did not answer.
        requeue: Whether SLURM starts jobs again whose node was lost.

    """
    words = {number: state.split()[0] for number, state in (found or {}).items() if state.strip()}
    return {number: word for number, word in words.items() if not (requeue and word == "NODE_FAIL")}


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise ClusterError(_unanswered(command[0], f"nothing in {PATIENCE:g} s")) from None
    except OSError as error:
        raise ClusterError(_unanswered(command[0], str(error.strerror))) from None
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ClusterError(_unanswered(command[0], reason[0]))
    return done.stdout


def _unanswered(command: str, why: str) -> str:
    return f"{command} does not answer ({why}): try again once the cluster does."


def _is_text(table: str) -> bool:
    """Whether all is text but the folders, which may have any letters: else jobs might be missed."""
    heads = ("".join(line.split("|", 3)[:3]) for line in table.splitlines())
    return "\0" not in table and all(head.isprintable() and "\ufffd" not in head for head in heads)


def _same(one: str, other: Path) -> bool:
    """Whether two paths are one folder, links resolved."""
    return Path(one).resolve() == other.resolve()


@dataclass(frozen=True)
class Account:
    """What SLURM's accounting says of a job: how long it waited, and the largest memory of its processes, if known."""

    queued_seconds: float
    peak_mb: float | None


def accounts(numbers: Sequence[str]) -> dict[str, Account]:
    """Ask the accounting about jobs by their numbers; nothing where there is none.

    Memory is what SLURM saw when it looked, twice a minute by default: of short jobs it is less than the truth.
    """
    if shutil.which("sacct") is None or not numbers:
        return {}
    found: dict[str, Account] = {}
    for first in range(0, len(numbers), CHUNK):
        some = ",".join(numbers[first : first + CHUNK])
        words = ["--noheader", "--parsable2", "--noconvert", "--format=JobID,Submit,Start,MaxRSS", f"--jobs={some}"]
        try:
            found |= parse_accounts(_said(["sacct", *words]))
        except (ClusterError, ValueError):
            return {}
    return found


def parse_accounts(table: str) -> dict[str, Account]:
    """Read what `sacct` prints: a line of each job, and below it one of each of its steps, which has its memory."""
    rows = [line.split("|") for line in table.splitlines() if line.count("|") == 3]
    peaks: dict[str, int] = {}
    for number, _, _, memory in rows:
        job = number.partition(".")[0]
        peaks[job] = max(peaks.get(job, 0), int(memory or 0))
    return {
        number: Account(_between(submitted, started), peaks[number] / 2**20 if peaks[number] else None)
        for number, submitted, started, _ in rows
        if "." not in number and started[:1].isdigit()
    }


def _between(first: str, last: str) -> float:
    """Seconds between two times as SLURM writes them."""
    begin, end = (datetime.datetime.fromisoformat(time) for time in (first, last))
    return (end - begin).total_seconds()
