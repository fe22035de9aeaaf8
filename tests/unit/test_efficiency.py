"""What a run took, from records that are known by heart."""

import json
from dataclasses import asdict, replace

import pytest
from unit.test_cost import facts

from parcelle import resources
from parcelle.needs import Need
from parcelle.operations import cost, efficiency, slurm
from parcelle.operations.efficiency import Efficiency, Row
from parcelle.operations.jobs import Record
from parcelle.operations.slurm import Account


def record(rule, *values, **changes):
    names = {1: ("tile",), 2: ("region", "seed")}.get(len(values), ())
    known = {
        "rule": rule,
        "wildcards": dict(zip(names, values, strict=True)),
        "state": "done",
        "message": None,
        "attempt": 1,
        "threads": 2,
        "asked_mb": 1000,
        "asked_minutes": 10,
        "gpu": 0,
        "host": "node1",
        "pid": 1,
        "slurm_job": None,
        "partition": None,
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 1800.0,
        "cpu_seconds": 2700.0,
        "peak_mb": 500.0,
        "output_mb": 1.0,
    }
    return Record(**known | changes)


@pytest.fixture
def foretold(monkeypatch):
    """Of each job, half a core-hour and 400 MiB are foretold."""
    monkeypatch.setattr(cost, "of_job", lambda rule, wildcards, facts: Need(1800, 400, 0))


@pytest.mark.usefixtures("foretold")
def test_a_row_adds_up_the_jobs_of_a_rule():
    records = [
        record("sample", "a", slurm_job="7", attempt=2),
        record("sample", "b", seconds=3600.0, cpu_seconds=900.0, peak_mb=350.0, asked_mb=600, slurm_job="8"),
    ]
    found = efficiency.of_run(facts(), records, {"7": Account(10, None), "8": Account(50, 90.0)})
    expected = Row(
        "sample",
        jobs=2,
        foretold_hours=1,
        hours=1,
        cpu=1 / 3,  # of 1 and 2 core-hours
        foretold_mb=400,
        peak_mb=500,
        asked_mb=1000,
        memory=(850 + 2 * resources.JOB_MB) / 1600,
        queued_seconds=30,
        retries=1,
    )
    assert found.rows[0] == expected
    assert [row.rule for row in found.rows] == ["sample", "all"]
    # Of the second, 1.75 of its 2 core-hours were unused, of the first 0.25 of its one.
    assert [job.record.wildcards["tile"] for job in found.worst] == ["b", "a"]


@pytest.mark.usefixtures("foretold")
def test_rows_stand_in_the_order_of_the_workflow_and_the_worst_are_ten():
    records = [record("train", region, seed) for region in ("south", "north") for seed in ("0", "1", "all")]
    records += [record(rule) for rule in ("report", "plan", "assess")] + [record("sample", tile) for tile in "ba"]
    found = efficiency.of_run(facts(), records, {})
    assert [row.rule for row in found.rows] == ["plan", "sample", "train", "assess", "report", "all"]
    assert [row.jobs for row in found.rows] == [1, 2, 6, 1, 1, 11]
    assert len(found.worst) == 10


@pytest.mark.usefixtures("foretold")
def test_jobs_that_are_not_done_are_counted_by_their_state():
    records = [
        record("sample", "a", state="failed"),
        record("sample", "b", state="running"),
        record("inventory", "a"),
        record("inventory", "gone", state="failed"),  # a tile that is no longer in the settings
    ]
    found = efficiency.of_run(facts(), records, {}, but=("report", "provenance"))
    # 23 jobs beside those of the two last rules, of which three have a record.
    assert len(cost.jobs_of(facts())) == 25
    assert found.others == {"failed": 1, "running": 1, "without a record": 20}
    assert [row.rule for row in found.rows] == ["inventory", "all"]


@pytest.mark.usefixtures("foretold")
def test_a_record_of_other_wildcards_is_that_of_no_job():
    known = replace(record("sample", "a"), wildcards={"region": "a"})
    found = efficiency.of_run(facts(), [known, record("plan")], {})
    assert [row.rule for row in found.rows] == ["plan", "all"]
    assert found.others == {"without a record": 24}


@pytest.mark.usefixtures("foretold")
def test_nothing_is_divided_by_nothing():
    found = efficiency.of_run(facts(), [record("plan", seconds=0.0, cpu_seconds=0.0, asked_mb=0)], {})
    assert (found.rows[0].cpu, found.rows[0].memory, found.rows[0].queued_seconds) == (None, None, None)
    assert "–" in efficiency.table(found)[1]


@pytest.mark.usefixtures("foretold")
def test_the_time_before_a_scripts_first_line_is_no_gain():
    """A record's seconds begin once libraries are loaded, its core-seconds before: more than all is not used."""
    found = efficiency.of_run(facts(), [record("plan", threads=1, seconds=1.0, cpu_seconds=3.0)], {})
    assert found.rows[0].cpu == 1


@pytest.mark.usefixtures("foretold")
def test_the_table_tells_it():
    found = efficiency.of_run(
        facts(), [record("sample", "a", slurm_job="7"), record("plan")], {"7": Account(42.4, None)}
    )
    lines = efficiency.table(found)
    assert " ".join(lines[2].split()) == "sample 1 0.75 0.5 75 % 500 MiB 400 MiB 0.977 GiB 83 % 42 s 0"
    assert "not counted: 23 without a record" in lines
    assert lines[-2].split(None, 2) == ["sample", "a", "0.25 of 1 core-hours unused; 830 MiB of 0.977 GiB used"]


def test_without_records_a_sentence_stands_in_the_place_of_the_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert efficiency.of_results(facts().settings) == Efficiency([], [], {})
    assert efficiency.table(Efficiency([], [], {})) == [
        "No job of this run is done, or none left a record in the folder `jobs` of its results."
    ]


def test_what_a_job_left_behind_is_measured_with_its_checksums(tmp_path):
    for name, size in {"forest.npz": 3, "model.json": 1, "model.json.sha256": 1}.items():
        path = tmp_path / "model/north/0" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size * 2**20))
    (tmp_path / "model/north/1").mkdir()
    assert efficiency.written_mb(tmp_path, record("train", "north", "0")) == 5
    assert efficiency.written_mb(tmp_path, record("train", "north", "1")) == 0
    assert set(efficiency.WRITTEN) == set(cost.RULES)


SACCT = """\
12|2026-01-01T10:00:00|2026-01-01T10:00:42|
12.batch|2026-01-01T10:00:42|2026-01-01T10:00:42|104857600
12.0|2026-01-01T10:00:43|2026-01-01T10:00:43|314572800
13|2026-01-01T10:00:00|2026-01-01T10:05:00|
14|2026-01-01T10:00:00|Unknown|
"""


def test_accounts_are_read_from_what_sacct_prints():
    assert slurm.parse_accounts(SACCT) == {"12": Account(42, 300), "13": Account(300, None)}


@pytest.fixture
def sacct(tmp_path, monkeypatch):
    """Put a command named `sacct` on the path; give the file that it notes its words in."""

    def make(body):
        command = tmp_path / "sacct"
        command.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/words\n{body}\n')
        command.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return tmp_path / "words"

    return make


def test_the_accounting_is_asked_by_numbers(sacct):
    words = sacct(f"cat <<END\n{SACCT}END")
    assert slurm.accounts(["12", "13"])["12"] == Account(42, 300)
    assert words.read_text().split()[-1] == "--jobs=12,13"


def test_an_accounting_that_does_not_answer_is_none(sacct):
    sacct("echo 'sacct: error: Slurm accounting storage is disabled' >&2; exit 1")
    assert slurm.accounts(["12"]) == {}
    assert slurm.accounts([]) == {}


@pytest.mark.parametrize("said", ["12|x|y|z", "12|2026-01-01T10:00:00|2026-01-01T10:00:42|many", "\\377\\376"])
def test_an_accounting_that_answers_something_else_is_none(sacct, said):
    sacct(f"printf '{said}\\n'")
    assert slurm.accounts(["12"]) == {}


def test_the_command_says_what_is_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert efficiency.main(["--configfile", "nowhere.yaml"]) == 1
    assert "nowhere.yaml is not there" in capsys.readouterr().err


@pytest.mark.usefixtures("foretold")
def test_what_it_finds_can_be_written_as_json():
    found = efficiency.of_run(facts(), [record("plan")], {})
    assert json.loads(json.dumps(asdict(found)))["rows"][0]["jobs"] == 1


def test_jobs_are_compared_with_what_is_foretold_of_as_many_cores(monkeypatch):
    def of_cores(settings, threads):
        assert threads == {"train": 8, "plan": 2}
        return facts()

    known = [record("train", "north", "0", threads=8), record("train", "north", "1", threads=4), record("plan")]
    monkeypatch.setattr(efficiency.jobs, "read", lambda results: known)
    monkeypatch.setattr(efficiency.Facts, "read", of_cores)
    found = efficiency.of_results(facts().settings)
    assert [row.rule for row in found.rows] == ["plan", "train", "all"]
