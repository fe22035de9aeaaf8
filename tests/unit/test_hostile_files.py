"""Files that are not what their names say: elsewhere, of another driver, no files at all, damaged inside an archive."""

import os
import zipfile

import geopandas as gpd
import pyproj
import pytest
import rasterio
import shapely
from unit.rasters_for_tests import TILE, acquired, coarser, constant, noise, save
from unit.test_inventory import FIRST, LAST, band, refused, sensor, take, theia, why

from parcelle import inventory, vector_files, vectors
from parcelle.checks import looks
from parcelle.errors import InputError
from parcelle.grid import Grid
from parcelle.sensors import Asset, Mask
from parcelle.sensors.theia import Sentinel2L2A

FAR = Grid("EPSG:32631", TILE.left + 200_000, TILE.top, 10, TILE.height, TILE.width)
LOCAL = 'LOCAL_CS["arbitrary",UNIT["metre",1]]'
MASKS = ("CLM", "EDG", "SAT")


@pytest.fixture
def products(tmp_path):
    return [theia(tmp_path / "31TCJ", day) for day in (3, 8, 13)]


def mask(folder, name="CLM"):
    return folder / "MASKS" / f"{folder.name}_{name}_R1.tif"


def placed(path, **place):
    with rasterio.open(path, "r+") as image:
        for name, value in place.items():
            setattr(image, name, value)


def elsewhere(folder):
    for path in folder.rglob("*.tif"):
        placed(path, crs="EPSG:32632")
    return r"does not touch the tile: it covers EPSG:32632"


def far(folder):
    for path in folder.rglob("*.tif"):
        with rasterio.open(path) as image:
            moved = rasterio.Affine.translation(200_000, 0) @ image.transform
        placed(path, transform=moved)
    return r"does not touch the tile: it covers EPSG:32631 \(700000,"


def first_band_far(folder):
    save(band(folder, "B4"), constant(1, FAR), FAR)
    return r"_FRE_B4.tif does not touch the tile"


def no_corner(folder):
    placed(band(folder, "B4"), transform=rasterio.Affine(10, 0, float("nan"), 0, -10, TILE.top))
    return r"_FRE_B4.tif has a corner or a pixel size that is no number"


def local_crs(folder):
    placed(band(folder, "B4"), crs=LOCAL)
    return r"_FRE_B4.tif has a CRS that is not tied to the Earth"


def complex_numbers(folder):
    save(band(folder, "B4"), constant(1, dtype="complex64"))
    return r"_FRE_B4.tif has pixels of type complex64, where whole or real numbers are expected"


def half_a_mask(folder):
    save(mask(folder), constant(0, dtype="uint8")[:9], Grid(TILE.crs, TILE.left, TILE.top, 10, 9, TILE.width))
    return r"_CLM_R1.tif is on another grid"


@pytest.mark.parametrize(
    "damage",
    [elsewhere, far, first_band_far, no_corner, local_crs, complex_numbers, half_a_mask],
    ids=lambda d: d.__name__,
)
def test_what_does_not_fit_is_named_and_left_out(damage, products, tmp_path):
    sentence = damage(products[1])
    with pytest.raises(InputError, match=sentence):
        take(tmp_path)
    found = take(tmp_path, on_bad="skip")
    assert [a.id for a in found.acquisitions] == [products[0].name, products[2].name]
    assert len(found.problems) == 1 and "\n" not in found.problems[0].why


@pytest.mark.parametrize("name", ["B4", "CLM"])
@pytest.mark.parametrize("grid", [(9, 18, 10), (21, 9, 10), (21, 18, 7), (1, 1, 10)])
def test_a_part_of_the_tile_in_all_products_alike_is_named(name, grid, products, tmp_path):
    rows, columns, size = grid
    part = Grid(TILE.crs, TILE.left, TILE.top, size, rows, columns)
    for folder in products:
        if name == "CLM":
            save(mask(folder), constant(0, part, "uint8"), part)
        else:
            save(band(folder, name), constant(1, part), part)
    said = refused(tmp_path, grid=TILE)
    assert said.count(" is on another grid: ") == 3


def test_coarse_masks_that_cover_the_tile_are_used(products, tmp_path):
    grid = coarser(TILE, 4)
    for folder in products:
        save(mask(folder), constant(0, grid, "uint8"), grid)
    assert take(tmp_path).problems == ()


def test_complex_numbers_of_every_product_and_of_rasters_are_refused(products, tmp_path):
    for folder in products:
        complex_numbers(folder)
    assert refused(tmp_path, grid=TILE).count("type complex64") == 3
    save(tmp_path / "dem.tif", constant(1, dtype="complex64"))
    assert "type complex64" in refused(tmp_path, grid=TILE, bands=["band1"], dem=rasters(tmp_path))


def rasters(folder):
    return sensor(str(folder / "dem.tif"), "rasters", bands=None)


def vrt(path, source):
    text = f'<SimpleSource><SourceFilename relativeToVRT="0">{source}</SourceFilename></SimpleSource>' if source else ""
    path.write_text(
        f'<VRTDataset rasterXSize="{TILE.width}" rasterYSize="{TILE.height}"><SRS>EPSG:32631</SRS>'
        f"<GeoTransform>{TILE.left}, 10, 0, {TILE.top}, 0, -10</GeoTransform>"
        f'<VRTRasterBand dataType="Int16" band="1">{text}</VRTRasterBand></VRTDataset>'
    )


@pytest.mark.parametrize("source", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_a_vrt_in_a_product_is_refused_under_any_name(packed, source, products, tmp_path):
    secret = save(tmp_path / "secret.tif", constant(7))
    vrt(band(products[1], "B4"), secret if source else None)
    if packed:
        archived(products[1])
    said = why(tmp_path)
    assert f"{products[1].name}_FRE_B4.tif cannot be opened (" in said
    assert said.endswith("It must be GeoTIFF or JPEG 2000.)")


def test_a_vrt_gives_no_grid_to_a_tile(products, tmp_path):
    for folder in products:
        for path in folder.glob("*_FRE_*.tif"):
            vrt(path, None)
    with pytest.raises(InputError, match=r"It must be GeoTIFF or JPEG 2000\."):
        inventory.tile_grid({"s2": sensor(str(tmp_path))}, "31TCJ", "header", (FIRST, LAST))


def test_rasters_of_the_users_own_may_be_a_vrt(tmp_path):
    vrt(tmp_path / "dem.tif", save(tmp_path / "other.tif", constant(7)))
    own = {"dem": rasters(tmp_path)}
    assert take(tmp_path, grid=TILE, bands=["band1"], **own).problems == ()
    assert inventory.tile_grid(own, "31TCJ", "header", (FIRST, LAST)) == TILE


def test_a_format_may_name_other_drivers(products, tmp_path, monkeypatch):
    vrt(band(products[1], "B4"), save(tmp_path / "other.tif", constant(7)))
    monkeypatch.setattr(Sentinel2L2A, "drivers", ("GTiff", "VRT"), raising=False)
    assert take(tmp_path).problems == ()
    monkeypatch.setattr(Sentinel2L2A, "drivers", ("VRT",))
    assert refused(tmp_path, bands=["b4"], grid=TILE).count("It must be VRT.") == 3


def archived(folder, kind=zipfile.ZIP_DEFLATED):
    """Replace a product's folder by an archive of it."""
    archive = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(archive, "w", kind) as content:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            content.write(path, path.relative_to(folder.parent))
            path.unlink()
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir()
    folder.rmdir()
    return archive


def test_full_compares_checksums_of_files_in_archives(products, tmp_path):
    """Pixels that are not compressed can be read, whatever they are; the archive knows what they were."""
    pixels = noise(seed=3)
    save(band(products[1], "B4"), pixels)
    archive = archived(products[1], zipfile.ZIP_STORED)
    settings = {"s2": sensor(str(tmp_path))}
    words = (settings, "31TCJ", TILE, FIRST, LAST, "fail", {"s2": ["b4", "b8"]})
    assert inventory.take(*words, full=True).problems == ()
    content = bytearray(archive.read_bytes())
    place = content.index(pixels.tobytes()[:100])
    content[place : place + 50] = bytes(50)
    archive.write_bytes(content)
    assert inventory.take(*words).problems == ()
    with pytest.raises(InputError, match=r"_FRE_B4\.tif is damaged \(Bad CRC-32 .*\): fetch the archive again"):
        inventory.take(*words, full=True)


def test_each_archive_is_opened_once_for_its_checksums(products, tmp_path, monkeypatch):
    archive = archived(products[1])
    name = f"{products[1].name}/{products[1].name}"
    assets = {b: Asset(f"/vsizip/{archive}/{name}_FRE_{b.upper()}.tif") for b in ("b4", "b8")}
    opened, original = [], zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *a: (opened.append(a), original(*a))[1])
    assert looks([acquired(3, assets)], TILE, full=True)[0].fault is None
    assert len(opened) == 1


def test_a_named_pipe_that_a_format_gives_is_never_read(tmp_path):
    good = Asset(save(tmp_path / "a.tif", constant(1)))
    pipe(tmp_path / "b.tif")
    said = f"{tmp_path}/b.tif is no file, but a named pipe, a socket or a device: put the file itself there."
    bad = Asset(f"{tmp_path}/b.tif"), Mask(f"{tmp_path}/b.tif")
    assert looks([acquired(3, {"b4": good, "b8": bad[0]})], TILE)[0].fault == said
    assert looks([acquired(3, {"b4": good}, [bad[1]])], TILE)[0].fault == said
    with pytest.raises(InputError, match=r"b\.tif is no file"):
        Grid.of_file(f"{tmp_path}/b.tif")


def pipe(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["band", "mask"])
def test_a_named_pipe_in_a_product_is_named_and_never_read(name, products, tmp_path):
    path = band(products[1], "B4") if name == "band" else mask(products[1])
    pipe(path)
    assert why(tmp_path).startswith(f"{path} is no file")
    finest = {"s2": sensor(str(tmp_path))}
    assert inventory.tile_grid(finest, "31TCJ", "header", (FIRST, LAST)) == TILE


@pytest.mark.parametrize("name", ["a.gpkg", "a.geojson", "a.parquet", "a.shp"])
def test_a_named_pipe_is_no_vector_file(name, tmp_path):
    pipe(tmp_path / name)
    with pytest.raises(InputError, match=rf"{name} is no file, but a named pipe"):
        vectors.read(str(tmp_path / name), [])
    with pytest.raises(InputError, match=rf"^area\.path: .*{name} is no file, but a named pipe"):
        vector_files.there(str(tmp_path / name), "area.path")


def test_a_named_pipe_beside_a_shapefile(tmp_path):
    gpd.GeoDataFrame({"code": [1]}, geometry=[shapely.box(0, 0, 9, 9)], crs=TILE.crs).to_file(tmp_path / "a.shp")
    pipe(tmp_path / "a.dbf")
    with pytest.raises(InputError, match=r"a\.dbf is no file, but a named pipe"):
        vectors.read(str(tmp_path / "a.shp"), ["code"])


def polygons(crs=TILE.crs):
    return gpd.GeoDataFrame({"code": [1]}, geometry=[shapely.box(0, 0, 9, 9)], crs=crs)


def test_polygons_in_a_local_crs_are_refused(tmp_path):
    polygons(pyproj.CRS.from_wkt(LOCAL)).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet has a CRS that is not tied to the Earth"):
        vectors.read(str(tmp_path / "a.parquet"), ["code"])


def test_geoparquet_with_damaged_metadata_or_geometries(tmp_path):
    import json

    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "a.parquet"
    polygons().to_parquet(path)
    table = pyarrow.parquet.read_table(path)
    said = json.loads(table.schema.metadata[b"geo"])
    said["columns"]["geometry"]["crs"] = "nonsense"
    crs = table.replace_schema_metadata({**table.schema.metadata, b"geo": json.dumps(said).encode()})
    at = table.schema.get_field_index("geometry")
    geometry = table.set_column(at, "geometry", pyarrow.array([b"\x01\x03\x00"], pyarrow.binary()))
    for changed in (crs, geometry):
        pyarrow.parquet.write_table(changed, path)
        with pytest.raises(InputError, match=r"a\.parquet cannot be read as polygons: "):
            vectors.read(str(path), ["code"])
