"""Runs of the workflow on the test cluster: a folder as a user has it, the commands, and what a run leaves."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import country
import yaml
from slurm.cluster import Cluster

from parcelle.demo import country as demo

# What a clone holds that runs need. Links: compiled kernels lie beside the code, and are not compiled again.
CODE = ("Snakefile", "workflow", "scripts", "envs", "config", ".git")

# Tests look more often whether a job has ended than a site would like.
FAST = ("--slurm-init-seconds-before-status-checks", "3", "--max-status-checks-per-second", "1")

# What follows `snakemake` for a run on the cluster.
SLURM = ("--profile", "profiles/slurm", "--configfile", "settings.yaml", *FAST)

# The smallest honest country: one tile that two regions share, two seeds, six dates.
SETTINGS = country.SETTINGS | {"tiles": ["31TGM"]}

# The country of `make demo`, with fewer and smaller models: tests wait for them.
DEMO = yaml.safe_load((country.ROOT / "config/config.yaml").read_text())
DEMO |= {"results": "results", "seeds": 1, "model": {"name": "forest", "trees": 20}}

# Nodes of the test cluster are small; a site writes its own partitions as well.
PARTITIONS = {"cpu": {"max_mem_mb": 8000, "max_runtime": 1440, "max_threads": 2}, "highmem": {}, "gpu": {"max_gpu": 1}}


@dataclass(frozen=True)
class Mapped:
    """A country that an undisturbed run mapped on this machine.

    Attributes:
        folder: A clone with the country, its settings and all results.
        checksums: Of `mosaic/*.tif`.

    """

    folder: Path
    checksums: dict[str, str]

    def unmapped(self, target: Path) -> Path:
        """Copy what the run started from."""
        ignored = shutil.ignore_patterns("results", ".snakemake")
        return shutil.copytree(self.folder, target, symlinks=True, ignore=ignored)

    def copy(self, target: Path) -> Path:
        """Copy all, with file times: Snakemake takes it for up to date."""
        return shutil.copytree(self.folder, target, symlinks=True)


def clone(folder: Path) -> Path:
    """Make a folder that a user would take for a clone, with profiles of its own to edit."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in CODE:
        (folder / name).symlink_to(country.ROOT / name)
    for source in sorted((country.ROOT / "profiles").glob("*/*.yaml")):
        target = folder / source.relative_to(country.ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    return folder


def edit_site(folder: Path, partitions: Mapping[str, Any] = PARTITIONS, **entries: Any) -> None:
    """Edit the profile of a clone as a site does: its partitions, and whole entries such as `jobs`."""
    (folder / "profiles/slurm/partitions.yaml").write_text(yaml.safe_dump({"partitions": dict(partitions)}))
    path = folder / "profiles/slurm/profile.yaml"
    names = {name.replace("_", "-"): value for name, value in entries.items()}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | names, sort_keys=False))


def write_one_tile(folder: Path, **settings: Any) -> Path:
    """Write a clone with a country of one tile and its settings."""
    clone(folder)
    demo.write(folder / "country", demo.tiny(dates=6, tiles=1))
    country.write_regions(folder / "country/regions.gpkg")
    configure(folder, **settings)
    return folder


def write_demo(folder: Path) -> Path:
    """Write a clone with the country of `make demo` and its settings."""
    clone(folder)
    subprocess.run([sys.executable, "-m", "parcelle.demo", "demo"], cwd=folder, check=True, capture_output=True)
    configure(folder, DEMO)
    return folder


def configure(folder: Path, settings: Mapping[str, Any] = SETTINGS, **changes: Any) -> None:
    """Write the settings of a country anew, with some changed; if none are given, those of the one-tile country."""
    (folder / "settings.yaml").write_text(yaml.safe_dump({**settings, **changes}, sort_keys=False))


def local(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the workflow on this machine, in a clone."""
    return _call(folder, dict(os.environ), "--configfile", "settings.yaml", "--cores", "2", *words)


def on_slurm(folder: Path, cluster: Cluster, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the workflow on the cluster, in a clone."""
    return _call(folder, cluster.env, *SLURM, *words)


def start_on_slurm(folder: Path, cluster: Cluster, *words: str | Path) -> subprocess.Popen[str]:
    """Start a run on the cluster; what it prints goes to `run.log` in its folder."""
    with (folder / "run.log").open("a") as log:
        return subprocess.Popen(
            _command(*SLURM, *words), cwd=folder, env=cluster.env, stdout=log, stderr=subprocess.STDOUT, text=True
        )


def must(done: subprocess.CompletedProcess[str]) -> str:
    """What a run printed, which must have succeeded."""
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def checksums(folder: Path, patterns: Iterable[str] = ("mosaic/*.tif",)) -> dict[str, str]:
    """SHA-256 of the files under `folder` that fit one of the patterns, by their paths in it."""
    paths = sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _call(folder: Path, env: Mapping[str, str], *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(_command(*words), cwd=folder, env=dict(env), capture_output=True, text=True)


def _command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "snakemake", *(str(word) for word in words)]
