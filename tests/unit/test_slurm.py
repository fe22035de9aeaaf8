"""What is made of answers of SLURM that are none: no answer is not the same as no jobs."""

import time

import pytest

from parcelle.operations import slurm
from parcelle.operations.slurm import ClusterError


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Put a shell script on the path under the name of a command."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def make(name, body):
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
        return tmp_path / name

    return make


def test_an_answer_that_does_not_come_is_not_no_jobs(script, monkeypatch, tmp_path):
    monkeypatch.setattr(slurm, "PATIENCE", 0.2)
    script("squeue", "exec sleep 20")
    before = time.monotonic()
    with pytest.raises(ClusterError) as error:
        slurm.queue(tmp_path)
    assert time.monotonic() - before < 10
    said = "squeue does not answer (nothing in 0.2 s): try again once the cluster does."
    assert str(error.value) == said


def test_an_answer_that_is_no_text_is_not_no_jobs(script, tmp_path):
    for said in (r"\377\376\000", r"7|\377|rule_plan|/a"):
        script("squeue", f"printf '{said}'")
        with pytest.raises(ClusterError) as error:
            slurm.queue(tmp_path)
        assert str(error.value) == (
            "squeue does not answer (what it prints is no text): try again once the cluster does."
        )


def test_a_folder_of_any_letters_is_known(script, tmp_path):
    script("squeue", rf"printf '8|RUNNING|rule_plan|{tmp_path}\n9|RUNNING|rule_plan|/a\377\n'")
    assert [job.number for job in slurm.queue(tmp_path)] == ["8"]


def test_a_command_that_cannot_be_started_does_not_answer(script, tmp_path, monkeypatch):
    script("squeue", "").write_bytes(b"\x7fELF")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match=r"^squeue does not answer \(Exec format error\): try again"):
        slurm.queue(tmp_path)
