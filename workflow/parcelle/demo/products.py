"""Files of the country: Theia products, rasters, vector layers. The same content gives the same bytes."""

import datetime
from pathlib import Path

import numpy as np
import rasterio
import rasterio.crs

from parcelle.demo.scenes import NODATA, Scene
from parcelle.grid import Grid

_MILLISECOND = 123
_METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<Muscate_Metadata_Document>
  <Dataset_Identification>
    <IDENTIFIER>{name}</IDENTIFIER>
  </Dataset_Identification>
  <Product_Characteristics>
    <PRODUCT_ID>{name}</PRODUCT_ID>
    <ACQUISITION_DATE>{time:%Y-%m-%dT%H:%M:%S}.{millisecond}Z</ACQUISITION_DATE>
    <PLATFORM>{platform}</PLATFORM>
    <REFLECTANCE_QUANTIFICATION_VALUE>10000</REFLECTANCE_QUANTIFICATION_VALUE>
    <SPECIAL_VALUE name="nodata">{nodata}</SPECIAL_VALUE>
  </Product_Characteristics>
  <Geoposition_Informations>
    <GEO_TABLES>{crs}</GEO_TABLES>
    <ZONE_GEOCODING>T{tile}</ZONE_GEOCODING>
  </Geoposition_Informations>
</Muscate_Metadata_Document>
"""


def product_name(tile: str, date: datetime.date) -> str:
    """Name of a product; the two satellites take turns."""
    satellite, time = ("B", "103821") if other_orbit(date) else ("A", "104812")
    return f"SENTINEL2{satellite}_{date:%Y%m%d}-{time}-{_MILLISECOND}_L2A_T{tile}_C_V1-0"


def other_orbit(date: datetime.date) -> bool:
    """Whether the satellite comes by the second of its two orbits, which alternate every 5 days."""
    return date.toordinal() // 5 % 2 == 1


def write_product(folder: Path, tile: str, grid: Grid, date: datetime.date, scene: Scene) -> Path:
    """Write an image in the layout of Theia's level 2A by MAJA.

    Args:
        folder: Folder of the tile's products.
        tile: Its name.
        grid: Its grid at 10 m.
        date: Of the acquisition.
        scene: What was seen.

    Returns:
        Folder of the product.

    """
    name = product_name(tile, date)
    product = folder / name
    (product / "MASKS").mkdir(parents=True, exist_ok=True)
    for band, values in scene.bands.items():
        write_raster(product / f"{name}_FRE_{band}.tif", grid, values, nodata=NODATA)
    for mask, values in scene.masks.items():
        write_raster(product / "MASKS" / f"{name}_{mask}_R1.tif", grid, values)
    # Last: a product that has its metadata is whole.
    text = _METADATA.format(
        name=name,
        platform=name[:10],
        time=_time(name),
        millisecond=_MILLISECOND,
        nodata=NODATA,
        crs=grid.crs,
        tile=tile,
    )
    (product / f"{name}_MTD_ALL.xml").write_text(text)
    return product


def _time(name: str) -> datetime.datetime:
    return datetime.datetime.strptime(name.split("_")[1][:15], "%Y%m%d-%H%M%S")


def write_raster(
    path: Path,
    grid: Grid,
    values: np.ndarray,
    nodata: int | None = None,
    colours: dict[int, tuple] | None = None,
) -> None:
    """Write a band as a GeoTIFF.

    Args:
        path: Of the file.
        grid: Grid of the tile; `values` may have pixels twice as large.
        values: ``(row, column)``.
        nodata: Value that means no data.
        colours: Value → red, green, blue.

    """
    size = grid.resolution * (grid.height // values.shape[0])
    profile = {
        "driver": "GTiff", "count": 1, "dtype": values.dtype, "blockysize": 64,
        "height": values.shape[0], "width": values.shape[1], "crs": _crs(grid.crs), "nodata": nodata,
        "transform": rasterio.Affine(size, 0, grid.left, 0, -size, grid.top),
        "compress": "deflate", "zlevel": 1, "predictor": 2,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as image:
        image.write(values, 1)
        if colours:
            image.write_colormap(1, colours)


def _crs(text: str) -> rasterio.crs.CRS:
    return rasterio.crs.CRS.from_string(text)


def write_layer(path: Path, columns: dict, geometry: np.ndarray, crs: str) -> None:
    """Write polygons as a GeoPackage.

    Args:
        path: Of the file.
        columns: Field → values.
        geometry: Polygons.
        crs: Their CRS.

    """
    import geopandas
    import pyogrio

    path.unlink(missing_ok=True)
    # A GeoPackage holds the time of its writing, which must not differ from run to run.
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2019-01-01T00:00:00.000Z"})
    try:
        table = geopandas.GeoDataFrame(columns, geometry=geometry, crs=crs)
        table.to_file(path, driver="GPKG", layer=path.stem, engine="pyogrio")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
