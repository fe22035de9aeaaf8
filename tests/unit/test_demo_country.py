import dataclasses
import datetime
import subprocess
import sys

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely

from parcelle.demo import __main__ as command
from parcelle.demo import country
from parcelle.errors import InputError
from parcelle.files import checksum
from parcelle.grid import Grid
from parcelle.nomenclature import Nomenclature
from parcelle.sensors.theia import Sentinel2L2A

TINY = country.tiny(tiles=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("country")
    country.write(path, TINY)
    return path


def read(path):
    with rasterio.open(path) as image:
        return image.read(1)


def sums(folder):
    return {str(path.relative_to(folder)): checksum(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def acquisitions(folder, tile):
    found, problems = Sentinel2L2A().find(str(folder / "sentinel2"), tile, "s2")
    assert problems == []
    return sorted(found, key=lambda acquisition: acquisition.datetime)


def test_all_files_are_there(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "nomenclature.csv", "reference.gpkg", "regions.gpkg", "sentinel2", "truth",
    ]  # fmt: skip
    for tile in TINY.tiles:
        found = acquisitions(folder, tile.name)
        assert tuple(acquisition.date for acquisition in found) == TINY.dates
        assert Grid.of_file(found[0].assets["b2"].path) == tile.grid
        assert Grid.of_file(found[0].assets["b11"].path).nest(tile.grid) == 2
        assert Grid.of_file(str(folder / f"truth/{tile.name}.tif")) == tile.grid


def test_the_same_country_has_the_same_bytes(folder, tmp_path):
    country.write(tmp_path, TINY)
    assert sums(tmp_path) == sums(folder)


def test_another_seed_is_another_country(folder, tmp_path):
    country.write(tmp_path, dataclasses.replace(TINY, seed=1))
    one, other = sums(folder), sums(tmp_path)
    assert one.keys() == other.keys()
    images = [path for path in one if path.endswith("_B4.tif") or path.startswith("truth")]
    assert all(one[path] != other[path] for path in images)


def test_the_nomenclature_is_readable_and_holds_the_classes(folder):
    classes = Nomenclature.read(folder / "nomenclature.csv")
    assert classes.codes == [11, 13, 21, 61]
    assert [c.name for c in classes.classes] == ["winter wheat", "maize", "grassland", "water"]
    assert classes.classes[0].parent == "annual crops"


def test_the_truth_holds_all_classes_with_their_colours(folder):
    classes = Nomenclature.read(folder / "nomenclature.csv")
    for tile in TINY.tiles:
        with rasterio.open(folder / f"truth/{tile.name}.tif") as image:
            assert set(np.unique(image.read(1))) == {11, 13, 21, 61}
            assert image.nodata == 0
            assert all(image.colormap(1)[c.code][:3] == c.rgb for c in classes.classes)


def test_each_class_has_enough_polygons_in_each_region(folder):
    reference, regions = gpd.read_file(folder / "reference.gpkg"), gpd.read_file(folder / "regions.gpkg")
    assert regions.region.tolist() == ["plain", "hills"] and regions.is_valid.all()
    assert reference.crs == "EPSG:2154" and regions.crs == "EPSG:4326"
    centres = reference.set_geometry(reference.centroid).to_crs(regions.crs)
    counts = centres.sjoin(regions, predicate="within").groupby(["truth", "region"]).size()
    assert len(counts) == 8 and counts.min() >= 5
    assert counts.sum() == len(reference)


def test_polygons_bear_the_class_of_the_pixels_they_hold(folder):
    reference = gpd.read_file(folder / "reference.gpkg")
    for tile in TINY.tiles:
        truth = read(folder / f"truth/{tile.name}.tif")
        burnt = rasterio.features.rasterize(
            zip(reference.to_crs(tile.grid.crs).geometry, reference.truth, strict=True),
            truth.shape, transform=tile.grid.transform,
        )  # fmt: skip
        assert (burnt > 0).mean() > 0.2
        assert (burnt == truth)[burnt > 0].all()


def test_labels_are_named_and_few_are_wrong(folder):
    reference = gpd.read_file(folder / "reference.gpkg")
    classes = Nomenclature.read(folder / "nomenclature.csv")
    assert reference.field_id.is_unique
    assert [classes.name(code) for code in reference.code] == reference.name.tolist()
    assert 0 < (reference.code != reference.truth).mean() <= 0.02


def test_some_polygons_cross_the_border_of_the_regions_and_a_tile_overlap(folder):
    reference, regions = gpd.read_file(folder / "reference.gpkg"), gpd.read_file(folder / "regions.gpkg")
    plain, hills = regions.to_crs(reference.crs).geometry
    assert (reference.intersects(plain) & reference.intersects(hills)).sum() >= 2
    first, second = (tile.grid.footprint_in(TINY.crs) for tile in TINY.tiles[:2])
    overlap = first & second
    assert (reference.intersects(overlap) & ~reference.within(overlap)).sum() >= 2


def test_wheat_maize_and_water_look_like_themselves(folder):
    tile = TINY.tiles[1].name
    truth, seen = read(folder / f"truth/{tile}.tif"), {11: {}, 13: {}, 61: {}}
    for acquisition in acquisitions(folder, tile):
        invalid = sum(read(mask.path) for mask in acquisition.masks) > 0
        red, nir = (read(acquisition.assets[band].path).astype(float) for band in ("b4", "b8"))
        for code, days in seen.items():
            pixels = (truth == code) & ~invalid
            if pixels.sum() > 20:
                days[acquisition.date] = np.median(((nir - red) / (nir + red))[pixels])
    spring, summer = (
        {code: days[min(days, key=lambda date: abs(date - day))] for code, days in seen.items()}
        for day in (datetime.date(2018, 6, 1), datetime.date(2018, 8, 5))
    )
    assert spring[11] > 0.8 and summer[11] < 0.4
    assert spring[13] < 0.45 and summer[13] > 0.8
    assert max(seen[61].values()) < 0.1


def test_corner_of_the_first_tile_is_outside_of_the_swath_on_all_dates(folder):
    tile = TINY.tiles[0]
    corner = tile.edge.beyond(tile.grid)
    assert corner[-1, 0] and not corner[0].any() and 0.01 < corner.mean() < 0.1
    for acquisition in acquisitions(folder, tile.name):
        edge = next(read(mask.path) for mask in acquisition.masks if "_EDG_" in mask.path)
        assert (edge[corner] == 1).all() and (edge[~corner] == 0).all()
        assert ((read(acquisition.assets["b2"].path) == -10000) == corner).all()
        assert ((read(acquisition.assets["b12"].path) == -10000) == corner[::2, ::2]).all()


def test_a_later_tile_sees_part_of_that_corner(folder):
    first, second = TINY.tiles[:2]
    x, y = first.grid.centres(first.grid.whole)
    rows, columns = np.nonzero(first.edge.beyond(first.grid))
    left, bottom, right, top = second.grid.bounds
    inside = (x[columns] > left) & (x[columns] < right) & (y[rows] > bottom) & (y[rows] < top)
    assert 0.2 < inside.mean() < 1


def test_part_of_the_last_tile_is_outside_of_the_swath_on_some_dates(folder):
    shares = []
    for acquisition in acquisitions(folder, TINY.tiles[2].name):
        shares.append(next(read(mask.path) for mask in acquisition.masks if "_EDG_" in mask.path).mean())
    assert min(shares) == 0 and 0.25 < max(shares) < 0.45 and len(set(shares)) == 2


def test_tiles_overlap_in_their_zone_and_across_zones():
    for tiles in (TINY.tiles, country.DEFAULT.tiles):
        one, other, last = (tile.grid.footprint_in(TINY.crs) for tile in tiles)
        assert [tile.grid.crs for tile in tiles] == ["EPSG:32631", "EPSG:32631", "EPSG:32632"]
        assert 0.08 < (one & other).area / one.area < 0.2
        assert all(0.01 < (last & tile).area / last.area < 0.2 for tile in (one, other))


def test_zones_meet_at_six_degrees_east():
    for tile in country.DEFAULT.tiles:
        left, _, right, _ = tile.grid.footprint_in("EPSG:4326").bounds
        assert left < 6 < right


def test_names_are_those_of_the_mgrs_squares_around():
    import mgrs

    for tile in country.DEFAULT.tiles:
        x, y = tile.grid.footprint_in("EPSG:4326").centroid.coords[0]
        zone, _, east, north = mgrs.MGRS().MGRSToUTM(tile.name + "0000000000")
        assert tile.grid.crs == f"EPSG:326{zone}" and 5.9 < x < 6.1 and 45.9 < y < 46.1
        # Sentinel-2 tiles reach some 10 km beyond the 100 km square of their name.
        left, bottom, right, top = tile.grid.bounds
        assert east - 10_000 < left and right < east + 110_000
        assert north - 10_000 < bottom and top < north + 110_000


def test_the_default_has_three_tiles_forty_dates_and_eleven_classes():
    default = country.DEFAULT
    assert [(tile.grid.height, tile.grid.width) for tile in default.tiles] == [(300, 300)] * 3
    assert len(default.dates) == 40 == len(set(default.dates))
    assert {date.year for date in default.dates} == {2018} and list(default.dates) == sorted(default.dates)
    assert np.diff([date.toordinal() for date in default.dates]).max() <= 30
    assert len(default.classes) == 11


def test_the_reference_of_the_default_is_like_the_land(tmp_path):
    default = country.DEFAULT
    land = country.landscape.make(
        default.crs, default.footprint(), default.classes,
        field_area=default.field_area, outlines=default.outlines, seed=default.seed,
    )  # fmt: skip
    country.write_reference(tmp_path, default, land)
    reference = gpd.read_file(tmp_path / "reference.gpkg")
    assert 350 <= len(reference) <= 500 and reference.area.min() >= 3000
    fields = shapely.within(shapely.centroid(land.shapes), default.footprint()).sum()
    assert 0.25 <= len(reference) / fields <= 0.35
    assert 0.005 < (reference.code != reference.truth).mean() <= 0.02
    area = shapely.area(land.shapes & default.footprint())
    for code in default.classes:
        declared = reference.area[reference.truth == code].sum() / reference.area.sum()
        assert declared == pytest.approx(area[land.codes == code].sum() / area.sum(), abs=0.025)
        counts = np.bincount(land.region[reference.field_id[reference.truth == code] - 1], minlength=2)
        assert counts.min() >= 6
    crossing = reference.intersects(land.regions["plain"]) & reference.intersects(land.regions["hills"])
    assert crossing.sum() >= 3


def test_default_dates_are_clear_partly_cloudy_and_overcast():
    default = country.DEFAULT
    shares = np.array([country.clouds.cover(date, default.clouds, default.seed) for date in default.dates])
    assert (shares == 0).sum() >= 3 and (shares == 1).sum() >= 2
    assert ((shares > 0.1) & (shares < 0.9)).sum() >= 15
    assert 0.2 < shares.mean() < 0.4


@pytest.mark.parametrize("size", [31, 28])
def test_impossible_tiles_are_refused(size):
    with pytest.raises(InputError, match=f"a tile of {size} pixels is not possible"):
        country.tiny(size=size)


@pytest.mark.parametrize(("size", "tiles"), [(30, 1), (40, 2), (96, 3)])
def test_tiny_countries_of_any_size_can_be_written(tmp_path, size, tiles):
    country.write(tmp_path, country.tiny(size=size, dates=2, tiles=tiles))
    assert len(gpd.read_file(tmp_path / "reference.gpkg")) >= 48
    assert len(list(tmp_path.glob("sentinel2/*/*/*_FRE_B8A.tif"))) == 2 * tiles


def test_products_of_another_country_are_refused(tmp_path):
    country.write(tmp_path, country.tiny(size=30, dates=3, tiles=1))
    with pytest.raises(InputError, match="is not of this country: remove"):
        country.write(tmp_path, country.tiny(size=30, dates=2, tiles=1))
    assert (tmp_path / "nomenclature.csv").exists()


def test_an_interrupted_folder_has_no_nomenclature(tmp_path, monkeypatch):
    small = country.tiny(size=30, dates=2, tiles=1)
    country.write(tmp_path, small)

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(country.products, "write_product", full)
    with pytest.raises(OSError, match="disk full"):
        country.write(tmp_path, small)
    assert not (tmp_path / "nomenclature.csv").exists()


def test_the_command_writes_the_default(tmp_path, monkeypatch, capsys):
    written = []
    monkeypatch.setattr(country, "write", lambda folder: written.append(folder))
    assert command.main([str(tmp_path)]) == 0
    assert written == [str(tmp_path)]
    assert capsys.readouterr().out == f"{tmp_path}: 3 tiles, 40 dates, 11 classes\n"


def test_the_command_says_what_is_wrong(tmp_path):
    (tmp_path / "sentinel2/31TGM/SENTINEL2A_20170101-104812-123_L2A_T31TGM_C_V1-0").mkdir(parents=True)
    done = subprocess.run([sys.executable, "-m", "parcelle.demo", tmp_path], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "SENTINEL2A_20170101-104812-123_L2A_T31TGM_C_V1-0 is not of this country" in done.stderr
