import dataclasses

import numpy as np
import pytest
import shapely

from parcelle.demo import fields, landscape, spectra
from parcelle.demo.covers import (
    BROADLEAF,
    BUILT,
    BY_CODE,
    CONIFER,
    GRASS,
    MAIZE,
    RAPESEED,
    VINEYARD,
    WATER,
    WHEAT,
)

RED, GREEN, NIR = (spectra.BANDS.index(band) for band in ("B4", "B3", "B8"))
DAYS = np.arange(1, 366)


def typical(*codes):
    """A field of each class with nothing special about it."""
    n = len(codes)
    return fields.Fields(np.array(codes), np.zeros(n), np.ones(n), np.ones(n), np.zeros(n), np.ones(n))


def ndvi(values):
    return (values[..., NIR] - values[..., RED]) / (values[..., NIR] + values[..., RED])


def yearly(code):
    values, _ = fields.appearance(typical(code), DAYS, seed=0)
    return ndvi(values[:, 0])


def days_above(curve, level):
    return DAYS[curve > level].min(), DAYS[curve > level].max()


def test_winter_wheat_peaks_in_may_and_is_harvested_in_july():
    leaf_area, _ = fields.season(WHEAT, DAYS[:, None].astype(float), seed=0)
    assert 121 <= DAYS[leaf_area[:, 0].argmax()] <= 160
    curve = yearly(WHEAT.code)
    assert curve[140] > 0.85 and curve[210] < 0.3


def test_rapeseed_is_green_before_wheat_and_blooms_yellow_in_april():
    assert days_above(yearly(RAPESEED.code), 0.75)[0] < days_above(yearly(WHEAT.code), 0.75)[0]
    values, _ = fields.appearance(typical(RAPESEED.code), DAYS, seed=0)
    green, red = values[:, 0, GREEN], values[:, 0, RED]
    assert 95 <= DAYS[green[:150].argmax()] <= 130
    assert red[112] > 2 * red[80] and green[112] > 1.5 * green[80]


def test_maize_is_bare_in_spring_and_green_in_august():
    curve = yearly(MAIZE.code)
    assert curve[125] < 0.35 and curve[219] > 0.85 and curve[300] < 0.35
    first, last = days_above(curve, 0.7)
    assert 150 <= first <= 190 and 240 <= last <= 280


def test_forests_are_green_in_summer_and_conifers_all_year():
    broad, conifers = yearly(BROADLEAF.code), yearly(CONIFER.code)
    assert broad[180] > 0.85 and broad[20] < 0.65
    assert conifers.min() > 0.65


def test_conifers_are_darker_than_broad_leaved_trees_in_the_near_infrared():
    values, _ = fields.appearance(typical(BROADLEAF.code, CONIFER.code), DAYS, seed=0)
    assert values[180, 1, NIR] < 0.8 * values[180, 0, NIR]


def test_meadows_are_mown():
    leaf_area, _ = fields.season(GRASS, np.broadcast_to(DAYS[:, None], (365, 50)).astype(float), seed=0)
    before, after = leaf_area[100:150].max(axis=0), leaf_area[140:215].min(axis=0)
    assert (after < 0.7 * before).mean() > 0.8


def test_water_is_dark_and_the_same_all_year():
    values, _ = fields.appearance(typical(WATER.code), DAYS, seed=0)
    assert values.max() < 0.06
    assert np.ptp(values, axis=0) == pytest.approx(0)
    assert ndvi(values).max() < 0


def test_a_late_field_has_the_same_season_later():
    late = dataclasses.replace(typical(MAIZE.code), shift=np.array([20.0]))
    on_time = yearly(MAIZE.code)
    curve = ndvi(fields.appearance(late, DAYS, seed=0)[0][:, 0])
    starts, ends = zip(*(days_above(c, 0.7) for c in (on_time, curve)), strict=True)
    assert np.diff(starts) == pytest.approx(20, abs=2) and np.diff(ends) == pytest.approx(20, abs=2)


def test_vigour_inside_a_field_makes_it_greener():
    _, change = fields.appearance(typical(MAIZE.code), DAYS, seed=0)
    grown = slice(160, 185)
    assert (change[grown, 0, NIR] > 0).all() and (change[grown, 0, RED] < 0).all()


def test_a_companion_is_mixed_in_by_its_share():
    pure, grass = typical(BUILT.code), typical(GRASS.code)
    mixed = dataclasses.replace(pure, mixture=np.array([0.4]))
    seen = [fields.appearance(f, DAYS[::30], seed=0)[0] for f in (pure, grass, mixed)]
    assert seen[2] == pytest.approx(0.6 * seen[0] + 0.4 * seen[1], abs=2e-3)


def test_brightness_multiplies_all_bands():
    bright = dataclasses.replace(typical(VINEYARD.code), brightness=np.array([1.1]))
    seen = [fields.appearance(f, DAYS[::30], seed=0)[0] for f in (typical(VINEYARD.code), bright)]
    assert seen[1] == pytest.approx(1.1 * seen[0], rel=1e-5)


def test_fields_of_several_classes_keep_their_places():
    together, _ = fields.appearance(typical(MAIZE.code, WATER.code, WHEAT.code), DAYS[::20], seed=0)
    alone, _ = fields.appearance(typical(WATER.code), DAYS[::20], seed=0)
    assert together.shape == (19, 3, 10) and together.dtype == np.float32
    assert together[:, 1] == pytest.approx(alone[:, 0])


def test_soil_is_wet_in_winter_and_dry_in_summer():
    dry = fields.dryness(DAYS, seed=0)
    assert dry.min() >= 0 and dry.max() <= 1
    assert dry[:60].mean() < 0.3 and dry[170:230].mean() > 0.7


def test_the_hills_are_late_by_the_delay():
    land = landscape.make(
        "EPSG:2154", shapely.box(0, 0, 4000, 4000), (11, 13), field_area=8_000, outlines=False, seed=1
    )
    drawn = fields.draw(land, delay=17, seed=1)
    later = drawn.shift[land.region == 1].mean() - drawn.shift[land.region == 0].mean()
    assert later == pytest.approx(17, abs=1)
    assert drawn.shift[land.region == 0].std() == pytest.approx(6, abs=0.6)
    assert (drawn.mixture == 0).all() and (drawn.of(11).codes == 11).all()


def test_no_field_has_more_of_its_companion_than_its_class_allows():
    land = landscape.make(
        "EPSG:2154", shapely.box(0, 0, 2000, 2000), (21, 31), field_area=8_000, outlines=False, seed=1
    )
    drawn = fields.draw(land, delay=0, seed=1).of(31)
    assert 0 < drawn.mixture.max() < BY_CODE[31].mixture
