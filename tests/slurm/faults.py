"""Faults on purpose: a classifier that can be told to take long or much, snapshots, and what must hold after each."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from slurm import runs
from slurm.cluster import Cluster, wait

from parcelle import files

if TYPE_CHECKING:
    from slurm.conftest import Mapped

# A classifier of a user's own. What its folder's `trouble.json` says happens in the first job of the rule it names,
# or in all of them.
PRONE = '''\
"""A forest that takes long, or much memory, where it is told to."""

import json
import os
import time
from pathlib import Path

from parcelle.models.forest import Forest


def trouble(rule: str) -> None:
    """Do what is said of a rule."""
    path = Path("trouble.json")
    if not path.exists():
        return
    asked = json.loads(path.read_text())
    if asked["rule"] != rule:
        return
    if not asked["always"]:
        try:
            path.rename(f"trouble.{os.getpid()}")
        except FileNotFoundError:  # another job was first
            return
    Path("in_trouble").touch()
    block = b"x" * (asked["mb"] * 2**20)
    time.sleep(asked["seconds"])
    del block


class Prone(Forest):
    """A forest of five trees."""

    def __init__(self, trees=5):
        super().__init__(trees=trees)

    def fit(self, *samples, **how):
        trouble("train")
        return super().fit(*samples, **how)

    @classmethod
    def load(cls, folder):
        trouble("classify")
        return super().load(folder)
'''

# What each rule writes, in the order of the rules; a snapshot lacks what a rule and those after it write.
WRITTEN = {
    "sample": "samples",
    "split": "split",
    "train": "model",
    "classify": "map",
    "mosaic": "mosaic",
    "assess": "assessment",
    "report": "report",
    "provenance": "provenance",
}

# Same bytes, whatever happened; the report and the records of the run tell when and where.
SAME = ("mosaic/*", "map/*/*", "model/*/*/*", "samples/*", "split/*/*", "assessment/*", "reference/*", "plan.json*")

# What tells of a run itself: there may be more of it after a fault.
OF_THE_RUN = ("logs", "jobs", "benchmarks", "provenance")


def write(folder: Path) -> Path:
    """Write a clone with a country of one tile, and settings that name the classifier."""
    runs.write_one_tile(folder, model={"name": "prone.py:Prone"}, map={"products": ["class", "confidence"]})
    (folder / "prone.py").write_text(PRONE)
    runs.edit_site(folder, configfile="settings.yaml")
    return folder


def before(rule: str, prone: "Mapped", target: Path) -> Path:
    """Copy the mapped country without what a rule and those after it write."""
    folder = prone.copy(target)
    names = list(WRITTEN)
    for name in names[names.index(rule) :]:
        shutil.rmtree(folder / "results" / WRITTEN[name])
    return folder


def make_trouble(folder: Path, rule: str, *, seconds: float = 0, mb: int = 0, always: bool = False) -> None:
    """Let the first job of a rule, or all of them, take long or much memory."""
    asked = {"rule": rule, "seconds": seconds, "mb": mb, "always": always}
    (folder / "trouble.json").write_text(json.dumps(asked))


def wait_for_trouble(folder: Path, seconds: float = 180) -> None:
    """Wait until a job is in the middle of its trouble."""
    wait((folder / "in_trouble").exists, seconds, f"no job of {folder} does what it is told")


def end(run: subprocess.Popen[str], folder: Path, seconds: float = 300) -> str:
    """Wait for the end of a run, which must succeed; give what it printed."""
    try:
        run.wait(seconds)
    except subprocess.TimeoutExpired:
        run.kill()
        run.wait()
    said = (folder / "run.log").read_text()
    assert run.returncode == 0, said
    return said


def resume(folder: Path, cluster: Cluster, *words: str) -> subprocess.CompletedProcess[str]:
    """Type `make resume` of the clone's site; its recipe, since the tests' environment is not in the clone."""
    command = [sys.executable, "-m", "parcelle.operations.resume", "--profile", "profiles/slurm", *words]
    command += ["--configfile", "settings.yaml", "--", *runs.FAST]
    return subprocess.run(command, cwd=folder, env=cluster.env, capture_output=True, text=True)


def states(cluster: Cluster, folder: Path, rule: str) -> list[str]:
    """How the jobs of a rule ended, as accounting knows it."""
    return [job.state for job in cluster.sacct(folder) if job.rule == rule]


def mend(said: str, folder: Path, cluster: Cluster) -> subprocess.CompletedProcess[str]:
    """Type what a message says to type, as it stands, where the profile of the site is that of all runs."""
    found = re.search(r"snakemake --forcerun \S+", said)
    assert found, said
    env = cluster.env | {"SNAKEMAKE_PROFILE": "profiles/slurm"}
    env["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), env["PATH"]])
    return subprocess.run(found[0], shell=True, cwd=folder, env=env, capture_output=True, text=True)


def assert_as_undisturbed(folder: Path, prone: "Mapped") -> None:
    """The map is that of an undisturbed run; nothing is missing, half-written or left over."""
    results = folder / "results"
    assert runs.checksums(results) == prone.checksums
    assert runs.checksums(results, SAME) == runs.checksums(prone.folder / "results", SAME)
    assert _names(results) == _names(prone.folder / "results")
    assert drafts(results) == []
    damaged = [path for path in with_checksum(results) if files.checksum(path) != files.beside(path).read_text()]
    assert damaged == []


def assert_nothing_half_written(folder: Path, prone: "Mapped") -> None:
    """What a run that failed left under its name is whole, and what an undisturbed run writes there."""
    results = folder / "results"
    right = runs.checksums(prone.folder / "results", SAME)
    found = {path: digest for path, digest in runs.checksums(results, SAME).items() if not path.endswith(".sha256")}
    assert found == {path: right[path] for path in found}


def drafts(results: Path) -> list[Path]:
    """Hidden files among the results."""
    return [path for path in results.rglob(".*") if path.is_file()]


def with_checksum(results: Path) -> list[Path]:
    """Files that have a checksum beside them."""
    return [Path(str(path).removesuffix(".sha256")) for path in results.rglob("*.sha256")]


def edit_settings(folder: Path, **changes) -> None:
    """Change settings, as a user does."""
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes, sort_keys=False))


def _names(results: Path) -> Sequence[str]:
    paths = (path.relative_to(results) for path in results.rglob("*") if path.is_file())
    return sorted(str(path) for path in paths if path.parts[0] not in OF_THE_RUN)
