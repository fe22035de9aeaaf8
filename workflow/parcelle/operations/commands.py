"""How a command finds its run, and how it calls Snakemake: the same for all that is done with a run."""

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from parcelle import settings
from parcelle.errors import SettingsError
from parcelle.settings import Settings

# The clone: the Snakefile stands in it.
ROOT = Path(__file__).parents[3]

# Where the Snakefile looks if no settings are named.
EXAMPLE = "config/config.yaml"


@dataclass(frozen=True)
class Run:
    """A run of the workflow: its settings, the site, and the folder that paths in the settings start from.

    Attributes:
        configfile: File of the settings, absolute.
        directory: Folder of the run, absolute.
        profile: Name or folder of a Snakemake profile; none for this machine.
        cores: Cores to use where the profile says nothing: a number, or `all`; none to leave it to the profile.
        named: Whether somebody named `configfile`; else Snakemake finds it by itself.
        words: Further words for Snakemake.
        threads: Cores of a job, by rule, where the profile says so.

    """

    configfile: Path
    directory: Path
    profile: str | None = None
    cores: str | None = "all"
    named: bool = True
    words: tuple[str, ...] = ()
    threads: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, arguments: argparse.Namespace) -> Self:
        """Take a run from the arguments of a command; what they leave open, the profile may say.

        Raises:
            SettingsError: The profile or the settings are not there, or the profile cannot be read.

        """
        profile = _profile(arguments.profile) if arguments.profile else {}
        directory = Path(arguments.directory or profile.get("directory") or ".").absolute()
        named = arguments.configfile or _first(profile.get("configfile"))
        configfile = Path(named).absolute() if named else directory / EXAMPLE
        if not configfile.is_file():
            raise SettingsError(f"{configfile} is not there: name the settings of the run with --configfile.")
        return cls(
            configfile=configfile,
            directory=directory,
            profile=_absolute(arguments.profile),
            cores=arguments.cores or (None if arguments.profile else "all"),
            named=named is not None,
            words=tuple(arguments.words),
            threads=_threads(profile.get("set-threads") or {}),
        )

    def command(self, *words: str | Path) -> list[str]:
        """Words of the command line that calls Snakemake on this run."""
        found: list[str | Path] = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
        found += ["--directory", self.directory]
        found += ["--configfile", self.configfile] if self.named else []
        found += ["--profile", self.profile] if self.profile else []
        found += ["--cores", self.cores] if self.cores else []
        return [str(word) for word in (*found, *self.words, *words)]

    def call(self, *words: str | Path, capture: bool = False) -> subprocess.CompletedProcess[str]:
        """Call Snakemake on this run, and wait for its end; `capture` keeps what it prints from the screen."""
        return subprocess.run(self.command(*words), capture_output=capture, text=True, env=environment())

    def settings(self) -> Settings:
        """The settings, checked; paths in them start from `directory`.

        Raises:
            SettingsError: Something in them is wrong.

        """
        settings.refuse_repeated(self.configfile)
        return settings.read(yaml.safe_load(self.configfile.read_text(encoding="utf-8")) or {})

    def results(self) -> Path:
        """Folder of all outputs, absolute."""
        return self.directory / self.settings().results

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """Work in the folder of the run, as Snakemake does: paths of the settings are found."""
        return contextlib.chdir(self.directory)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a command the arguments that say which run it is about."""
    parser.add_argument("--configfile", help=f"settings of the run; if not given, {EXAMPLE} in the run's folder")
    parser.add_argument("--profile", help="Snakemake profile, such as profiles/slurm; if not given, this machine")
    parser.add_argument("--directory", help="folder of the run, if it is not the one where you are")
    parser.add_argument("--cores", help="cores to use on this machine, all if not given")
    parser.add_argument("words", nargs="*", help="further words for snakemake, after `--`")


def environment() -> dict[str, str]:
    """Variables for Snakemake: it finds the packages of this clone."""
    paths = [str(ROOT / "workflow"), os.environ.get("PYTHONPATH", "")]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _first(given: str | Sequence[str] | None) -> str | None:
    """A profile names one file of settings, or a list."""
    return given if given is None or isinstance(given, str) else given[0]


def _threads(given: Mapping[str, object] | str | Sequence[str]) -> dict[str, int]:
    """Cores by rule, as a profile sets them: a mapping, or words such as `classify=8`."""
    if not isinstance(given, Mapping):
        words = given.split() if isinstance(given, str) else given
        given = dict(str(word).partition("=")[::2] for word in words)
    try:
        return {rule: int(str(cores)) for rule, cores in given.items()}
    except ValueError:
        raise SettingsError(f"set-threads in the profile is {dict(given)}: give each rule a whole number.") from None


def _absolute(profile: str | None) -> str | None:
    """A profile that is a folder or a file keeps its meaning in another folder; one that is a name is looked up."""
    return str(Path(profile).absolute()) if profile and Path(profile).exists() else profile


def _profile(name: str) -> dict[str, Any]:
    """Read a profile where Snakemake looks for it: a folder or a file, or a name among the user's or the site's."""
    folders = [Path(), _config_folder(), Path("/etc/xdg/snakemake")]
    places = [folder / name / file for folder in folders for file in ("profile.yaml", "config.yaml")]
    found = next((place for place in [Path(name), *places] if place.is_file()), None)
    if found is None:
        raise SettingsError(f"profile {name!r} is not there: name its folder, such as profiles/slurm.")
    try:
        return yaml.safe_load(found.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise SettingsError(f"{found} is no YAML that can be read: {error}") from None


def _config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "snakemake"
