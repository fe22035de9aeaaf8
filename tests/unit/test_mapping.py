"""A tile with two sensors, two regions, a strip outside both, and a part that an earlier tile covers."""

import itertools
import logging
from collections import Counter
from dataclasses import dataclass, replace

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from unit import tiny

from parcelle import cube, features, mapping, reference, samples, sampling, splitting, training
from parcelle.areas import Areas
from parcelle.errors import InputError
from parcelle.images import Images
from parcelle.mapping import Options
from parcelle.training import Model

GRID = tiny.GRID
RECIPES = tiny.recipes(radar=True, additional=["b4*b8/(b11+1)"])
CODES = (12, 3, 5)
PRODUCTS = ("class", "confidence", "validity", "probability")
ALL = Options(CODES, PRODUCTS, 2)
FOREST = {"name": "forest", "trees": 10, "depth": 6, "min_samples": 2, "features": "sqrt"}
TAGS = {"PARCELLE_VERSION": "1.2.3", "PARCELLE_SETTINGS": "0123456789abcdef"}
# A slanted border; the last 40 m are in no region; the first 150 m belong to an earlier tile.
EAST = shapely.Polygon([(500_290, 5_000_000), (500_660, 5_000_000), (500_660, 4_999_500), (500_417, 4_999_500)])
WEST = shapely.box(500_000, 4_999_500, 500_660, 5_000_000) - EAST
AREAS = Areas({"east": EAST, "west": WEST}, shapely.box(500_150, 4_999_500, 500_700, 5_000_000))


@dataclass(frozen=True)
class World:
    scene: tiny.Scene
    recipes: list
    models: dict
    predictions: dict


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two sensors and an expression, whose features are floats."""
    return made(tmp_path_factory.mktemp("floats"), RECIPES, radar=True, block=16)


@pytest.fixture(scope="module")
def integers(tmp_path_factory):
    """The optical sensor alone, whose features are integers."""
    return made(tmp_path_factory.mktemp("integers"), tiny.recipes(), block=16)


@pytest.fixture(params=["integers", "world"])
def either(request):
    return request.getfixturevalue(request.param)


def made(folder, recipes, **options):
    """Models of each region and seed, trained as the workflow does it."""
    scene, names = tiny.scene(folder, **options), features.names(recipes)
    regions = gpd.GeoDataFrame({"name": ["east", "west"]}, geometry=[EAST, WEST], crs=GRID.crs)
    pieces = reference.pieces(tiny.squares(scene.truth), GRID, AREAS.own, regions)
    table = sampling.sample(scene.inventory, pieces, recipes, sampling.Options(2, None, 32, 1))
    samples.write(table, str(folder / "T1.parquet"))
    reference.write(pieces, str(folder / "reference/T1.parquet"), 100)
    models, predictions = {}, {}
    for region, seed in itertools.product(AREAS.regions, (0, 1)):
        polygons = splitting.polygons([str(folder / "reference/T1.parquet")], region)
        split = splitting.split(polygons, splitting.Options("polygon", None, 0.5), region, seed)
        learnt = samples.read([str(folder / "T1.parquet")], region)
        model, predicted = training.train(learnt, split, region, str(seed), FOREST, None, 1)
        path = str(folder / f"model/{region}/{seed}/model.json")
        training.save(model, path)
        models[region, seed] = training.load(path, names)
        predictions[region, seed] = predicted
    return World(scene, recipes, models, predictions)


def mapped(world, folder, seeds=(0,), options=ALL, window=64, threads=1, models=None, areas=AREAS):
    """Map the tile; give the products, the counts and the clear pixels."""
    models = models or {region: [world.models[region, s] for s in seeds] for region in areas.regions}
    outputs = {p: str(folder / f"{p}.tif") for p in options.products}
    counts, clear = mapping.map_tile(
        world.scene.inventory, areas, models, world.recipes, outputs, options, window=window, threads=threads, tags=TAGS
    )
    return {p: values(path) for p, path in outputs.items()}, counts, clear


def values(path):
    with rasterio.open(path) as image:
        return image.read() if image.count > 1 else image.read(1)


def expected_probabilities(world, seeds):
    """Of each pixel and ascending code, 0 where there is nothing to map: the models asked about the whole tile."""
    data = cube.read(world.scene.inventory, world.recipes, GRID.whole, 2)
    everything = data.features().reshape(GRID.height * GRID.width, -1)
    result = np.zeros((GRID.height, GRID.width, 3))
    region = AREAS.region_of(GRID, GRID.whole)
    for place, name in enumerate(AREAS.regions):
        mean = np.mean([world.models[name, s].classifier.probabilities(everything) for s in seeds], axis=0)
        here = (region == place) & data.enough
        result[here] = mean.reshape(result.shape)[here]
    return result


@pytest.mark.parametrize("seed", [0, 1])
def test_the_map_at_a_sample_is_the_seeds_prediction(seed, either, tmp_path):
    products, _, _ = mapped(either, tmp_path, [seed], window=16)
    for region in AREAS.regions:
        predicted = either.predictions[region, seed]
        assert len(predicted) > 100 and (predicted.predicted != predicted.reference).any()
        assert np.array_equal(products["class"][predicted.row, predicted.column], predicted.predicted)


@pytest.mark.parametrize("seeds", [(0,), (1,), (0, 1)])
def test_each_pixel_is_mapped_by_its_regions_models(seeds, either, tmp_path):
    products, _, _ = mapped(either, tmp_path, seeds)
    probabilities = expected_probabilities(either, seeds)
    data = probabilities.sum(axis=2) > 0
    assert np.array_equal(products["class"], np.where(data, np.sort(CODES)[probabilities.argmax(axis=2)], 0))
    assert np.array_equal(products["confidence"], np.rint(probabilities.max(axis=2) * 100))
    in_order = probabilities[:, :, [sorted(CODES).index(c) for c in CODES]]
    assert np.array_equal(products["probability"], np.moveaxis(np.rint(in_order * 1000), 2, 0))
    right = products["class"][data] == either.scene.truth[data]
    # The classes are further apart for the radar.
    assert right.mean() > (0.9 if "s1" in either.scene.valid else 0.85)


def test_no_data_is_where_a_sensor_lacks_dates_or_no_region_is(world, tmp_path):
    products, _, _ = mapped(world, tmp_path)
    counts = world.scene.counts
    outside = AREAS.region_of(GRID, GRID.whole) < 0
    data = (counts["s2"] >= 2) & (counts["s1"] >= 2) & ~outside
    # Each reason alone is there: too few optical dates, no radar, no region.
    assert (counts["s2"][4:, :60] < 2).any() and (counts["s2"][:4, :60] >= 2).any() and outside[:, 66:].all()
    for product, pixels in products.items():
        if product == "probability":
            assert np.array_equal((pixels > 0).any(axis=0), data)
        else:
            assert np.array_equal(pixels > 0, data)
    assert np.array_equal(products["validity"], np.where(data, counts["s2"], 0))


def test_probabilities_add_up_to_a_thousand(world, tmp_path):
    products, _, _ = mapped(world, tmp_path, (0, 1))
    total = products["probability"].astype(int).sum(axis=0)
    data = products["class"] > 0
    assert (total[~data] == 0).all() and (abs(total[data] - 1000) <= 1).all()
    first = products["probability"].argmax(axis=0)
    largest = products["probability"].max(axis=0)
    alone = data & ((products["probability"] == largest).sum(axis=0) == 1)
    assert np.array_equal(np.asarray(CODES)[first][alone], products["class"][alone])


def test_files_have_their_types_nodata_grid_and_tags(world, tmp_path):
    mapped(world, tmp_path)
    types = {"class": "uint8", "confidence": "uint8", "validity": "uint16", "probability": "uint16"}
    for product, dtype in types.items():
        with rasterio.open(tmp_path / f"{product}.tif") as image:
            assert set(image.dtypes) == {dtype} and set(image.nodatavals) == {0}
            assert image.count == (3 if product == "probability" else 1)
            assert (image.crs.to_string(), image.transform, image.shape) == (GRID.crs, GRID.transform, (50, 70))
            assert {k: image.tags()[k] for k in TAGS} == TAGS
            assert (image.compression.name, image.block_shapes[0]) == ("deflate", (512, 512))
            assert image.colorinterp[0].name != "palette"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        f"{product}.tif{end}" for product in types for end in ("", ".sha256")
    )


def test_counts_add_up(world, tmp_path):
    products, counts, clear = mapped(world, tmp_path)
    own = AREAS.own_pixels(GRID, GRID.whole)
    names = np.array(["east", "west", ""])[AREAS.region_of(GRID, GRID.whole)]
    expected = Counter(
        zip(names.ravel().tolist(), products["class"].ravel().tolist(), own.ravel().tolist(), strict=True)
    )
    assert counts == expected
    assert counts.total() == GRID.height * GRID.width
    assert sum(n for (_, _, mine), n in counts.items() if mine) == own.sum() == 50 * 55
    assert {c for region, c, _ in counts if region == ""} == {0}
    inside = AREAS.region_of(GRID, GRID.whole) >= 0
    assert {name: c.tolist() for name, c in clear.items()} == {
        name: valid[:, inside].sum(axis=1).tolist() for name, valid in world.scene.valid.items()
    }


def written(world, folder, **options):
    """All bytes that follow from a tile, by file."""
    _, counts, clear = mapped(world, folder, (0, 1), **options)
    mapping.write_counts(counts, GRID.pixel_area, str(folder / "counts.csv"))
    mapping.write_clear(world.scene.inventory, clear, counts, folder / "clear.csv")
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_bytes_depend_on_neither_windows_nor_threads(threads, either, tmp_path):
    whole = written(either, tmp_path / "whole", window=512)
    assert len(whole) == 2 * (len(PRODUCTS) + 2)
    for window in (16, 20, 37, 64, 512):
        files = written(either, tmp_path / str(window), window=window, threads=threads)
        assert [name for name in files if files[name] != whole[name]] == []


@pytest.mark.parametrize(("rows", "chunk"), [(1, 7), (3, 31), (100, 70)])
def test_the_bytes_depend_on_no_pixel_that_is_mapped_beside(rows, chunk, either, tmp_path, monkeypatch):
    whole = written(either, tmp_path / "whole")
    monkeypatch.setattr(mapping, "ROWS", rows)
    monkeypatch.setattr(mapping, "CHUNK", chunk)
    assert written(either, tmp_path / "map", window=37, threads=2) == whole


def test_the_bytes_do_not_depend_on_the_blocks_of_the_files(world, tmp_path):
    strips = replace(world, scene=tiny.scene(tmp_path / "images", radar=True))
    files = written(strips, tmp_path / "strips", window=20, threads=2)
    assert files == written(world, tmp_path / "blocks", window=20)


class Counting(Images):
    """Images that remember which blocks of 16 × 16 pixels were read of each."""

    def __init__(self):
        super().__init__()
        Counting.last, self.seen = self, Counter()

    def read(self, path, bands, window, out=None):
        for row in range(window.row_off // 16, -(-(window.row_off + window.height) // 16)):
            self.seen.update((path, row, column) for column in range(window.col_off // 16, -(-_right(window) // 16)))
        return super().read(path, bands, window, out)


def _right(window):
    return window.col_off + window.width


def every_block(world):
    """All blocks of all files."""
    blocks = set()
    for acquisition in world.scene.inventory.acquisitions:
        for path in {a.path for a in (*acquisition.assets.values(), *acquisition.masks)}:
            with rasterio.open(path) as image:
                blocks |= {(path, *index) for index, _ in image.block_windows(1)}
    return blocks


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("window", [64, 512])
def test_each_block_is_decoded_once_whatever_is_made_of_it(window, threads, world, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(mapping, "Images", Counting)
    one = Areas({"west": shapely.union(EAST, WEST)}, AREAS.own)
    options = {"window": window, "threads": threads}
    with caplog.at_level(logging.INFO):
        mapped(world, tmp_path, (0,), Options(CODES, ("class",), 2), areas=one, **options)
    least = Counting.last
    assert least.seen == dict.fromkeys(every_block(world), 1)
    # 4 × 5 blocks of 10 m: 6 dates of two bands, which share their blocks, and a mask; 3 of radar. 2 × 3 of 20 m.
    assert least.blocks == 20 * (6 * 2 + 3) + 6 * 6
    size = 256 * (20 * (6 * (2 * 2 + 1) + 3 * 4) + 6 * 6 * 2)
    assert least.decoded == size and f"{least.blocks} blocks decoded, {size / 2**20:.1f} MiB" in caplog.messages
    for seeds, areas in (((0,), AREAS), ((0, 1), one), ((0, 1), AREAS)):
        mapped(world, tmp_path, seeds, areas=areas, **options)
        assert Counting.last is not least and Counting.last.seen == least.seen


def test_no_block_is_decoded_twice_for_what_windows_leave_to_each_other(world, tmp_path, monkeypatch):
    """At the border that is never seen, some dates are wholly masked in a window and not decoded at all."""
    monkeypatch.setattr(mapping, "Images", Counting)
    mapped(world, tmp_path, window=32)
    assert set(Counting.last.seen.values()) == {1}
    left_out = every_block(world) - set(Counting.last.seen)
    assert left_out and all(column == (2 if path.endswith("_20m.tif") else 4) for path, _, column in left_out)


def test_a_date_is_not_decoded_where_it_is_wholly_masked(integers, tmp_path, monkeypatch):
    scene = tiny.scene(tmp_path / "images", block=16)
    masked = [scene.inventory.acquisitions[i] for i in (1, 4)]
    for acquisition, rows in zip(masked, (GRID.height, 32), strict=True):
        with rasterio.open(acquisition.masks[0].path, "r+") as image:
            image.write(np.where(np.arange(GRID.height)[:, None] < rows, np.uint8(2), image.read(1)), 1)
    monkeypatch.setattr(mapping, "Images", Counting)
    _, _, clear = mapped(replace(integers, scene=scene), tmp_path / "map", window=16)
    assert clear["s2"][1] == 0 and 0 < clear["s2"][4] < 18 * 64
    never, below = ({row for path, row, _ in Counting.last.seen if path == a.assets["b4"].path} for a in masked)
    # Windows below the masked ones may look at their last rows.
    assert never == set() and below - {1} == {2, 3}


def test_only_what_is_asked_is_written(world, tmp_path):
    full, _, _ = mapped(world, tmp_path / "full")
    products, _, _ = mapped(world, tmp_path / "few", options=Options(CODES, ("class", "validity"), 2))
    assert sorted(p.name for p in (tmp_path / "few").glob("*.tif")) == ["class.tif", "validity.tif"]
    assert all(np.array_equal(products[p], full[p]) for p in products)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_window_that_cannot_be_read_leaves_no_file(threads, world, tmp_path, monkeypatch):
    read = Images.read

    def broken(images, path, bands, window, out=None):
        if window.row_off == 32:
            raise InputError("b4.tif cannot be read")
        return read(images, path, bands, window, out)

    monkeypatch.setattr(Images, "read", broken)
    with pytest.raises(InputError, match=r"b4\.tif cannot be read"):
        mapped(world, tmp_path / "map", window=32, threads=threads)
    assert list((tmp_path / "map").iterdir()) == []


def test_an_image_that_is_gone_is_named(tmp_path, world):
    scene = tiny.scene(tmp_path / "images", radar=True)
    gone = tmp_path / "images/S2_20180406.tif"
    gone.unlink()
    with pytest.raises(InputError, match=r"S2_20180406\.tif cannot be read"):
        mapped(replace(world, scene=scene), tmp_path / "map")
    assert not list((tmp_path / "map").glob("*"))


class Fixed:
    """A classifier with one answer for all pixels."""

    def __init__(self, **probabilities):
        self.classes = np.array([int(code[1:]) for code in probabilities])
        self._answer = np.array(list(probabilities.values()), float)

    def probabilities(self, pixels):
        return np.tile(self._answer, (len(pixels), 1))


def fixed(**probabilities):
    return Model(Fixed(**probabilities), {})


def answer(world, folder, options, *models):
    """The products at a pixel that has data, from the same models in both regions."""
    products, _, _ = mapped(world, folder, options=options, models={"east": models, "west": models})
    return {p: v[..., 20, 20].tolist() for p, v in products.items()}


def test_codes_above_255_are_16_bits_wide(world, tmp_path):
    options = Options((300, 5), PRODUCTS, 2)
    found = answer(world, tmp_path, options, fixed(c5=0.25, c300=0.75))
    assert (found["class"], found["confidence"], found["probability"]) == (300, 75, [750, 250])
    with rasterio.open(tmp_path / "class.tif") as image:
        assert image.dtypes == ("uint16",)


def test_of_equal_probabilities_the_lowest_code_is_mapped(world, tmp_path):
    assert answer(world, tmp_path, ALL, fixed(c3=0.2, c5=0.4, c12=0.4))["class"] == 5


def test_a_class_that_a_model_lacks_counts_as_nothing_there(world, tmp_path):
    one = answer(world, tmp_path / "1", ALL, fixed(c3=0.7, c12=0.3))
    assert (one["class"], one["confidence"], one["probability"]) == (3, 70, [300, 700, 0])
    two = answer(world, tmp_path / "2", ALL, fixed(c3=0.7, c12=0.3), fixed(c5=1.0))
    assert (two["class"], two["confidence"], two["probability"]) == (5, 50, [150, 350, 500])


def test_data_is_never_0_however_little_is_known(world, tmp_path):
    codes = tuple(range(1, 301))
    found = answer(
        world, tmp_path, Options(codes, ("class", "confidence"), 2), fixed(**{f"c{c}": 1 / 300 for c in codes})
    )
    assert found == {"class": 1, "confidence": 1}


def test_a_class_that_the_nomenclature_lacks_is_refused(world, tmp_path):
    models = {"east": [fixed(c3=1.0)], "west": [fixed(c3=0.5, c7=0.5)]}
    with pytest.raises(
        InputError, match="the model of region 'west' was trained on class 7, which is not in the nomen"
    ):
        mapped(world, tmp_path / "map", models=models)


class Witness(Fixed):
    """A classifier that keeps what it is asked about."""

    def probabilities(self, pixels):
        self.seen = pixels
        return super().probabilities(pixels)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_models_are_asked_about_the_pixels_of_their_region(dtype):
    planes = np.arange(15).reshape(3, 5).astype(dtype)
    east, west = Witness(c3=0.2, c5=0.8), Witness(c12=1.0)
    made = {p: np.full((3 if p == "probability" else 1, 5), 7) for p in ("class", "confidence", "probability")}
    mapping.predict(planes, np.array([-1, 1, 0, 1, -1]), [[Model(east, {})], [Model(west, {})]], ALL, made)
    assert east.seen.dtype == west.seen.dtype == dtype
    assert [east.seen.tolist(), west.seen.tolist()] == [[[2, 7, 12]], [[1, 6, 11], [3, 8, 13]]]
    assert made["class"].tolist() == [[7, 12, 5, 12, 7]]
    assert made["confidence"].tolist() == [[7, 100, 80, 100, 7]]
    assert made["probability"].tolist() == [[7, 1000, 0, 1000, 7], [7, 0, 200, 0, 7], [7, 0, 800, 0, 7]]


def test_expressions_may_be_undefined_where_there_is_no_data_only(world, tmp_path):
    """The last six columns are never seen, and 0 there."""
    models = {"east": [fixed(c3=1.0)], "west": [fixed(c3=1.0)]}
    defined = replace(world, recipes=tiny.recipes(additional=["log(b4**2+b8**2+b11**2)"]))
    products, _, _ = mapped(defined, tmp_path / "1", models=models)
    data = (world.scene.counts["s2"] >= 2) & (AREAS.region_of(GRID, GRID.whole) >= 0)
    assert np.array_equal(products["class"], np.where(data, 3, 0)) and not data[:, -6:].any()
    undefined = replace(world, recipes=tiny.recipes(additional=["log(b4-20000)"]))
    with pytest.raises(InputError, match=r"s2: 'log\(b4-20000\)' .* is not a finite number at some pixels"):
        mapped(undefined, tmp_path / "2", models=models)
    never = replace(ALL, min_valid=7)
    products, _, _ = mapped(undefined, tmp_path / "3", models=models, options=never)
    assert not products["class"].any()


def test_memory_grows_as_it_is_stated():
    size = {
        "s2": {"dates": 35, "acquisitions": 40, "bands": 3, "files": 120, "density": 2.25},
        "s1": {"dates": 20, "acquisitions": 20, "bands": 1, "files": 20, "density": 1},
    }
    options = Options(CODES, ("class", "confidence"), 1)

    def need(window=1024, threads=1, models=0.0, size=size, options=options):
        return mapping.memory_mb(size, tiny.recipes(radar=True), options, window, threads, models)

    def more(sensor, **numbers):
        return need(size=size | {sensor: size[sensor] | numbers}) - need()

    # Values of 2 and 4 bytes and a flag. Products: 1 + 1, twice. All that of two windows.
    pixel = 2 * (40 * (2.25 * 2 + 1) + 20 * (4 + 1) + 2 * 2)
    # All bands of all acquisitions at 10 m, and of all dates of s2, of which some have several; 14 features, twice, as
    # floats; probabilities of 3 classes, four times.
    row = 1024 * ((40 + 35) * 3 * 2 + 20 * 4 + 2 * 14 * 4 + 4 * 3 * 8)
    assert need() == pytest.approx(mapping.BASE_MB + 140 * 0.6 + (1024**2 * pixel + row) / 2**20)
    assert need(threads=4) - need() == pytest.approx(3 * row / 2**20)
    assert need(models=70) == pytest.approx(need() + 70)
    assert need(256) - need(128) == pytest.approx((256**2 - 128**2) * pixel / 2**20)
    assert more("s2", files=220) == pytest.approx(60)
    assert more("s2", dates=40) == pytest.approx(-1024 * 35 * 3 * 2 / 2**20)
    assert more("s2", density=3) == pytest.approx(1024**2 * 2 * 40 * 0.75 * 2 / 2**20)
    assert more("s1", acquisitions=21, dates=21) == pytest.approx((1024**2 * 2 * 5 + 1024 * 4) / 2**20)
    wide = Options(CODES, PRODUCTS, 1)
    assert need(options=wide) - need() == pytest.approx(1024**2 * 2 * 2 * (2 + 3 * 2) / 2**20)


def test_pixels_by_region_and_class_are_written(tmp_path):
    counts = Counter(
        {("west", 3, True): 7, ("west", 3, False): 2, ("west", 0, False): 1, ("", 0, True): 4, ("east", 12, True): 5}
    )
    mapping.write_counts(counts, 100.0, str(tmp_path / "counts.csv"))
    assert (tmp_path / "counts.csv").read_text().splitlines() == [
        "region,class,pixels,own_pixels,pixel_area",
        ",0,4,4,100",
        "east,12,5,5,100",
        "west,0,1,0,100",
        "west,3,9,7,100",
    ]


def test_clear_shares_are_written_by_sensor_and_date(world, tmp_path):
    """Shares of the pixels in regions: those outside of all are counted in no date."""
    clear = {name: valid.sum(axis=(1, 2)) for name, valid in world.scene.valid.items()}
    counts = Counter({("west", 3, True): 3000, ("east", 0, False): 500, ("", 0, True): 77})
    mapping.write_clear(world.scene.inventory, clear, counts, tmp_path / "clear.csv")
    table = pd.read_csv(tmp_path / "clear.csv")
    assert list(table.columns) == ["sensor", "date", "acquisitions", "clear"]
    assert table.sensor.tolist() == ["s2"] * 6 + ["s1"] * 3
    assert table.date[:2].tolist() == ["2018-03-01", "2018-03-13"] and set(table.acquisitions) == {1}
    shares = np.concatenate([valid.mean(axis=(1, 2)) for valid in world.scene.valid.values()])
    assert table.clear.tolist() == pytest.approx(shares, abs=1e-6)


def test_two_acquisitions_of_a_day_are_one_date(world, tmp_path):
    first, *others = world.scene.inventory.acquisitions
    twice = type(world.scene.inventory)("T1", GRID, (first, first, *others))
    counts = Counter({("west", 3, True): GRID.height * GRID.width})
    mapping.write_clear(twice, {"s1": np.array([3500, 0, 7])}, counts, tmp_path / "clear.csv")
    table = pd.read_csv(tmp_path / "clear.csv")
    assert first.sensor == "s1"
    assert table.acquisitions.tolist() == [2, 1, 1] and table.clear.tolist() == [1, 0, 0.002]
