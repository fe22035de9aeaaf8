"""Folders as S1Tiling fills them: names, and a year that is written and read back."""

import datetime
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from unit.rasters_for_tests import save
from unit.test_settings import least

from parcelle import cube, features, inventory, sensors, settings
from parcelle.errors import InputError, SettingsError
from parcelle.grid import Grid
from parcelle.sensors import Asset, Mask
from parcelle.sensors.s1tiling import Sentinel1

TILE = "31TCJ"
GRID = Grid("EPSG:32631", 300_000, 4_900_020, 10, 24, 18)
DEFLATE = {"compress": "deflate", "predictor": 3, "blockysize": 1}
YEAR = datetime.date(2020, 1, 1), datetime.date(2020, 12, 31)


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def found(path, orbit=None, tile=TILE):
    return Sentinel1(orbit).find(str(path), tile, "s1")


def only_problem(path, tile=TILE):
    acquisitions, problems = found(path, tile=tile)
    assert acquisitions == []
    (problem,) = problems
    return problem


def pair(stamp, satellite="s1a", orbit="DES_008", version=""):
    """Names of the two images of an acquisition."""
    return [f"{satellite}_{TILE}_{p}_{orbit}_{stamp}{version}.tif" for p in ("vv", "vh")]


def test_an_acquisition_is_read_by_the_names_of_its_images(tmp_path):
    names = pair("20200108txxxxxx")
    touch(tmp_path / TILE, *names, names[0].replace(".tif", "_BorderMask.tif"))
    (one,), problems = found(tmp_path)
    assert problems == []
    assert one.id == "s1a_31TCJ_DES_008_20200108txxxxxx"
    assert one.datetime == datetime.datetime(2020, 1, 8, tzinfo=datetime.UTC)
    folder = tmp_path / TILE
    expected = {b: Asset(str(folder / n), 1, 1.0, 0.0, 0.0, True) for b, n in zip(("vv", "vh"), names, strict=True)}
    assert one.assets == expected
    assert one.masks == (Mask(str(folder / names[0].replace(".tif", "_BorderMask.tif")), 1, (0,)),)


def test_bands_are_backscatter_and_count_in_no_validity():
    assert [(b.name, b.unit, b.gsd) for b in Sentinel1.bands] == [("vv", "dB", 10), ("vh", "dB", 10)]
    assert Sentinel1.optical is False
    assert sensors.find("sentinel1-s1tiling") is Sentinel1


@pytest.mark.parametrize("satellite", ["s1a", "s1b", "s1c", "s1d"])
def test_a_time_of_day_is_read_where_there_is_one(tmp_path, satellite):
    touch(tmp_path / TILE, *pair("20200108t060300", satellite))
    (one,), _ = found(tmp_path)
    assert one.datetime == datetime.datetime(2020, 1, 8, 6, 3, tzinfo=datetime.UTC)
    assert one.id.startswith(satellite)


def test_orbits_and_satellites_of_one_direction_are_one_series(tmp_path):
    touch(tmp_path / TILE, *pair("20200108txxxxxx"), *pair("20200108t173000", orbit="DES_110"))
    touch(tmp_path / TILE, *pair("20200114txxxxxx", "s1b"), *pair("20190102txxxxxx"))
    acquisitions, problems = found(tmp_path, "descending")
    assert problems == []
    assert [(a.id[:3], a.id[10:17], a.date.day) for a in acquisitions] == [
        ("s1a", "DES_008", 2),
        ("s1a", "DES_008", 8),
        ("s1a", "DES_110", 8),
        ("s1b", "DES_008", 14),
    ]


def test_two_directions_are_two_sensors(tmp_path):
    touch(tmp_path / TILE, *pair("20200108txxxxxx"), *pair("20200110txxxxxx", orbit="ASC_030"))
    with pytest.raises(InputError) as error:
        found(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / TILE} holds ascending and descending images, which are series of their own: set "
        "`orbit: ascending` or `orbit: descending`; for both, name two sensors with the same path."
    )
    for orbit, day in (("ascending", 10), ("descending", 8)):
        (one,), problems = found(tmp_path, orbit)
        assert (one.date.day, problems) == (day, [])
        assert [p.stem[-15:-7] for p in Sentinel1(orbit).products(str(tmp_path), TILE)] == [f"202001{day:02}"]


@pytest.mark.parametrize("version", ["", "_NormLim", "_GammaNaughtRTC"])
def test_filtered_images_have_a_folder_of_their_own(tmp_path, version):
    """Their masks lie beside what was filtered."""
    plain = pair("20200108txxxxxx", version=version)
    touch(tmp_path / TILE, *plain, *(n.replace(".tif", "_BorderMask.tif") for n in plain))
    touch(tmp_path / "filtered" / TILE, *pair("20200108txxxxxx", version=f"{version}_filtered"))
    (raw,), _ = found(tmp_path)
    (filtered,), problems = found(tmp_path / "filtered")
    assert problems == []
    assert {Path(a.path).name.removesuffix(".tif")[-9:] for a in filtered.assets.values()} == {"_filtered"}
    assert filtered.masks == raw.masks
    assert len(raw.masks) == 2
    watched = Sentinel1().watched(str(tmp_path / "filtered"), TILE)
    assert {Path(m.path) for m in raw.masks} < set(watched)
    assert len(watched) == 6


def test_a_product_is_its_image_in_vv(tmp_path):
    touch(tmp_path / TILE, *pair("20200120txxxxxx"), *pair("20200108txxxxxx"), "notes.txt", "LIA_s1a_31TCJ_008.tif")
    products = Sentinel1().products(str(tmp_path / "{tile}"), TILE)
    assert [p.name for p in products] == [pair(f"{day}txxxxxx")[0] for day in ("20200108", "20200120")]
    assert [Sentinel1().date_of(p) for p in products] == [datetime.date(2020, 1, 8), datetime.date(2020, 1, 20)]
    assert Sentinel1().date_of(Path("notes.txt")) is None
    assert len(Sentinel1().watched(str(tmp_path), TILE)) == 4


def test_a_folder_that_is_not_there_has_nothing(tmp_path):
    assert found(tmp_path) == ([], [])
    assert Sentinel1().products(str(tmp_path), TILE) == []


def test_images_in_other_polarisations_alone_are_named(tmp_path):
    touch(tmp_path / TILE, "s1a_31TCJ_hh_DES_008_20200108txxxxxx.tif")
    problem = only_problem(tmp_path)
    assert (problem.why, problem.date) == ("there is none in VV beside it", datetime.date(2020, 1, 8))


@pytest.mark.parametrize("stamp", ["20200231txxxxxx", "20200108t996300", "2020108txxxxxx", "20200108txxxxxx2"])
def test_a_name_that_says_no_date_is_named(tmp_path, stamp):
    touch(tmp_path / TILE, f"s1a_31TCJ_vv_DES_008_{stamp}.tif")
    assert only_problem(tmp_path).why == "its name is not s1x_TTTTT_pp_ASC|DES_ooo_YYYYMMDDtHHMMSS.tif"


def test_an_image_of_another_tile_is_named(tmp_path):
    touch(tmp_path / TILE, "s1a_31TDJ_vv_DES_008_20200108txxxxxx.tif")
    assert only_problem(tmp_path).why == "its name says tile 31TDJ, but it lies in the folder of tile 31TCJ"
    touch(tmp_path / "T31TDJ", "s1a_31TDJ_vv_DES_008_20200108txxxxxx.tif")
    assert found(tmp_path, tile="T31TDJ")[1] == []


@pytest.mark.parametrize(
    "other", [pair("20200108t060300"), pair("20200108txxxxxx", version="_NormLim"), pair("20200108t060300")[1:]]
)
def test_several_images_of_one_day_and_orbit_are_named(tmp_path, other):
    names = pair("20200108txxxxxx")
    touch(tmp_path / TILE, *(names if len(other) == 2 else names[:1]), *other)
    why = only_problem(tmp_path).why
    assert why.startswith("there are several images of that day and orbit, keep one: DES_008_20200108t")
    assert all(name.split("_v", 1)[1][2:] in why for name in (names[0], other[0]))


def test_a_folder_that_must_not_be_read_is_named(tmp_path, monkeypatch):
    touch(tmp_path / TILE)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.listdir", refuse)
    with pytest.raises(InputError, match=r"31TCJ cannot be listed \(Permission denied\): make it readable\."):
        found(tmp_path)


def truth(day, polarisation):
    """Linear power of a date, and where it is observed; the swath ends in a slant."""
    random = np.random.default_rng(10 * day + (polarisation == "vh"))
    power = ((0.2 if polarisation == "vv" else 0.03) * random.gamma(4.4, 1 / 4.4, (24, 18))).astype("float32")
    rows, columns = np.indices(power.shape)
    observed = rows + columns >= day % 7
    return np.where(observed, power, 0).astype("float32"), observed


def border(day):
    """1 where the border mask calls a pixel valid: it takes two more pixels than the image."""
    rows, columns = np.indices((24, 18))
    return rows + columns >= day % 7 + 2


def write_year(folder, direction="DES", orbit="008", step=12, masks=True):
    """A year of acquisitions every 12 days; some of one slice, some of two."""
    days = range(1, 366, step)
    for day in days:
        date = datetime.date(2020, 1, 1) + datetime.timedelta(days=day)
        time = "xxxxxx" if day % 2 else "060300"
        for p in ("vv", "vh"):
            stem = f"s1a_{TILE}_{p}_{direction}_{orbit}_{date:%Y%m%d}t{time}"
            save(folder / TILE / f"{stem}.tif", truth(day, p)[0], GRID, **DEFLATE)
            if masks:
                save(folder / TILE / f"{stem}_BorderMask.tif", border(day).astype("uint8"), GRID, compress="deflate")
    return list(days)


def configured(path, **given):
    sensor = {"format": "sentinel1-s1tiling", "path": str(path)} | given
    return settings.read(least(sensors={"s1": sensor}, period={"start": YEAR[0], "end": YEAR[1]}))


def taken(made, on_bad="fail"):
    grid = inventory.tile_grid(made.sensors, TILE, "header", YEAR)
    assert grid == GRID
    bands = {r.sensor: r.bands for r in features.recipes(made)}
    return inventory.take(made.sensors, TILE, grid, *YEAR, on_bad, bands)


@pytest.mark.parametrize("masks", [True, False])
def test_a_year_is_read_back(tmp_path, masks):
    days = write_year(tmp_path, masks=masks)
    made = configured(tmp_path)
    stock = taken(made)
    assert [a.date.timetuple().tm_yday - 1 for a in stock.acquisitions] == days
    # On the dates themselves, nothing is interpolated.
    (recipe,) = features.recipes(made)
    dates = tuple(a.date.isoformat() for a in stock.acquisitions)
    whole = cube.read(stock, [replace(recipe, dates=dates)], GRID.whole, 1)
    values = whole.features().reshape(24, 18, len(days), 2)
    (series,) = whole._cube.series
    for i, day in enumerate(days):
        valid = truth(day, "vv")[1] & (border(day) if masks else True)
        assert np.array_equal(series.valid[i], valid)
        for k, p in enumerate(("vv", "vh")):
            expected = 10 * np.log10(truth(day, p)[0][valid].astype(float))
            assert np.abs(values[..., i, k][valid] - expected).max() < 1e-4
    assert recipe.optical is False
    assert whole.validity.max() == len(days)  # no sensor is optical


def test_a_date_without_vh_is_bad_where_vh_is_asked_for(tmp_path):
    days = write_year(tmp_path, step=60)
    min((tmp_path / TILE).glob("*_vh_*xxxxxx.tif")).unlink()
    with pytest.raises(InputError, match=r"1 bad acquisition\(s\):\n  s1a_31TCJ_DES_008_2020.*vh"):
        taken(configured(tmp_path))
    assert len(taken(configured(tmp_path), "skip").acquisitions) == len(days) - 1
    assert len(taken(configured(tmp_path, bands=["vv"])).acquisitions) == len(days)


def test_both_directions_are_two_sensors_of_one_path(tmp_path):
    write_year(tmp_path, "DES", "008", 100)
    write_year(tmp_path, "ASC", "030", 73)
    with pytest.raises(InputError, match="set `orbit: ascending` or `orbit: descending`"):
        taken(configured(tmp_path))
    one = {"format": "sentinel1-s1tiling", "path": str(tmp_path)}
    both = {"asc": one | {"orbit": "ascending"}, "des": one | {"orbit": "descending"}}
    stock = taken(settings.read(least(sensors=both, period={"start": YEAR[0], "end": YEAR[1]})))
    assert [len(stock.of(name)) for name in ("asc", "des")] == [5, 4]
    assert {a.id[10:13] for a in stock.of("asc")} == {"ASC"}


def test_a_direction_goes_with_radar_only():
    with pytest.raises(SettingsError, match="takes no `orbit`: remove it"):
        settings.read(least(**{"sensors.s2.orbit": "ascending"}))
