"""Names and colours beside a mosaic, for QGIS and GDAL: what a GeoTIFF cannot hold itself.

`class.tif.aux.xml` is GDAL's Persistent Auxiliary Metadata: category names, and a raster attribute table with
the usages of GDAL's `GDALRATFieldUsage`, which QGIS shows from 3.30 on; of other products it says the unit of their
values. `class.qml` is a layer style, which QGIS takes by itself when it opens `class.tif`.
"""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from parcelle import files
from parcelle.errors import ParcelleError
from parcelle.nomenclature import LandClass

_INTEGER, _STRING = 0, 2  # GDALRATFieldType
_COLUMNS = (  # name, GDALRATFieldType, GDALRATFieldUsage
    ("Value", _INTEGER, 5),
    ("Class", _STRING, 2),
    ("Red", _INTEGER, 6),
    ("Green", _INTEGER, 7),
    ("Blue", _INTEGER, 8),
    ("Parent", _STRING, 0),
)

# Stops of the colour ramps (viridis). Between one valid date and five lies more than between 30 and 34.
_COLOURS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")
_RAMPS = {
    "confidence": (0, 25, 50, 75, 100),
    "validity": (1, 5, 10, 20, 40),
    "probability": (0, 250, 500, 750, 1000),  # of the first class; without a style QGIS mixes three
}
_UNITS = {"confidence": "%", "validity": "dates", "probability": "‰"}


def sidecars(mosaic: str | Path) -> list[Path]:
    """Paths of the files that `write` puts beside a mosaic."""
    return [Path(f"{mosaic}.aux.xml"), Path(mosaic).with_suffix(".qml")]


def write(mosaic: str | Path, *, product: str, classes: Sequence[LandClass] | None = None) -> list[Path]:
    """Write the files beside a mosaic, each whole.

    Args:
        mosaic: Path of the mosaic; it is not opened.
        product: ``class``, ``confidence``, ``validity`` or ``probability``.
        classes: The nomenclature's classes, for ``class`` and ``probability``, which has a band for each.

    Returns:
        The paths, as `sidecars` gives them.

    Raises:
        ParcelleError: There are no classes for ``class``.

    """
    if product == "class" and not classes:
        raise ParcelleError("The style of `class` needs the classes of the nomenclature.")
    names, layer = sidecars(mosaic)
    known = classes or ()
    bands = len(known) if product == "probability" else 1
    texts = {
        names: attributes(known) if product == "class" else units(_UNITS[product], bands),
        layer: style(product, known),
    }
    for path, text in texts.items():
        with files.whole(path) as draft:
            draft.write_text(text, encoding="utf-8")
    return [names, layer]


def units(unit: str, bands: int) -> str:
    """XML of GDAL's auxiliary metadata: the unit of the values of each band."""
    root = ElementTree.Element("PAMDataset")
    for number in range(1, bands + 1):
        band = ElementTree.SubElement(root, "PAMRasterBand", band=str(number))
        ElementTree.SubElement(band, "UnitType").text = unit
    return _text(root)


def attributes(classes: Sequence[LandClass]) -> str:
    """XML of GDAL's auxiliary metadata: category names and a raster attribute table.

    Category names are a list by value from 0 on; with codes above 255 it would be mostly empty, and the table
    alone has the names.
    """
    root = ElementTree.Element("PAMDataset")
    band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    if max(c.code for c in classes) <= 255:
        _categories(band, classes)
    _table(band, classes)
    return _text(root)


def _categories(band: ElementTree.Element, classes: Sequence[LandClass]) -> None:
    names = {c.code: c.name for c in classes}
    parent = ElementTree.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        ElementTree.SubElement(parent, "Category").text = names.get(value, "")


def _table(band: ElementTree.Element, classes: Sequence[LandClass]) -> None:
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        column = ElementTree.SubElement(table, "FieldDefn", index=str(index))
        for tag, value in (("Name", name), ("Type", kind), ("Usage", usage)):
            ElementTree.SubElement(column, tag).text = str(value)
    for index, one in enumerate(classes):
        row = ElementTree.SubElement(table, "Row", index=str(index))
        for value in (one.code, one.name, *one.rgb, one.parent):
            ElementTree.SubElement(row, "F").text = str(value)


def style(product: str, classes: Sequence[LandClass] = ()) -> str:
    """XML of a QGIS layer style: a palette for ``class``, a colour ramp for others."""
    root = ElementTree.Element("qgis", version="3.30.0", styleCategories="Symbology")
    kind = "paletted" if product == "class" else "singlebandpseudocolor"
    look = {"type": kind, "band": "1", "opacity": "1", "alphaBand": "-1", "nodataColor": ""}
    renderer = ElementTree.SubElement(ElementTree.SubElement(root, "pipe"), "rasterrenderer", look)
    if product == "class":
        _palette(renderer, classes)
    else:
        _ramp(renderer, product)
    return "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + _text(root)


def _palette(renderer: ElementTree.Element, classes: Sequence[LandClass]) -> None:
    palette = ElementTree.SubElement(renderer, "colorPalette")
    for one in classes:
        entry = {"value": str(one.code), "color": one.colour, "alpha": "255", "label": one.name}
        ElementTree.SubElement(palette, "paletteEntry", entry)


def _ramp(renderer: ElementTree.Element, product: str) -> None:
    stops = _RAMPS[product]
    low, high = str(stops[0]), str(stops[-1])
    renderer.attrib |= {"classificationMin": low, "classificationMax": high}
    # Without this QGIS stretches the ramp over the values it finds, and two maps cannot be compared.
    ElementTree.SubElement(ElementTree.SubElement(renderer, "minMaxOrigin"), "limits").text = "None"
    shader = {"colorRampType": "INTERPOLATED", "classificationMode": "1", "clip": "0"}
    bounds = {"minimumValue": low, "maximumValue": high}
    ramp = ElementTree.SubElement(ElementTree.SubElement(renderer, "rastershader"), "colorrampshader", shader | bounds)
    for stop, colour in zip(stops, _COLOURS, strict=True):
        entry = {"value": str(stop), "color": colour, "alpha": "255", "label": str(stop)}
        ElementTree.SubElement(ramp, "item", entry)


def _text(root: ElementTree.Element) -> str:
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"
