"""Two small tiles on either side of 6°E, in UTM zones 31 and 32: pixels are a known function of place."""

import itertools
import tracemalloc

import numpy as np
import pytest
import rasterio
import rasterio.warp
import rio_cogeo
import shapely
from rasterio.windows import Window

from parcelle import files, mosaic
from parcelle.errors import InputError, ParcelleError, StaleError
from parcelle.grid import Grid, reproject
from parcelle.nomenclature import LandClass

WEST = Grid("EPSG:32631", 735_500, 4_987_500, 10, 130, 110)
EAST = Grid("EPSG:32632", 263_400, 4_987_600, 10, 120, 140)
FAR = Grid("EPSG:32631", 755_500, 4_987_500, 10, 40, 40)
CLASSES = [
    LandClass(1, "wheat", "#ff0000"),
    LandClass(2, "forest", "#00ff00"),
    LandClass(200, "water", "#0000ff"),
]
LAEA = "EPSG:3035"


def truth(longitude, latitude):
    """A uint16 that rises by one with each metre or so to the east and to the north; never 0."""
    east, north = (np.asarray(longitude) - 5.9) * 78_850, (np.asarray(latitude) - 44.9) * 111_100
    return (1 + east + north).astype("uint16")


def positions(grid):
    """Longitude and latitude of all pixel centres, by GDAL."""
    x, y = np.meshgrid(*grid.centres(grid.whole))
    longitude, latitude = rasterio.warp.transform(grid.crs, "EPSG:4326", x.ravel(), y.ravel())
    return np.reshape(longitude, x.shape), np.reshape(latitude, y.shape)


def save(path, grid, pixels, nodata=0):
    pixels = np.atleast_3d(pixels.T).T if pixels.ndim == 2 else pixels
    shape = {"height": grid.height, "width": grid.width, "count": len(pixels), "dtype": pixels.dtype}
    place = {"crs": grid.crs, "transform": grid.transform, "nodata": nodata}
    with files.whole(path) as draft, rasterio.open(draft, "w", driver="GTiff", **shape, **place) as out:
        out.write(pixels)
    return path


def values(path):
    with rasterio.open(path) as image:
        return image.read()


def valued(grid, value, dtype="uint8", bands=1):
    return np.full((bands, grid.height, grid.width), value, dtype)


@pytest.fixture
def tiles(tmp_path):
    """Truth in both tiles, but for holes in the western one: a corner, and a stripe through the overlap."""
    west, east = (truth(*positions(grid)) for grid in (WEST, EAST))
    west[:40, :30] = 0
    west[60:75] = 0
    return [save(tmp_path / "w.tif", WEST, west), save(tmp_path / "e.tif", EAST, east)]


def expected(grid, maps):
    """The mosaic by another way: pixel by pixel, with the transformations of GDAL."""
    x, y = (axis.ravel() for axis in np.meshgrid(*grid.centres(grid.whole)))
    result = np.zeros(x.size, "uint16")
    for path in maps:
        with rasterio.open(path) as image:
            there = zip(*rasterio.warp.transform(grid.crs, image.crs, x, y), strict=True)
            found = np.array([value[0] for value in image.sample(there)])
        result = np.where(result == 0, found, result)
    return result.reshape(grid.height, grid.width)


def write(maps, path, **settings):
    mosaic.write(maps, path, **{"product": "validity", "crs": LAEA, **settings})
    with rasterio.open(path) as image:
        return Grid.of(image), image.read()


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:32632", "EPSG:2154"])
def test_each_pixel_is_the_nearest_of_the_first_tile_with_data(crs, tiles, tmp_path):
    for maps in (tiles, tiles[::-1]):
        grid, pixels = write(maps, tmp_path / "mosaic.tif", crs=crs)
        assert np.array_equal(pixels[0], expected(grid, maps))


def test_drafts_in_scratch_on_another_file_system_change_nothing(tiles, tmp_path, elsewhere):
    write(tiles, tmp_path / "beside.tif")
    write(tiles, tmp_path / "mosaic.tif", scratch=str(elsewhere))
    assert (tmp_path / "mosaic.tif").read_bytes() == (tmp_path / "beside.tif").read_bytes()
    assert files.verify(tmp_path / "mosaic.tif") and list(elsewhere.iterdir()) == []


def test_in_laea_but_for_half_a_millimetre(tiles, tmp_path):
    # PROJ 9.5 (in pyproj; GDAL has a later one) is 0.5 mm off in this projection: a few pixels change sides.
    grid, pixels = write(tiles, tmp_path / "mosaic.tif")
    assert (pixels[0] == expected(grid, tiles)).mean() > 0.9995


def test_values_are_those_of_the_place(tiles, tmp_path):
    grid, pixels = write(tiles, tmp_path / "mosaic.tif")
    data = pixels[0] > 0
    error = np.abs(pixels[0].astype(int) - truth(*positions(grid)))[data]
    # Half a diagonal of a pixel is 7.1 m; the truth rises by 1 a metre in each direction.
    assert error.max() <= 11
    assert data.sum() > 20_000


def test_a_mosaic_in_the_crs_of_one_tile_has_its_pixels(tiles, tmp_path):
    grid, pixels = write(tiles[::-1], tmp_path / "mosaic.tif", crs=EAST.crs)
    row, column = round((grid.top - EAST.top) / 10), round((EAST.left - grid.left) / 10)
    assert np.array_equal(pixels[0, row : row + EAST.height, column : column + EAST.width], values(tiles[1])[0])


def test_holes_of_the_first_tile_are_filled_from_the_second_only_where_it_reaches(tiles, tmp_path):
    grid, pixels = write(tiles, tmp_path / "mosaic.tif")
    centres = shapely.points(*np.meshgrid(*grid.centres(grid.whole)))
    inside_east = shapely.contains(EAST.footprint_in(LAEA).buffer(-0.01), centres)
    outside_both = ~shapely.intersects(EAST.footprint_in(LAEA).union(WEST.footprint_in(LAEA)).buffer(0.01), centres)
    assert (pixels[0][inside_east] > 0).all()
    assert (pixels[0][outside_both] == 0).all()
    x, y = reproject(shapely.Point(735_600, 4_987_400), WEST.crs, LAEA).coords[0]
    corner = int((grid.top - y) / 10), int((x - grid.left) / 10)
    assert pixels[0][corner] == 0


def test_no_sliver_at_the_border_of_the_zones(tmp_path):
    maps = [save(tmp_path / f"{i}.tif", g, valued(g, i)) for i, g in ((1, WEST), (2, EAST))]
    grid, pixels = write(maps, tmp_path / "mosaic.tif")
    centres = shapely.points(*np.meshgrid(*grid.centres(grid.whole)))
    west, east = (shapely.contains(g.footprint_in(LAEA).buffer(-0.01), centres) for g in (WEST, EAST))
    assert (pixels[0][west] == 1).all()
    assert (pixels[0][east & ~west] == 2).mean() > 0.999  # pixels cut by the first outline may be of either
    assert (pixels[0][west | east] > 0).all()
    assert (west & east).any() and (east & ~west).any()


def test_products_of_a_pixel_come_from_one_pixel(tiles, tmp_path):
    other = []
    for path, grid in zip(tiles, (WEST, EAST), strict=True):
        first = values(path)
        two = np.concatenate([first, 3 * (first > 0).astype("uint16")])
        other.append(save(path.with_name(f"p{path.name}"), grid, two))
    _, one = write(tiles, tmp_path / "validity.tif")
    _, both = write(other, tmp_path / "probability.tif", product="probability", classes=CLASSES[:2])
    assert np.array_equal(one[0], both[0])
    assert np.array_equal(both[1], np.where(one[0] > 0, 3, 0))


def test_data_is_any_band_that_is_not_0(tmp_path):
    first, second = valued(WEST, 0, "uint16", 2), valued(WEST, 7, "uint16", 2)
    first[1, :50] = 9
    maps = [save(tmp_path / "a.tif", WEST, first), save(tmp_path / "b.tif", WEST, second)]
    _, pixels = write(maps, tmp_path / "p.tif", product="probability", classes=CLASSES[:2], crs=None)
    assert (pixels[0, :50] == 0).all() and (pixels[1, :50] == 9).all()
    assert (pixels[:, 50:] == 7).all()


def test_bytes_depend_neither_on_windows_nor_on_threads(tiles, tmp_path):
    sums = set()
    for size, threads in [(1024, 1), (100, 2), (37, 1), (1024, 2)]:
        write(tiles, tmp_path / "mosaic.tif", size=size, threads=threads)
        sums.add(files.verify(tmp_path / "mosaic.tif").read_bytes())
    assert len(sums) == 1


def test_bytes_of_a_large_file_do_not_depend_on_threads(tmp_path):
    grid = Grid("EPSG:32631", 600_000, 5_000_000, 10, 1300, 1500)
    noise = np.random.default_rng(0).integers(1, 90, (1, 1300, 1500)).astype("uint8")
    maps = [save(tmp_path / "a.tif", grid, noise)]
    written = []
    for threads in (1, 2, 4):
        _, pixels = write(maps, tmp_path / "mosaic.tif", crs=None, threads=threads)
        written.append((tmp_path / "mosaic.tif").read_bytes())
        assert np.array_equal(pixels, noise)
    assert written[0] == written[1] == written[2]


def test_any_window_of_the_mosaic_is_the_same_window_of_the_whole(tiles):
    whole = mosaic.lay_out(tiles, crs=LAEA, resolution=None, origin=(0, 0))
    pixels = mosaic.block(whole, whole.grid.whole)
    for row, column, height, width in [(33, 41, 50, 77), (100, 120, 3, 30), (50, 60, 1, 1), (20, 70, 90, 1)]:
        part = mosaic.block(whole, Window(column, row, width, height))
        assert np.array_equal(part, pixels[:, row : row + height, column : column + width])
        assert part.any()


def test_a_map_is_read_by_parts_where_the_mosaic_is_coarse(tiles, tmp_path, monkeypatch):
    grid, whole = write(tiles, tmp_path / "a.tif", resolution=50, crs="EPSG:2154")
    monkeypatch.setattr(mosaic, "READ", 16)
    _, parts = write(tiles, tmp_path / "b.tif", resolution=50, crs="EPSG:2154")
    assert np.array_equal(whole, parts)
    assert np.array_equal(whole[0], expected(grid, tiles))


def test_the_file_is_a_valid_cog_with_overviews(tmp_path):
    grid = Grid("EPSG:32631", 600_000, 5_000_000, 10, 700, 1200)
    codes = np.random.default_rng(0).choice(np.array([1, 2, 200], "uint8"), (1, 700, 1200), p=[0.6, 0.3, 0.1])
    save(tmp_path / "a.tif", grid, codes)
    tags = {"PARCELLE_VERSION": "0.1.0", "PARCELLE_SETTINGS": "0a1b"}
    path = tmp_path / "class.tif"
    mosaic.write([tmp_path / "a.tif"], path, product="class", classes=CLASSES, tags=tags)
    assert rio_cogeo.cog_validate(path, strict=True) == (True, [], [])
    with rasterio.open(path) as image:
        assert np.array_equal(image.read(), codes)
        assert image.profile["blockxsize"] == image.profile["blockysize"] == 512
        assert (image.compression.name, image.nodata, image.dtypes) == ("deflate", 0, ("uint8",))
        assert image.overviews(1) == [2, 4]
        assert tags.items() <= image.tags().items()
        assert image.descriptions == ("class",)
        colours = image.colormap(1)
    assert [colours[code] for code in (0, 1, 200)] == [(0, 0, 0, 0), (255, 0, 0, 255), (0, 0, 255, 255)]
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "a.tif",
        "a.tif.sha256",
        "class.tif",
        "class.tif.sha256",
    ]


@pytest.mark.parametrize(
    ("product", "block", "wanted"),
    [
        ("class", [1, 1, 1, 200], 1),  # the most frequent, never a class between
        ("class", [0, 0, 0, 200], 200),
        ("confidence", [20, 40, 60, 80], 50),
        ("confidence", [0, 0, 0, 80], 80),
    ],
)
def test_overviews(product, block, wanted, tmp_path):
    grid = Grid("EPSG:32631", 600_000, 5_000_000, 10, 600, 600)
    save(tmp_path / "a.tif", grid, np.tile(np.reshape(block, (2, 2)), (300, 300)).astype("uint8"))
    classes = CLASSES if product == "class" else None
    mosaic.write([tmp_path / "a.tif"], tmp_path / "m.tif", product=product, classes=classes)
    with rasterio.open(tmp_path / "m.tif", overview_level=0) as image:
        assert np.unique(image.read()).tolist() == [wanted]


def test_overviews_of_classes_without_a_palette(tmp_path):
    grid = Grid("EPSG:32631", 600_000, 5_000_000, 10, 600, 600)
    save(tmp_path / "a.tif", grid, np.tile(np.array([[1, 300], [1, 200]], "uint16"), (300, 300)))
    mosaic.write([tmp_path / "a.tif"], tmp_path / "m.tif", product="class", classes=CLASSES)
    with rasterio.open(tmp_path / "m.tif", overview_level=0) as image:
        assert np.unique(image.read()).tolist() == [1]  # the mean is 125


def test_overviews_of_probabilities_sum_to_one_pixel(tmp_path):
    grid = Grid("EPSG:32631", 600_000, 5_000_000, 10, 600, 600)
    first = np.tile(np.array([[0, 1000], [400, 300]], "uint16"), (300, 300))
    save(tmp_path / "a.tif", grid, np.stack([first, 1000 - first]))
    mosaic.write([tmp_path / "a.tif"], tmp_path / "m.tif", product="probability", classes=CLASSES[:2])
    with rasterio.open(tmp_path / "m.tif", overview_level=0) as image:
        assert (image.read().sum(axis=0) == 1000).all()
    with rasterio.open(tmp_path / "m.tif") as image:
        assert image.descriptions == ("wheat", "forest")


def test_classes_of_uint16_have_no_palette(tmp_path):
    save(tmp_path / "a.tif", WEST, valued(WEST, 300, "uint16"))
    classes = [*CLASSES, LandClass(300, "rocks", "#000000")]
    mosaic.write([tmp_path / "a.tif"], tmp_path / "m.tif", product="class", classes=classes)
    with rasterio.open(tmp_path / "m.tif") as image:
        assert image.dtypes == ("uint16",) and (image.read() == 300).all()
        with pytest.raises(ValueError):
            image.colormap(1)


def test_memory_does_not_grow_with_the_mosaic(tmp_path):
    peaks = []
    for number in (1, 9):
        maps = []
        for i in range(number):
            grid = Grid("EPSG:32631", 600_000 + 6000 * (i % 3), 5_000_000 - 6000 * (i // 3), 10, 600, 600)
            maps.append(save(tmp_path / f"{i}.tif", grid, valued(grid, i + 1)))
        tracemalloc.start()
        mosaic.write(maps, tmp_path / "mosaic.tif", product="validity", crs=LAEA, size=128)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 150 * 128**2 < grid.height * grid.width * 9  # less than the pixels of the mosaic
    assert len(np.unique(values(tmp_path / "mosaic.tif"))) == 10


def test_only_the_maps_over_a_window_are_opened(tmp_path):
    maps = [save(tmp_path / f"{i}.tif", g, valued(g, i)) for i, g in ((1, WEST), (2, FAR))]
    plan = mosaic.lay_out(maps, crs=None, resolution=None, origin=(0, 0))
    maps[1].unlink()
    assert (mosaic.block(plan, Window(0, 0, 110, 130)) == 1).all()
    between = Window(200, 0, 50, 50)
    assert plan.over(between) == [] and not mosaic.block(plan, between).any()


def test_a_later_map_is_not_read_where_none_is_empty(tmp_path):
    maps = [save(tmp_path / f"{i}.tif", WEST, valued(WEST, i)) for i in (1, 2)]
    plan = mosaic.lay_out(maps, crs=None, resolution=None, origin=(0, 0))
    maps[1].unlink()
    assert (mosaic.block(plan, plan.grid.whole) == 1).all()


def test_the_grid_falls_on_the_origin_and_covers_all(tiles):
    for crs, resolution, origin in [
        (LAEA, None, (0, 0)),
        (LAEA, 25, (3, 7)),
        ("EPSG:4326", 1e-4, (0.00002, 0)),
    ]:
        grid = mosaic.lay_out(tiles, crs=crs, resolution=resolution, origin=origin).grid
        steps = (np.array([grid.left, grid.top]) - origin) / grid.resolution
        assert steps == pytest.approx(np.round(steps), abs=1e-6)
        bounds = shapely.total_bounds([g.footprint_in(crs) for g in (WEST, EAST)])
        spare = (np.array(grid.bounds) - bounds) * [-1, -1, 1, 1] / grid.resolution
        assert (spare > -1e-5).all() and (spare < 1 + 1e-5).all()
    assert (grid.crs, grid.resolution) == ("EPSG:4326", 1e-4)


def test_the_grid_of_one_crs_is_that_of_the_tiles(tmp_path):
    grid, pixels = write([save(tmp_path / "a.tif", WEST, valued(WEST, 5))], tmp_path / "m.tif", crs=None)
    assert grid == WEST and (pixels == 5).all()


def test_one_more_tile_moves_no_pixel(tiles, tmp_path):
    few, before = write(tiles[:1], tmp_path / "m.tif")
    more, after = write(tiles, tmp_path / "m.tif")
    row, column = round((more.top - few.top) / 10), round((few.left - more.left) / 10)
    part = after[0, row : row + few.height, column : column + few.width]
    assert np.array_equal(part[before[0] > 0], before[0][before[0] > 0])


def test_a_footprint_holds_every_pixel_of_a_turned_tile(tmp_path):
    wide = Grid("EPSG:32632", 120_000, 5_500_000, 2000, 150, 300)
    path = save(tmp_path / "a.tif", wide, valued(wide, 4))
    grid, pixels = write([path], tmp_path / "m.tif", resolution=400)
    x, y = np.meshgrid(*wide.centres(wide.whole))
    there = np.array(rasterio.warp.transform(wide.crs, LAEA, x.ravel(), y.ravel()))
    column, row = ((there - [[grid.left], [grid.top]]) / [[400], [-400]]).astype(int)
    assert (pixels[0, row, column] == 4).all()


@pytest.mark.parametrize("crs", [LAEA, "EPSG:32631"])
def test_a_footprint_follows_the_edges_within_2_cm(crs, tmp_path):
    tile = Grid("EPSG:32632", 120_000, 5_500_000, 100, 1098, 1098)
    path = save(tmp_path / "a.tif", tile, valued(tile, 1))
    plan = mosaic.lay_out([path], crs=crs, resolution=10, origin=(0, 0))
    edges = shapely.segmentize(shapely.box(*tile.bounds).exterior, 100)
    points = shapely.points(*rasterio.warp.transform(tile.crs, crs, *np.transpose(edges.coords)))
    assert shapely.distance(points, plan.footprints[0].exterior).max() < 0.02


def test_several_crs_need_the_setting(tiles, tmp_path):
    with pytest.raises(ParcelleError, match=r"EPSG:32631 in .*w\.tif, EPSG:32632 in .*e\.tif\): set `mosaic\.crs`"):
        write(tiles, tmp_path / "m.tif", crs=None)
    assert not (tmp_path / "m.tif").exists()


def test_a_crs_in_degrees_needs_a_resolution(tiles, tmp_path):
    with pytest.raises(ParcelleError, match=r"in degree, .* is in metre: set `mosaic\.resolution`, in degree"):
        write(tiles, tmp_path / "m.tif", crs="EPSG:4326")


def test_several_resolutions_need_the_setting(tmp_path):
    coarse = Grid("EPSG:32631", 735_500, 4_987_500, 20, 60, 60)
    maps = [
        save(tmp_path / "a.tif", WEST, valued(WEST, 1)),
        save(tmp_path / "b.tif", coarse, valued(coarse, 2)),
    ]
    with pytest.raises(ParcelleError, match=r"pixels of 10 and of 20: set `mosaic\.resolution`"):
        write(maps, tmp_path / "m.tif")
    grid, pixels = write(maps, tmp_path / "m.tif", crs=None, resolution=10)
    assert grid.width == 120 and grid.height == 130
    assert (pixels[0, :, :110] == 1).all()
    assert (pixels[0, :120, 110:] == 2).all() and (pixels[0, 120:, 110:] == 0).all()


@pytest.mark.parametrize(("crs", "resolution"), [("EPSG:4326", 10), (LAEA, 0.0001)])
def test_a_resolution_in_the_wrong_unit_is_refused(crs, resolution, tiles, tmp_path):
    with pytest.raises(ParcelleError, match=rf"mosaic\.resolution is {resolution:g}, but a pixel"):
        write(tiles, tmp_path / "m.tif", crs=crs, resolution=resolution)


def test_a_crs_that_cannot_hold_a_tile_is_refused(tmp_path):
    fiji = Grid("EPSG:32760", 780_000, 8_000_000, 1000, 100, 100)  # across 180°
    path = save(tmp_path / "a.tif", fiji, valued(fiji, 1))
    with pytest.raises(ParcelleError, match=r"a\.tif cannot be brought to EPSG:4326: set another `mosaic\.crs`"):
        write([path], tmp_path / "m.tif", crs="EPSG:4326", resolution=0.01)
    assert (write([path], tmp_path / "m.tif", crs="EPSG:3832")[1] == 1).any()


def test_a_crs_on_the_other_side_of_the_earth_is_refused(tiles, tmp_path):
    with pytest.raises(ParcelleError, match=r"w\.tif cannot be brought to"):
        write(tiles, tmp_path / "m.tif", crs="+proj=gnom +lat_0=-60 +lon_0=0 +datum=WGS84", resolution=10)


@pytest.mark.parametrize(("dtype", "bands"), [("uint16", 1), ("uint8", 2)])
def test_maps_of_two_kinds_are_refused(dtype, bands, tmp_path):
    maps = [
        save(tmp_path / "a.tif", WEST, valued(WEST, 1)),
        save(tmp_path / "b.tif", WEST, valued(WEST, 1, dtype, bands)),
    ]
    with pytest.raises(InputError, match=rf"b\.tif has {bands} band\(s\) of {dtype}, .*a\.tif has 1 of uint8"):
        write(maps, tmp_path / "m.tif")


def test_no_data_must_be_0(tmp_path):
    path = save(tmp_path / "a.tif", WEST, valued(WEST, 1), nodata=255)
    with pytest.raises(InputError, match=r"a\.tif: no data is 255\.0; in a map it must be 0"):
        write([path], tmp_path / "m.tif")


def test_no_map_is_an_error(tmp_path):
    with pytest.raises(ParcelleError, match="no map"):
        write([], tmp_path / "m.tif")


def test_a_changed_map_is_refused(tiles, tmp_path):
    tiles[1].write_bytes(tiles[1].read_bytes()[:-100])
    with pytest.raises(StaleError, match=r"e\.tif was changed or cut"):
        write(tiles, tmp_path / "m.tif")


@pytest.mark.parametrize(("product", "wanted"), [("class", 1), ("probability", 3)])
def test_classes_must_be_those_of_the_maps(product, wanted, tmp_path):
    path = save(tmp_path / "a.tif", WEST, valued(WEST, 1, bands=2))
    with pytest.raises(InputError, match=rf"has 2 band\(s\), `{product}` of 3 classes has {wanted}"):
        write([path], tmp_path / "m.tif", product=product, classes=CLASSES)
    with pytest.raises(ParcelleError, match=f"`{product}` needs the classes"):
        write([path], tmp_path / "m.tif", product=product)


def test_an_interrupted_mosaic_leaves_nothing_behind(tiles, tmp_path, monkeypatch):
    before = sorted(tmp_path.iterdir())
    calls = itertools.count()

    def fail(one, crs, x, y):
        if next(calls):
            raise OSError("disk full")
        return np.ones((1, x.size), "uint16")

    monkeypatch.setattr(mosaic, "nearest", fail)
    with pytest.raises(OSError, match="disk full"):
        write(tiles, tmp_path / "m.tif", size=50)
    assert sorted(tmp_path.iterdir()) == before


def test_a_cog_that_fails_leaves_nothing_behind(tiles, tmp_path, monkeypatch):
    before = sorted(tmp_path.iterdir())

    def fail(source, target, **options):
        target.write_text("half of it")
        target.with_name(f"{target.name}.ovr.tmp").write_text("what GDAL leaves")
        raise OSError("disk full")

    monkeypatch.setattr(rasterio.shutil, "copy", fail)
    with pytest.raises(OSError, match="disk full"):
        write(tiles, tmp_path / "m.tif")
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_no_image_is_refused(tmp_path):
    with files.whole(tmp_path / "a.tif") as draft:
        draft.write_text("not an image")
    with pytest.raises(InputError, match=r"a\.tif cannot be read as an image"):
        write([tmp_path / "a.tif"], tmp_path / "m.tif")


def test_memory_is_a_formula_of_windows_bands_and_threads():
    one, two = (mosaic.memory(10, 2, threads) for threads in (1, 2))
    # Each thread: positions, and 20 bytes for each pixel of three windows of 1024 and of one that is read.
    assert two - one == 96 * 1024**2 + 20 * (3 * 1024**2 + mosaic.READ**2)
    assert mosaic.memory(1, 1, 1) < 2**30
