"""Composites, smoothing and what is not filled, from files to features: step by step, and in any windows."""

import datetime
from dataclasses import replace

import numpy as np
import pytest
from unit.rasters_for_tests import acquired, coarser, noise, save
from unit.times_for_tests import combined, nearest, of_days, period_of, smoothed

from parcelle import cube
from parcelle.acquisitions import Inventory
from parcelle.features import Recipe
from parcelle.gapfill import fill
from parcelle.grid import Grid
from parcelle.images import Images
from parcelle.periods import Composite, Filling
from parcelle.sensors import Asset, Mask

METHODS = ["mean", "median", "medoid"]
GRID = Grid("EPSG:32631", 500_000, 4_900_000, 10, 101, 83)
DATES = ("2018-03-01", "2018-03-08", "2018-03-15", "2018-03-22", "2018-03-29")
FACTORS = {"b2": 1, "b3": 1, "b5": 2, "b1": 6}
DAYS = [(1, 10), (4, 10), (4, 11), (9, 10), (12, 10), (19, 10), (19, 11), (28, 10)]
CHOICES = {
    "none": {"filling": Filling("none", within=3.5)},
    "whittaker": {"filling": Filling("whittaker", smoothing=1.0)},
    "savgol": {"filling": Filling("savgol", window=3, order=1)},
    **{m: {"composite": Composite("dekad", m), "dates": ("2018-03-05", "2018-03-15", "2018-03-26")} for m in METHODS},
    "both": {
        "composite": Composite("dekad", "medoid"),
        "dates": ("2018-03-05", "2018-03-15", "2018-03-26"),
        "filling": Filling("whittaker", smoothing=3.0),
    },
}


def recipe(choice, integer=True):
    indices = (("ndvi", "(b3-b2)/(b3+b2)", 10_000),)
    return replace(Recipe("s2", True, tuple(FACTORS), integer, "bilinear", indices, DATES), **CHOICES[choice])


@pytest.fixture(scope="module")
def inventory(tmp_path_factory):
    """Eight acquisitions on six days, in bands of 10, 20 and 60 m; masks and holes here and there."""
    folder, profile = tmp_path_factory.mktemp("times"), {"tiled": True, "blockxsize": 16, "blockysize": 16}
    acquisitions = []
    for i, (day, hour) in enumerate(DAYS):
        assets = {}
        for k, (band, factor) in enumerate(FACTORS.items()):
            grid = coarser(GRID, factor)
            pixels = noise(grid, seed=10 * i + k)
            pixels[:, 20 // factor : 30 // factor, (7 * i) // factor : (7 * i + 20) // factor] = -10_000
            assets[band] = Asset(save(folder / f"{i}-{band}.tif", pixels, grid, **profile), 1, 1e-4, 0, -10_000)
        flags = (noise(GRID, seed=100 + i)[0] < 4500).astype("uint8")
        mask = Mask(save(folder / f"m{i}.tif", flags, **{**profile, "grid": GRID}), 1, (1,))
        acquisitions.append(acquired(day, assets, [mask], hour))
    return Inventory("31TCJ", GRID, tuple(acquisitions))


def walked(inventory, recipes, size):
    """Features and enough dates of a tile, window by window; one is looked at only once the next one is read."""
    with Images() as images:
        tile = cube.Tile(inventory, recipes, 1, images)
        walk, before = cube.Walk(tile, size), None
        features = np.zeros((*tile.shape, tile.features), tile.dtype)
        enough = np.zeros(tile.shape, bool)
        for step in [*walk.steps, None]:
            part = walk.begin(step) if step else None
            for job in part.reading if part else ():
                job()
            if before:
                found, place = cube.Whole(before), before.window.toslices()
                features[place], enough[place] = found.features(), found.enough
            before = part
    return features, enough


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("integer", [True, False], ids=["int16", "float32"])
def test_windows_change_nothing(inventory, choice, integer):
    recipes = [recipe(choice, integer)]
    found = cube.read(inventory, recipes, GRID.whole, 1)
    whole = found.features()
    assert found.enough.mean() > 0.9
    for size in (48, 64):
        features, enough = walked(inventory, recipes, size)
        assert np.array_equal(enough, found.enough)
        assert features[enough].tobytes() == whole[enough].tobytes()


@pytest.mark.parametrize("choice", CHOICES)
def test_features_are_made_step_by_step_of_what_was_observed(inventory, choice):
    """From the series of the acquisitions on their own dates, by the references above."""
    made_of = recipe(choice)
    with Images() as images:
        tile = cube.Tile(inventory, [made_of], 1, images)
        part = tile.alone(GRID.whole, tile.shape, cube.Memory())
        for job in part.reading:
            job()
        row, maker = 57, cube.Maker(tile)
        planes = maker.features(part, row, 0, GRID.width).copy()
        values = maker._parts[0].observed(part.series[0], row, 0, GRID.width)
        valid = part.series[0].valid[:, row]
        for start, count in ((3, 1), (40, 17)):  # as pixels of polygons are made
            seen = valid[:, start : start + count].any(axis=0)
            some = maker.features(part, row, start, count)[:, seen]
            assert np.array_equal(some, planes[:, start : start + count][:, seen])
    days = np.array([a.date.toordinal() for a in tile.sensors[0].acquisitions])
    dates, whole = of_days(days, values, valid), True
    assert 0.2 < valid.mean() < 0.9
    for pixel in range(GRID.width):
        seen = {day: v for (day, p), v in dates.items() if p == pixel}
        if made_of.composite:
            by, method = made_of.composite.by, made_of.composite.method
            middles = {(2018, 3, 0): "2018-03-05", (2018, 3, 1): "2018-03-15", (2018, 3, 2): "2018-03-26"}
            of_period = {}
            for day, v in sorted(seen.items()):
                of_period.setdefault(period_of(day, by), []).append(v)
            seen = {
                datetime.date.fromisoformat(middles[p]).toordinal(): combined(v, method, whole)
                for p, v in of_period.items()
            }
        if not seen:
            continue
        when, observed = np.array(sorted(seen)), np.array([seen[d] for d in sorted(seen)])
        found = planes[: len(made_of.dates) * 4, pixel].reshape(-1, 4)
        if made_of.filling.method == "none":
            expected = [nearest(observed[:, k], [True] * len(when), when, made_of.days, 3.5) for k in range(4)]
            assert found.T.tolist() == expected
        else:
            shape = len(when), 4, 1, 1
            linear = fill(
                observed.astype(np.int16).reshape(shape), np.ones((len(when), 1, 1), bool), when, made_of.days
            )
            assert np.array_equal(found, smoothed(linear[:, :, 0].copy(), made_of.filling)[:, :, 0])


def test_validity_and_clear_pixels_count_dates_as_before(inventory):
    plain, joined = (cube.read(inventory, [recipe(choice)], GRID.whole, 2) for choice in ("whittaker", "medoid"))
    assert np.array_equal(plain.validity, joined.validity)
    assert plain.clear[0].tolist() == joined.clear[0].tolist()
    assert len(plain.clear[0]) == 6
