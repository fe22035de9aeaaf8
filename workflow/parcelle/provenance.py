"""Which version, which settings and which code made a file."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import parcelle
from parcelle import files
from parcelle.sensors import FORMATS
from parcelle.settings import Settings

# Folders, tiles beside, windows and what is drawn on top change no pixel of a tile's map.
_WITHOUT_EFFECT = {
    *("results", "tiles", "window", "cache", "scratch"),
    *("nomenclature", "seeds", "mosaic", "on_bad_acquisition", "check", "gpus", "publication"),
}


def digest(settings: Settings) -> str:
    """Digest of the settings that change the map of a tile: not of folders, windows, colours or the mosaic's grid."""
    content = settings.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    for place in (*content["sensors"].values(), content["reference"], content["regions"] or {}, content["area"] or {}):
        place.pop("path", None)
    for sensor in content["sensors"].values():
        # An inventory that is read again gives what the format gave that wrote it.
        if sensor["format"] == "stac" and (sensor["collection"] in FORMATS or ":" in (sensor["collection"] or "")):
            sensor |= {"format": sensor["collection"], "collection": None}
    # The order of the sensors is that of the features, which decides what the trees draw.
    content["sensors"] = list(content["sensors"].items())
    for name in ("products", "freeze", "features"):
        content["map"].pop(name)
    content["model"].pop("memory_mb", None)
    if settings.map.model == "all":
        content.pop("split")
    return digest_of(content)


def digest_of(content: Any) -> str:
    """Digest of plain values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def tags(digest: str) -> dict[str, str]:
    """Tags of every raster: the version that made it, and the digest of the settings."""
    return {"PARCELLE_VERSION": parcelle.__version__, "PARCELLE_SETTINGS": digest}


def versions() -> dict[str, Any]:
    """Versions of the software that results depend on."""
    import importlib.metadata
    import platform

    import rasterio

    names = (
        "numpy",
        "pandas",
        "pyarrow",
        "rasterio",
        "geopandas",
        "shapely",
        "pyproj",
        "numba",
        "scikit-learn",
        "snakemake",
    )
    found = {name: importlib.metadata.version(name) for name in names}
    return {
        "parcelle": parcelle.__version__,
        "python": platform.python_version(),
        "GDAL": rasterio.__gdal_version__,
    } | found


@dataclass(frozen=True)
class Code:
    """The code of a run.

    Attributes:
        digest: SHA-256 over all of it: the Snakefile, rules, scripts and package of the clone.
        commit: Commit of Git; None outside of a clone, or where there is no Git.
        changed: Whether a file that Git knows differs from the commit.
        lock: SHA-256 of the file that pins all packages; None where there is none.

    """

    digest: str
    commit: str | None
    changed: bool
    lock: str | None


# What is code in a clone, and what pins the packages that it runs with.
_CODE = ("Snakefile", "workflow/**/*.smk", "workflow/**/*.py", "workflow/**/*.js*", "workflow/**/*.j2", "scripts/*.py")
LOCK = "requirements/light.txt"


def code(clone: Path) -> Code:
    """Tell which code is in a clone."""
    lock = clone / LOCK
    commit = _commit(clone)
    return Code(
        digest=_digest_of_code(clone),
        commit=commit,
        changed=commit is not None and bool(_git(clone, "status", "--porcelain", "--untracked-files=no")),
        lock=files.checksum(lock) if lock.is_file() else None,
    )


def _digest_of_code(clone: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted({p for pattern in _CODE for p in clone.glob(pattern)}):
        digest.update(f"{files.checksum(path)}  {path.relative_to(clone)}\n".encode())
    return digest.hexdigest()


def _commit(clone: Path) -> str | None:
    """Commit that is checked out; an archive unpacked inside of another clone is at none."""
    top = _git(clone, "rev-parse", "--show-toplevel")
    return _git(clone, "rev-parse", "HEAD") if top and Path(top).resolve() == clone.resolve() else None


def _git(clone: Path, *words: str) -> str | None:
    """What Git says; None where it is not there, or refuses."""
    try:
        done = subprocess.run(["git", "-C", clone, *words], capture_output=True, text=True)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
