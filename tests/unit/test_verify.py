"""What `verify` says of files that differ, and the notice of other versions."""

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from unit.crate_for_tests import OWN, SETTINGS, small_run
from unit.rasters_for_tests import acquired

from parcelle import checksums, crate, files, inventory, provenance
from parcelle.acquisitions import Inventory
from parcelle.errors import StaleError
from parcelle.grid import Grid
from parcelle.operations import efficiency, upgrades
from parcelle.operations import verify as verify_command
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


@pytest.mark.parametrize(
    "text",
    [
        *("", "no json", "[]", "5", "[" * 100_000, '{"@graph":' * 100_000, "\0"),
        *('{"@graph":5}', '{"@graph":[5]}', '{"@graph":{"a":1}}', '{"@graph":[{"@type":"SoftwareApplication"}]}'),
        '{"@graph":[{"@type":"SoftwareApplication","name":"numpy","softwareVersion":["1"]}]}',
        '{"@graph":[{"@type":"SoftwareApplication","name":["numpy"],"softwareVersion":"1"}]}',
        *('{"versions":["x"]}', '{"versions":{"numpy":1}}', '{"versions":{"numpy":null}}', '{"versions":"numpy"}'),
    ],
)
def test_a_damaged_record_says_nothing(tmp_path, text):
    for name in ("provenance/ro-crate-metadata.json", "model/a/0/model.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    assert upgrades.notice(tmp_path) is None


def edited(told, change):
    """Change the crate, and its checksum with it."""
    path = told.folder / crate.NAME
    content = json.loads(path.read_text())
    files.write_json(path, change(content))


def without(name):
    return lambda content: content | {"@graph": [e for e in content["@graph"] if e["@id"] != name]}


def entity(name, **changes):
    """Change one entity; None takes a word of it away."""

    def change(content):
        for one in content["@graph"]:
            if one["@id"] == name:
                one.update(changes)
                for word in [word for word, value in changes.items() if value is None]:
                    del one[word]
        return content

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda content: [],
        lambda content: {},
        lambda content: {"@graph": 5},
        lambda content: {"@graph": [5]},
        lambda content: {"@graph": [{"@type": "File"}]},
        without("#run"),
        without("../mosaic/class.tif"),
        entity("../mosaic/class.tif", sha256=None),
        entity("../mosaic/class.tif", sha256=5),
        entity("#run", result=None),
        entity("#run", result=[5]),
        entity("#run", object=[{"@id": 7}]),
        entity("#numpy", softwareVersion=None),
        entity("#numpy", **{"@type": None}),
        entity("../mosaic/class.tif", **{"@id": ["x"]}),
    ],
)
def test_a_crate_that_was_edited_with_its_checksum_is_named_with_the_cure(told, change):
    edited(told, change)
    with pytest.raises(StaleError) as error:
        verify("results")
    path = "results/provenance/ro-crate-metadata.json"
    assert str(error.value) == (
        f"{path} does not say what a run writes there: somebody edited it. Make it again: snakemake --forcerun {path}"
    )


def test_a_crate_of_the_deepest_nesting_is_named(told):
    path = told.folder / crate.NAME
    with files.whole(path) as draft:
        draft.write_text("[" * 100_000)
    with pytest.raises(StaleError, match=r"somebody edited it\. Make it again"):
        verify("results")


def test_a_path_in_an_edited_crate_that_no_file_has_is_a_difference(told):
    def renamed(content):
        return json.loads(json.dumps(content).replace("../mosaic/class.tif", "../mosaic/class%00.tif"))

    edited(told, renamed)
    (said,) = verify("results").differences
    assert "cannot be read (embedded null byte). Make it again" in said


@pytest.mark.parametrize("change", [lambda item: 5, lambda item: {}, lambda item: item | {"assets": [1]}])
def test_an_inventory_that_was_edited_with_its_checksum_is_named(told, change):
    path = "results/acquisitions/31TCJ.json"
    content = files.read_json(path)
    files.write_json(path, content | {"features": [change(item) for item in content["features"]]})
    crate.write(replace(told, inputs=dict(told.inputs) | {path: files.checksum(path)}), told.folder / crate.NAME)
    assert verify("results").differences == (
        f"{path} does not say what a run writes there: somebody edited it. Make it again: snakemake --forcerun {path}",
    )


def test_a_pipe_in_the_place_of_a_file_is_a_difference(told):
    Path("results/mosaic/class.tif").unlink()
    os.mkfifo("results/mosaic/class.tif")
    (said,) = verify("results").differences
    assert said.startswith("results/mosaic/class.tif is no file. Make it again")


def test_files_beside_the_published_ones_are_remarks_and_no_differences(told):
    for name in ("class.tif.sha256", "class.tif.aux.xml", "class copy.tif"):
        Path("results/mosaic", name).touch()
    found = verify("results")
    assert found.differences == ()
    assert found.remarks == (
        "results/mosaic/class copy.tif is not among what the run published: no checksum vouches for it.",
        "results/mosaic/class.tif.aux.xml is not among what the run published: no checksum vouches for it.",
    )


@pytest.fixture
def settled(tmp_path, monkeypatch):
    """Settings of a run that made nothing yet."""
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_text(json.dumps(SETTINGS.model_dump(mode="json")))
    return tmp_path


@pytest.mark.parametrize("there", ["nothing", "folder", "file", "link"])
def test_the_command_says_that_there_is_no_run(settled, capsys, there):
    if there == "folder":
        Path("results/logs").mkdir(parents=True)
    if there == "file":
        Path("results").touch()
    if there == "link":
        Path("results").symlink_to("/nowhere")
    for command in (verify_command, efficiency):
        assert command.main(["--configfile", "my.yaml"]) == 1
        assert capsys.readouterr().err == (
            f"{settled}/results holds no run: name the folder of the run with --directory, or its --profile.\n"
        )


def test_the_command_tells_remarks_and_succeeds(settled, told, capsys):
    Path("results/mosaic/mine.tif").touch()
    assert verify_command.main(["--configfile", "my.yaml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("results/mosaic/mine.tif is not among what the run published")
    assert lines[-1].endswith("no difference(s).")


@pytest.mark.parametrize("command", ["verify_command", "efficiency"])
def test_words_for_snakemake_are_refused_where_it_is_not_called(settled, capsys, command):
    with pytest.raises(SystemExit) as ended:
        globals()[command].main(["--configfile", "my.yaml", "--", "--config", "seeds=6"])
    assert ended.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err
