"""Features as rasters: those that are asked for, with the values that samples have."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import shapely
from rio_cogeo.cogeo import cog_validate
from unit import functions_for_tests as functions
from unit import tiny
from unit.rasters_for_tests import acquired, noise, save

from parcelle import cube, feature_map, features, mapping, sampling
from parcelle.acquisitions import Inventory
from parcelle.areas import Areas
from parcelle.errors import SettingsError
from parcelle.features import Recipe
from parcelle.grid import Grid
from parcelle.sensors import Asset

RECIPES = tiny.recipes(radar=True, additional=["b4*b8/(b11+1)"])
EXPRESSION = "s2.b4*b8/(b11+1)"
TAGS = {"PARCELLE_VERSION": "1.2.3", "PARCELLE_SETTINGS": "0123456789abcdef"}
SIZE = {"acquisitions": 6, "bands": 3, "dates": 6, "density": 2.25, "files": 18}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return tiny.scene(tmp_path_factory.mktemp("images"), radar=True, block=16)


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    return functions.write(tmp_path_factory.mktemp("functions"))


def written(scene, path, names, sources=RECIPES, min_valid=2, window=64, threads=1, areas=None):
    options = {"window": window, "threads": threads, "tags": TAGS, "areas": areas}
    feature_map.write(scene.inventory, sources, names, str(path), min_valid, **options)
    return path.read_bytes()


def read(path):
    with rasterio.open(path) as image:
        return image.read(), image.descriptions, image.nodata, set(image.dtypes)


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["s2.ndvi.*"], [f"s2.ndvi.2018{m}01" for m in ("03", "04", "05")]),
        (["s1.*", "s2.b4.20180401"], ["s2.b4.20180401", "s1.vv.20180301", "s1.vv.20180401"]),
        (["*.b?.*0301"], ["s2.b4.20180301", "s2.b8.20180301"]),
        ([EXPRESSION + ".20180301", "*0301"], ["s2.b4.20180301", "s2.b8.20180301", "s2.b11.20180301"]
            + ["s2.ndvi.20180301", EXPRESSION + ".20180301", "s1.vv.20180301"]),
        ([], []),
    ],
)  # fmt: skip
def test_features_are_chosen_by_patterns_in_their_own_order(patterns, expected):
    assert feature_map.chosen(RECIPES, patterns) == expected


@pytest.mark.parametrize(
    ("pattern", "nearest"),
    [
        ("s2.nvdi.*", "s2.ndvi.20180501"),
        ("S1.vv.20180401", "s1.vv.20180401"),
        ("s2.NDVI.*", "s2.ndvi.20180301"),
        ("S1.VV.*", "s1.vv.20180301"),
        ("S2.NVDI.20180401", "s2.ndvi.20180401"),
    ],
)
def test_a_pattern_without_a_feature_is_refused(pattern, nearest):
    """Whatever its capitals, the nearest name is told."""
    with pytest.raises(SettingsError) as error:
        feature_map.chosen(RECIPES, ["s2.b4.*", pattern])
    assert f"map.features: no feature matches {pattern!r}; the nearest is '{nearest}" in str(error.value)


@pytest.mark.parametrize(
    ("patterns", "dtype", "nodata"),
    [
        (["s2.b?.*", "s2.b11.*", "s2.ndvi.*"], "int16", -32768),
        (["s2.b4.*", "s1.*"], "float32", np.nan),
        (["s2.*"], "float32", np.nan),
    ],
)
def test_values_are_those_of_the_samples(patterns, dtype, nodata, scene, tmp_path):
    names = feature_map.chosen(RECIPES, patterns)
    written(scene, tmp_path / "a.tif", names)
    values, described, stated, dtypes = read(tmp_path / "a.tif")
    assert (list(described), dtypes) == (names, {dtype})
    assert stated == nodata or (np.isnan(nodata) and np.isnan(stated))
    table = sampling.sample(scene.inventory, tiny.squares(scene.truth), RECIPES, sampling.Options(2, None, 32, 1))
    assert len(table) > 500
    found = values[:, table.row, table.column].T
    assert found.astype(np.float32).tobytes() == table[names].to_numpy(np.float32).tobytes()


@pytest.mark.parametrize("min_valid", [1, 2])
def test_no_data_is_where_a_sensor_that_is_shown_has_too_few_dates(min_valid, scene, tmp_path):
    counts = scene.counts
    expected = {
        ("s2.b4.20180301",): counts["s2"] >= min_valid,
        ("s1.vv.20180301",): counts["s1"] >= min_valid,
        ("s2.b4.20180301", "s1.vv.20180301"): (counts["s2"] >= min_valid) & (counts["s1"] >= min_valid),
    }
    for i, (names, enough) in enumerate(expected.items()):
        written(scene, tmp_path / f"{i}.tif", names, min_valid=min_valid)
        values, _, nodata, _ = read(tmp_path / f"{i}.tif")
        seen = ~np.isnan(values) if np.isnan(nodata) else values != nodata
        assert 0.1 < enough.mean() < 0.95 and all(np.array_equal(band, enough) for band in seen)


@pytest.mark.parametrize("patterns", [["s2.ndvi.*", "s2.b11.*"], ["s1.*", "texture.*", "season.mean.2"]])
def test_the_bytes_depend_on_neither_windows_nor_threads(patterns, scene, textures, tmp_path):
    texture = {"function": f"{textures}:texture", "margin": 2, "arguments": {"band": "b11"}}
    sources = functions.sources(RECIPES, texture=texture, season={"function": f"{textures}:season"})
    names = feature_map.chosen(sources, patterns)
    expected = written(scene, tmp_path / "a.tif", names, sources)
    for i, (window, threads) in enumerate([(16, 1), (23, 3), (48, 2), (4096, 4)]):
        assert written(scene, tmp_path / f"{i}.tif", names, sources, window=window, threads=threads) == expected
    whole = cube.read(scene.inventory, sources, tiny.GRID.whole, 2)
    places = [features.names(sources).index(name) for name in names]
    values = np.moveaxis(read(tmp_path / "a.tif")[0], 0, 2)
    enough = (scene.counts["s2"] >= 2) & ((scene.counts["s1"] >= 2) if "s1.*" in patterns else True)
    assert np.array_equal(values[enough], whole.features()[enough][:, places])


def test_features_are_made_in_the_areas_alone(scene, tmp_path):
    left, _, _, top = tiny.GRID.bounds
    corner = shapely.Polygon([(left, top), (left + 350, top), (left, top - 400)])
    areas, names = Areas({"a": corner}, corner), feature_map.chosen(RECIPES, ["s2.ndvi.*"])
    written(scene, tmp_path / "whole.tif", names, RECIPES)
    whole, inside = read(tmp_path / "whole.tif")[0], areas.region_of(tiny.GRID, tiny.GRID.whole) >= 0
    expected = np.where(inside, whole, -32768)
    assert 0.1 < (expected[0] != -32768).mean() < 0.5
    files = [written(scene, tmp_path / f"{w}.tif", names, RECIPES, window=w, areas=areas) for w in (16, 48, 999)]
    assert np.array_equal(read(tmp_path / "16.tif")[0], expected)
    assert files[0] == files[1] == files[2]


def test_only_what_is_needed_is_read(scene, textures):
    texture = {"function": f"{textures}:texture", "margin": 2, "arguments": {"band": "b11"}}
    sources = functions.sources(RECIPES, texture=texture, season={"function": f"{textures}:season"})

    def needed(*names):
        return [source.names[0].split(".")[0] for source in feature_map.needed(sources, names)]

    assert needed("s2.b4.20180301", "s2.ndvi.20180301") == ["s2"]
    assert needed("s1.vv.20180301") == ["s1"]
    assert needed("season.mean.1") == ["s2", "s1", "season"]  # which sensors it looks at, nobody knows
    assert needed("s1.vv.20180301", "texture.contrast") == ["s2", "s1", "texture"]


def test_a_large_one_is_cloud_optimised(tmp_path):
    grid = Grid("EPSG:32631", 500_000, 5_000_000, 10, 700, 1300)
    days = (1, 11)
    found = []
    for day in days:
        path = save(tmp_path / f"{day}.tif", noise(grid, 2, seed=day), grid, tiled=True, blockxsize=256, blockysize=256)
        found.append(acquired(day, {"b4": Asset(path, 1, 1e-4, 0, -1), "b8": Asset(path, 2, 1e-4, 0, -1)}))
    recipe = Recipe("s2", True, ("b4", "b8"), True, "bilinear", (), ("2018-03-01", "2018-03-11"))
    for name, sources, dtype in [("a", [recipe], "int16"), ("b", [replace(recipe, integer=False)], "float32")]:
        path = tmp_path / f"{name}.tif"
        feature_map.write(
            Inventory("T1", grid, tuple(found)), sources, recipe.names, str(path), 1, window=512, threads=2, tags=TAGS
        )
        assert cog_validate(path, strict=True)[0]
        with rasterio.open(path) as image:
            assert image.overviews(1) == [2, 4] and image.dtypes[0] == dtype
            assert (image.compression.name, image.block_shapes[0]) == ("deflate", (512, 512))
            assert {k: image.tags()[k] for k in TAGS} == TAGS and image.crs.to_string() == grid.crs
            assert list(image.descriptions) == recipe.names
            quarter = image.read(1, out_shape=(350, 650))
            mean = image.read(1).astype(float).reshape(350, 2, 650, 2).mean(axis=(1, 3))
            assert np.abs(quarter - mean).max() <= 0.5


def test_none_is_refused(scene, tmp_path):
    with pytest.raises(SettingsError, match=r"map\.features is empty: name the features to write"):
        written(scene, tmp_path / "a.tif", [])


def test_memory_is_that_of_mapping_and_the_features(textures):
    size, (s2,) = {"s2": SIZE}, tiny.recipes()
    names = feature_map.chosen([s2], ["s2.ndvi.*"])
    mapped = mapping.memory_mb(size, [s2], mapping.Options((1,), (), 1), 1024, 2, 0)
    assert feature_map.memory_mb(size, [s2], names, 1024, 2) == pytest.approx(mapped + 4 * 3 * 2)
    texture = {"function": f"{textures}:texture", "margin": 20, "arguments": {"band": "b11"}}
    sources = functions.sources([s2], texture=texture)
    more = feature_map.memory_mb(size, sources, ["texture.contrast"], 1024, 2) - mapped
    # Windows of 20 pixels more on each side; of each thread, a block of 80 × 1,064 pixels.
    values = 6 * (2.25 * 2 + 1)
    windows = 2 * values * (1064**2 - 1024**2)
    block = 80 * 1064 * (2 * (9 * 2 + 6 * (3 * 2 + 1)) + 24)
    assert more == pytest.approx((windows + 2 * block + 1024**2 * 4 * 4) / 2**20, abs=0.1)
