"""Go on with a run whose main process died: ``python -m parcelle.operations.resume --configfile … --profile …``.

A main process that is killed leaves its jobs running and its folder locked. Two jobs that write one file must not meet,
so its jobs end first; and what they made meanwhile is taken over only if nothing it follows from has changed since.
"""

import argparse
import datetime
import itertools
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from parcelle import files
from parcelle.errors import ParcelleError, StaleError, in_one_sentence
from parcelle.operations import commands, ledger, previews, slurm
from parcelle.operations.commands import Run
from parcelle.vectors import listed

# Seconds between two looks at the jobs that are left, and between two lines about them.
LOOK, TELL = 2, 60

# Seconds that a process has to end when it is asked to.
GRACE = 10

# What Snakemake says where everything is there and newer than what it follows from.
NOTHING = "Nothing to be done"

# How a main process differs from the processes of its jobs, which are Snakemake's too.
OF_JOBS = ("--mode", "--target-jobs")


class ResumeError(ParcelleError):
    """The run cannot be resumed, or not from here."""


@dataclass(frozen=True)
class Start:
    """What the log of a main process says of how it started.

    Attributes:
        host: The machine.
        settings: Digest of all settings.
        moment: When, local time.

    """

    host: str
    settings: str
    moment: datetime.datetime

    @classmethod
    def of(cls, log: str) -> Self | None:
        """Read a log; None if it is none of a run that had its folder: one refused by a lock had not."""
        moment, host, digest = (_entry(name, log) for name in ("Date", "Host", "Config MD5"))
        if not (moment and host and digest) or "LockException" in log:
            return None
        return cls(host, digest, datetime.datetime.fromisoformat(moment))


def last_start(folder: Path) -> Start | None:
    """How the last main process in a folder started; None where none did."""
    logs = sorted((folder / ".snakemake/log").glob("*.snakemake.log"), reverse=True)
    return next((start for log in logs if (start := Start.of(log.read_text(errors="replace")))), None)


def resume(run: Run, *, cancel: bool, ended: bool) -> int:
    """Let the jobs of a run whose main process died end, unlock its folder, and run again.

    Args:
        run: The run.
        cancel: Cancel its jobs instead of waiting for them.
        ended: The user says that nothing of it runs on the machine where it was started.

    Returns:
        Exit status of the run.

    Raises:
        ResumeError: Its main process still runs, or may run elsewhere; or Snakemake refuses to unlock.
        ClusterError: SLURM does not answer.

    """
    refuse_running(run.directory)
    refuse_unstarted(run)
    start = last_start(run.directory)
    if start and start.host != socket.gethostname() and not ended:
        raise ResumeError(
            f"This run was started on {start.host}, and this is {socket.gethostname()}: whether it still runs cannot "
            "be seen from here. Resume it there; or, if nothing of it runs there any more, add the word --ended."
        )
    settle(run.directory, cancel)
    unlocked = run.call("--unlock", capture=True)
    if unlocked.returncode:
        raise ResumeError(f"The folder {run.directory} cannot be unlocked: {unlocked.stderr.strip()}")
    return run.call(*take_over(run, start)).returncode


def refuse_unstarted(run: Run) -> None:
    """Refuse a folder without results and without a lock: to resume there would be to map anew.

    Raises:
        ResumeError: Such a folder; the profile may name another one.

    """
    if not run.results().exists() and not any((run.directory / ".snakemake/locks").glob("*")):
        raise ResumeError(
            f"No run was started in {run.directory}: there are no {run.results()}. Name the profile that the run was "
            "started with (--profile; make resume PROFILE=…), or its folder (--directory)."
        )


def refuse_running(folder: Path) -> None:
    """Refuse while a main process works in the folder.

    Raises:
        ResumeError: There is one; its number is named.

    """
    for process in _processes(folder):
        if _is_main(_words(process)):
            raise ResumeError(
                f"Snakemake still runs in {folder}, as process {process.pid}: wait for its end, or end it "
                f"(kill {process.pid}), which ends its jobs too."
            )


def settle(folder: Path, cancel: bool) -> None:
    """Return when no job of the folder runs or waits, in SLURM or on this machine."""
    told, jobs, processes = -float(TELL), *_left(folder)
    if cancel:
        slurm.cancel(jobs)
    while jobs or processes:
        if cancel and not jobs:
            _end(processes)
        if time.monotonic() - told >= TELL:
            told = time.monotonic()
            print(_line(jobs, processes, cancel), flush=True)
        time.sleep(LOOK)
        jobs, processes = _left(folder)


def take_over(run: Run, start: Start | None) -> list[str]:
    """Words for the next run: what to make again of what jobs made while nobody watched.

    Snakemake has no record of the settings they had. They are the same, and the file is whole, where the settings are
    those that the run started with, and neither the file nor what is above it is to be done: then it is recorded now.
    Else it is made again.
    """
    unknown = ledger.unrecorded(run)
    kept = _as_they_were(run, unknown, start) if unknown and start else []
    again = [path for path in unknown if path not in kept]
    for paths, what in ((kept, "taken over"), (again, "made again")):
        if paths:
            print(f"Made by jobs that ended without their run, and {what}: {listed(paths, 6)}.", flush=True)
    if kept:
        run.call("--touch", "--quiet", "all", "--forcerun", *kept, "--", *kept, capture=True)
    return ["--forcerun", *again] if again else []


def _as_they_were(run: Run, paths: Sequence[str], start: Start) -> list[str]:
    """Those files that are whole, and were made of what is there now."""
    nomenclature = run.directory / run.settings().nomenclature
    if datetime.datetime.fromtimestamp(nomenclature.stat().st_mtime) >= start.moment:
        return []
    done = run.call("--dry-run", "--", *paths, capture=True)
    said = done.stdout + done.stderr
    if _entry("Config MD5", said) != start.settings:
        return []
    jobs = [] if NOTHING in said else previews.preview(run, "--", *paths)
    due = {path for job in jobs for path in job.outputs}
    return [path for path in paths if path not in due and _whole(run, path)]


def _whole(run: Run, path: str) -> bool:
    """Whether a file is the one that was written, where a checksum lies beside it."""
    full = run.directory / path
    try:
        return not files.beside(full).exists() or bool(files.verify(full))
    except StaleError:
        return False


def _entry(name: str, text: str) -> str:
    """Value of a line `name: value` in the head of a log; empty where there is none."""
    found = re.search(rf"^ *{name}: (.+?) *$", text, re.MULTILINE)
    return found[1] if found else ""


def _left(folder: Path) -> tuple[list[slurm.Queued], list[psutil.Process]]:
    """Jobs of a run that are not over, and processes of jobs on this machine."""
    return slurm.queue(folder), [process for process in _processes(folder) if _is_job(_words(process), folder)]


def _line(jobs: Sequence[slurm.Queued], processes: Sequence[psutil.Process], cancel: bool) -> str:
    of_slurm = f"{len(jobs)} in SLURM ({listed([job.number for job in jobs], 6)})" if jobs else ""
    here = f"{len(processes)} on this machine ({listed([process.pid for process in processes], 6)})"
    left = " and ".join(filter(None, (of_slurm, here if processes else "")))
    return f"Jobs of the run that are not over: {left}. {'They are cancelled.' if cancel else 'Waiting for them.'}"


def _processes(folder: Path) -> list[psutil.Process]:
    """Processes that work in a folder, of those that can be looked at."""
    return [process for process in psutil.process_iter() if _works_in(process, folder.resolve())]


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return Path(process.cwd()) == folder
    except (psutil.Error, OSError):
        return False


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _is_snakemake(words: Sequence[str]) -> bool:
    """Whether a command is `snakemake …`, by whatever Python, or `python -m snakemake …`."""
    module = any(pair == ("-m", "snakemake") for pair in itertools.pairwise(words))
    return module or any(Path(word).name == "snakemake" for word in words[:2])


def _is_main(words: Sequence[str]) -> bool:
    return _is_snakemake(words) and not any(word in OF_JOBS for word in words)


def _is_job(words: Sequence[str], folder: Path) -> bool:
    """Whether it is Snakemake's process of a job, that of its script, which outlives it, or a submission under way."""
    script = any(word.startswith(f"{folder.resolve()}/.snakemake/scripts/") for word in words[1:2])
    submission = bool(words) and Path(words[0]).name == "sbatch"
    return script or submission or (_is_snakemake(words) and not _is_main(words))


def _end(processes: Sequence[psutil.Process]) -> None:
    """End processes and those they started: ask first."""
    every = {one for process in processes for one in (process, *_children(process))}
    for how in (psutil.Process.terminate, psutil.Process.kill):
        for process in every:
            try:
                how(process)
            except psutil.NoSuchProcess:
                continue
        every = set(psutil.wait_procs(every, timeout=GRACE)[1])


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


@in_one_sentence
def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m parcelle.operations.resume",
        description="Go on with a run whose main process died: its jobs end first, then the folder is unlocked.",
    )
    commands.add_arguments(parser)
    parser.add_argument("--cancel", action="store_true", help="cancel the run's jobs instead of waiting for them")
    parser.add_argument("--ended", action="store_true", help="nothing of the run runs where it was started")
    arguments = parser.parse_args(words)
    return resume(Run.of(arguments), cancel=arguments.cancel, ended=arguments.ended)


if __name__ == "__main__":
    raise SystemExit(main())
