import geopandas as gpd
import numpy as np
import pytest
import rasterio.warp
import shapely

from parcelle import planning
from parcelle.areas import Areas
from parcelle.errors import InputError, StaleError
from parcelle.grid import Grid, reproject
from parcelle.planning import Plan

A = Grid("EPSG:32631", 735_000, 4_987_500, 10, 100, 100)
B = Grid("EPSG:32631", 735_700, 4_987_300, 10, 90, 100)
C = Grid("EPSG:32632", 263_700, 4_987_600, 10, 120, 100)
TILES = {"A": A, "B": B, "C": C}
FAR = Grid("EPSG:32731", 500_000, 9_000_000, 10, 100, 100)
# West and east of an easting in zone 31, and a circle within the east.
BORDER = 735_850
WEST = shapely.box(700_000, 4_900_000, BORDER, 5_000_000)
LAKE = shapely.Point(736_200, 4_987_000).buffer(133)
EAST = shapely.box(BORDER, 4_900_000, 800_000, 5_000_000) - LAKE


def save(path, shapes, crs="EPSG:32631", field="zone"):
    """A file of regions; a name may stand twice."""
    names, shapes = zip(*shapes, strict=True)
    geometry = reproject(np.array(shapes), "EPSG:32631", crs)
    gpd.GeoDataFrame({field: names}, geometry=geometry, crs=crs).to_parquet(path)
    return str(path)


def read(tmp_path, *shapes, crs="EPSG:32631"):
    return planning.read_regions(save(tmp_path / "regions.parquet", shapes, crs), "zone")


def inside(grid, other):
    """Whether the centres of one grid lie in another: by the transformation of GDAL."""
    x, y = np.meshgrid(*grid.centres(grid.whole))
    there = rasterio.warp.transform(grid.crs, other.crs, x.ravel(), y.ravel())
    left, bottom, right, top = other.bounds
    x, y = (np.reshape(axis, x.shape) for axis in there)
    return (left < x) & (x < right) & (bottom < y) & (y < top)


def test_a_plan_is_read_as_it_was_written(tmp_path):
    plan = Plan({"A": ["east", "west"], "B": ["east"], "C": ["lake"]}, {"A": ["west"], "B": ["east"], "C": []}, TILES)
    plan.write(str(tmp_path / "plan.json"))
    read = Plan.read(tmp_path / "plan.json")
    assert read == plan and list(read.tiles) == ["A", "B", "C"]
    first = (tmp_path / "plan.json").read_bytes()
    read.write(str(tmp_path / "plan.json"))
    assert (tmp_path / "plan.json").read_bytes() == first


def test_regions_and_their_tiles():
    regions = {"B": ["east", "west"], "A": ["lake", "west"], "C": ["east"]}
    plan = Plan(regions, {"B": ["west"], "A": ["lake", "west"], "C": []}, {"B": B, "A": A, "C": C})
    assert plan.all_regions() == ["east", "lake", "west"]
    assert plan.tiles_of("west") == ["B", "A"]
    assert plan.tiles_of("lake") == ["A"]
    assert plan.tiles_of("east") == []


def test_the_first_tile_owns_all_of_itself():
    for names in ("ABC", "CBA", "BCA"):
        own = planning.own_areas({name: TILES[name] for name in names})
        assert own[names[0]].equals(TILES[names[0]].footprint())


@pytest.mark.parametrize("names", ["ABC", "CBA", "BAC"])
def test_own_areas_partition_the_tiles(names):
    grids = {name: TILES[name] for name in names}
    own = planning.own_areas(grids)
    local = {name: reproject(shapely.segmentize(area, 50), grids[name].crs, A.crs) for name, area in own.items()}
    footprints = [reproject(shapely.segmentize(g.footprint(), 50), g.crs, A.crs) for g in grids.values()]
    union = shapely.union_all(footprints)
    assert shapely.union_all(list(local.values())).symmetric_difference(union).area < 1e-5 * union.area
    assert sum(area.area for area in local.values()) == pytest.approx(union.area, rel=1e-5)
    assert local["A"].intersection(local["C"]).area < 1


@pytest.mark.parametrize("names", ["ABC", "CBA", "BAC"])
def test_a_pixel_is_a_tiles_own_unless_an_earlier_one_covers_it(names):
    grids = {name: TILES[name] for name in names}
    for i, (name, area) in enumerate(planning.own_areas(grids).items()):
        earlier = [inside(grids[name], grids[other]) for other in names[:i]]
        expected = ~np.logical_or.reduce([np.zeros((grids[name].height, grids[name].width), bool), *earlier])
        found = Areas({}, area).own_pixels(grids[name], grids[name].whole)
        assert np.array_equal(found, expected)


def test_tiles_far_apart_own_themselves():
    own = planning.own_areas({"A": A, "far": FAR, "C": C})
    assert own["A"].equals(A.footprint()) and own["far"].equals(FAR.footprint()) and own["C"].equals(C.footprint())


def test_without_regions_there_is_one_everywhere():
    everywhere = planning.read_regions(None, None)
    assert everywhere.name.tolist() == ["whole"]
    for grid in (A, C, FAR):
        found = planning.regions_in(everywhere, grid, whole=True)
        assert found.name.tolist() == ["whole"] and found.geometry[0].equals(grid.footprint()) and found.crs == grid.crs


def test_regions_are_sorted_and_their_parts_joined(tmp_path):
    found = read(tmp_path, ("west", WEST), ("east", EAST), ("west", shapely.box(1e5, 1e5, 2e5, 2e5)), ("lake", LAKE))
    assert list(found.columns) == ["name", "geometry"]
    assert found.name.tolist() == ["east", "lake", "west"]
    assert found.geometry[2].area == pytest.approx(WEST.area + 1e10)


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3035"])
def test_regions_of_a_tile_are_cut_to_it_in_its_crs(crs, tmp_path):
    # In another CRS a straight line is one between its vertices there: 1 m apart over 10 km, so the shapes are fine.
    shapes = [(n, shapely.segmentize(s, 500)) for n, s in [("west", WEST), ("east", EAST), ("lake", LAKE)]]
    regions = read(tmp_path, *shapes, crs=crs)
    for grid, names in [(A, ["east", "west"]), (B, ["east", "lake", "west"]), (C, ["east"])]:
        found = planning.regions_in(regions, grid, whole=False)
        assert found.name.tolist() == names and found.crs == grid.crs
        assert found.area.sum() == pytest.approx(grid.footprint().area, rel=1e-6)
        assert shapely.covers(grid.footprint().buffer(1e-6), found.geometry.to_numpy()).all()
    expected = LAKE.intersection(B.footprint())
    assert planning.regions_in(regions, B, whole=False).geometry[1].symmetric_difference(expected).area < 1


def test_a_tile_outside_all_regions_has_none(tmp_path):
    assert planning.regions_in(read(tmp_path, ("west", WEST), ("lake", LAKE)), C, whole=False).empty
    assert planning.regions_in(read(tmp_path, ("west", WEST), crs="EPSG:4326"), FAR, whole=False).empty


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326"])
@pytest.mark.parametrize(("reach", "names"), [(-30, ["in"]), (0, ["in"]), (4, ["in"]), (6, ["in", "next"])])
def test_a_region_counts_where_it_reaches_a_pixel(reach, names, crs, tmp_path):
    """A neighbour that holds no centre would ask for polygons and a model that map nothing."""
    border = A.left + reach
    shapes = [
        ("in", shapely.box(border, 4_980_000, 740_000, 4_990_000)),
        ("next", shapely.box(730_000, 4_980_000, border, 4_990_000)),
    ]
    shapes = [(name, shapely.segmentize(shape, 100)) for name, shape in shapes]
    assert planning.regions_in(read(tmp_path, *shapes, crs=crs), A, whole=False).name.tolist() == names


def test_a_region_may_reach_beyond_the_tiles_projection(tmp_path):
    path = tmp_path / "r.parquet"
    shapes = [shapely.box(-30, 0, 179, 80), shapely.box(-179, 0, -30, 80)]
    gpd.GeoDataFrame({"zone": ["boreal", "other"]}, geometry=shapes, crs="EPSG:4326").to_parquet(path)
    found = planning.regions_in(planning.read_regions(str(path), "zone"), A, whole=False)
    assert found.name.tolist() == ["boreal"]
    assert found.geometry[0].area == pytest.approx(A.footprint().area)


def test_overlapping_regions_are_refused(tmp_path):
    other = shapely.box(BORDER - 100, 4_900_000, 800_000, 5_000_000)
    with pytest.raises(InputError, match=r"regions\.parquet: regions 'east' and 'west' overlap: cut one by the other"):
        read(tmp_path, ("west", WEST), ("east", other))
    assert len(read(tmp_path, ("west", WEST), ("west", other))) == 1


def test_regions_that_touch_or_share_a_sliver_are_taken(tmp_path):
    assert len(read(tmp_path, ("west", WEST), ("east", EAST), ("lake", LAKE))) == 3
    almost = shapely.box(BORDER - 0.01, 4_900_000, 800_000, 5_000_000)
    assert len(read(tmp_path, ("west", WEST), ("east", almost))) == 2


@pytest.mark.parametrize("name", ["all", "north west", "a/b", "1.5", ""])
def test_a_region_has_the_name_of_a_folder(name, tmp_path):
    with pytest.raises(
        InputError, match=r"1 features have a zone that is `all` or holds more than .* \(fid 1\): rename"
    ):
        read(tmp_path, ("west", WEST), (name, EAST))


def test_a_region_without_a_name(tmp_path):
    with pytest.raises(InputError, match=r"1 features have no zone \(fid 1\): name or remove them"):
        read(tmp_path, ("west", WEST), (None, EAST))


def test_numbers_and_letters_are_names(tmp_path):
    assert read(tmp_path, (2, WEST), (10, EAST)).name.tolist() == ["10", "2"]
    assert read(tmp_path, ("Île-de-France_1", WEST), ("x", EAST)).name.tolist() == ["x", "Île-de-France_1"]


def test_points_are_no_regions(tmp_path):
    with pytest.raises(InputError, match="are not polygons"):
        read(tmp_path, ("west", WEST), ("east", shapely.Point(0, 0)))


def test_areas_are_read_as_they_were_written(tmp_path):
    regions = planning.regions_in(read(tmp_path, ("west", WEST), ("east", EAST), ("lake", LAKE)), B, whole=False)
    own = planning.own_areas(TILES)["B"]
    planning.write_areas(regions, own, str(tmp_path / "areas.parquet"))
    areas = Areas.read(str(tmp_path / "areas.parquet"))
    assert list(areas.regions) == ["east", "lake", "west"]
    assert all(areas.regions[n].equals(g) for n, g in zip(regions.name, regions.geometry, strict=True))
    assert areas.own.equals(own)


def test_a_tile_that_owns_nothing(tmp_path):
    within = Grid(A.crs, A.left + 100, A.top - 100, 10, 30, 20)
    own = planning.own_areas({"A": A, "within": within})["within"]
    regions = planning.regions_in(planning.read_regions(None, None), within, whole=True)
    planning.write_areas(regions, own, str(tmp_path / "areas.parquet"))
    assert not Areas.read(str(tmp_path / "areas.parquet")).own_pixels(within, within.whole).any()


def test_tiles_must_be_in_metres():
    degrees = Grid("EPSG:4326", 3, 50, 0.0001, 10, 10)
    feet = Grid("EPSG:2229", 6_000_000, 2_000_000, 30, 10, 10)
    for grid in (degrees, feet):
        with pytest.raises(InputError, match=r"tile D is in .* not projected in metres"):
            planning.check_crs({"D": grid}, "EPSG:3035")


def test_another_grid_than_the_plans_is_refused(tmp_path):
    path = tmp_path / "plan.json"
    regions = {name: ["r"] for name in TILES}
    Plan(regions, regions, TILES).write(str(path))
    planning.check_grid(path, "A", A)
    with pytest.raises(StaleError, match=r"tile A: its images are on the grid .* snakemake --forcerun plan"):
        planning.check_grid(path, "A", B)


def test_a_gap_between_regions_is_told(caplog):
    own = A.footprint()
    left, bottom, right, top = A.bounds
    half = gpd.GeoDataFrame({"name": ["w"]}, geometry=[shapely.box(left, bottom, (left + right) / 2, top)], crs=A.crs)
    planning.warn_of_gaps("A", own, half, "regions.gpkg")
    assert "tile A: 50.0 % of it lies in no region of regions.gpkg and is not mapped" in caplog.messages


def test_several_crs_need_one_for_the_mosaic():
    with pytest.raises(
        InputError, match=r"tile C is in EPSG:32632 and tile A in EPSG:32631: .* `mosaic: {crs: EPSG:3035}`"
    ):
        planning.check_crs(TILES, None)
    planning.check_crs(TILES, "EPSG:3035")
    planning.check_crs({"A": A, "B": B}, None)
