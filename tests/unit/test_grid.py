"""Where pixels lie on the ground."""

import json

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from hypothesis import given
from hypothesis import strategies as st
from rasterio.windows import Window
from unit.rasters_for_tests import TILE, constant, save

from parcelle.errors import InputError
from parcelle.grid import Grid, mgrs_grid, reproject, same_crs

LAEA = "+proj=laea +lat_0=50 +lon_0=7 +datum=WGS84 +units=m"


def test_grid_of_a_file_is_that_which_was_written(tmp_path):
    assert Grid.of_file(save(tmp_path / "a.tif", constant(1))) == TILE


@pytest.mark.parametrize("resolution", [0.5, 1e-5])
def test_pixels_may_be_small(tmp_path, resolution):
    grid = Grid("EPSG:4326", 3, 44, resolution, TILE.height, TILE.width)
    assert Grid.of_file(save(tmp_path / "a.tif", constant(1), grid)) == grid


def test_a_crs_without_a_code_is_kept_as_wkt(tmp_path):
    path = save(tmp_path / "a.tif", constant(1), Grid(LAEA, 0, 0, 10, TILE.height, TILE.width))
    grid = Grid.of_file(path)
    assert not grid.crs.startswith("EPSG:")
    assert same_crs(grid.crs, LAEA)
    assert not same_crs(grid.crs, "EPSG:3035")


def test_the_wkt_of_a_code_becomes_the_code(tmp_path):
    wkt = pyproj.CRS("EPSG:32631").to_wkt()
    assert Grid.of_file(save(tmp_path / "a.tif", constant(1), Grid(wkt, 0, 0, 10, 21, 18))).crs == "EPSG:32631"


def test_a_grid_survives_json():
    grid = Grid("EPSG:32631", 499_980.5, 4_900_020, 2.5, 3, 4)
    assert Grid.from_dict(json.loads(json.dumps(grid.to_dict()))) == grid


def test_places_of_pixels():
    grid = Grid("EPSG:32631", 1000, 5000, 10, 3, 4)
    assert grid.bounds == (1000, 4970, 1040, 5000)
    assert grid.pixel_area == 100
    assert grid.whole == Window(0, 0, 4, 3)
    assert rasterio.transform.xy(grid.transform, 3, 4, offset="ul") == (1040, 4970)
    x, y = grid.centres(Window(1, 2, 3, 1))
    assert x.tolist() == [1015, 1025, 1035]
    assert y.tolist() == [4975]


def test_centres_are_those_of_rasterio():
    x, y = TILE.centres(Window(3, 7, 4, 5))
    there = rasterio.transform.xy(TILE.transform, [7, 8, 9, 10, 11], [3, 3, 3, 3, 3])
    assert np.array_equal(y, there[1])
    assert x[0] == there[0][0]


def test_text_names_crs_corner_size_and_resolution():
    assert str(TILE) == "EPSG:32631 (500000, 4900020), 18 × 21 pixels of 10"
    assert str(Grid("EPSG:32631", 4_999_999.5, 0, 0.25, 1, 2)) == "EPSG:32631 (4999999.5, 0), 2 × 1 pixels of 0.25"


def test_footprint_has_the_area_of_its_pixels_and_vertices_along_its_sides():
    outline = Grid("EPSG:32631", 0, 0, 10, 64, 64).footprint()
    assert outline.area == 640**2
    assert len(outline.exterior.coords) == 4 * 32 + 1


def test_footprint_on_a_central_meridian_starts_at_its_longitude():
    west, south, east, north = TILE.footprint_in("EPSG:4326").bounds  # easting 500,000 of zone 31 is 3° E
    assert west == pytest.approx(3, abs=1e-9)
    assert 3.002 < east < 3.003
    assert 44.25 < south < north < 44.26


def test_reprojection_knows_when_there_is_nothing_to_do():
    point = shapely.Point(1, 2)
    assert reproject(point, "EPSG:32631", pyproj.CRS(32631).to_wkt()) is point


def test_reprojection_of_an_array_and_back():
    points = shapely.points([[500_000.0, 4_900_000.0], [600_000.0, 5_000_000.0]])
    there = reproject(points, "EPSG:32631", "EPSG:4326")
    assert shapely.get_x(there)[0] == pytest.approx(3)
    back = reproject(there, "EPSG:4326", "EPSG:32631")
    assert shapely.get_coordinates(back) == pytest.approx(shapely.get_coordinates(points), abs=1e-3)


X, Y = 500_000, 4_900_020
FINE = Grid("EPSG:32631", X, Y, 10, 100, 60)


@pytest.mark.parametrize(
    ("coarse", "factor"),
    [
        (FINE, 1),
        (Grid("EPSG:32631", X, Y, 20, 50, 30), 2),
        (Grid(pyproj.CRS(32631).to_wkt(), X, Y, 20, 50, 30), 2),
        (Grid("EPSG:32631", X + 0.005, Y - 0.005, 20, 50, 30), 2),
        (Grid("EPSG:32631", X, Y, 30, 34, 20), 3),  # the last row of 30 m reaches 20 m beyond
        (Grid("EPSG:32631", X, Y, 70, 15, 9), 7),
        (Grid("EPSG:32631", X, Y, 2000, 1, 1), 200),
        (Grid("EPSG:32632", X, Y, 20, 50, 30), None),
        (Grid("EPSG:32631", X + 10, Y, 20, 50, 30), None),
        (Grid("EPSG:32631", X, Y + 5, 20, 50, 30), None),
        (Grid("EPSG:32631", X, Y, 20, 49, 30), None),
        (Grid("EPSG:32631", X, Y, 20, 50, 31), None),
        (Grid("EPSG:32631", X, Y, 30, 33, 20), None),
        (Grid("EPSG:32631", X, Y, 15, 67, 40), None),
        (Grid("EPSG:32631", X, Y, 20.001, 50, 30), None),
        (Grid("EPSG:32631", X, Y, 5, 200, 120), None),
        (Grid("EPSG:32631", X, Y, 2, 500, 300), None),
    ],
)
def test_grids_nest_edge_to_edge_or_not(coarse, factor):
    assert coarse.nest(FINE) == factor


def test_an_odd_tile_is_covered_by_one_coarse_pixel_more():
    odd = Grid("EPSG:32631", 0, 0, 10, 21, 17)
    assert Grid("EPSG:32631", 0, 0, 20, 11, 9).nest(odd) == 2
    assert Grid("EPSG:32631", 0, 0, 20, 10, 8).nest(odd) is None


def test_an_image_without_a_crs_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    place = {"width": 1, "height": 1, "transform": rasterio.Affine(10, 0, 0, 0, -10, 0)}
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", count=1, **place) as image:
        image.write(np.ones((1, 1, 1), "uint8"))
    with pytest.raises(InputError, match=r"a\.tif has no CRS. Write one"):
        Grid.of_file(str(path))


@pytest.mark.parametrize(
    "transform",
    [
        rasterio.Affine(10, 0, 0, 0, -20, 0),
        rasterio.Affine(10, 0, 0, 0, 10, 0),  # south up
        rasterio.Affine(-10, 0, 0, 0, -10, 0),
        rasterio.Affine(7, 7, 0, 7, -7, 0),
    ],
)
def test_rotated_and_oblong_pixels_are_refused(tmp_path, transform):
    path, place = tmp_path / "a.tif", {"width": 2, "height": 2, "transform": transform}
    with rasterio.open(path, "w", driver="GTiff", dtype="uint8", count=1, crs="EPSG:32631", **place) as image:
        image.write(np.ones((1, 2, 2), "uint8"))
    with pytest.raises(InputError, match=r"a\.tif has rotated or oblong pixels .*warp it"):
        Grid.of_file(str(path))


def test_a_file_that_is_no_image_is_named(tmp_path):
    (tmp_path / "a.tif").write_text("no image")
    for name in ("a.tif", "missing.tif"):
        with pytest.raises(InputError, match=f"{name} cannot be read as an image"):
            Grid.of_file(str(tmp_path / name))


@pytest.mark.parametrize(
    ("tile", "crs", "left", "top"),
    [
        ("31TCJ", "EPSG:32631", 300_000, 4_900_020),
        ("T31TCJ", "EPSG:32631", 300_000, 4_900_020),
        ("31TDJ", "EPSG:32631", 399_960, 4_900_020),
        ("31UDQ", "EPSG:32631", 399_960, 5_500_020),
        ("10SEG", "EPSG:32610", 499_980, 4_200_000),
        ("19HCC", "EPSG:32719", 300_000, 6_300_040),
        ("01CCV", "EPSG:32701", 300_000, 2_000_020),
    ],
)
def test_grids_of_sentinel_2_tiles(tile, crs, left, top):
    assert mgrs_grid(tile) == Grid(crs, left, top, 10, 10980, 10980)


@pytest.mark.filterwarnings("error")
def test_a_square_that_straddles_two_bands_exists_and_warns_of_nothing():
    south, north = mgrs_grid("31CBA").footprint_in("EPSG:4326").bounds[1::2]
    assert south < -72 < north  # its corner lies in the next band


@pytest.mark.parametrize(
    "tile",
    [
        "",
        "T",
        "31T",
        "31TII",
        "31TCZ",
        "99TCJ",
        "tile-1",
        "west",
        "31TCJ1",
        "31TCJ12",
        "31TCJ 0",
        "31-CJ",
        "ZAB",
        "AZN",
    ],
)
def test_names_that_are_no_tiles_are_refused(tile):
    with pytest.raises(InputError, match=r"is not an MGRS 100 km square .*set `grid: header`"):
        mgrs_grid(tile)


def test_a_square_outside_its_latitude_band_is_refused():
    with pytest.raises(InputError, match=r"'31TAA' is not an MGRS 100 km square: .*latitudes of its band"):
        mgrs_grid("31TAA")  # row A of zone 31 lies at 0, 18, 36 and 54° N; band T from 40 to 48° N


@given(st.integers(-79, 83), st.integers(-179, 179))
def test_the_tile_of_a_place_holds_it_and_starts_at_a_multiple_of_60_m(latitude, longitude):
    import mgrs

    name = mgrs.MGRS().toMGRS(latitude + 0.5, longitude + 0.5, MGRSPrecision=0)
    grid = mgrs_grid(name)
    assert grid.left % 60 == 0
    assert (grid.top - (10_000_000 if grid.crs.startswith("EPSG:327") else 0)) % 60 == 0
    place = reproject(shapely.Point(longitude + 0.5, latitude + 0.5), "EPSG:4326", grid.crs)
    assert grid.footprint().covers(place)
