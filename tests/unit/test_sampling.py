import itertools
import logging
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import rasterio
import rasterio.features
import shapely
from unit import tiny

from parcelle import cube, features, samples, sampling
from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.images import Images
from parcelle.sampling import Options

FEATURES = features.names(tiny.recipes())


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return tiny.scene(tmp_path_factory.mktemp("images"))


def blobs(count, seed=1):
    """Polygons of generic shape, some beyond the tile; they overlap."""
    random = np.random.default_rng(seed)
    shapes = []
    for _ in range(count):
        angles = np.sort(random.uniform(0, 2 * np.pi, 9))
        radius = random.uniform(8, 90, 9)
        x, y = random.uniform(499_950, 500_750), random.uniform(4_999_450, 5_000_050)
        shapes.append(shapely.Polygon(np.column_stack([x + radius * np.cos(angles), y + radius * np.sin(angles)])))
    return [shapely.make_valid(s, method="structure", keep_collapsed=False) for s in shapes]


def drawn(shapes):
    """Place of the first shape in each pixel by GDAL, −1 for none."""
    numbered = [(shape, i) for i, shape in reversed(list(enumerate(shapes)))]
    grid = tiny.GRID
    shape = (grid.height, grid.width)
    return rasterio.features.rasterize(numbered, shape, fill=-1, transform=grid.transform, dtype="int32")


def sampled(scene, pieces, window=64, threads=1, most=None, min_valid=1, recipes=None):
    return sampling.sample(
        scene.inventory, pieces, recipes or tiny.recipes(), Options(min_valid, most, window, threads)
    )


def test_pixels_are_those_whose_centre_is_in_a_polygon():
    shapes = blobs(20)
    pixels = sampling.pixels(tiny.pieces(*shapes), tiny.GRID)
    expected = drawn(shapes)
    found = np.full(expected.shape, -1)
    found[pixels.row, pixels.column] = [ord(name) - ord("a") for name in pixels.polygon]
    assert len(pixels) > 300
    assert np.array_equal(found, expected)


def test_pixels_have_keys_in_order():
    pieces = tiny.pieces(*blobs(6), code=[3, 5, 12, 3, 5, 12])
    pixels = sampling.pixels(pieces, tiny.GRID)
    assert list(pixels.columns) == sampling.KEYS
    assert [str(pixels[k].dtype) for k in ("code", "row", "column")] == ["int32"] * 3
    assert pixels.equals(pixels.sort_values(["polygon", "row", "column"], ignore_index=True))
    assert pixels.groupby("polygon").code.unique().map(list).to_dict() == {
        name: [code] for name, code in zip(pieces.polygon, pieces.code, strict=True) if name in set(pixels.polygon)
    }


def test_a_pixel_in_two_polygons_goes_to_the_first_name():
    both = tiny.pieces(
        shapely.box(500_000, 4_999_900, 500_100, 5_000_000), shapely.box(500_050, 4_999_900, 500_200, 5_000_000)
    )
    assert sampling.pixels(both, tiny.GRID).polygon.value_counts().to_dict() == {"a": 100, "b": 100}
    turned = sampling.pixels(both.iloc[::-1], tiny.GRID)
    pd.testing.assert_frame_equal(turned, sampling.pixels(both, tiny.GRID))


def test_a_pixel_on_the_border_of_two_regions_goes_to_the_first():
    """As `Areas.region_of` has it, so that the map's model there is the one that was validated."""
    halves = [shapely.box(500_000, 4_999_900, 500_055, 5_000_000), shapely.box(500_055, 4_999_900, 500_100, 5_000_000)]
    pieces = tiny.pieces(*halves, region=["a", "b"]).assign(polygon="p")
    pixels = sampling.pixels(pieces, tiny.GRID)
    assert len(pixels) == 100 and not pixels.duplicated(["row", "column"]).any()
    assert set(pixels.region[pixels.column <= 5]) == {"a"} and set(pixels.region[pixels.column > 5]) == {"b"}


def test_no_polygons_no_pixels(scene):
    none = tiny.pieces(shapely.box(0, 0, 1, 1)).iloc[:0]
    assert list(sampling.pixels(none, tiny.GRID).columns) == sampling.KEYS
    for pieces in (none, tiny.pieces(shapely.box(0, 0, 1, 1))):
        table = sampled(scene, pieces)
        assert len(table) == 0 and list(table.columns) == [*sampling.KEYS, *FEATURES]
        assert [str(t) for t in table.dtypes[-len(FEATURES) :]] == ["int16"] * len(FEATURES)


def test_samples_are_the_features_of_their_pixels(scene):
    table = sampled(scene, tiny.squares(scene.truth))
    assert list(table.columns) == [*sampling.KEYS, *FEATURES]
    expected = cube.read(scene.inventory, tiny.recipes(), tiny.GRID.whole, 1).features()
    assert np.array_equal(table[FEATURES].to_numpy(), expected[table.row, table.column])
    assert (table.code.to_numpy() == scene.truth[table.row, table.column]).all()


@pytest.mark.parametrize("min_valid", [1, 3, 5])
def test_pixels_with_too_few_valid_dates_are_no_samples(min_valid, scene, caplog):
    pieces = tiny.squares(scene.truth)
    with caplog.at_level(logging.INFO):
        table = sampled(scene, pieces, min_valid=min_valid, window=16)
    wanted = sampling.pixels(pieces, tiny.GRID)
    enough = scene.counts["s2"][wanted.row, wanted.column] >= min_valid
    assert 0 < enough.sum() < len(wanted)
    pd.testing.assert_frame_equal(table[sampling.KEYS], wanted[enough].reset_index(drop=True))
    lost = len(wanted) - enough.sum()
    assert f"{lost} pixels have fewer than {min_valid} valid dates and are no samples" in caplog.messages
    for code in (3, 5, 12):
        of_class = (wanted.code == code).to_numpy()
        expected = f"class {code}: {of_class.sum()} pixels in polygons, {(of_class & enough).sum()} samples"
        assert expected in caplog.messages


def test_every_sensor_needs_its_valid_dates(tmp_path):
    both = tiny.scene(tmp_path, radar=True)
    pieces = tiny.pieces(tiny.GRID.footprint())
    table = sampled(both, pieces, min_valid=2, recipes=tiny.recipes(radar=True))
    enough = (both.counts["s2"] >= 2) & (both.counts["s1"] >= 2)
    assert len(table) == enough.sum() and enough[table.row, table.column].all()
    assert table.row.min() == 4 and list(table.columns)[-1] == "s1.vv.20180401"


@pytest.mark.parametrize("most", [None, 4])
def test_the_table_does_not_depend_on_windows_or_threads(most, scene, tmp_path):
    pieces = tiny.pieces(*blobs(20))
    files = []
    for window, threads in [(64, 1), (16, 1), (17, 2), (29, 3), (512, 2)]:
        files.append(tmp_path / f"{window}.parquet")
        samples.write(sampled(scene, pieces, window, threads, most), str(files[-1]))
    assert len({f.read_bytes() for f in files}) == 1
    assert len(pd.read_parquet(files[0])) > 50


def test_per_polygon_max_keeps_the_same_pixels_whatever_stands_beside(scene):
    pieces = tiny.squares(scene.truth)
    every, few, fewer = (sampled(scene, pieces, most=most, window=16) for most in (None, 9, 4))
    counts = every.polygon.value_counts().to_dict()
    assert few.polygon.value_counts().to_dict() == {name: min(n, 9) for name, n in counts.items()}
    assert max(counts.values()) > 9
    # The first four of nine, and all of them among the valid pixels.
    assert set(map(tuple, fewer[sampling.KEYS].to_numpy())) < set(map(tuple, few[sampling.KEYS].to_numpy()))
    assert set(map(tuple, few[sampling.KEYS].to_numpy())) < set(map(tuple, every[sampling.KEYS].to_numpy()))
    alone = sampled(scene, pieces.iloc[7:8], most=9)
    pd.testing.assert_frame_equal(alone, few[few.polygon == pieces.polygon[7]].reset_index(drop=True))


def test_kept_pixels_are_spread_over_the_polygon(scene):
    """By a hash, not the first rows: over 35 squares, kept and other pixels have the same mean place."""
    table = sampled(scene, tiny.squares(scene.truth), most=10)
    within = np.column_stack([table.row % tiny.PATCH, table.column % tiny.PATCH])
    assert within.mean(axis=0) == pytest.approx([4.5, 4.5], abs=0.5)


def test_polygons_without_a_pixel_are_named(scene, caplog):
    thin = shapely.box(500_106, 4_999_800, 500_114, 4_999_900)
    pieces = tiny.pieces(shapely.box(500_000, 4_999_900, 500_100, 5_000_000), thin, thin.buffer(-1), code=[3, 5, 5])
    table = sampled(scene, pieces)
    assert set(table.polygon) == {"a"}
    places = ", ".join(f"({x:.0f}, {y:.0f})" for x, y in zip(pieces.x[1:], pieces.y[1:], strict=True))
    assert f"2 polygons hold no pixel centre here and give no sample, at {places}" in caplog.messages


def test_large_polygons_hold_the_same_pixels_part_by_part(scene, monkeypatch):
    pieces = tiny.pieces(shapely.Point(500_300, 4_999_700).buffer(170))
    whole = sampling.pixels(pieces, tiny.GRID)
    monkeypatch.setattr(sampling, "PART", 7)
    pd.testing.assert_frame_equal(sampling.pixels(pieces, tiny.GRID), whole)
    assert len(whole) > 49


BIG = Grid("EPSG:32631", 500_000, 5_000_000, 10, 160, 160)


@pytest.fixture(scope="module")
def big(tmp_path_factory):
    """Images of blocks of 16 × 16 pixels; each fifth date is masked in the upper half, the last one everywhere."""
    made = tiny.scene(tmp_path_factory.mktemp("big"), BIG, dates=7, block=16)
    for i, rows in ((4, 80), (6, 160)):
        path = made.inventory.acquisitions[i].masks[0].path
        with rasterio.open(path, "r+") as image:
            flags = image.read(1)
            flags[:rows] = 2
            image.write(flags, 1)
        made.valid["s2"][i, :rows] = False
    return made


class Counting(Images):
    """Images that remember what was read of them."""

    last = None

    def __init__(self):
        super().__init__()
        Counting.last, self.seen = self, []

    def read(self, path, bands, window, out=None):
        self.seen.append((path, window))
        return super().read(path, bands, window, out)


def blocks(rows, columns, factor):
    """Blocks of 16 × 16 pixels that have a say in some pixels, by bilinear interpolation."""
    found = set()
    for step in itertools.product((-0.5, 0.5) if factor > 1 else (0,), repeat=2):
        row, column = ((a + 0.5) / factor + s for a, s in zip((rows, columns), step, strict=True))
        size = -(-BIG.height // factor)
        places = np.clip(np.floor([row, column]).astype(int), 0, size - 1) // 16
        found |= set(zip(*places.tolist(), strict=True))
    return found


def needed(big, pixels, inside):
    """Blocks of each file that hold pixels, as (name, row, column); of a date, if one of its pixels is clear."""
    expected = set()
    for acquisition, clear in zip(big.inventory.acquisitions, big.valid["s2"], strict=True):
        for _, part in pixels.groupby(inside):
            rows, columns = part.row.to_numpy(), part.column.to_numpy()
            factors = {acquisition.masks[0].path: 1}
            if clear[rows, columns].any():
                factors |= {acquisition.assets["b4"].path: 1, acquisition.assets["b11"].path: 2}
            expected |= {(path, *block) for path, factor in factors.items() for block in blocks(rows, columns, factor)}
    return expected


def inner(count=9, seed=0):
    """Polygons of some pixels that lie in windows of 32 × 32 pixels, not at their borders."""
    random, shapes = np.random.default_rng(seed), []
    for place in random.choice(25, count, replace=False):
        row, column = divmod(place, 5)
        x, y = 500_000 + 320 * column + random.uniform(25, 80), 5_000_000 - 320 * row - random.uniform(25, 80)
        shapes.append(shapely.box(x, y - random.uniform(20, 210), x + random.uniform(20, 210), y))
    return tiny.pieces(*shapes)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("window", [32, 33, 47])
def test_only_blocks_that_hold_polygons_are_decoded_once_each(window, threads, big, monkeypatch, caplog):
    monkeypatch.setattr(sampling, "Images", Counting)
    pieces = inner()
    with caplog.at_level(logging.INFO):
        sampling.sample(big.inventory, pieces, tiny.recipes(), Options(1, None, window, threads))
    pixels = sampling.pixels(pieces, BIG)
    expected = needed(big, pixels, [pixels.row // 32, pixels.column // 32])
    found = [(path, part.row_off // 16, part.col_off // 16) for path, part in Counting.last.seen]
    assert sorted(found) == sorted(expected)
    sizes = {a.assets["b4"].path: 2 * 2 for a in big.inventory.acquisitions}
    sizes |= {a.assets["b11"].path: 2 for a in big.inventory.acquisitions}
    size = 256 * sum(sizes.get(path, 1) for path, _, _ in expected)
    assert Counting.last.decoded == size
    assert f"{Counting.last.blocks} blocks decoded, {size / 2**20:.1f} MiB" in caplog.messages
    # Of 100 blocks of a file of 10 m; of the dates, the last one is masked everywhere, one in the upper half.
    assert 2 * len(expected) < 7 * (100 + 100 + 25)
    assert big.inventory.acquisitions[6].assets["b4"].path not in {path for path, _, _ in expected}


@pytest.mark.parametrize("window", [32, 64, 100])
@pytest.mark.parametrize("apart", [17, 40])
def test_blocks_that_hold_polygons_at_the_borders_of_windows_are_decoded_once_too(apart, window, big, monkeypatch):
    monkeypatch.setattr(sampling, "Images", Counting)
    corners = itertools.product(range(0, 1600, 10 * apart), repeat=2)
    pieces = tiny.pieces(*(shapely.box(500_000 + x, 4_999_910 - y, 500_090 + x, 5_000_000 - y) for x, y in corners))
    table = sampling.sample(big.inventory, pieces, tiny.recipes(), Options(1, None, window, 2))
    expected = cube.read(big.inventory, tiny.recipes(), BIG.whole, 1).features()
    assert np.array_equal(table[FEATURES].to_numpy(), expected[table.row, table.column]) and len(table) > 1000
    seen = Counter((path, part.row_off // 16, part.col_off // 16) for path, part in Counting.last.seen)
    # Where all pixels of one window are masked at a date, its neighbours may each look for what it left out.
    assert seen.total() <= 1.02 * len(seen)
    pixels = sampling.pixels(pieces, BIG)
    hold = needed(big, pixels, pixels.row > -1)
    assert set(seen) <= hold and len(seen) > 0.9 * len(hold)


@pytest.mark.parametrize("threads", [1, 3])
def test_an_image_that_cannot_be_read_is_named(threads, scene, monkeypatch):
    def broken(*_):
        raise InputError("x.tif cannot be read")

    monkeypatch.setattr(Images, "read", broken)
    with pytest.raises(InputError, match=r"x\.tif cannot be read"):
        sampled(scene, tiny.squares(scene.truth), threads=threads)


@pytest.mark.parametrize(("most", "last"), [(91, [(7, 11)]), (90, [(7, 10), (10, 11)])])
def test_pixels_that_lie_near_each_other_on_a_row_are_made_together(most, last, monkeypatch):
    monkeypatch.setattr(sampling, "CHUNK", most)
    rows = np.array([3, 3, 3, 3, 4, 4, 9, 11, 11, 11, 11])
    columns = np.array([0, 1, 33, 66, 66, 67, 67, 20, 50, 80, 110])
    # Those of row 3 are 1, 32 and 33 pixels apart; row 11 has a run of 91 pixels.
    assert list(sampling._spans(rows, columns)) == [(0, 3), (3, 4), (4, 6), (6, 7), *last]
    assert list(sampling._spans(rows[:0], columns[:0])) == []


def test_an_image_that_is_gone_is_named(tmp_path):
    scene = tiny.scene(tmp_path)
    (tmp_path / "S2_20180406_20m.tif").unlink()
    with pytest.raises(InputError, match=r"S2_20180406_20m\.tif cannot be read .*: repair or remove the product"):
        sampled(scene, tiny.squares(scene.truth))


def test_expressions_that_are_undefined_where_there_is_no_data_are_no_matter(tmp_path):
    """The last six columns are never seen, and 0 there; so are pixels between the samples of a row."""
    scene, text = tiny.scene(tmp_path), "log(b4**2+b8**2+b11**2)"
    table = sampled(scene, tiny.pieces(tiny.GRID.footprint()), min_valid=3, recipes=tiny.recipes(additional=[text]))
    enough = scene.counts["s2"] >= 3
    assert len(table) == enough.sum() and not enough[:, -6:].any()
    for day in ("20180301", "20180401", "20180501"):
        values = sum(table[f"s2.{band}.{day}"].to_numpy(float) ** 2 for band in ("b4", "b8", "b11"))
        assert table[f"s2.{text}.{day}"].to_numpy() == pytest.approx(np.log(values), rel=1e-6)


def test_expressions_that_are_undefined_at_a_sample_are_refused(tmp_path):
    scene = tiny.scene(tmp_path)
    square = tiny.pieces(shapely.box(500_200, 4_999_700, 500_300, 4_999_800))
    text = "log(b4-20000)"
    message = (
        r"s2: 'log\(b4-20000\)' \(log\(b4-20000\)\) is not a finite number at some pixels \(logarithm or root of a "
        r"negative value\?\)\. Write it so that it is defined everywhere\."
    )
    with pytest.raises(InputError, match=message):
        sampled(scene, square, recipes=tiny.recipes(additional=[text]))
    nowhere = tiny.pieces(shapely.box(500_640, 4_999_500, 500_700, 5_000_000))
    assert len(sampled(scene, nowhere, recipes=tiny.recipes(additional=[text]))) == 0
