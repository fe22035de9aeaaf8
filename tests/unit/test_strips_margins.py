"""Windows of images on other grids, with buffers around masks and margins for what looks around a pixel."""

import dataclasses

import numpy as np
import pytest
import scipy.ndimage
from rasterio.windows import Window
from unit import test_strips
from unit.rasters_for_tests import acquired, noise, save
from unit.test_strips import GRID, assert_same, inventories, recipe, walked, whole

from parcelle import cube
from parcelle.acquisitions import Inventory
from parcelle.grid import Grid
from parcelle.images import Images
from parcelle.sensors import Asset, Mask
from parcelle.series import Scattered

BANDS = ("b2", "b3", "b5", "b6", "b1")
OTHERS = (
    Grid("EPSG:32631", 499_700, 4_900_300, 30, 90, 100),
    Grid("EPSG:32630", 978_500, 4_918_800, 20, 200, 220),
    GRID,
)
__all__ = ["inventories"]


def blots(grid, seed):
    """A mask with some patches, far from each other."""
    flags = np.zeros((grid.height, grid.width), "uint8")
    for row, column in np.random.default_rng(seed).integers(0, (grid.height, grid.width), (25, 2)):
        flags[row : row + 3, column : column + 4] = 1
    if grid == GRID:  # what no acquisition sees
        flags[100:108, 50:60] = 1
    return flags


@pytest.fixture(scope="module")
def blotted(inventories, tmp_path_factory):
    """The acquisitions of each layout, with such masks."""
    folder, made = tmp_path_factory.mktemp("blots"), {}
    for layout, inventory in inventories.items():
        acquisitions = []
        for i, one in enumerate(inventory.acquisitions):
            path = save(folder / f"{layout}-{i}.tif", blots(GRID, i), GRID, **test_strips.LAYOUTS[layout])
            acquisitions.append(dataclasses.replace(one, masks=(Mask(path, 1, (1,)),)))
        made[layout] = dataclasses.replace(inventory, acquisitions=tuple(acquisitions))
    return made


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Acquisitions on three grids, in turns; bands and masks."""
    folder, found = tmp_path_factory.mktemp("foreign"), []
    hidden = save(folder / "hidden.tif", blots(GRID, 99), GRID)
    for i, day in enumerate((1, 4, 9, 14, 20)):
        grid = OTHERS[i % 3]
        pixels, flags = noise(grid, 2, seed=i), blots(grid, i)
        pixels[:, 20:30, 30:60] = -10_000
        image = save(folder / f"{i}.tif", pixels, grid, **test_strips.LAYOUTS["tiled"])
        mask = save(folder / f"{i}-m.tif", flags, grid)
        assets = {name: Asset(image, k, 1e-4, 0, -10_000) for k, name in enumerate(("b2", "b3"), start=1)}
        found.append(acquired(day, assets, [Mask(mask, 1, (1,)), Mask(hidden, 1, (1,))]))
    return Inventory("31TCJ", GRID, tuple(found))


@pytest.mark.parametrize("size", [16, 48, 100])
@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic"])
def test_images_of_other_grids_are_the_same_in_all_windows(foreign, method, size):
    recipes = [dataclasses.replace(recipe(["b2", "b3"], method), mask_buffer=2)]
    assert_same(walked(foreign, recipes, size), whole(foreign, recipes))


@pytest.mark.parametrize(("size", "reach", "buffer"), [(16, 3, 0), (32, 7, 3), (64, 1, 1), (48, 0, 5)])
@pytest.mark.parametrize("layout", test_strips.LAYOUTS)
def test_buffers_and_margins_are_the_same_in_all_windows(blotted, layout, size, reach, buffer):
    recipes = [dataclasses.replace(recipe(BANDS), reach=reach, mask_buffer=buffer)]
    assert_same(walked(blotted[layout], recipes, size), whole(blotted[layout], recipes))


def test_a_margin_holds_the_values_and_the_validity_of_the_tile(inventories):
    """What later steps find around a window is what a read of the whole tile says."""
    inventory, recipes = inventories["tiled"], [dataclasses.replace(recipe(("b2", "b5")), reach=5)]
    with Images() as images:
        tile = cube.Tile(inventory, recipes, 1, images)
        walk, before = cube.Walk(tile, 48), None
        everything = cube.read(inventory, recipes, GRID.whole, 1)._cube.series[0]
        for step in walk.steps:
            part = walk.begin(step)
            for job in part.reading:
                job()
            for one in before.series if before else ():
                rows, columns = one.around.toslices()
                own = np.s_[one.around.row_off - one.held.row_off :, one.around.col_off - one.held.col_off :]
                held = one.clear[:, *own][:, : one.around.height, : one.around.width]
                expected = everything.clear[:, rows, columns]
                assert np.array_equal(held, expected)
                box = one.boxes[0]
                values = one.values[0][:, 0, one.around.row_off - box.row_off :, one.around.col_off - box.col_off :]
                values = values[:, : one.around.height, : one.around.width]
                assert np.array_equal(values[held], everything.values[0][:, 0, rows, columns][held])
            before = part


def test_a_buffer_grows_what_masks_hide_by_so_many_pixels(blotted):
    inventory = blotted["tiled"]
    plain = whole(inventory, [recipe(("b2",))])
    grown = whole(inventory, [dataclasses.replace(recipe(("b2",)), mask_buffer=3)])
    assert 0.9 < grown.validity.sum() / plain.validity.sum() < 0.97
    first = dataclasses.replace(inventory, acquisitions=inventory.acquisitions[:1])
    alone = dataclasses.replace(recipe(("b2",)), mask_buffer=3)
    hidden = whole(first, [recipe(("b2",))]).validity == 0
    expected = scipy.ndimage.binary_dilation(hidden, np.ones((7, 7)))
    assert np.array_equal(whole(first, [alone]).validity == 0, expected)


@pytest.mark.parametrize("reach", [0, 4])
def test_windows_that_nobody_asks_for_are_not_read(inventories, reach):
    inventory, recipes = inventories["tiled"], [dataclasses.replace(recipe(BANDS), reach=reach)]
    area = Window(60, 70, 40, 30)

    def near(window):
        return (
            window.row_off < area.row_off + area.height
            and area.row_off < window.row_off + window.height
            and window.col_off < area.col_off + area.width
            and area.col_off < window.col_off + window.width
        )

    expected = whole(inventory, recipes)
    with Images() as images:
        tile = cube.Tile(inventory, recipes, 1, images)
        walk = cube.Walk(tile, 16, near)
        assert 0 < len(walk.steps) < len(cube.Walk(tile, 16).steps) / 2
        found = np.zeros(expected.features.shape, expected.features.dtype)
        seen, before = np.zeros(expected.validity.shape, np.uint16), None
        for step in [*walk.steps, None]:
            part = walk.begin(step) if step else None
            for job in part.reading if part else ():
                job()
            if before:
                made, place = cube.Whole(before), before.window.toslices()
                found[place], seen[place] = made.features(), made.validity
            before = part
    rows, columns = area.toslices()
    assert np.array_equal(seen[rows, columns], expected.validity[rows, columns])
    good = expected.enough[rows, columns]
    assert np.array_equal(found[rows, columns][good], expected.features[rows, columns][good])


def test_some_pixels_are_read_with_what_lies_around_them(inventories):
    """Sampling: features with a margin are those of the whole tile, and so is what lies around the pixels."""
    inventory, recipes = inventories["tiled"], [dataclasses.replace(recipe(BANDS), reach=4)]
    expected = whole(inventory, recipes)
    rows, columns = np.array([5, 90, 91, 150]), np.array([3, 100, 101, 170])
    everything = cube.read(inventory, recipes, GRID.whole, 1)._cube.series[0]
    with Images() as images:
        tile = cube.Tile(inventory, recipes, 1, images)
        part = tile.alone(GRID.whole, (GRID.height, GRID.width), cube.Memory(), Scattered(rows, columns))
        for job in part.reading:
            job()
        found = cube.Whole(part).features()
    good = expected.enough[rows, columns]
    assert good.any()
    assert np.array_equal(found[rows, columns][good], expected.features[rows, columns][good])
    (series,) = part.series
    for row, column in zip(rows, columns, strict=True):
        around = np.s_[:, max(row - 4, 0) : row + 5, max(column - 4, 0) : column + 5]
        assert np.array_equal(series.clear[around], everything.clear[around])
