"""What `inventory` writes is read again as STAC: the same acquisitions, and the same features of a window."""

import datetime
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pystac
import pystac.validation
import pytest
from unit import products
from unit.rasters_for_tests import TILE, acquired, noise, save
from unit.stac_items import KEYS, cdse, images, item, truth, written

from parcelle import acquisitions, cube, inventory, provenance, settings
from parcelle.acquisitions import Inventory
from parcelle.errors import InputError, SettingsError
from parcelle.features import recipes
from parcelle.sensors import Acquisition, Asset, Band, Mask
from parcelle.sensors.stac import Stac
from parcelle.settings import Sensor

PERIOD = settings.Period(start=datetime.date(2018, 1, 1), end=datetime.date(2018, 12, 31), step=30)


class Mine:
    """A sensor from elsewhere: one image, whose mask has values and bits, and no data that is NaN."""

    optical = False
    bands = (Band("vv", "vv", 10, "dB"), Band("vh", "vh", 10, "dB"))

    def products(self, path, tile):
        return [Path(path)]

    def find(self, path, tile, sensor):
        assets = {"vv": Asset(path, 2, 0.1, 0.3, float("nan"), True), "vh": Asset(path, 1, 1 / 3, -1e-17, 7.0, True)}
        time = datetime.datetime(2018, 3, 5, 6, 7, 8, 901_234, datetime.UTC)
        masks = (Mask(path, 3, (1, 2, 250)), Mask(path, 3, (0,), 1 << 7 | 1))
        return [Acquisition("mine", sensor, time, assets, masks)], []


def taken(sensors, grid=TILE, days=(PERIOD.start, PERIOD.end), tile="31TCJ"):
    made = recipes(settings.Settings.model_construct(sensors=sensors, period=PERIOD, external={}))
    found = inventory.take(sensors, tile, grid, *days, "fail", {r.sensor: list(r.bands) for r in made})
    return found, made


def features(found, made, grid):
    return cube.read(found, made, grid.whole, 1).features()


def again(sensors, folder, collections, grid=TILE, **days):
    """Write what is found, read it as STAC; check that it is the same, and give it back."""
    first, made = taken(sensors, grid, **days)
    first.write(str(folder / "31TCJ.json"))
    path = str(folder / "{tile}.json")
    same = {
        name: Sensor(format="stac", path=path, collection=collection, bands=sensors[name].bands)
        for name, collection in collections.items()
    }
    second, remade = taken(same, grid, **days)
    assert second.acquisitions == first.acquisitions
    assert second.grid == first.grid
    assert remade == made
    np.testing.assert_array_equal(features(second, remade, grid), features(first, made, grid))
    return second


@pytest.mark.parametrize("bands", [None, ["b4", "b11"]])
def test_a_product_format(tmp_path, bands):
    for scene in products.year(step=60):
        products.theia_l2a(tmp_path / "archive" / products.TILE, scene)
    sensor = Sensor(format="sentinel2-theia-l2a", path=str(tmp_path / "archive"), bands=bands)
    found = again({"s2": sensor}, tmp_path, {"s2": "sentinel2-theia-l2a"}, products.GRID)
    assert len(found.acquisitions) == 7
    again_format = Stac("sentinel2-theia-l2a")
    # The grid of the tile comes from the same files, by the same rule.
    assert again_format.tiled
    stac = Sensor(format="stac", path=str(tmp_path / "{tile}.json"), collection="sentinel2-theia-l2a")
    assert inventory.tile_grid({"s2": stac}, "31TCJ", "header") == products.GRID


def test_a_collection_of_a_catalogue(tmp_path):
    values, classes = truth()
    one = cdse(images(tmp_path / "images", values, classes, 1000), datetime="2018-03-10T10:00:00.123Z")
    path = written(tmp_path / "items.json", one)
    sensor = Sensor(format="stac", path=path, collection="sentinel-2-l2a")
    again({"s2": sensor}, tmp_path, {"s2": "sentinel-2-l2a"})


def test_radar_of_linear_power(tmp_path):
    power = np.random.default_rng(1).gamma(4.4, 0.02, (TILE.height, TILE.width)).astype(np.float32)
    assets = {n: {"href": save(tmp_path / f"{n}.tif", power, nodata=-32768)} for n in ("vv", "vh")}
    path = written(tmp_path / "items.json", item("sentinel-1-rtc", assets, datetime="2018-03-10T10:00:00Z"))
    sensor = Sensor(format="stac", path=path, collection="sentinel-1-rtc")
    found = again({"s1": sensor}, tmp_path, {"s1": "sentinel-1-rtc"})
    assert all(asset.power for asset in found.acquisitions[0].assets.values())


def test_a_sensor_of_ones_own(tmp_path):
    """All that an acquisition may hold: nodata of NaN, scales to the last bit, values and bits of masks."""
    path = save(tmp_path / "mine.tif", noise(bands=3, low=0, high=255, dtype="uint8"))
    name = f"{__name__}:Mine"
    first, _ = taken({"s1": Sensor(format=name, path=path)})
    first.write(str(tmp_path / "31TCJ.json"))
    stac = Sensor(format="stac", path=str(tmp_path / "31TCJ.json"), collection=name)
    second, _ = taken({"s1": stac})
    assert repr(second.acquisitions) == repr(first.acquisitions)  # NaN is not NaN


def test_two_sensors_of_one_format_in_one_file(tmp_path):
    paths = {name: save(tmp_path / f"{name}.tif", noise(bands=3, dtype="uint8", high=255)) for name in ("a", "b")}
    first, _ = taken({name: Sensor(format=f"{__name__}:Mine", path=path) for name, path in paths.items()})
    first.write(str(tmp_path / "31TCJ.json"))
    format = Stac(f"{__name__}:Mine")
    for name, path in paths.items():
        (found,), _ = format.find(str(tmp_path / "31TCJ.json"), "31TCJ", name)
        assert found.assets["vv"].path == path
    # Under another name, both are taken: they are of that format.
    assert len(format.find(str(tmp_path / "31TCJ.json"), "31TCJ", "c")[0]) == 2


def test_relative_paths_start_at_the_file_and_may_be_read_from_elsewhere(tmp_path, monkeypatch):
    values, classes = truth()
    monkeypatch.chdir(tmp_path)
    names = images(Path("images"), values, classes, 1000)
    assert not Path(names["b4"]).is_absolute()
    assets = {band: Asset(path, 1, 1e-4, -0.1, 0) for band, path in names.items() if band in KEYS}
    one = acquired(10, assets, [Mask(names["scl"], 1, (0, 3))])
    first = Inventory("31TCJ", TILE, (one,), formats={"s2": "sentinel-2-l2a"})
    Path("results/acquisitions").mkdir(parents=True)
    first.write("results/acquisitions/31TCJ.json")
    content = json.loads(Path("results/acquisitions/31TCJ.json").read_text())
    assert content["features"][0]["assets"]["b4"]["href"] == "../../images/b4.tif"
    assert acquisitions.read("results/acquisitions/31TCJ.json") == first
    (again,), _ = Stac("sentinel-2-l2a").find("results/acquisitions/31TCJ.json", "31TCJ", "s2")
    assert again.assets == assets
    # The project as a whole is moved, and read from another folder.
    shutil.move(tmp_path / "results", tmp_path / "moved/results")
    shutil.move(tmp_path / "images", tmp_path / "moved/images")
    (again,), _ = Stac("sentinel-2-l2a").find("moved/results/acquisitions/31TCJ.json", "31TCJ", "s2")
    assert again.assets["b4"].path == "moved/images/b4.tif"


def test_another_format_is_not_read(tmp_path):
    for scene in products.year(step=200):
        products.theia_l2a(tmp_path / products.TILE, scene)
    found, _ = taken({"s2": Sensor(format="sentinel2-theia-l2a", path=str(tmp_path))}, products.GRID)
    found.write(str(tmp_path / "31TCJ.json"))
    with pytest.raises(InputError, match=r"no item of collection 'landsat-theia', but of sentinel2-theia-l2a\.$"):
        Stac("landsat-theia").find(str(tmp_path / "31TCJ.json"), "31TCJ", "s2")


def test_items_of_a_catalogue_are_not_those_of_a_format(tmp_path):
    values, classes = truth()
    one = cdse(images(tmp_path, values, classes)) | {"collection": "sentinel2-theia-l2a"}
    found, (problem,) = Stac("sentinel2-theia-l2a").find(written(tmp_path / "a.json", one), "31TCJ", "s2")
    assert found == []
    assert problem.why == "it is not an item that Parcelle wrote, as 'sentinel2-theia-l2a' asks for"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"collection": "rasters"},
            "collection 'rasters' has no bands of its own: name its files by `format: rasters`",
        ),
        ({"collection": "stac"}, "no collection 'stac'; choose from sentinel-2-l2a"),
        ({"collection": "sentinel2-theia-l2a", "invalid": [1]}, "takes no `invalid`: masks are those of the inventory"),
        ({"collection": "no.such:Thing"}, "format 'no.such:Thing' cannot be imported"),
    ],
)
def test_what_cannot_be_read_again_is_refused(options, sentence):
    with pytest.raises(SettingsError) as error:
        Stac(**options)
    assert sentence in str(error.value)


def test_the_map_s_digest_is_the_same_for_what_is_read_again():
    """So the map is the same byte for byte, tags included."""
    base = {"tiles": ["31TCJ"], "period": {"start": "2018-01-01", "end": "2018-12-31"}, "nomenclature": "n.csv"}
    base |= {"reference": {"path": "r.gpkg", "field": "code"}}
    first = {"format": "sentinel2-theia-l2a", "path": "archive"}
    stac = {"format": "stac", "path": "{tile}.json"}
    digests = [
        provenance.digest(settings.read(base | {"sensors": {"s2": sensor}}))
        for sensor in (
            first,
            stac | {"collection": "sentinel2-theia-l2a"},
            stac | {"collection": "sentinel2-theia-l3a"},
            stac | {"collection": "sentinel-2-l2a"},
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_all_that_is_written_is_valid_stac(tmp_path):
    """By the schemas of the core, which pystac holds; those of extensions would have to be fetched."""
    masks = (Mask("/data/m.tif", 1, (1, 2), 4),)
    assets = {"vv": Asset("/data/a.tif", 2, 0.1, 0.3, float("nan"), True), "vh": Asset("/data/a.tif", 1, nodata=-1)}
    every = (acquired(3, assets, masks, sensor="s1"), acquired(4, {"b2": Asset("https://x.org/b2.tif")}))
    Inventory("31TCJ", TILE, every, formats={"s1": "sentinel-1-rtc"}).write(str(tmp_path / "31TCJ.json"))
    content = json.loads((tmp_path / "31TCJ.json").read_text())
    assert pystac.ItemCollection.is_item_collection(content)
    items = list(pystac.ItemCollection.from_file(str(tmp_path / "31TCJ.json")))
    assert [i.properties.get("parcelle:format") for i in items] == ["sentinel-1-rtc", None]
    for one in content["features"]:
        assert pystac.validation.validate_dict(one, pystac.STACObjectType.ITEM, extensions=[])
        # The rules of the extensions that it names: projection 2 and raster 2.
        assert one["properties"]["proj:code"] == "EPSG:32631"
        bands = [band for asset in one["assets"].values() for band in asset.get("bands", ())]
        assert all({"raster:scale", "raster:offset"} <= set(band) for band in bands)
        assert all(
            isinstance(band.get("nodata", 0), (int, float)) or band["nodata"] in ("nan", "inf") for band in bands
        )


CHANGES = {
    ("vv", "bands", ()): "asset 'vv' has not one band in `bands`",
    ("vv", "parcelle:band", "1"): "asset 'vv' has '1' as `parcelle:band`; allowed: whole numbers from 1 to 4294967295",
    ("vv", "parcelle:band", None): "asset 'vv' has None as `parcelle:band`; allowed: whole numbers from 1",
    ("vv", "parcelle:band", -1): "asset 'vv' has -1 as `parcelle:band`; allowed: whole numbers from 1",
    ("vv", "parcelle:band", 0): "asset 'vv' has 0 as `parcelle:band`; allowed: whole numbers from 1",
    ("mask-1", "parcelle:band", 0): "asset 'mask-1' has 0 as `parcelle:band`; allowed",
    ("mask-1", "parcelle:invalid_bits", "a"): "asset 'mask-1' has 'a' as `parcelle:invalid_bits`; allowed",
    ("mask-1", "parcelle:invalid_bits", 2**70): "asset 'mask-1' has 1180591620717411303424 as `parcelle:invalid_bits`",
    ("mask-1", "parcelle:invalid_values", ("x",)): "asset 'mask-1' has 'x' as `parcelle:invalid_values`; allowed",
}


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_an_inventory_that_was_changed_is_a_problem(tmp_path, change):
    one = acquired(3, {"vv": Asset("/data/a.tif")}, [Mask("/data/m.tif", 1, (1,))], sensor="s1")
    path = tmp_path / "31TCJ.json"
    Inventory("31TCJ", TILE, (one,), formats={"s1": "sentinel-1-rtc"}).write(str(path))
    content = json.loads(path.read_text())
    asset, key, value = change
    content["features"][0]["assets"][asset][key] = value
    path.write_text(json.dumps(content))
    found, (problem,) = Stac("sentinel-1-rtc").find(str(path), "31TCJ", "s1")
    assert found == []
    assert problem.why.startswith(CHANGES[change])


def test_a_time_without_a_zone_in_an_inventory_is_utc(tmp_path):
    two = (acquired(3, {"vv": Asset("/data/a.tif")}), acquired(4, {"vv": Asset("/data/b.tif")}))
    path = tmp_path / "31TCJ.json"
    Inventory("31TCJ", TILE, two, formats={"s2": "sentinel-1-rtc"}).write(str(path))
    path.write_text(path.read_text().replace('Z"', '"', 1))
    found, problems = Stac("sentinel-1-rtc").find(str(path), "31TCJ", "s2")
    assert problems == []
    assert [a.datetime for a in found] == [a.datetime for a in two]


@pytest.mark.skipif("PARCELLE_DATA" not in os.environ, reason="PARCELLE_DATA is not set")
def test_a_real_year_of_three_sensors(tmp_path):
    """All that was seen of a tile in Flanders, from one file with items of all sensors."""
    path = str(Path(os.environ["PARCELLE_DATA"]) / "flanders-2018/{tile}/items.json")
    collections = {"s1": "sentinel-1-grd", "s2": "sentinel-2-l2a", "l8": "landsat-8-sr"}
    sensors = {name: Sensor(format="stac", path=path, collection=c) for name, c in collections.items()}
    grid = inventory.tile_grid(sensors, "31UDS", "header")
    first, made = taken(sensors, grid, tile="31UDS")
    first.write(str(tmp_path / "31UDS.json"))
    again = str(tmp_path / "{tile}.json")
    same = {name: Sensor(format="stac", path=again, collection=c) for name, c in collections.items()}
    assert inventory.tile_grid(same, "31UDS", "header") == grid
    second, _ = taken(same, grid, tile="31UDS")
    assert len(second.acquisitions) > 150
    assert repr(second.acquisitions) == repr(first.acquisitions)
    np.testing.assert_array_equal(features(second, made, grid), features(first, made, grid))
