"""Which jobs Snakemake would run, each with its reasons: read from what it writes for programs, not for people."""

import ast
import json
import re
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
    digest = _DIGEST.fullmatch(now)
    if not (digest and _DIGEST.fullmatch(before)):
        return f"a setting changed: {_difference(before, now)}"
    if digest[1]:
        return "what was left out is refused now (`on_bad_acquisition`)"
    if rule in _WATCHING:
        return f"{_WATCHING[rule]} changed (names, sizes or times of files)"
    return "a setting changed on which the maps depend"


def _values(text: str, label: str) -> str:
    """Parameters before or now, without digests, which tell a person nothing where something else is told."""
    found = re.search(rf"\b{label}: (.*?) ?(?= now: |$)", text)
    values = found[1] if found else ""
    return _DIGEST.sub("", values).strip(",") or values


def _difference(before: str, now: str) -> str:
    """Of groups of settings, only those that differ; else both, shortened."""
    old, new = _groups(before), _groups(now)
    pairs = [(a, b) for a in old for b in new if a.keys() == b.keys()]
    told = [f"{name} {_short(a[name])} → {_short(b[name])}" for a, b in pairs for name in a if a[name] != b[name]]
    return ", ".join(told) or f"{_short(before)} → {_short(now)}"


def _groups(text: str) -> list[dict[str, Any]]:
    """The groups of settings among parameters; none where some parameter is no plain value."""
    try:
        values = ast.literal_eval(f"[{text}]")
    except (ValueError, SyntaxError):
        return []
    return [value for value in values if isinstance(value, dict)]


def _short(value: Any, most: int = 60) -> str:
    text = str(value).replace("<nothing exclusive>", "nothing")
    return text if len(text) <= most else f"{text[:most]}…"
