"""What is refused, in which words; and that what is accepted stays as it is."""

import copy
import datetime
from pathlib import Path

import pydantic
import pytest
import yaml

from parcelle import settings
from parcelle.errors import SettingsError
from parcelle.sensors import FORMATS
from parcelle.sensors.collections import COLLECTIONS

LEAST = """
tiles: [31TCJ]
sensors:
  s2: {format: sentinel2-theia-l2a, path: /data}
period: {start: 2018-01-01, end: 2018-12-31}
reference: {path: reference.gpkg, field: code}
nomenclature: classes.csv
"""
FULL = """
results: out/2018
tiles: [31TCJ, T31TDJ, my-tile_2]
grid: mgrs
sensors:
  s2:
    format: sentinel2-theia-l2a
    path: /data/{tile}
    bands: [B2, b4, b8, b11]
    resampling: cubic
    indices: [ndvi]
    additional: ["(b8-b2)/(b8+b2)", "maximum(b4, 2*b2)"]
  s1: {format: stac, collection: sentinel-1-grd, path: "/data/{tile}/items.json"}
external:
  texture: {function: "textures.py:texture", margin: 3, arguments: {radius: 3, of: [b4, b8]}, replace: false}
period: {start: 2018-01-01, end: 2018-12-31, step: 15, padding: 20}
reference: {path: reference.gpkg, field: code, layer: fields}
nomenclature: classes.csv
regions: {path: regions.gpkg, field: name}
seeds: 3
split: {by: field, field: farm, ratio: 0.67}
sampling: {per_polygon_max: 50, per_class: 1000}
model: {name: forest, trees: 50, depth: null, min_samples: 2, features: 7}
map: {model: [0, 2], products: [class, probability], min_valid: 3, freeze: true, features: ["s2.ndvi.*"]}
mosaic: {crs: EPSG:3035, resolution: 20, origin: [5, 5.5]}
on_bad_acquisition: skip
publication: {title: A map, license: CC-BY-4.0, publisher: A survey}
window: {size: 256}
cache: scratch
scratch: /scratch/parcelle
"""
ALL = (
    "results, tiles, grid, resolution, sensors, external, period, reference, nomenclature, regions, area, "
    "seeds, split, sampling, model, gpus, map, mosaic, on_bad_acquisition, check, publication, window, cache, scratch"
)
OF_SENSOR = (
    "format, path, collection, reflectance, invalid, orbit, kind, names, assets, bands, resampling, "
    "mask_buffer, speckle, speckle_window, step, gapfill, smoothing, smoothing_window, smoothing_order, "
    "composite, indices, additional"
)
BANDS = "b2, b3, b4, b5, b6, b7, b8, b8a, b11, b12"


def least(**changes):
    """The shortest settings, with changes: `{"sensors.s2.bands": [...]}` or top-level names."""
    config = yaml.safe_load(LEAST)
    for path, value in changes.items():
        *groups, last = path.split(".")
        place = config
        for name in groups:
            place = place.setdefault(name, {})
        place[last] = value
    return config


def refusals(config):
    with pytest.raises(SettingsError) as caught:
        settings.read(config)
    head, *lines = str(caught.value).split("\n")
    assert head == "Wrong settings:"
    return [line.removeprefix("  ") for line in lines]


UNKNOWN = {
    "tile": f"tile: unknown setting; allowed here: {ALL}",
    "sensors.s2.band": f"sensors.s2.band: unknown setting; allowed here: {OF_SENSOR}",
    "period.days": "period.days: unknown setting; allowed here: start, end, step, padding",
    "reference.column": "reference.column: unknown setting; allowed here: path, field, layer",
    "split.size": "split.size: unknown setting; allowed here: by, field, block, ratio",
    "sampling.per_clas": "sampling.per_clas: unknown setting; allowed here: per_polygon_max, per_class",
    "model.tree": "model.tree: unknown setting; allowed here: name, trees, depth, min_samples, features",
    "map.colour": "map.colour: unknown setting; allowed here: model, products, min_valid, freeze, features",
    "mosaic.epsg": "mosaic.epsg: unknown setting; allowed here: crs, resolution, origin",
    "window.width": "window.width: unknown setting; allowed here: size",
}


@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_setting_is_named_with_those_of_its_group(path):
    assert refusals(least(**{path: 1})) == [UNKNOWN[path]]


def test_an_unknown_setting_of_a_group_that_may_be_empty():
    config = least(regions={"path": "r.gpkg", "field": "name", "layers": "x"})
    assert refusals(config) == ["regions.layers: unknown setting; allowed here: path, field, layer"]


WRONG = [
    ("tiles", "31TCJ", "found '31TCJ'; allowed: a list such as [a, b]"),
    ("tiles", None, "found nothing; allowed: a list such as [a, b]"),
    ("tiles", [], "found []; allowed: at least 1 of them"),
    ("tiles", ["a", "b", "a"], "found 'a' twice; list each tile once"),
    ("seeds", "five", "found 'five'; allowed: a whole number"),
    ("seeds", "5", "found '5'; allowed: a whole number"),
    ("seeds", True, "found True; allowed: a whole number"),
    ("seeds", 2.5, "found 2.5; allowed: a whole number"),
    ("seeds", 0, "found 0; allowed: at least 1"),
    ("seeds", 2000, "found 2000; allowed: at most 1000"),
    ("grid", "utm", "found 'utm'; allowed: 'header' or 'mgrs'"),
    ("results", "", "found ''; allowed: some text"),
    ("results", 2018, "found 2018; allowed: text, in quotes if it looks like a number"),
    ("on_bad_acquisition", "ignore", "found 'ignore'; allowed: 'fail' or 'skip'"),
    ("sensors", ["s2"], "found ['s2']; allowed: a group of settings"),
    ("sensors", {}, "found {}; allowed: at least 1 of them"),
    ("sensors.s2", None, f"found nothing; allowed: a group of settings ({OF_SENSOR})"),
    ("sensors.s2.resampling", "lanczos", "found 'lanczos'; allowed: 'bilinear', 'cubic' or 'nearest'"),
    ("sensors.s2.bands", [], "found []; allowed: at least 1 of them"),
    ("sensors.s2.bands", "b2", "found 'b2'; allowed: a list such as [a, b]"),
    ("period.step", 0, "found 0; allowed: at least 1"),
    ("period.padding", 400, "found 400; allowed: at most 366"),
    ("period.start", "2018-02-30", "found '2018-02-30'; allowed: a date such as 2018-03-31"),
    ("period.start", 20180101, "found 20180101; allowed: a date such as 2018-03-31"),
    ("period.start", datetime.datetime(2018, 1, 1), "found 2018-01-01 00:00:00; allowed: a date such as 2018-03-31"),
    ("period.end", "2017-12-31", "found 2017-12-31; allowed: the start (2018-01-01) or a later day"),
    ("split", None, "found nothing; allowed: a group of settings (by, field, block, ratio)"),
    ("split.by", "plot", "found 'plot'; allowed: 'polygon', 'field' or 'block'"),
    ("split.by", ["field"], "found ['field']; allowed: 'polygon', 'field' or 'block'"),
    ("split.ratio", 1, "found 1; allowed: less than 1"),
    ("split.ratio", 0, "found 0; allowed: more than 0"),
    ("split.ratio", float("nan"), "found nan; allowed: a finite number"),
    ("split.ratio", "half", "found 'half'; allowed: a number"),
    ("split.field", "farm", "found 'farm' where `by` is 'polygon'; set `by: field` or remove it"),
    ("split.block", 80, "found 80.0 where `by` is 'polygon'; set `by: block` or remove it"),
    ("sampling", "some", "found 'some'; allowed: `all`, or a group of settings (per_polygon_max, per_class)"),
    ("sampling.per_class", 0, "found 0; allowed: at least 1"),
    ("model.name", "svm", "found 'svm'; allowed: 'forest' or 'extra-trees'"),
    ("model.min_samples", 1, "found 1; allowed: at least 2"),
    ("model.features", 0, "found 0; allowed: at least 1, or 'sqrt' or 'log2'"),
    ("model.features", "all", "found 'all'; allowed: a whole number, or 'sqrt' or 'log2'"),
    ("map.model", "best", "found 'best'; allowed: 'all', or a list such as [a, b]"),
    ("map.model", 3, "found 3; allowed: 'all', or a list such as [a, b]"),
    ("map.model", {"seed": 3}, "found {'seed': 3}; allowed: 'all', or a list such as [a, b]"),
    ("map.model", [], "found []; allowed: `all`, or a list of different seeds"),
    ("map.model", [1, 1], "found [1, 1]; allowed: `all`, or a list of different seeds"),
    ("map.model", [0, 7], "found seed 7; allowed: 0 to 4 (`seeds` is 5)"),
    ("map.model", [-1], "found seed -1; allowed: 0 to 4 (`seeds` is 5)"),
    ("map.products", ["confidence"], "found ['confidence']; allowed: `class` and others, each once"),
    ("map.products", ["class", "class"], "found ['class', 'class']; allowed: `class` and others, each once"),
    ("map.min_valid", 0, "found 0; allowed: at least 1"),
    ("map.freeze", "yes", "found 'yes'; allowed: true or false"),
    (
        "publication.license",
        "CC BY 4.0",
        "found 'CC BY 4.0'; allowed: an identifier of SPDX such as CC-BY-4.0, or the address of a licence",
    ),
    ("publication.title", "", "found ''; allowed: some text"),
    ("mosaic.crs", "EPSG:999999", "found 'EPSG:999999'; allowed: a CRS such as EPSG:3035"),
    ("mosaic.resolution", float("inf"), "found inf; allowed: a finite number"),
    ("mosaic.origin", "here", "found 'here'; allowed: two numbers such as [0, 0]"),
    ("mosaic.origin", [1, 2, 3], "found [1, 2, 3]; allowed: 2 values"),
    ("window", 8, "found 8; allowed: a group of settings (size)"),
    ("window.size", 15, "found 15; allowed: at least 16"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), WRONG, ids=str)
def test_a_wrong_value_is_named_with_what_is_allowed(path, value, sentence):
    assert refusals(least(**{path: value})) == [f"{path}: {sentence}"]


INSIDE = [
    ("tiles", ["31/TCJ"], "tiles.0: found '31/TCJ'; allowed: letters, digits, _ and -, the first a letter or digit"),
    ("tiles", ["a", 31], "tiles.1: found 31; allowed: text, in quotes if it looks like a number"),
    ("sensors.s2.indices", [3], "sensors.s2.indices.0: found 3; allowed: text, in quotes if it looks like a number"),
    (
        "map.products",
        ["class", "colour"],
        "map.products.1: found 'colour'; allowed: 'class', 'confidence', 'validity' or 'probability'",
    ),
    ("map.model", [0, "best"], "map.model.1: found 'best'; allowed: a whole number"),
    ("mosaic.origin", [1], "mosaic.origin.1: this setting is required"),
    ("mosaic.crs", "EPSG:4326", "mosaic.resolution: this setting is required, in degrees, by EPSG:4326"),
    ("split.by", "field", "split.field: this setting is required by `by: field`"),
    ("split.by", "block", "split.block: this setting is required by `by: block`"),
    (
        "sensors.s 2",
        {"format": "sentinel2-theia-l2a", "path": "d"},
        "sensors.s 2: found 's 2'; allowed: letters, digits, _ and -, the first a letter or digit",
    ),
]


@pytest.mark.parametrize(("path", "value", "sentence"), INSIDE, ids=str)
def test_a_wrong_part_is_named_by_its_own_path(path, value, sentence):
    assert refusals(least(**{path: value})) == [sentence]


OF_THE_SENSOR = [
    ("bands", ["b1"], f"sensors.s2.bands: no band 'b1'; sentinel2-theia-l2a has {BANDS}"),
    ("bands", ["b2", "B2"], "sensors.s2.bands: a band is listed twice"),
    ("additional", ["b8/("], "sensors.s2: 'b8/(' is not an expression such as (b8-b4)/(b8+b4)"),
    ("additional", ["b99+1"], f"sensors.s2: 'b99+1' uses 'b99', which is not a band in use; bands are {BANDS}"),
    ("format", "foo", f"sensors.s2: no format 'foo'; choose from {', '.join(FORMATS)}, or 'module:Class'"),
    ("format", "nix:Y", "sensors.s2: format 'nix:Y' cannot be imported (ModuleNotFoundError: No module named 'nix')"),
    ("collection", "x", "sensors.s2: format 'sentinel2-theia-l2a' takes no `collection`: remove it"),
    ("path", "/d/{tiles}", "sensors.s2.path: found '/d/{tiles}'; only {tile} may stand in braces"),
    ("path", "/d/{tile", "sensors.s2.path: found '/d/{tile'; only {tile} may stand in braces"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), OF_THE_SENSOR, ids=str)
def test_what_a_sensor_cannot_give(name, value, sentence):
    assert refusals(least(**{f"sensors.s2.{name}": value})) == [sentence]


def test_an_expression_cannot_call_python():
    (line,) = refusals(least(**{"sensors.s2.additional": ["__import__('os')"]}))
    assert line.startswith("sensors.s2: ") and "is not allowed; use numbers, band names" in line


def test_an_index_of_bands_that_are_not_used():
    config = least(**{"sensors.s2.bands": ["b2"], "sensors.s2.indices": ["ndvi"]})
    assert refusals(config) == ["sensors.s2.indices: 'ndvi' cannot be made of the bands b2: it needs nir, red"]


@pytest.mark.parametrize("collection", [None, "sentinel-9"])
def test_a_collection_of_stac_is_one_of_the_table(collection):
    (line,) = refusals(least(**{"sensors.s2.format": "stac", "sensors.s2.collection": collection}))
    assert line.startswith("sensors.s2: ") and ", ".join(COLLECTIONS) in line


def test_every_missing_setting_is_a_line():
    needed = ["tiles", "sensors", "period", "reference", "nomenclature"]
    assert refusals({}) == [f"{name}: this setting is required" for name in needed]
    assert refusals(least(reference={"path": "r"})) == ["reference.field: this setting is required"]


def test_all_errors_are_told_at_once():
    lines = refusals(least(seeds=0, tile=1, grid="utm"))
    assert sorted(line.partition(":")[0] for line in lines) == ["grid", "seeds", "tile"]


@pytest.mark.parametrize("content", [None, [], "text"])
def test_a_file_without_settings(content):
    (line,) = refusals(content)
    assert line.startswith("settings: found") and line.endswith(f"a group of settings ({ALL})")


@pytest.mark.parametrize("path", ["$PARCELLE_NOWHERE/x", "${PARCELLE_NOWHERE}/x"])
def test_an_environment_variable_that_is_not_set_is_refused(path, monkeypatch):
    monkeypatch.delenv("PARCELLE_NOWHERE", raising=False)
    end = "environment variable PARCELLE_NOWHERE is not set: export it, or write the path"
    for place in ("reference.path", "sensors.s2.path", "nomenclature", "results"):
        assert refusals(least(**{place: path})) == [f"{place}: found {path!r}; {end}"]


def test_environment_variables_and_home_are_replaced(monkeypatch):
    monkeypatch.setenv("PARCELLE_THERE", "/data/2018")
    monkeypatch.setenv("HOME", "/home/ada")
    read = settings.read(least(nomenclature="~/classes.csv", **{"reference.path": "${PARCELLE_THERE}/r.gpkg"}))
    assert (read.reference.path, read.nomenclature) == ("/data/2018/r.gpkg", "/home/ada/classes.csv")


@pytest.mark.parametrize("value", ["all", None, {}])
def test_sampling_all_is_no_limit(value):
    read = settings.read(least(sampling=value))
    assert (read.sampling.per_polygon_max, read.sampling.per_class) == (None, None)


def test_defaults_are_those_of_the_design():
    read = settings.read(least())
    assert (read.seeds, read.split.by, read.split.ratio) == (5, "polygon", 0.5)
    assert (read.period.step, read.period.padding, read.map.min_valid) == (10, 0, 1)
    assert (read.model.trees, read.model.depth, read.model.min_samples, read.model.features) == (100, 25, 5, "sqrt")
    assert (read.map.model, read.map.products) == ("all", ["class", "confidence", "validity"])
    assert (read.results, read.on_bad_acquisition, read.regions) == ("results", "fail", None)


def test_a_full_file_keeps_every_value():
    content = yaml.safe_load(FULL)
    dumped = settings.read(content).model_dump(mode="json")
    expected = copy.deepcopy(content)
    expected["period"] |= {"start": "2018-01-01", "end": "2018-12-31"}
    for sensor in expected["sensors"].values():
        for name, field in settings.Sensor.model_fields.items():
            sensor.setdefault(name, field.default)
    for name, field in settings.Settings.model_fields.items():
        expected.setdefault(name, field.default)
    expected["split"] |= {"block": None}
    expected["regions"] |= {"layer": None}
    assert dumped == expected


def test_scratch_needs_a_folder():
    assert refusals(least(cache="scratch")) == ["scratch: this setting is required by `cache: scratch`; name a folder"]


@pytest.mark.parametrize("text", [LEAST, FULL])
def test_plain_values_are_read_back_as_the_same_settings(text):
    read = settings.read(yaml.safe_load(text))
    assert settings.read(read.model_dump(mode="json")) == read
    assert settings.read(yaml.safe_load(yaml.safe_dump(read.model_dump(mode="json")))) == read


def test_settings_are_frozen():
    read = settings.read(yaml.safe_load(FULL))
    for group, name in [(read, "seeds"), (read.map, "freeze"), (read.sensors["s2"], "path"), (read.period, "step")]:
        with pytest.raises(pydantic.ValidationError, match="frozen"):
            setattr(group, name, 1)


def test_every_setting_says_what_it_is():
    models = [m for m in vars(settings).values() if isinstance(m, type) and issubclass(m, settings.Group)]
    fields = [(m.__name__, name, f) for m in models for name, f in m.model_fields.items()]
    assert len(fields) > 40
    assert [(m, name) for m, name, f in fields if not f.description] == []


def test_the_example_takes_its_data_from_the_environment(monkeypatch):
    path = Path(__file__).parents[2] / "config/examples/flanders-2018.yaml"
    monkeypatch.setenv("PARCELLE_DATA", "/somewhere")
    read = settings.read(yaml.safe_load(path.read_text()))
    assert read.sensors["s2"].path == "/somewhere/flanders-2018/{tile}/items.json"
    monkeypatch.delenv("PARCELLE_DATA")
    assert all("PARCELLE_DATA is not set" in line for line in refusals(yaml.safe_load(path.read_text())))


def test_a_setting_that_stands_twice_is_refused(tmp_path):
    path = tmp_path / "twice.yaml"
    path.write_text("seeds: 2\nsplit: {ratio: 0.5}\nseeds: 3\n")
    with pytest.raises(SettingsError, match=r"twice\.yaml, line 1: 'seeds' stands twice in one group"):
        settings.refuse_repeated(path)
    path.write_text("split: {ratio: 0.5}\nsampling: {ratio: 1}\n")
    settings.refuse_repeated(path)
    path.write_text("period: {start: 2018-06-31}\n")
    with pytest.raises(SettingsError, match=r"twice\.yaml is no YAML that can be read: day"):
        settings.refuse_repeated(path)


@pytest.mark.parametrize("results", ["out/", "./out", "x/../out"])
def test_a_folder_is_written_in_one_way(results):
    assert settings.read(least(results=results)).results == "out"


@pytest.mark.parametrize("results", ["file", "file/x", "file/x/y", "link"])
def test_a_folder_that_cannot_be_one_is_refused(results, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SettingsError) as error:
        settings.refuse_file(str(tmp_path / results), "results")
    there = tmp_path / results.split("/")[0]
    assert str(error.value) == f"results: {there} is there, and is no folder: name another folder, or remove it."


@pytest.mark.parametrize("results", ["folder", "folder/x/y", "nowhere/x"])
def test_a_folder_may_be_there_or_not(results, tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    for path in (results, tmp_path / results):
        settings.refuse_file(path, "results")
    assert [p.name for p in tmp_path.rglob("*")] == ["folder"]


@pytest.mark.parametrize("change", [{"results": "res {x}"}, {"reference": {"path": "{x}.gpkg", "field": "code"}}])
def test_paths_hold_no_braces(change):
    assert "no braces and no control characters may stand in it" in refusals(least(**change))[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"period": {"start": "0001-01-01", "end": "2018-12-31"}}, "allowed: days from 1970 to 2200"),
        ({"model": {"trees": 10**12}}, "model.trees: found 1000000000000"),
        ({"model": {"depth": 10**30}}, "model.depth: found 1000000000000000000000000000000"),
        ({"split": {"by": "block", "block": 1e-30}}, "split.block: found 1e-30"),
        ({"mosaic": {"crs": "EPSG:5773"}}, "a CRS of maps, such as EPSG:3035"),
        ({"mosaic": {"crs": "EPSG:4978", "resolution": 10.0}}, "a CRS of maps, such as EPSG:3035"),
    ],
)
def test_what_no_map_can_mean_is_refused(change, message):
    assert message in refusals(least(**change))[0]
