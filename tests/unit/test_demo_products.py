import datetime
import xml.etree.ElementTree as ET

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely

from parcelle.demo import products
from parcelle.demo.scenes import Scene
from parcelle.grid import Grid
from parcelle.sensors.theia import Sentinel2L2A

GRID = Grid("EPSG:32631", 732_000.0, 5_096_000.0, 10.0, 20, 30)
DATE = datetime.date(2018, 1, 9)
FINE = ("B2", "B3", "B4", "B8")
BANDS = ("B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12")


def scene():
    bands = {}
    for number, band in enumerate(BANDS):
        shape = (20, 30) if band in FINE else (10, 15)
        bands[band] = (np.arange(np.prod(shape)).reshape(shape) + 1000 * number).astype(np.int16)
    flags = (np.eye(20, 30, number).astype(np.uint8) for number in range(3))
    return Scene(bands, dict(zip(("CLM", "EDG", "SAT"), flags, strict=True)))


def test_satellites_and_orbits_take_turns():
    dates = [DATE + datetime.timedelta(days=5 * n) for n in range(4)]
    orbits = [products.other_orbit(date) for date in dates]
    assert orbits in ([True, False, True, False], [False, True, False, True])
    names = [products.product_name("31TGL", date) for date in dates]
    assert [name[9] for name in names] == ["B" if other else "A" for other in orbits]
    assert [name[11:19] for name in names] == ["20180109", "20180114", "20180119", "20180124"]
    assert all(name.endswith("-123_L2A_T31TGL_C_V1-0") for name in names)


def test_the_sensor_of_the_package_finds_what_was_written(tmp_path):
    products.write_product(tmp_path / "31TGL", "31TGL", GRID, DATE, scene())
    found, problems = Sentinel2L2A().find(str(tmp_path), "31TGL", "s2")
    assert problems == [] and len(found) == 1
    assert found[0].date == DATE and list(found[0].assets) == [band.lower() for band in BANDS]
    assert len(found[0].masks) == 3
    metadata = Sentinel2L2A().products(str(tmp_path), "31TGL")
    assert [path.name for path in metadata] == [f"{found[0].id}_MTD_ALL.xml"]


def test_rasters_hold_the_values_on_their_grids(tmp_path):
    product = products.write_product(tmp_path, "31TGL", GRID, DATE, scene())
    for band, values in scene().bands.items():
        with rasterio.open(product / f"{product.name}_FRE_{band}.tif") as image:
            assert (image.read(1) == values).all()
            assert image.nodata == -10000 and image.dtypes == ("int16",)
            assert image.compression.name == "deflate"
            found = Grid.of(image)
        assert found.nest(GRID) == (1 if band in FINE else 2)
    for name, values in scene().masks.items():
        with rasterio.open(product / "MASKS" / f"{product.name}_{name}_R1.tif") as image:
            assert (image.read(1) == values).all() and image.dtypes == ("uint8",)
            assert Grid.of(image) == GRID


def test_metadata_names_the_product_and_its_time(tmp_path):
    product = products.write_product(tmp_path, "31TGL", GRID, DATE, scene())
    root = ET.parse(product / f"{product.name}_MTD_ALL.xml").getroot()
    assert root.findtext("Dataset_Identification/IDENTIFIER") == product.name
    time = root.findtext("Product_Characteristics/ACQUISITION_DATE")
    assert time.startswith("2018-01-09T10:") and time.endswith(".123Z")
    assert root.findtext("Product_Characteristics/PLATFORM") == product.name[:10]
    assert root.findtext("Geoposition_Informations/ZONE_GEOCODING") == "T31TGL"


def test_colours_and_no_data_are_in_the_raster(tmp_path):
    values = np.full((20, 30), 11, np.uint8)
    products.write_raster(tmp_path / "a.tif", GRID, values, nodata=0, colours={11: (1, 2, 3)})
    with rasterio.open(tmp_path / "a.tif") as image:
        assert image.colormap(1)[11][:3] == (1, 2, 3) and image.nodata == 0


@pytest.mark.parametrize("crs", ["EPSG:2154", "EPSG:4326"])
def test_layers_keep_their_fields_and_crs(tmp_path, crs):
    boxes = np.array([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1)])
    products.write_layer(tmp_path / "a.gpkg", {"code": [11, 12], "name": ["a", "b"]}, boxes, crs)
    found = gpd.read_file(tmp_path / "a.gpkg")
    assert found.code.tolist() == [11, 12] and found.name.tolist() == ["a", "b"]
    assert found.crs == crs and found.bounds.maxx.tolist() == [1, 3]


def test_a_layer_has_the_same_bytes_at_any_time_and_replaces_another(tmp_path):
    box = np.array([shapely.box(0, 0, 1, 1)])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        products.write_layer(tmp_path / name / "x.gpkg", {"code": [11]}, box, "EPSG:2154")
    products.write_layer(tmp_path / "a/x.gpkg", {"code": [11]}, box, "EPSG:2154")
    assert (tmp_path / "a/x.gpkg").read_bytes() == (tmp_path / "b/x.gpkg").read_bytes()
