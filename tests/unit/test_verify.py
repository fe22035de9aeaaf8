"""What `verify` says of files that differ, and the notice of other versions."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from unit.crate_for_tests import OWN, small_run
from unit.rasters_for_tests import acquired

from parcelle import checksums, crate, files, inventory, provenance
from parcelle.acquisitions import Inventory
from parcelle.errors import StaleError
from parcelle.grid import Grid
from parcelle.operations import upgrades
from parcelle.operations.verify import verify
from parcelle.sensors import Asset

GRID = Grid("EPSG:32631", 0, 0, 10, 3, 4)


@pytest.fixture
def told(tmp_path, monkeypatch):
    """A run whose crate is true: one image of one tile, listed with its state."""
    monkeypatch.chdir(tmp_path)
    run = small_run(tmp_path)
    Path("images").mkdir()
    Path("images/b4.tif").write_text("pixels")
    one = acquired(3, {"b4": Asset("images/b4.tif")})
    one = replace(
        one, fingerprint=files.state(["images/b4.tif"]), checksums={"images/b4.tif": checksums.of("images/b4.tif")}
    )
    found = Inventory("31TCJ", GRID, (one,))
    found.write("results/acquisitions/31TCJ.json")
    inventory.write_sums(found, "results/acquisitions/31TCJ.SHA256SUMS")
    made = replace(
        run,
        published={name: files.checksum(run.results / name) for name in run.published},
        inputs={name: files.checksum(name) for name in ("reference.gpkg", "results/acquisitions/31TCJ.json")},
        own={name: files.checksum(run.folder / name) for name in OWN},
    )
    crate.write(made, made.folder / crate.NAME)
    return made


def test_nothing_differs(told):
    found = verify("results")
    assert found.differences == ()
    assert str(found) == (
        "9 file(s) read and compared by SHA-256, 1 product(s) compared by names, sizes and times: no difference(s)."
    )
    assert str(verify("results", published=True)) == "7 file(s) read and compared by SHA-256: no difference(s)."


def test_a_relative_image_is_found_from_results_that_are_absolute(told):
    assert verify(Path("results").absolute()).differences == ()


@pytest.mark.parametrize("threads", [1, 4])
def test_differences_come_in_the_order_of_the_crate(told, threads):
    Path("results/mosaic/class.tif").write_text("other")
    Path("results/map/31TCJ/counts of é.csv").unlink()
    Path("reference.gpkg").write_text("moved")
    os.utime("images/b4.tif")
    assert verify("results", threads=threads).differences == (
        "results/mosaic/class.tif is not the file it was: its checksum differs. "
        "Make it again: snakemake --forcerun results/mosaic/class.tif",
        "results/map/31TCJ/counts of é.csv is missing. "
        "Make it again: snakemake --forcerun results/map/31TCJ/counts of é.csv",
        "reference.gpkg is not the file it was: its checksum differs. "
        "The map does not follow from it any more: put the old one back, or run the workflow again.",
        "images/b4.tif (tile 31TCJ, s2, 2018-03-03): a file of it was replaced. "
        "The map does not follow from it any more: put the old one back, or run the workflow again.",
    )


def test_a_missing_image_is_named(told):
    Path("images/b4.tif").unlink()
    (said,) = verify("results").differences
    assert said.startswith("images/b4.tif (tile 31TCJ, s2, 2018-03-03): images/b4.tif is missing. ")


def test_with_checksums_the_content_counts_and_not_the_time(told):
    listed = "results/acquisitions/31TCJ.SHA256SUMS"
    made = replace(told, inputs=dict(told.inputs) | {listed: files.checksum(listed)})
    crate.write(made, made.folder / crate.NAME)
    os.utime("images/b4.tif")
    found = verify("results")
    assert (found.differences, found.looked_at, found.read) == ((), 0, 11)
    Path("images/b4.tif").write_text("pixelz")
    (said,) = verify("results").differences
    assert said.startswith("images/b4.tif is not the file it was")


def test_a_damaged_inventory_is_named_itself(told):
    Path("results/acquisitions/31TCJ.json").write_text("{}")
    found = verify("results")
    assert len(found.differences) == 1 and found.differences[0].startswith("results/acquisitions/31TCJ.json is not")


def test_without_a_crate_it_says_how_to_make_one(tmp_path):
    with pytest.raises(StaleError, match=re.escape("ro-crate-metadata.json is missing. Make it again: snakemake")):
        verify(tmp_path / "results")


def versions_of(path, **changed):
    installed = {name: version for name, version in provenance.versions().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"versions": {"numpy": installed["numpy"]} | changed}))


def test_the_same_versions_say_nothing(told):
    assert upgrades.notice("nothing here") is None
    versions_of(Path("fresh/model/whole/0/model.json"))
    assert upgrades.notice("fresh") is None


def test_other_versions_are_named(told):
    installed = provenance.versions()
    versions_of(Path("old/model/whole/0/model.json"), numpy="1.0", parcelle="0.0.1", snakemake="1")
    versions_of(Path("old/model/whole/1/model.json"), numpy="0.9")
    assert upgrades.notice("old") == (
        f"Results in old were made with numpy 0.9, 1.0 (now {installed['numpy']}); "
        f"parcelle 0.0.1 (now {installed['parcelle']}). Nothing runs again for that; jobs that run for another reason "
        "use what is installed now. To make all of it again, add --forceall; from a step on, --forcerun train, for "
        "example."
    )


def test_versions_of_the_crate_count_too(told):
    said = upgrades.notice("results")
    assert said is None if provenance.versions()["numpy"] == "2.4.6" else "numpy 2.4.6" in said
    path = told.folder / crate.NAME
    path.write_text(path.read_text().replace('"2.4.6"', '"2.0.0"'))
    assert "numpy 2.0.0 (now" in upgrades.notice("results")


@pytest.mark.parametrize("text", ["", "no json", "[]"])
def test_a_damaged_record_says_nothing(tmp_path, text):
    for name in ("provenance/ro-crate-metadata.json", "model/a/0/model.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert upgrades.notice(tmp_path) is None
