"""The Makefile: names with blanks arrive whole, and the package is found from any folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.fixture
def clone(tmp_path):
    """A clone whose path has a blank, with an environment in which nothing is installed."""
    folder = tmp_path / "my clone"
    for name in ("requirements", "workflow/parcelle"):
        (folder / name).mkdir(parents=True)
    for name in ("light", "dev"):
        (folder / f"requirements/{name}.txt").touch()
    (folder / "workflow/parcelle/__init__.py").touch()
    shutil.copy(MAKEFILE, folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    (folder / ".venv/made").touch()
    return folder


def make(folder, *words):
    # `make test` leaves its own words in the environment.
    known = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["make", *words], cwd=folder, env=known, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_help_begins_with_what_users_type():
    lines = make(MAKEFILE.parent, "help")
    first, rest = lines[: lines.index("")], lines[lines.index("") + 1 :]
    assert [line.split()[1] for line in first] == [
        *("demo", "profile", "cost", "what-if", "resume", "efficiency", "verify")
    ]
    assert rest[0] == "For contributors:"
    names = [line.split()[1] for line in rest[1:]]
    assert {"test", "lint", "bench"} < set(names) and not {"demo", "cost"} & set(names)
    assert all("PROFILE=" in line for line in first if line.split()[1] not in ("demo", "profile"))
    assert "CANCEL=1" in first[4] and "ENDED=1" in first[4]


@pytest.mark.parametrize("target", ["what-if", "cost", "verify", "resume", "efficiency"])
def test_names_with_blanks_arrive_whole(clone, target):
    (line,) = make(clone, "-n", "-o", ".venv/light", target, "CONFIG=my country.yaml", "PROFILE=my site")
    assert line.split(" --configfile ")[1].strip() == '"my country.yaml" --profile "my site"'


def test_a_folder_with_a_blank_arrives_whole(clone):
    (line,) = make(clone, "-n", "-o", ".venv/light", "profile", "TO=to here", "CONFIG=a b.yaml")
    assert f'user_profile "slurm" --directory "{clone}" --configfile "a b.yaml" --to "to here"' in line


@pytest.mark.parametrize("target", ["light", "dev"])
def test_the_package_is_found_from_any_folder(clone, tmp_path, target):
    make(clone, "PIP=:", f".venv/{target}")
    said = subprocess.run(
        [clone / ".venv/bin/python", "-c", "import parcelle; print(parcelle.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={},
    )
    assert said.stdout.strip() == str(clone / "workflow/parcelle/__init__.py")
    assert make(clone, "PIP=:", ".venv/light") == ["make: '.venv/light' is up to date."]
