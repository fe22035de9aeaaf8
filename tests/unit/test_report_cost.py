"""The section of the page that says what the run cost."""

import pytest
from unit import test_report
from unit.test_cost import facts
from unit.test_efficiency import foretold, record  # noqa: F401
from unit.test_report import made, read, source, written  # noqa: F401

from parcelle.operations import efficiency
from parcelle.operations.slurm import Account
from parcelle.report import content, formats


@pytest.mark.usefixtures("foretold")
def test_the_page_tells_what_jobs_took(made, tmp_path):  # noqa: F811
    records = [record("sample", "a", slurm_job="7", attempt=3), record("plan", asked_mb=3000)]
    found = efficiency.of_run(facts(), records, {"7": Account(42.4, None)}, but=("report", "provenance"))
    page = written(made, tmp_path, cost=found)
    cells = ["1", "0.75", "0.5", "75.0 %", "500 MiB", "400 MiB"]
    assert page.row("sample")[1:7] == cells
    assert page.row("sample")[7:] == ["0.977 GiB", "83.0 %", "42 s", "2"]
    assert page.row("plan")[9:] == ["–", "0"]
    assert page.row("all")[1:3] == ["2", "1.5"]
    # The worst jobs come in a table of their own.
    assert page.row("sample a")[1:3] == ["0.25", "1"]
    assert "Left out: 21 without a record." in page.text


def test_without_records_a_sentence_stands_there(read):  # noqa: F811
    assert f"Cost {content.NO_RECORDS}" in read.text
    assert not any(row and row[0] == "all" for row in read.rows)


def test_why_the_cost_is_not_known_is_told(made, tmp_path):  # noqa: F811
    page = written(made, tmp_path, cost="results/plan.json is missing.")
    assert "Cost results/plan.json is missing." in page.text


def test_the_script_says_why_it_does_not_know_the_cost(made, tmp_path):  # noqa: F811
    """Records are there, but no plan."""
    from report import report

    record("plan").write(made["settings"].results)
    arguments = made | {"output": str(tmp_path / "index.html"), "classes": test_report.CLASSES.to_list()}
    report(**{("checked" if name == "settings" else name): value for name, value in arguments.items()})
    assert "plan.json is missing, and without it" in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_what_is_left_out_is_counted():
    assert content.cost_sentence({}) == "Of the jobs that were done before this page was made."
    assert content.cost_sentence({"failed": 2, "running": 1}).endswith(" Left out: 2 failed and 1 running.")


def test_hours_memory_and_seconds_are_written_short():
    narrow = "\N{NARROW NO-BREAK SPACE}"
    assert [formats.hours(n) for n in (0.00123, 99.94, 1234.5)] == ["0.00123", "99.9", f"1{narrow}234"]
    assert [formats.mebibytes(n) for n in (512.4, 2560)] == [f"512{narrow}MiB", f"2.5{narrow}GiB"]
    assert [formats.seconds(n) for n in (None, 41.6)] == ["–", f"42{narrow}s"]
