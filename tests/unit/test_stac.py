"""ItemCollections as catalogues write them, with made-up items; no image is opened."""

import datetime
import json
import math
import time

import pytest

from parcelle.errors import InputError
from parcelle.sensors import Asset, Mask
from parcelle.sensors.stac import Stac

SCALED = {"scale": 0.0001, "offset": 0.0, "nodata": 0, "data_type": "uint16"}


def named(*names):
    return [{"name": name} for name in names]


def item(collection, assets, name="x", **properties):
    """An item of STAC 1.0."""
    when = {"datetime": "2018-03-10T10:50:00Z", "platform": "a"}
    base = {"type": "Feature", "stac_version": "1.0.0", "stac_extensions": [], "id": name, "collection": collection}
    return base | {"geometry": None, "bbox": None, "properties": when | properties, "links": [], "assets": assets}


def sentinel_2(**changes):
    ten, twenty = named("B02", "B03", "B04", "B08"), named("B05", "B06", "B07", "B8A", "B11", "B12")
    assets = {
        "10m": {"href": "./s2/10m.tif", "roles": ["data"], "eo:bands": ten, "raster:bands": [SCALED] * 4},
        "20m": {"href": "./s2/20m.tif", "roles": ["data"], "eo:bands": twenty, "raster:bands": [SCALED] * 6},
        "scl": {"href": "./s2/SCL.tif", "roles": ["data", "cloud"], "raster:bands": [{"nodata": 0}]},
        "thumbnail": {"href": "https://example.com/preview.jpg", "roles": ["thumbnail"]},
    }
    return item("sentinel-2-l2a", assets | changes.pop("assets", {}), **changes)


def sentinel_1(**changes):
    bands = [{"unit": "dB", "nodata": "nan"}] * 2
    assets = {"backscatter": {"href": "./s1.tif", "eo:bands": named("VV", "VH"), "raster:bands": bands}}
    return item("sentinel-1-grd", assets | changes.pop("assets", {}), **changes)


def landsat_8():
    bands = named("B02", "B03", "B04", "B05", "B06", "B07", "B10", "B11", "pixel_qa")
    values = [SCALED] * 6 + [{"scale": 0.1, "nodata": 0}] * 2 + [{"scale": 1, "nodata": 0}]
    return item("landsat-8-sr", {"sr": {"href": "./l8.tif", "eo:bands": bands, "raster:bands": values}})


def written(folder, *items):
    folder.mkdir(exist_ok=True)
    (folder / "items.json").write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    return folder / "items.json"


def found(folder, *items, collection=None):
    return Stac(collection or items[0]["collection"]).find(str(written(folder, *items)), "31UDS", "s")


def only(folder, *items):
    (acquisition,), problems = found(folder, *items)
    assert problems == []
    return acquisition


def problem(folder, *items):
    acquisitions, (one,) = found(folder, *items)
    assert acquisitions == []
    assert one.product == f"{folder / 'items.json'}, item {items[0].get('id')}"
    return one.why


def test_sentinel_2_with_several_bands_a_file(tmp_path):
    acquisition = only(tmp_path, sentinel_2(name="S2-1"))
    assert acquisition.id == "S2-1"
    assert acquisition.sensor == "s"
    assert acquisition.datetime == datetime.datetime(2018, 3, 10, 10, 50, tzinfo=datetime.UTC)
    ten, twenty = str(tmp_path / "s2" / "10m.tif"), str(tmp_path / "s2" / "20m.tif")
    places = {"b2": (ten, 1), "b3": (ten, 2), "b4": (ten, 3), "b8": (ten, 4)}
    places |= {"b5": (twenty, 1), "b6": (twenty, 2), "b7": (twenty, 3), "b8a": (twenty, 4)}
    places |= {"b11": (twenty, 5), "b12": (twenty, 6)}
    assert acquisition.assets == {name: Asset(*place, 0.0001, 0.0, 0) for name, place in places.items()}
    assert list(acquisition.assets) == [band.name for band in Stac("sentinel-2-l2a").bands]
    assert acquisition.masks == (Mask(str(tmp_path / "s2" / "SCL.tif"), 1, (0, 1, 3, 8, 9, 10)),)


@pytest.mark.parametrize(
    ("collection", "optical", "sizes"),
    [
        ("sentinel-2-l2a", True, [10, 10, 10, 20, 20, 20, 10, 20, 20, 20]),
        ("sentinel-1-grd", False, [10, 10]),
        ("landsat-8-sr", True, [30] * 6 + [100] * 2),
    ],
)
def test_collections_know_what_is_optical_and_how_fine(collection, optical, sizes):
    assert Stac(collection).optical is optical
    assert [band.gsd for band in Stac(collection).bands] == sizes


def test_sentinel_1_is_in_decibels_with_nan_where_nothing_was_seen(tmp_path):
    acquisition = only(tmp_path, sentinel_1())
    assert [(a.band, a.scale, a.offset) for a in acquisition.assets.values()] == [(1, 1, 0), (2, 1, 0)]
    assert all(math.isnan(a.nodata) for a in acquisition.assets.values())
    assert acquisition.masks == ()
    assert [band.unit for band in Stac("sentinel-1-grd").bands] == ["dB", "dB"]
    assert not Stac("sentinel-1-grd").optical


def test_landsat_8_has_its_mask_in_the_file_of_its_bands(tmp_path):
    acquisition = only(tmp_path, landsat_8())
    path = str(tmp_path / "l8.tif")
    assert acquisition.assets["b7"] == Asset(path, 6, 0.0001, 0.0, 0)
    assert acquisition.assets["b10"] == Asset(path, 7, 0.1, 0.0, 0)
    fill, shadow, cloud, cirrus, snow, clear = 1 << 0, 1 << 3, 1 << 5, 1 << 9, 1 << 4, 1 << 1
    (mask,) = acquisition.masks
    assert (mask.path, mask.band, mask.invalid_values) == (path, 9, (0,))
    assert mask.invalid_bits == fill | shadow | cloud | cirrus
    assert not mask.invalid_bits & (snow | clear)
    assert [band.unit for band in Stac("landsat-8-sr").bands] == ["reflectance"] * 6 + ["K"] * 2


@pytest.mark.parametrize("prefix", ["", "raster:"])
def test_bands_of_stac_1_1(tmp_path, prefix):
    bands = [{"name": n, "nodata": "nan", f"{prefix}scale": 2, f"{prefix}offset": -1} for n in ("VH", "VV")]
    new = sentinel_1(assets={"backscatter": {"href": "s1.tif", "bands": bands}}) | {"stac_version": "1.1.0"}
    acquisition = only(tmp_path, new)
    assert [(a.band, a.scale, a.offset) for a in acquisition.assets.values()] == [(2, 2, -1), (1, 2, -1)]
    assert math.isnan(acquisition.assets["vv"].nodata)


def test_fields_of_the_asset_hold_for_its_bands(tmp_path):
    fields = {"nodata": -9999, "raster:scale": 3, "bands": [{"name": "VV"}, {"name": "VH", "nodata": 5}]}
    acquisition = only(tmp_path, sentinel_1(assets={"backscatter": {"href": "s1.tif", **fields}}))
    assert acquisition.assets["vv"] == Asset(str(tmp_path / "s1.tif"), 1, 3, 0, -9999)
    assert acquisition.assets["vh"].nodata == 5


def test_names_and_values_may_stand_in_different_lists(tmp_path):
    both = {"href": "s1.tif", "bands": named("VV", "VH"), "raster:bands": [{"scale": 2}, {"scale": 3, "nodata": 7}]}
    acquisition = only(tmp_path, sentinel_1(assets={"backscatter": both}))
    assert [a.scale for a in acquisition.assets.values()] == [2, 3]
    assert [a.nodata for a in acquisition.assets.values()] == [None, 7]


def test_an_asset_with_one_unnamed_band_goes_by_its_key(tmp_path):
    assets = {"VV": {"href": "vv.tif"}, "VH": {"href": "vh.tif", "raster:bands": [{"nodata": -1}]}}
    acquisition = only(tmp_path, item("sentinel-1-grd", assets))
    assert acquisition.assets["vv"] == Asset(str(tmp_path / "vv.tif"))
    assert acquisition.assets["vh"] == Asset(str(tmp_path / "vh.tif"), nodata=-1)


@pytest.mark.parametrize(
    ("href", "expected"),
    [
        ("./a/b.tif", "{folder}/a/b.tif"),
        ("a/../b.tif", "{folder}/b.tif"),
        ("../b.tif", "{parent}/b.tif"),
        ("/data/b.tif", "/data/b.tif"),
        ("file:///data/b%20c.tif", "/data/b c.tif"),
        ("https://example.com/b.tif?key=a/b", "/vsicurl/https://example.com/b.tif?key=a/b"),
        ("http://example.com/b.tif", "/vsicurl/http://example.com/b.tif"),
        ("s3://bucket/b.tif", "/vsis3/bucket/b.tif"),
        ("gs://bucket/b.tif", "/vsigs/bucket/b.tif"),
        ("/vsicurl/https://example.com/b.tif", "/vsicurl/https://example.com/b.tif"),
    ],
)
def test_relative_hrefs_start_at_the_file_of_the_items(tmp_path, href, expected):
    assets = {"backscatter": {"href": href, "eo:bands": named("VV", "VH")}}
    acquisition = only(tmp_path / "items", sentinel_1(assets=assets))
    assert acquisition.assets["vv"].path == expected.format(folder=tmp_path / "items", parent=tmp_path)


def test_times_are_brought_to_utc(tmp_path):
    acquisition = only(tmp_path, sentinel_1(datetime="2018-03-10T00:30:00+02:00"))
    assert acquisition.datetime == datetime.datetime(2018, 3, 9, 22, 30, tzinfo=datetime.UTC)
    assert acquisition.date == datetime.date(2018, 3, 9)


def test_a_time_without_a_zone_is_utc_on_any_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        acquisition = only(tmp_path, sentinel_1(datetime="2018-03-10T05:00:00"))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert acquisition.datetime == datetime.datetime(2018, 3, 10, 5, tzinfo=datetime.UTC)


def test_only_items_of_the_collection_are_taken(tmp_path):
    items = [sentinel_2(), sentinel_1(name="y"), landsat_8(), sentinel_1(name="z")]
    acquisitions, problems = found(tmp_path, *items, collection="sentinel-1-grd")
    assert [a.id for a in acquisitions] == ["y", "z"]
    assert problems == []


def test_a_missing_band_is_named(tmp_path):
    one = sentinel_2()
    del one["assets"]["20m"]
    names = [
        f"{b} or {b}_20m or {c}"
        for b, c in (("B05", "rededge1"), ("B06", "rededge2"), ("B07", "rededge3"), ("B8A", "nir08"),
                     ("B11", "swir16"), ("B12", "swir22"))
    ]  # fmt: skip
    assert problem(tmp_path, one) == f"it has no band {', '.join(names)}"


def test_a_band_that_stands_twice_is_not_guessed(tmp_path):
    preview = {"href": "preview.tif", "eo:bands": named("B04", "B03", "B02")}
    assert problem(tmp_path, sentinel_2(assets={"visual": preview})) == "it has band B02 2 times"


def test_a_missing_or_doubled_mask_is_named(tmp_path):
    one = sentinel_2()
    del one["assets"]["scl"]
    assert problem(tmp_path, one) == "it has no mask scl or SCL or SCL_20m"
    one["assets"] |= {name: {"href": f"{name}.tif", "eo:bands": named("scl")} for name in ("a", "b")}
    assert problem(tmp_path, one) == "it has band scl 2 times"


def test_the_key_of_an_asset_comes_before_the_names_of_bands(tmp_path):
    """A catalogue may list a band twice, as `visual` or at another pixel size; keys are unique."""
    copy = {"href": "copy.tif", "eo:bands": named("scl")}
    (mask,) = only(tmp_path, sentinel_2(assets={"copy": copy})).masks
    assert mask.path == str(tmp_path / "s2" / "SCL.tif")


def test_lists_of_different_lengths_are_named(tmp_path):
    assets = {"backscatter": {"href": "a.tif", "eo:bands": named("VV", "VH"), "raster:bands": [{}]}}
    assert problem(tmp_path, sentinel_1(assets=assets)) == "asset 'backscatter' has lists of 2 and 1 bands"


def test_an_item_without_a_time_is_a_problem(tmp_path):
    interval = {"start_datetime": "2018-01-01T00:00:00Z", "end_datetime": "2018-12-31T00:00:00Z"}
    assert problem(tmp_path, sentinel_1(datetime=None, **interval)) == "it has no datetime"
    assert "If datetime is None" in problem(tmp_path, sentinel_1(datetime=None))


def changed(key, value):
    one = sentinel_1()
    place = one["assets"]["backscatter"] if key in ("href", "eo:bands", "raster:bands") else one
    if value is KeyError:
        del place[key]
    else:
        place[key] = value
    return one


@pytest.mark.parametrize("value", [KeyError, None, 1, "x", [], [1], {"a": 1}], ids=repr)
@pytest.mark.parametrize("key", ["type", "stac_version", "id", "properties", "links", "assets", "href", "eo:bands"])
def test_a_broken_item_is_a_problem_and_the_next_one_is_read(tmp_path, key, value):
    harmless = [("stac_version", "x"), ("id", "x"), ("href", "x"), ("links", KeyError), ("links", [])]
    acquisitions, problems = found(tmp_path, changed(key, value), sentinel_1(name="sound"))
    assert acquisitions[-1].id == "sound"
    assert [len(p.why) > 5 for p in problems] == ([] if (key, value) in harmless else [True])


def test_a_broken_item_is_said_not_to_be_one(tmp_path):
    assert problem(tmp_path, changed("href", KeyError)) == "it is not a STAC item (KeyError: 'href')"
    assert problem(tmp_path, changed("id", KeyError)) == "it has no id"


@pytest.mark.parametrize("field", ["scale", "offset", "nodata"])
@pytest.mark.parametrize("value", ["abc", [1], {}])
def test_a_value_that_is_no_number_is_a_problem(tmp_path, field, value):
    assert "float" in problem(tmp_path, changed("raster:bands", [{field: value}, {}]))


@pytest.mark.parametrize(
    "text",
    ["", "no JSON", "[1]", '"x"', "{}", '{"features": null}', '{"features": [1]}', '{"features": {"a": 1}}', "\xff"],
)
def test_what_is_no_item_collection_is_refused(tmp_path, text):
    (tmp_path / "items.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=r"items\.json is not a STAC ItemCollection"):
        Stac("sentinel-1-grd").find(str(tmp_path / "items.json"), "31UDS", "s1")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"items\.json is missing: it should list the images of its tile"):
        Stac("sentinel-1-grd").find(str(tmp_path / "items.json"), "31UDS", "s1")


def test_the_product_of_a_tile_is_its_file(tmp_path):
    path = written(tmp_path / "31UDS", sentinel_1())
    pattern = str(tmp_path / "{tile}" / "items.json")
    assert Stac("sentinel-1-grd").products(pattern, "31UDS") == [path]
    assert Stac("sentinel-1-grd").products(pattern, "31UES") == []
    assert len(Stac("sentinel-1-grd").find(pattern, "31UDS", "s1")[0]) == 1


def test_an_empty_collection_has_nothing(tmp_path):
    assert Stac("sentinel-1-grd").find(str(written(tmp_path)), "31UDS", "s1") == ([], [])


def test_items_of_other_collections_only_are_named(tmp_path):
    with pytest.raises(InputError, match=r"has no item of collection 'landsat-8-sr', but of sentinel-1-grd\."):
        found(tmp_path, sentinel_1(), collection="landsat-8-sr")


def test_a_problem_has_the_day_of_its_item(tmp_path):
    one = sentinel_2()
    del one["assets"]["20m"]
    _, (fault,) = found(tmp_path, one)
    assert fault.date == datetime.date(2018, 3, 10)


@pytest.mark.parametrize("href", ["ftp://example.com/b.tif", "zarr://a"])
def test_a_place_that_cannot_be_read_is_named(tmp_path, href):
    assets = {"backscatter": {"href": href, "eo:bands": named("VV", "VH")}}
    why = problem(tmp_path, sentinel_1(assets=assets))
    assert why == f"{href} is not at a place that can be read: http, https, s3, gs, or a file"


def test_names_in_other_alphabets_are_read_as_utf_8(tmp_path):
    path = tmp_path / "items.json"
    one = sentinel_1(assets={"backscatter": {"href": "été.tif", "eo:bands": named("VV", "VH")}})
    path.write_bytes(json.dumps({"features": [one]}, ensure_ascii=False).encode())
    (acquisition,), _ = Stac("sentinel-1-grd").find(str(path), "31UDS", "s1")
    assert acquisition.assets["vv"].path == str(tmp_path / "été.tif")


@pytest.mark.parametrize("scale", [0, -1, True, 1e300, 1e-10, math.nan, math.inf])
def test_a_scale_that_no_values_have_is_a_problem(tmp_path, scale):
    why = problem(tmp_path, changed("raster:bands", [{"scale": scale}, {}]))
    assert why in (
        f"it has the scale {float(scale)}, where one from 1e-09 to 1e+09 is expected",
        "it has True as a scale or offset, where a number is expected",
    )


@pytest.mark.parametrize("offset", [math.nan, -math.inf])
def test_an_offset_that_is_not_finite_is_a_problem(tmp_path, offset):
    why = problem(tmp_path, changed("raster:bands", [{"offset": offset}, {}]))
    assert why == f"it has the offset {offset}, which is no finite number"


@pytest.mark.parametrize("text", ["x", "", "2018-02-31T10:00:00Z", "0001-01-01T00:00:00+14:00", 20180310, "a\nb"])
def test_a_time_that_there_is_not_is_a_problem(tmp_path, text):
    why = problem(tmp_path, sentinel_1(datetime=text))
    assert why == f"its datetime is {str(text)!r}, which is no time such as 2018-03-10T10:50:00Z"


def test_an_item_that_is_nested_without_end_is_a_problem_and_the_next_one_is_read(tmp_path):
    deep = {}
    for _ in range(900):
        deep = {"a": deep}
    (one,), (fault,) = found(tmp_path, sentinel_1(name="deep", deep=deep), sentinel_1(name="sound"))
    assert one.id == "sound"
    assert fault.why.startswith("it is not a STAC item (RecursionError: ")


@pytest.mark.parametrize("key", ["id", "href"])
def test_half_a_letter_is_a_problem_that_can_be_written(tmp_path, key):
    acquisitions, (fault,) = found(tmp_path, changed(key, "\ud800"))
    assert acquisitions == []
    assert str(fault).encode().decode() == str(fault)
    assert "\\ud800" in fault.why
