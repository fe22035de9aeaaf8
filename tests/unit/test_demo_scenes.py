import dataclasses
import datetime

import numpy as np
import pytest
import shapely

from parcelle.demo import clouds, fields, landscape, scenes
from parcelle.demo.covers import COVERS, WATER
from parcelle.demo.randomness import stream
from parcelle.errors import ParcelleError
from parcelle.grid import Grid, reproject

CRS, DATE = "EPSG:2154", datetime.date(2018, 6, 8)
LEFT, TOP = 732_000, 5_096_000
GRID = Grid("EPSG:32631", LEFT, TOP, 10, 80, 100)
NEIGHBOUR = Grid("EPSG:32631", LEFT + 400, TOP - 200, 10, 80, 100)
OTHER_ZONE = Grid("EPSG:32632", 267_250, TOP, 10, 80, 100)
CLASSES = tuple(cover.code for cover in COVERS)


@pytest.fixture(scope="module")
def land():
    footprint = shapely.union_all([grid.footprint_in(CRS) for grid in (GRID, NEIGHBOUR, OTHER_ZONE)])
    return landscape.make(CRS, footprint, CLASSES, field_area=8_000, outlines=True, seed=5)


@pytest.fixture(scope="module")
def look(land):
    values, change = fields.appearance(fields.draw(land, 17, 5), np.array([159]), 5)
    return values[0], change[0]


def sky(land, share):
    return clouds.sky(DATE, land.extent, share, seed=5)


def observe(land, look, share=0.0, grid=GRID, outside=None, seed=0):
    outside = np.zeros((grid.height, grid.width), bool) if outside is None else outside
    ground = scenes.ground(land, grid, 5)
    return scenes.observe(ground, *look, sky(land, share), outside, stream(seed, "noise"))


def test_each_pixel_lies_in_the_field_that_holds_its_centre(land):
    ground = scenes.ground(land, GRID, 5)
    rows, columns = np.divmod(np.arange(0, 8000, 37), 100)
    inside = shapely.contains_xy(
        land.shapes[ground.fields[rows, columns]], ground.x[rows, columns], ground.y[rows, columns]
    )
    assert inside.all()


def test_tiles_agree_on_the_pixels_that_they_share(land):
    one, other = scenes.ground(land, GRID, 5), scenes.ground(land, NEIGHBOUR, 5)
    assert (one.fields[20:, 40:] == other.fields[:60, :60]).all()
    assert one.vigour[20:, 40:] == pytest.approx(other.vigour[:60, :60], abs=1e-5)


def test_tiles_of_two_zones_agree_on_the_ground(land):
    one, other = scenes.ground(land, GRID, 5), scenes.ground(land, OTHER_ZONE, 5)
    points = shapely.points(one.x[::3, ::3].ravel(), one.y[::3, ::3].ravel())
    there = reproject(points, CRS, OTHER_ZONE.crs)
    column = np.floor((shapely.get_x(there) - OTHER_ZONE.left) / 10).astype(int)
    row = np.floor((OTHER_ZONE.top - shapely.get_y(there)) / 10).astype(int)
    both = (row >= 0) & (row < 80) & (column >= 0) & (column < 100)
    assert both.sum() > 300
    same = one.fields[::3, ::3].ravel()[both] == other.fields[row[both], column[both]]
    assert same.mean() > 0.85


def test_a_tile_beyond_the_landscape_is_refused(land):
    with pytest.raises(ParcelleError, match=r"pixels of EPSG:32631 .* lie in no field"):
        scenes.ground(land, Grid("EPSG:32631", LEFT - 2000, TOP, 10, 80, 100), 5)


def test_a_clear_image_shows_the_fields(land, look):
    scene = observe(land, look)
    ground = scenes.ground(land, GRID, 5)
    expected = look[0][ground.fields, 6]
    assert not any(scene.masks[name].any() for name in ("CLM", "EDG"))
    inside = scene.masks["SAT"] == 0
    assert np.corrcoef(scene.bands["B8"][inside], expected[inside])[0, 1] > 0.97
    water = (land.codes[ground.fields] == WATER.code) & inside
    assert np.median(scene.bands["B8"][water]) == pytest.approx(140, abs=25)


def test_bands_have_their_pixel_sizes_and_types(land, look):
    scene = observe(land, look)
    assert list(scene.bands) == ["B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B11", "B12"]
    fine = [band for band, values in scene.bands.items() if values.shape == (80, 100)]
    assert fine == ["B2", "B3", "B4", "B8"]
    assert all(v.shape in ((80, 100), (40, 50)) and v.dtype == np.int16 for v in scene.bands.values())
    assert all(v.shape == (80, 100) and v.dtype == np.uint8 for v in scene.masks.values())


def test_a_coarse_pixel_is_the_mean_of_what_it_covers(land, look):
    flat = np.zeros_like(look[0])
    flat[:, 7] = np.linspace(0.1, 0.5, len(flat))
    scene = observe(land, (flat, np.zeros_like(flat)))
    ground = scenes.ground(land, GRID, 5)
    expected = flat[ground.fields, 7].reshape(40, 2, 50, 2).mean(axis=(1, 3)) * 1e4
    clear = scene.masks["SAT"][::2, ::2] == 0
    error = (scene.bands["B8A"] - expected)[clear] / (25 + 0.022 * expected[clear])
    assert np.abs(error).max() < 6 and error.std() == pytest.approx(1, abs=0.08)


def test_noise_is_a_few_per_cent_and_differs_between_images(land, look):
    one, other = observe(land, look, seed=1), observe(land, look, seed=2)
    clear = (one.masks["SAT"] == 0) & (other.masks["SAT"] == 0)
    difference = (one.bands["B8"].astype(float) - other.bands["B8"])[clear]
    level = one.bands["B8"][clear]
    share = difference[level > 2000] / level[level > 2000] / np.sqrt(2)
    assert 0.02 < share.std() < 0.04


def test_the_masks_cover_all_that_clouds_and_shadows_alter(land, look):
    ground, outside = scenes.ground(land, GRID, 5), np.zeros((80, 100), bool)
    scene, clear = (
        scenes.observe(ground, *look, sky(land, share), outside, stream(9, "noise")) for share in (0.4, 0.0)
    )
    masked = (scene.masks["CLM"] != 0) | (scene.masks["SAT"] != 0)
    assert 0.3 < masked.mean() < 0.98
    for band, values in scene.bands.items():
        altered = values != clear.bands[band]
        if altered.shape != masked.shape:
            altered = altered.repeat(2, axis=0).repeat(2, axis=1)
        assert altered.any()
        assert not (altered & ~masked).any(), band


def test_no_coarse_pixel_next_to_a_clear_one_is_altered(land, look):
    """So that 20 m bands brought to 10 m are right wherever the mask says so."""
    ground, outside = scenes.ground(land, GRID, 5), np.zeros((80, 100), bool)
    scene, clear = (
        scenes.observe(ground, *look, sky(land, share), outside, stream(9, "noise")) for share in (0.4, 0.0)
    )
    altered = scene.bands["B11"] != clear.bands["B11"]
    near = np.zeros((42, 52), bool)
    for row in range(3):
        for column in range(3):
            near[row : row + 40, column : column + 50] |= altered
    near = near[1:-1, 1:-1].repeat(2, axis=0).repeat(2, axis=1)
    assert not (near & (scene.masks["CLM"] == 0)).any()


def test_an_overcast_image_is_bright_and_masked(land, look):
    scene = observe(land, look, share=1.0)
    assert (scene.masks["CLM"] != 0).all()
    assert np.median(scene.bands["B2"]) == pytest.approx(6200, rel=0.05)


def test_beyond_the_swath_there_is_no_data(land, look):
    outside = np.zeros((80, 100), bool)
    outside[:, 60:] = True
    scene = observe(land, look, share=0.4, outside=outside)
    assert (scene.masks["EDG"] == outside).all()
    assert not scene.masks["CLM"][outside].any() and not scene.masks["SAT"][outside].any()
    for values in scene.bands.values():
        nothing = outside if values.shape == outside.shape else outside[::2, ::2]
        assert ((values == scenes.NODATA) == nothing).all()


def test_saturated_pixels_are_flagged(land, look, monkeypatch):
    monkeypatch.setattr(scenes, "_SATURATED_SHARE", 0.01)
    scene = observe(land, look)
    bright = scene.bands["B2"] > 13_000
    assert 4 <= bright.sum() <= 4 * 50
    assert (scene.masks["SAT"][bright] == 1).all()
    assert scene.masks["SAT"].mean() < 0.9


def test_calibration_differs_by_date_and_band():
    factors = scenes.calibrations(400, seed=0)
    assert factors.shape == (400, 10)
    assert factors.mean() == pytest.approx(1, abs=1e-3) and factors.std() == pytest.approx(0.012, abs=1e-3)


def test_the_same_noise_gives_the_same_image(land, look):
    one, other = observe(land, look, share=0.3), observe(land, look, share=0.3)
    for name in ("bands", "masks"):
        for key, values in dataclasses.asdict(one)[name].items():
            assert (values == getattr(other, name)[key]).all()
