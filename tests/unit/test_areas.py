"""Which pixels lie in a polygon: compared with every centre asked one by one."""

from concurrent.futures import ThreadPoolExecutor

import hypothesis.strategies as st
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from rasterio.windows import Window

from parcelle.areas import Areas, covered
from parcelle.errors import StaleError
from parcelle.grid import Grid
from parcelle.windows import windows

GRID = Grid("EPSG:32631", 500_000, 5_000_000, 10, 40, 50)
SIZES = [1, 7, 16, 64]
BLOB = shapely.Polygon([(500_031, 4_999_962), (500_333, 4_999_901), (500_401, 4_999_655), (500_120, 4_999_713)])
RING = shapely.Point(500_250, 4_999_800).buffer(170) - shapely.Point(500_251, 4_999_803).buffer(60)
PARTS = shapely.MultiPolygon([shapely.box(500_000, 4_999_900, 500_043, 5_000_000), RING])
# Its borders run through the centres of pixels.
ON_CENTRES = shapely.box(500_105, 4_999_705, 500_205, 4_999_905)


def one_by_one(geometry, grid=GRID):
    x, y = grid.centres(grid.whole)
    return np.array([[geometry.covers(shapely.Point(a, b)) for a in x] for b in y])


def assembled(function, size, grid=GRID):
    """What a function of a window gives over the whole grid."""
    result = None
    for window in windows(grid.height, grid.width, size):
        part = function(window)
        result = np.zeros((grid.height, grid.width), part.dtype) if result is None else result
        rows, columns = window.toslices()
        result[rows, columns] = part
    return result


@pytest.mark.parametrize("geometry", [BLOB, RING, PARTS, ON_CENTRES, GRID.footprint(), shapely.Polygon()], ids=str)
def test_a_pixel_is_covered_where_its_centre_is(geometry):
    expected = one_by_one(geometry)
    for size in SIZES:
        assert np.array_equal(assembled(lambda w: covered(geometry, GRID, w), size), expected)


def test_a_border_through_centres_is_inside():
    found = covered(ON_CENTRES, GRID, GRID.whole)
    rows, columns = np.nonzero(found)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (9, 29, 10, 20)
    assert found.sum() == 21 * 11


@given(
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 80)), min_size=3, max_size=8),
    st.integers(0, 30), st.integers(0, 30), st.integers(1, 12), st.integers(1, 12),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_polygon_in_any_window(vertices, row, column, height, width):
    """Vertices on multiples of 5 m: on centres, on edges, on corners of pixels."""
    points = [(GRID.left + 5 * x, GRID.top - 5 * y) for x, y in vertices]
    geometry = shapely.make_valid(shapely.Polygon(points), method="structure", keep_collapsed=False)
    window = Window(column, row, width, height)
    x, y = GRID.centres(window)
    expected = [[geometry.covers(shapely.Point(a, b)) for a in x] for b in y]
    assert np.array_equal(covered(geometry, GRID, window), np.array(expected))


def zones():
    """Regions that share borders through the centres of pixels, and a part outside all."""
    left = shapely.box(500_000, 4_999_600, 500_205, 5_000_000)
    right = shapely.box(500_205, 4_999_755, 500_455, 5_000_000)
    below = shapely.box(500_205, 4_999_600, 500_455, 4_999_755)
    return Areas({"a": left, "b": right, "c": below}, RING)


@pytest.mark.parametrize("size", SIZES)
def test_a_pixel_belongs_to_the_first_region_that_covers_it(size):
    areas = zones()
    place = assembled(lambda w: areas.region_of(GRID, w), size)
    covers = np.array([one_by_one(g) for g in areas.regions.values()])
    assert place.dtype == np.int16
    assert np.array_equal(place, np.where(covers.any(axis=0), covers.argmax(axis=0), -1))
    # On the borders both cover the centre: column 20, and row 24 of the right half.
    assert (covers.sum(axis=0) > 1).sum() == 40 + 25
    assert (place[:, 20] == 0).all() and (place[24, 21:46] == 1).all() and (place[:, 46:] == -1).all()


def test_own_pixels_are_those_of_the_own_part():
    for size in SIZES:
        assert np.array_equal(assembled(lambda w: zones().own_pixels(GRID, w), size), one_by_one(RING))


def test_areas_that_were_changed_are_refused(tmp_path):
    (tmp_path / "areas.parquet").write_text("something else")
    with pytest.raises(StaleError, match="has no checksum beside it"):
        Areas.read(str(tmp_path / "areas.parquet"))


def test_many_threads_may_ask_one_polygon(tmp_path):
    """GEOS builds the index of a prepared polygon while it is asked; unguarded, this crashes within a few rounds."""
    angles = np.linspace(0, 2 * np.pi, 20_000, endpoint=False)
    radius = 900 + 60 * np.sin(angles * 300)
    ring = np.column_stack([501_000 + radius * np.cos(angles), 4_999_000 + radius * np.sin(angles)])
    star, grid = shapely.Polygon(ring), Grid("EPSG:32631", 500_000, 5_000_000, 10, 200, 200)
    places = list(windows(200, 200, 10))
    expected = [covered(star, grid, place) for place in places]
    assert 0.3 < np.mean([e.mean() for e in expected]) < 0.9
    for _ in range(5):
        fresh = shapely.Polygon(ring)
        shapely.prepare(fresh)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda place, polygon=fresh: covered(polygon, grid, place), places))
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
