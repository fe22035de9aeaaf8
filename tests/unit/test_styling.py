"""Names and colours beside a mosaic, read back by GDAL where it can and as XML where it cannot."""

from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import rio_cogeo

from parcelle import files, mosaic, styling
from parcelle.errors import ParcelleError
from parcelle.nomenclature import LandClass

CLASSES = [
    LandClass(1, 'wheat & "rye" <winter>', "#ff8000", "crops"),
    LandClass(2, "forêt d'hêtres", "#00ff00"),
    LandClass(5, "water", "#0000ff", "eau & glace"),
]


@pytest.fixture
def cog(tmp_path):
    """A mosaic of classes 1, 2 and 5, large enough for overviews."""
    path = tmp_path / "tile.tif"
    codes = np.random.default_rng(0).choice(np.array([0, 1, 2, 5], "uint8"), (1, 600, 600))
    place = {
        "crs": "EPSG:32631",
        "transform": rasterio.Affine(10, 0, 600_000, 0, -10, 5_000_000),
        "nodata": 0,
    }
    shape = {"height": 600, "width": 600, "count": 1, "dtype": "uint8"}
    with files.whole(path) as draft, rasterio.open(draft, "w", driver="GTiff", **place, **shape) as out:
        out.write(codes)
    mosaic.write([path], tmp_path / "class.tif", product="class", classes=CLASSES)
    return tmp_path / "class.tif"


def read_by_gdal(cog):
    """What GDAL has understood: the auxiliary file that it writes for a copy."""
    copy = cog.with_name("copy.tif")
    rasterio.shutil.copy(cog, copy, driver="GTiff")
    return ElementTree.parse(f"{copy}.aux.xml").getroot().find("PAMRasterBand")


def test_gdal_reads_the_names(cog):
    styling.write(cog, product="class", classes=CLASSES)
    names = [category.text or "" for category in read_by_gdal(cog).find("CategoryNames")]
    assert names == ["", CLASSES[0].name, CLASSES[1].name, "", "", "water"]


def test_gdal_reads_the_attribute_table(cog):
    styling.write(cog, product="class", classes=CLASSES)
    table = read_by_gdal(cog).find("GDALRasterAttributeTable")
    columns = [[c.findtext(tag) for tag in ("Name", "Type", "Usage")] for c in table.findall("FieldDefn")]
    assert columns == [
        ["Value", "0", "5"],
        ["Class", "2", "2"],
        ["Red", "0", "6"],
        ["Green", "0", "7"],
        ["Blue", "0", "8"],
        ["Parent", "2", "0"],
    ]
    rows = [[cell.text or "" for cell in row] for row in table.findall("Row")]
    assert rows == [
        ["1", CLASSES[0].name, "255", "128", "0", "crops"],
        ["2", "forêt d'hêtres", "0", "255", "0", ""],
        ["5", "water", "0", "0", "255", "eau & glace"],
    ]


def test_the_mosaic_stays_a_valid_cog_with_its_colours(cog):
    before = cog.read_bytes()
    styling.write(cog, product="class", classes=CLASSES)
    assert rio_cogeo.cog_validate(cog, strict=True) == (True, [], [])
    with rasterio.open(cog) as image:
        assert {code: image.colormap(1)[code][:3] for code in (1, 2, 5)} == {c.code: c.rgb for c in CLASSES}
        assert image.nodata == 0 and image.read_masks(1)[image.read(1) == 0].max() == 0
        assert f"{cog}.aux.xml" in image.files
    assert cog.read_bytes() == before
    files.verify(cog)


def test_the_style_of_classes_is_a_palette(cog):
    text = styling.write(cog, product="class", classes=CLASSES)[1].read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis version=")
    renderer = ElementTree.fromstring(text).find("pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("band"), renderer.get("opacity")) == ("paletted", "1", "1")
    entries = [(e.get("value"), e.get("color"), e.get("label"), e.get("alpha")) for e in renderer.iter("paletteEntry")]
    assert entries == [(str(c.code), c.colour, c.name, "255") for c in CLASSES]


@pytest.mark.parametrize(
    ("product", "low", "high"), [("confidence", "0", "100"), ("validity", "1", "40"), ("probability", "0", "1000")]
)
def test_the_style_of_numbers_is_a_ramp(product, low, high, tmp_path):
    _, path = styling.write(tmp_path / f"{product}.tif", product=product)
    renderer = ElementTree.parse(path).getroot().find("pipe/rasterrenderer")
    assert path == tmp_path / f"{product}.qml" and renderer.get("type") == "singlebandpseudocolor"
    assert (renderer.get("classificationMin"), renderer.get("classificationMax")) == (low, high)
    shader = renderer.find("rastershader/colorrampshader")
    items = [int(item.get("value")) for item in shader.findall("item")]
    assert items == sorted(items) and [str(items[0]), str(items[-1])] == [low, high]
    assert shader.get("minimumValue") == low and shader.get("maximumValue") == high
    assert shader.get("colorRampType") == "INTERPOLATED"
    assert renderer.findtext("minMaxOrigin/limits") == "None"


def test_sidecars_are_what_is_written(cog):
    for product in ("class", "confidence", "validity", "probability"):
        path = cog.with_name(f"{product}.tif")
        written = styling.write(path, product=product, classes=CLASSES)
        assert written == styling.sidecars(path)
        assert [one.name for one in written] == [f"{product}.tif.aux.xml", f"{product}.qml"]
        assert all(files.verify(one).stat().st_size for one in written)


@pytest.mark.parametrize(("product", "unit", "bands"), [("confidence", "%", 1), ("probability", "‰", 3)])
def test_gdal_reads_the_units(product, unit, bands, tmp_path):
    path = tmp_path / f"{product}.tif"
    shape = {"height": 2, "width": 2, "count": bands, "dtype": "uint16"}
    with rasterio.open(
        path, "w", driver="GTiff", crs="EPSG:32631", transform=rasterio.Affine(10, 0, 0, 0, -10, 0), **shape
    ):
        pass
    styling.write(path, product=product, classes=CLASSES)
    with rasterio.open(path) as image:
        assert image.units == (unit,) * bands


def test_the_same_classes_give_the_same_bytes(cog):
    first = [p.read_bytes() for p in styling.write(cog, product="class", classes=CLASSES)]
    assert [p.read_bytes() for p in styling.write(cog, product="class", classes=CLASSES)] == first


def test_codes_above_255_are_in_the_table_only():
    classes = [*CLASSES, LandClass(40_000, "rocks", "#808080")]
    band = ElementTree.fromstring(styling.attributes(classes)).find("PAMRasterBand")
    assert band.find("CategoryNames") is None
    assert [row[0].text for row in band.iter("Row")] == ["1", "2", "5", "40000"]


def test_the_style_of_classes_needs_classes(tmp_path):
    with pytest.raises(ParcelleError, match="`class` needs the classes"):
        styling.write(tmp_path / "class.tif", product="class")
    assert list(tmp_path.iterdir()) == []
