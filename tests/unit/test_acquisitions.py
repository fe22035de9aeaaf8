"""What the inventory of a tile writes: STAC, and read back as it was."""

import datetime
import json
import math
import socket
from dataclasses import replace

import pystac
import pystac.validation
import pytest
from unit.rasters_for_tests import TILE, acquired

from parcelle import acquisitions, files
from parcelle.acquisitions import Inventory
from parcelle.errors import StaleError
from parcelle.grid import Grid
from parcelle.sensors import Asset, Mask, Problem

S2 = [
    acquired(
        day,
        {"b2": Asset("/data/10m.tif", 1, 1e-4, -0.1, 0), "b8a": Asset("/data/20m.tif", 4, 1e-4, 0.0, -10_000)},
        [Mask("/data/scl.tif", 1, (0, 1, 3)), Mask("/data/sat.tif", 2, (), 255)],
    )
    for day in (3, 8)
]
S1 = acquired(5, {"vv": Asset("/data/s1.tif", 1), "vh": Asset("/data/s1.tif", 2, nodata=-9999.9)}, sensor="s1")
PROBLEMS = (Problem("S2X", "it has no masks"), Problem("S2Y", "is truncated"))
INVENTORY = Inventory("31TCJ", TILE, (S1, *S2), PROBLEMS)


def written(inventory, folder):
    inventory.write(str(folder / "31TCJ.json"))
    return acquisitions.read(str(folder / "31TCJ.json"))


def test_what_is_written_is_read_back(tmp_path):
    assert written(INVENTORY, tmp_path) == INVENTORY


def test_an_empty_inventory_is_read_back(tmp_path):
    assert written(Inventory("31TCJ", TILE, ()), tmp_path) == Inventory("31TCJ", TILE, ())


@pytest.mark.parametrize("grid", [TILE, Grid("EPSG:32631", 0.1 + 0.2, -1e-7, 1 / 3, 1, 2)])
def test_the_grid_is_read_back_to_the_last_bit(tmp_path, grid):
    assert written(replace(INVENTORY, grid=grid), tmp_path).grid == grid


@pytest.mark.parametrize("nodata", [float("nan"), float("inf"), -math.inf, -3.4028234663852886e38, 0, None])
def test_any_nodata_is_read_back(tmp_path, nodata):
    one = acquired(5, {"vv": Asset("/data/s1.tif", nodata=nodata)}, sensor="s1")
    (found,) = written(Inventory("31TCJ", TILE, (one,)), tmp_path).acquisitions
    (asset,) = found.assets.values()
    assert asset.nodata == nodata or (math.isnan(nodata) and math.isnan(asset.nodata))
    assert replace(asset, nodata=None) == Asset("/data/s1.tif")


def test_times_are_read_back_to_the_microsecond_and_in_utc(tmp_path):
    time = datetime.datetime(2018, 3, 5, 23, 59, 59, 123_456, datetime.UTC)
    one = replace(S1, datetime=time)
    assert written(Inventory("31TCJ", TILE, (one,)), tmp_path).acquisitions[0].datetime == time
    (feature,) = Inventory("31TCJ", TILE, (one,)).to_dict()["features"]
    assert feature["properties"]["datetime"] == "2018-03-05T23:59:59.123456Z"


def test_the_order_of_bands_and_masks_is_kept(tmp_path):
    masks = tuple(Mask(f"/data/{i}.tif", i, (i,)) for i in range(1, 13))
    assets = {name: Asset(f"/data/{name}.tif") for name in ("b8a", "b2", "b12", "b11")}
    (found,) = written(Inventory("31TCJ", TILE, (acquired(3, assets, masks),)), tmp_path).acquisitions
    assert found.masks == masks
    assert list(found.assets) == list(assets)


def test_each_feature_is_valid_stac_without_network(monkeypatch):
    def offline(*args, **kwargs):
        raise AssertionError("network")

    monkeypatch.setattr(socket, "socket", offline)
    monkeypatch.setattr(socket, "getaddrinfo", offline)
    features = json.loads(json.dumps(INVENTORY.to_dict()))["features"]
    for feature in features:
        core = pystac.validation.validate_dict(feature, pystac.STACObjectType.ITEM, extensions=[])
        assert core
    with pytest.raises(pystac.STACValidationError):
        broken = features[0] | {"properties": {}}
        pystac.validation.validate_dict(broken, pystac.STACObjectType.ITEM, extensions=[])


def test_pystac_reads_what_the_items_say():
    content = INVENTORY.to_dict()
    assert content["type"] == "FeatureCollection"
    items = [pystac.Item.from_dict(feature) for feature in content["features"]]
    assert [item.id for item in items] == ["s1-5-10", "s2-3-10", "s2-8-10"]
    assert [item.properties["parcelle:sensor"] for item in items] == ["s1", "s2", "s2"]
    assert items[1].datetime == S2[0].datetime
    assert set(items[1].assets) == {"b2", "b8a", "mask-1", "mask-2"}
    assert items[1].assets["b8a"].href == "/data/20m.tif"
    (band,) = items[1].assets["b8a"].extra_fields["bands"]
    assert band == {"name": "b8a", "nodata": -10_000, "raster:scale": 1e-4, "raster:offset": 0.0}
    assert items[1].properties["proj:code"] == "EPSG:32631"


def test_items_lie_where_the_tile_lies():
    feature = INVENTORY.to_dict()["features"][0]
    west, south, east, north = feature["bbox"]
    assert west == pytest.approx(3, abs=1e-6)  # easting 500,000
    assert 3.002 < east < 3.003
    assert 44.25 < south < north < 44.26
    (ring,) = feature["geometry"]["coordinates"]
    assert ring[0] == ring[-1]
    assert min(x for x, _ in ring) == west
    assert max(y for _, y in ring) == north


def test_a_grid_without_a_code_has_none(tmp_path):
    crs = "+proj=laea +lat_0=50 +lon_0=3 +datum=WGS84 +units=m"
    inventory = replace(INVENTORY, grid=Grid(crs, 0, 0, 10, 3, 4))
    assert inventory.to_dict()["features"][0]["properties"]["proj:code"] is None
    assert written(inventory, tmp_path) == inventory


def test_problems_stand_beside_the_items():
    content = INVENTORY.to_dict()
    assert content["parcelle:tile"] == "31TCJ"
    assert content["parcelle:problems"][0] == {"product": "S2X", "why": "it has no masks"}


def test_acquisitions_of_a_sensor():
    assert INVENTORY.of("s2") == S2
    assert INVENTORY.of("s1") == [S1]
    assert INVENTORY.of("l8") == []


def test_order_is_by_sensor_time_and_name():
    twin = replace(S2[0], id="a")
    expected = (S1, twin, S2[0], S2[1])
    assert acquisitions.ordered([S2[1], S2[0], S1, twin]) == expected
    assert acquisitions.ordered(reversed(expected)) == expected


def test_the_same_inventory_gives_the_same_bytes(tmp_path):
    for name in ("1.json", "2.json"):
        INVENTORY.write(str(tmp_path / name))
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()


def test_a_changed_file_is_not_read(tmp_path):
    written(INVENTORY, tmp_path)
    path = tmp_path / "31TCJ.json"
    path.write_text(path.read_text().replace("10m.tif", "11m.tif"))
    with pytest.raises(StaleError, match=r"31TCJ\.json was changed"):
        acquisitions.read(str(path))
    assert files.beside(path).exists()
