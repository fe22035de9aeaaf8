"""What Snakemake knows of the files of a run: it records each job that it saw end."""

import base64
import json
from pathlib import Path

from parcelle.errors import ParcelleError
from parcelle.operations.commands import Run

# Letters of a file's name; Snakemake names its record of a path by the path, and cuts names that are longer.
LONGEST = 255

# Seconds by which the time of a file and the one in its record differ at most, as numbers are rounded.
ROUNDED = 1e-3


# Folders of what no job makes before the plan is recorded. Inventories are made beside it; frozen models are brought.
AFTER_THE_PLAN = ("samples", "map", "mosaic")


class LedgerError(ParcelleError):
    """Snakemake cannot say which files there are, or what they were made with."""


def refuse_unknown(results: str | Path, folder: str | Path = ".") -> None:
    """Refuse results that Snakemake has no records of: it would take them for made with the settings of now.

    Args:
        results: Their folder, as the settings name it.
        folder: That of the run, where the records lie.

    Raises:
        LedgerError: They were made in another folder, or under another name, or their records are gone.

    """
    full = Path(folder, results)
    made = (full / "plan.json").exists() and any((full / name).exists() for name in AFTER_THE_PLAN)
    # Snakemake may keep its records in a database: that holds those of the folder, whatever they are.
    records = (place(Path(folder), f"{results}/plan.json"), Path(folder, ".snakemake/metadata.db"))
    if made and not any(record.exists() for record in records):
        raise LedgerError(
            f"{full.absolute()} was not made by a run in {Path(folder).absolute()}, or the folder .snakemake of that "
            "run is gone: nobody knows which settings it follows from. Run where it was made, with .snakemake beside "
            "it; or name other `results`; or make all of it again with --forceall. If it was made with the settings "
            "of now, --forceall --touch records that."
        )


def unrecorded(run: Run) -> list[str]:
    """Outputs that are there and not as Snakemake saw a job leave them, paths as in the rules.

    Raises:
        LedgerError: Snakemake refuses; the message is its own.

    """
    said = run.call("--summary", capture=True)
    if said.returncode:
        raise LedgerError(f"Snakemake cannot list the files of the run: {said.stderr.strip()}")
    rows = said.stdout.splitlines()
    head = next((i for i, row in enumerate(rows) if row.startswith("output_file\t")), len(rows))
    paths = [row.split("\t")[0] for row in rows[head + 1 :] if "\t" in row]
    return [path for path in paths if (run.directory / path).exists() and not _as_recorded(run.directory, path)]


def _as_recorded(folder: Path, path: str) -> bool:
    """Whether a file has the time that it had when its job ended."""
    try:
        record = json.loads(place(folder, path).read_text())
    except (OSError, ValueError):
        return False
    return abs((record.get("endtime") or 0) - (folder / path).stat().st_mtime) < ROUNDED


def place(folder: Path, path: str) -> Path:
    """Where Snakemake keeps the record of a file."""
    name = base64.urlsafe_b64encode(path.encode()).decode()
    step = LONGEST - 1
    parts = [name[first : first + step] for first in range(0, len(name), step)]
    return Path(folder, ".snakemake/metadata", *("@" + part for part in parts[:-1]), parts[-1])
