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

# Of these, a run that began has at least one among its results.
TRACES = ("plan.json", "jobs", "provenance")


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
            SettingsError: The profile, the folder or the settings are not there, or the profile cannot be read.

        """
        profile = _Profile.of(arguments.profile)
        directory = _folder(arguments.directory or profile.text("directory", "name one folder there") or ".")
        named = arguments.configfile or profile.text("configfile", "name one file of settings there")
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
            threads=_threads(profile.content.get("set-threads") or {}),
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
            SettingsError: Something in them is wrong; the file is named.

        """
        content = _content(self.configfile)
        if not isinstance(content, dict):
            raise SettingsError(
                f"{self.configfile} holds no settings such as `tiles: [31TCJ]`: write them there, or name another "
                "file with --configfile."
            )
        settings.refuse_repeated(self.configfile)
        try:
            return settings.read(content)
        except SettingsError as error:
            raise SettingsError(f"{self.configfile}: {error}") from None

    def results(self) -> Path:
        """Folder of all outputs, absolute."""
        return self.directory / self.settings().results

    def refuse_nothing(self) -> None:
        """Refuse a run of which nothing is there.

        Raises:
            SettingsError: There is neither a plan nor a record of a job or of the run.

        """
        results = self.results()
        if not any((results / name).exists() for name in TRACES):
            raise SettingsError(
                f"{results} holds no run: name the folder of the run with --directory, or its --profile."
            )

    def inside(self) -> contextlib.AbstractContextManager[None]:
        """Work in the folder of the run, as Snakemake does: paths of the settings are found."""
        return contextlib.chdir(self.directory)


def add_arguments(parser: argparse.ArgumentParser, snakemake: bool = True) -> None:
    """Give a command the arguments that say which run it is about.

    Args:
        parser: Of the command.
        snakemake: Whether it calls Snakemake, and so takes words for it: elsewhere they would be dropped in silence.

    """
    parser.add_argument("--configfile", help=f"settings of the run; if not given, {EXAMPLE} in the run's folder")
    parser.add_argument("--profile", help="Snakemake profile, such as profiles/slurm; if not given, this machine")
    parser.add_argument("--directory", help="folder of the run, if it is not the one where you are")
    parser.add_argument("--cores", help="cores to use on this machine, all if not given")
    parser.set_defaults(words=[])
    if snakemake:
        parser.add_argument("words", nargs="*", help="further words for snakemake, after `--`")


def environment() -> dict[str, str]:
    """Variables for Snakemake: it finds the packages of this clone."""
    paths = [str(ROOT / "workflow"), os.environ.get("PYTHONPATH", "")]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


@dataclass(frozen=True)
class _Profile:
    """What a profile says, and where it was read; nothing where none is named."""

    place: Path
    content: Mapping[str, Any]

    @classmethod
    def of(cls, name: str | None) -> Self:
        """Read a profile, if one is named."""
        if not name:
            return cls(Path(), {})
        place = _place(name)
        content = _content(place)
        if not isinstance(content, dict | None):
            raise SettingsError(f"{place} is no group of settings such as `jobs: 8`: mend it, or name another profile.")
        return cls(place, content or {})

    def text(self, word: str, mend: str) -> str | None:
        """One value: text, or a list of one. Snakemake merges several files of settings, which nobody else does."""
        given = self.content.get(word)
        found = given[0] if isinstance(given, list) and len(given) == 1 and word == "configfile" else given
        if found is None or isinstance(found, str):
            return found
        raise SettingsError(f"{word} in {self.place} is {given}: {mend}.")


def _content(path: Path) -> Any:
    """Read YAML.

    Raises:
        SettingsError: It cannot be read, or is none.

    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}): name another file, or mend its rights."
        ) from None
    except RecursionError:
        raise SettingsError(f"{path} is no YAML that can be read: its groups stand too deep in each other.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise SettingsError(f"{path} is no YAML that can be read: {error}") from None


def _folder(given: str) -> Path:
    """Folder of a run, absolute."""
    folder = Path(given).absolute()
    if not folder.is_dir():
        raise SettingsError(
            f"{folder} is no folder: name the folder of the run with --directory, or `directory` in the profile."
        )
    return folder


def _threads(given: Mapping[str, object] | str | Sequence[str]) -> dict[str, int]:
    """Cores by rule, as a profile sets them: a mapping, or words such as `classify=8`."""
    try:
        found = {rule: int(str(cores)) for rule, cores in _pairs(given).items()}
    except (ValueError, TypeError):
        found = {"": 0}
    if any(cores < 1 for cores in found.values()):
        raise SettingsError(f"set-threads in the profile is {given}: give each rule a whole number of at least 1.")
    return found


def _pairs(given: Mapping[str, object] | str | Sequence[str]) -> Mapping[str, object]:
    if isinstance(given, Mapping):
        return given
    words = given.split() if isinstance(given, str) else given
    return dict(str(word).partition("=")[::2] for word in words)


def _absolute(profile: str | None) -> str | None:
    """A profile that is a folder or a file keeps its meaning in another folder; one that is a name is looked up."""
    return str(Path(profile).absolute()) if profile and Path(profile).exists() else profile


def _place(name: str) -> Path:
    """File of a profile, where Snakemake looks: a folder or a file, or a name among the user's or the site's."""
    folders = [Path(), _config_folder(), Path("/etc/xdg/snakemake")]
    places = [folder / name / file for folder in folders for file in ("profile.yaml", "config.yaml")]
    found = next((place for place in [Path(name), *places] if place.is_file()), None)
    if found is None:
        raise SettingsError(f"profile {name!r} is not there: name its folder, such as profiles/slurm.")
    return found


def _config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "snakemake"
