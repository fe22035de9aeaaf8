"""A run with few files, to tell of."""

from pathlib import Path

from parcelle import crate, files, settings
from parcelle.operations.jobs import Record
from parcelle.provenance import Code

SETTINGS = settings.read(
    {
        "tiles": ["31TCJ"],
        "sensors": {"s2": {"format": "sentinel2-theia-l2a", "path": "images"}},
        "period": {"start": "2018-01-01", "end": "2018-12-31"},
        "reference": {"path": "reference.gpkg", "field": "code"},
        "nomenclature": "classes.csv",
        "seeds": 2,
    }
)
CODE = Code("c0de", "0123abc", True, "10c4")
OWN = ("settings.yaml", "Snakefile", "products.csv", "jobs.csv", "SHA256SUMS")


def record(rule="classify", started="2026-01-01T10:00:00+00:00", seconds=60.0, **wildcards):
    """A job that used two minutes of cores a minute, and 500 MiB."""
    asked = {"attempt": 1, "threads": 2, "asked_mb": 900, "asked_minutes": 10, "gpu": 0}
    where = {"host": "n1", "pid": 1, "slurm_job": None, "partition": None}
    used = {"seconds": seconds, "cpu_seconds": 2 * seconds, "peak_mb": 500.0, "output_mb": 1.0}
    return Record(rule=rule, wildcards=wildcards, state="done", message=None, started=started, **asked, **where, **used)


def small_run(folder):
    """Write some files where the test runs, which is `folder`, and give the run that they are of."""
    for name in ("reference.gpkg", "results/mosaic/class.tif", "results/map/31TCJ/counts of é.csv"):
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for name in OWN:
        with files.whole(f"results/provenance/{name}") as draft:
            draft.write_text(name)
    return crate.Run(
        results=Path("results"),
        settings=SETTINGS,
        published={"mosaic/class.tif": "aa", "map/31TCJ/counts of é.csv": "bb"},
        inputs={"reference.gpkg": "cc", str(folder / "reference.gpkg"): "dd"},
        own={name: f"own of {name}" for name in OWN},
        code=CODE,
        versions={"parcelle": "0.1.0", "numpy": "2.4.6"},
        records=[record(tile="31TCJ"), record("assess", "2026-01-01T10:05:00+00:00", 30.0)],
    )
