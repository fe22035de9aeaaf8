import logging

import numpy as np
import pandas as pd
import pytest
import rasterio.features
import shapely
from unit import tiny

from parcelle import cube, features, sampling
from parcelle.errors import InputError, StaleError
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
        assert [str(t) for t in table.dtypes[-len(FEATURES) :]] == ["float32"] * len(FEATURES)


def test_samples_are_the_features_of_their_pixels(scene):
    table = sampled(scene, tiny.squares(scene.truth))
    assert list(table.columns) == [*sampling.KEYS, *FEATURES]
    data = cube.read(scene.inventory, tiny.recipes(), tiny.GRID.whole, 1)
    expected = data.features((table.row * tiny.GRID.width + table.column).to_numpy())
    assert np.array_equal(table[FEATURES].to_numpy(), expected)
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
        sampling.write(sampled(scene, pieces, window, threads, most), str(files[-1]))
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


def test_only_windows_with_polygons_are_read(scene, monkeypatch):
    pieces = tiny.pieces(
        shapely.box(500_020, 4_999_800, 500_120, 4_999_880), shapely.box(500_400, 4_999_600, 500_420, 4_999_620)
    )
    read, places = cube.read, []

    def counted(inventory, recipes, window, min_valid):
        places.append((window.row_off, window.col_off))
        return read(inventory, recipes, window, min_valid)

    monkeypatch.setattr(cube, "read", counted)
    sampled(scene, pieces, window=10, threads=2)
    pixels = sampling.pixels(pieces, tiny.GRID)
    assert sorted(places) == sorted(
        {(r // 10 * 10, c // 10 * 10) for r, c in zip(pixels.row, pixels.column, strict=True)}
    )
    assert len(places) == 3


def test_an_image_that_cannot_be_read_is_named(scene, monkeypatch):
    def broken(*_):
        raise InputError("x.tif cannot be read")

    monkeypatch.setattr(cube, "read", broken)
    with pytest.raises(InputError, match=r"x\.tif cannot be read"):
        sampled(scene, tiny.squares(scene.truth), threads=2)


def write(tmp_path, name, table):
    sampling.write(table, str(tmp_path / f"{name}.parquet"))
    return str(tmp_path / f"{name}.parquet")


def test_samples_of_a_region_come_from_all_its_tiles_in_one_order(scene, tmp_path):
    pieces = tiny.squares(scene.truth, region=lambda x, y: "west" if x < 500_200 else "east")
    table = sampled(scene, pieces)
    paths = [write(tmp_path, "T2", table), write(tmp_path, "T1", table[table.row > 30])]
    read = sampling.read(paths, "west")
    expected = [table.assign(tile="T2"), table[table.row > 30].assign(tile="T1")]
    expected = pd.concat([t[t.region == "west"] for t in expected])
    order = ["polygon", "tile", "row", "column"]
    assert list(read.columns) == [*sampling.KEYS, "tile", *FEATURES]
    pd.testing.assert_frame_equal(read, expected.sort_values(order, ignore_index=True)[list(read.columns)])
    pd.testing.assert_frame_equal(sampling.read(paths[::-1], "west"), read)


def test_a_polygon_in_two_tiles_keeps_no_more_pixels_than_one_in_one(scene, tmp_path):
    pieces = tiny.squares(scene.truth)
    few = sampled(scene, pieces, most=9)
    upper, lower = few[few.row < 15], few[few.row >= 15]
    both = [write(tmp_path, "T1", few), write(tmp_path, "T2", few.assign(row=few.row + 1))]
    kept = sampling.read(both, "whole", per_polygon_max=9)
    assert kept.groupby("polygon").size().max() == 9 and set(kept.tile) == {"T1", "T2"}
    parts = [write(tmp_path, "T1", upper), write(tmp_path, "T2", lower)]
    assert len(sampling.read(parts, "whole", per_polygon_max=9)) == len(few)


def test_a_tile_whose_samples_are_all_invalid(scene, tmp_path):
    table = sampled(scene, tiny.squares(scene.truth))
    paths = [write(tmp_path, "T1", table), write(tmp_path, "T2", table.iloc[:0])]
    for several in (paths, paths[::-1]):
        read = sampling.read(several, "whole")
        assert len(read) == len(table) and set(read.tile) == {"T1"}
        assert read[FEATURES].to_numpy().dtype == np.float32 and read.code.dtype == np.int32


def test_tiles_with_other_features_are_refused(scene, tmp_path):
    table = sampled(scene, tiny.squares(scene.truth))
    paths = [write(tmp_path, "T1", table), write(tmp_path, "T2", table.rename(columns={FEATURES[2]: "s2.b9.20180301"}))]
    with pytest.raises(InputError, match=r"T2.parquet: feature 3 is s2.b9.20180301, where s2.b11.20180301 is expected"):
        sampling.read(paths, "whole")


def test_samples_that_were_changed_are_refused(scene, tmp_path):
    path = write(tmp_path, "T1", sampled(scene, tiny.squares(scene.truth)))
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    with pytest.raises(StaleError, match=r"T1\.parquet was changed or cut after it was written"):
        sampling.read([path], "whole")
