"""Which jobs Snakemake would run, each with its reasons: read from what it writes for programs, not for people."""

import ast
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parcelle import vectors
from parcelle.errors import ParcelleError
from parcelle.operations.commands import Run

# How Snakemake begins its reasons, in its words.
_BEGINNINGS = (
    "Missing output files",
    "Incomplete output files",
    "Updated input files",
    "Input files updated by another job",
    "Set of input files has changed",
    "Code has changed",
    "Params have changed",
    "Software environment definition has changed",
    "Forced execution",
)

MISSING = "not made yet"

PLAN = "plan"

# Rules whose parameters hold a digest of names, sizes and times of files that are not among their inputs.
_WATCHING = {"plan": "the reference, the regions or the area", "inventory": "images"}
_DIGEST = re.compile(r"'[0-9a-f]{16}( again)?'")


class PreviewError(ParcelleError):
    """Snakemake refuses the run; the message is its own."""


@dataclass(frozen=True)
class Job:
    """A job that would run.

    Attributes:
        rule: Its rule.
        wildcards: Values of its wildcards by name.
        reasons: Why it would run, in Snakemake's words, one by one.
        outputs: Its files.
        threads: Its cores.

    """

    rule: str
    wildcards: Mapping[str, str]
    reasons: tuple[str, ...]
    outputs: tuple[str, ...] = field(default=(), repr=False)
    threads: int = 1

    @property
    def of(self) -> str:
        """What it is for, such as `north/0`; empty where its rule has one job."""
        return "/".join(self.wildcards.values())

    @property
    def name(self) -> str:
        """Rule and what it is for, such as `train/north/0`."""
        return "/".join([self.rule, *self.wildcards.values()])


def preview(run: Run, *words: str) -> list[Job]:
    """Jobs that a run would make now, without `all`, in the order of a run.

    Raises:
        PreviewError: Snakemake refuses: it says why.

    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "jobs.jsonl"
        done = run.call(
            *("--dry-run", "--quiet", "all", "--logger", "parcelle", "--logger-parcelle-file", str(file)),
            *words,
            capture=True,
        )
        if done.returncode:
            raise PreviewError(said(done.stderr + done.stdout))
        lines = file.read_text(encoding="utf-8").splitlines()
    found = [job_of(json.loads(line)) for line in lines]
    return [job for job in found if job.outputs]


def with_plan(run: Run) -> tuple[Job | None, list[Job]]:
    """Bring the plan up to date, since all other jobs follow from it; on the site that the profile names.

    Returns:
        The job that made it again, if that was needed; and the jobs that a run would make now.

    Raises:
        PreviewError: Snakemake refuses, or the plan cannot be made: the message is its own.

    """
    jobs = preview(run)
    stale = next((job for job in jobs if job.rule == PLAN), None)
    if stale is None:
        return None, jobs
    print(f"The plan is not up to date ({why(stale, {})}): it is made first.", file=sys.stderr)
    done = run.call("--until", PLAN, "--quiet", "all", capture=True)
    if done.returncode:
        raise PreviewError(said(done.stderr + done.stdout))
    return stale, preview(run)


def why(job: Job, makers: Mapping[str, str]) -> str:
    """Why a job would run; what is not there yet needs no other reason. `makers` as for `plain`."""
    told = [plain(reason, job.rule, makers) for reason in job.reasons]
    return MISSING if MISSING in told else "; ".join(told)


def job_of(line: Mapping[str, Any]) -> Job:
    """A job from a line of the plug-in."""
    reasons = tuple(split_reasons(line["reason"]))
    return Job(line["rule_name"], line["wildcards"], reasons, tuple(line["output"]), line["threads"])


def said(output: str) -> str:
    """The message of a Snakemake that failed, without what it prints before."""
    lines = output.splitlines()
    first = next((number for number, line in enumerate(lines) if re.match(r"\w*(Error|Exception)\b", line)), 0)
    return "\n".join(lines[first:])


def split_reasons(text: str) -> list[str]:
    """Snakemake writes the reasons of a job in one line; a value in it may hold a semicolon too."""
    return re.split(f"; (?={'|'.join(_BEGINNINGS)})", text)


def plain(reason: str, rule: str, makers: Mapping[str, str]) -> str:
    """Say a reason in plain words.

    Args:
        reason: In Snakemake's words.
        rule: Rule of the job.
        makers: Rule that makes each file, of the jobs that would run or just ran.

    """
    begin, _, rest = reason.partition(": ")
    if begin == "Missing output files":
        return MISSING
    if begin == "Incomplete output files":
        return "a run was interrupted while this was written"
    if begin in ("Updated input files", "Input files updated by another job"):
        return _newer(sorted(rest.split(", ")), makers)
    if begin.startswith("Set of input files has changed"):
        return "it reads other files than before"
    if begin.startswith("Params have changed"):
        return _changed(rest, rule)
    return "asked for" if begin.startswith("Forced execution") else reason


def _newer(files: list[str], makers: Mapping[str, str]) -> str:
    """Files that are newer than what was made of them: a user's, or those of other jobs."""
    if own := [file for file in files if file not in makers]:
        return f"newer than what was made of it: {vectors.listed(own, 3)}"
    return f"follows from {', '.join(sorted({makers[file] for file in files}))}"


def _changed(text: str, rule: str) -> str:
    """What of the parameters is another: files that are watched, or settings."""
    before, now = _values(text, "before"), _values(text, "now")
    digest = _DIGEST.fullmatch(_told(now))
    if not (digest and _DIGEST.fullmatch(_told(before))):
        return f"a setting changed: {_difference(before, now)}"
    if digest[1]:
        return "what was left out is refused now (`on_bad_acquisition`)"
    if rule in _WATCHING:
        return f"{_WATCHING[rule]} changed (names, sizes or times of files)"
    return "a setting changed on which the maps depend"


def _values(text: str, label: str) -> str:
    """Parameters before or now."""
    found = re.search(rf"\b{label}: (.*?) ?(?= now: |$)", text)
    return found[1] if found else ""


def _told(values: str) -> str:
    """Parameters without digests, which tell a person nothing where something else is told."""
    return _DIGEST.sub("", values).strip(",") or values


def _difference(before: str, now: str) -> str:
    """Of groups of settings, and of lists of such, only what differs; else both, shortened."""
    pairs = [(a, b) for a in _groups(before) for b in _groups(now) if _alike(a, b)]
    told = [line for a, b in pairs for line in _changes("", a, b)]
    return ", ".join(dict.fromkeys(told)) or f"{_short(_told(before))} → {_short(_told(now))}"


def _groups(text: str) -> list[dict[str, Any] | list[Any]]:
    """Groups of settings, and lists of them, among parameters; none where some parameter is no plain value."""
    try:
        values = ast.literal_eval(f"[{text}]")
    except (ValueError, SyntaxError):
        return []
    return [value for value in values if isinstance(value, dict) or _is_table(value)]


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _alike(some: object, others: object) -> bool:
    """Whether two values can be compared part by part."""
    if isinstance(some, dict) and isinstance(others, dict):
        return some.keys() == others.keys()
    return _is_table(some) and _is_table(others) and len(some) == len(others)  # type: ignore[arg-type]


def _changes(name: str, before: Any, now: Any) -> list[str]:
    """Lines on what differs, such as `trees 10 → 12`, and of one in a list `colour of water #0000ff → #0000aa`."""
    if before == now:
        return []
    if name == "digest":
        return ["the file of the class"]
    if isinstance(before, dict) and _alike(before, now):
        return [line for key in before for line in _changes(key, before[key], now[key])]
    if _alike(before, now) and all(map(_alike, before, now)):
        return [_of(line, a) for a, b in zip(before, now, strict=True) for line in _changes("", a, b)]
    return [f"{name} {_short(before)} → {_short(now)}".strip()]


def _of(line: str, one: Mapping[str, Any]) -> str:
    """A line on one of a list, with what that is called."""
    if "name" not in one or line.startswith("name "):
        return line
    what, _, values = line.partition(" ")
    return f"{what} of {one['name']} {values}"


def _short(value: Any, most: int = 60) -> str:
    text = str(value).replace("<nothing exclusive>", "nothing")
    return text if len(text) <= most else f"{text[:most]}…"
