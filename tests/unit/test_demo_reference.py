import numpy as np
import pytest
import shapely

from parcelle.demo import landscape, reference
from parcelle.demo.randomness import stream
from parcelle.errors import ParcelleError

FOOTPRINT = shapely.box(0, 0, 3000, 3000)
SETTINGS = {"share": 0.3, "erosion": 8.0, "smallest": 2000.0, "mislabelled": 0.015, "seed": 4}


@pytest.fixture(scope="module")
def land():
    return landscape.make("EPSG:2154", FOOTPRINT, (11, 13, 21, 61), field_area=9_000, outlines=False, seed=4)


@pytest.fixture(scope="module")
def declared(land):
    return reference.declare(land, FOOTPRINT, **SETTINGS)


def test_polygons_keep_their_distance_from_the_border_of_their_field(land, declared):
    fields = land.shapes[declared.fields]
    assert shapely.covers(fields, declared.shapes).all()
    assert shapely.distance(declared.shapes, shapely.boundary(fields)).min() > 7.9


def test_polygons_are_simple_large_enough_and_apart(declared):
    assert (shapely.get_type_id(declared.shapes) == shapely.GeometryType.POLYGON).all()
    assert shapely.is_valid(declared.shapes).all()
    assert shapely.area(declared.shapes).min() >= 2000
    total = shapely.area(declared.shapes).sum()
    assert shapely.union_all(declared.shapes).area == pytest.approx(total)


def test_their_share_is_that_of_the_fields_in_every_class_and_region(land, declared):
    for code in (11, 13, 21, 61):
        for region in (0, 1):
            here = (land.codes == code) & (land.region == region)
            chosen = (declared.truth == code) & (land.region[declared.fields] == region)
            assert chosen.sum() >= reference.LEAST
            assert chosen.sum() / here.sum() == pytest.approx(0.3, abs=0.12)
    assert len(set(declared.fields)) == len(declared.fields)
    assert (land.codes[declared.fields] == declared.truth).all()


def test_few_polygons_are_mislabelled(declared):
    wrong = declared.labels != declared.truth
    assert 1 <= wrong.sum() <= 0.02 * len(wrong)
    assert wrong.sum() == round(0.015 * len(wrong))


def test_fields_outside_of_the_tiles_are_not_declared(land):
    within = shapely.box(0, 0, 3000, 2000)
    found = reference.declare(land, within, **SETTINGS)
    assert shapely.contains(within, shapely.centroid(land.shapes[found.fields])).all()


def test_one_more_class_does_not_change_the_choice_in_the_others(land, declared):
    fewer = land.codes != 61
    part = landscape.Landscape(
        land.crs, land.extent, land.regions, land.shapes[fewer], land.codes[fewer], land.region[fewer]
    )
    found = reference.declare(part, FOOTPRINT, **SETTINGS)
    kept = declared.truth != 61
    assert (shapely.to_wkb(found.shapes) == shapely.to_wkb(declared.shapes[kept])).all()


def test_too_few_fields_of_a_class_are_refused(land):
    with pytest.raises(ParcelleError, match=r"class 11 has \d fields to declare in region plain, where 6 are"):
        reference.declare(land, shapely.box(0, 0, 500, 500), **SETTINGS)


def test_of_a_field_that_falls_apart_the_largest_part_is_declared():
    boxes = shapely.box(0, 0, 50, 50), shapely.box(50, 20, 80, 25), shapely.box(80, 0, 180, 50)
    dumbbell = shapely.union_all(boxes)
    eroded = shapely.buffer(np.array([dumbbell, shapely.box(0, 0, 4, 4)]), -5, join_style="mitre")
    parts = reference._largest_part(eroded)
    assert parts[0].bounds == (85, 5, 175, 45)
    assert parts[1].is_empty


def test_a_class_with_the_least_number_of_polygons_keeps_all_its_labels():
    truth, region = np.repeat([1, 2], [6, 30]), np.zeros(36, int)
    for seed in range(10):
        labels = reference.mislabel(truth, region, 0.5, stream(seed, "test"))
        assert (labels[:6] == 1).all()
        assert (labels[6:] != 2).sum() == 1


def test_a_wrong_label_is_that_of_another_class():
    truth, region = np.repeat([11, 13, 21], 20), np.tile([0, 1], 30)
    labels = reference.mislabel(truth, region, 0.1, stream(0, "test"))
    assert (labels != truth).sum() == 6
    assert set(labels) == {11, 13, 21}
