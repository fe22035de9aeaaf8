"""Records of jobs: what each asked for and used, on which machine, and how it ended.

A record is written when the script of a job starts, and again when it ends: one that says `running` long after belongs
to a job that was killed. Nothing of a map follows from records.
"""

import contextlib
import datetime
import json
import logging
import os
import resource
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from parcelle import files
from parcelle.errors import ParcelleError

log = logging.getLogger(__name__)

FOLDER = "jobs"

STATES = ("running", "done", "refused", "failed")

_WHOLE_NUMBERS = ("attempt", "threads", "asked_mb", "asked_minutes", "gpu", "pid")
_NUMBERS = ("seconds", "cpu_seconds", "peak_mb", "output_mb")

# No number of a record is as large; those that are cannot be reckoned with.
_TOO_MUCH = 2**53

# Clocks of two machines of a cluster may differ by as much.
SKEW = datetime.timedelta(minutes=1)

_IMPORTED = time.monotonic()


@dataclass(frozen=True)
class Record:
    """What is known of the last time that a job ran.

    Attributes:
        rule: Name of its rule.
        wildcards: Its tile, region, seed or product.
        state: `running`, `done`, `refused` (its input or a setting is wrong: trying again is no use), or `failed`.
        message: Of a job that refused or failed, what it said.
        attempt: How often it was tried since it was done last, this time included.
        threads: Cores that it had.
        asked_mb: Memory that it asked for, MiB.
        asked_minutes: Time that it asked for.
        gpu: GPUs that it asked for.
        host: Machine.
        pid: Number of its process there.
        slurm_job: Number of the job in SLURM; None elsewhere.
        partition: Partition of SLURM.
        started: When the process of its script started, UTC.
        seconds: How long that ran, imports included.
        cpu_seconds: Time of cores that it used.
        peak_mb: Largest resident memory of the script's process, MiB.
        output_mb: Size of its outputs, MiB.

    """

    rule: str
    wildcards: Mapping[str, str]
    state: str
    message: str | None
    attempt: int
    threads: int
    asked_mb: int
    asked_minutes: int
    gpu: int
    host: str
    pid: int
    slurm_job: str | None
    partition: str | None
    started: str
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    output_mb: float = 0.0

    @property
    def name(self) -> str:
        """Rule and wildcards, such as `train north/0`."""
        return " ".join(filter(None, (self.rule, "/".join(self.wildcards.values()))))

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """Read a record; None where there is none as `write` writes them, since nothing depends on it."""
        try:
            # A named pipe would let every job wait that counts its attempts.
            found = cls(**json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else None
            return found if found and found._is_whole() and found._is_of(path) else None
        except (OSError, ValueError, TypeError, OverflowError, RecursionError):
            return None

    def _is_whole(self) -> bool:
        """Whether all values are of their kinds, so that whoever reads it can reckon with them."""
        return (
            all(_is_text(value) for value in (self.rule, self.host, self.started))
            and all(value is None or _is_text(value) for value in (self.message, self.slurm_job, self.partition))
            and isinstance(self.wildcards, dict)
            and all(_is_text(value) for pair in self.wildcards.items() for value in pair)
            and all(_is_number(getattr(self, name), int) for name in _WHOLE_NUMBERS)
            and all(_is_number(getattr(self, name), int | float) for name in _NUMBERS)
            and self.state in STATES
            and self.ended.tzinfo is not None
        )

    def _is_of(self, path: Path) -> bool:
        """Whether it lies where `write` puts it: a copy of a record is none."""
        return place(path.parents[2], self.rule, self.wildcards) == path

    @property
    def ended(self) -> datetime.datetime:
        """When it ended, or when it was written last."""
        return datetime.datetime.fromisoformat(self.started) + datetime.timedelta(seconds=self.seconds)

    def write(self, results: str | Path) -> None:
        """Write it under its name; a full disk must not turn a job that is done into one that failed."""
        path = place(results, self.rule, self.wildcards)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.put(path, json.dumps(asdict(self), indent=1) + "\n")
        except OSError as error:
            log.warning("%s cannot be written: %s", path, error)

    def refused_since(self, since: datetime.datetime) -> bool:
        """Whether it refused, in a run that began then."""
        return self.state == "refused" and datetime.datetime.fromisoformat(self.started) >= since - SKEW


def _is_text(value: object) -> bool:
    """Whether it is text that can be written again: what is not raises."""
    return isinstance(value, str) and value.encode() is not None


def _is_number(value: object, kind: Any) -> bool:
    """Whether it is a number of a kind, from 0; neither `true` nor NaN is one."""
    return isinstance(value, kind) and not isinstance(value, bool) and 0 <= value < _TOO_MUCH


def now() -> datetime.datetime:
    """Time of the clock, UTC."""
    return datetime.datetime.now(datetime.UTC)


def place(results: str | Path, rule: str, wildcards: Mapping[str, str]) -> Path:
    """Path of the record of a job."""
    return Path(results) / FOLDER / rule / f"{'.'.join(wildcards.values()) or 'all'}.json"


def read(results: str | Path) -> list[Record]:
    """Read all records, by rule and wildcards."""
    found = (Record.of(path) for path in sorted((Path(results) / FOLDER).glob("*/*.json")))
    return [record for record in found if record]


def refused(results: str | Path, rule: str, wildcards: Mapping[str, str], since: datetime.datetime) -> bool:
    """Whether a job refused its input, in a run that began then."""
    record = Record.of(place(results, rule, wildcards))
    return record is not None and record.refused_since(since)


def refusals(results: str | Path, since: datetime.datetime, most: int = 20) -> list[str]:
    """What the jobs said that refused in a run that began then: lines for the end of what a user sees."""
    said = [f"{record.name}: {record.message}" for record in read(results) if record.refused_since(since)]
    if not said:
        return []
    head = "Refused, and not tried again. Mend what is said here, then type the command of the run again:"
    more = [f"… and {len(said) - most} more: see the folder {Path(results) / 'logs'}."] if len(said) > most else []
    return ["", head, *more, *said[:most]]


@contextlib.contextmanager
def recorded(job: Any) -> Iterator[None]:
    """Write the record of a Snakemake job around what it does.

    Args:
        job: The `snakemake` object of a script.

    """
    results, record = job.config["results"], _begun(job)
    record.write(results)
    state, message = "failed", None
    try:
        yield
        state = "done"
    except Exception as error:
        state, message = "refused" if isinstance(error, ParcelleError) else "failed", str(error)
        raise
    finally:
        # A signal that ends Python leaves the record as that of a job that was killed.
        if state == "done" or message is not None:
            _ended(record, state, message, job.output).write(results)


def _begun(job: Any) -> Record:
    """Record of a job that starts."""
    wildcards = {name: str(value) for name, value in job.wildcards.items()}
    before = Record.of(place(job.config["results"], job.rule, wildcards))
    asked = job.resources
    return Record(
        rule=job.rule,
        wildcards=wildcards,
        state="running",
        message=None,
        attempt=1 + before.attempt if before and before.state != "done" else 1,
        threads=job.threads,
        asked_mb=int(asked.get("mem_mb", 0)),
        asked_minutes=int(asked.get("runtime", 0)),
        gpu=int(asked.get("gpu", 0)),
        host=socket.gethostname(),
        pid=os.getpid(),
        slurm_job=os.environ.get("SLURM_JOB_ID"),
        partition=os.environ.get("SLURM_JOB_PARTITION"),
        started=(now() - datetime.timedelta(seconds=age())).isoformat(timespec="seconds"),
    )


def _ended(record: Record, state: str, message: str | None, outputs: Any) -> Record:
    """The record of a job that ends now."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    size = sum(path.stat().st_size for path in map(Path, outputs) if path.is_file())
    return replace(
        record,
        state=state,
        message=message,
        seconds=round(age(), 2),
        cpu_seconds=round(sum(u.ru_utime + u.ru_stime for u in used), 2),
        peak_mb=round(peak_mb(), 1),
        output_mb=round(size / 2**20, 3),
    )


def age() -> float:
    """Seconds since this process started; where the system does not say so, since this module was imported."""
    with contextlib.suppress(OSError, AttributeError):
        # The 22nd field; the second one, a name in brackets, may hold spaces.
        started = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started
    return time.monotonic() - _IMPORTED


def peak_mb() -> float:
    """Largest resident memory of this process so far, MiB.

    Linux counts in `ru_maxrss` what the process was before it became this program: a copy of Snakemake.
    """
    with contextlib.suppress(OSError), Path("/proc/self/status").open() as lines:
        return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
