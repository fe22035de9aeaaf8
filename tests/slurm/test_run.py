"""The whole workflow on a real cluster: what each job asked for and got, and the same bytes as on one machine."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from slurm import runs
from slurm.accounting import Job

from parcelle.operations import jobs
from parcelle.operations.jobs import Record

pytestmark = pytest.mark.chosen

# The demo's country has 3 tiles, 2 regions, 3 products; here with a seed, and the models that map.
JOBS = {"plan": 1, "inventory": 3, "sample": 3, "split": 2, "train": 4, "classify": 3, "mosaic": 3}
JOBS |= {"assess": 1, "report": 1, "provenance": 1}

# What a rule asks for, divided by what its largest job used.
LEAST, MOST = 1.1, 2.0

# What is published and tells how long the jobs took.
TIMED = {"report/index.html"}

# A classifier of a user's own that notes which GPUs its jobs see.
SEEING = '''\
"""A forest that notes what it sees."""

import os
from pathlib import Path

from parcelle.models.forest import Forest


def note() -> None:
    """Note the GPUs that this job of SLURM sees."""
    Path("seen").mkdir(exist_ok=True)
    Path("seen", os.environ["SLURM_JOB_ID"]).write_text(os.environ["CUDA_VISIBLE_DEVICES"])


class Seeing(Forest):
    """A forest that can use a GPU, or so it says."""

    gpu = True

    def fit(self, *samples, **how):
        note()
        return super().fit(*samples, **how)

    @classmethod
    def load(cls, folder):
        note()
        return super().load(folder)
'''


@dataclass(frozen=True)
class Run:
    """A run of the demo's country on the cluster.

    Attributes:
        folder: The clone.
        jobs: As accounting knows them.
        records: As they wrote them down themselves, by the number of their job.

    """

    folder: Path
    jobs: list[Job]
    records: dict[int, Record]

    def of_rule(self, rule: str) -> list[tuple[Job, Record]]:
        """Jobs of a rule with their records."""
        return [(job, self.records[job.id]) for job in self.jobs if job.rule == rule]


@pytest.fixture(scope="module")
def run(cluster, demo, tmp_path_factory):
    folder = demo.unmapped(tmp_path_factory.mktemp("run") / "clone")
    runs.edit_site(folder, set_resources={"report": {"slurm_partition": "highmem"}})
    runs.must(runs.on_slurm(folder, cluster))
    records = jobs.read(folder / "results")
    return Run(folder, cluster.sacct(folder), {int(record.slurm_job): record for record in records})


class TestDemo:
    def test_each_job_ran_once(self, run):
        assert Counter(job.rule for job in run.jobs) == JOBS
        assert {job.state for job in run.jobs} == {"COMPLETED"}
        assert {record.attempt for record in run.records.values()} == {1}

    def test_each_rule_ran_in_its_partition(self, run):
        partitions = {job.rule: job.partition for job in run.jobs}
        assert partitions == dict.fromkeys(JOBS, "cpu") | {"report": "highmem"}

    def test_each_job_got_what_its_rule_asks_for(self, run):
        for job in run.jobs:
            record = run.records[job.id]
            asked = (record.rule, "_".join(record.wildcards.values()), record.asked_mb, record.threads)
            assert (job.rule, job.wildcards, job.mem_mb, job.cpus) == asked
            assert (job.minutes, job.gpus, job.partition) == (record.asked_minutes, 0, record.partition)

    def test_asks_for_what_it_uses(self, run, say):
        ratios = {rule: _largest(run.of_rule(rule)) for rule in JOBS}
        head = f"{'rule':<12}{'asked MB':>10}{'peak MB':>10}{'ratio':>8}{'script MB':>12}"
        rows = [
            f"{rule:<12}{job.mem_mb:>10}{job.peak_mb:>10.0f}{job.mem_mb / job.peak_mb:>8.2f}{record.peak_mb:>12.0f}"
            for rule, (job, record) in ratios.items()
        ]
        say("\n".join(["Memory, of the largest job of each rule:", head, *rows]))
        beyond = [rule for rule, (job, _) in ratios.items() if not LEAST <= job.mem_mb / job.peak_mb <= MOST]
        assert beyond == [], "\n".join(rows)

    def test_map_is_that_of_one_machine(self, run, demo):
        assert runs.checksums(run.folder / "results") == demo.checksums

    def test_publishes_what_one_machine_publishes(self, run, demo):
        of_slurm, of_one_machine = (_published(folder / "results") for folder in (run.folder, demo.folder))
        assert {path: digest for path, digest in of_slurm.items() if path in demo.checksums} == demo.checksums
        assert _differing(of_slurm, of_one_machine) <= TIMED


class TestGpu:
    def test_jobs_of_a_model_that_can_use_gpus_go_where_they_are(self, cluster, demo, tmp_path):
        folder = _with_own_model(demo.copy(tmp_path / "clone"))
        made = _mapped_with_own_model(cluster, folder)
        assert sorted(job.rule for job in made) == ["classify", "train", "train"]
        assert {(job.partition, job.gpus) for job in made} == {("gpu", 1)}
        assert _seen(folder) == {job.id: "0" for job in made}

    def test_go_elsewhere_if_a_setting_says_that_there_are_none(self, cluster, demo, tmp_path):
        folder = _with_own_model(demo.copy(tmp_path / "clone"), gpus=0)
        # What does not fit into the partition cpu goes to that with much memory.
        runs.edit_site(folder, set_resources={"classify": {"mem_mb": 12000}})
        made = _mapped_with_own_model(cluster, folder)
        assert {(job.rule, job.partition, job.gpus) for job in made} == {
            ("train", "cpu", 0),
            ("classify", "highmem", 0),
        }
        assert _seen(folder) == {job.id: "" for job in made}


def _largest(jobs_of_rule: list[tuple[Job, Record]]) -> tuple[Job, Record]:
    return max(jobs_of_rule, key=lambda pair: pair[0].peak_mb)


def _published(results: Path) -> dict[str, str]:
    """SHA-256 of what a run published, by path, as its provenance lists it."""
    lines = (results / "provenance/SHA256SUMS").read_text().splitlines()
    return {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}


def _differing(some: dict[str, str], others: dict[str, str]) -> set[str]:
    return {path for path in some.keys() | others.keys() if some.get(path) != others.get(path)}


def _with_own_model(folder: Path, **settings) -> Path:
    (folder / "seeing.py").write_text(SEEING)
    model = {"name": "seeing.py:Seeing", "arguments": {"trees": 5}}
    runs.configure(folder, runs.DEMO, model=model, **settings)
    return folder


def _mapped_with_own_model(cluster, folder: Path) -> list[Job]:
    runs.must(runs.on_slurm(folder, cluster, "results/map/31TGM/class.tif"))
    return cluster.sacct(folder)


def _seen(folder: Path) -> dict[int, str]:
    return {int(path.name): path.read_text() for path in (folder / "seen").iterdir()}
