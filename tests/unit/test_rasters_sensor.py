"""Rasters of the user's own: with and without a date, on the tile's grid and on others, continuous and categorical."""

import datetime
import os

import numpy as np
import pyproj
import pytest
import rasterio
from unit.rasters_for_tests import TILE, coarser, noise, save
from unit.stac_items import images, planetary_computer, truth, written

from parcelle import cube, inventory, listing, settings
from parcelle.errors import InputError, SettingsError
from parcelle.features import recipes
from parcelle.grid import Grid
from parcelle.sensors import Asset
from parcelle.sensors.rasters import Rasters
from parcelle.settings import Sensor

DAYS = datetime.date(2018, 3, 1), datetime.date(2018, 3, 31)
PERIOD = settings.Period(start=DAYS[0], end=DAYS[1], step=10)


def sensor(path, **options):
    return Sensor(format="rasters", path=str(path), **options)


def read(one, name="dem", grid=TILE, on_bad="fail"):
    """Feature names, features ``(row, column, feature)`` and which pixels have what they need."""
    checked = settings.Settings.model_construct(sensors={name: one}, period=PERIOD, external={})
    made = recipes(checked)
    bands = {r.sensor: list(r.bands) for r in made}
    found = inventory.take({name: one}, "31TCJ", grid, *DAYS, on_bad, bands)
    whole = cube.read(found, made, grid.whole, 1)
    return [n for r in made for n in r.names], whole.features(), whole.enough


def test_relief_has_no_date(tmp_path):
    pixels = np.random.default_rng(0).normal(200, 90, (2, TILE.height, TILE.width)).astype(np.float32)
    save(tmp_path / "31TCJ/dem.tif", pixels)
    names, features, enough = read(sensor(tmp_path / "{tile}/dem.tif", names=["altitude", "slope"]))
    assert names == ["dem.altitude", "dem.slope"]
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, pixels.transpose(1, 2, 0))
    assert enough.all()


def test_bands_picks_some(tmp_path):
    pixels = noise(bands=3, dtype="int32")
    save(tmp_path / "dem.tif", pixels)
    one = sensor(tmp_path / "dem.tif", names=["a", "b", "c"], bands=["C", "a"])
    names, features, _ = read(one)
    assert names == ["dem.c", "dem.a"]
    np.testing.assert_array_equal(features, pixels[[2, 0]].transpose(1, 2, 0))


@pytest.mark.parametrize("nodata", [-32768, 0, float("nan"), None])
def test_nodata_is_that_of_the_header(tmp_path, nodata):
    pixels = np.random.default_rng(0).normal(200, 90, (TILE.height, TILE.width)).astype(np.float32)
    pixels[:4] = np.nan if nodata is None else nodata
    save(tmp_path / "dem.tif", pixels, nodata=nodata)
    _, features, enough = read(sensor(tmp_path / "dem.tif"))
    # NaN is no value, whatever the header says.
    assert not enough[:4].any() and enough[4:].all()
    np.testing.assert_array_equal(features[4:, :, 0], pixels[4:])


def test_bands_of_a_file_may_have_nodata_scale_and_offset_of_their_own(tmp_path):
    path = save(tmp_path / "t.tif", noise(bands=2))
    with rasterio.open(path, "r+") as image:
        image.scales, image.offsets = (0.1, 0.01), (-5, 0)
        image.nodata = 0
    (found,), problems = Rasters(path, names=["t1", "t2"]).find(path, "31TCJ", "t")
    assert problems == []
    assert found.assets == {"t1": Asset(path, 1, 0.1, -5, 0), "t2": Asset(path, 2, 0.01, 0, 0)}
    _, features, _ = read(sensor(path, names=["t1", "t2"]))
    np.testing.assert_allclose(features[..., 0], noise(bands=2)[0] * 0.1 - 5, rtol=1e-6, atol=1e-5)
    # Codes are what they are.
    (codes,), _ = Rasters(path, "categorical", ["t1", "t2"]).find(path, "31TCJ", "t")
    assert codes.assets["t1"] == Asset(path, 1, 1, 0, 0)


def plane(grid, a=0.01, b=-0.02):
    """Values that are linear in x and y of the tile's CRS, on a grid of another CRS ``(row, column)`` float32."""
    x, y = np.meshgrid(*grid.centres(grid.whole))
    east, north = pyproj.Transformer.from_crs(grid.crs, TILE.crs, always_xy=True).transform(x, y)
    return (a * (east - TILE.left) + b * (TILE.top - north) + 500).astype(np.float32)


def test_a_national_file_in_another_crs_is_warped(tmp_path):
    """25 m in Europe's CRS onto 10 m in UTM: a plane stays a plane."""
    left, _, _, top = TILE.footprint_in("EPSG:3035").bounds
    nation = Grid("EPSG:3035", round(left) - 1000, round(top) + 1000, 25, 120, 110)
    save(tmp_path / "dem.tif", plane(nation), nation)
    _, features, enough = read(sensor(tmp_path / "dem.tif", names=["altitude"]))
    assert enough.all()
    np.testing.assert_allclose(features[..., 0], plane(TILE), atol=2e-3)


def test_beyond_a_file_there_is_nothing(tmp_path):
    west = Grid(TILE.crs, TILE.left - 300, TILE.top + 300, 30, 100, 13)  # its right edge is in the tile's middle
    save(tmp_path / "dem.tif", plane(west), west)
    _, _, enough = read(sensor(tmp_path / "dem.tif"))
    assert enough[:, :9].all() and not enough[:, 9:].any()


def test_codes_are_never_interpolated(tmp_path):
    coarse = Grid(TILE.crs, TILE.left - 17, TILE.top + 13, 25, 12, 12)
    codes = noise(coarse, low=1, high=9, dtype="uint8")[0] * 10
    save(tmp_path / "map.tif", codes, coarse)
    one = sensor(tmp_path / "map.tif", kind="categorical", names=["code"])
    _, features, enough = read(one, "old")
    x, y = np.meshgrid(*TILE.centres(TILE.whole))
    rows, columns = ((coarse.top - y) // 25).astype(int), ((x - coarse.left) // 25).astype(int)
    np.testing.assert_array_equal(features[..., 0], codes[rows, columns])
    assert enough.all()


@pytest.mark.parametrize("pattern", ["lai_{date}.tif", "{date}/lai.tif", "{date}/lai_{date}.tif"])
@pytest.mark.parametrize("style", ["%Y%m%d", "%Y-%m-%d"])
def test_a_date_in_the_name(tmp_path, pattern, style):
    days = [datetime.date(2018, 3, d) for d in (1, 11, 21)]
    truth = [noise(seed=i).astype(np.float32)[0] for i in range(3)]
    for day, pixels in zip(days, truth, strict=True):
        save(tmp_path / "31TCJ" / pattern.replace("{date}", day.strftime(style)), pixels)
    names, features, _ = read(sensor(tmp_path / "{tile}" / pattern, names=["lai"]), "v")
    assert names == [f"v.lai.2018030{1}", "v.lai.20180311", "v.lai.20180321", "v.lai.20180331"]
    for i, pixels in enumerate((*truth, truth[-1])):
        np.testing.assert_array_equal(features[..., i], pixels)


def test_what_the_pattern_does_not_name_is_left_alone(tmp_path):
    for name in ("lai_20180301.tif", "lai_old.tif", "lai_20180301_v2.tif", "lai_201803.tif", "lai_2018-0311.tif"):
        save(tmp_path / name, noise())
    path = str(tmp_path / "lai_{date}.tif")
    assert [p.name for p in Rasters(path).products(path, "31TCJ")] == ["lai_20180301.tif"]
    assert [a.id for a in Rasters(path).find(path, "31TCJ", "v")[0]] == ["v-2018-03-01"]


def test_both_dates_of_a_name_are_one(tmp_path):
    path = str(tmp_path / "{date}/lai_{date}.tif")
    save(tmp_path / "20180301/lai_20180302.tif", noise())
    save(tmp_path / "20180303/lai_20180303.tif", noise())
    assert [a.id for a in Rasters(path).find(path, "31TCJ", "v")[0]] == ["v-2018-03-03"]


def test_characters_of_patterns_are_themselves(tmp_path):
    save(tmp_path / "a[1]+(b)/lai_20180301.tif", noise())
    save(tmp_path / "a1+(b)/lai_20180311.tif", noise())
    path = str(tmp_path / "a[1]+(b)/lai_{date}.tif")
    assert [a.id for a in Rasters(path).find(path, "31TCJ", "v")[0]] == ["v-2018-03-01"]


def test_the_day_of_a_product_is_in_its_name(tmp_path):
    path = str(tmp_path / "{tile}/lai_{date}.tif")
    for tile, day in (("31TCJ", "20180301"), ("31TDJ", "2018-03-11")):
        save(tmp_path / tile / f"lai_{day}.tif", noise())
    (first,), (second,) = (Rasters(path).products(path, tile) for tile in ("31TCJ", "31TDJ"))
    assert Rasters(path).date_of(first) == datetime.date(2018, 3, 1)
    assert Rasters(path).date_of(second) == datetime.date(2018, 3, 11)
    assert Rasters(path).date_of(tmp_path / "31TCJ/lai_20181301.tif") is None
    assert Rasters("dem.tif").date_of(tmp_path / "dem.tif") is None


def test_only_the_files_themselves_are_watched(tmp_path):
    path = str(tmp_path / "dem.tif")
    save(tmp_path / "dem.tif", noise())
    save(tmp_path / "beside.tif", noise())
    assert listing.watched({"dem": sensor(path)}, "31TCJ") == [path]
    assert listing.products({"dem": sensor(path)}, "31TCJ") == [path]


@pytest.mark.parametrize(
    ("pattern", "meaning"),
    [
        ("{tile}/dem.tif", "/31TCJ/dem.tif: correct"),
        ("{tile}/lai_{date}.tif", "/31TCJ/lai_{date}.tif, where {date} stands for YYYYMMDD or YYYY-MM-DD: correct"),
    ],
)
def test_a_pattern_that_matches_nothing_is_named(tmp_path, pattern, meaning):
    with pytest.raises(InputError) as error:
        read(sensor(tmp_path / pattern))
    assert str(error.value) == f"there is no file {tmp_path}{meaning} `path` of sensor dem."


def problem(path, **options):
    found, (one,) = Rasters(str(path), **options).find(str(path), "31TCJ", "dem")
    assert found == []
    return one.why


def test_bands_that_names_do_not_name_are_refused(tmp_path):
    path = save(tmp_path / "dem.tif", noise(bands=3))
    assert problem(path) == "it has 3 bands, and `names` does not say what they are"
    assert problem(path, names=["a", "b"]) == "it has 3 bands, and `names` lists 2"
    assert problem(path, names=["a", "b", "c", "d"]) == "it has 3 bands, and `names` lists 4"


def test_what_is_no_image_or_no_day_is_named(tmp_path):
    (tmp_path / "dem.tif").write_text("no image")
    assert problem(tmp_path / "dem.tif").startswith("it cannot be opened (")
    save(tmp_path / "lai_20180231.tif", noise())
    assert problem(tmp_path / "lai_{date}.tif") == "the date in its name is not a day"


def test_one_day_written_in_two_ways_is_not_used_twice(tmp_path):
    for name in ("lai_20180301.tif", "lai_2018-03-01.tif"):
        save(tmp_path / name, noise())
    with pytest.raises(InputError, match=r"v-2018-03-01: listed 2 times"):
        read(sensor(tmp_path / "lai_{date}.tif"), "v")


def test_a_raster_never_gives_the_grid_where_images_do(tmp_path):
    """However fine it is; by itself, it does."""
    fine = Grid(TILE.crs, TILE.left, TILE.top, 1, 210, 180)
    save(tmp_path / "dem.tif", noise(fine), fine)
    dem = sensor(tmp_path / "dem.tif")
    assert inventory.tile_grid({"dem": dem}, "31TCJ", "header").resolution == 1
    files = images(tmp_path / "s2", *truth())
    path = written(tmp_path / "items.json", planetary_computer(files))
    s2 = Sensor(format="stac", collection="sentinel-2-l2a", path=path)
    assert inventory.tile_grid({"dem": dem, "s2": s2}, "31TCJ", "header") == TILE


def test_a_file_elsewhere_is_no_use(tmp_path):
    away = Grid("EPSG:32631", 700_000, 4_900_020, 10, 20, 20)
    save(tmp_path / "dem.tif", noise(away), away)
    with pytest.raises(InputError, match=r"tile 31TCJ has no usable acquisition of dem"):
        read(sensor(tmp_path / "dem.tif"))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"names": ["Slope"]}, "names: found 'Slope'; allowed: small letters, digits and _, no digit first"),
        ({"names": ["2nd"]}, "names: found '2nd'; allowed: small letters, digits and _, no digit first"),
        ({"names": ["a b"]}, "names: found 'a b'; allowed"),
        ({"names": ["a", "a"]}, "names: a name is listed twice"),
        ({"bands": ["slope"]}, "bands: no band 'slope'; rasters has band1"),
        ({"path": "lai_{date}.tif", "kind": "categorical"}, "kind: found 'categorical' with {date} in `path`"),
        ({"path": "{day}.tif"}, "path: found '{day}.tif'; only {tile} and {date} may stand in braces"),
        ({"path": "x{date:%Y}.tif"}, "path: found 'x{date:%Y}.tif'; only {tile} and {date} may stand in braces"),
        ({"path": "{tile:5d}.tif"}, "path: found '{tile:5d}.tif'; only {tile} and {date} may stand in braces"),
        ({"path": "{tile!z}.tif"}, "path: found '{tile!z}.tif'; only {tile} and {date} may stand in braces"),
        ({"path": "{{tile}}.tif"}, "path: found '{{tile}}.tif'; only {tile} and {date} may stand in braces"),
        ({"format": "stac", "path": "{date}.json"}, "path: found '{date}.json'; only {tile} may stand in braces"),
        ({"collection": "a"}, "format 'rasters' takes no `collection`: remove it"),
        ({"kind": "codes"}, "kind: found 'codes'; allowed: 'continuous' or 'categorical'"),
    ],
)
def test_wrong_settings_are_refused(options, sentence):
    with pytest.raises(SettingsError) as error:
        settings.read({"sensors": {"dem": {"format": "rasters", "path": "dem.tif", **options}}})
    (line,) = [line for line in str(error.value).splitlines() if "sensors.dem" in line]
    assert line.strip().startswith("sensors.dem") and sentence in line


def test_coarser_rasters_that_nest_are_interpolated(tmp_path):
    """Bilinear at 20 m, as bands of images are; with `resampling: nearest`, repeated."""
    grid = coarser(TILE, 2)
    pixels = noise(grid).astype(np.float32)[0]
    save(tmp_path / "dem.tif", pixels, grid)
    _, features, _ = read(sensor(tmp_path / "dem.tif", resampling="nearest"))
    repeated = np.kron(pixels, np.ones((2, 2)))[: TILE.height, : TILE.width]
    np.testing.assert_array_equal(features[..., 0], repeated)
    _, features, _ = read(sensor(tmp_path / "dem.tif"))
    expected = (9 * pixels[3, 4] + 3 * pixels[2, 4] + 3 * pixels[3, 3] + pixels[2, 3]) / 16
    assert features[6, 8, 0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [0, 1e300, -1, float("nan"), float("inf")])
def test_a_scale_that_no_values_have_is_a_problem(tmp_path, scale):
    path = save(tmp_path / "t.tif", noise())
    with rasterio.open(path, "r+") as image:
        image.scales, image.offsets = (scale,), (1,)
    found, (problem,) = Rasters(path).find(path, "31TCJ", "t")
    assert found == []
    assert problem.why == f"it has the scale {float(scale)}, where one from 1e-09 to 1e+09 is expected"
    (codes,), _ = Rasters(path, "categorical").find(path, "31TCJ", "t")
    assert codes.assets["band1"].scale == 1


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "dem.tif")
    path = str(tmp_path / "dem.tif")
    found, (problem,) = Rasters(path).find(path, "31TCJ", "dem")
    assert (found, problem.why) == ([], f"{path} is no file")
