"""What a job says, and where."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from parcelle.errors import InputError
from parcelle.log import logged


@pytest.fixture
def job(tmp_path):
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield SimpleNamespace(
        log=[str(tmp_path / "a.log")],
        rule="sample",
        wildcards={"tile": "31TCJ"},
        input=[],
        output=[str(tmp_path / "a.parquet")],
        resources={"mem_mb": 900, "runtime": 20, "tmpdir": "/tmp"},
        threads=2,
        config={"results": str(tmp_path / "results")},
    )
    root.handlers[:], root.level = before, level


def text(job):
    return Path(job.log[0]).read_text(encoding="utf-8")


def test_messages_and_prints_go_to_the_log(job, capsys):
    with logged(job):
        logging.getLogger("parcelle.a").info("21 × 18 pixels – all")
        logging.getLogger("parcelle.a").debug("too much")
        print("printed")
        assert "printed" in text(job)  # at once, not at the end
    assert "parcelle.a: 21 × 18 pixels – all\n" in text(job)
    assert "too much" not in text(job)
    assert capsys.readouterr() == ("", "")


def test_afterwards_prints_go_where_they_went_before(job, capsys):
    with logged(job):
        pass
    print("later")
    logging.getLogger("parcelle.a").error("not into a closed file")
    out, err = capsys.readouterr()
    assert out == "later\n"
    assert "Logging error" not in err
    assert text(job) == ""


def test_what_a_killed_job_left_of_its_outputs_is_removed(job, tmp_path):
    left, of_another = tmp_path / ".a.0123456789ab.parquet", tmp_path / ".b.0123456789ab.parquet"
    left.touch()
    of_another.touch()
    with logged(job):
        assert not left.exists()
    assert of_another.exists()
    assert ".a.0123456789ab.parquet was left by a job that was killed: removed" in text(job)


def test_the_log_is_written_anew(job):
    for word in ("first", "second"):
        with logged(job):
            print(word)
    assert text(job) == "second\n"


def test_an_error_for_the_user_ends_with_its_sentence_and_leaves_its_trace_in_the_log(job):
    with pytest.raises(SystemExit) as ended, logged(job):
        raise InputError("a.tif cannot be read.")
    assert ended.value.code == "sample: a.tif cannot be read."
    assert "sample failed" in text(job)
    assert "Traceback" in text(job)
    assert "InputError: a.tif cannot be read." in text(job)


def test_any_other_error_goes_on_and_leaves_its_trace_in_the_log(job):
    with pytest.raises(ZeroDivisionError), logged(job):
        print(1 / 0)
    assert "Traceback" in text(job)
    assert "ZeroDivisionError" in text(job)
