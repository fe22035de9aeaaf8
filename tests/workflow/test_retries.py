"""What is tried again and what is not, and what a user sees last."""

import json

import country
import pytest

# A classifier that is killed the first time it learns, as by a machine that is out of memory.
FRAIL = """
import os
import signal
from pathlib import Path

from parcelle.models.forest import Forest


class Frail(Forest):
    def fit(self, features, labels, *, seed, threads):
        if not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(features, labels, seed=seed, threads=threads)
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return country.write(tmp_path_factory.mktemp("retries"), seeds=1)


def record(folder, name):
    return json.loads((folder / f"results/jobs/{name}.json").read_text())


def test_a_job_that_refuses_its_input_is_not_tried_again_and_is_the_last_thing_said(small, tmp_path):
    again = country.copy(small, tmp_path / "again")
    image = next((again / "country/sentinel2/31TGL").glob("*/*_FRE_B4.tif"))
    image.write_bytes(b"")
    done = country.snakemake(again, "--retries", "2", "--keep-going", "--until", "inventory")
    assert done.returncode != 0
    assert "Trying to restart" not in done.stdout + done.stderr
    assert done.stderr.endswith(
        "\nRefused, and not tried again. Mend what is said here, then type the command of the run again:\n"
        f"inventory 31TGL: {record(again, 'inventory/31TGL')['message']}\n"
    )
    assert str(image.relative_to(again)) in record(again, "inventory/31TGL")["message"]
    assert record(again, "inventory/31TGM")["state"] == "done"


def test_a_job_that_was_killed_is_tried_again(small, tmp_path):
    again = country.copy(small, tmp_path / "again")
    (again / "frail.py").write_text(FRAIL)
    country.configure(again, seeds=1, model={"name": "frail.py:Frail", "arguments": {"trees": 5}})
    words = ["--retries", "1", "--until", "train", "--cores", "1"]
    assert country.run(again, "--until", "plan") == ["plan"]
    done = country.snakemake(again, *words)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("Trying to restart job") == 1
    attempts = [json.loads(p.read_text())["attempt"] for p in (again / "results/jobs/train").iterdir()]
    assert sorted(attempts) == [1] * (len(attempts) - 1) + [2]
    assert not [p for p in (again / "results").rglob(".*") if p.is_file() and "snakemake" not in p.name]
