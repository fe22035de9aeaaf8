"""The provenance of a run as an RO-Crate: what was run on what, with what, when, and the checksums of what came out.

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) with the profile Workflow Run Crate 0.5. The JSON-LD is written here: it is
one list of small records, and the same run must give the same bytes.
"""

import datetime
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import parcelle
from parcelle import files
from parcelle.errors import StaleError
from parcelle.operations.jobs import Record
from parcelle.provenance import LOCK, Code
from parcelle.settings import Publication, Settings

FOLDER = "provenance"
NAME = "ro-crate-metadata.json"

_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
_SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
_LICENSE = "Not stated by the workflow: whoever publishes the results says which."
_PUBLISHER = "#publisher"

_TYPES = {
    ".tif": "image/tiff; application=geotiff; profile=cloud-optimized",
    ".csv": "text/csv",
    ".html": "text/html",
    ".json": "application/json",
    ".parquet": "application/vnd.apache.parquet",
    ".xml": "application/xml",
    ".qml": "application/xml",
    ".yaml": "application/yaml",
}

_ABOUT = {
    "settings.yaml": "All settings as they were checked, defaults included",
    "Snakefile": "Parcelle",
    "products.csv": "Products that the run read: where they lay, the state of their files and, where known, checksums",
    "jobs.csv": "What each job asked for and used",
    "SHA256SUMS": "Checksums of what was published: `sha256sum -c` checks them in the folder above",
}

Entity = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """What is told of a run.

    Attributes:
        results: Folder of all outputs.
        settings: Its settings.
        published: SHA-256 of each file that came out, by its path from `results`.
        inputs: SHA-256 of files that went in, by their paths from the folder of the run.
        own: SHA-256 of the files beside the crate, by name.
        code: Its code.
        versions: Versions of its software.
        records: Records of its jobs.

    """

    results: Path
    settings: Settings
    published: Mapping[str, str]
    inputs: Mapping[str, str]
    own: Mapping[str, str]
    code: Code
    versions: Mapping[str, str]
    records: Sequence[Record]

    @property
    def folder(self) -> Path:
        """Folder of the crate."""
        return self.results / FOLDER


@dataclass(frozen=True)
class Listed:
    """What a crate lists: SHA-256 by path, of what came out, of what went in and of what lies beside the crate.

    `versions` are those of the software.
    """

    published: Mapping[Path, str]
    inputs: Mapping[Path, str]
    own: Mapping[Path, str]
    versions: Mapping[str, str]


def write(run: Run, path: str | Path) -> None:
    """Write the crate."""
    files.write_json(path, describe(run))


def describe(run: Run) -> Entity:
    """Tell of a run in JSON-LD."""
    own = [_own(name, digest, run.folder / name) for name, digest in run.own.items() if name != "Snakefile"]
    published = [_file(f"../{quote(n)}", digest, run.results / n) for n, digest in run.published.items()]
    inputs = [_file(_id(name, run.folder), digest, Path(name)) for name, digest in run.inputs.items()]
    parts = [_workflow(run), *own, *inputs, *published]
    went_in = [{"@id": "settings.yaml"}, {"@id": "products.csv"}, *map(_reference, inputs)]
    graph = [
        _descriptor(),
        _root(run, parts),
        *_publication(run.settings.publication),
        *parts,
        _action(run, went_in, list(map(_reference, published))),
        *_usage(run.records),
        *_software(run),
        *_profiles(),
    ]
    return {"@context": _CONTEXT, "@graph": graph}


def _descriptor() -> Entity:
    conforms = [{"@id": "https://w3id.org/ro/crate/1.1"}, {"@id": "https://w3id.org/workflowhub/workflow-ro-crate/1.0"}]
    return {"@id": NAME, "@type": "CreativeWork", "about": {"@id": "./"}, "conformsTo": conforms}


def _root(run: Run, parts: Iterable[Entity]) -> Entity:
    """The crate as a whole."""
    tiles, period, given = run.settings.tiles, run.settings.period, run.settings.publication
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": given.title or f"Land cover of {len(tiles)} tile(s), {period.start} to {period.end}",
        "description": "Map, confidence, validity and accuracy that Parcelle made of satellite images: what went in, "
        "the settings, software and jobs, and the checksums of what came out.",
        "datePublished": (_ended(run.records) or datetime.datetime.now(datetime.UTC)).isoformat(timespec="seconds"),
        "license": {"@id": _license(given.license)} if given.license else _LICENSE,
        **({"publisher": {"@id": _PUBLISHER}} if given.publisher else {}),
        "conformsTo": [{"@id": name} for name in _PROFILES],
        "mainEntity": {"@id": "Snakefile"},
        "hasPart": list(map(_reference, parts)),
        "mentions": {"@id": "#run"},
    }


def _license(name: str) -> str:
    """Address of a licence, which is one or an identifier of SPDX."""
    return name if "://" in name else f"https://spdx.org/licenses/{name}"


def _publication(given: Publication) -> list[Entity]:
    """The licence and the publisher, where they are stated."""
    license_, publisher = given.license, given.publisher
    return [
        *([{"@id": _license(license_), "@type": "CreativeWork", "name": license_}] if license_ else []),
        *([{"@id": _PUBLISHER, "@type": "Organization", "name": publisher}] if publisher else []),
    ]


def _states(code: Code) -> dict[str, str]:
    """What identifies the code of a run, by name."""
    changed = " (with changes that are not committed)" if code.changed else ""
    commit = f"{code.commit}{changed}" if code.commit else None
    known = {"Git commit": commit, "SHA-256 of the code": code.digest, f"SHA-256 of {LOCK}": code.lock}
    return {name: value for name, value in known.items() if value}


def _workflow(run: Run) -> Entity:
    """The workflow: its code, and what it needs."""
    return {
        "@id": "Snakefile",
        "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
        "name": _ABOUT["Snakefile"],
        "version": parcelle.__version__,
        "license": "https://spdx.org/licenses/Apache-2.0",
        "programmingLanguage": {"@id": _SNAKEMAKE},
        "sha256": run.own["Snakefile"],
        "identifier": [{"@id": _anchor(name)} for name in _states(run.code)],
        "softwareRequirements": [{"@id": _anchor(name)} for name in run.versions],
    }


def _software(run: Run) -> list[Entity]:
    """Language of the workflow, state of its code, and versions of what it ran with."""
    language = {
        "@id": _SNAKEMAKE,
        "@type": "ComputerLanguage",
        "name": "Snakemake",
        "url": "https://snakemake.github.io",
    }
    return [
        language,
        *(_value(name, value) for name, value in _states(run.code).items()),
        *(
            {"@id": _anchor(name), "@type": "SoftwareApplication", "name": name, "softwareVersion": version}
            for name, version in run.versions.items()
        ),
    ]


def _profiles() -> list[Entity]:
    return [
        {"@id": place, "@type": "CreativeWork", "name": name, "version": version}
        for place, (name, version) in _PROFILES.items()
    ]


def _action(run: Run, went_in: list[Entity], came_out: list[Entity]) -> Entity:
    """The run: from the first job to the last of those that made what is there."""
    began, ended = _began(run.records), _ended(run.records)
    times = {"startTime": began, "endTime": ended}
    return {
        "@id": "#run",
        "@type": "CreateAction",
        "name": "Run of Parcelle",
        "description": "From the first to the last job that made what is there, whichever run it was part of",
        "instrument": {"@id": "Snakefile"},
        "actionStatus": "http://schema.org/CompletedActionStatus",
        **{name: time.isoformat(timespec="seconds") for name, time in times.items() if time},
        "object": went_in,
        "result": came_out,
        "resourceUsage": [_reference(used) for used in _usage(run.records)],
    }


def _usage(records: Sequence[Record]) -> list[Entity]:
    """What all jobs used together, in units by their codes of UN/CEFACT; what each used is in the table beside."""
    hours = sum(record.cpu_seconds for record in records) / 3600
    largest = max((record.peak_mb for record in records), default=0.0)
    return [
        _value("jobs", len(records), propertyID="jobs", unitCode="C62"),
        _value("core-hours", round(hours, 4), propertyID="core-hours", unitCode="HUR", unitText="h"),
        _value("largest memory of a job", largest, propertyID="peak-memory", unitCode="E63", unitText="MiB"),
    ]


def _began(records: Sequence[Record]) -> datetime.datetime | None:
    return min((_started(record) for record in records), default=None)


def _ended(records: Sequence[Record]) -> datetime.datetime | None:
    return max((record.ended for record in records), default=None)


def _started(record: Record) -> datetime.datetime:
    return datetime.datetime.fromisoformat(record.started)


def _own(name: str, digest: str, path: Path) -> Entity:
    """A file beside the crate."""
    return _file(name, digest, path) | {"name": _ABOUT[name]}


def _file(identity: str, digest: str, path: Path) -> Entity:
    """A file: its checksum, its size, its kind."""
    kind = {"encodingFormat": _TYPES[path.suffix]} if path.suffix in _TYPES else {}
    size = {"contentSize": str(path.stat().st_size)}
    return {"@id": identity, "@type": "File", "name": path.name, "sha256": digest, **size, **kind}


def _value(name: str, value: Any, **more: Any) -> Entity:
    return {"@id": _anchor(name), "@type": "PropertyValue", "name": name, "value": value, **more}


def _anchor(name: str) -> str:
    return f"#{quote(name)}"


def _reference(entity: Entity) -> Entity:
    return {"@id": entity["@id"]}


def _id(path: str, folder: Path) -> str:
    """What a file of the user's own is called: by its way from the crate, or in full where its path was given so."""
    return Path(path).as_uri() if Path(path).is_absolute() else quote(os.path.relpath(path, folder))


def _place(identity: str, folder: Path) -> Path:
    """Path of what `_id` named."""
    if identity.startswith("file:"):
        return Path(unquote(urlsplit(identity).path))
    return Path(os.path.normpath(folder / unquote(identity)))


def read(path: str | Path) -> Listed:
    """Read what a crate lists.

    Raises:
        StaleError: It is missing, or not the one that was written; or somebody edited it, and its checksum too.

    """
    try:
        return _listed(files.read_json(path), Path(path).parent)
    except (LookupError, TypeError, AttributeError, ValueError, RecursionError):
        raise StaleError(edited(path)) from None


def edited(path: str | Path) -> str:
    """What is said of a file whose checksum fits, and which no job wrote so."""
    again = f"Make it again: snakemake --forcerun {path}"
    return f"{path} does not say what a run writes there: somebody edited it. {again}"


def _listed(content: Any, folder: Path) -> Listed:
    """What JSON-LD lists; what `describe` does not write raises whatever it raises."""
    entities = {entity["@id"]: entity for entity in content["@graph"]}
    run = entities["#run"]

    def listed(names: Iterable[str]) -> dict[Path, str]:
        return {_place(name, folder): _text(entities[name]["sha256"]) for name in names}

    beside = [name for name in _ABOUT if name in entities]
    software = [entity for entity in entities.values() if entity["@type"] == "SoftwareApplication"]
    return Listed(
        published=listed(part["@id"] for part in run["result"]),
        inputs=listed(part["@id"] for part in run["object"] if part["@id"] not in beside),
        own=listed(beside),
        versions={_text(entity["name"]): _text(entity["softwareVersion"]) for entity in software},
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
