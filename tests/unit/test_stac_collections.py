"""Tables of collections: the same pixels from every catalogue, and the user's own tables."""

import datetime

import numpy as np
import pytest
from unit.rasters_for_tests import TILE, coarser, noise, read_series, save
from unit.stac_items import FINE, KEYS, cdse, earth_search, grid_of, images, item, planetary_computer, truth, written

from parcelle import inventory, settings
from parcelle.errors import SettingsError
from parcelle.sensors import Asset, Mask
from parcelle.sensors.collections import COLLECTIONS, boa_offset
from parcelle.sensors.landsat import LandsatC2L2
from parcelle.sensors.stac import Stac
from parcelle.settings import Sensor

DAYS = datetime.date(2023, 1, 1), datetime.date(2023, 12, 31)
# Scene classification: what is not valid by default.
INVALID = (0, 1, 3, 8, 9, 10)


def taken(path, bands=None, **options):
    """Acquisitions of an ItemCollection, after the inventory looked at their files."""
    sensor = Sensor(format="stac", path=str(path), **options)
    found = inventory.take({"s2": sensor}, "31TCJ", TILE, *DAYS, "fail", {"s2": list(bands or KEYS)})
    return list(found.acquisitions)


def clear_of(classes, invalid=INVALID):
    fine = np.kron(classes, np.ones((2, 2), np.uint8))[: TILE.height, : TILE.width]
    return ~np.isin(fine, invalid)


def problem(path, *items, **options):
    """What is wrong with the only item."""
    found, (one,) = Stac(**options).find(written(path / "items.json", *items), "31TCJ", "s")
    assert found == []
    return one.why


# What was made of digital numbers, and how many of them are added by the processing baseline.
CATALOGUES = {
    "Planetary Computer, 05.09": (planetary_computer, 1000, {}),
    "Planetary Computer, 02.12": (planetary_computer, 0, {"s2:processing_baseline": "02.12"}),
    "Earth Search, corrected": (earth_search, 0, {}),
    "Earth Search, not corrected": (earth_search, 1000, {"applied": False}),
    "Earth Search, before": (earth_search, 0, {"offset": 0, "applied": False, "s2:processing_baseline": "03.00"}),
    "CDSE": (cdse, 1000, {}),
}


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_sentinel_2_is_the_same_from_every_catalogue(tmp_path, catalogue):
    make, shift, told = CATALOGUES[catalogue]
    values, classes = truth()
    one = make(images(tmp_path / "images", values, classes, shift), **told)
    acquisitions = taken(written(tmp_path / "items.json", one), collection="sentinel-2-l2a")
    read = read_series(acquisitions, KEYS)
    fine, coarse = read.held.values  # as they lie in the files
    for i, band in enumerate(KEYS):
        held = fine[0, i] if band in FINE else coarse[0, i - len(FINE)]
        np.testing.assert_array_equal(held, values[band])
    clear = clear_of(classes)
    np.testing.assert_array_equal(read.valid[0], clear)
    np.testing.assert_array_equal(read.values[0, 2][clear], values["b4"][clear])


def test_all_catalogues_in_one_file_are_one_series(tmp_path):
    values, classes = truth()
    plain, shifted = (images(tmp_path / str(s), values, classes, s) for s in (0, 1000))
    items = [
        planetary_computer(shifted, "a", datetime="2023-03-01T10:00:00Z"),
        earth_search(plain, "b", datetime="2023-03-02T10:00:00Z"),
        cdse(shifted, "c", datetime="2023-03-03T10:00:00Z"),
    ]
    acquisitions = taken(written(tmp_path / "items.json", *items), collection="sentinel-2-l2a")
    assert [a.id for a in acquisitions] == ["a", "b", "c"]
    read = read_series(acquisitions, ("b4",))
    clear = clear_of(classes)
    assert all(np.array_equal(read.values[i, 0][clear], values["b4"][clear]) for i in range(3))


@pytest.mark.parametrize(
    ("properties", "said", "offset"),
    [
        ({"s2:processing_baseline": "04.00"}, None, -0.1),
        ({"s2:processing_baseline": "03.01"}, None, 0.0),
        ({"s2:processing_baseline": "05.00", "datetime": "2018-03-10T10:00:00Z"}, None, -0.1),  # Collection 1
        ({"processing:version": "05.11"}, None, -0.1),
        ({"processing:version": "Sen2Cor 2.8", "datetime": "2021-03-10T10:00:00Z"}, None, 0.0),
        ({"datetime": "2022-01-24T23:59:59Z"}, None, 0.0),
        ({"datetime": "2023-01-01T00:00:00Z"}, -0.1, -0.1),
        ({"s2:processing_baseline": "05.09"}, 0.0, 0.0),
        ({"earthsearch:boa_offset_applied": True}, -0.1, 0.0),
        ({"sentinel:boa_offset_applied": True, "s2:processing_baseline": "05.09"}, None, 0.0),
        ({"earthsearch:boa_offset_applied": False}, -0.1, -0.1),
    ],
)
def test_the_offset_of_sentinel_2(properties, said, offset):
    assert boa_offset(properties, said) == offset


def test_an_offset_that_nothing_tells_is_not_guessed(tmp_path):
    values, classes = truth()
    one = planetary_computer(images(tmp_path, values, classes))
    del one["properties"]["s2:processing_baseline"]
    why = problem(tmp_path, one, collection="sentinel-2-l2a")
    assert why == "it is from 2022-01-25 or later and tells neither an offset nor `s2:processing_baseline`"


@pytest.mark.parametrize("invalid", [(0, 3), (4, 5, 6)])
def test_other_classes_may_be_called_invalid(tmp_path, invalid):
    values, classes = truth()
    one = planetary_computer(images(tmp_path, values, classes, 1000))
    path = written(tmp_path / "items.json", one)
    acquisitions = taken(path, collection="sentinel-2-l2a", invalid=list(invalid))
    np.testing.assert_array_equal(read_series(acquisitions, ("b4",)).valid[0], clear_of(classes, invalid))


@pytest.mark.parametrize(("collection", "number"), [("sentinel-1-rtc", 0), ("landsat-c2-l2", 0), ("landsat-8-sr", 0)])
def test_a_collection_without_a_classification_takes_no_classes(collection, number):
    with pytest.raises(SettingsError, match=f"invalid: the collection has {number} classifications as masks: remove"):
        Stac(collection, invalid=[1])


def landsat(folder, day, thermal="lwir11", coastal=True, scaled=True):
    """A scene as Planetary Computer lists it; without scales, as the USGS does."""
    grid = coarser(TILE, 3)
    names = ["blue", "green", "red", "nir08", "swir16", "swir22", *(["coastal"] if coastal else [])]
    raw = {name: noise(grid, low=8000, high=30_000, dtype="uint16", seed=i + day)[0] for i, name in enumerate(names)}
    raw[thermal] = noise(grid, low=40_000, high=45_000, dtype="uint16", seed=90 + day)[0]
    raw["qa_pixel"] = (1 << noise(grid, low=0, high=8, dtype="uint16", seed=91 + day)[0]).astype(np.uint16)
    raw["qa_radsat"] = (noise(grid, low=0, high=5, seed=92 + day)[0] == 4).astype(np.uint16) << 3
    assets = {}
    for name, pixels in raw.items():
        assets[name] = {"href": save(folder / f"{day}-{name}.tif", pixels, grid)}
        if scaled and not name.startswith("qa"):
            scale, offset = (0.00341802, 149.0) if name == thermal else (2.75e-05, -0.2)
            assets[name]["raster:bands"] = [{"scale": scale, "offset": offset, "nodata": 0}]
    when = f"2023-03-{day:02}T10:30:00Z"
    return raw, item("landsat-c2-l2", assets, f"L{day}", datetime=when)


def test_landsat_of_all_satellites_is_one_series(tmp_path):
    raw8, eight = landsat(tmp_path, 1)
    raw5, five = landsat(tmp_path, 9, thermal="lwir", coastal=False, scaled=False)
    path, grid = written(tmp_path / "items.json", eight, five), coarser(TILE, 3)
    acquisitions = taken(path, ("red", "nir08"), collection="landsat-c2-l2")
    held = read_series(acquisitions, ("red", "nir08"), grid.whole, grid=grid)
    clear = {
        1: (raw8["qa_pixel"] >= 1 << 6) & (raw8["qa_radsat"] == 0),
        9: (raw5["qa_pixel"] >= 1 << 6) & (raw5["qa_radsat"] == 0),
    }
    for i, (day, raw) in enumerate(((1, raw8), (9, raw5))):
        np.testing.assert_array_equal(held.valid[i], clear[day])
        expected = np.rint((raw["red"] * 0.0000275 - 0.2) * 10_000)
        assert np.abs(held.held.values[0][i, 0] - expected).max() <= 1
    (first, _) = taken(path, ("lwir",), collection="landsat-c2-l2")
    (warm,) = read_series([first], ("lwir",), grid.whole, np.float32, grid=grid).values
    kelvin = raw8["lwir11"] * 0.00341802 + 149.0
    np.testing.assert_allclose(warm[0][clear[1]], kelvin[clear[1]], rtol=1e-6)


def test_landsat_has_the_bands_of_the_product():
    assert COLLECTIONS["landsat-c2-l2"].bands == LandsatC2L2.bands
    assert Stac("landsat-c2-l2").default == LandsatC2L2.default


def test_a_scene_without_a_temperature_is_used_for_its_reflectance(tmp_path):
    _, one = landsat(tmp_path, 1)
    del one["assets"]["lwir11"]
    (found,), problems = Stac("landsat-c2-l2").find(written(tmp_path / "items.json", one), "31TCJ", "s")
    assert problems == []
    assert "lwir" not in found.assets and len(found.assets) == 7
    del one["assets"]["red"]
    assert problem(tmp_path, one, collection="landsat-c2-l2") == "it has no band red"


def test_radar_of_linear_power_is_brought_to_decibels(tmp_path):
    power = np.random.default_rng(1).gamma(4.4, 0.02, (2, TILE.height, TILE.width)).astype(np.float32)
    power[:, :3] = -32768
    files = [save(tmp_path / f"{n}.tif", band, nodata=-32768) for n, band in zip(("vv", "vh"), power, strict=True)]
    assets = {n: {"href": f, "raster:bands": [{"nodata": -32768, "data_type": "float32"}]}
              for n, f in zip(("vv", "vh"), files, strict=True)}  # fmt: skip
    path = written(tmp_path / "items.json", item("sentinel-1-rtc", assets))
    read = read_series(taken(path, ("vv", "vh"), collection="sentinel-1-rtc"), ("vv", "vh"), dtype=np.float32)
    np.testing.assert_allclose(read.values[0, :, 3:], 10 * np.log10(power[:, 3:].astype(float)), atol=1e-4)
    assert read.valid[0, 3:].all() and not read.valid[0, :3].any()
    assert Stac("sentinel-1-rtc").optical is False
    assert [band.unit for band in Stac("sentinel-1-rtc").bands] == ["dB", "dB"]


def test_theia_s_own_catalogue(tmp_path):
    values, _ = truth()
    files = {b: save(tmp_path / f"{b}.tif", v, grid_of(b), nodata=-10000) for b, v in values.items()}
    clouds = (noise(seed=5)[0] % 3 == 0).astype(np.uint8) * 2
    edge = np.zeros_like(clouds)
    edge[:, :2] = 1
    assets = {KEYS[b][0]: {"href": files[b]} for b in KEYS}
    assets |= {
        "CLM_R1": {"href": save(tmp_path / "clm.tif", clouds)},
        "EDG_R1": {"href": save(tmp_path / "edg.tif", edge)},
    }
    path = written(tmp_path / "items.json", item("sentinel2-l2a-theia", assets))
    acquisitions = taken(path, collection="sentinel2-l2a-theia")
    assert acquisitions[0].assets["b4"] == Asset(files["b4"], 1, 1e-4, 0.0, -10000)
    read = read_series(acquisitions, ("b4",))
    clear = (clouds == 0) & (edge == 0)
    np.testing.assert_array_equal(read.valid[0], clear)
    np.testing.assert_array_equal(read.values[0, 0][clear], values["b4"][clear])


OWN = {
    "bands": {
        "b4": {"asset": "image", "band": 3, "gsd": 3, "common": "red", "scale": 0.0001, "offset": 0, "nodata": 0},
        "b8": {"asset": "nir", "common": "nir"},
    },
    "mask": {"asset": "udm", "invalid": [7], "bits": [0, 5]},
}


def own_item(**properties):
    four = {"href": "/data/4.tif", "eo:bands": [{"name": n} for n in ("blue", "green", "red", "nir")]}
    four["raster:bands"] = [{"scale": 2, "nodata": 9, "offset": 3}] * 4
    return item("planet", {"image": four, "udm": {"href": "/data/udm.tif"}}, **properties)


def sensor(tmp_path, assets, **more):
    return Sensor.model_validate({"format": "stac", "path": str(tmp_path / "items.json"), "assets": assets, **more})


def test_a_table_of_the_user_s_own(tmp_path):
    """What it gives stands above what the items say; what it does not give is theirs."""
    format = Stac(collection="planet", assets=sensor(tmp_path, OWN).assets)
    path = written(tmp_path / "items.json", own_item(), item("other", {}, "y"))
    (found,), problems = format.find(path, "31TCJ", "s")
    assert problems == []
    assert found.assets == {"b4": Asset("/data/4.tif", 3, 0.0001, 0, 0), "b8": Asset("/data/4.tif", 4, 2, 3, 9)}
    assert found.masks == (Mask("/data/udm.tif", 1, (7,), 1 << 0 | 1 << 5),)
    assert format.optical
    assert [(b.name, b.common, b.gsd, b.unit) for b in format.bands] == [
        ("b4", "red", 3, "reflectance"), ("b8", "nir", 10, "reflectance")
    ]  # fmt: skip


def test_without_a_collection_a_table_is_for_all_items(tmp_path):
    format = Stac(assets=sensor(tmp_path, OWN).assets)
    path = written(tmp_path / "items.json", own_item(), own_item() | {"id": "y", "collection": "planet-2"})
    assert [a.id for a in format.find(path, "31TCJ", "s")[0]] == ["x", "y"]


def test_several_masks_and_radar_of_the_user_s_own(tmp_path):
    table = {"bands": {"vv": {"asset": "VV", "unit": "dB", "power": True}}, "optical": False}
    masks = [{"asset": "edge", "invalid": [1]}, {"asset": "layover", "bits": [2]}]
    format = Stac(assets=sensor(tmp_path, table | {"mask": masks}).assets)
    assets = {name: {"href": f"/data/{name}.tif"} for name in ("VV", "edge", "layover")}
    (found,), _ = format.find(written(tmp_path / "items.json", item("s1", assets)), "31TCJ", "s")
    assert found.assets["vv"].power
    assert found.masks == (Mask("/data/edge.tif", 1, (1,)), Mask("/data/layover.tif", 1, (), 4))
    assert not format.optical


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"bands": {}}, "sensors.s.assets.bands: found {}; allowed: "),
        ({"band": {}}, "sensors.s.assets.band: unknown setting; allowed here: bands, mask, optical"),
        ({"bands": {"b4": {}}}, "sensors.s.assets.bands.b4.asset: this setting is required"),
        ({"bands": {"b4": {"asset": "red", "gsd": 0}}}, "sensors.s.assets.bands.b4.gsd: found 0; allowed: more than 0"),
        (
            {"bands": {"b4": {"asset": "red", "scale": "1"}}},
            "sensors.s.assets.bands.b4.scale: found '1'; allowed: a number",
        ),
        (
            {"bands": {"b4": {"asset": "red", "power": True}}},
            "unit: found 'reflectance'; allowed: dB, by `power: true`",
        ),
        ({"bands": {"B 4": {"asset": "red"}}}, "sensors.s.assets.bands"),
        ({"mask": {"asset": "m", "bits": [32]}}, "found 32; allowed: at most 31"),
    ],
)
def test_a_wrong_table_is_refused_by_its_path(change, sentence):
    config = {"sensors": {"s": {"format": "stac", "path": "x.json", "assets": OWN | change}}}
    with pytest.raises(SettingsError) as error:
        settings.read(config)
    (line,) = [line for line in str(error.value).splitlines() if "assets" in line]
    assert sentence in line
