import datetime
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from snakemake.persistence.file import FilePersistence

from parcelle import files
from parcelle.operations import ledger, previews, resume, slurm
from parcelle.operations.previews import Job
from parcelle.operations.resume import ResumeError, Start
from parcelle.operations.slurm import ClusterError, Queued

HEAD = """
SNAKEMAKE
=========
  Date: {date}
  Workflow ID: 4fcf8e29-bbba-4af2-90e7-3e1bfa9ac03f
  Host: {host}
  User: someone
  Config MD5: {settings}

Building DAG of jobs...
"""


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """Put commands on the path that print what a file beside them says, and note how they were called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def make(name, *answers, status=0):
        """The first call prints the first answer, and so on; the last one is for all calls that follow."""
        for number, answer in enumerate(answers):
            (folder / f"{name}.{number}").write_text(answer)
        script = f"""#!/bin/sh
n=$(cat {folder}/{name}.calls 2>/dev/null | wc -l)
echo "$@" >> {folder}/{name}.calls
[ $n -lt {len(answers)} ] || n={len(answers) - 1}
cat {folder}/{name}.$n
exit {status}
"""
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
        return folder / f"{name}.calls"

    return make


@pytest.fixture
def process(tmp_path):
    """Start a process that calls itself `snakemake` and works in a folder; it ends with the test."""
    started = []

    def start(folder, *words, seconds=60):
        script = folder / "snakemake"
        script.write_text(f"import time; time.sleep({seconds})")
        started.append(subprocess.Popen([sys.executable, script, *words], cwd=folder))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


def log(folder, name, host="login1", settings="abc", date="2026-11-23 03:51:12", more=""):
    path = folder / f".snakemake/log/{name}.snakemake.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD.format(host=host, settings=settings, date=date) + more)


class TestQueue:
    def test_takes_the_jobs_that_snakemake_submitted_from_the_folder(self, commands, tmp_path):
        other = f"7|RUNNING|rule_sample_wildcards_31TGM|{tmp_path}/other"
        own = f"8|RUNNING|rule_sample_wildcards_31TGM|{tmp_path}"
        grouped = f"9_2|PENDING|group_samples|{tmp_path}"
        by_hand = f"10|RUNNING|(null)|{tmp_path}"
        calls = commands("squeue", "\n".join([other, own, grouped, by_hand]) + "\n")
        assert slurm.queue(tmp_path) == [
            Queued("8", "RUNNING", "rule_sample_wildcards_31TGM", str(tmp_path)),
            Queued("9_2", "PENDING", "group_samples", str(tmp_path)),
        ]
        assert "--format=%i|%T|%k|%Z" in calls.read_text()

    def test_knows_the_folder_by_a_link_too(self, commands, tmp_path):
        folder, link = tmp_path / "run", tmp_path / "link"
        folder.mkdir()
        link.symlink_to(folder)
        commands("squeue", f"8|RUNNING|rule_plan|{folder}\n")
        assert [job.number for job in slurm.queue(link)] == ["8"]

    def test_folder_with_a_bar(self):
        assert slurm.parse("8|RUNNING|rule_plan|/a|b\n") == [Queued("8", "RUNNING", "rule_plan", "/a|b")]

    def test_no_slurm_no_jobs(self, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        assert slurm.queue(tmp_path) == []

    def test_no_answer_is_not_no_jobs(self, commands, tmp_path):
        commands("squeue", "", status=1)
        with pytest.raises(ClusterError, match=r"^squeue does not answer \(exit status 1\): try again once"):
            slurm.queue(tmp_path)

    def test_cancels_many_in_few_commands(self, commands, monkeypatch):
        monkeypatch.setattr(slurm, "CHUNK", 2)
        calls = commands("scancel", "")
        slurm.cancel([Queued(str(number), "RUNNING", "rule_plan", "/a") for number in range(3)])
        assert calls.read_text() == "0 1\n2\n"


class TestStates:
    def test_a_job_that_somebody_cancelled_is_not_taken_for_one_that_runs(self):
        said = {"1": "CANCELLED by 1000", "2": "COMPLETED"}
        assert slurm.states(said, requeue=True) == {"1": "CANCELLED", "2": "COMPLETED"}

    def test_no_answer(self):
        assert slurm.states(None, requeue=True) == {}
        assert slurm.states({"1": " "}, requeue=True) == {}

    def test_a_lost_node_is_the_end_of_a_job_only_where_slurm_does_not_start_it_again(self):
        assert slurm.states({"1": "NODE_FAIL"}, requeue=True) == {}
        assert slurm.states({"1": "NODE_FAIL"}, requeue=False) == {"1": "NODE_FAIL"}


class TestLastStart:
    def test_is_that_of_the_last_run_that_had_the_folder(self, tmp_path):
        log(tmp_path, "2026-11-23T035112", host="login1", settings="aa")
        log(tmp_path, "2026-11-23T045112", host="login2", settings="bb", more="LockException:\n")
        (tmp_path / ".snakemake/log/2026-11-23T055112.snakemake.log").write_text("Unlocked working directory.\n")
        assert resume.last_start(tmp_path) == Start("login1", "aa", datetime.datetime(2026, 11, 23, 3, 51, 12))

    def test_nothing_ran_yet(self, tmp_path):
        assert resume.last_start(tmp_path) is None


class TestRefuseRunning:
    def test_names_the_main_process(self, process, tmp_path):
        main = process(tmp_path, "--cores", "2")
        with pytest.raises(ResumeError, match=rf"^Snakemake still runs in {tmp_path}, as process {main.pid}: wait"):
            resume.refuse_running(tmp_path)

    def test_jobs_and_runs_elsewhere_are_no_main_processes(self, process, tmp_path):
        other = tmp_path / "other"
        other.mkdir()
        process(other, "--cores", "2")
        process(tmp_path, "--mode", "remote")
        resume.refuse_running(tmp_path)

    @pytest.mark.parametrize(
        ("command", "expected"),
        [
            ("/a/python /a/bin/snakemake --cores 2", True),
            ("/a/python -m snakemake --cores 2", True),
            ("snakemake", True),
            ("/a/python -m snakemake --target-jobs plan: --mode remote", False),
            ("vim snakemake.md", False),
            ("/a/python -m parcelle.operations.resume --directory snakemake", False),
        ],
    )
    def test_which_commands_are(self, command, expected):
        assert resume._is_main(command.split()) is expected

    def test_a_script_outlives_its_job(self, tmp_path):
        words = ["/a/python", f"{tmp_path}/.snakemake/scripts/tmp1.classify.py"]
        assert resume._is_job(words, tmp_path) and not resume._is_job(words, tmp_path / "other")

    def test_a_submission_may_wait_for_the_controller_and_outlive_the_main_process(self, tmp_path):
        assert resume._is_job(["/usr/bin/sbatch", "--parsable"], tmp_path)
        assert not resume._is_job([], tmp_path)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(resume, "LOOK", 0.2)
    monkeypatch.setattr(resume, "TELL", 0.0)


class TestSettle:
    def test_waits_for_jobs_of_slurm(self, commands, quick, tmp_path, capsys):
        row = f"8|RUNNING|rule_plan|{tmp_path}\n"
        calls = commands("squeue", row, row, "")
        resume.settle(tmp_path, cancel=False)
        assert len(calls.read_text().splitlines()) == 3
        line = "Jobs of the run that are not over: 1 in SLURM (8). Waiting for them.\n"
        assert capsys.readouterr().out == 2 * line

    def test_cancels_jobs_of_slurm_and_waits_until_they_are_gone(self, commands, quick, tmp_path, capsys):
        rows = [f"8|{state}|rule_plan|{tmp_path}\n" for state in ("RUNNING", "COMPLETING")]
        commands("squeue", *rows, "")
        calls = commands("scancel", "")
        resume.settle(tmp_path, cancel=True)
        assert calls.read_text() == "8\n"
        assert capsys.readouterr().out.endswith("They are cancelled.\n")

    def test_waits_for_processes_that_were_left_here(self, process, quick, tmp_path, monkeypatch, capsys):
        monkeypatch.setenv("PATH", "")
        left = process(tmp_path, "--mode", "subprocess", seconds=1)
        began = time.monotonic()
        resume.settle(tmp_path, cancel=False)
        assert left.wait() == 0
        assert time.monotonic() - began < 30
        assert f"are not over: 1 on this machine ({left.pid}). Waiting" in capsys.readouterr().out

    def test_ends_processes_that_were_left_here(self, process, quick, tmp_path, monkeypatch):
        monkeypatch.setenv("PATH", "")
        left = process(tmp_path, "--mode", "subprocess")
        resume.settle(tmp_path, cancel=True)
        assert not psutil.pid_exists(left.pid)


@dataclass
class Run:
    """A run whose Snakemake answers what it is told to, and notes how it was called."""

    directory: Path
    answers: dict[str, str] = field(default_factory=dict)
    calls: list[tuple] = field(default_factory=list)
    status: int = 0

    def call(self, *words, capture=False):
        self.calls.append(words)
        said = self.answers.get(words[0] if words else "", "")
        return subprocess.CompletedProcess(words, self.status, stdout=said, stderr="no" if self.status else "")

    def settings(self):
        return SimpleNamespace(nomenclature="nomenclature.csv")

    def results(self):
        return self.directory / "results"


SUMMARY = "output_file\tdate\trule\tlog-file(s)\tstatus\tplan\nresults/a.csv\tMon\ta\t-\tok\tno update\n"
NOW = "  Config MD5: aa\nNothing to be done (all requested files are present and up to date).\n"
TOUCH = ("--touch", "--quiet", "all", "--forcerun", "results/a.csv", "--", "results/a.csv")


@pytest.fixture
def run(tmp_path):
    """A run with one output, which no record tells of."""
    (tmp_path / "results").mkdir()
    with files.whole(tmp_path / "results/a.csv") as draft:
        draft.write_text("1\n")
    (tmp_path / "nomenclature.csv").touch()
    os.utime(tmp_path / "nomenclature.csv", (0, 0))
    return Run(tmp_path, {"--summary": SUMMARY, "--dry-run": NOW})


def start(settings="aa", host=None):
    return Start(host or socket.gethostname(), settings, datetime.datetime(2026, 1, 1))


class TestTakeOver:
    def test_what_follows_from_the_same_is_recorded(self, run):
        assert resume.take_over(run, start()) == []
        assert run.calls[-1] == TOUCH

    @pytest.mark.parametrize("change", ["settings", "inputs", "nomenclature", "cut", "unknown"])
    def test_what_may_follow_from_something_else_is_made_again(self, run, change, monkeypatch, capsys):
        before = None if change == "unknown" else start("bb" if change == "settings" else "aa")
        if change == "inputs":
            run.answers["--dry-run"] = "  Config MD5: aa\nJob stats:\n"
            monkeypatch.setattr(previews, "preview", lambda *words: [Job("a", {}, (), ("results/a.csv",))])
        if change == "nomenclature":
            (run.directory / "nomenclature.csv").touch()
        if change == "cut":
            (run.directory / "results/a.csv").write_text("")
        assert resume.take_over(run, before) == ["--forcerun", "results/a.csv"]
        assert TOUCH not in run.calls
        assert "and made again: results/a.csv." in capsys.readouterr().out

    def test_each_file_is_judged_by_itself(self, run, monkeypatch, capsys):
        """One was there before the run, with other settings: Snakemake still knows those, and not how it is now."""
        (run.directory / "results/b.csv").touch()
        run.answers |= {"--summary": SUMMARY + "results/b.csv\tMon\tb\t-\tok\tno update\n"}
        run.answers |= {"--dry-run": "  Config MD5: aa\nJob stats:\n"}
        monkeypatch.setattr(previews, "preview", lambda *words: [Job("b", {}, (), ("results/b.csv",))])
        assert resume.take_over(run, start()) == ["--forcerun", "results/b.csv"]
        assert run.calls[-1] == TOUCH
        said = capsys.readouterr().out
        assert "taken over: results/a.csv." in said and "made again: results/b.csv." in said

    def test_nothing_is_unknown(self, run):
        run.answers["--summary"] = SUMMARY.splitlines()[0] + "\n"
        assert resume.take_over(run, start()) == []
        assert run.calls == [("--summary",)]


class TestResume:
    def test_unlocks_then_runs(self, run, monkeypatch):
        monkeypatch.setenv("PATH", "")
        log(run.directory, "2026-11-23T035112", host=socket.gethostname(), settings="bb")
        assert resume.resume(run, cancel=False, ended=False) == 0
        assert [call[0] for call in run.calls] == ["--unlock", "--summary", "--dry-run", "--forcerun"]

    def test_started_on_another_machine(self, run, monkeypatch):
        monkeypatch.setenv("PATH", "")
        log(run.directory, "2026-11-23T035112", host="login1")
        with pytest.raises(ResumeError, match=r"^This run was started on login1, and this is .*add the word --ended"):
            resume.resume(run, cancel=False, ended=False)
        assert run.calls == []
        assert resume.resume(run, cancel=False, ended=True) == 0

    def test_where_no_run_was_started(self, run):
        shutil.rmtree(run.directory / "results")
        with pytest.raises(ResumeError, match=rf"^No run was started in {run.directory}: .* PROFILE=…"):
            resume.resume(run, cancel=False, ended=False)
        assert run.calls == []

    def test_a_lock_tells_of_a_run_that_made_nothing_yet(self, run, monkeypatch):
        monkeypatch.setenv("PATH", "")
        shutil.rmtree(run.directory / "results")
        run.answers["--summary"] = SUMMARY.splitlines()[0] + "\n"
        (run.directory / ".snakemake/locks").mkdir(parents=True)
        (run.directory / ".snakemake/locks/0.input.lock").touch()
        assert resume.resume(run, cancel=False, ended=False) == 0

    def test_cannot_be_unlocked(self, run, monkeypatch):
        monkeypatch.setenv("PATH", "")
        run.status = 1
        with pytest.raises(ResumeError, match=rf"^The folder {run.directory} cannot be unlocked: no$"):
            resume.resume(run, cancel=False, ended=False)


class TestLedger:
    @pytest.mark.parametrize("path", ["results/plan.json", "results/" + 90 * "long/" + "a.tif"])
    def test_records_are_where_snakemake_keeps_them(self, tmp_path, path):
        kept = FilePersistence(path=tmp_path / ".snakemake")
        assert str(ledger.place(tmp_path, path)) == kept._record_path(kept._metadata_path, path)

    def test_a_file_is_recorded_as_it_was_when_its_job_ended(self, run):
        path = run.directory / "results/a.csv"
        place = ledger.place(run.directory, "results/a.csv")
        place.parent.mkdir(parents=True)
        assert ledger.unrecorded(run) == ["results/a.csv"]
        place.write_text(f'{{"endtime": {path.stat().st_mtime}}}')
        assert ledger.unrecorded(run) == []
        os.utime(path, (1, 1))
        assert ledger.unrecorded(run) == ["results/a.csv"]

    def test_results_without_records_are_refused_once_something_follows_from_the_plan(self, tmp_path):
        (tmp_path / "results").mkdir()
        ledger.refuse_unknown("results", tmp_path)
        (tmp_path / "results/plan.json").touch()
        ledger.refuse_unknown("results", tmp_path)
        (tmp_path / "results/map").mkdir()
        with pytest.raises(ledger.LedgerError, match=rf"^{tmp_path}/results was not made by a run in {tmp_path}, or"):
            ledger.refuse_unknown("results", tmp_path)

    @pytest.mark.parametrize("name", ["acquisitions", "model"])
    def test_what_does_not_follow_from_the_plan_tells_nothing(self, tmp_path, name):
        """A run that was killed while the plan was made has inventories; frozen models are brought by the user."""
        (tmp_path / "results" / name).mkdir(parents=True)
        (tmp_path / "results/plan.json").touch()
        ledger.refuse_unknown("results", tmp_path)

    @pytest.mark.parametrize("name", ["record", "database"])
    def test_results_with_records_are_those_of_the_folder(self, tmp_path, name):
        (tmp_path / "results/map").mkdir(parents=True)
        (tmp_path / "results/plan.json").touch()
        places = {"record": ledger.place(tmp_path, "results/plan.json")}
        places |= {"database": tmp_path / ".snakemake/metadata.db"}
        places[name].parent.mkdir(parents=True)
        places[name].touch()
        ledger.refuse_unknown("results", tmp_path)

    def test_snakemake_refuses(self, run):
        run.status = 1
        with pytest.raises(ledger.LedgerError, match=r"^Snakemake cannot list the files of the run: no$"):
            ledger.unrecorded(run)


def test_command_says_what_is_wrong_in_one_sentence(tmp_path, capsys):
    assert resume.main(["--directory", str(tmp_path), "--profile", "nowhere"]) == 1
    assert capsys.readouterr().err == "profile 'nowhere' is not there: name its folder, such as profiles/slurm.\n"
