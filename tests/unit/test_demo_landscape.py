import numpy as np
import pytest
import shapely

from parcelle.demo import landscape
from parcelle.demo.covers import BROADLEAF, BUILT, COVERS, WATER
from parcelle.demo.randomness import stream

EXTENT = (0.0, 0.0, 2400.0, 2000.0)
CLASSES = tuple(cover.code for cover in COVERS)


@pytest.fixture(scope="module")
def land():
    return landscape.make("EPSG:2154", shapely.box(*EXTENT), CLASSES, field_area=15_000, outlines=True, seed=7)


def test_parcels_cover_the_land_once():
    cells = np.array(list(landscape.parcels(EXTENT, 15_000, stream(0, "parcels"))))
    assert shapely.area(cells).sum() == pytest.approx(shapely.box(*EXTENT).area)
    assert shapely.union_all(cells).area == pytest.approx(shapely.box(*EXTENT).area)


def test_parcels_have_the_size_and_the_shape_of_fields():
    cells = np.array(list(landscape.parcels(EXTENT, 15_000, stream(0, "parcels"))))
    area = shapely.area(cells)
    assert np.mean(area) == pytest.approx(15_000, rel=0.25)
    assert np.percentile(area, 95) < 2.2 * 15_000
    compactness = 4 * np.pi * area / shapely.length(cells) ** 2
    assert np.median(compactness) > 0.6


def test_halves_meet_along_one_line():
    halves = landscape.halves(EXTENT, stream(0, "regions"))
    assert list(halves) == list(landscape.REGIONS)
    assert all(half.is_valid for half in halves.values())
    assert sum(half.area for half in halves.values()) == pytest.approx(shapely.box(*EXTENT).area)
    assert (halves["plain"] & halves["hills"]).area == pytest.approx(0, abs=1e-6)
    assert halves["plain"].centroid.y < halves["hills"].centroid.y
    assert 0.35 < halves["plain"].area / shapely.box(*EXTENT).area < 0.65


def test_a_blob_has_about_its_radius():
    blobs = [landscape.blob(100, 200, 150, stream(n, "blob")) for n in range(40)]
    assert all(blob.is_valid and shapely.contains_xy(blob, 100, 200) for blob in blobs)
    assert np.mean([blob.area for blob in blobs]) == pytest.approx(np.pi * 150**2, rel=0.25)


def test_a_river_runs_through_the_whole_country():
    river = landscape.river(EXTENT, stream(0, "river"))
    assert river.bounds[1] < EXTENT[1] and river.bounds[3] > EXTENT[3]
    assert river.area / (river.length / 2) == pytest.approx(68, rel=0.05)


def test_the_landscape_covers_its_footprint_without_overlaps(land):
    footprint = shapely.box(*EXTENT)
    assert footprint.difference(shapely.union_all(land.shapes)).area == pytest.approx(0, abs=1e-3)
    total, union = shapely.area(land.shapes).sum(), shapely.union_all(land.shapes).area
    assert total == pytest.approx(union)
    assert shapely.is_valid(land.shapes).all()
    assert (shapely.get_type_id(land.shapes) == shapely.GeometryType.POLYGON).all()


def test_every_field_has_a_class_and_the_region_of_its_centre(land):
    assert set(land.codes) == set(CLASSES)
    centres = shapely.centroid(land.shapes)
    assert (shapely.contains(land.regions["plain"], centres) == (land.region == 0)).all()


def test_the_same_seed_draws_the_same_landscape(land):
    def draw(seed):
        box = shapely.box(*EXTENT)
        return landscape.make(land.crs, box, CLASSES, field_area=15_000, outlines=True, seed=seed)

    again = draw(7)
    assert (shapely.to_wkb(again.shapes) == shapely.to_wkb(land.shapes)).all()
    assert (again.codes == land.codes).all()
    assert len(draw(8).shapes) != len(land.shapes)


def test_overlay_cuts_fields_by_outlines_in_their_order():
    cells = np.array([shapely.box(0, 0, 100, 100), shapely.box(100, 0, 200, 100)])
    layers = {WATER.code: shapely.box(0, 0, 30, 100), BUILT.code: shapely.box(20, 0, 60, 100)}
    shapes, codes = landscape.overlay(cells, layers, smallest=100)
    area = {code: shapely.area(shapes[codes == code]).sum() for code in set(codes)}
    assert area == {WATER.code: 3000, BUILT.code: 3000, 0: 14000}


def test_overlay_joins_what_is_too_small_to_the_largest_piece():
    cells = np.array([shapely.box(0, 0, 100, 100)])
    layers = {WATER.code: shapely.box(0, 0, 5, 100), BUILT.code: shapely.box(40, 0, 100, 100)}
    shapes, codes = landscape.overlay(cells, layers, smallest=1000)
    area = {code: shapely.area(shapes[codes == code]).sum() for code in set(codes)}
    assert area == {BUILT.code: 6500, 0: 3500}


def test_outlines_of_each_kind_lie_in_each_region():
    regions = landscape.halves(EXTENT, stream(0, "regions"))
    layers = landscape.natural(regions, shapely.box(*EXTENT), CLASSES, stream(0, "outlines"))
    assert next(iter(layers)) == WATER.code and BROADLEAF.code in layers
    for layer in layers.values():
        assert all(layer.intersects(region) for region in regions.values())


def test_classes_that_do_not_occur_have_no_outlines():
    regions = landscape.halves(EXTENT, stream(0, "regions"))
    assert landscape.natural(regions, shapely.box(*EXTENT), (11, 13), stream(0, "outlines")) == {}


def test_shares_of_classes_are_met_to_a_field_in_each_region():
    region = np.repeat([0, 1], [100, 60])
    codes = np.zeros(160, int)
    codes[:10] = 61
    liking = {code: stream(0, code).normal(size=160) for code in (11, 13, 21)}
    given = landscape.assign(codes, region, {11: (0.5, 0.2), 13: (0.3, 0.2), 21: (0.2, 0.4)}, liking)
    assert (given[:10] == 61).all()
    assert [(given[(region == 0)] == code).sum() for code in (11, 13, 21)] == [45, 27, 18]
    assert [(given[(region == 1)] == code).sum() for code in (11, 13, 21)] == [15, 15, 30]


def test_a_rare_class_gets_the_fields_that_suit_it_best():
    codes, region = np.zeros(20, int), np.zeros(20, int)
    liking = {11: np.zeros(20), 31: np.arange(20.0)}
    given = landscape.assign(codes, region, {11: (0.8, 0.8), 31: (0.2, 0.2)}, liking)
    assert np.flatnonzero(given == 31).tolist() == [16, 17, 18, 19]
