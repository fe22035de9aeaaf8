"""What a run would make now, why, and what that costs: ``python -m parcelle.operations.what_if --configfile …``.

Which jobs there are follows from the plan, so a plan that is out of date is made again first, which is short.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from parcelle import vectors
from parcelle.errors import in_one_sentence
from parcelle.needs import Need
from parcelle.operations import commands, cost, previews, upgrades
from parcelle.operations.commands import Run
from parcelle.operations.facts import Facts
from parcelle.operations.previews import Job

HEADER = f"{'rule':<12}{'jobs':>7}{'core-hours':>12}{'memory':>11}{'disk':>11}  of"

# Rules in the order in which they follow from each other.
FLOW = (
    *(previews.PLAN, "inventory", "sample", "split", "train", "classify", "feature_map"),
    *("mosaic", "assess", "report", "provenance"),
)


@dataclass(frozen=True)
class Answer:
    """What a run would make.

    Attributes:
        planned: The job that made the plan again, if that was needed.
        jobs: Jobs that would run, in the order of a run.
        needs: What each of them needs.
        guessed: Tiles without an inventory, whose size is guessed from the names of their products.

    """

    planned: Job | None
    jobs: Sequence[Job]
    needs: Sequence[Need]
    guessed: Sequence[str] = ()


def ask(run: Run) -> Answer:
    """Say which jobs a run would make now; the plan is made first if it is not up to date.

    Raises:
        ParcelleError: Snakemake refuses, or the plan cannot be made: the message is its own.

    """
    stale, jobs = previews.with_plan(run)
    if not jobs:
        return Answer(stale, [], [])
    with run.inside():
        facts = Facts.read(run.settings(), run.threads or {job.rule: job.threads for job in jobs})
        return Answer(stale, jobs, [cost.of_job(job.rule, job.wildcards, facts) for job in jobs], facts.guessed)


def table(answer: Answer) -> list[str]:
    """Lines for a person: a rule, its jobs and what they need, and below why they run."""
    if not answer.jobs:
        return ["Nothing would run: everything is up to date."]
    made = [answer.planned, *answer.jobs] if answer.planned else answer.jobs
    makers = {file: job.rule for job in made for file in job.outputs}
    lines = [HEADER]
    for rule in sorted({job.rule for job in answer.jobs}, key=_place):
        pairs = [pair for pair in zip(answer.jobs, answer.needs, strict=True) if pair[0].rule == rule]
        lines += _of_rule([job for job, _ in pairs], [need for _, need in pairs], makers)
    return [*lines, _row("all", answer.needs), *_doubts(answer)]


def _place(rule: str) -> tuple[int, str]:
    return (FLOW.index(rule) if rule in FLOW else len(FLOW), rule)


def _doubts(answer: Answer) -> list[str]:
    """What the figures of the table rest upon, where that is not an inventory."""
    if not answer.guessed:
        return []
    named = vectors.listed(answer.guessed, 3)
    return [f"Not inventoried yet, so taken for what the names of their products say: {named}."]


def _of_rule(jobs: Sequence[Job], needs: Sequence[Need], makers: Mapping[str, str]) -> list[str]:
    """A line of a rule with its tiles, regions and seeds, and a line for each reason."""
    named = vectors.listed(sorted(job.of for job in jobs if job.of), 6)
    reasons = Counter(previews.why(job, makers) for job in jobs)
    told = [reason if len(reasons) == 1 else f"{count} × {reason}" for reason, count in reasons.items()]
    return [f"{_row(jobs[0].rule, needs)}  {named}".rstrip(), *(f"{'':14}{one}" for one in told)]


def _row(name: str, needs: Sequence[Need]) -> str:
    """Jobs, their core-hours together, the memory of the largest, and the disk of all."""
    hours = sum(need.core_seconds for need in needs) / 3600
    memory, disk = max(need.memory_mb for need in needs), sum(need.disk_mb for need in needs)
    return f"{name:<12}{len(needs):>7}{hours:>12.2f}{cost.size(memory):>11}{cost.size(disk):>11}"


@in_one_sentence
def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m parcelle.operations.what_if",
        description="Say which jobs a run would make now, why, and what that costs.",
    )
    commands.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="write the answer as JSON")
    arguments = parser.parse_args(words)
    run = Run.of(arguments)
    answer, upgraded = ask(run), upgrades.notice(run.results())
    print(json.dumps(asdict(answer), indent=1) if arguments.json else "\n".join(table(answer)))
    if upgraded:
        print(upgraded, file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
