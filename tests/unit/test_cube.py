"""What models see of a window, put together by hand and compared."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.windows import Window
from unit.rasters_for_tests import TILE, acquired, coarser, constant, noise, save

from parcelle import cube
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError
from parcelle.features import Recipe
from parcelle.grid import Grid
from parcelle.images import Images
from parcelle.sensors import Asset, Mask

DATES = ("2018-03-01", "2018-03-11", "2018-03-21")
OPTICAL = Recipe("s2", True, ("b4", "b8"), True, "bilinear", (("ndvi", "(b8-b4)/(b8+b4)", 10_000),), DATES)
RADAR = Recipe("s1", False, ("vv",), False, "bilinear", (), DATES[:2])


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    """Three optical dates that see less and less of the tile, and two of radar."""
    folder = tmp_path_factory.mktemp("cube")
    acquisitions = []
    for day, clear in ((1, TILE.height), (11, 10), (21, 5)):
        image = save(folder / f"{day}.tif", np.stack([constant(100 * day), constant(300 * day)]))
        flags = constant(0, dtype="uint8")
        flags[clear:] = 1
        mask = Mask(save(folder / f"m{day}.tif", flags), 1, (1,))
        assets = {"b4": Asset(image, 1, 1e-4), "b8": Asset(image, 2, 1e-4)}
        acquisitions.append(acquired(day, assets, [mask] if day > 1 else [mask, mask]))
    for day in (1, 11):
        pixels = constant(-day, dtype="float32")
        pixels[:, 0] = np.nan
        path = save(folder / f"s1-{day}.tif", pixels)
        acquisitions.append(acquired(day, {"vv": Asset(path, nodata=float("nan"))}, sensor="s1"))
    return Inventory("31TCJ", TILE, tuple(acquisitions))


def test_series_of_all_sensors_are_gap_filled(inventory):
    found = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, 1).features()
    assert found.shape == (TILE.height, TILE.width, 3 * 2 + 3 + 2)
    b4, b8, vv = found[..., 0:6:2], found[..., 1:6:2], found[..., 9:]
    assert b4[-1, -1].tolist() == [100, 100, 100]  # seen on the first date only
    assert b4[7, 3].tolist() == [100, 1100, 1100]
    assert b8[0, 3].tolist() == [300, 3300, 6300]
    assert vv[0, 3].tolist() == [-1, -11]
    assert vv[0, 0].tolist() == [0, 0]  # never seen


@pytest.mark.parametrize(
    ("recipes", "dtype"),
    [
        ([OPTICAL], np.int16),
        ([RADAR], np.float32),
        ([OPTICAL, RADAR], np.float32),
        ([replace(OPTICAL, indices=(("b4*2", "b4*2", 0),))], np.float32),
    ],
)
def test_features_are_integers_where_all_of_them_are(recipes, dtype, inventory):
    assert cube.read(inventory, recipes, TILE.whole, 1).features().dtype == dtype


def test_validity_counts_optical_dates(inventory):
    found = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, 1)
    assert found.validity.dtype == np.uint16
    rows = [3] * 5 + [2] * 5 + [1] * (TILE.height - 10)
    assert np.array_equal(found.validity, np.repeat([rows], TILE.width, axis=0).T)


def test_validity_counts_all_dates_where_nothing_is_optical(inventory):
    found = cube.read(inventory, [RADAR], TILE.whole, 1)
    assert found.validity[:, 1:].min() == 2
    assert found.validity[:, 0].max() == 0


@pytest.mark.parametrize("min_valid", [1, 2, 3])
def test_a_pixel_needs_enough_dates_of_every_sensor(inventory, min_valid):
    enough = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, min_valid).enough
    expected = np.zeros((TILE.height, TILE.width), bool)
    expected[: {1: TILE.height, 2: 10, 3: 0}[min_valid], 1:] = True  # radar has two dates, and none in column 0
    assert np.array_equal(enough, expected)


def test_clear_pixels_are_counted_by_date(inventory):
    optical, radar = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, 1).clear
    assert optical.tolist() == [TILE.height * TILE.width, 10 * TILE.width, 5 * TILE.width]
    assert radar.tolist() == [TILE.height * (TILE.width - 1)] * 2
    assert optical.dtype == np.int64


def test_clear_pixels_of_windows_add_up(inventory):
    whole = cube.read(inventory, [OPTICAL], TILE.whole, 1).clear[0]
    parts = [Window(0, 0, 18, 7), Window(0, 7, 18, 14)]
    assert np.array_equal(sum(cube.read(inventory, [OPTICAL], w, 1).clear[0] for w in parts), whole)


def test_features_are_those_of_all_sensors_side_by_side(inventory):
    values = cube.read(inventory, [OPTICAL, RADAR], TILE.whole, 1).features()
    assert values.dtype == np.float32
    assert [values[0, 3].tolist(), values[7, 3].tolist()] == [
        [100, 300, 1100, 3300, 2100, 6300, 5000, 5000, 5000, -1, -11],
        [100, 300, 1100, 3300, 1100, 3300, 5000, 5000, 5000, -1, -11],
    ]


SQUARE = Grid("EPSG:32631", 500_000, 4_900_020, 10, 97, 83)
FACTORS = {"b4": 1, "b8": 1, "b11": 2, "b12": 2, "b9": 3}
MIXED = Recipe("s2", True, tuple(FACTORS), True, "bilinear", (("ndvi", "(b8-b4)/(b8+b4)", 10_000),), DATES)
DAYS = [(1, 10), (7, 10), (7, 11), (15, 10), (20, 10), (29, 10)]


@pytest.fixture(scope="module", params=[16, None], ids=["blocks", "strips"])
def mixed(request, tmp_path_factory):
    """Bands of 10, 20 and 30 m with holes, two acquisitions on one day; each masks a half of the tile or all of it."""
    folder, block = tmp_path_factory.mktemp("mixed"), request.param
    profile = {"tiled": True, "blockxsize": block, "blockysize": block} if block else {"blockysize": 5}
    return Inventory("31TCJ", SQUARE, tuple(_mixed(folder, i, *time, profile) for i, time in enumerate(DAYS)))


def _mixed(folder, i, day, hour, profile):
    assets = {}
    for j, (band, factor) in enumerate(FACTORS.items()):
        grid = coarser(SQUARE, factor)
        pixels = noise(grid, seed=10 * i + j)[0]
        pixels[noise(grid, seed=100 + i)[0] < 50] = -10_000
        assets[band] = Asset(save(folder / f"{i}-{band}.tif", pixels, grid, **profile), 1, 1e-4, 0, -10_000)
    flags = (noise(SQUARE, seed=50 + i)[0] < 3000).astype("uint8")
    halves = [np.s_[:48], np.s_[:, 40:], np.s_[:0], np.s_[:], np.s_[50:, :32], np.s_[:, :48]]
    flags[halves[i]] = 1
    coarse = (noise(coarser(SQUARE, 2), seed=70 + i)[0] < 500).astype("uint8")
    masks = [Mask(save(folder / f"{i}-m1.tif", flags, SQUARE, **profile), 1, (1,))]
    masks.append(Mask(save(folder / f"{i}-m2.tif", coarse, coarser(SQUARE, 2), **profile), 1, (1,)))
    return acquired(day, assets, masks, hour=hour)


def pixels_of(path):
    with rasterio.open(path) as image:
        return image.read(1)


def enlarged(image, factor):
    """Bilinear, and where no hole contributes; halves up."""
    pairs = []
    for count, size in zip((SQUARE.height, SQUARE.width), image.shape, strict=True):
        position = (np.arange(count) + 0.5) / factor - 0.5
        base = np.floor(position).astype(int)
        pairs.append([(base.clip(0, size - 1), 1 - position + base), ((base + 1).clip(0, size - 1), position - base)])
    total, whole = np.zeros((SQUARE.height, SQUARE.width)), np.ones((SQUARE.height, SQUARE.width), bool)
    for (row, down), (column, across) in itertools.product(*pairs):
        weight = np.outer(down, across)
        total += weight * image[np.ix_(row, column)]
        whole &= (image[np.ix_(row, column)] != -10_000) | (weight == 0)
    return np.floor(total + 0.5 + 1e-6).astype(int), whole


def observed(acquisition):
    """Values ``(band, row, column)`` and validity of an acquisition, over the whole tile."""
    read = [enlarged(pixels_of(acquisition.assets[band].path), factor) for band, factor in FACTORS.items()]
    fine, coarse = (pixels_of(mask.path) == 0 for mask in acquisition.masks)
    coarse = coarse.repeat(2, axis=0).repeat(2, axis=1)[: SQUARE.height, : SQUARE.width]
    return np.array([values for values, _ in read]), np.logical_and.reduce([w for _, w in read]) & fine & coarse


def interpolated(days, values, target):
    """Between the nearest of some days, in whole numbers; halves up."""
    before = max((d for d in days if d <= target), default=min(days))
    after = min((d for d in days if d >= target), default=max(days))
    first, second = (values[days.index(d)] for d in (before, after))
    gap = max(after - before, 1)
    return (2 * (first * gap + (second - first) * (target - before)) + gap) // (2 * gap)


def slowly(inventory):
    """Features ``(row, column, feature)`` and validity, pixel by pixel."""
    every = [observed(a) for a in inventory.acquisitions]
    dates = sorted({a.date.day for a in inventory.acquisitions})
    of_day = [[o for o, a in zip(every, inventory.acquisitions, strict=True) if a.date.day == day] for day in dates]
    valid = np.array([np.any([v for _, v in of], axis=0) for of in of_day])
    summed = [np.sum([np.where(v, values, 0) for values, v in of], axis=0) for of in of_day]
    count = [np.sum([v for _, v in of], axis=0) for of in of_day]
    values = np.rint([s / np.maximum(c, 1) for s, c in zip(summed, count, strict=True)]).astype(int)
    bands = np.zeros((SQUARE.height, SQUARE.width, 3, len(FACTORS)), int)
    for row, column in np.argwhere(valid.any(axis=0)):
        seen = np.flatnonzero(valid[:, row, column])
        days = [dates[i] for i in seen]
        for t, target in enumerate((1, 11, 21)):
            bands[row, column, t] = interpolated(days, values[seen, :, row, column], target)
    b4, b8 = bands[..., 0].astype(np.float32), bands[..., 1].astype(np.float32)
    ndvi = np.floor((b8 - b4) / np.where(b8 + b4, b8 + b4, 1) * np.float32(10_000) + np.float32(0.5))
    return np.concatenate([bands.reshape(*bands.shape[:2], -1), ndvi.astype(int)], axis=2), valid.sum(axis=0)


def test_features_are_those_of_the_slow_way(mixed):
    values, validity = slowly(mixed)
    found = cube.read(mixed, [MIXED], SQUARE.whole, 1)
    assert set(np.unique(validity)) == {0, 1, 2, 3, 4}
    assert np.array_equal(found.validity, validity) and np.array_equal(found.enough, validity > 0)
    assert np.array_equal(found.features()[found.enough], values[validity > 0])


def walked(inventory, recipe, size):
    """Features, validity and clear pixels of the tile; each window is computed once the next one is read."""
    values = np.zeros((SQUARE.height, SQUARE.width, len(recipe.names)), np.int16)
    validity, clear = np.full((SQUARE.height, SQUARE.width), -1), 0
    with Images() as images:
        tile = cube.Tile(inventory, [recipe], 1, images)
        walk, before = cube.Walk(tile, size), []
        for step in [*walk.steps, None]:
            if step:
                before.append(walk.begin(step))
                for job in reversed(before[-1].reading):
                    job()
            if len(before) == 2 or not step:
                part = before.pop(0)
                whole, place = cube.Whole(part), part.window.toslices()
                values[place], validity[place] = whole.features(), whole.validity
                clear = clear + whole.clear[0]
    return values, validity, clear


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(16, 120),
    resampling=st.sampled_from(["nearest", "bilinear", "cubic"]),
    bands=st.sampled_from([("b4", "b8"), ("b4", "b8", "b11"), ("b9", "b8", "b12", "b4"), tuple(FACTORS)]),
)
def test_windows_one_after_the_other_have_the_bits_of_the_whole(mixed, size, resampling, bands):
    recipe = replace(MIXED, bands=bands, resampling=resampling)
    values, validity, clear = walked(mixed, recipe, size)
    whole = cube.read(mixed, [recipe], SQUARE.whole, 1)
    assert np.array_equal(validity, whole.validity)
    assert np.array_equal(values[whole.enough], whole.features()[whole.enough])
    assert np.array_equal(clear, whole.clear[0])


@given(data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_features_of_a_pixel_have_the_same_bits_in_any_window(mixed, data):
    top, left = data.draw(st.integers(0, SQUARE.height - 1)), data.draw(st.integers(0, SQUARE.width - 1))
    height, width = data.draw(st.integers(1, SQUARE.height - top)), data.draw(st.integers(1, SQUARE.width - left))
    window = Window(left, top, width, height)
    whole, part = (cube.read(mixed, [MIXED], w, 1) for w in (SQUARE.whole, window))
    assert np.array_equal(part.validity, whole.validity[window.toslices()])
    assert np.array_equal(part.enough, whole.enough[window.toslices()])
    assert np.array_equal(part.features()[part.enough], whole.features()[window.toslices()][part.enough])


def test_no_folder_is_listed_when_images_are_opened(mixed, monkeypatch):
    real, asked = rasterio.open, []

    def opened(path, *args, **options):
        asked.append(rasterio.env.hasenv() and rasterio.env.getenv().get("GDAL_DISABLE_READDIR_ON_OPEN"))
        return real(path, *args, **options)

    monkeypatch.setattr(rasterio, "open", opened)
    cube.read(mixed, [MIXED], Window(0, 0, 20, 20), 1)
    # Five bands and two masks of six acquisitions.
    assert asked == ["EMPTY_DIR"] * 7 * 6


def test_two_windows_are_in_memory(mixed):
    with Images() as images:
        walk = cube.Walk(cube.Tile(mixed, [MIXED], 1, images), 48)
        first, second, third = (walk.begin(step).series[0] for step in walk.steps[:3])
    arrays = [[*series.values, series.clear] for series in (first, second, third)]
    assert [np.shares_memory(a, c) for a, c in zip(arrays[0], arrays[2], strict=True)] == [True] * 4
    assert [np.shares_memory(a, b) for a, b in zip(arrays[0], arrays[1], strict=True)] == [False] * 4


def windows(shape, blocks, multiple, size):
    """Windows of a tile whose files have such blocks; 0 columns are all of them."""
    sensor = SimpleNamespace(blocks=lambda: blocks, multiple=lambda: multiple)
    return cube.Tile.windows(SimpleNamespace(shape=shape, sensors=[sensor], back=0), size)


@pytest.mark.parametrize(
    ("blocks", "multiple", "size", "expected"),
    [
        ([(512, 512), (1024, 1024)], 2, 1024, (1024, 1024)),
        ([(512, 512), (1024, 1024)], 2, 2500, (2048, 2048)),
        ([(512, 512), (1024, 1024)], 2, 1000, (1024, 512)),  # as many pixels
        ([(512, 512), (1024, 1024)], 2, 900, (1024, 512)),
        ([(512, 512), (1024, 1024)], 2, 700, (512, 512)),  # blocks of 20 m are too large to be looked at
        ([(512, 512), (1024, 1024)], 2, 100, (96, 96)),  # so are those of 10 m
        ([(512, 512), (1024, 1024)], 2, 3, (16, 16)),
        ([(1, 0), (2, 0)], 2, 1024, (80, 10_980)),  # 95 rows, of which 16 must be a divisor
        ([(64, 0), (128, 0)], 2, 1024, (64, 10_980)),
        ([(512, 512), (16, 0)], 2, 1024, (80, 10_980)),  # a mask of strips beside images of blocks
        ([(1024, 1024), (1280, 1280)], 2, 1024, (1024, 1024)),  # as in products of ESA
        ([(512, 512), (1024, 1024), (1536, 1536)], 6, 1024, (1008, 1008)),  # 60 m: no multiple of 48 is one of 512
        ([(256, 256), (768, 768)], 6, 1024, (768, 768)),
        ([(512, 512)], 1, 20_000, (10_980, 10_980)),
    ],
)
def test_windows_are_multiples_of_the_files_blocks(blocks, multiple, size, expected):
    first = windows((10_980, 10_980), blocks, multiple, size)[0]
    assert (first.height, first.width) == expected


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.lists(st.tuples(st.sampled_from([1, 2, 6, 16, 32]), st.sampled_from([0, 6, 16, 32])), min_size=1, max_size=3),
    st.sampled_from([1, 2, 6]),
    st.integers(1, 120),
)
def test_windows_cover_every_pixel_once(height, width, blocks, multiple, size):
    seen = np.zeros((height, width), int)
    for window in windows((height, width), blocks, multiple, size):
        assert window.height > 0 and window.width > 0
        seen[window.toslices()] += 1
    assert (seen == 1).all()


def test_the_same_features_pass():
    cube.check_features(["a", "b"], ("a", "b"), "model.json")


@pytest.mark.parametrize(
    ("found", "expected", "sentence"),
    [
        (["a", "x"], ["a", "b"], "feature 2 is x, where b is expected (2 features, 2 expected)"),
        (["b", "a"], ["a", "b"], "feature 1 is b, where a is expected (2 features, 2 expected)"),
        (["a"], ["a", "b"], "feature 2 is nothing, where b is expected (1 features, 2 expected)"),
        (["a", "b", "c"], ["a", "b"], "feature 3 is c, where nothing is expected (3 features, 2 expected)"),
    ],
)
def test_the_first_other_feature_is_named(found, expected, sentence):
    with pytest.raises(InputError) as error:
        cube.check_features(found, expected, "model.json")
    assert str(error.value).startswith(f"model.json: {sentence}. Train again")
