"""What a run cost, beside what was foretold: ``python -m parcelle.operations.efficiency --configfile …``.

From the records of the jobs that are done; where SLURM keeps accounts, also how long they waited.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from parcelle import files, resources
from parcelle.errors import in_one_sentence
from parcelle.needs import Need
from parcelle.operations import commands, cost, jobs, slurm
from parcelle.operations.commands import Run
from parcelle.operations.cost import hours, size
from parcelle.operations.facts import Facts
from parcelle.operations.jobs import Record
from parcelle.operations.slurm import Account
from parcelle.settings import Settings

WORST = 10

# Files that a job of each rule leaves behind, checksums included.
WRITTEN = {
    "plan": ("plan.json*", "reference/*", "areas/*"),
    "inventory": ("acquisitions/{tile}.*",),
    "sample": ("samples/{tile}.*",),
    "split": ("split/{region}/{seed}.*",),
    "train": ("model/{region}/{seed}/*",),
    "classify": ("map/{tile}/*",),
    "feature_map": ("features/{tile}.*",),
    "mosaic": ("mosaic/{product}.*",),
    "assess": ("assessment/*",),
    "report": ("report/*",),
    "provenance": ("provenance/*",),
}


@dataclass(frozen=True)
class Job:
    """A job that is done: its record, what was foretold of it, and what SLURM says of it, if it does."""

    record: Record
    need: Need
    account: Account | None = None

    @property
    def hours(self) -> float:
        """Core-hours that it used."""
        return self.record.cpu_seconds / 3600

    @property
    def reserved_hours(self) -> float:
        """Core-hours that it had cores for; what came before its script's first line is known of the used ones only."""
        return max(self.record.seconds * self.record.threads, self.record.cpu_seconds) / 3600

    @property
    def memory_mb(self) -> float:
        """Memory that it took, MiB: its script's, and that of Snakemake beside it."""
        return self.record.peak_mb + resources.JOB_MB


@dataclass(frozen=True)
class Row:
    """What the jobs of a rule took.

    Attributes:
        rule: Its name; `all` for all of them.
        jobs: Their number.
        foretold_hours: Core-hours that were foretold.
        hours: Core-hours that they used.
        cpu: Part of the time of their cores that they used; None where they took no time.
        foretold_mb: Memory that was foretold of the script of the largest, MiB.
        peak_mb: Memory of the largest script, MiB.
        asked_mb: Memory that the largest asked for, MiB.
        memory: Part of the memory that they asked for that they took, Snakemake's own included.
        queued_seconds: How long they waited in the queue, on average; None where nothing is known.
        retries: How often one was tried again.

    """

    rule: str
    jobs: int
    foretold_hours: float
    hours: float
    cpu: float | None
    foretold_mb: float
    peak_mb: float
    asked_mb: int
    memory: float | None
    queued_seconds: float | None
    retries: int

    @classmethod
    def of(cls, rule: str, found: Sequence[Job]) -> "Row":
        """Add up jobs."""
        reserved, asked = sum(job.reserved_hours for job in found), sum(job.record.asked_mb for job in found)
        waited = [job.account.queued_seconds for job in found if job.account]
        return cls(
            rule,
            len(found),
            sum(job.need.core_seconds for job in found) / 3600,
            sum(job.hours for job in found),
            sum(job.hours for job in found) / reserved if reserved else None,
            max(job.need.memory_mb for job in found),
            max(job.record.peak_mb for job in found),
            max(job.record.asked_mb for job in found),
            sum(job.memory_mb for job in found) / asked if asked else None,
            sum(waited) / len(waited) if waited else None,
            sum(job.record.attempt - 1 for job in found),
        )


@dataclass(frozen=True)
class Efficiency:
    """What a run took.

    Attributes:
        rows: A row of each rule whose jobs are done, and one of all.
        worst: Jobs that left most of the time of their cores unused.
        others: Jobs that are not counted, by why: they failed, still run, or left no record.

    """

    rows: Sequence[Row]
    worst: Sequence[Job]
    others: Mapping[str, int]


def of_run(
    facts: Facts, records: Sequence[Record], accounts: Mapping[str, Account], but: Sequence[str] = ()
) -> Efficiency:
    """Compare what jobs took with what is foretold of them.

    Args:
        facts: What is known of the run.
        records: Of its jobs; those of tiles, regions or seeds that are no longer in the settings are left out.
        accounts: What SLURM says of jobs, by their numbers.
        but: Rules to leave out.

    """
    known = [(rule, wildcards) for rule, wildcards in cost.jobs_of(facts) if rule not in but]
    places = {(rule, *sorted(wildcards.items())) for rule, wildcards in known}
    own = [record for record in records if (record.rule, *sorted(record.wildcards.items())) in places]
    found = [_job(record, facts, accounts) for record in own if record.state == "done"]
    of_rules = [[job for job in found if job.record.rule == rule] for rule in cost.RULES]
    rows = [Row.of(of_rule[0].record.rule, of_rule) for of_rule in of_rules if of_rule]
    total = [Row.of("all", found)] if found else []
    return Efficiency([*rows, *total], _worst(found), _others(own, len(known) - len(own)))


def _job(record: Record, facts: Facts, accounts: Mapping[str, Account]) -> Job:
    need = cost.of_job(record.rule, record.wildcards, facts)
    return Job(record, need, accounts.get(record.slurm_job or ""))


def _others(records: Sequence[Record], without: int) -> dict[str, int]:
    """Count the jobs that are not done, by their state."""
    counts = Counter(record.state for record in records if record.state != "done")
    return dict(sorted(counts.items())) | ({"without a record": without} if without > 0 else {})


def of_results(settings: Settings, but: Sequence[str] = ()) -> Efficiency:
    """Compare what the jobs of a run took, whose results lie in the folder where we are, with what is foretold of them.

    Raises:
        StaleError: There is no plan, or a file is not the one that was written.

    """
    records = jobs.read(settings.results)
    if not records:
        return Efficiency([], [], {})
    numbers = [record.slurm_job for record in records if record.slurm_job]
    threads = {record.rule: record.threads for record in sorted(records, key=lambda record: record.threads)}
    return of_run(Facts.read(settings, threads), records, slurm.accounts(numbers), but)


def _worst(found: Sequence[Job]) -> list[Job]:
    """Jobs that left most of the time of their cores unused, the worst first."""
    return sorted(found, key=lambda job: job.hours - job.reserved_hours)[:WORST]


def written_mb(results: str | Path, record: Record) -> float:
    """Size of what a job left behind, MiB."""
    patterns = (pattern.format_map(dict(record.wildcards)) for pattern in WRITTEN[record.rule])
    return files.size_mb(path for pattern in patterns for path in Path(results).glob(pattern))


HEADER = (
    f"{'rule':<12}{'jobs':>6}{'core-hours':>12}{'foretold':>10}{'CPU':>7}{'memory':>11}{'foretold':>11}"
    f"{'asked for':>11}{'used':>7}{'queue':>9}{'again':>7}"
)


def table(found: Efficiency) -> list[str]:
    """Lines for a person."""
    if not found.rows:
        return ["No job of this run is done, or none left a record in the folder `jobs` of its results."]
    lines = [HEADER, *map(_line, found.rows)]
    lines += [f"not counted: {number} {state}" for state, number in found.others.items()]
    lines += ["", "Jobs that left most of the time of their cores unused:"]
    return lines + [f"  {job.record.name:<32}{_unused(job)}" for job in found.worst]


def _line(row: Row) -> str:
    time = f"{hours(row.hours):>12}{hours(row.foretold_hours):>10}{_percent(row.cpu):>7}"
    memory = "".join(f"{size(one):>11}" for one in (row.peak_mb, row.foretold_mb, row.asked_mb))
    waited = "–" if row.queued_seconds is None else f"{row.queued_seconds:.0f} s"
    return f"{row.rule:<12}{row.jobs:>6}{time}{memory}{_percent(row.memory):>7}{waited:>9}{row.retries:>7}"


def _unused(job: Job) -> str:
    took, of = job.hours, job.reserved_hours
    memory = f"{size(job.memory_mb)} of {size(job.record.asked_mb)} used"
    return f"{hours(of - took)} of {hours(of)} core-hours unused; {memory}"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


@in_one_sentence
def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m parcelle.operations.efficiency", description="Compare what a run cost with what was foretold."
    )
    commands.add_arguments(parser, snakemake=False)
    parser.add_argument("--json", action="store_true", help="write the tables as JSON")
    arguments = parser.parse_args(words)
    run = Run.of(arguments)
    run.refuse_nothing()
    with run.inside():
        found = of_results(run.settings())
    print(json.dumps(asdict(found), indent=1) if arguments.json else "\n".join(table(found)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
