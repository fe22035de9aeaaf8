"""What a job costs on a SLURM cluster beside its work, and what groups save on 200 short jobs.

It needs `sbatch`, an environment that jobs inherit (`. .venv/bin/activate`), a profile whose account and partitions are
those of the site, and a folder that all nodes see.
"""

import argparse
import datetime
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import measure
from measure import Figure, Figures

ROOT = Path(__file__).parents[1]
SNAKEFILE = Path(__file__).parent / "short_jobs/Snakefile"
PIECE = 20

OVERHEAD = "a job on SLURM, beside its work"
MANY = "200 short jobs on SLURM"

# What Snakemake is told for each way of submitting. A group takes as many cores at a time as `--cores` says. Job arrays
# (`--slurm-array-jobs short`) are not among them: with version 2.8 of the plug-in, 200 jobs do not end.
WAYS = {
    "one submission a job": [],
    f"groups of {PIECE}": ["--groups", "short=short", "--group-components", f"short={PIECE}", "--cores", "2"],
}


@dataclass(frozen=True)
class Job:
    """Times of a job, in seconds since 1970; `id` is SLURM's."""

    id: str
    submitted: float
    started: float
    ended: float


@dataclass(frozen=True)
class Run:
    """What came out of a run.

    Attributes:
        seconds: By the clock, from the command to its end.
        jobs: Those of SLURM, in no order.
        first_lines: When the first line of each script ran, by SLURM's job.
        noticed: When Snakemake said that a job had ended, by SLURM's job.

    """

    seconds: float
    jobs: list[Job]
    first_lines: dict[str, float]
    noticed: dict[str, float]


def run(folder: Path, profile: str, count: int, words: list[str]) -> Run:
    """Run short jobs in a folder of their own.

    Raises:
        subprocess.CalledProcessError: Some job failed, or Snakemake did not start.

    """
    command = [sys.executable, "-m", "snakemake", "-s", SNAKEFILE, "--directory", folder, "--profile", profile]
    command += ["--jobs", count, "--config", f"jobs={count}", *words]
    start = time.perf_counter()
    done = subprocess.run([str(w) for w in command], cwd=folder, stderr=subprocess.PIPE, text=True)
    seconds = time.perf_counter() - start
    (folder / "log.txt").write_text(done.stderr)
    done.check_returncode()
    return Run(seconds, accounted(done.stderr), first_lines(folder), noticed(done.stderr))


def accounted(said: str) -> list[Job]:
    """Jobs of a run as the accounting knows them; a group is one."""
    name = re.search(r"SLURM run ID: (\S+)", said)
    if name is None:
        raise ValueError(f"Snakemake names no run of SLURM:\n{said}")
    command = ["sacct", "-X", "-n", "-P", f"--name={name[1]}", "--format=JobID,Submit,Start,End"]
    told = subprocess.run(
        command, env=os.environ | {"SLURM_TIME_FORMAT": "%s"}, check=True, capture_output=True, text=True
    )
    rows = [line.split("|") for line in told.stdout.splitlines()]
    return [Job(row[0], *map(float, row[1:])) for row in rows]


def first_lines(folder: Path) -> dict[str, float]:
    """When scripts began, by the job that they say they ran in."""
    rows = [path.read_text().split() for path in (folder / "short").iterdir()]
    return {job: float(seconds) for job, seconds in rows}


def noticed(said: str) -> dict[str, float]:
    """When Snakemake said that jobs had ended, by SLURM's job; of groups nothing is known."""
    slurm = dict(re.findall(r"^Job (\d+) has been submitted with SLURM jobid (\d+)", said, re.MULTILINE))
    found = re.findall(r"^\[(.*)\]\nFinished jobid: (\d+)", said, re.MULTILINE)
    seconds = {job: datetime.datetime.strptime(when, "%a %b %d %H:%M:%S %Y").timestamp() for when, job in found}
    return {slurm[job]: second for job, second in seconds.items() if job in slurm}


def overhead(folder: Path, profile: str, count: int) -> Iterator[Figure]:
    """Medians of a few jobs that have the cluster for themselves."""
    found = run(folder, profile, count, [])
    steps = {
        "from submission to start": [job.started - job.submitted for job in found.jobs],
        "from start to the first line": [found.first_lines[job.id] - job.started for job in found.jobs],
        "from the end to its being noticed": [found.noticed[job.id] - job.ended for job in found.jobs],
    }
    for name, seconds in steps.items():
        rates = {"least": min(seconds), "most": max(seconds)}
        yield Figure(OVERHEAD, name, statistics.median(seconds), 1, unit="s", rates=rates, rate_unit="s")


def ways(folder: Path, profile: str, count: int) -> Iterator[Figure]:
    """The same jobs, submitted in several ways."""
    for name, words in WAYS.items():
        place = folder / name.replace(" ", "-")
        place.mkdir()
        found = run(place, profile, count, words)
        rates = {"submissions": len(found.jobs), "jobs a minute": 60 * count / found.seconds}
        yield Figure(MANY.replace("200", str(count)), name, found.seconds, 1, unit="s", rates=rates)


def main() -> None:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default=str(ROOT / "profiles/slurm"), help="Snakemake profile of the cluster")
    parser.add_argument("--folder", type=Path, default=Path(), help="where to work; all nodes see it")
    parser.add_argument("--jobs", type=int, default=200, help="short jobs of each way")
    parser.add_argument("--alone", type=int, default=4, help="jobs of the overhead: as many as start at once")
    parser.add_argument("--output", type=Path, default=measure.FIGURES, help="JSON file of the figures")
    given = parser.parse_args()
    if shutil.which("sbatch") is None:
        sys.exit("sbatch is not on the PATH: run this where jobs are submitted to SLURM.")
    figures = Figures(given.output)
    with tempfile.TemporaryDirectory(dir=given.folder) as text:
        folder = Path(text).absolute()
        (folder / "alone").mkdir()
        figures.add(*overhead(folder / "alone", given.profile, given.alone))
        for figure in ways(folder, given.profile, given.jobs):
            figures.add(figure)
    figures.write()


if __name__ == "__main__":
    main()
