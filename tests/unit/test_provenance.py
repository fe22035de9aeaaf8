import hashlib
import importlib.metadata
import json
import platform
import subprocess

import pytest
import rasterio
import yaml

import parcelle
from parcelle import provenance, settings

SETTINGS = """
tiles: [31TCJ, 31TDJ]
sensors:
  s2: {format: sentinel2-theia-l2a, path: /data, bands: [b4, b8, b11]}
  s1: {format: stac, collection: sentinel-1-grd, path: /radar}
period: {start: 2018-01-01, end: 2018-12-31}
reference: {path: reference.gpkg, field: code}
nomenclature: classes.csv
regions: {path: regions.gpkg, field: name}
"""


def digest(**changes):
    """Digest of the settings with changes, such as `{"map.model": [0]}`."""
    config = yaml.safe_load(SETTINGS)
    for path, value in changes.items():
        *groups, last = path.split(".")
        place = config
        for name in groups:
            place = place.setdefault(name, {})
        place[last] = value
    return provenance.digest(settings.read(config))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("results", "elsewhere"),
        ("window.size", 64),
        ("sensors.s2.path", "/other/{tile}"),
        ("reference.path", "moved.gpkg"),
        ("regions.path", "moved.gpkg"),
        ("nomenclature", "other-colours.csv"),
        ("map.products", ["class", "probability"]),
        ("map.freeze", True),
        ("mosaic.crs", "EPSG:3035"),
        ("mosaic.resolution", 100),
        ("tiles", ["31TDJ"]),
        ("seeds", 9),
        ("on_bad_acquisition", "skip"),
        ("publication.license", "CC-BY-4.0"),
        # Only the seeds' models know the split, and they do not map.
        ("split.ratio", 0.7),
        ("split", {"by": "block", "block": 100}),
        # Said as it is anyway.
        ("sampling", "all"),
        ("period.start", "2018-01-01"),
        ("model.trees", 100),
    ],
    ids=str,
)
def test_what_changes_no_pixel_of_a_tiles_map_keeps_the_digest(path, value):
    assert digest(**{path: value}) == digest()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("period.start", "2018-01-02"),
        ("period.end", "2018-12-01"),
        ("period.step", 5),
        ("period.padding", 5),
        ("sensors.s2.bands", ["b4", "b8", "b12"]),
        ("sensors.s2.bands", ["b8", "b4", "b11"]),
        ("sensors.s2.resampling", "cubic"),
        ("sensors.s2.indices", ["ndvi"]),
        ("sensors.s2.additional", ["b8/b4"]),
        ("reference.field", "crop"),
        ("regions.field", "zone"),
        ("regions", None),
        ("grid", "mgrs"),
        ("sampling.per_class", 100),
        ("sampling.per_polygon_max", 10),
        ("model.trees", 50),
        ("model.depth", None),
        ("map.model", [0]),
        ("map.min_valid", 2),
    ],
    ids=str,
)
def test_what_changes_pixels_changes_the_digest(path, value):
    assert digest(**{path: value}) != digest()


def test_the_split_counts_where_seeds_map():
    seeds = {"map.model": [0, 1]}
    assert digest(**seeds, **{"split.ratio": 0.7}) != digest(**seeds)
    assert digest(**{"map.model": [0]}) != digest(**seeds)
    assert digest(**seeds, seeds=9) == digest(**seeds)


def test_the_order_of_sensors_is_that_of_the_features():
    sensors = yaml.safe_load(SETTINGS)["sensors"]
    assert digest(sensors=dict(reversed(sensors.items()))) != digest()
    renamed = {"optical": sensors["s2"], "s1": sensors["s1"]}
    assert digest(sensors=renamed) != digest()


def test_the_digest_survives_the_job():
    """A script reads the settings again from the plain values that Snakemake passes on."""
    read = settings.read(yaml.safe_load(SETTINGS))
    again = settings.read(json.loads(json.dumps(read.model_dump(mode="json"))))
    assert provenance.digest(again) == provenance.digest(read)
    assert len(provenance.digest(read)) == 16 and int(provenance.digest(read), 16) >= 0


def test_tags_hold_the_version_and_the_digest():
    tags = provenance.tags(provenance.digest(settings.read(yaml.safe_load(SETTINGS))))
    assert tags == {"PARCELLE_VERSION": parcelle.__version__, "PARCELLE_SETTINGS": digest()}


def test_versions_are_those_installed():
    versions = provenance.versions()
    assert versions["parcelle"] == parcelle.__version__ and versions["python"] == platform.python_version()
    assert versions["GDAL"] == rasterio.__gdal_version__
    for name in ("numpy", "pandas", "rasterio", "geopandas", "numba", "scikit-learn", "snakemake"):
        assert versions[name] == importlib.metadata.version(name)


def git(folder, *words):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", folder, *who, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def clone(tmp_path):
    """A clone with a Snakefile, a module and a lock file."""
    for name in ("Snakefile", "workflow/parcelle/a.py", "requirements/light.txt", "docs/page.md"):
        (tmp_path / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "clone" / name).write_text(name)
    git(tmp_path, "init", "-q", "clone")
    git(tmp_path / "clone", "add", ".")
    git(tmp_path / "clone", "commit", "-q", "-m", "first")
    return tmp_path / "clone"


def test_the_code_of_a_clone(clone):
    found = provenance.code(clone)
    assert found.commit == git(clone, "rev-parse", "HEAD") and len(found.commit) == 40 and not found.changed
    assert found.lock == hashlib.sha256(b"requirements/light.txt").hexdigest()


def test_a_change_of_the_code_is_seen(clone):
    before = provenance.code(clone)
    (clone / "docs/page.md").write_text("other words")
    after = provenance.code(clone)
    assert after.changed and after.commit == before.commit and after.digest == before.digest
    (clone / "workflow/parcelle/a.py").write_text("other code")
    assert provenance.code(clone).digest != before.digest


def test_what_is_in_the_clone_of_something_else_is_at_no_commit(clone):
    inside = clone / "unpacked"
    (inside / "workflow").mkdir(parents=True)
    (inside / "Snakefile").write_text("rule all:")
    found = provenance.code(inside)
    assert (found.commit, found.changed, found.lock) == (None, False, None)


def test_without_git_there_is_no_commit(clone, monkeypatch):
    monkeypatch.setenv("PATH", str(clone))
    assert provenance.code(clone).commit is None
