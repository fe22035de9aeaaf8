"""What SLURM says of jobs, parsed."""

import contextlib
import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Job:
    """A job as accounting knows it.

    Attributes:
        id: As SLURM counts.
        run: Snakemake's id of the run; all jobs of a run have it.
        rule: Name of the rule; empty for jobs that are none of Snakemake's.
        wildcards: Their values, joined by `_`.
        state: `COMPLETED`, `FAILED`, `OUT_OF_MEMORY`, `CANCELLED`, …
        mem_mb: Memory that was asked for.
        minutes: Time that was asked for.
        started: None for a job that did not start.
        peak_mb: Sum of the peaks of the job's steps: the script, and Snakemake's own two processes.
        nodes: Where it ran.

    """

    id: int
    run: str
    rule: str
    wildcards: str
    partition: str
    state: str
    cpus: int
    mem_mb: int
    minutes: int
    gpus: int
    submitted: datetime.datetime
    started: datetime.datetime | None
    ended: datetime.datetime | None
    peak_mb: float
    nodes: str


@dataclass(frozen=True)
class Queued:
    """A job that waits or runs: accounting knows its rule only once it ended."""

    id: int
    run: str
    rule: str
    wildcards: str
    state: str
    nodes: str


def by_job(rows: list[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    """Give each job's own row and those of its steps, which follow it."""
    lines: list[dict[str, str]] = []
    for row in rows:
        if lines and "." not in row["JobIDRaw"]:
            yield lines
            lines = []
        lines.append(row)
    if lines:
        yield lines


def belongs(row: dict[str, str], of: str | Path | None) -> bool:
    """Whether a job is of a folder or of a run; every job is, if none is given."""
    return of is None or str(of) in (row["WorkDir"], row["JobName"])


def job(lines: list[dict[str, str]]) -> Job:
    """Make a job of its own row and those of its steps."""
    own, *steps = lines
    given = _counts(own["AllocTRES"]) or _counts(own["ReqTRES"])
    rule, wildcards = comment(own["Comment"])
    return Job(
        id=int(own["JobIDRaw"]),
        run=own["JobName"],
        rule=rule,
        wildcards=wildcards,
        partition=own["Partition"],
        state=own["State"].split()[0],
        cpus=int(given.get("cpu", 0)),
        mem_mb=int(_megabytes(given.get("mem", ""))),
        minutes=int(own["TimelimitRaw"] or 0),
        gpus=int(given.get("gres/gpu", 0)),
        submitted=datetime.datetime.fromisoformat(own["Submit"]),
        started=_moment(own["Start"]),
        ended=_moment(own["End"]),
        peak_mb=sum(_megabytes(step["MaxRSS"]) for step in steps),
        nodes=own["NodeList"],
    )


def queued(row: dict[str, str]) -> Queued:
    """Make a job of a row of `squeue`."""
    rule, wildcards = comment(row["Comment"])
    return Queued(int(row["JobIDRaw"]), row["JobName"], rule, wildcards, row["State"], row["NodeList"])


def comment(text: str) -> tuple[str, str]:
    """Rule and wildcards that the plug-in writes into a job's comment."""
    if not text.startswith("rule_"):
        return "", ""
    rule, _, wildcards = text.removeprefix("rule_").partition("_wildcards_")
    return rule, wildcards


def _counts(tres: str) -> dict[str, str]:
    """Parse `billing=1,cpu=1,gres/gpu=1,mem=500M,node=1`."""
    return dict(pair.split("=", 1) for pair in tres.split(",") if pair)


def _megabytes(text: str) -> float:
    """Parse `500M`, `1.50G`, `828K` (and bytes without a letter) to MiB."""
    if not text:
        return 0.0
    factor = {"K": 2**-10, "M": 1, "G": 2**10, "T": 2**20}.get(text[-1])
    return float(text[:-1]) * factor if factor else float(text) * 2**-20


def _moment(text: str) -> datetime.datetime | None:
    """Parse a time of `sacct`; `Unknown` and `None` are what has not happened."""
    with contextlib.suppress(ValueError):
        return datetime.datetime.fromisoformat(text)
    return None
