"""Write a Snakemake profile for a user, with which `snakemake --profile slurm` works from any folder."""

import argparse
import itertools
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from parcelle import files
from parcelle.errors import InputError, StaleError, in_one_sentence
from parcelle.operations.commands import ROOT

PROFILES = ROOT / "profiles"

# Holds for every run. Snakemake applies it by itself, but only where it sees the Snakefile before it reads a profile.
COMMON = "default"

HEAD = """\
# For: snakemake --profile {called}
# Made by `make profile` in {root} from profiles/{name}.
# Edit here what your site needs: once edited, a second `make profile` does not overwrite it (FORCE=1 does,
# and keeps it under another name). As long as nobody edited it, it is written anew.
snakefile: {snakefile}
directory: {directory}   # paths in the settings, results among them, are relative to it
"""

COMMON_HEAD = """
# ---- What holds for every run, from profiles/{common}: Snakemake finds it only in the clone's folder -----
"""


@dataclass(frozen=True)
class Asked:
    """What profile to write, for what runs.

    Attributes:
        name: A folder of `profiles`.
        to: Folder to write.
        directory: Folder of the runs, absolute.
        configfile: Settings of the run, absolute; none if they are named at each run.

    """

    name: str
    to: Path
    directory: Path
    configfile: Path | None = None

    @property
    def called(self) -> str:
        """What follows `--profile`: a name if it lies where Snakemake looks."""
        return self.to.name if self.to.parent == config_folder() else str(self.to)


def config_folder() -> Path:
    """Folder where Snakemake looks for a user's profiles."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "snakemake"


def names() -> list[str]:
    """Profiles that can be written: all but the one that holds for every run."""
    return sorted(p.parent.name for p in PROFILES.glob("*/profile.yaml") if p.parent.name != COMMON)


def write(asked: Asked, force: bool = False) -> list[Path]:
    """Write the profile, and the files that it names.

    Args:
        asked: What to write, and where.
        force: Whether to replace files that were edited by hand; they are kept under another name.

    Returns:
        Paths of what was written.

    Raises:
        InputError: There is no such profile, folder, or file of settings; or the files cannot be written.
        StaleError: A file is there that was edited by hand, or not made by this command.

    """
    check(asked)
    try:
        return _written(asked, force)
    except OSError as error:
        raise InputError(_unwritten(asked, f"{error.strerror}: {error.filename or asked.to}")) from None


def _unwritten(asked: Asked, why: str) -> str:
    return f"{asked.to} cannot be written ({why}): name another folder with --to (make profile TO=folder)."


def _written(asked: Asked, force: bool) -> list[Path]:
    """Write all files, or none where one was edited."""
    content = {asked.to / "profile.yaml": text(asked)}
    content |= {asked.to / source.name: source.read_text(encoding="utf-8") for source in _others(asked.name)}
    edited = [path for path in content if not untouched(path)]
    if edited and not force:
        raise StaleError(
            f"{edited[0]} was edited by hand, or not made by this command: nothing was written. Compare it with "
            f"{PROFILES / asked.name}, or replace it with --force (make profile FORCE=1), which keeps it as "
            f"{_kept(edited[0])}."
        )
    for path in edited:
        path.replace(_kept(path))
    for path, words in content.items():
        with files.whole(path) as draft:
            draft.write_text(words, encoding="utf-8")
            shutil.copymode(PROFILES / asked.name / path.name, draft)
    return sorted(content)


def check(asked: Asked) -> None:
    """Refuse a profile, a folder or settings that are not there."""
    if asked.name not in names():
        raise InputError(f"there is no profile {asked.name!r} in {PROFILES}; there are: {', '.join(names())}.")
    if not asked.directory.is_dir():
        raise InputError(f"{asked.directory} is no folder: make it first, or name another one for the runs.")
    # Else the system would name only the part of the path that it could not make.
    if blocked := next((p for p in (asked.to, *asked.to.parents) if os.path.lexists(p) and not p.is_dir()), None):
        raise InputError(_unwritten(asked, f"Not a directory: {blocked}"))
    if asked.configfile and not asked.configfile.is_file():
        raise InputError(f"{asked.configfile} is not there: name the settings that are.")


def text(asked: Asked) -> str:
    """What the profile says: that of the clone with its comments, and where Snakefile, runs and settings are."""
    snakefile, directory = quoted(ROOT / "Snakefile"), quoted(asked.directory)
    head = HEAD.format(called=asked.called, root=ROOT, name=asked.name, snakefile=snakefile, directory=directory)
    if asked.configfile:
        head += f"configfile: [{quoted(asked.configfile)}]\n"
    own = (PROFILES / asked.name / "profile.yaml").read_text(encoding="utf-8")
    for other in _others(asked.name):
        # Absolute, since Snakemake opens it in the folder of the run.
        own = re.sub(rf"(?m)(?<=: ){re.escape(other.name)}(?=\s)", quoted(asked.to / other.name), own)
    common = (PROFILES / COMMON / "profile.yaml").read_text(encoding="utf-8")
    return head + own + COMMON_HEAD.format(common=COMMON) + common


def quoted(path: Path) -> str:
    """A path as YAML reads it, blanks and signs included."""
    return json.dumps(str(path), ensure_ascii=False)


def untouched(path: Path) -> bool:
    """Whether a file is not there, or is as this command wrote it."""
    if not path.exists():
        return True
    beside = files.beside(path)
    return beside.is_file() and beside.read_bytes() == files.checksum(path).encode()


def _others(name: str) -> list[Path]:
    """Files that a profile names: partitions, commands."""
    return sorted(p for p in (PROFILES / name).iterdir() if p.is_file() and p.name != "profile.yaml")


def _kept(path: Path) -> Path:
    """Name under which a file is kept; what was kept before is not overwritten."""
    names = itertools.chain(["old"], (f"old{number}" for number in itertools.count(2)))
    places = (path.with_name(f"{path.name}.{name}") for name in names)
    return next(place for place in places if not os.path.lexists(place))


def said(asked: Asked, written: list[Path]) -> str:
    """What to do with the profile."""
    configfile = "" if asked.configfile else " --configfile my.yaml"
    return "\n".join(
        [
            *(f"Written: {path}" for path in written),
            "Edit the block for your site there. Then, from any folder, with the environment active:",
            f"  . {ROOT}/.venv/bin/activate",
            f"  snakemake --profile {asked.called}{configfile}",
            f"Paths in the settings, results among them, are relative to {asked.directory}.",
        ]
    )


@in_one_sentence
def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m parcelle.operations.user_profile", description=__doc__)
    parser.add_argument("name", nargs="?", default="slurm", help="folder of `profiles` to start from")
    parser.add_argument("--to", type=Path, help="folder to write; if not given, where Snakemake looks for NAME")
    parser.add_argument("--directory", type=Path, default=Path(), help="folder of the runs; if not given, this one")
    parser.add_argument("--configfile", type=Path, help="settings of the runs; if not given, each run names them")
    parser.add_argument("--force", action="store_true", help="replace a profile that was edited by hand")
    given = parser.parse_args(words)
    asked = Asked(
        given.name,
        (given.to or config_folder() / given.name).absolute(),
        given.directory.resolve(),
        given.configfile.resolve() if given.configfile else None,
    )
    print(said(asked, write(asked, given.force)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
