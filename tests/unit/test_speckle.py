"""Filters of speckle: against a slow reference, theory, and in all windows."""

import dataclasses

import numpy as np
import pytest
from unit.rasters_for_tests import TILE, acquired, coarser, noise, save
from unit.test_settings import least
from unit.test_strips import GRID, LAYOUTS, assert_same, walked, whole

from parcelle import cube, decoding, features, settings, speckle
from parcelle.acquisitions import Inventory
from parcelle.errors import SettingsError
from parcelle.features import Recipe
from parcelle.images import Images
from parcelle.sensors import Asset, Mask
from parcelle.series import Scattered, dates_of
from parcelle.strips import Memory

BANDS = ("vv", "vh")
TIMES = [(1, 10), (4, 10), (9, 10), (9, 11), (14, 10), (20, 10)]

# What masks hide of each acquisition: some windows but not those beside them, all, nothing.
NOTHING = np.s_[:0]
HIDDEN = [NOTHING, np.s_[:130, 60:], np.s_[:], np.s_[62:, :64], np.s_[:, 62:130], np.s_[90:]]


def recipe(acquisitions, filter, window, bands=BANDS, method="bilinear"):
    """On the dates of the acquisitions, so that gap-filling gives back what was filtered."""
    days = tuple(str(day) for day in dates_of(acquisitions))
    kept = {"reach": window // 2, "speckle": filter, "speckle_window": window}
    return Recipe("s1", False, tuple(bands), False, method, (), days, **kept)


def gamma(shape, looks=speckle.LOOKS, seed=0):
    """Speckle of mean 1."""
    return np.random.default_rng(seed).gamma(looks, 1 / looks, shape).astype("float32")


def scene(folder, grid=TILE, times=TIMES, factors=(1, 1), layout=None, hidden=None):
    """Acquisitions of two bands of linear power with holes, and a mask each that hides a part."""
    found = []
    for i, (day, hour) in enumerate(times):
        assets = {}
        for name, factor, level in zip(BANDS, factors, (0.2, 0.04), strict=True):
            own = coarser(grid, factor)
            power = level * gamma((own.height, own.width), seed=10 * i + len(assets))
            power[3 : 3 + i, 2:5] = 0
            path = save(folder / f"{i}-{name}.tif", power, own, **LAYOUTS.get(layout, {}))
            assets[name] = Asset(path, nodata=0.0, power=True)
        flags = (noise(grid, seed=50 + i)[0] > 500).astype("uint8")
        flags[hidden[i] if hidden else NOTHING] = 0
        mask = save(folder / f"{i}-mask.tif", flags, grid, **LAYOUTS.get(layout, {}))
        found.append(acquired(day, assets, [Mask(mask, 1, (0,))], hour, "s1"))
    return Inventory("31TCJ", grid, tuple(found))


def observed(inventory):
    """Power ``(acquisition, band, row, column)`` and validity, of bands on the tile's grid."""
    power, valid = [], []
    with Images() as images:
        for one in inventory.acquisitions:
            bands = np.array([images.read(one.assets[b].path, [1], inventory.grid.whole)[0] for b in BANDS])
            clear = np.logical_and.reduce([images.read(m.path, [1], inventory.grid.whole)[0] for m in one.masks])
            power.append(bands.astype(float))
            valid.append(clear & (bands > 0).all(axis=0))
    return np.array(power), np.array(valid, bool)


def around(row, column, window):
    half = window // 2
    return np.s_[..., max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1]


def slowly(power, valid, filter, window):
    """Filtered power, pixel by pixel; NaN where not valid."""
    made = np.full(power.shape, np.nan)
    speckled = 1 / speckle.LOOKS
    for row, column in np.ndindex(power.shape[2:]):
        near = around(row, column, window)
        there = np.flatnonzero(valid[:, row, column])
        for b in range(power.shape[1]):
            squares = [power[d, b][near][valid[d][near]] for d in there]
            means = np.array([s.mean() for s in squares])
            here = power[there, b, row, column]
            if filter == "quegan":
                made[there, b, row, column] = means * np.mean(here / means) if len(there) else []
                continue
            for d, square, mean in zip(there, squares, means, strict=True):
                signal = max((square.var() + mean**2) / (1 + speckled) - mean**2, 0)
                gain = signal / (mean**2 * speckled + signal)
                made[d, b, row, column] = mean + gain * (power[d, b, row, column] - mean)
    return made


def filtered(inventory, filter, window, bands=BANDS):
    """dB ``(date, band, row, column)`` of the whole tile, and which are valid."""
    made = recipe(inventory.acquisitions, filter, window, bands)
    found = cube.read(inventory, [made], inventory.grid.whole, 1)
    values = found.features().reshape(*found.enough.shape, len(made.dates), len(bands))
    return values.transpose(2, 3, 0, 1)


@pytest.mark.parametrize("window", [3, 7, 31])
@pytest.mark.parametrize("filter", ["lee", "quegan"])
def test_filters_are_those_of_the_slow_way(tmp_path, filter, window):
    times = [(1, 10), (4, 10), (9, 10), (20, 10)]  # no two on one day
    inventory = scene(tmp_path, times=times, hidden=[np.s_[:, :4], np.s_[12:], np.s_[:], np.s_[:0]])
    power, valid = observed(inventory)
    assert valid.any(axis=(1, 2)).tolist() == [True, True, False, True]
    expected = 10 * np.log10(slowly(power, valid, filter, window))
    found = filtered(inventory, filter, window)
    good = np.broadcast_to(valid[:, None], found.shape)
    assert np.abs(found[good] - expected[good]).max() < 1e-5
    plain = 10 * np.log10(power[good])
    assert np.abs(found[good] - plain).mean() > 0.3  # it does something


def test_without_a_filter_backscatter_is_that_of_the_files(tmp_path):
    inventory = scene(tmp_path, times=TIMES[:3])
    power, valid = observed(inventory)
    found = filtered(inventory, "none", 7)
    good = np.broadcast_to(valid[:, None], found.shape)
    assert np.abs(found[good] - 10 * np.log10(power[good])).max() < 1e-5


@pytest.mark.parametrize("filter", ["lee", "quegan"])
def test_images_in_decibels_are_filtered_as_power(tmp_path, filter):
    inventory = scene(tmp_path, times=TIMES[:3])
    power, valid = observed(inventory)
    acquisitions = []
    for i, one in enumerate(inventory.acquisitions):
        assets = {}
        for k, band in enumerate(BANDS):
            values = np.where(power[i, k] > 0, 10 * np.log10(np.maximum(power[i, k], 1e-9)), np.nan)
            assets[band] = Asset(save(tmp_path / f"dB-{i}-{band}.tif", values.astype("float32")))
        acquisitions.append(dataclasses.replace(one, assets=assets))
    found = filtered(dataclasses.replace(inventory, acquisitions=tuple(acquisitions)), filter, 5)
    good = np.broadcast_to(valid[:, None], found.shape)
    assert np.abs(found[good] - filtered(inventory, filter, 5)[good]).max() < 1e-5


def test_values_are_kept_as_power():
    raw, image = np.array([[-10, 0, 20, 400, -500, -99]], "float32"), np.empty((1, 6), "float32")
    missing = decoding.MISSING[image.dtype]
    assert not decoding.store(raw, Asset("a.tif", nodata=-99), image, power=True)
    assert image.tolist() == [[pytest.approx(0.1), 1, 100, missing, missing, missing]]
    raw, image = np.array([[0.25, 0, -1, 7]], "float32"), np.empty((1, 4), "float32")
    assert not decoding.store(raw, Asset("a.tif", power=True), image, power=True)
    assert image.tolist() == [[0.25, missing, missing, 7]]


@pytest.fixture(scope="module", params=[(1, 1), (1, 2), (2, 3)], ids=str)
def radar(request, tmp_path_factory):
    """Bands of 10, 20 and 30 m, by layout; masks hide whole windows, or all of an image."""
    folders = {layout: tmp_path_factory.mktemp(layout) for layout in LAYOUTS}
    return {layout: scene(folder, GRID, TIMES, request.param, layout, HIDDEN) for layout, folder in folders.items()}


@pytest.mark.parametrize(("size", "window"), [(16, 3), (48, 7), (64, 31), (128, 15)])
@pytest.mark.parametrize("filter", ["lee", "quegan"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_walk_has_the_bits_of_the_whole(radar, layout, filter, size, window):
    inventory = radar[layout]
    recipes = [recipe(inventory.acquisitions, filter, window)]
    found, expected = walked(inventory, recipes, size), whole(inventory, recipes)
    assert_same(found, expected)
    assert np.isfinite(expected.features[expected.enough]).all()


@pytest.mark.parametrize("filter", ["lee", "quegan"])
@pytest.mark.parametrize("method", ["nearest", "bilinear"])
def test_parts_of_rows_in_any_order_have_the_bits_of_the_whole(radar, filter, method):
    """As several threads ask for them: each its own rows, and pixels far from each other."""
    inventory = radar["tiled"]
    recipes = [recipe(inventory.acquisitions, filter, 7, method=method)]
    expected = whole(inventory, recipes)
    with Images() as images:
        tile = cube.Tile(inventory, recipes, 1, images)
        part = tile.alone(GRID.whole, (GRID.height, GRID.width), Memory())
        for job in part.reading:
            job()
        maker = cube.Maker(tile)
        for row, start, count in [(100, 3, 40), (101, 3, 40), (103, 3, 40), (90, 70, 1), (91, 64, 9), (0, 0, 171)]:
            good = expected.enough[row, start : start + count]
            found = maker.features(part, row, start, count).T
            assert np.array_equal(found[good], expected.features[row, start : start + count][good])


@pytest.mark.parametrize("filter", ["lee", "quegan"])
def test_samples_are_filtered_as_the_map_is(radar, filter):
    """Only the blocks around some pixels are read."""
    inventory = radar["tiled"]
    recipes = [recipe(inventory.acquisitions, filter, 9)]
    expected = whole(inventory, recipes)
    rows, columns = np.array([0, 90, 91, 150, 204]), np.array([3, 10, 101, 170, 20])
    with Images() as images:
        tile = cube.Tile(inventory, recipes, 1, images)
        part = tile.alone(GRID.whole, (GRID.height, GRID.width), Memory(), Scattered(rows, columns))
        for job in part.reading:
            job()
        found = cube.Whole(part).features()
        blocks = images.blocks
    good = expected.enough[rows, columns]
    assert good.sum() >= 4
    assert np.array_equal(found[rows, columns][good], expected.features[rows, columns][good])
    with Images() as images:
        tile = cube.Tile(inventory, recipes, 1, images)
        part = tile.alone(GRID.whole, (GRID.height, GRID.width), Memory())
        for job in part.reading:
            job()
        assert blocks < images.blocks / 2


FIELD = dataclasses.replace(GRID, height=160, width=160)


def homogeneous(folder, dates, levels):
    """Speckle without any structure; each date has its level."""
    found = []
    for i, level in zip(range(dates), levels, strict=True):
        power = level * gamma((FIELD.height, FIELD.width), seed=i)
        path = save(folder / f"{i}.tif", power, FIELD)
        found.append(acquired(i + 1, {"vv": Asset(path, nodata=0.0, power=True)}, sensor="s1"))
    return Inventory("31TCJ", FIELD, tuple(found))


def looks(power):
    """Equivalent number of looks: of the first and of the last date."""
    return [p.mean() ** 2 / p.var() for p in (power[0], power[-1])]


@pytest.mark.parametrize(("dates", "window"), [(1, 7), (8, 5), (20, 7), (20, 11)])
def test_the_looks_of_quegan_are_those_of_theory(tmp_path, dates, window):
    """Of gamma-distributed power, I / E is W × a beta variable that E knows nothing of; so the variance is exact."""
    levels = np.linspace(0.05, 0.4, dates)
    found = 10 ** (filtered(homogeneous(tmp_path, dates, levels), "quegan", window, ("vv",))[:, 0] / 10)
    inner = found[:, window:-window, window:-window]
    weights, first = window**2, speckle.LOOKS
    ratio = (weights - 1) / (first * weights + 1)
    expected = 1 / ((1 + 1 / (first * weights)) * (1 + ratio / dates) - 1)
    assert np.allclose(looks(inner), expected, rtol=0.15)
    # Radiometry is kept, date by date.
    assert np.allclose(inner.mean(axis=(1, 2)) / levels, 1, atol=0.01)
    gain = expected / first
    assert gain > {1: 0.9, 8: 5, 20: 11}[dates]


def test_lee_smooths_what_is_even_and_keeps_what_is_bright(tmp_path):
    power = 0.1 * gamma((FIELD.height, FIELD.width))
    power[80, 80] = 50
    power[:, 120:] *= 20
    path = save(tmp_path / "a.tif", power, FIELD)
    inventory = Inventory("31TCJ", FIELD, (acquired(1, {"vv": Asset(path, nodata=0.0, power=True)}, sensor="s1"),))
    found = 10 ** (filtered(inventory, "lee", 7, ("vv",))[0, 0] / 10)
    even = np.s_[10:70, 10:110]
    assert looks(found[even][None])[0] > 10 * speckle.LOOKS
    assert found[even].mean() == pytest.approx(0.1, rel=0.01)
    # A square of 49 pixels with one such has a mean of 1.1: the gain leaves the point target nearly as it is.
    assert found[80, 80] > 0.9 * 50
    # The edge stays: with a plain mean, the first dark column would hold 3 / 7 of the bright ones.
    dark, bright = found[:, 119].mean(), found[:, 120].mean()
    assert dark < 0.5 and bright > 1.2


def made_of(**given):
    """Recipe of a sensor of radar, with such settings."""
    sensor = {"format": "stac", "collection": "sentinel-1-grd", "path": "x"} | given
    return features.recipes(settings.read(least(sensors={"s1": sensor})))[0]


def test_a_recipe_has_the_filter_and_its_margin():
    made = made_of(speckle="quegan", speckle_window=9)
    assert (made.speckle, made.speckle_window, made.reach, made.power) == ("quegan", 9, 4, True)
    assert Recipe.from_dict(made.to_dict()) == made
    assert made_of(speckle="lee").speckle_window == 7
    plain = made_of()
    assert (plain.speckle, plain.reach, plain.power) == ("none", 0, False)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"speckle_window": 9}, "speckle_window: there is no filter; set `speckle: lee` or `quegan`, or remove it"),
        ({"speckle": "lee", "speckle_window": 8}, "speckle_window: found 8; allowed: an odd number"),
        ({"speckle": "lee", "speckle_window": 33}, "speckle_window: found 33; allowed: at most 31"),
        ({"speckle": "lee", "speckle_window": 1}, "speckle_window: found 1; allowed: at least 3"),
        ({"speckle": "frost"}, "speckle: found 'frost'; allowed: 'none', 'lee' or 'quegan'"),
        (
            {"speckle": "lee", "resampling": "cubic"},
            "resampling: found 'cubic', which may make power negative; with `speckle`, use 'bilinear'",
        ),
        (
            {"speckle": "lee", "collection": "sentinel-2-l2a"},
            "speckle: found 'lee' for bands of unit reflectance; it is for radar: remove it",
        ),
    ],
)
def test_what_does_not_go_with_a_filter_is_refused(given, expected):
    with pytest.raises(SettingsError) as error:
        made_of(**given)
    assert str(error.value) == f"Wrong settings:\n  sensors.s1.{expected}"


def test_settings_with_a_filter_and_without_are_read_back():
    one = {"format": "stac", "collection": "sentinel-1-grd", "path": "x"}
    for sensor in (one, one | {"speckle": "lee"}, one | {"speckle": "quegan", "speckle_window": 5}):
        made = settings.read(least(sensors={"s1": sensor}))
        assert settings.read(made.model_dump()) == made


def test_ratio_and_sum_are_those_of_powers(tmp_path):
    assert made_of().indices == ()
    inventory = scene(tmp_path, times=TIMES[:1])
    power, valid = observed(inventory)
    plain = recipe(inventory.acquisitions, "none", 3)
    made = dataclasses.replace(plain, reach=0, indices=made_of(indices=["ratio", "sum"]).indices)
    assert made.names[2:] == ["s1.ratio.20180301", "s1.sum.20180301"]
    found = cube.read(inventory, [made], TILE.whole, 1).features()[valid[0]]
    vv, vh = power[0][:, valid[0]]
    assert np.allclose(found[:, 2], 10 * np.log10(vv / vh), atol=1e-4)
    assert np.allclose(found[:, 3], 10 * np.log10(vv + vh), atol=1e-4)


def test_ratio_and_sum_need_both_polarisations():
    with pytest.raises(SettingsError, match="'ratio' cannot be made of the bands vv"):
        made_of(bands=["vv"], indices=["ratio"])
