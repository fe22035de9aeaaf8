"""Forecasts against a run: what `cost` says once plan and inventories are there, and what the records say after."""

import shutil

import country
import pytest

from parcelle import files, resources
from parcelle.operations import commands, cost, efficiency, jobs
from parcelle.operations.facts import Facts

# How far a forecast of a rule may be off, up or down.
TIME, MEMORY, DISK = 1.5, 1.25, 1.25

# Core-seconds below which a rule's time says more of the machine than of the forecast.
SHORT = 1.0


def run_of(folder):
    return commands.Run(folder / "settings.yaml", folder)


@pytest.fixture(scope="module")
def done(mapped, tmp_path_factory):
    """Records of the mapped country's jobs, each with what was foretold of it once plan and inventories were there."""
    before = country.copy(mapped, tmp_path_factory.mktemp("cost") / "before")
    shutil.rmtree(before / "results/samples")
    run = run_of(before)
    with run.inside():
        facts = Facts.read(run.settings())
        records = jobs.read("results")
        return {(r.rule, *r.wildcards.values()): (r, cost.of_job(r.rule, r.wildcards, facts)) for r in records}


def rules(done):
    return {rule: [pair for key, pair in done.items() if key[0] == rule] for rule in {key[0] for key in done}}


def test_every_job_of_the_forecast_ran_and_left_a_record(mapped, done):
    run = run_of(mapped)
    with run.inside():
        expected = {(rule, *wildcards.values()) for rule, wildcards in cost.jobs_of(Facts.read(run.settings()))}
    assert set(done) == expected
    assert {record.state for record, _ in done.values()} == {"done"}


def test_forecasts_hold(mapped, done):
    wrong = []
    for rule, found in rules(done).items():
        took = [record for record, _ in found]
        told = [need for _, need in found]
        pairs = {
            "core-seconds": (sum(n.core_seconds for n in told), sum(r.cpu_seconds for r in took), TIME),
            "memory": (max(n.memory_mb for n in told), max(r.peak_mb for r in took), MEMORY),
            "disk": (
                sum(n.disk_mb for n in told),
                sum(efficiency.written_mb(mapped / "results", r) for r in took),
                DISK,
            ),
        }
        if pairs["core-seconds"][1] / len(took) < SHORT:
            del pairs["core-seconds"]
        wrong += [
            f"{rule}: {what} foretold {told:.3g}, took {took:.3g}"
            for what, (told, took, factor) in pairs.items()
            if not took / factor <= told <= took * factor
        ]
    assert wrong == []


def test_memory_asked_for_is_more_than_what_was_taken_and_less_than_twice_as_much(done):
    ratios = {name: record.asked_mb / (record.peak_mb + resources.JOB_MB) for name, (record, _) in done.items()}
    assert {name: ratio for name, ratio in ratios.items() if not 1.1 <= ratio <= 2} == {}


def test_the_report_tells_what_the_run_cost(mapped):
    page = (mapped / "results/report/index.html").read_text()
    assert '<section id="cost">' in page
    assert "Of the jobs that were done before this page was made.</p>" in page
    assert "<td>6</td>" in page.partition('<th scope="row">train</th>')[2].partition("</tr>")[0]


def test_an_inventory_of_another_version_ends_the_run_with_one_sentence_and_the_cure_works(again):
    size = again / "results/acquisitions/31TGL.size.json"
    files.write_json(size, {"pixels": 3600})
    (again / "results/map/31TGL/class.tif").unlink()
    failed = country.snakemake(again)
    said = failed.stdout + failed.stderr
    assert failed.returncode == 1
    assert "31TGL.size.json does not say how large the tile is" in said and "Traceback (most" not in said
    country.run(again, "--forcerun", "results/acquisitions/31TGL.size.json")
    assert "density" in size.read_text()
