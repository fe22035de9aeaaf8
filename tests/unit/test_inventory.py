"""Taking stock of a tile: what is there, what is wrong, and when to look again."""

import datetime
import itertools
import json
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from unit.rasters_for_tests import TILE, acquired, coarser, constant, noise, save

from parcelle import files, inventory, listing
from parcelle.errors import InputError
from parcelle.grid import Grid, mgrs_grid
from parcelle.sensors import Asset
from parcelle.sensors.theia import Sentinel2L2A
from parcelle.settings import Sensor

FIRST, LAST = datetime.date(2018, 3, 1), datetime.date(2018, 3, 31)
BIG = Grid("EPSG:32631", 500_000, 4_900_020, 10, 64, 64)


def theia(parent, day, month=3):
    """Write a product of Theia with constant pixels."""
    name = f"SENTINEL2A_2018{month:02}{day:02}-105435-457_L2A_T31TCJ_C_V1-0"
    for band in Sentinel2L2A.bands:
        grid = coarser(TILE, int(band.gsd / 10))
        save(parent / name / f"{name}_FRE_{band.name.upper()}.tif", constant(1000, grid), grid)
    for mask in ("CLM", "EDG", "SAT"):
        save(parent / name / "MASKS" / f"{name}_{mask}_R1.tif", constant(0, dtype="uint8"))
    (parent / name / f"{name}_MTD_ALL.xml").write_text("<Product/>")
    return parent / name


def band(folder, name):
    return folder / f"{folder.name}_FRE_{name}.tif"


def sensor(path, format="sentinel2-theia-l2a", collection=None, bands=("b4", "b8", "b11"), additional=()):
    return Sensor.model_construct(**locals())


def take(folder, on_bad="fail", bands=("b4", "b8", "b11"), grid=TILE, **sensors):
    sensors = sensors or {"s2": sensor(str(folder))}
    return inventory.take(sensors, "31TCJ", grid, FIRST, LAST, on_bad, dict.fromkeys(sensors, bands))


@pytest.fixture
def products(tmp_path):
    """Folder of a tile with three products."""
    return [theia(tmp_path / "31TCJ", day) for day in (3, 8, 13)]


def radar(folder, days, month=3, grid=TILE, names=None):
    """Write an ItemCollection of Sentinel-1 with one image a day."""
    features = []
    for i, day in enumerate(days):
        save(folder / f"{month}-{day}.tif", noise(grid, 2, dtype="float32"), grid)
        properties = {"datetime": f"2018-{month:02}-{day:02}T17:40:00Z"}
        assets = {"a": {"href": f"./{month}-{day}.tif", "eo:bands": [{"name": "VV"}, {"name": "VH"}]}}
        features.append({"type": "Feature", "stac_version": "1.0.0", "id": names[i] if names else f"s1-{day}"})
        features[-1] |= {"collection": "sentinel-1-grd", "properties": properties, "assets": assets, "links": []}
        features[-1] |= {"geometry": None, "bbox": None}
    (folder / "items.json").write_text(json.dumps({"features": features}))
    return sensor(str(folder / "items.json"), "stac", "sentinel-1-grd", bands=None)


def test_acquisitions_of_the_period_with_the_bands_in_use(tmp_path, products):
    theia(tmp_path / "31TCJ", 28, month=2)
    theia(tmp_path / "31TCJ", 1, month=4)
    found = take(tmp_path)
    assert (found.tile, found.grid, found.problems) == ("31TCJ", TILE, ())
    assert [a.id for a in found.acquisitions] == [folder.name for folder in products]
    assert all(list(a.assets) == ["b4", "b8", "b11"] for a in found.acquisitions)
    assert all(len(a.masks) == 3 for a in found.acquisitions)


def test_the_first_and_the_last_day_are_in_the_period(tmp_path):
    for day in (1, 31):
        theia(tmp_path / "31TCJ", day)
    assert [a.date for a in take(tmp_path).acquisitions] == [FIRST, LAST]


def test_several_sensors_are_ordered_by_name_and_time(tmp_path, products):
    sensors = {"s2": sensor(str(tmp_path)), "s1": radar(tmp_path, [20, 4])}
    bands = {"s2": ["b4"], "s1": ["vv"]}
    found = inventory.take(sensors, "31TCJ", TILE, FIRST, LAST, "fail", bands)
    assert [(a.sensor, a.date.day) for a in found.acquisitions] == [("s1", 4), ("s1", 20)] + [
        ("s2", day) for day in (3, 8, 13)
    ]


def refused(folder, **options):
    with pytest.raises(InputError) as error:
        take(folder, **options)
    return str(error.value)


def test_a_tile_without_acquisitions_is_named_with_the_folder(tmp_path):
    assert refused(tmp_path) == (
        "tile 31TCJ has no usable acquisition of s2 from 2018-03-01 to 2018-03-31 (0 at other dates, 0 unusable): "
        f"looked for s2 in {tmp_path}/31TCJ."
    )


def test_acquisitions_at_other_dates_are_counted(tmp_path):
    theia(tmp_path / "31TCJ", 28, month=2)
    assert "(1 at other dates, 0 unusable)" in refused(tmp_path)


def test_a_path_that_names_the_tile_is_shown_with_it(tmp_path):
    s2 = sensor(f"{tmp_path}/{{tile}}/l2a")
    assert refused(tmp_path, s2=s2).endswith(f"looked for s2 in {tmp_path}/31TCJ/l2a.")


def test_each_sensor_needs_an_acquisition(tmp_path, products):
    sensors = {"s2": sensor(str(tmp_path)), "s1": radar(tmp_path, [4], month=5)}
    bands = {"s2": ["b4"], "s1": ["vv"]}
    with pytest.raises(InputError, match=r"no usable acquisition of s1 .*\(1 at other dates, 0 unusable\)"):
        inventory.take(sensors, "31TCJ", TILE, FIRST, LAST, "fail", bands)


def test_a_bad_product_stops_the_run_with_what_to_do(tmp_path, products):
    band(products[1], "B4").unlink()
    (products[2] / "MASKS" / f"{products[2].name}_CLM_R1.tif").unlink()
    lines = refused(tmp_path).split("\n")
    assert lines[0] == "tile 31TCJ: 2 bad acquisition(s):"
    assert lines[1] == f"  {products[1]}: 0 files end in _FRE_B4.tif, where there must be one"
    assert lines[2] == f"  {products[2]}: 0 files end in _CLM_R1.tif, where there must be one"
    assert lines[3].startswith("Repair or remove them, or set `on_bad_acquisition: skip`")


def test_skip_leaves_out_what_is_bad_and_says_so(tmp_path, products, caplog):
    band(products[1], "B4").unlink()
    with caplog.at_level(logging.INFO, "parcelle.inventory"):
        found = take(tmp_path, on_bad="skip")
    assert [a.id for a in found.acquisitions] == [products[0].name, products[2].name]
    (problem,) = found.problems
    assert problem.product == str(products[1])
    assert f"left out: {problem}" in caplog.messages
    assert "s2: 3 products, 2 from 2018-03-01 to 2018-03-31" in caplog.messages
    told = {"product": problem.product, "why": problem.why, "sensor": "s2", "date": "2018-03-08"}
    assert found.to_dict()["parcelle:problems"] == [told]


def test_skip_does_not_go_on_with_nothing_and_says_why(tmp_path):
    folder = theia(tmp_path / "31TCJ", 3)
    band(folder, "B8").write_text("no image")
    message = refused(tmp_path, on_bad="skip")
    assert "(0 at other dates, 1 unusable)" in message
    assert f"\n  {folder.name}: {band(folder, 'B8')} cannot be opened" in message


def why(folder, **options):
    """What is wrong with the only bad acquisition."""
    (problem,) = take(folder, on_bad="skip", **options).problems
    return problem.why


def test_an_image_of_another_grid_is_named_with_both_grids(tmp_path, products):
    other = Grid("EPSG:32631", 500_005, 4_900_020, 10, TILE.height, TILE.width)
    path = save(band(products[0], "B8"), constant(1, other), other)
    assert why(tmp_path) == f"{path} is on another grid: {other}, where 2 of 3 acquisitions have {TILE}"


@pytest.mark.parametrize(
    "other",
    [
        Grid("EPSG:32632", TILE.left, TILE.top, 10, TILE.height, TILE.width),
        Grid("EPSG:32631", TILE.left, TILE.top, 10, TILE.height + 1, TILE.width),
        Grid("EPSG:32631", TILE.left, TILE.top, 15, 14, 12),
    ],
)
def test_a_mask_of_another_grid_is_named(tmp_path, products, other):
    path = products[0] / "MASKS" / f"{products[0].name}_EDG_R1.tif"
    save(path, constant(0, other, "uint8"), other)
    assert why(tmp_path).startswith(f"{path} is on another grid: {other}")


def test_only_bands_in_use_are_looked_at(tmp_path, products):
    band(products[0], "B12").write_text("no image")
    assert take(tmp_path).problems == ()
    assert why(tmp_path, bands=("b4", "b12")).startswith(f"{band(products[0], 'B12')} cannot be opened (")


@pytest.mark.parametrize("content", [b"", b"no image", b"II*\0"])
def test_a_file_that_is_no_image_is_named(tmp_path, products, content):
    band(products[0], "B11").write_bytes(content)
    assert why(tmp_path).startswith(f"{band(products[0], 'B11')} cannot be opened (")


def test_a_link_to_nothing_is_named(tmp_path, products):
    path = band(products[0], "B11")
    path.unlink()
    path.symlink_to(tmp_path / "gone.tif")
    assert why(tmp_path).startswith(f"{path} cannot be opened (")


def test_an_image_without_a_crs_is_named(tmp_path, products):
    path, place = band(products[0], "B4"), {"height": TILE.height, "width": TILE.width, "transform": TILE.transform}
    with rasterio.open(path, "w", driver="GTiff", dtype="int16", count=1, **place) as image:
        image.write(constant(1)[None])
    assert why(tmp_path).startswith(f"{path} has no CRS")


TRUNCATED = [
    {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"},
    {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "band", "compress": "lzw"},
    {"tiled": True, "blockxsize": 16, "blockysize": 16, "interleave": "pixel"},
    {"tiled": False, "blockysize": 4, "compress": "deflate"},
    {"tiled": False, "blockysize": 1, "interleave": "band"},
    {"tiled": True, "blockxsize": 16, "blockysize": 16, "bigtiff": "YES", "compress": "deflate"},
]


@pytest.mark.parametrize("missing", [1, 100, 5000])
@pytest.mark.parametrize("profile", TRUNCATED)
def test_a_truncated_image_is_named_with_its_block(tmp_path, profile, missing):
    s1 = radar(tmp_path, [3, 9], grid=BIG)
    path = tmp_path / "3-3.tif"
    save(path, noise(BIG, 2, dtype="float32"), BIG, **profile)
    assert take(tmp_path, grid=BIG, bands=("vv", "vh"), s1=s1).problems == ()
    content = path.read_bytes()
    path.write_bytes(content[:-missing])
    found = take(tmp_path, on_bad="skip", grid=BIG, bands=("vv", "vh"), s1=s1)
    assert [a.id for a in found.acquisitions] == ["s1-9"]
    (problem,) = found.problems
    assert problem.product == "s1-3"
    assert problem.why.startswith(f"{path} is truncated: its block (")
    assert problem.why.endswith(f"the file at {len(content) - missing}")


def test_a_whole_image_with_blocks_that_were_never_written_is_sound(tmp_path):
    s1 = radar(tmp_path, [3], grid=BIG)
    place = {"crs": BIG.crs, "transform": BIG.transform, "height": 64, "width": 64, "count": 2, "dtype": "float32"}
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16, "sparse_ok": True}
    with rasterio.open(tmp_path / "3-3.tif", "w", driver="GTiff", **place, **tiles) as image:
        image.write(np.ones((2, 16, 16), "float32"), window=rasterio.windows.Window(16, 16, 16, 16))
    assert take(tmp_path, grid=BIG, bands=("vv", "vh"), s1=s1).problems == ()


def test_a_band_beyond_those_of_the_file_is_named(tmp_path):
    s1 = radar(tmp_path, [3, 9])
    path = save(tmp_path / "3-3.tif", constant(1, dtype="float32"))
    assert why(tmp_path, bands=("vv", "vh"), s1=s1) == f"{path} has 1 bands, but band 2 is asked for"
    assert take(tmp_path, bands=("vv",), s1=s1).problems == ()


def test_twins_are_both_left_out(tmp_path):
    s1 = radar(tmp_path, [3, 9, 15], names=["a", "b", "a"])
    found = take(tmp_path, on_bad="skip", bands=("vv",), s1=s1)
    assert [a.id for a in found.acquisitions] == ["b"]
    assert [str(p) for p in found.problems] == ["a: listed 2 times"]
    assert "  a: listed 2 times\n" in refused(tmp_path, bands=("vv",), s1=s1)


def test_twins_outside_the_period_harm_nobody(tmp_path):
    s1 = radar(tmp_path, [3, 9], names=["a", "b"])
    content = json.loads((tmp_path / "items.json").read_text())
    late = [f | {"properties": {"datetime": "2019-01-01T00:00:00Z"}} for f in content["features"]]
    (tmp_path / "items.json").write_text(json.dumps({"features": content["features"] + late}))
    found = take(tmp_path, bands=("vv",), s1=s1)
    assert [a.id for a in found.acquisitions] == ["a", "b"]


def test_products_are_those_of_all_sensors(tmp_path, products):
    sensors = {"s1": radar(tmp_path, [3]), "s2": sensor(str(tmp_path))}
    keys = [str(folder / f"{folder.name}_MTD_ALL.xml") for folder in products]
    assert listing.products(sensors, "31TCJ") == [str(tmp_path / "items.json"), *keys]
    assert listing.products({"s2": sensors["s2"]}, "31TDJ") == []


def fingerprint(folder):
    return files.state(listing.watched({"s2": sensor(str(folder))}, "31TCJ"))


def test_the_fingerprint_stays_while_the_files_do(tmp_path, products):
    before = fingerprint(tmp_path)
    assert len(before) == 16
    path = band(products[1], "B4")
    path.read_bytes()
    path.chmod(0o600)
    status = path.stat()
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(0, status.st_mtime_ns))
    assert fingerprint(tmp_path) == before


def resize(path):
    time = path.stat().st_mtime_ns
    with path.open("ab") as stream:
        stream.write(b"\0")
    os.utime(path, ns=(time, time))


def touch(path):
    time = path.stat().st_mtime_ns
    os.utime(path, ns=(time, time + 1))


def replaced_by_link(path):
    path.rename(path.with_suffix(".moved"))
    path.symlink_to("nowhere")


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        resize,
        touch,
        lambda path: path.unlink(),
        lambda path: path.rename(path.with_suffix(".tiff")),
        lambda path: path.with_name("new.tif").touch(),
        replaced_by_link,
    ],
)
def test_the_fingerprint_changes_with_size_time_and_name_of_any_file(tmp_path, products, change, deep):
    mask = products[2] / "MASKS" / f"{products[2].name}_SAT_R1.tif"
    before = fingerprint(tmp_path)
    change(mask if deep else band(products[2], "B4"))
    assert fingerprint(tmp_path) != before


def test_the_fingerprint_changes_with_a_product(tmp_path, products):
    before = fingerprint(tmp_path)
    theia(tmp_path / "31TCJ", 28)
    assert fingerprint(tmp_path) != before


def test_a_link_that_leads_back_is_not_followed(tmp_path, products):
    (products[0] / "MASKS" / "up").symlink_to(products[0])
    before = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == before


def test_images_of_a_catalogue_are_watched_wherever_they_lie(tmp_path):
    """And nothing else: what lies beside the ItemCollection may be another tile's, or the results."""
    settings = {"s1": radar(tmp_path / "catalogue", [3, 8])}
    (tmp_path / "catalogue/3-3.tif").rename(tmp_path / "elsewhere.tif")
    items = tmp_path / "catalogue/items.json"
    items.write_text(items.read_text().replace("./3-3.tif", "../elsewhere.tif"))

    def now():
        return files.state(listing.watched(settings, "31UDS"))

    before = now()
    (tmp_path / "catalogue/other.json").write_text("{}")
    assert now() == before
    os.utime(tmp_path / "elsewhere.tif", ns=(1, 1))
    assert now() != before


def test_one_odd_image_does_not_decide_the_grid(tmp_path, products):
    theia(tmp_path / "31TCJ", 1)
    odd = band(tmp_path / "31TCJ" / "SENTINEL2A_20180301-105435-457_L2A_T31TCJ_C_V1-0", "B2")
    save(odd, constant(1, BIG), BIG)
    sensors = {"s2": sensor(str(tmp_path))}
    assert inventory.tile_grid(sensors, "31TCJ", "header") == TILE
    assert inventory.tile_grid(sensors, "31TCJ", "header", (FIRST, FIRST)) == BIG


def test_a_mask_of_real_numbers_is_refused(tmp_path, products):
    mask = products[0] / "MASKS" / f"{products[0].name}_CLM_R1.tif"
    save(mask, constant(0, dtype="float32"))
    with pytest.raises(InputError, match="is a mask of type float32, where whole numbers are expected"):
        take(tmp_path)


def test_products_of_other_days_are_no_inputs(tmp_path, products):
    sensors = {"s2": sensor(str(tmp_path))}
    assert len(listing.products(sensors, "31TCJ")) == 3
    kept = listing.products(sensors, "31TCJ", (datetime.date(2018, 3, 8), LAST))
    assert [Sentinel2L2A().date_of(Path(k)).day for k in kept] == [8, 13]
    assert listing.products(sensors, "31TCJ", (datetime.date(2030, 1, 1), datetime.date(2030, 12, 31))) == []


def test_a_bad_product_of_another_year_stops_nothing(tmp_path, products):
    band(theia(tmp_path / "31TCJ", 28, month=2), "B5").unlink()
    found = take(tmp_path)
    assert len(found.acquisitions) == 3 and found.problems == ()
    band(products[0], "B5").unlink()
    with pytest.raises(InputError, match=r"0 files end in _FRE_B5\.tif"):
        take(tmp_path)


def test_a_replaced_image_shows_in_what_is_written(tmp_path, products):
    before = take(tmp_path).acquisitions
    os.utime(band(products[1], "B4"), ns=(1, 1))
    after = take(tmp_path).acquisitions
    assert [a.id for a, b in zip(before, after, strict=True) if a != b] == [products[1].name]
    os.utime(band(products[1], "B3"), ns=(1, 1))
    assert take(tmp_path).acquisitions == after, "a band that is not in use"


def test_the_grid_of_a_tile_is_that_of_its_first_fine_band(tmp_path, products):
    assert inventory.tile_grid({"s2": sensor(str(tmp_path))}, "31TCJ", "header") == TILE


def test_an_unreadable_acquisition_is_passed_over_for_the_grid(tmp_path, products):
    band(products[0], "B2").write_text("no image")
    assert inventory.tile_grid({"s2": sensor(str(tmp_path))}, "31TCJ", "header") == TILE


def test_the_grid_comes_from_the_first_sensor_that_has_the_tile(tmp_path, products):
    other = coarser(TILE, 2)
    sensors = {"s2": sensor(str(tmp_path / "nowhere")), "s1": radar(tmp_path, [3], grid=other)}
    assert inventory.tile_grid(sensors, "31TCJ", "header") == other


def test_the_grid_is_that_of_the_finest_sensor_wherever_it_stands(tmp_path, products):
    sensors = {"s1": radar(tmp_path, [3], grid=coarser(TILE, 2)), "s2": sensor(str(tmp_path))}
    assert inventory.tile_grid(sensors, "31TCJ", "header") == TILE


def test_the_grid_may_come_from_the_name(tmp_path):
    assert inventory.tile_grid({"s2": sensor(str(tmp_path))}, "31TCJ", "mgrs") == mgrs_grid("31TCJ")


def test_a_tile_without_anything_readable_has_no_grid(tmp_path):
    sensors = {"s2": sensor(str(tmp_path)), "other": sensor(f"{tmp_path}/x/{{tile}}")}
    with pytest.raises(InputError) as error:
        inventory.tile_grid(sensors, "31TCJ", "header")
    assert str(error.value) == (
        "tile 31TCJ has no acquisition that can be read: "
        f"looked for s2 in {tmp_path}/31TCJ; other in {tmp_path}/x/31TCJ."
    )


def asked(**changes):
    dates = {"start": datetime.date(2020, 3, 10), "end": datetime.date(2020, 12, 20), "step": 10, "padding": 0}
    period = SimpleNamespace(**(dates | changes.pop("period", {})))
    sensors = {"s2": sensor("/data"), "s1": sensor("/s1", "stac", "sentinel-1-grd", bands=None)}
    return listing.asked(
        SimpleNamespace(
            **(
                {
                    "grid": "header",
                    "resolution": 10,
                    "check": "headers",
                    "period": period,
                    "sensors": sensors,
                    "external": {},
                }
                | changes
            )
        )
    )


def test_what_an_inventory_depends_on_is_plain():
    assert asked() == {
        "grid": "header",
        "first": "2020-03-10",
        "last": "2020-12-20",
        "bands": {"s2": ["b4", "b8", "b11"], "s1": ["vv", "vh"]},
        "resolution": 10,
        "check": "headers",
        "formats": {
            "s2": {"format": "sentinel2-theia-l2a"},
            "s1": {"format": "stac", "collection": "sentinel-1-grd"},
        },
    }
    assert json.loads(json.dumps(asked())) == asked()


def test_padding_widens_what_is_asked_over_leap_days():
    found = asked(period={"padding": 15})
    assert (found["first"], found["last"]) == ("2020-02-24", "2021-01-04")


def test_folders_and_features_are_not_asked():
    moved = {"s2": sensor("/elsewhere", additional=("b4/b8",)), "s1": sensor("/x", "stac", "sentinel-1-grd", None)}
    assert asked(sensors=moved, period={"step": 5}) == asked()


def test_the_size_of_a_tile_is_small_and_tells_what_memory_and_time_depend_on(tmp_path, products):
    sensors = {"s2": sensor(str(tmp_path)), "s1": radar(tmp_path, [3, 9])}
    bands = {"s2": ["b4", "b8", "b11"], "s1": ["vv", "vh"]}
    found = inventory.take(sensors, "31TCJ", TILE, FIRST, LAST, "fail", bands)
    inventory.write_size(found, bands, tmp_path / "size.json")
    # Three masks of each product; b11 has a quarter of the tile's pixels; one file holds vv and vh.
    s2 = {"dates": 3, "acquisitions": 3, "bands": 3, "files": 3 * (3 + 3), "density": 2.25}
    s1 = {"dates": 2, "acquisitions": 2, "bands": 2, "files": 2, "density": 2}
    assert files.read_json(tmp_path / "size.json") == {
        "pixels": TILE.height * TILE.width,
        "sensors": {"s2": s2, "s1": s1},
    }
    assert (tmp_path / "size.json").stat().st_size < 1000


def test_the_size_of_a_tile_with_many_sensors_is_below_1_kb(tmp_path):
    grid = coarser(TILE, 3)
    assets = {f"b{j}": Asset(save(tmp_path / f"{j}.tif", constant(1, grid), grid)) for j in range(10)}
    days = itertools.product(range(8), range(1, 32), range(5))
    every = tuple(acquired(day, assets, hour=hour, sensor=f"sensor-{i}") for i, day, hour in days)
    found = inventory.Inventory("31TCJ", TILE, every)
    inventory.write_size(found, {f"sensor-{i}": list(assets) for i in range(8)}, tmp_path / "size.json")
    size = files.read_json(tmp_path / "size.json")["sensors"]["sensor-7"]
    assert size == {"dates": 31, "acquisitions": 155, "bands": 10, "files": 10, "density": 1.1111}
    assert (tmp_path / "size.json").stat().st_size < 1000


def test_acquisitions_of_one_day_are_one_date_in_the_size(tmp_path):
    s1 = radar(tmp_path, [3, 4, 9])
    content = (tmp_path / "items.json").read_text().replace("2018-03-04T17", "2018-03-03T05")
    (tmp_path / "items.json").write_text(content)
    found = take(tmp_path, bands=("vv",), s1=s1)
    inventory.write_size(found, {"s1": ["vv"]}, tmp_path / "size.json")
    assert files.read_json(tmp_path / "size.json")["sensors"] == {
        "s1": {"dates": 2, "acquisitions": 3, "bands": 1, "files": 3, "density": 1}
    }
