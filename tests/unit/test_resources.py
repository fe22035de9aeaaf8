"""What rules ask for, from the files that their jobs read."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from unit import tiny
from unit.test_needs import CODES, FULL, SENSORS, SOURCES, read

from parcelle import feature_map, features, files, mapping, needs, reference, resources, samples
from parcelle.errors import StaleError
from parcelle.grid import Grid
from parcelle.models.forest import Forest
from parcelle.models_size import Models
from parcelle.needs import Need, Tile
from parcelle.planning import Plan
from parcelle.reference import Extent
from parcelle.samples import Size


def test_memory_is_asked_for_with_snakemakes_own_and_a_margin():
    assert resources.asked_mb(Need(0, 470, 0)) == 1000
    assert resources.asked_mb(Need(0, 470.1, 0)) == 1001


def test_time_is_four_times_what_is_foretold_and_ten_minutes_at_least():
    assert resources.asked_minutes(Need(3600, 0, 0), 1) == 240
    assert resources.asked_minutes(Need(3601, 0, 0), 4) == 61
    assert resources.asked_minutes(Need(5, 0, 0), 4) == 10


def test_disk_is_asked_for_with_drafts():
    assert resources.asked_disk_mb(Need(0, 0, 100, 300)) == 500


@pytest.fixture
def size(tmp_path):
    """Write the size of a tile; give its path."""
    files.write_json(tmp_path / "T1.size.json", {"pixels": FULL, "sensors": SENSORS})
    return str(tmp_path / "T1.size.json")


@pytest.fixture
def pieces(tmp_path):
    """Write reference of two regions: three squares of 100 m in one, one of 50 m in the other."""
    boxes = [shapely.box(x, 0, x + 100, 100) for x in (0, 200, 400)] + [shapely.box(0, 200, 50, 250)]
    columns = {"polygon": list("abcd"), "code": 1, "region": ["north"] * 3 + ["south"], "x": 0, "y": 0, "field": ""}
    reference.write(gpd.GeoDataFrame(columns, geometry=boxes, crs="EPSG:32631"), str(tmp_path / "T1.parquet"), 100)
    return str(tmp_path / "T1.parquet")


def test_reference_says_how_much_there_is_of_each_region(pieces):
    assert reference.extents(pieces) == {"north": Extent(3, 300), "south": Extent(1, 25)}
    assert reference.extent(reference.extents(pieces).values()) == Extent(4, 325)


def test_a_table_of_another_kind_is_no_reference(tmp_path):
    pd.DataFrame({"polygon": ["a"]}).to_parquet(tmp_path / "T1.parquet")
    with pytest.raises(StaleError, match=r"T1\.parquet is no reference of a tile.*--forcerun plan"):
        reference.extents(str(tmp_path / "T1.parquet"))


def test_plan_asks_for_what_the_files_of_polygons_need(tmp_path, pieces):
    (tmp_path / "regions.gpkg").write_bytes(bytes(3 * 2**20))
    given = {"path": str(tmp_path / "regions.gpkg"), "field": "region"}
    found = resources.plan(read(reference={"path": pieces, "field": "code"}, regions=given))
    assert found == needs.plan(3 + files.size_mb([pieces]), 1).need()


def test_inventory_reads_files_only_where_every_block_is_checked(tmp_path):
    folder = tmp_path / "31TCJ/SENTINEL2A_20180106-105640-598_L2A_T31TCJ_C_V2-2"
    folder.mkdir(parents=True)
    (folder / "band.tif").write_bytes(bytes(2 * 2**20))
    sensors = {"s2": {"format": "sentinel2-theia-l2a", "path": str(tmp_path)}}
    assert resources.inventory("31TCJ", 70, read(sensors=sensors)) == needs.inventory(70).need()
    assert resources.inventory("31TCJ", 70, read(sensors=sensors, check="full")) == needs.inventory(70, 2).need()


def test_sample_and_split_ask_by_the_reference(size, pieces):
    found = resources.sample(size, pieces, SOURCES, read(), 2)
    assert found == needs.sample(Tile(FULL, SENSORS), Extent(4, 325), SOURCES, read(), 2).need()
    assert resources.split([pieces, pieces]) == needs.split(8).need()


def test_reference_of_another_kind_asks_for_little_and_the_job_fails_in_its_own_words(tmp_path):
    (tmp_path / "T1.parquet").touch()
    assert resources.split([str(tmp_path / "T1.parquet")]) == needs.split(0).need()


@pytest.fixture
def tables(tmp_path):
    """Write tables of so many samples of two regions, of four features, one per tile; give their paths."""

    def write(*rows, dtype="int16"):
        for i, (north, south) in enumerate(rows):
            keys = {name: np.zeros(north + south, "int32") for name in samples.KEYS}
            values = {f"f{j}": np.zeros(north + south, dtype) for j in range(4)}
            table = pd.DataFrame(keys | {"region": ["north"] * north + ["south"] * south} | values)
            samples.write(table, str(tmp_path / f"{dtype}{i}.parquet"))
        return [str(tmp_path / f"{dtype}{i}.parquet") for i in range(len(rows))]

    return write


def test_train_asks_by_the_samples_of_its_region(tables):
    paths = tables((7000, 10), (0, 0), (5000, 90))
    for region, seed, rows in (("north", "0", 12000), ("south", "all", 100), ("west", "0", 0)):
        found = resources.train(paths, region, seed, read(), CODES, 2)
        assert found == needs.train(Size(rows, 4, 2), 3, read(), seed, 2).need()
    floats = tables((7000, 0), dtype="float32")
    expected = needs.train(Size(7000, 4, 4), 3, read(), "all", 8).need()
    assert resources.train(floats, "north", "all", read(), CODES, 8) == expected


def test_train_waits_for_the_size_of_tables_that_are_still_to_be_made(tables):
    with pytest.raises(FileNotFoundError) as error:
        resources.train([*tables((10, 0)), "results/samples/T9.parquet"], "north", "0", read(), CODES, 2)
    assert error.value.filename == "results/samples/T9.parquet"


def test_train_with_a_table_of_another_kind_asks_for_little_and_fails_in_its_own_words(tmp_path):
    pd.DataFrame({"polygon": ["a"]}).to_parquet(tmp_path / "T1.parquet")
    found = resources.train([str(tmp_path / "T1.parquet")], "north", "0", read(), CODES, 2)
    assert found == needs.train(Size(0, 0, 0), 3, read(), "0", 2).need()


@pytest.fixture
def trained(tmp_path):
    """Train a forest; give the path of its `model.json`, its memory and the nodes of a tree."""
    random = np.random.default_rng(1)
    values = random.normal(size=(500, 4)).astype(np.float32)
    forest = Forest(trees=10).fit(values, random.integers(0, 3, 500), seed=1, threads=1)
    forest.save(tmp_path)
    (tmp_path / "model.json").touch()
    trees = forest._known()
    arrays = {"classes": forest.classes, **{name: np.asarray(a) for name, a in trees.to_arrays().items()}}
    size = sum(array.nbytes for array in arrays.values()) + trees._nodes.nbytes + trees._limits.nbytes
    return str(tmp_path / "model.json"), size / 2**20, len(trees.left) / 10


def test_classify_asks_by_the_models_that_are_there(size, trained):
    path, memory, nodes = trained
    given = read(model={"trees": 10}, map={"model": [0, 1]})
    found = resources.classify(size, [path, path], SOURCES, given, CODES, 4)
    models = Models(2 * memory, 2 * 10 * np.log2(nodes))
    expected = needs.classify(Tile(FULL, SENSORS), models, SOURCES, given, CODES, 4).need()
    # Beside each array, its file has 128 bytes.
    assert found.memory_mb == pytest.approx(expected.memory_mb, abs=0.01)
    assert found.core_seconds == pytest.approx(expected.core_seconds)


def test_classify_waits_for_its_models(size):
    with pytest.raises(FileNotFoundError) as error:
        resources.classify(size, ["results/model/north/all/model.json"], SOURCES, read(), CODES, 4)
    assert error.value.filename == "results/model/north/all/model.json"


def test_frozen_models_are_those_of_the_tiles_regions(tmp_path):
    given = read(results=str(tmp_path), map={"freeze": True, "model": [1]}, seeds=2)
    Plan({"31TCJ": ["north", "south"]}, {"31TCJ": []}, {"31TCJ": tiny.GRID}).write(str(tmp_path / "plan.json"))
    (tmp_path / "31TCJ.parquet").touch()
    for folder in ("north/0", "north/1", "west/1"):
        (tmp_path / "model" / folder).mkdir(parents=True)
        (tmp_path / "model" / folder / "model.json").touch()
    found = resources.frozen_models("31TCJ", str(tmp_path / "31TCJ.parquet"), given)
    assert found == [f"{tmp_path}/model/north/1/model.json"]
    with pytest.raises(FileNotFoundError) as error:
        resources.frozen_models("31TCJ", "results/areas/31TCJ.parquet", given)
    assert error.value.filename == "results/areas/31TCJ.parquet"


def test_a_features_map_asks_by_what_it_writes(size):
    chosen = [name for name in features.names(SOURCES) if name.startswith("s2.")][:5]
    found = resources.feature_map(size, SOURCES, chosen, read(), 2)
    assert found == needs.feature_map(Tile(FULL, SENSORS), SOURCES, chosen, read(), 2).need()
    used = feature_map.needed(SOURCES, chosen)
    assert needs.feature_map(Tile(FULL, SENSORS), SOURCES, chosen, read(), 2).time["features"] == FULL * len(
        features.names(used)
    )


def test_mosaic_asks_by_the_plan(tmp_path):
    grids = {"a": Grid("EPSG:32631", 0, 0, 10, 100, 200), "b": Grid("EPSG:32632", 0, 0, 10, 100, 100)}
    Plan({"a": ["r"], "b": ["r"]}, {"a": ["r"], "b": []}, grids).write(str(tmp_path / "plan.json"))
    (tmp_path / "class.tif").touch()
    same = read(results=str(tmp_path), mosaic={"crs": "EPSG:32631"})
    found = resources.mosaic([str(tmp_path / "class.tif")], "class", same, CODES, 2)
    assert found == needs.mosaic_of("class", 30_000, same, CODES, 2, warped=True).need()
    coarse = read(results=str(tmp_path), mosaic={"crs": "EPSG:3035", "resolution": 20})
    found = resources.mosaic([str(tmp_path / "class.tif")], "class", coarse, CODES, 2)
    assert found == needs.mosaic_of("class", 7_500, coarse, CODES, 2, warped=True).need()
    with pytest.raises(FileNotFoundError) as error:
        resources.mosaic(["results/map/c/class.tif"], "class", same, CODES, 2)
    assert error.value.filename == "results/map/c/class.tif"
    # A plan that was refused is gone, though maps are there: Snakemake waits for what the job reads, and for no others.
    (tmp_path / "plan.json").unlink()
    with pytest.raises(FileNotFoundError) as error:
        resources.mosaic([str(tmp_path / "class.tif")], "class", same, CODES, 2)
    assert error.value.filename == str(tmp_path / "class.tif")


def test_pixels_of_a_mosaic_in_degrees():
    plan = Plan({"a": ["r"]}, {"a": ["r"]}, {"a": Grid("EPSG:32631", 0, 0, 10, 100, 100)})
    # A pixel of 0.001° has a side of 111.32 m where both directions are alike.
    assert plan.mosaic_pixels(0.001) == pytest.approx(10**6 / 111.32**2)
    assert plan.mosaic_pixels(None) == 10_000
    assert (plan.warped(None), plan.warped("EPSG:32631"), plan.warped("EPSG:4326")) == (False, False, True)


def test_assess_asks_by_the_predictions(tmp_path):
    paths = [str(tmp_path / f"{i}.parquet") for i in range(3)]
    for path, rows in zip(paths, (100, 20, 3), strict=True):
        pd.DataFrame({"predicted": range(rows)}).to_parquet(path)
    assert resources.assess(paths, CODES, 7) == needs.assess(123, 3, 3, 7).need()


def test_report_and_provenance_ask_by_the_acquisitions(tmp_path):
    (tmp_path / "T1.json").write_text(json.dumps("x" * 2**20))
    paths, given = [str(tmp_path / "T1.json")], read(results=str(tmp_path))
    Plan({"a": ["r"]}, {"a": ["r"]}, {"a": tiny.GRID}).write(str(tmp_path / "plan.json"))
    listed = files.size_mb(paths)
    assert listed == pytest.approx(1, abs=1e-5)
    assert resources.report(paths, paths, given) == needs.report(1, listed, 50 * 70).need()
    assert resources.provenance(paths, 12) == needs.provenance(1, listed, 12).need()
    for ask in (lambda p: resources.report(p, [], given), lambda p: resources.provenance(p, 12)):
        with pytest.raises(FileNotFoundError) as error:
            ask([*paths, "results/acquisitions/T2.json"])
        assert error.value.filename == "results/acquisitions/T2.json"


def test_a_year_of_sentinel_2_is_mapped_within_3_gib_on_two_cores():
    """What the whole is measured by: 70 dates, 4 bands of 10 m and 6 of 20 m, 468 features, 21 classes."""
    bands = tuple(f"b{i}" for i in range(10))
    dates = tuple(f"2018-01-{i + 1:02}" for i in range(31)) + tuple(f"2018-02-{i + 1:02}" for i in range(5))
    recipe = features.Recipe("s2", True, bands, True, "bilinear", tuple((f"i{i}", "b1", 1) for i in range(3)), dates)
    numbers = {"dates": 70, "acquisitions": 70, "bands": 10, "files": 840, "density": 4 + 6 / 4}
    products = mapping.Options(tuple(range(21)), ("class", "confidence", "validity"), 1)
    assert len(recipe.names) == 468
    assert mapping.memory_mb({"s2": numbers}, [recipe], products, 1024, 2, 40) < 3 * 1024
