"""The record of a run: the rules of RO-Crate and its profile, and what is read back."""

import datetime
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from unit.crate_for_tests import OWN, SETTINGS, record, small_run
from unit.rasters_for_tests import acquired

from parcelle import crate, crate_tables
from parcelle.acquisitions import Inventory
from parcelle.errors import StaleError
from parcelle.grid import Grid
from parcelle.provenance import Code
from parcelle.sensors import Asset
from parcelle.settings import Publication


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run in a folder, with few files."""
    monkeypatch.chdir(tmp_path)
    return small_run(tmp_path)


def graph(run):
    found = crate.describe(run)["@graph"]
    by_id = {entity["@id"]: entity for entity in found}
    assert len(by_id) == len(found), "every entity stands once"
    return by_id


def references(value):
    """All `@id` that an entity refers to."""
    if isinstance(value, dict):
        yield from ([value["@id"]] if set(value) == {"@id"} else references(list(value.values())))
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def test_every_reference_leads_to_an_entity(run):
    found = graph(run)
    elsewhere = {"https://w3id.org/ro/crate/1.1"}
    for entity in found.values():
        for name in references([value for key, value in entity.items() if key != "@id"]):
            assert name in found or name in elsewhere, f"{entity['@id']} refers to {name}"


def test_what_ro_crate_requires(run):
    """RO-Crate 1.1: the descriptor, the root with what it needs, and every file among its parts."""
    found = graph(run)
    assert crate.describe(run)["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    descriptor, root = found["ro-crate-metadata.json"], found["./"]
    assert descriptor["@type"] == "CreativeWork" and descriptor["about"] == {"@id": "./"}
    assert {"@id": "https://w3id.org/ro/crate/1.1"} in descriptor["conformsTo"]
    assert root["@type"] == "Dataset" and {"name", "description", "license"} <= set(root)
    assert datetime.datetime.fromisoformat(root["datePublished"]).tzinfo
    kinds = {name for name, entity in found.items() if "File" in entity["@type"]}
    assert {part["@id"] for part in root["hasPart"]} == kinds and len(kinds) == 4 + len(OWN)


def test_what_the_profile_requires(run):
    """Workflow Run Crate 0.5: the main workflow with its language, and an action of which it is the instrument."""
    found = graph(run)
    root = found["./"]
    assert [profile["@id"] for profile in root["conformsTo"]] == [
        "https://w3id.org/ro/wfrun/process/0.5",
        "https://w3id.org/ro/wfrun/workflow/0.5",
        "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
    ]
    assert all(found[name]["@type"] == "CreativeWork" for name in map(lambda p: p["@id"], root["conformsTo"]))
    workflow, action = found[root["mainEntity"]["@id"]], found[root["mentions"]["@id"]]
    assert set(workflow["@type"]) == {"File", "SoftwareSourceCode", "ComputationalWorkflow"}
    assert found[workflow["programmingLanguage"]["@id"]]["@type"] == "ComputerLanguage"
    assert action["@type"] == "CreateAction" and action["instrument"] == root["mainEntity"]
    assert [r["@id"] for r in action["result"]] == ["../mosaic/class.tif", "../map/31TCJ/counts%20of%20%C3%A9.csv"]


@pytest.mark.parametrize(
    ("license_", "address"),
    [
        ("CC-BY-4.0", "https://spdx.org/licenses/CC-BY-4.0"),
        ("https://data.example.org/licence", "https://data.example.org/licence"),
    ],
)
def test_a_publication_has_its_title_licence_and_publisher(run, license_, address):
    given = Publication(title="Land cover of the valleys", license=license_, publisher="Survey of the valleys")
    found = graph(replace(run, settings=run.settings.model_copy(update={"publication": given})))
    root = found["./"]
    assert root["name"] == "Land cover of the valleys"
    assert found[root["license"]["@id"]] == {"@id": address, "@type": "CreativeWork", "name": license_}
    publisher = found[root["publisher"]["@id"]]
    assert (publisher["@type"], publisher["name"]) == ("Organization", "Survey of the valleys")


def test_what_is_not_stated_of_a_publication_is_said_so(run):
    found = graph(run)
    assert found["./"]["name"] == "Land cover of 1 tile(s), 2018-01-01 to 2018-12-31"
    assert found["./"]["license"].startswith("Not stated")
    assert "publisher" not in found["./"] and "#publisher" not in found


def test_times_are_those_of_the_jobs(run):
    action = graph(run)["#run"]
    assert action["startTime"] == "2026-01-01T10:00:00+00:00"
    assert action["endTime"] == graph(run)["./"]["datePublished"] == "2026-01-01T10:05:30+00:00"


def test_what_all_jobs_used_together(run):
    found = graph(run)
    used = {found[one["@id"]]["name"]: found[one["@id"]]["value"] for one in found["#run"]["resourceUsage"]}
    assert used == {"jobs": 2, "core-hours": 0.05, "largest memory of a job": 500.0}


def test_the_code_and_its_software(run):
    found = graph(run)
    values = {e["name"]: e["value"] for e in found.values() if e["@type"] == "PropertyValue"}
    assert values["Git commit"] == "0123abc (with changes that are not committed)"
    assert values["SHA-256 of the code"] == "c0de" and values["SHA-256 of requirements/light.txt"] == "10c4"
    assert found["#numpy"]["softwareVersion"] == "2.4.6"


def test_outside_of_git_there_is_no_commit(run):
    found = graph(replace(run, code=Code("c0de", None, False, None)))
    names = [found[one["@id"]]["name"] for one in found["Snakefile"]["identifier"]]
    assert names == ["SHA-256 of the code"]


def test_what_is_written_is_read_back(run, tmp_path):
    path = run.folder / crate.NAME
    crate.write(run, path)
    found = crate.read(path)
    assert found.published == {Path("results") / name: digest for name, digest in run.published.items()}
    assert found.inputs == {Path("reference.gpkg"): "cc", tmp_path / "reference.gpkg": "dd"}
    assert found.own == {run.folder / name: digest for name, digest in run.own.items()}
    assert found.versions == run.versions


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    for name in ("1.json", "2.json"):
        crate.write(run, tmp_path / name)
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()


def test_a_changed_crate_is_not_read(run):
    path = run.folder / crate.NAME
    crate.write(run, path)
    path.write_text(path.read_text().replace('"aa"', '"ab"'))
    with pytest.raises(StaleError, match="was changed or cut"):
        crate.read(path)


def test_jobs_of_other_settings_are_left_out():
    mine = [record("train", region="north", seed="1"), record("classify", tile="31TCJ"), record("assess")]
    others = [record("train", region="north", seed="2"), record("classify", tile="31TDJ")]
    others += [record("mosaic", product="probability")]
    assert crate_tables.of_run([*mine, *others], SETTINGS) == mine


def test_the_table_of_jobs(tmp_path):
    crate_tables.write_jobs([record("train", region="north", seed="1")], tmp_path / "jobs.csv")
    names, row = (line.split(",") for line in (tmp_path / "jobs.csv").read_text().splitlines())
    found = dict(zip(names, row, strict=True))
    assert found["job"] == "north/1" and found["rule"] == "train" and found["peak_mb"] == "500.0"
    assert not {"pid", "message", "wildcards"} & set(found)


def test_the_table_of_products(tmp_path):
    paths = ["/data/P/b4.tif", "/data/P/masks/clm.tif"]
    one = acquired(3, {"b4": Asset(paths[0]), "b8": Asset(paths[1])})
    single = acquired(5, {"b4": Asset("/data/single.tif")}, sensor="s1")
    grid = Grid("EPSG:32631", 0, 0, 10, 3, 4)
    Inventory("31TCJ", grid, (replace(one, fingerprint="f1"), single)).write(str(tmp_path / "31TCJ.json"))
    crate_tables.write_products([str(tmp_path / "31TCJ.json")], {paths[0]: "aa", paths[1]: "bb"}, tmp_path / "p.csv")
    rows = [line.split(",") for line in (tmp_path / "p.csv").read_text().splitlines()]
    assert rows[0] == list(crate_tables.PRODUCTS)
    together = hashlib.sha256(b"aa  b4.tif\nbb  clm.tif\n").hexdigest()
    assert rows[1] == ["31TCJ", "s2", one.id, "2018-03-03", "/data/P", "2", "f1", together]
    assert rows[2][4:6] == ["/data/single.tif", "1"] and rows[2][7] == ""


def test_the_crate_is_json_that_anybody_reads(run):
    crate.write(run, run.folder / crate.NAME)
    assert json.loads((run.folder / crate.NAME).read_text()) == crate.describe(run)
