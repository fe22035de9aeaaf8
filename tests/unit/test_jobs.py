"""Records of jobs: what they used, how they ended, and what is said of those that refused."""

import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from parcelle import files
from parcelle.errors import InputError
from parcelle.operations import jobs


@pytest.fixture(autouse=True)
def young(monkeypatch):
    """The process of the tests is older than what they take for a job."""
    monkeypatch.setattr(jobs, "age", lambda: 0.25)


def job(folder, **changes):
    return SimpleNamespace(
        **{
            "rule": "train",
            "wildcards": {"region": "north", "seed": "0"},
            "output": [str(folder / "model.json")],
            "resources": {"mem_mb": 900, "runtime": 20, "gpu": 1, "tmpdir": "/tmp"},
            "threads": 2,
            "config": {"results": str(folder)},
        }
        | changes
    )


def only(folder):
    (record,) = jobs.read(folder)
    return record


def test_a_job_that_is_done(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_JOB_PARTITION", "cpu")
    with jobs.recorded(job(tmp_path)):
        assert only(tmp_path).state == "running"
        (tmp_path / "model.json").write_bytes(bytes(2**20))
        for _ in range(20):
            np.ones((1000, 1000)) @ np.ones((1000, 10))
    record = only(tmp_path)
    assert (tmp_path / "jobs/train/north.0.json").is_file()
    assert record.name == "train north/0"
    assert (record.state, record.message, record.attempt) == ("done", None, 1)
    assert (record.threads, record.asked_mb, record.asked_minutes, record.gpu) == (2, 900, 20, 1)
    assert (record.slurm_job, record.partition, record.pid) == ("17", "cpu", os.getpid())
    assert record.output_mb == 1
    assert record.seconds == 0.25 and record.cpu_seconds > 0


def test_the_peak_is_that_of_the_process_and_not_of_the_one_that_started_it(tmp_path):
    """A process that starts another one is first copied: what it held must not count."""
    held = np.ones(300 * 2**20 // 8)
    code = "import sys; from parcelle.operations import jobs; print(jobs.peak_mb())"
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(alone.stdout) < 250 < held.nbytes / 2**20
    more = "import numpy; held = numpy.ones(400 * 2**20 // 8); del held; " + code
    larger = subprocess.run([sys.executable, "-c", more], capture_output=True, text=True, check=True)
    assert 400 < float(larger.stdout) < 650


def test_time_counts_from_the_start_of_the_process_as_that_of_the_cores_does():
    code = "import time; time.sleep(0.5); from parcelle.operations import jobs; print(jobs.age())"
    before = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.5 < float(done.stdout) <= time.monotonic() - before + 0.02


def test_a_job_that_refuses_its_input(tmp_path):
    before = jobs.now()
    with pytest.raises(InputError), jobs.recorded(job(tmp_path)):
        raise InputError("a.tif is empty: put the image there.")
    assert only(tmp_path).state == "refused"
    assert jobs.refused(tmp_path, "train", {"region": "north", "seed": "0"}, before)
    assert jobs.refusals(tmp_path, before)[-1] == "train north/0: a.tif is empty: put the image there."
    later = before + datetime.timedelta(hours=1)
    assert not jobs.refused(tmp_path, "train", {"region": "north", "seed": "0"}, later)
    assert jobs.refusals(tmp_path, later) == []


def test_any_other_error_is_no_refusal(tmp_path):
    before = jobs.now()
    with pytest.raises(MemoryError), jobs.recorded(job(tmp_path)):
        raise MemoryError("no room")
    assert (only(tmp_path).state, only(tmp_path).message) == ("failed", "no room")
    assert not jobs.refused(tmp_path, "train", {"region": "north", "seed": "0"}, before)
    assert jobs.refusals(tmp_path, before) == []


def test_a_job_that_never_ran_has_not_refused(tmp_path):
    assert not jobs.refused(tmp_path, "plan", {}, jobs.now())


def test_a_killed_job_stays_running_and_the_next_attempt_counts(tmp_path):
    code = f"""
import sys, os
from types import SimpleNamespace
from parcelle.operations import jobs
config = {{"results": {str(tmp_path)!r}}}
job = SimpleNamespace(rule="plan", wildcards={{}}, output=[], resources={{}}, threads=1, config=config)
with jobs.recorded(job):
    os.kill(os.getpid(), {signal.SIGKILL})
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert (only(tmp_path).state, only(tmp_path).attempt, only(tmp_path).name) == ("running", 1, "plan")
    assert (tmp_path / "jobs/plan/all.json").is_file()
    for expected in (2, 1):
        with jobs.recorded(job(tmp_path, rule="plan", wildcards={})):
            pass
        assert only(tmp_path).attempt == expected


def test_many_refusals_are_cut_and_the_last_line_is_one_of_them(tmp_path):
    before = jobs.now()
    for number in range(25):
        with pytest.raises(InputError), jobs.recorded(job(tmp_path, wildcards={"tile": f"t{number:02d}"})):
            raise InputError("wrong")
    lines = jobs.refusals(tmp_path, before)
    assert "… and 5 more: see the folder" in lines[2]
    assert len(lines) == 3 + 20 and lines[-1] == "train t19: wrong"


def test_a_record_that_cannot_be_written_does_not_end_the_job(tmp_path, caplog):
    (tmp_path / "jobs").write_text("a file in the place of the folder")
    with jobs.recorded(job(tmp_path)):
        pass
    assert "cannot be written" in caplog.text


def test_what_is_no_record_is_passed_over(tmp_path):
    for name, text in (("a", "{"), ("b", "[1]"), ("c", json.dumps({"rule": "plan"}))):
        path = Path(tmp_path / f"jobs/plan/{name}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert jobs.read(tmp_path) == []


WRITTEN = {
    "rule": "train",
    "wildcards": {"region": "north", "seed": "0"},
    "state": "refused",
    "message": "a.tif is empty",
    "attempt": 2,
    "threads": 1,
    "asked_mb": 900,
    "asked_minutes": 20,
    "gpu": 0,
    "host": "node1",
    "pid": 1,
    "slurm_job": "5",
    "partition": None,
    "started": "2026-01-01T00:00:00+00:00",
    "seconds": 1,
    "cpu_seconds": 0.5,
}


def put(folder, text, name="north.0"):
    path = folder / f"jobs/train/{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_record_as_it_is_written_is_read(tmp_path):
    put(tmp_path, json.dumps(WRITTEN))
    assert (only(tmp_path).attempt, only(tmp_path).name) == (2, "train north/0")


@pytest.mark.parametrize(
    "changes",
    [
        {"attempt": "2"},
        {"attempt": None},
        {"attempt": True},
        {"threads": 2.5},
        {"seconds": "abc"},
        {"seconds": float("nan")},
        {"cpu_seconds": -1},
        {"asked_mb": 10**400},
        {"wildcards": None},
        {"wildcards": ["north", "0"]},
        {"wildcards": {"region": "north", "seed": 0}},
        {"wildcards": {"region": "south", "seed": "0"}},
        {"rule": "plan"},
        {"slurm_job": 5},
        {"partition": []},
        {"host": "\ud800"},
        {"state": ["done"]},
        {"state": "well"},
        {"message": {}},
        {"started": "x"},
        {"started": "2026-01-01T00:00:00"},
        {"started": None},
        {"started": "9999-12-31T23:59:59+00:00", "seconds": 10},
        {"more": 1},
    ],
)
def test_a_record_that_is_not_as_written_is_none_and_no_job_fails_for_it(tmp_path, changes):
    put(tmp_path, json.dumps(WRITTEN | changes))
    assert jobs.read(tmp_path) == []
    assert jobs.refusals(tmp_path, jobs.now()) == []
    assert not jobs.refused(tmp_path, "train", WRITTEN["wildcards"], jobs.now())
    with jobs.recorded(job(tmp_path)):
        pass
    assert (only(tmp_path).state, only(tmp_path).attempt) == ("done", 1)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\0", "5", "null"])
def test_what_is_no_json_of_a_record_is_passed_over(tmp_path, text):
    put(tmp_path, text)
    assert jobs.read(tmp_path) == []


def test_what_is_no_file_is_passed_over(tmp_path):
    put(tmp_path, json.dumps(WRITTEN))
    os.mkfifo(tmp_path / "jobs/train/pipe.json")
    (tmp_path / "jobs/train/folder.json").mkdir()
    assert len(jobs.read(tmp_path)) == 1


def test_a_copy_of_a_record_does_not_count_twice(tmp_path):
    for name in ("north.0", "north.0 copy"):
        put(tmp_path, json.dumps(WRITTEN), name)
    assert len(jobs.read(tmp_path)) == 1


def test_drafts_of_one_file_are_swept_and_no_others(tmp_path):
    own = [
        ".a.0123456789ab.tif",
        ".a.0123456789ab.draft.tif",
        ".a.tif.sha256.0123456789ab",
        ".a.0123456789ab.tif.ovr.tmp",
    ]
    others = ["a.tif", "a.tif.sha256", ".b.0123456789ab.tif", ".a.short.tif", ".aa.0123456789ab.tif"]
    for name in own + others:
        (tmp_path / name).touch()
    assert sorted(p.name for p in files.sweep([tmp_path / "a.tif"])) == sorted(own)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(others)
    assert files.sweep([tmp_path / "nowhere/a.tif"]) == []
