"""Windows that leave something to their neighbours, against one read of the whole."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from unit.rasters_for_tests import acquired, coarser, constant, noise, save

from parcelle import cube, resample, strips
from parcelle.acquisitions import Inventory
from parcelle.features import Recipe
from parcelle.grid import Grid
from parcelle.images import Images
from parcelle.sensors import Asset, Mask
from parcelle.series import Scattered
from parcelle.strips import Memory

# No side is a multiple of any window, nor of 20 or 60 m.
GRID = Grid("EPSG:32631", 500_000, 4_900_000, 10, 205, 171)
DATES = ("2018-03-01", "2018-03-06", "2018-03-11", "2018-03-21")
LAYOUTS = {"tiled": {"tiled": True, "blockxsize": 16, "blockysize": 16}, "striped": {"blockysize": 8}}
FACTORS = {"b2": 1, "b3": 1, "b5": 2, "b6": 2, "b1": 6}
METHODS = ["nearest", "bilinear", "cubic"]

# What the masks hide of each acquisition: nothing, some windows but not those beside them, all.
HIDDEN = [[], [np.s_[:130, 60:]], [np.s_[:]], [np.s_[62:, :64], np.s_[:64, 62:]], [np.s_[:, 62:130]], [np.s_[90:]]]


def recipe(bands, method="bilinear", sensor="s2", integer=True):
    indices = (("ndvi", "(b3-b2)/(b3+b2)", 10_000),) if {"b2", "b3"} <= set(bands) else ()
    return Recipe(sensor, integer, tuple(bands), integer, method, indices, DATES)


def write_bands(folder, i, layout):
    """Bands of an acquisition: b2 has a file of its own, the others share one by pixel size; some have no data."""
    assets = {}
    for factor, names in ((1, ["b2"]), (1, ["b3"]), (2, ["b5", "b6"]), (6, ["b1"])):
        grid = coarser(GRID, factor)
        pixels = noise(grid, len(names), low=-200, seed=100 * i + factor + len(assets), dtype="int16")
        if i in (1, 5):  # patches that lie across borders of windows, and single pixels in their corners
            pixels[:, 90 // factor : 100 // factor + 1, 40 // factor : 140 // factor] = -10_000
            pixels[-1, 64 // factor, 64 // factor] = pixels[0, 95 // factor, 95 // factor] = -10_000
        profile = LAYOUTS[layout] | {"interleave": "band"}
        path = save(folder / f"{i}-{names[0]}.tif", pixels, grid, **profile)
        assets |= {name: Asset(path, k, 1e-4, 0, -10_000) for k, name in enumerate(names, start=1)}
    return assets


def write_masks(folder, i, layout):
    """A mask of 10 m that hides whole windows, and one of 20 m that hides pixels here and there."""
    flags = (noise(GRID, seed=7 * i)[0] < 1500).astype("uint8")
    for part in HIDDEN[i]:
        flags[part] = 1
    coarse = coarser(GRID, 2)
    masks = {1: flags, 2: (noise(coarse, seed=9 * i)[0] < 500).astype("uint8")}
    paths = {f: save(folder / f"{i}-m{f}.tif", m, coarser(GRID, f), **LAYOUTS[layout]) for f, m in masks.items()}
    return [Mask(paths[1], 1, (1,)), Mask(paths[2], 1, (), 0xFF)]


@pytest.fixture(scope="module")
def inventories(tmp_path_factory):
    """Six acquisitions on five days, by layout."""
    made = {}
    for layout in LAYOUTS:
        folder = tmp_path_factory.mktemp(layout)
        days = [(1, 10), (4, 10), (9, 10), (9, 11), (14, 10), (20, 10)]
        acquisitions = [
            acquired(day, write_bands(folder, i, layout), write_masks(folder, i, layout), hour)
            for i, (day, hour) in enumerate(days)
        ]
        made[layout] = Inventory("31TCJ", GRID, tuple(acquisitions))
    return made


@dataclass
class Read:
    """What models see of a whole tile; `flags`: of each window, what was read of which acquisition."""

    features: np.ndarray
    validity: np.ndarray
    enough: np.ndarray
    clear: list[np.ndarray]
    flags: list
    blocks: int


def whole(inventory, recipes):
    found = cube.read(inventory, recipes, inventory.grid.whole, 1)
    return Read(found.features(), found.validity, found.enough, list(found.clear), [], 0)


def walked(inventory, recipes, size, threads=3):
    """Read and look at windows as a tile is mapped: one is looked at only once the next one is read."""
    with Images() as images, ThreadPoolExecutor(threads) as pool:
        tile = cube.Tile(inventory, recipes, 1, images)
        walk = cube.Walk(tile, size)
        made = Read(
            np.zeros((*tile.shape, tile.features), tile.dtype),
            np.zeros(tile.shape, np.uint16),
            np.zeros(tile.shape, bool),
            [np.zeros(len(s.dates), np.int64) for s in tile.sensors],
            [],
            0,
        )
        before = None
        for step in walk.steps:
            part = walk.begin(step)
            list(pool.map(lambda job: job(), part.reading))
            if before:
                look(before, made)
            before = part
        look(before, made)
        made.blocks = images.blocks
    return made


def look(part, made):
    found, place = cube.Whole(part), part.window.toslices()
    made.features[place], made.validity[place], made.enough[place] = found.features(), found.validity, found.enough
    made.clear = [total + more for total, more in zip(made.clear, found.clear, strict=True)]
    made.flags += [(s.read.copy(), s.known.copy(), s.flawed.copy(), s.suspect.copy()) for s in part.series]


def assert_same(found, expected):
    assert np.array_equal(found.enough, expected.enough)
    assert 0.5 < expected.enough.mean() < 1
    assert np.array_equal(found.validity, expected.validity)
    assert [c.tolist() for c in found.clear] == [c.tolist() for c in expected.clear]
    # Features of pixels without a valid date mean nothing.
    assert found.features[expected.enough].tobytes() == expected.features[expected.enough].tobytes()


@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.integers(16, 130),
    st.integers(16, 130),
    st.sampled_from([0, 2, 4, 6, 12]),
)
def test_steps_cover_a_grid_once(shape, height, width, back):
    fresh = [
        Window(column, row, min(width, shape[1] - column), min(height, shape[0] - row))
        for row in range(0, shape[0], height)
        for column in range(0, shape[1], width)
    ]
    count = np.zeros(shape, int)
    read = np.zeros(shape, bool)
    for step, window in zip(strips.steps(fresh, shape, back), fresh, strict=True):
        assert step.fresh == window
        assert (step.row, step.column) == (window.row_off // height, window.col_off // width)
        read[window.toslices()] = True
        count[step.window.toslices()] += 1
        # Everything that has a say in the window was read before, or now.
        around = (slice(max(s.start - back, 0), s.stop + back) for s in step.window.toslices())
        assert read[tuple(around)].all()
    assert (count == 1).all()


@pytest.mark.parametrize("size", [64, 96, 128])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("bands", [["b2", "b3", "b5", "b6"], ["b6", "b2", "b1", "b3", "b5"]], ids=["20", "60"])
def test_a_walk_has_the_bits_of_the_whole(inventories, layout, method, size, bands):
    inventory, recipes = inventories[layout], [recipe(bands, method)]
    assert_same(walked(inventory, recipes, size), whole(inventory, recipes))


def test_the_walks_meet_all_that_can_happen(inventories):
    """Else the tests above would show little."""
    flags = walked(inventories["tiled"], [recipe(list(FACTORS)[:4])], 64).flags
    assert len(flags) == 12
    read, known, flawed, suspect = (np.array(values) for values in zip(*flags, strict=True))
    assert not read[:, 2].any()
    assert read[:, 0].all()
    ways = {(bool(r), *map(bool, k)) for r, k in zip(read[4:].ravel(), known[4:].reshape(-1, 2), strict=True)}
    assert ways >= {(True, True, True), (True, True, False), (True, False, True), (True, False, False)}
    assert (flawed & suspect).any()
    assert (flawed & ~suspect).any()
    assert (suspect & ~flawed & read).any()


@pytest.mark.parametrize("factors", [(2,), (2, 3), (1, 3)])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("row", "column"), [(47, 47), (47, 48), (48, 47), (48, 48), (143, 95)])
def test_one_missing_value_spoils_the_same_pixels(tmp_path, factors, method, row, column):
    """It lies in a corner of a window, so that windows on all sides hear of it from that one alone."""
    assets = {}
    for factor in factors:
        grid = coarser(GRID, factor)
        pixels = noise(grid, seed=factor, dtype="int16")
        pixels[0, row // factor, column // factor] = -1
        path = save(tmp_path / f"{factor}.tif", pixels, grid, **LAYOUTS["tiled"])
        assets[f"b{factor}"] = Asset(path, 1, 1e-4, 0, -1)
    inventory = Inventory("31TCJ", GRID, (acquired(3, assets),))
    recipes = [recipe(list(assets), method)]
    found = walked(inventory, recipes, 48, threads=1)
    assert_same(found, whole(inventory, recipes))
    reach = max(factor * (2 * resample.MARGIN[method] if factor > 1 else 0) + factor for factor in factors)
    assert found.enough.sum() >= found.enough.size - reach**2
    assert not found.enough[row, column]


def test_sensors_are_walked_together(tmp_path, inventories):
    """One of int16 with 20 and 60 m, one of decibels of 10 and 20 m with a single date, and holes in both."""
    assets, pixels = {}, {}
    for factor, name in ((1, "vv"), (2, "vh")):
        grid = coarser(GRID, factor)
        pixels[name] = noise(grid, dtype="float32")[0] / 500 - 30
        pixels[name][60 // factor : 70 // factor, 50 // factor : 140 // factor] = np.nan
        path = save(tmp_path / f"{name}.tif", pixels[name], grid, **LAYOUTS["tiled"])
        assets[name] = Asset(path, nodata=float("nan"))
    inventory = Inventory("31TCJ", GRID, (acquired(5, assets, sensor="s1"), *inventories["tiled"].acquisitions))
    recipes = [recipe(FACTORS), recipe(assets, "cubic", sensor="s1", integer=False)]
    found = walked(inventory, recipes, 96)
    assert_same(found, whole(inventory, recipes))
    assert np.array_equal(found.features[..., -2][found.enough], pixels["vv"][found.enough])


def blocks_of(paths):
    """Number of blocks in some files."""
    total = 0
    for path in paths:
        with rasterio.open(path) as image:
            height, width = image.block_shapes[0]
            total += -(-image.height // height) * -(-image.width // width) * image.count
    return total


def files_of(acquisition):
    return {*(a.path for a in acquisition.assets.values()), *(m.path for m in acquisition.masks)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
def test_each_block_is_decoded_once(inventories, layout, method):
    """Of acquisitions of which a mask hides no window."""
    chosen = [inventories[layout].acquisitions[0]]
    inventory = Inventory("31TCJ", GRID, tuple(chosen))
    found = walked(inventory, [recipe(FACTORS, method)], 128)
    assert found.blocks == blocks_of(files_of(chosen[0]))


def test_what_masks_hide_is_not_decoded(inventories):
    for i in (1, 3, 4, 5):
        acquisition = inventories["tiled"].acquisitions[i]
        found = walked(Inventory("31TCJ", GRID, (acquisition,)), [recipe(list(FACTORS)[:4])], 64)
        paths = files_of(acquisition) - {acquisition.assets["b1"].path}
        assert found.blocks < blocks_of(paths)
    hidden = inventories["tiled"].acquisitions[2]
    found = walked(Inventory("31TCJ", GRID, (hidden,)), [recipe(FACTORS)], 96)
    assert found.blocks == blocks_of({m.path for m in hidden.masks})


def test_what_a_hidden_window_would_have_left_is_read_again_and_no_more(tmp_path):
    grid = Grid("EPSG:32631", 0, 0, 10, 192, 192)
    coarse = coarser(grid, 2)
    flags = constant(0, grid, "uint8")
    flags[60:128, 60:128] = 1  # the middle window, with the strips that it is mapped up and to the left
    image = save(tmp_path / "a.tif", noise(coarse, dtype="int16"), coarse, **LAYOUTS["tiled"])
    mask = Mask(save(tmp_path / "m.tif", flags, grid, **LAYOUTS["tiled"]), 1, (1,))
    inventory = Inventory("31TCJ", grid, (acquired(1, {"b5": Asset(image, 1, 1e-4)}, [mask]),))
    with Images() as images:
        tile = cube.Tile(inventory, [recipe(["b5"])], 1, images)
        walk, decoded = cube.Walk(tile, 64), []
        for step in walk.steps:
            for job in walk.begin(step).reading:
                before = images.blocks
                job()
                decoded.append(images.blocks - before - 16)  # of the mask
    # Four blocks a window. Right of the hidden one, those around; below it, those above; then all is known again.
    assert decoded == [4, 4, 4, 4, 0, 9, 4, 6, 4]


@pytest.fixture
def reads(monkeypatch):
    """Windows that are read, by path."""
    found, real = [], Images.read

    def note(self, path, bands, window, out=None):
        found.append((path, window))
        return real(self, path, bands, window, out)

    monkeypatch.setattr(Images, "read", note)
    return found


def blocks_with_a_say(path, rows, columns, method):
    """Blocks of a file that hold pixels, or what is interpolated for them: ``{(row, column)}``."""
    with rasterio.open(path) as image:
        (height, width), size, factor = image.block_shapes[0], image.shape, round(image.res[0] / GRID.resolution)
    found = set()
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        pair = [resample.taps(v, 1, factor, s, method) for v, s in ((row, size[0]), (column, size[1]))]
        say = [{int(i) for i, w in zip(indices[0], weights[0], strict=True) if w} for indices, weights in pair]
        found |= {(r // height, c // width) for r, c in itertools.product(*say)}
    return found


def scattered(seed, count=12):
    """Pixels here and there, some side by side, ``(row, column)``."""
    random = np.random.default_rng(seed)
    rows, columns = random.integers(0, GRID.height, count), random.integers(0, GRID.width, count)
    every = {(int(r), int(c) + k) for r, c in zip(rows, columns, strict=True) for k in (0, 1) if c + k < GRID.width}
    every |= {(0, 0), (GRID.height - 1, GRID.width - 1), (31, 32), (95, 96)}  # corners of the tile, and of blocks
    return np.array(sorted(every)).T


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
def test_only_blocks_that_hold_wanted_pixels_are_read(inventories, reads, layout, method):
    acquisition = inventories[layout].acquisitions[0]
    rows, columns = scattered(3)
    with Images() as images:
        tile = cube.Tile(Inventory("31TCJ", GRID, (acquisition,)), [recipe(FACTORS, method)], 1, images)
        part = tile.alone(GRID.whole, tile.shape, Memory(), Scattered(rows, columns))
        for job in part.reading:
            job()
    how = {a.path: method for a in acquisition.assets.values()} | {m.path: "nearest" for m in acquisition.masks}
    expected = {path: blocks_with_a_say(path, rows, columns, by) for path, by in how.items()}
    found = {path: [] for path in how}
    for path, window in reads:
        with rasterio.open(path) as image:
            height, width = image.block_shapes[0]
        found[path].append((window.row_off // height, window.col_off // width))
        assert (window.row_off + window.height - 1) // height == found[path][-1][0]
        assert (window.col_off + window.width - 1) // width == found[path][-1][1]
    assert {path: sorted(blocks) for path, blocks in found.items()} == {p: sorted(b) for p, b in expected.items()}
    two = acquisition.assets["b5"].path  # two bands
    assert images.blocks == sum(len(b) * (2 if path == two else 1) for path, b in expected.items())
    assert images.blocks < blocks_of(how) * (0.5 if layout == "tiled" else 0.9)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [64, 96, 300])
def test_wanted_pixels_have_the_features_of_the_whole(inventories, layout, method, size):
    inventory, recipes = inventories[layout], [recipe(FACTORS, method)]
    expected = whole(inventory, recipes)
    rows, columns = scattered(5, 60)
    memories = itertools.cycle((Memory(), Memory()))
    seen = 0
    with Images() as images:
        tile = cube.Tile(inventory, recipes, 1, images)
        maker, every = cube.Maker(tile), tile.windows(size)
        for window in every:
            top, left = rows - window.row_off, columns - window.col_off
            inside = (top >= 0) & (top < window.height) & (left >= 0) & (left < window.width)
            if not inside.any():
                continue
            wanted = Scattered(rows[inside], columns[inside])
            part = tile.alone(window, (every[0].height, every[0].width), next(memories), wanted)
            for job in part.reading:
                job()
            enough = part.enough_at(rows[inside], columns[inside])
            assert np.array_equal(enough, expected.enough[rows[inside], columns[inside]])
            for row, column in zip(rows[inside][enough].tolist(), columns[inside][enough].tolist(), strict=True):
                made = maker.features(part, row - window.row_off, column - window.col_off, 1)[:, 0]
                assert made.tobytes() == expected.features[row, column].tobytes()
                seen += 1
    assert seen == expected.enough[rows, columns].sum() > 60


def test_memory_is_used_again():
    memory = Memory()
    first = memory.take("a", (2, 3), np.int16, 12)
    first[:] = 5
    again = memory.take("a", (3, 4), np.int16, 12)
    assert np.shares_memory(first, again)
    assert again.flags.c_contiguous
    assert again.reshape(-1)[:6].tolist() == [5] * 6
    assert not np.shares_memory(again, memory.take("b", (3, 4), np.int16, 12))
