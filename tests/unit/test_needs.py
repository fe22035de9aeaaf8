"""What jobs need, with constants that are easy to reckon with."""

import collections
import dataclasses
import datetime
import json

import country
import numpy as np
import pytest
import yaml
from unit import tiny

from parcelle import files, mapping, models_size, mosaic, needs, settings, training
from parcelle.errors import StaleError
from parcelle.mapping import Options
from parcelle.models_size import Models
from parcelle.needs import Need, Tile
from parcelle.reference import Extent
from parcelle.samples import Size

SETTINGS = """
tiles: [31TCJ]
sensors:
  s2: {format: sentinel2-theia-l2a, path: /data}
period: {start: 2018-01-01, end: 2018-12-31}
reference: {path: reference.gpkg, field: code}
nomenclature: classes.csv
"""
SOURCES = tiny.recipes(radar=True)
SENSORS = {
    "s2": {"dates": 68, "acquisitions": 70, "bands": 3, "files": 280, "density": 2.25},
    "s1": {"dates": 60, "acquisitions": 60, "bands": 1, "files": 60, "density": 1},
}
FIGURES = country.ROOT / "benchmarks/figures.json"
FULL = 10980 * 10980
TILE = Tile(FULL, SENSORS)
CODES = (12, 3, 5)
MIB = 2**20


def read(**changes):
    return settings.read(yaml.safe_load(SETTINGS) | changes)


@pytest.fixture
def each(monkeypatch):
    """Say what one of an amount takes of a rule; of all others, nothing."""

    def say(rule, **kinds):
        made = {kind: collections.defaultdict(dict) for kind in ("seconds", "memory_mb", "disk_mb")}
        for kind, amounts in kinds.items():
            made[kind][rule] = amounts
        monkeypatch.setattr(needs, "constants", lambda: made)

    return say


def test_a_need_adds_up_amounts_by_their_constants(each):
    work = needs.Work("split", {"polygons": 100}, {"polygons": 100}, {"polygons": 100}, 7, 11, 2)
    each("split", seconds={"job": 3, "polygons": 0.5}, memory_mb={"job": 150}, disk_mb={"polygons": 0.25, "other": 9})
    assert work.need() == Need(3 + 50, 150 + 7, 25, 11 + 2 * 25)


def test_constants_know_every_rule():
    rules = {"plan", "inventory", "sample", "split", "train", "classify", "feature_map", "mosaic", "assess", "report"}
    for kind in ("seconds", "memory_mb", "disk_mb"):
        assert set(needs.constants()[kind]) == rules | {"provenance"}


def test_the_plan_follows_the_files_of_polygons_and_the_tiles(each):
    each("plan", seconds={"job": 1, "vectors": 2, "tiles": 3}, memory_mb={"job": 300, "vectors": 8})
    assert needs.plan(500, 1000).need() == Need(1 + 1000 + 3000, 300 + 4000, 0)


def test_an_inventory_follows_products_and_what_it_reads(each):
    each("inventory", seconds={"job": 1, "products": 0.1, "images": 0.02}, disk_mb={"products": 0.01})
    assert needs.inventory(70).need() == Need(pytest.approx(8), 0, pytest.approx(0.7))
    assert needs.inventory(70, 40_000).need().core_seconds == pytest.approx(808)


def test_samples_are_the_pixels_of_polygons_up_to_what_one_may_give():
    extent = Extent(10, 900.5)
    assert needs.rows(extent, read()) == 900.5
    assert needs.rows(extent, read(sampling={"per_polygon_max": 20})) == 200
    assert needs.rows(extent, read(sampling={"per_polygon_max": 100})) == 900.5


def test_sampling_reads_the_blocks_that_hold_polygons(each):
    each("sample", seconds={"values": 1})
    every = FULL * (2.25 * 70 + 60)
    # As many polygons as blocks of 512 × 512: one block in e is empty.
    some = needs.sample(TILE, Extent(round(FULL / 512**2), 0), SOURCES, read(), 2).need()
    assert some.core_seconds == pytest.approx(every * (1 - np.exp(-1)), rel=1e-3)
    many = needs.sample(TILE, Extent(10**6, 0), SOURCES, read(), 2).need()
    assert many.core_seconds == pytest.approx(every)


def test_sampling_holds_windows_and_the_table(each):
    each("sample", memory_mb={"job": 400, "table": 3}, disk_mb={"table": 0.5})
    table = 50_000 * 14 * 4 / MIB
    windows = mapping.memory_mb(SENSORS, SOURCES, Options((1,), (), 1), 1024, 2, 0) - mapping.BASE_MB
    found = needs.sample(TILE, Extent(100, 50_000), SOURCES, read(), 2).need()
    assert found.memory_mb == pytest.approx(400 + windows + 3 * table)
    assert found.disk_mb == pytest.approx(table / 2)


def test_jpeg_2000_takes_longer_where_it_is_decoded(each):
    slow = Tile(FULL, {"s2": SENSORS["s2"] | {"jpeg2000": 0.5}, "s1": SENSORS["s1"]})
    values = FULL * 2.25 * 70 / 2
    cached = read(cache="scratch", scratch="/scratch")
    for rule in ("sample", "classify"):
        each(rule, seconds={"jpeg2000": 1})
        make = {
            "sample": lambda given: needs.sample(slow, Extent(10**6, 0), SOURCES, given, 2),
            "classify": lambda given: needs.classify(slow, Models(0, 0), SOURCES, given, CODES, 2),
        }[rule]
        assert make(read()).need().core_seconds == pytest.approx(values)
        # What sampling decoded and kept, mapping need not decode.
        assert make(cached).need().core_seconds == pytest.approx(values if rule == "sample" else 0)
    each("sample", seconds={"jpeg2000": 1})
    assert needs.sample(slow, Extent(0, 0), SOURCES, cached, 2).need().core_seconds == pytest.approx(values)


def test_training_follows_trees_samples_and_features(each):
    size = Size(8192, 100, 2)
    each("train", seconds={"grown": 1})
    assert needs.train(size, 3, read(), "all", 2).need().core_seconds == pytest.approx(100 * 8192 * 13 * 10)
    assert needs.train(size, 3, read(), "0", 2).need().core_seconds == pytest.approx(100 * 4096 * 12 * 10)
    few = read(model={"trees": 7, "features": 3}, sampling={"per_class": 100}, split={"ratio": 0.25})
    assert needs.train(size, 4, few, "0", 2).need().core_seconds == pytest.approx(7 * 400 * np.log2(400) * 3)
    each("train", seconds={"walked": 1})
    assert needs.train(size, 3, read(), "all", 2).need().core_seconds == 0
    assert needs.train(size, 3, read(), "0", 2).need().core_seconds == pytest.approx(100 * 4096 * 12)


@pytest.mark.parametrize("seed", ["0", "all"])
def test_training_has_the_memory_of_its_formula(seed, each):
    each("train", memory_mb={"job": 470})
    size, learnt = Size(8000, 100, 2), {"0": 4000, "all": 8000}[seed]
    model = {"name": "forest", "trees": 100, "min_samples": 5}
    formula = training.memory_mb(size, learnt, 3, model, 2) - training.BASE_MB
    assert needs.train(size, 3, read(), seed, 2).need().memory_mb == pytest.approx(470 + formula)


def test_a_class_of_ones_own_has_the_memory_of_the_settings(each):
    each("train", memory_mb={"job": 470})
    own = read(model={"name": "networks.py:Network", "memory_mb": 3000})
    size = Size(8000, 100, 2)
    table = (8000 * (100 * (2 + 4) + training.SAMPLE_BYTES) + 8000 * 2 * training.THREAD_BYTES) / MIB
    assert needs.train(size, 3, own, "all", 2).need().memory_mb == pytest.approx(470 + table + 3000)
    assert models_size.models([8000, 10], 3, own).memory_mb == 6000


def test_models_of_a_tile_are_those_of_its_regions_and_seeds():
    nodes = {n: 100 * n * models_size.NODES["forest"] / 5**0.5 for n in (1000, 4000)}
    expected = sum(nodes.values()) * (40 + 0.8 * 3) / MIB
    found = models_size.models([1000, 4000], 3, read())
    assert found == Models(pytest.approx(expected), pytest.approx(100 * np.log2(4000)))
    three = models_size.models([1000, 4000], 3, read(map={"model": [0, 1, 2]}))
    assert three == Models(pytest.approx(3 * expected), pytest.approx(300 * np.log2(4000)))
    # A tree of depth 3 has 15 nodes at most.
    assert models_size.nodes(4000, read(model={"depth": 3})) == pytest.approx(100 * 16)


def test_mapping_follows_values_features_and_the_nodes_that_pixels_visit(each):
    def seconds(share=1.0, **amounts):
        each("classify", seconds=amounts)
        return needs.classify(TILE, Models(0, 1300), SOURCES, read(), CODES, 2, share).need().core_seconds

    assert seconds(values=1) == pytest.approx(FULL * (2.25 * 70 + 60))
    assert seconds(features=1) == pytest.approx(FULL * 14)
    assert seconds(visits=1) == pytest.approx(FULL * 1300)
    assert seconds(0.25, visits=1) == pytest.approx(FULL * 1300 / 4)
    assert seconds(files=1) == 340


def test_a_tile_of_real_size_takes_what_was_measured_of_one():
    """`make bench-strip`: 70 dates of ten bands, 36 regular dates with three indices, 100 trees of 7,028 nodes."""
    bands = tuple(f"b{i}" for i in range(10))
    indices = tuple((f"i{i}", "b0", 0) for i in range(3))
    dates = [str(datetime.date(2018, 1, 1) + datetime.timedelta(day)) for day in range(0, 360, 10)]
    source = dataclasses.replace(tiny.recipes()[0], bands=bands, indices=indices, dates=dates)
    # Four bands of 10 m, six of 20 m; three masks.
    tile = Tile(FULL, {"s2": {"dates": 70, "acquisitions": 70, "bands": 10, "files": 910, "density": 5.5}})
    work = needs.classify(tile, Models(60, 100 * np.log2(7028)), [source], read(), range(1, 22), 1)
    stage = json.loads(FIGURES.read_text())["strip of 10,980 × 1,024, extrapolated to a tile"]
    (hours,) = [f["measured"] for f in stage["figures"] if (f["name"], f["threads"]) == ("tiled deflate", 1)]
    assert 1 / 1.5 < work.need().core_seconds / 3600 / hours < 1.5


@pytest.mark.parametrize("products", [("class", "confidence", "validity"), ("class", "probability")])
@pytest.mark.parametrize("window", [128, 1024])
def test_mapping_has_the_memory_of_its_formula(window, products, each):
    each("classify", memory_mb={"job": 350})
    given = read(window={"size": window}, map={"products": list(products)})
    formula = mapping.memory_mb(SENSORS, SOURCES, Options(CODES, products, 1), window, 4, 33) - mapping.BASE_MB
    assert needs.classify(TILE, Models(33, 0), SOURCES, given, CODES, 4).need().memory_mb == pytest.approx(
        350 + formula
    )


def test_files_of_a_small_tile_take_less(each):
    """Of 256 × 256 pixels, a quarter of a block; there is one window, no larger than the tile."""
    each("classify", memory_mb={})
    formula = (
        mapping.memory_mb(SENSORS, SOURCES, Options(CODES, ("class",), 1), 257, 1, 0, held=65536 / 257**2)
        - mapping.BASE_MB
    )
    given = read(map={"products": ["class"]})
    found = needs.classify(Tile(256 * 256, SENSORS), Models(0, 0), SOURCES, given, CODES, 1).need()
    # Of three bands, one has pixels of 20 m: 2.25 values on average are 0.75 a band.
    less = mapping.FILE_MB * (280 * (1 - 0.75 / 4) + 60 * (1 - 1 / 4))
    assert found.memory_mb == pytest.approx(formula - less)


def test_maps_lie_beside_drafts_that_are_not_compressed(each):
    each("classify", disk_mb={"class": 0.1, "probability": 0.5})
    given = read(map={"products": ["class", "probability"]})
    found = needs.classify(TILE, Models(0, 0), SOURCES, given, CODES, 2, 0.5).need()
    assert found.disk_mb == pytest.approx(0.5 * FULL * (0.1 + 0.5 * 6) / MIB)
    assert found.drafts_mb == pytest.approx(FULL * 7 / MIB)


def test_a_mosaic_is_never_larger_in_memory_than_its_bound(each):
    each("mosaic", memory_mb={"job": 150}, disk_mb={"class": 0.2}, seconds={"pixels": 1, "warped": 10})
    large = needs.mosaic_of("class", 1e10, read(), CODES, 2).need()
    assert large.memory_mb == pytest.approx(mosaic.memory(1, 1, 2) / MIB)
    assert large.core_seconds == 1e10
    assert (large.disk_mb, large.drafts_mb) == (pytest.approx(0.2e10 / MIB), pytest.approx(0.4e10 / MIB))
    small = needs.mosaic_of("class", 3600, read(), CODES, 2, warped=True).need()
    assert small.core_seconds == 11 * 3600
    # 3,600 pixels are all that is worked on, with their positions and values; one window waits, and the cache is small.
    expected = 150 * MIB + 3600 / 61**2 * (96 * 61**2 + 3 * 61**2 + 3600) + 7200 + 61**2
    assert small.memory_mb * MIB == pytest.approx(expected, abs=2)


@pytest.fixture
def size(tmp_path):
    """Write the size of a tile; give its path."""

    def write(content):
        files.write_json(tmp_path / "T1.size.json", content)
        return tmp_path / "T1.size.json"

    return write


def test_the_size_of_a_tile_is_read(size):
    assert Tile.read(size({"pixels": FULL, "sensors": SENSORS})) == TILE


def test_a_size_that_is_still_to_be_made_is_named(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        Tile.read(tmp_path / "T9.size.json")
    assert error.value.filename == str(tmp_path / "T9.size.json")


OLD = {"s2": {name: value for name, value in SENSORS["s2"].items() if name != "density"}}


@pytest.mark.parametrize("content", [{"pixels": 9, "sensors": OLD}, {"sensors": SENSORS}, {"pixels": 9}, [1]])
def test_a_size_of_another_version_is_refused(content, size):
    with pytest.raises(StaleError, match=r"T1\.size\.json does not say how large the tile is.*--forcerun .*size\.json"):
        Tile.read(size(content))


def test_a_sensor_that_the_inventory_does_not_know_is_named():
    with pytest.raises(StaleError, match=r"no sensor 's1', which the settings name.*--forcerun inventory"):
        needs.classify(Tile(9, {"s2": SENSORS["s2"]}), Models(0, 0), SOURCES, read(), CODES, 1)
