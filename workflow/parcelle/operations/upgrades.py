"""Whether results were made with other versions of the software than those that are installed now."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parcelle import crate, provenance

# They call what computes, and compute nothing themselves.
_CALLERS = {"python", "snakemake"}


def notice(results: str | Path) -> str | None:
    """Say which versions made the results that are there, where others are installed now; None where none are."""
    installed = provenance.versions()
    older = {
        name: sorted(found - {installed[name]})
        for name, found in _made_with(Path(results)).items()
        if name in installed and name not in _CALLERS
    }
    said = [f"{name} {', '.join(found)} (now {installed[name]})" for name, found in older.items() if found]
    if not said:
        return None
    return (
        f"Results in {results} were made with {'; '.join(said)}. Nothing runs again for that; jobs that run for "
        "another reason use what is installed now. To make all of it again, add --forceall; from a step on, "
        "--forcerun train, for example."
    )


def _made_with(results: Path) -> dict[str, set[str]]:
    """Versions that made what is there, by name: those of the last record of provenance, and of the models."""
    found: dict[str, set[str]] = {}
    known = _of_crate(_read(results / crate.FOLDER / crate.NAME))
    for path in sorted(results.glob("model/*/*/model.json")):
        versions = _read(path).get("versions")
        known += versions.items() if isinstance(versions, dict) else []
    for name, version in known:
        # Somebody may have edited it.
        if isinstance(name, str) and isinstance(version, str):
            found.setdefault(name, set()).add(version)
    return found


def _of_crate(content: Mapping[str, Any]) -> list[tuple[Any, Any]]:
    """Names and versions of the software in a crate."""
    graph = content.get("@graph")
    entities = [entity for entity in graph if isinstance(entity, dict)] if isinstance(graph, list) else []
    return [(e.get("name"), e.get("softwareVersion")) for e in entities if e.get("@type") == "SoftwareApplication"]


def _read(path: Path) -> Mapping[str, Any]:
    """Read JSON; what is not there, or damaged, says nothing here: whoever needs it refuses it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
